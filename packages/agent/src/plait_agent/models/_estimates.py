"""How many tokens a request and its answer have, for models that nobody counts for.

A history is counted once and not with every request: what it comes to is noted on its last request, together with what
stood before that. A note counts for a longer history only if request, predecessor and first message are the same
objects at the same places. A history that is edited elsewhere, in place, keeps its old count; it is an estimate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from plait_agent.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
    RetryPromptPart,
)
from plait_agent.models._memo import IdentityMemo
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from plait_agent.messages import ModelRequestPart, ModelResponsePart, UserContent

_SEPARATORS = re.compile(r'[\s",.:]+')
_OVERHEAD = 50
"""What a request has beside its messages."""
_BYTES_OF_A_TOKEN = 750
"""About what providers count for pictures and recordings."""


class _HistoryCount(NamedTuple):
    """The tokens of a history up to a request."""

    tokens: int
    place: int
    """The place of the request."""
    first: ref[ModelMessage]
    before: ref[ModelMessage]


_counts: IdentityMemo[_HistoryCount] = IdentityMemo()


def estimate_usage(messages: Sequence[ModelMessage], parts: Iterable[ModelResponsePart]) -> RequestUsage:
    """What a request with these messages has used that was answered with these parts."""
    return RequestUsage(input_tokens=count_input(messages), output_tokens=sum(map(count_response_part, parts)))


def count_input(messages: Sequence[ModelMessage]) -> int:
    """The tokens of all requests of a history, and of what comes with any request."""
    tokens = 0
    last: int | None = None
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if not isinstance(message, ModelRequest):
            continue
        known = None if last is None else _known_count(messages, place)
        if known is not None:
            tokens += known
            break
        last = place if last is None else last
        for part in message.parts:
            tokens += count_request_part(part)
    if last is not None:
        before = ref(messages[max(last - 1, 0)])
        _counts.put(messages[last], _HistoryCount(tokens, last, ref(messages[0]), before))
    return _OVERHEAD + tokens


def _known_count(messages: Sequence[ModelMessage], place: int) -> int | None:
    """What was noted on a request, if the same history led to it."""
    known = _counts.get(messages[place])
    if known is None or known.place != place:
        return None
    same = known.first() is messages[0] and known.before() is messages[max(place - 1, 0)]
    return known.tokens if same else None


def count_request_part(part: ModelRequestPart) -> int:
    """The tokens of a part of a request."""
    if isinstance(part, BaseToolReturnPart):
        return count_text(part.model_response_str())
    if isinstance(part, RetryPromptPart):
        return count_text(part.model_response())
    if isinstance(part.content, str):
        return count_text(part.content)
    return sum(_count_content(each) for each in part.content)


def count_response_part(part: ModelResponsePart) -> int:
    """The tokens of a part of a response."""
    if isinstance(part, BaseToolCallPart):
        return 1 + count_text(part.args_as_json_str())
    if isinstance(part, BaseToolReturnPart):
        return count_text(part.model_response_str())
    if isinstance(part, FilePart):
        return _count_content(part.content)
    return count_text(part.content)


def count_text(text: str) -> int:
    """The tokens of a text: what stands between blanks, quotes, commas, dots and colons, and empty ends."""
    return len(_SEPARATORS.split(text.strip())) if text else 0


def _count_content(content: UserContent) -> int:
    """The tokens of what a user has sent. What is behind a URL is not counted, since nobody has looked."""
    if isinstance(content, str):
        return count_text(content)
    if isinstance(content, BinaryContent):
        return max(1, len(content.data) // _BYTES_OF_A_TOKEN)
    return 0


class TextCount:
    """The tokens of a text that grows, at each time the same as `count_text` says of it."""

    __slots__ = '_begun', '_inner', '_tail', 'tokens'

    def __init__(self) -> None:
        self.tokens = 0
        self._begun = False
        """Whether there was anything but blanks."""
        self._inner = 0
        """The separators between words, or between nothing and the first word."""
        self._tail = ''
        """The separator at the end, of which nobody knows yet whether a word follows."""

    def add(self, text: str) -> int:
        """Count more text, and give what it adds."""
        if not text:
            return 0
        if self._begun:
            text = self._tail + text
        else:
            text = text.lstrip()
            self._begun = bool(text)
        separators = _SEPARATORS.findall(text)
        ends_open = bool(separators) and text.endswith(separators[-1])
        self._inner += len(separators) - ends_open
        self._tail = separators[-1] if ends_open else ''
        before = self.tokens
        self.tokens = 1 + self._inner + bool(self._tail.strip())
        return self.tokens - before


class CallCount:
    """The tokens of a tool call that grows: none without a name, then one for it and at least one for the rest."""

    __slots__ = '_args', '_has_name', 'tokens'

    def __init__(self) -> None:
        self.tokens = 0
        self._has_name = False
        self._args = TextCount()

    def add(self, name: str | None, args: str | None) -> int:
        """Count more of the call, and give what it adds."""
        self._has_name = self._has_name or bool(name)
        self._args.add(args or '')
        before = self.tokens
        self.tokens = 1 + max(1, self._args.tokens) if self._has_name else 0
        return self.tokens - before
