"""A toolset some of whose tools have other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import UserError
from plait_agent.toolsets._memory import Memory, Tools
from plait_agent.toolsets.abstract import ToolsetTool
from plait_agent.toolsets.function import FunctionToolset
from plait_agent.toolsets.wrapper import WrapperToolset

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext

__all__ = ('RenamedToolset',)


@dataclass
class RenamedToolset(WrapperToolset[AgentDepsT]):
    """Gives tools other names.

    Args:
        wrapped: The toolset, which goes on with its own names.
        name_map: Its names by the names that they get; it need not offer all of them in each step.

    Raises:
        UserError: A tool would get two names; or, when tools are asked for, a new name is that of another tool, or a
            `FunctionToolset` has no tool that could be renamed.
    """

    name_map: dict[str, str]
    _memory: Memory = field(init=False, repr=False, compare=False, default_factory=Memory)

    def __post_init__(self) -> None:
        new_names: dict[str, str] = {}
        for new, old in self.name_map.items():
            if new_names.setdefault(old, new) != new:
                raise UserError(
                    f'{self.label} gives tool {old!r} two names, {new_names[old]!r} and {new!r}. Give it one.'
                )

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools under their new names.

        Raises:
            UserError: A new name is that of another tool.
        """
        tools = await super().get_tools(self._inside(ctx))
        return self._memory.of(dict(self.name_map), [tools], self._renamed)

    def _inside(self, ctx: RunContext[AgentDepsT]) -> RunContext[AgentDepsT]:
        """The context with the names that tools have in the wrapped toolset."""
        if not ctx.retries:
            return ctx
        retries = {self.name_map.get(name, name): count for name, count in ctx.retries.items()}
        return replace(ctx, retries=retries)

    def _renamed(self, sources: Sequence[Tools]) -> Tools:
        self._check_names(sources[0])
        new_names = {old: new for new, old in self.name_map.items()}
        tools: Tools = {}
        for old, tool in sources[0].items():
            name = new_names.get(old, old)
            if name in tools:
                raise UserError(
                    f'{self.label} offers two tools of the name {name!r}, one of them renamed. Change its `name_map`.'
                )
            tools[name] = replace(tool, toolset=self, tool_def=replace(tool.tool_def, name=name))
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool by its own name."""
        return await super().call_tool(self.name_map.get(name, name), tool_args, ctx, tool)

    def _check_names(self, tools: Tools) -> None:
        """Refuse a name that no tool has, where all tools are known; others may come and go."""
        if not isinstance(self.wrapped, FunctionToolset):
            return
        for new, old in self.name_map.items():
            if old not in tools and old not in self.wrapped.tools:
                raise UserError(
                    f'{self.label} renames tool {old!r} to {new!r}, and there is no tool {old!r}. '
                    f'There are {list(self.wrapped.tools)}.'
                )
