"""The turns of a history: where the last one begins, and what is open in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plait_agent._agent_graph.histories import unanswered
from plait_agent.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart

if TYPE_CHECKING:
    from plait_agent.messages import UserContent


def last_prompt(messages: Sequence[ModelMessage]) -> tuple[int, UserPromptPart] | None:
    """Where the user spoke last: the index of the message, and what was said."""
    for index in reversed(range(len(messages))):
        message = messages[index]
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                return index, part
    return None


def closed(messages: Sequence[ModelMessage], why: str) -> list[ModelMessage]:
    """A history that can be sent: tool calls at its end that nothing answers are answered by why there is nothing."""
    calls = unanswered(messages)
    if not calls:
        return list(messages)
    parts = [ToolReturnPart(call.tool_name, f'Tool not executed - {why}.', call.tool_call_id) for call in calls]
    return [*messages, ModelRequest(parts)]


def prompt_text(content: str | Sequence[UserContent]) -> str:
    """What a user said, with a word for each thing that is no text."""
    if isinstance(content, str):
        return content
    return ' '.join(each if isinstance(each, str) else f'[{type(each).__name__}]' for each in content)
