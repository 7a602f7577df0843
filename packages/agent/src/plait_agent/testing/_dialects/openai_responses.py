"""OpenAI's responses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, final

from plait_agent.testing._dialects._base import CREATED, Dialect, Event, arguments_text, asked_model, call_ids, cut
from plait_agent.testing._dialects._openai import openai_error

if TYPE_CHECKING:
    from plait_agent.testing.answers import Answer
    from plait_agent.testing.requests import ReceivedRequest

_INCOMPLETE = {'length': 'max_output_tokens', 'content_filter': 'content_filter'}
_PLACES = {'output_text': 'content_index', 'summary_text': 'summary_index'}


@final
class OpenAIResponses(Dialect):
    """Responses: items that think, say and call."""

    name = 'openai-responses'
    counting = '/responses/input_tokens'

    def fits(self, path: str) -> bool:
        """Whether it ends as theirs does."""
        return path.endswith('/responses')

    def body(self, answer: Answer, request: ReceivedRequest) -> dict[str, Any]:
        """All items."""
        return _response(answer, request, _items(answer, request))

    def events(self, answer: Answer, request: ReceivedRequest) -> Iterator[Event]:
        """The beginning, each item as it grows, and everything once more."""
        numbers = count()
        for told in _told(answer, request):
            data = {'type': told.name, 'sequence_number': next(numbers), **told.data}
            yield Event(data, told.name, told.has_content)

    def error(self, status: int, message: str, request: ReceivedRequest) -> dict[str, Any]:
        """As OpenAI says it."""
        return openai_error(status, message)

    def error_event(self, status: int, message: str, request: ReceivedRequest) -> Event:
        """An event of its own."""
        code = 'rate_limit_exceeded' if status == 429 else 'server_error'
        return Event({'type': 'error', 'code': code, 'message': message, 'param': None}, 'error')

    def unknown_event(self) -> Event:
        """An event of an unknown name."""
        return Event({'type': 'response.weather.changed', 'weather': 'sunny'}, 'response.weather.changed')


class _Told(NamedTuple):
    """An event before it has a number."""

    name: str
    data: dict[str, Any]
    has_content: bool = False


def _items(answer: Answer, request: ReceivedRequest) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinking is not None:
        summary = [{'type': 'summary_text', 'text': answer.thinking}]
        items.append({'type': 'reasoning', 'id': f'rs_{request.number}', 'summary': summary})
    if answer.text is not None:
        content: list[dict[str, Any]] = [
            {'type': 'output_text', 'text': answer.text, 'annotations': [], 'logprobs': []}
        ]
        items.append({'type': 'message', 'id': f'msg_{request.number}', 'role': 'assistant', 'content': content})
    for index, (id, call) in enumerate(call_ids(answer, request)):
        items.append(
            {
                'type': 'function_call',
                'id': f'fc_{request.number}_{index}',
                'call_id': id,
                'name': call.name,
                'arguments': arguments_text(call),
            }
        )
    return [{**item, 'status': 'completed'} for item in items]


def _response(answer: Answer, request: ReceivedRequest, items: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A response with its items; without them it has only begun."""
    reason = None if items is None else _INCOMPLETE.get(answer.finished)
    status = 'in_progress' if items is None else 'completed' if reason is None else 'incomplete'
    return {
        'id': f'resp_{request.number}',
        'object': 'response',
        'created_at': CREATED,
        'status': status,
        'error': None,
        'incomplete_details': None if reason is None else {'reason': reason},
        'instructions': None,
        'metadata': {},
        'model': asked_model(request),
        'output': items or [],
        'parallel_tool_calls': True,
        'temperature': 1.0,
        'tool_choice': 'auto',
        'tools': [],
        'top_p': 1.0,
        'usage': None if items is None else _usage(answer),
    }


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        'input_tokens': answer.input_tokens,
        'input_tokens_details': {'cached_tokens': 0},
        'output_tokens': answer.output_tokens,
        'output_tokens_details': {'reasoning_tokens': 0},
        'total_tokens': answer.input_tokens + answer.output_tokens,
    }


def _told(answer: Answer, request: ReceivedRequest) -> Iterator[_Told]:
    begun = _response(answer, request, None)
    yield _Told('response.created', {'response': begun})
    yield _Told('response.in_progress', {'response': begun})
    items = _items(answer, request)
    for index, item in enumerate(items):
        yield from _item_told(index, item, answer.delta)
    end = 'response.incomplete' if answer.finished in _INCOMPLETE else 'response.completed'
    yield _Told(end, {'response': _response(answer, request, items)})


def _item_told(index: int, item: dict[str, Any], delta: int) -> Iterator[_Told]:
    place = {'output_index': index}
    at = {**place, 'item_id': item['id']}
    empty = {name: _empty(value) for name, value in item.items()}
    is_call = item['type'] == 'function_call'
    # The name of a tool is something that the model has said.
    yield _Told('response.output_item.added', {**place, 'item': {**empty, 'status': 'in_progress'}}, is_call)
    if is_call:
        yield from _grown('response.function_call_arguments', at, 'arguments', item['arguments'], delta)
    elif item['type'] == 'reasoning':
        yield from _part_told('reasoning_summary', at, item['summary'][0], delta)
    else:
        yield from _part_told('output', at, item['content'][0], delta)
    yield _Told('response.output_item.done', {**place, 'item': item})


def _empty(value: Any) -> Any:
    """What a list of parts is at the beginning."""
    return [] if isinstance(value, list) else value


def _part_told(kind: str, at: dict[str, Any], part: dict[str, Any], delta: int) -> Iterator[_Told]:
    around = 'content_part' if kind == 'output' else f'{kind}_part'
    at = {**at, _PLACES[part['type']]: 0}
    yield _Told(f'response.{around}.added', {**at, 'part': {**part, 'text': ''}})
    yield from _grown(f'response.{kind}_text', at, 'text', part['text'], delta)
    yield _Told(f'response.{around}.done', {**at, 'part': part})


def _grown(kind: str, at: dict[str, Any], field: str, text: str, delta: int) -> Iterator[_Told]:
    extra: dict[str, Any] = {'logprobs': []} if kind == 'response.output_text' else {}
    for piece in cut(text, delta):
        yield _Told(f'{kind}.delta', {**at, 'delta': piece, **extra}, has_content=True)
    yield _Told(f'{kind}.done', {**at, field: text, **extra})
