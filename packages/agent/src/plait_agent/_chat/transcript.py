"""What was said, shown once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plait_agent._chat.conversation import INTERRUPTED
from plait_agent._chat.turns import prompt_text
from plait_agent.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    FilePart,
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ThinkingPart,
    UserPromptPart,
)

if TYPE_CHECKING:
    from plait_agent._chat.screen import Screen


def show_messages(messages: Sequence[ModelMessage], screen: Screen) -> None:
    """Show messages as they were shown when they came. What the program told the model is left out."""
    for message in messages:
        for part in message.parts:
            _show_part(part, screen)
        if isinstance(message, ModelResponse) and (message.metadata or {}).get(INTERRUPTED):
            screen.show_note('Stopped.', 'yellow')


def _show_part(part: Any, screen: Screen) -> None:
    match part:
        case UserPromptPart(content=content):
            screen.show_prompt(prompt_text(content))
        case TextPart(content=text) if text.strip():
            screen.show_text(text)
        case ThinkingPart(content=text) if text.strip() and screen.shows_thinking:
            screen.show_thought(text)
        case BaseToolCallPart():
            screen.show_call(part)
        case BaseToolReturnPart() | RetryPromptPart():
            screen.show_result(part)
        case FilePart(content=content):
            screen.show_file(content)
        case _:
            pass
