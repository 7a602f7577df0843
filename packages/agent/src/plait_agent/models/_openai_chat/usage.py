"""What an answer has used, as chat completions tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plait_agent.usage import RequestUsage

Counts = Mapping[str, Any]

_NAMED = frozenset(
    ('prompt_tokens', 'completion_tokens', 'total_tokens', 'prompt_tokens_details', 'completion_tokens_details')
)


def read_usage(told: Counts) -> RequestUsage:
    """The usage; what has no counter of its own goes to the details.

    Providers disagree on where tokens of caches are told, so that several places are looked at.
    """
    prompt: Counts = told.get('prompt_tokens_details') or {}
    completion: Counts = told.get('completion_tokens_details') or {}
    details = {name: count for name, count in told.items() if name not in _NAMED and _is_count(count)}
    details |= {name: count for name, count in completion.items() if _is_count(count)}
    for name in ('image_tokens', 'video_tokens'):
        if _is_count(prompt.get(name)) and prompt[name]:
            details[f'input_{name}'] = prompt[name]
    return RequestUsage(
        input_tokens=_count(told, 'prompt_tokens'),
        output_tokens=_count(told, 'completion_tokens'),
        cache_read_tokens=_count(prompt, 'cached_tokens')
        or _count(told, 'prompt_cache_hit_tokens', 'cached_tokens', 'cache_read_input_tokens'),
        cache_write_tokens=_count(prompt, 'cache_write_tokens', 'cache_creation_tokens')
        or _count(told, 'cache_creation_input_tokens'),
        input_audio_tokens=_count(prompt, 'audio_tokens'),
        output_audio_tokens=_count(completion, 'audio_tokens'),
        details=details,
    )


def find_usage(chunk: Counts) -> Counts | None:
    """What a chunk or an answer tells of usage, wherever its provider puts it."""
    told = chunk.get('usage')
    if told is not None:
        return told
    of_groq: Counts = chunk.get('x_groq') or {}
    choices: Sequence[Counts] = chunk.get('choices') or ()
    return next((each['usage'] for each in (of_groq, *choices) if each.get('usage')), None)


def _count(told: Counts, *names: str) -> int:
    """The first of several counters that is told."""
    return next((told[name] for name in names if _is_count(told.get(name))), 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
