"""A response that is known, told word by word."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plait_agent.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from plait_agent.models._stream import CompletedStreamedResponse

if TYPE_CHECKING:
    from plait_agent.messages import ModelResponse, ModelResponseStreamEvent


@dataclass
class ReplayedStreamedResponse(CompletedStreamedResponse):
    """A response told as if it came bit by bit: texts and thoughts by words, each other part in one go."""

    _told: int = field(default=0, init=False)
    """How many parts have begun."""
    _shown: int = field(default=0, init=False)
    """How much of the text of the last one has been told."""

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.response.parts):
            self._told, self._shown = index + 1, 0
            if not isinstance(part, TextPart | ThinkingPart):
                yield PartStartEvent(index=index, part=part)
                continue
            yield PartStartEvent(index=index, part=replace(part, content=''))
            for word in split_words(part.content):
                self._shown += len(word)
                told = TextPartDelta(word) if isinstance(part, TextPart) else ThinkingPartDelta(content_delta=word)
                yield PartDeltaEvent(index=index, delta=told)

    def get(self) -> ModelResponse:
        """What has been told so far."""
        parts = list(self.response.parts[: self._told])
        if parts and isinstance(last := parts[-1], TextPart | ThinkingPart):
            parts[-1] = replace(last, content=last.content[: self._shown])
        return replace(self.response, parts=parts)


def split_words(text: str) -> Iterator[str]:
    """The words of a text, each with the blank behind it."""
    *words, last = text.split(' ')
    for word in words:
        yield f'{word} '
    yield last
