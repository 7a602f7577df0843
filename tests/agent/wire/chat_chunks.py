"""Whole answers of chat completions as streams and the other way round, by the rules that the format documents."""

import json
from copy import deepcopy
from typing import Any


def as_sse(whole: dict[str, Any]) -> str:
    """A stream that tells what a whole answer does: a first piece, text in halves, arguments in halves, the end."""
    frame = {name: value for name, value in whole.items() if name not in ('choices', 'usage')}
    frame['object'] = 'chat.completion.chunk'
    chunks = [frame | {'choices': [_choice(delta)]} for delta in _deltas(whole['choices'][0]['message'])]
    last = {name: value for name, value in whole['choices'][0].items() if name not in ('message', 'delta')}
    chunks.append(frame | {'choices': [last | {'delta': {}}]})
    chunks.append(frame | {'choices': [], 'usage': whole.get('usage')})
    return ''.join(f'data: {json.dumps(chunk)}\n\n' for chunk in chunks) + 'data: [DONE]\n\n'


def _choice(delta: dict[str, Any]) -> dict[str, Any]:
    return {'index': 0, 'delta': delta, 'finish_reason': None}


def _deltas(message: dict[str, Any]) -> list[dict[str, Any]]:
    halved = ('reasoning', 'reasoning_content', 'refusal', 'content')
    whole = {name: value for name, value in message.items() if name not in (*halved, 'tool_calls', 'reasoning_details')}
    deltas = [whole | {'role': 'assistant', 'content': ''}]
    details = message.get('reasoning_details')
    if details:
        deltas += [{'reasoning_details': [each]} for each in details]
    for name in halved:
        # OpenRouter says the thoughts of the details once more.
        if message.get(name) and not (details and name == 'reasoning'):
            deltas += [{name: half} for half in _halves(message[name])]
    for index, call in enumerate(message.get('tool_calls') or ()):
        first, second = _halves(call['function']['arguments'])
        begun = {'index': index, 'function': {'name': call['function']['name'], 'arguments': first}}
        deltas.append({'tool_calls': [{**call, **begun}]})
        deltas.append({'tool_calls': [{'index': index, 'function': {'arguments': second}}]})
    return deltas


def _halves(value: Any) -> list[Any]:
    if not isinstance(value, (str, list)):
        return [value]
    middle = len(value) // 2
    return [value[:middle], value[middle:]]


def from_sse(body: str) -> dict[str, Any] | None:
    """The whole answer that a stream tells; `None` if it tells of an error."""
    whole: dict[str, Any] = {'object': 'chat.completion'}
    message: dict[str, Any] = {'role': 'assistant', 'content': None}
    choice: dict[str, Any] = {'index': 0, 'message': message, 'finish_reason': None}
    for chunk in _chunks(body):
        if chunk.get('error'):
            return None
        whole |= {name: value for name, value in chunk.items() if name not in ('choices', 'object') and value}
        for each in chunk.get('choices') or ():
            choice |= {name: value for name, value in each.items() if name not in ('delta', 'logprobs') and value}
            _add(message, each.get('delta') or {})
    return whole | {'choices': [choice]}


def _chunks(body: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix('data:').strip() for line in body.splitlines() if line.startswith('data:')]
    return [json.loads(line) for line in lines if line != '[DONE]']


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == 'tool_calls':
            for call in value or ():
                _add_call(message.setdefault('tool_calls', []), call)
        elif name == 'reasoning_details':
            for detail in value or ():
                _add_detail(message.setdefault(name, []), detail)
        elif value and name != 'role':
            message[name] = value if message.get(name) is None else message[name] + value


def _add_call(calls: list[Any], piece: dict[str, Any]) -> None:
    if piece['index'] == len(calls):
        calls.append(deepcopy(piece))
        return
    calls[piece['index']]['function']['arguments'] += (piece.get('function') or {}).get('arguments') or ''


def _add_detail(details: list[Any], piece: dict[str, Any]) -> None:
    """Details with the same index and type are one."""
    known = next((each for each in details if _place(each) == _place(piece)), None)
    if known is None:
        details.append(deepcopy(piece))
        return
    for name, value in piece.items():
        if name in ('text', 'summary', 'data'):
            known[name] = known.get(name, '') + (value or '')
        elif value is not None:
            known[name] = value


def _place(detail: dict[str, Any]) -> tuple[Any, Any]:
    return detail['type'], detail.get('index')
