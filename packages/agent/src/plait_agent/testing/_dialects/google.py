"""Google's generateContent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from plait_agent.testing._dialects._base import Dialect, Event, cut

if TYPE_CHECKING:
    from plait_agent.testing.answers import Answer
    from plait_agent.testing.requests import ReceivedRequest

_PATH = re.compile(r'/models/([^/:]+):(generateContent|streamGenerateContent)$')
_FINISH = {'stop': 'STOP', 'length': 'MAX_TOKENS', 'content_filter': 'SAFETY', 'tool_call': 'STOP'}
_STATUSES = {
    400: 'INVALID_ARGUMENT',
    401: 'UNAUTHENTICATED',
    403: 'PERMISSION_DENIED',
    404: 'NOT_FOUND',
    429: 'RESOURCE_EXHAUSTED',
    503: 'UNAVAILABLE',
    504: 'DEADLINE_EXCEEDED',
}


@final
class Google(Dialect):
    """Generated content: parts that think, say and call. A stream comes as events, whether `alt=sse` is said or not."""

    name = 'google'
    newline = '\r\n'
    counting = ':countTokens'
    counted = 'totalTokens'

    def fits(self, path: str) -> bool:
        """Whether it names a model and a method."""
        return _PATH.search(path) is not None

    def is_streamed(self, path: str, body: Any) -> bool:
        """Whether the method is the one that streams."""
        return path.endswith(':streamGenerateContent')

    def body(self, answer: Answer, request: ReceivedRequest) -> dict[str, Any]:
        """One candidate."""
        parts = _thought(answer.thinking) + _text(answer.text) + _calls(answer)
        return _chunk(answer, request, parts, _FINISH[answer.finished])

    def events(self, answer: Answer, request: ReceivedRequest) -> Iterator[Event]:
        """What the model says in pieces, its calls whole, and an empty text that says why it ends."""
        for piece in cut(answer.thinking or '', answer.delta):
            yield Event(_chunk(answer, request, _thought(piece)), has_content=True)
        for piece in cut(answer.text or '', answer.delta):
            yield Event(_chunk(answer, request, _text(piece)), has_content=True)
        for part in _calls(answer):
            yield Event(_chunk(answer, request, [part]), has_content=True)
        yield Event(_chunk(answer, request, _text(''), _FINISH[answer.finished]))

    def error(self, status: int, message: str, request: ReceivedRequest) -> dict[str, Any]:
        """A code, and a status that is a word."""
        word = _STATUSES.get(status, 'INTERNAL' if status >= 500 else 'FAILED_PRECONDITION')
        return {'error': {'code': status, 'message': message, 'status': word}}

    def error_event(self, status: int, message: str, request: ReceivedRequest) -> Event:
        """The same where a chunk would be."""
        return Event(self.error(status, message, request))

    def unknown_event(self) -> Event:
        """A chunk without a candidate."""
        return Event({'weather': {'outlook': 'sunny'}})


def _thought(text: str | None) -> list[dict[str, Any]]:
    return [] if text is None else [{'text': text, 'thought': True}]


def _text(text: str | None) -> list[dict[str, Any]]:
    return [] if text is None else [{'text': text}]


def _calls(answer: Answer) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for call in answer.calls:
        arguments = {'arguments': call.arguments} if isinstance(call.arguments, str) else call.arguments
        identity = {} if call.id is None else {'id': call.id}
        parts.append({'functionCall': {**identity, 'name': call.name, 'args': arguments}})
    return parts


def _chunk(
    answer: Answer, request: ReceivedRequest, parts: list[dict[str, Any]], finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {'content': {'parts': parts, 'role': 'model'}, 'index': 0}
    usage = {'promptTokenCount': answer.input_tokens, 'totalTokenCount': answer.input_tokens}
    if finish is not None:
        candidate['finishReason'] = finish
        usage['candidatesTokenCount'] = answer.output_tokens
        usage['totalTokenCount'] += answer.output_tokens
    named = _PATH.search(request.path.partition('?')[0])
    return {
        'candidates': [candidate],
        'usageMetadata': usage,
        'modelVersion': 'model' if named is None else named[1],
        'responseId': f'response-{request.number}',
    }
