"""Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from plait_agent.testing._dialects._base import Dialect, Event, arguments_text, asked_model, call_ids, cut

if TYPE_CHECKING:
    from plait_agent.testing.answers import Answer
    from plait_agent.testing.requests import ReceivedRequest

_STOP = {'stop': 'end_turn', 'length': 'max_tokens', 'content_filter': 'refusal', 'tool_call': 'tool_use'}
_TYPES = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    529: 'overloaded_error',
}
_GROWING = {'thinking': 'thinking_delta', 'text': 'text_delta', 'tool_use': 'input_json_delta'}
_SIGNATURE = 'c2lnbmVk'


@final
class Anthropic(Dialect):
    """Messages: blocks that think, say and call."""

    name = 'anthropic'
    request_id_header = 'request-id'
    counting = '/v1/messages/count_tokens'

    def fits(self, path: str) -> bool:
        """Whether it ends as theirs does."""
        return path.endswith('/v1/messages')

    def body(self, answer: Answer, request: ReceivedRequest) -> dict[str, Any]:
        """All blocks."""
        blocks = [block for block, _ in _blocks(answer, request)]
        usage = _usage(answer.input_tokens, answer.output_tokens)
        return _message(request, blocks, _STOP[answer.finished], usage)

    def events(self, answer: Answer, request: ReceivedRequest) -> Iterator[Event]:
        """The beginning, each block as it grows, and why it ends."""
        begun = _message(request, [], None, _usage(answer.input_tokens, 1))
        yield _event('message_start', message=begun)
        yield _event('ping')
        for index, (block, text) in enumerate(_blocks(answer, request)):
            yield from _block_events(index, block, text, answer.delta)
        end = {'stop_reason': _STOP[answer.finished], 'stop_sequence': None}
        yield _event('message_delta', delta=end, usage={'output_tokens': answer.output_tokens})
        yield _event('message_stop')

    def error(self, status: int, message: str, request: ReceivedRequest) -> dict[str, Any]:
        """An error of a type, with the id of the request."""
        kind = _TYPES.get(status, 'api_error' if status >= 500 else 'invalid_request_error')
        return {'type': 'error', 'error': {'type': kind, 'message': message}, 'request_id': request.request_id}

    def error_event(self, status: int, message: str, request: ReceivedRequest) -> Event:
        """The same in an event of its own."""
        return Event(self.error(status, message, request), 'error')

    def unknown_event(self) -> Event:
        """An event of an unknown name."""
        return _event('weather_change', weather='sunny')


def _event(name: str, *, has_content: bool = False, **data: Any) -> Event:
    return Event({'type': name, **data}, name, has_content)


def _blocks(answer: Answer, request: ReceivedRequest) -> Iterator[tuple[dict[str, Any], str]]:
    """Each block of an answer, and the text by which it grows."""
    if answer.thinking is not None:
        yield {'type': 'thinking', 'thinking': answer.thinking, 'signature': _SIGNATURE}, answer.thinking
    if answer.text is not None:
        yield {'type': 'text', 'text': answer.text}, answer.text
    for id, call in call_ids(answer, request):
        text = arguments_text(call)
        yield {'type': 'tool_use', 'id': id, 'name': call.name, 'input': _parsed(text)}, text


def _parsed(text: str) -> Any:
    """The JSON in a text, or the text if it is none: a whole message has no place for broken arguments."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _block_events(index: int, block: dict[str, Any], text: str, delta: int) -> Iterator[Event]:
    kind: str = block['type']
    # A thinking or saying block begins empty; the name of a tool is something that the model has said.
    grows = 'input' if kind == 'tool_use' else kind
    empty: dict[str, Any] = {**block, grows: {} if grows == 'input' else ''}
    if kind == 'thinking':
        empty['signature'] = ''
    yield _event('content_block_start', index=index, content_block=empty, has_content=kind == 'tool_use')
    for piece in cut(text, delta):
        more = {'type': _GROWING[kind], 'partial_json' if grows == 'input' else grows: piece}
        yield _event('content_block_delta', index=index, delta=more, has_content=True)
    if kind == 'thinking':
        signed = {'type': 'signature_delta', 'signature': _SIGNATURE}
        yield _event('content_block_delta', index=index, delta=signed)
    yield _event('content_block_stop', index=index)


def _message(
    request: ReceivedRequest, blocks: list[dict[str, Any]], stop_reason: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    return {
        'id': f'msg_{request.number}',
        'type': 'message',
        'role': 'assistant',
        'model': asked_model(request),
        'content': blocks,
        'stop_reason': stop_reason,
        'stop_sequence': None,
        'usage': usage,
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        'input_tokens': input_tokens,
        'cache_creation_input_tokens': 0,
        'cache_read_input_tokens': 0,
        'output_tokens': output_tokens,
    }
