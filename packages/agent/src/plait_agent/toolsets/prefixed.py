"""A toolset under a prefix, so that its names keep clear of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from plait_agent._typevars import AgentDepsT
from plait_agent.toolsets._memory import Memory, Tools
from plait_agent.toolsets.abstract import ToolsetTool
from plait_agent.toolsets.wrapper import WrapperToolset

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext

__all__ = ('PrefixedToolset',)


@dataclass
class PrefixedToolset(WrapperToolset[AgentDepsT]):
    """Puts a prefix and an underscore before the names of tools.

    Args:
        wrapped: The toolset, which goes on with its own names.
        prefix: The prefix.
    """

    prefix: str
    _memory: Memory = field(init=False, repr=False, compare=False, default_factory=Memory)

    @property
    def tool_name_conflict_hint(self) -> str:
        """What to do if one of its tools has the name of another."""
        return 'Change the `prefix` attribute to avoid name conflicts.'

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools with the prefix."""
        tools = await super().get_tools(_inside(ctx, f'{self.prefix}_'))
        return self._memory.of(self.prefix, [tools], self._prefixed)

    def _prefixed(self, sources: Sequence[Tools]) -> Tools:
        return {
            name: replace(tool, toolset=self, tool_def=replace(tool.tool_def, name=name))
            for name, tool in ((f'{self.prefix}_{name}', tool) for name, tool in sources[0].items())
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool by its own name."""
        return await super().call_tool(name.removeprefix(f'{self.prefix}_'), tool_args, ctx, tool)


def _inside(ctx: RunContext[AgentDepsT], prefix: str) -> RunContext[AgentDepsT]:
    """The context with the names that tools have without a prefix."""
    if not ctx.retries:
        return ctx
    retries = {name.removeprefix(prefix): count for name, count in ctx.retries.items() if name.startswith(prefix)}
    return replace(ctx, retries=retries)
