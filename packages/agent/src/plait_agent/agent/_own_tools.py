"""The tools that an agent was given as functions, and all its toolsets as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from plait_agent.exceptions import UserError
from plait_agent.tools import Tool
from plait_agent.toolsets import AbstractToolset, CombinedToolset, FunctionToolset

if TYPE_CHECKING:
    from plait_agent._output import OutputSchema
    from plait_agent.tools import ToolsPrepareFunc


class OwnToolset(FunctionToolset[Any]):
    """The functions of one agent."""

    allows_deferred: bool = False
    """Whether the agent's runs may end with calls that wait for approval."""

    @property
    def id(self) -> str:
        """The id of the toolset."""
        return '<agent>'

    @property
    def label(self) -> str:
        """What messages call it."""
        return 'the agent'

    def add_tool(self, tool: Tool[Any]) -> None:
        """Take a tool in.

        Raises:
            UserError: There is one of that name, or it needs approval and the agent cannot ask for any.
        """
        if tool.requires_approval and not self.allows_deferred:
            raise UserError(
                'To use tools that require approval, add `DeferredToolRequests` to the list of output types '
                'for this agent.'
            )
        super().add_tool(tool)


def own_toolset(
    tools: Sequence[Tool[Any] | Callable[..., Any]],
    retries: int,
    timeout: float | None,
    schema: OutputSchema[Any],
) -> OwnToolset:
    """Make a toolset of functions and tools."""
    made = OwnToolset(max_retries=retries, timeout=timeout)
    made.allows_deferred = schema.allows_deferred
    for tool in tools:
        if isinstance(tool, Tool):
            made.add_tool(cast('Tool[Any]', tool))
        else:
            made.add_function(tool)
    return made


def toolset_of(own: Sequence[Any], more: Sequence[Any], prepare: ToolsPrepareFunc[Any] | None) -> AbstractToolset[Any]:
    """All toolsets of a run as one."""
    toolsets = [_for_run(each) for each in (*own, *more)]
    combined = toolsets[0] if len(toolsets) == 1 else CombinedToolset(toolsets)
    return combined if prepare is None else combined.prepared(prepare)


def _for_run(toolset: Any) -> AbstractToolset[Any]:
    """A toolset for one run; functions that give one are asked anew in each."""
    if isinstance(toolset, AbstractToolset):
        return cast('AbstractToolset[Any]', toolset).for_run()
    from plait_agent.toolsets._dynamic import DynamicToolset

    return DynamicToolset(toolset)
