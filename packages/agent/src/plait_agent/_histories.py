"""The messages of a run, as results give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from plait_agent.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolReturnPart,
)


class Messages:
    """A history, and where a run has begun in it.

    Args:
        messages: All messages.
        new_index: Where those of the run begin.
        output_tool: The output tool that the output came through, if it did.
    """

    __slots__ = '_messages', '_new_index', '_output_tool'

    def __init__(self, messages: list[ModelMessage], new_index: int, output_tool: str | None):
        self._messages = messages
        self._new_index = new_index
        self._output_tool = output_tool

    def all(self, return_content: str | None = None) -> list[ModelMessage]:
        """All messages; with another answer to the output tool they are a copy."""
        return self._messages if return_content is None else self._answered(return_content)

    def new(self, return_content: str | None = None) -> list[ModelMessage]:
        """The messages of the run."""
        return self.all(return_content)[self._new_index :]

    def all_json(self, return_content: str | None = None) -> bytes:
        """All messages as JSON."""
        return dumped(self.all(return_content))

    def new_json(self, return_content: str | None = None) -> bytes:
        """The messages of the run as JSON."""
        return dumped(self.new(return_content))

    def last_response(self) -> ModelResponse:
        """The last response."""
        for message in reversed(self._messages):
            if isinstance(message, ModelResponse):
                return message
        raise ValueError('No response found in the message history')

    def _answered(self, content: str) -> list[ModelMessage]:
        if self._output_tool is None:
            raise ValueError('Cannot set output tool return content when the return type is `str`.')
        *before, last = self._messages
        if not isinstance(last, ModelRequest):
            raise LookupError(f'No tool call found with tool name {self._output_tool!r}.')
        return [*before, replace(last, parts=self._renewed(last.parts, content))]

    def _renewed(self, parts: Sequence[ModelRequestPart], content: str) -> list[ModelRequestPart]:
        return [
            replace(part, content=content)
            if isinstance(part, ToolReturnPart) and part.tool_name == self._output_tool
            else part
            for part in parts
        ]


def dumped(messages: list[ModelMessage]) -> bytes:
    """Messages as JSON."""
    from plait_agent.messages import ModelMessagesTypeAdapter  # built when it is first imported

    return ModelMessagesTypeAdapter.dump_json(messages)
