"""Tools that somebody else calls, outside of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import deprecated

from plait_agent._tool_definition import ToolDefinition
from plait_agent._typevars import AgentDepsT
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext

__all__ = 'DeferredToolset', 'ExternalToolset'


class ExternalToolset(AbstractToolset[AgentDepsT]):
    """Tools whose calls end the run, to be answered by somebody else: the program, its user, a queue of jobs.

    Args:
        tool_defs: What the model is told of the tools.
        id: What tells the toolset from others of the same agent.
    """

    def __init__(self, tool_defs: list[ToolDefinition], *, id: str | None = None):
        self.tool_defs = tool_defs
        self._id = id

    @property
    def id(self) -> str | None:
        """What tells the toolset from others of the same agent."""
        return self._id

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools, each of the kind `'external'`."""
        from plait_agent._function_schema import any_arguments

        return {
            each.name: ToolsetTool(
                toolset=self, tool_def=replace(each, kind='external'), max_retries=0, args_validator=any_arguments()
            )
            for each in self.tool_defs
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Not for these tools.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError('External tools cannot be called directly')


@deprecated('`DeferredToolset` is now called `ExternalToolset`.')
class DeferredToolset(ExternalToolset[AgentDepsT]):
    """The older name of `ExternalToolset`."""
