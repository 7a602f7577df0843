"""A toolset that offers only some of its tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plait_agent._settled import settled
from plait_agent._typevars import AgentDepsT
from plait_agent.toolsets.abstract import ToolsetTool
from plait_agent.toolsets.wrapper import WrapperToolset

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent._tool_definition import ToolDefinition

__all__ = ('FilteredToolset',)


@dataclass
class FilteredToolset(WrapperToolset[AgentDepsT]):
    """Offers the tools for which a function answers true, in each step anew.

    Args:
        wrapped: The toolset.
        filter_func: Is given the run and a tool's definition; it may be async.
    """

    filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools that pass."""
        tools = await super().get_tools(ctx)
        return {name: tool for name, tool in tools.items() if await settled(self.filter_func(ctx, tool.tool_def))}
