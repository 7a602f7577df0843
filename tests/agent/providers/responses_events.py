"""A whole response in OpenAI's responses format, as the events that it would be streamed as, and the other way."""

import json
from collections.abc import Iterator
from typing import Any

Item = dict[str, Any]

_PIECE = 7
"""How many characters come at once."""


def as_sse(response: Item) -> str:
    """The body of a stream with a response."""
    events = enumerate(_events(response))
    return ''.join(
        f'event: {event["type"]}\ndata: {json.dumps({**event, "sequence_number": number})}\n\n'
        for number, event in events
    )


def from_sse(body: str) -> Item | None:
    """The whole response that the last event of a stream holds; nothing if the stream tells of an error."""
    for line in reversed(body.splitlines()):
        event: Any = json.loads(line.removeprefix('data: ')) if line.startswith('data: {') else {}
        if event.get('type') in ('response.completed', 'response.incomplete'):
            return event['response']
    return None


def _events(response: Item) -> Iterator[Item]:
    begun = {**response, 'status': 'in_progress', 'output': [], 'usage': None, 'incomplete_details': None}
    yield {'type': 'response.created', 'response': begun}
    yield {'type': 'response.in_progress', 'response': begun}
    for index, item in enumerate(response['output']):
        for event in _item_events(item):
            yield {'output_index': index, **event}
    yield {'type': f'response.{response.get("status", "completed")}', 'response': response}


def _item_events(item: Item) -> Iterator[Item]:
    yield {'type': 'response.output_item.added', 'item': _begun(item)}
    for event in _GROWN.get(item['type'], _no_events)(item):
        yield {'item_id': item.get('id'), **event}
    yield {'type': 'response.output_item.done', 'item': item}


def _begun(item: Item) -> Item:
    """An item before anything of it has come."""
    empty = {'content': [], 'summary': [], 'arguments': '', 'code': '', 'outputs': None, 'output': None, 'tools': []}
    cleared = {name: empty[name] for name in item if name in empty and not isinstance(item[name], dict)}
    return {**item, **cleared, 'status': 'in_progress'}


def _no_events(_item: Item) -> Iterator[Item]:
    return iter(())


def _message_events(item: Item) -> Iterator[Item]:
    for number, content in enumerate(item['content']):
        place = {'content_index': number}
        if content['type'] == 'refusal':
            for delta in _pieces(content['refusal']):
                yield {'type': 'response.refusal.delta', 'delta': delta, **place}
            continue
        yield {'type': 'response.content_part.added', 'part': {**content, 'text': '', 'annotations': []}, **place}
        for delta in _pieces(content['text']):
            yield {'type': 'response.output_text.delta', 'delta': delta, 'logprobs': [], **place}
        yield {'type': 'response.output_text.done', 'text': content['text'], 'logprobs': [], **place}
        yield {'type': 'response.content_part.done', 'part': content, **place}


def _reasoning_events(item: Item) -> Iterator[Item]:
    for number, content in enumerate(item.get('content') or ()):
        for delta in _pieces(content['text']):
            yield {'type': 'response.reasoning_text.delta', 'delta': delta, 'content_index': number}
    for number, summary in enumerate(item.get('summary') or ()):
        place = {'summary_index': number}
        yield {'type': 'response.reasoning_summary_part.added', 'part': {**summary, 'text': ''}, **place}
        for delta in _pieces(summary['text']):
            yield {'type': 'response.reasoning_summary_text.delta', 'delta': delta, **place}
        yield {'type': 'response.reasoning_summary_part.done', 'part': summary, **place}


def _function_events(item: Item) -> Iterator[Item]:
    for delta in _pieces(item['arguments']):
        yield {'type': 'response.function_call_arguments.delta', 'delta': delta}
    yield {'type': 'response.function_call_arguments.done', 'arguments': item['arguments']}


def _code_events(item: Item) -> Iterator[Item]:
    for delta in _pieces(item.get('code') or ''):
        yield {'type': 'response.code_interpreter_call_code.delta', 'delta': delta}
    yield {'type': 'response.code_interpreter_call_code.done', 'code': item.get('code')}
    yield {'type': 'response.code_interpreter_call.completed'}


def _mcp_events(item: Item) -> Iterator[Item]:
    for delta in _pieces(item['arguments']):
        yield {'type': 'response.mcp_call_arguments.delta', 'delta': delta}
    yield {'type': 'response.mcp_call.completed'}


def _pieces(text: str) -> list[str]:
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


_GROWN = {
    'message': _message_events,
    'reasoning': _reasoning_events,
    'function_call': _function_events,
    'code_interpreter_call': _code_events,
    'mcp_call': _mcp_events,
}
