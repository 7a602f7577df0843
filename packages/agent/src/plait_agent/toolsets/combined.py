"""Several toolsets as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import UserError
from plait_agent.toolsets._entries import SharedEntry
from plait_agent.toolsets._memory import Memory, Tools
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool, needs_entering

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext

__all__ = ('CombinedToolset',)


@dataclass(kw_only=True)
class _CombinedTool(ToolsetTool[AgentDepsT]):
    """A tool, and which of the toolsets it is called through."""

    source: AbstractToolset[AgentDepsT]
    source_tool: ToolsetTool[AgentDepsT]


@dataclass
class CombinedToolset(AbstractToolset[AgentDepsT]):
    """Offers the tools of several toolsets, in order.

    Args:
        toolsets: The toolsets. They are entered together, once for all runs that are inside at the same time.

    Raises:
        UserError: Two of them have one id; or, when tools are asked for, two tools have one name.
    """

    toolsets: Sequence[AbstractToolset[AgentDepsT]]
    _entry: SharedEntry = field(init=False, repr=False, compare=False)
    _memory: Memory = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._entry = SharedEntry()
        self._memory = Memory()
        self._check_ids()

    @property
    def id(self) -> str | None:
        """None: the toolsets have theirs."""
        return None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f'{type(self).__name__}({", ".join(toolset.label for toolset in self.toolsets)})'

    async def __aenter__(self) -> Self:
        await self._entry.enter([toolset for toolset in self.toolsets if needs_entering(toolset)])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._entry.leave(kind, error, traceback)

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools of all toolsets by name.

        Raises:
            UserError: Two tools have one name.
        """
        offered = [await toolset.get_tools(ctx) for toolset in self.toolsets]
        return self._memory.of([id(toolset) for toolset in self.toolsets], offered, self._combine)

    def _combine(self, offered: Sequence[Tools]) -> Tools:
        tools: Tools = {}
        for toolset, its_tools in zip(self.toolsets, offered, strict=True):
            for name, tool in its_tools.items():
                if name in tools:
                    raise _conflict(toolset, tools[name].toolset, name)
                tools[name] = _CombinedTool(
                    toolset=tool.toolset,
                    tool_def=tool.tool_def,
                    max_retries=tool.max_retries,
                    args_validator=tool.args_validator,
                    limit=tool.limit,
                    source=toolset,
                    source_tool=tool,
                )
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool of one of the toolsets."""
        combined = cast('_CombinedTool[AgentDepsT]', tool)  # `tool` is what `get_tools` has given
        return await combined.source.call_tool(name, tool_args, ctx, combined.source_tool)

    def for_run(self) -> AbstractToolset[AgentDepsT]:
        """The toolset that one run uses."""
        toolsets = [toolset.for_run() for toolset in self.toolsets]
        is_same = all(this is that for this, that in zip(toolsets, self.toolsets, strict=True))
        return self if is_same else self._of(toolsets)

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Call a function with each toolset within that wraps no other."""
        for toolset in self.toolsets:
            toolset.apply(visitor)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        """Give a toolset like this one, with what a function makes of each toolset within that wraps no other."""
        return self._of([toolset.visit_and_replace(visitor) for toolset in self.toolsets])

    def _of(self, toolsets: Sequence[AbstractToolset[AgentDepsT]]) -> Self:
        """The same of other toolsets; copied, as a derived class may be made with other arguments."""
        made = copy(self)
        made.toolsets = toolsets
        made._entry = SharedEntry()
        made._memory = Memory()
        return made

    def _check_ids(self) -> None:
        found: dict[str, AbstractToolset[AgentDepsT]] = {}

        def check(toolset: AbstractToolset[AgentDepsT]) -> None:
            if toolset.id is not None and found.setdefault(toolset.id, toolset) is not toolset:
                raise UserError(
                    f'Two toolsets have the id {toolset.id!r}: {found[toolset.id].label} and {toolset.label}. '
                    f'Give each an id of its own.'
                )

        self.apply(check)


def _conflict(toolset: AbstractToolset[Any], other: AbstractToolset[Any], name: str) -> UserError:
    label = toolset.label
    return UserError(
        f'{label[:1].upper()}{label[1:]} defines a tool whose name conflicts with existing tool from {other.label}: '
        f'{name!r}. {toolset.tool_name_conflict_hint}'
    )
