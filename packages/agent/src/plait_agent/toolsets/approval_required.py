"""A toolset whose calls somebody has to approve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait_agent._settled import settled
from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import ApprovalRequired
from plait_agent.toolsets.abstract import ToolsetTool
from plait_agent.toolsets.wrapper import WrapperToolset

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent._tool_definition import ToolDefinition

__all__ = ('ApprovalRequiredToolset',)


@dataclass
class ApprovalRequiredToolset(WrapperToolset[AgentDepsT]):
    """Has somebody approve the calls for which a function answers true.

    Args:
        wrapped: The toolset.
        approval_required_func: Is given the run, the tool's definition and the validated arguments; it may be async.
            By default every call has to be approved.
    """

    approval_required_func: Callable[
        [RunContext[AgentDepsT], ToolDefinition, dict[str, Any]], bool | Awaitable[bool]
    ] = lambda _ctx, _tool_def, _tool_args: True

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool that is approved or needs no approval.

        Raises:
            ApprovalRequired: The call has to be approved first.
        """
        if not ctx.tool_call_approved and await settled(self.approval_required_func(ctx, tool.tool_def, tool_args)):
            raise ApprovalRequired
        return await super().call_tool(name, tool_args, ctx, tool)
