"""A toolset whose definitions a function changes in each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plait_agent._settled import settled
from plait_agent._tool_definition import copy_of
from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import UserError
from plait_agent.toolsets.abstract import ToolsetTool
from plait_agent.toolsets.wrapper import WrapperToolset

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.tools import ToolsPrepareFunc

__all__ = ('PreparedToolset',)


@dataclass
class PreparedToolset(WrapperToolset[AgentDepsT]):
    """Lets a function change the definitions of all tools in each step, reorder them or leave some out.

    Args:
        wrapped: The toolset.
        prepare_func: Is given the run and the definitions, which are its own to change; `None` leaves out all.

    Raises:
        UserError: When tools are asked for: the function has added a tool, or given one another name.
    """

    prepare_func: ToolsPrepareFunc[AgentDepsT]

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools with their definitions of this step.

        Raises:
            UserError: The function has added a tool, or given one another name.
        """
        tools = await super().get_tools(ctx)
        definitions = await settled(self.prepare_func(ctx, [copy_of(tool.tool_def) for tool in tools.values()])) or []
        if any(definition.name not in tools for definition in definitions):
            raise UserError(
                'Prepare function cannot add or rename tools. '
                'Use `FunctionToolset.add_function()` or `RenamedToolset` instead.'
            )
        return {each.name: replace(tools[each.name], tool_def=each) for each in definitions}
