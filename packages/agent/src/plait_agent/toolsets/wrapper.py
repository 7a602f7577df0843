"""A toolset that is another one with something changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from plait_agent._typevars import AgentDepsT
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext

__all__ = ('WrapperToolset',)


@dataclass
class WrapperToolset(AbstractToolset[AgentDepsT]):
    """Does all that the wrapped toolset does; made to be derived from.

    Args:
        wrapped: The toolset.
    """

    wrapped: AbstractToolset[AgentDepsT]

    @property
    def id(self) -> str | None:
        """None: the wrapped toolset has one."""
        return None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f'{type(self).__name__}({self.wrapped.label})'

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self.wrapped.__aexit__(kind, error, traceback)

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools of the wrapped toolset."""
        return await self.wrapped.get_tools(ctx)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool of the wrapped toolset."""
        return await self.wrapped.call_tool(name, tool_args, ctx, tool)

    def for_run(self) -> AbstractToolset[AgentDepsT]:
        """The toolset that one run uses."""
        wrapped = self.wrapped.for_run()
        return self if wrapped is self.wrapped else self._around(wrapped)

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Call a function with each toolset within that wraps no other."""
        self.wrapped.apply(visitor)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        """Give a toolset like this one, with what a function makes of each toolset within that wraps no other."""
        return self._around(self.wrapped.visit_and_replace(visitor))

    def _around(self, wrapped: AbstractToolset[AgentDepsT]) -> Self:
        """The same around another toolset; copied, as a derived class may be made with other arguments."""
        made = copy(self)
        made.wrapped = wrapped
        return made
