"""What a response says it has used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from plait_agent.usage import RequestUsage

_NOT_DETAILS = ('input_tokens', 'output_tokens', 'total_tokens', 'input_tokens_details', 'output_tokens_details')


def read_usage(response: Mapping[str, Any]) -> RequestUsage:
    """Read the counters of a response. Those that are not known by name go to the details."""
    counted = _mapping(response.get('usage'))
    prompt = _mapping(counted.get('input_tokens_details'))
    answer = _mapping(counted.get('output_tokens_details'))
    rest = {name: value for name, value in counted.items() if name not in _NOT_DETAILS}
    known = ('cached_tokens', 'cache_write_tokens', 'audio_tokens')
    details = dict(_counts('', {name: value for name, value in answer.items() if name == 'reasoning_tokens'}))
    details |= _counts('input', {name: value for name, value in prompt.items() if name not in known})
    details |= _counts(
        'output', {name: value for name, value in answer.items() if name not in ('reasoning_tokens', 'audio_tokens')}
    )
    details |= _counts('', rest)
    details |= _counts('', _mapping(response.get('tool_usage')))
    return RequestUsage(
        input_tokens=_count(counted.get('input_tokens')),
        output_tokens=_count(counted.get('output_tokens')),
        cache_read_tokens=_count(prompt.get('cached_tokens')),
        cache_write_tokens=_count(prompt.get('cache_write_tokens')),
        input_audio_tokens=_count(prompt.get('audio_tokens')),
        output_audio_tokens=_count(answer.get('audio_tokens')),
        details=details,
    )


def _counts(prefix: str, counted: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The numbers within counters, each with the names that lead to it."""
    for name, value in counted.items():
        path = f'{prefix}_{name}' if prefix else name
        if isinstance(value, Mapping):
            yield from _counts(path, cast('Mapping[str, Any]', value))
        elif isinstance(value, int) and not isinstance(value, bool):
            yield path, value


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast('Mapping[str, Any]', value) if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
