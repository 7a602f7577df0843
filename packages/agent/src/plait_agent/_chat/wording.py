"""Calls, results and errors in words that fit into a line or two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from plait_agent._chat.secrets import redact
from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import RetryPromptPart

if TYPE_CHECKING:
    from plait_agent.messages import BaseToolCallPart, BaseToolReturnPart

_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in '\n\t'},
    0x0D: None,  # a line that ends as on Windows may come in two pieces
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
"""Control characters, and the pictures that Unicode has for them: they must not reach the terminal as commands."""

_LONGEST_CALL, _LONGEST_ERROR, _MOST_LINES, _LONGEST_LINE = 300, 400, 6, 200

_REMEDIES = {
    401: 'Check the key of the provider.',
    403: 'Check what the key of the provider may do.',
    404: 'Check the name of the model; /model NAME takes another one.',
    413: 'The chat may be too long for the model; /clear begins a new one.',
    429: 'Wait a little.',
}


def visible(text: str) -> str:
    """A text without commands to the terminal: control characters become pictures of themselves."""
    return text.translate(_PICTURES)


def call_text(call: BaseToolCallPart) -> str:
    """A call as it could stand in a program, cut where it gets long."""
    return _cut(redact(visible(f'{call.tool_name}({_arguments(call)})')), _LONGEST_CALL)


def result_text(part: BaseToolReturnPart | RetryPromptPart) -> str:
    """What came of a call, in a few lines."""
    if isinstance(part, RetryPromptPart):
        return short_lines(retry_text(part))
    try:
        return short_lines(part.model_response_str())
    except Exception as error:  # noqa: BLE001 # a result that cannot be written fails the run, which says so itself
        return one_line(error)


def retry_text(part: RetryPromptPart) -> str:
    """What was wrong with a call or an answer."""
    if isinstance(part.content, str):
        return part.content
    return '\n'.join('.'.join(map(str, error['loc'])) + f': {error["msg"]}' for error in part.content)


def short_lines(text: str) -> str:
    """The first lines of a text, none of them long."""
    lines = redact(visible(text)).strip().split('\n')
    shown = [_cut(line, _LONGEST_LINE) for line in lines[:_MOST_LINES]]
    left = len(lines) - len(shown)
    return '\n'.join([*shown, *([f'… {left} more line{"" if left == 1 else "s"}'] if left else [])])


def error_text(error: BaseException) -> str:
    """What went wrong, and what could be done about it, without keys."""
    if isinstance(error, BaseExceptionGroup):
        causes = cast('BaseExceptionGroup[BaseException]', error).exceptions
        return '\n'.join([one_line_of(error.message), *(f'- {error_text(cause)}' for cause in causes)])
    if isinstance(error, ModelHTTPError):
        said = one_line_of(_message_of(error.body) or 'nothing more was said').rstrip('.')
        remedy = _REMEDIES.get(error.status_code, '')
        return f'{error.model_name} answered with HTTP status {error.status_code}: {said}. {remedy}'.rstrip()
    if isinstance(error, ModelAPIError):
        return f'{error.model_name} could not be asked: {one_line_of(error.message)}'
    return one_line(error)


def traceback_text(error: BaseException) -> str:
    """The traceback of an error, without keys."""
    from traceback import format_exception

    return redact(visible(''.join(format_exception(error)))).rstrip()


def one_line(error: BaseException) -> str:
    """An error with its kind, unless that is one of ours, whose messages speak for themselves."""
    text = one_line_of(str(error))
    kind = type(error).__name__
    if not text:
        return kind
    return text if type(error).__module__.startswith('plait_') else f'{kind}: {text}'


def one_line_of(text: str) -> str:
    """A text in one line, cut where it gets long."""
    return _cut(redact(visible(' '.join(text.split()))), _LONGEST_ERROR)


def seconds_text(seconds: float) -> str:
    """A duration, as exactly as matters."""
    if seconds < 1:
        return f'{seconds * 1000:.0f} ms'
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s'


def _arguments(call: BaseToolCallPart) -> str:
    from pydantic_core import to_json

    try:
        arguments = call.args_as_dict()
    except (ValueError, AssertionError):
        return str(call.args)  # as the model wrote it; it will be told that this is no object
    return ', '.join(f'{name}={to_json(value, serialize_unknown=True).decode()}' for name, value in arguments.items())


def _message_of(body: object) -> str:
    """The message within what a provider sent: most put it into `message`, or into that of an `error`."""
    if isinstance(body, Mapping):
        record = cast('Mapping[str, Any]', body)
        inner = record.get('error', record.get('message'))
        return _message_of(inner) if inner is not None else str(dict(record))
    return '' if body is None else str(body)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f'{text[: most - 1]}…'
