"""The tools that Groq has run within an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plait_agent._stamps import generate_tool_call_id
from plait_agent.builtin_tools import CodeExecutionTool, WebSearchTool
from plait_agent.messages import BuiltinToolCallPart, BuiltinToolReturnPart, ModelResponseStreamEvent

if TYPE_CHECKING:
    from plait_agent._parts_manager import ModelResponsePartsManager

Json = Mapping[str, Any]

_KINDS = {'search': WebSearchTool.kind, 'python': CodeExecutionTool.kind}
"""What Groq calls tools that other providers have as well."""


class ExecutedTools:
    """Reads what is told of such tools: that one runs, and then, with all of it once more, what came of it.

    Args:
        manager: Takes the parts.
        provider_name: Who has run them.
    """

    def __init__(self, manager: ModelResponsePartsManager, provider_name: str):
        self._manager = manager
        self._provider_name = provider_name
        self._calls: dict[int, BuiltinToolCallPart] = {}

    def read(self, tools: Sequence[Json]) -> Iterator[ModelResponseStreamEvent]:
        """Tell what is new."""
        for position, tool in enumerate(tools):
            index = tool.get('index', position)
            if index not in self._calls:
                self._calls[index] = call = self._call(tool)
                yield from self._manager.handle_part(vendor_part_id=('executed', index), part=call)
            result = tool.get('search_results') or tool.get('output')
            if result is not None:
                part = self._return(self._calls[index], result)
                yield from self._manager.handle_part(vendor_part_id=('returned', index), part=part)

    def _call(self, tool: Json) -> BuiltinToolCallPart:
        kind: str = tool.get('type') or 'unknown'
        return BuiltinToolCallPart(
            _KINDS.get(kind, kind), tool.get('arguments'), generate_tool_call_id(), provider_name=self._provider_name
        )

    def _return(self, call: BuiltinToolCallPart, result: Any) -> BuiltinToolReturnPart:
        return BuiltinToolReturnPart(call.tool_name, result, call.tool_call_id, provider_name=self._provider_name)
