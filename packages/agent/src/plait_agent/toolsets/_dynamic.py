"""A toolset that a function finds while the agent runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeAlias, cast

from plait_agent._functions import name_of
from plait_agent._run_context import RunContext
from plait_agent._settled import settled
from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import UserError
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool

__all__ = 'DynamicToolset', 'ToolsetFunc'

ToolsetFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]],
    AbstractToolset[AgentDepsT] | Awaitable['AbstractToolset[AgentDepsT] | None'] | None,
]
"""Finds the toolset of a run or of a step; `None` if there is none."""


class DynamicToolset(AbstractToolset[AgentDepsT]):
    """Asks a function for a toolset, in each step or once for a run.

    A toolset that is found is entered, and left when another takes its place or the run ends. The same one again is
    kept as it is.

    Args:
        toolset_func: The function; it may be async.
        per_run_step: Whether it is asked in each step.
        id: What tells the toolset from others of the same agent.
    """

    def __init__(self, toolset_func: ToolsetFunc[AgentDepsT], *, per_run_step: bool = True, id: str | None = None):
        self.toolset_func = toolset_func
        self.per_run_step = per_run_step
        self._id = id
        self._found: AbstractToolset[AgentDepsT] | None = None
        self._entered: AbstractToolset[AgentDepsT] | None = None
        """The same as one run uses it."""
        self._step: int | None = None
        """The step for which the function was asked."""

    @property
    def id(self) -> str | None:
        """What tells the toolset from others of the same agent."""
        return self._id

    def copy(self) -> DynamicToolset[AgentDepsT]:
        """A toolset of the same function that has found nothing yet."""
        return DynamicToolset(self.toolset_func, per_run_step=self.per_run_step, id=self._id)

    def for_run(self) -> AbstractToolset[AgentDepsT]:
        """The toolset that one run uses: what is found for it is not for others."""
        return self.copy()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._step = None
        return await self._leave(kind, error, traceback)

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools of the toolset that the function finds."""
        if self._step is None or (self.per_run_step and self._step != ctx.run_step):
            found = await settled(self.toolset_func(ctx))
            if found is not self._found:
                await self._leave()
                await self._enter(found)
            self._step = ctx.run_step
        return {} if self._entered is None else await self._entered.get_tools(ctx)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool of the toolset that was found.

        Raises:
            UserError: There is none now.
        """
        if self._entered is None:
            raise UserError(f'{self.label} has no toolset that could call {name!r}. Ask it for its tools first.')
        return await self._entered.call_tool(name, tool_args, ctx, tool)

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Call a function with each toolset within what was found, or with this one as long as nothing was."""
        if self._entered is None:
            visitor(self)
        else:
            self._entered.apply(visitor)

    async def _enter(self, found: AbstractToolset[AgentDepsT] | None) -> None:
        if not isinstance(cast('object', found), AbstractToolset | None):
            raise UserError(
                f'Toolset function {name_of(self.toolset_func)!r} gave {found!r}. Let it give a toolset or None.'
            )
        if found is not None:
            entered = found.for_run()
            await entered.__aenter__()
            self._found, self._entered = found, entered

    async def _leave(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        left, self._found, self._entered = self._entered, None, None
        return None if left is None else await left.__aexit__(kind, error, traceback)
