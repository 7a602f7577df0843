"""What every toolset can do: say which tools there are in a step, call them, and be wrapped in others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from plait_agent._typevars import AgentDepsT

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from plait_agent._run_context import RunContext
    from plait_agent._tool_definition import ToolDefinition
    from plait_agent.tools import ToolsPrepareFunc
    from plait_agent.toolsets.approval_required import ApprovalRequiredToolset
    from plait_agent.toolsets.filtered import FilteredToolset
    from plait_agent.toolsets.prefixed import PrefixedToolset
    from plait_agent.toolsets.prepared import PreparedToolset
    from plait_agent.toolsets.renamed import RenamedToolset
    from plait_graph import Limit

__all__ = 'AbstractToolset', 'ToolsetTool'


@dataclass(kw_only=True)
class ToolsetTool(Generic[AgentDepsT]):
    """A tool as a toolset offers it in a step. Others may hold it too: to change one, make another."""

    toolset: AbstractToolset[AgentDepsT]
    """Where it comes from."""
    tool_def: ToolDefinition
    """What the model is told."""
    max_retries: int
    """How often in a row it may fail."""
    args_validator: SchemaValidator
    """Turns what the model sends into what `call_tool` is given."""
    limit: Limit | None = None
    """Is held by each call while it runs."""


class AbstractToolset(ABC, Generic[AgentDepsT]):
    """A collection of tools that can be listed and called.

    A run enters its toolsets when it begins, asks them for their tools before each model request, and leaves them when
    it ends. Several runs may use a toolset at once.
    """

    @property
    @abstractmethod
    def id(self) -> str | None:
        """What tells the toolset from others of the same agent; durable runs need it."""

    @property
    def label(self) -> str:
        """What messages call it."""
        return type(self).__name__ if self.id is None else f'{type(self).__name__} {self.id!r}'

    @property
    def tool_name_conflict_hint(self) -> str:
        """What to do if one of its tools has the name of another."""
        return 'Rename the tool or wrap the toolset in a `PrefixedToolset` to avoid name conflicts.'

    @abstractmethod
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools of this step by name. The dictionary is the caller's own."""

    @abstractmethod
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool.

        Args:
            name: Its name in this toolset.
            tool_args: Its validated arguments.
            ctx: The run, and the call that this is.
            tool: What `get_tools` has given under the name.
        """

    def for_run(self) -> AbstractToolset[AgentDepsT]:
        """The toolset that one run uses: this one, unless a part of it stands for something else in each run."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return None

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Call a function with each toolset within that wraps no other."""
        visitor(self)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        """Give a toolset like this one, with what a function makes of each toolset within that wraps no other."""
        return visitor(self)

    # Toolsets made of this one

    def filtered(
        self, filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]
    ) -> FilteredToolset[AgentDepsT]:
        """Offer only the tools for which a function answers true, in each step anew."""
        from plait_agent.toolsets.filtered import FilteredToolset

        return FilteredToolset(self, filter_func)

    def prefixed(self, prefix: str) -> PrefixedToolset[AgentDepsT]:
        """Put a prefix and an underscore before the names of the tools."""
        from plait_agent.toolsets.prefixed import PrefixedToolset

        return PrefixedToolset(self, prefix)

    def prepared(self, prepare_func: ToolsPrepareFunc[AgentDepsT]) -> PreparedToolset[AgentDepsT]:
        """Let a function change the definitions of all tools in each step, or leave some out."""
        from plait_agent.toolsets.prepared import PreparedToolset

        return PreparedToolset(self, prepare_func)

    def renamed(self, name_map: dict[str, str]) -> RenamedToolset[AgentDepsT]:
        """Give tools other names.

        Args:
            name_map: The names that tools have here by the names that they get.
        """
        from plait_agent.toolsets.renamed import RenamedToolset

        return RenamedToolset(self, name_map)

    def approval_required(
        self,
        approval_required_func: Callable[
            [RunContext[AgentDepsT], ToolDefinition, dict[str, Any]], bool | Awaitable[bool]
        ] = lambda _ctx, _tool_def, _tool_args: True,
    ) -> ApprovalRequiredToolset[AgentDepsT]:
        """Have somebody approve the calls for which a function answers true; without one, every call."""
        from plait_agent.toolsets.approval_required import ApprovalRequiredToolset

        return ApprovalRequiredToolset(self, approval_required_func)


def needs_entering(toolset: AbstractToolset[Any]) -> bool:
    """Whether to enter a toolset, or to leave it, does anything."""
    kind = type(toolset)
    return kind.__aenter__ is not AbstractToolset.__aenter__ or kind.__aexit__ is not AbstractToolset.__aexit__
