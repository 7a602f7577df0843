"""What Anthropic counts, as a usage of ours."""

from __future__ import annotations

from typing import Any, cast

from plait_agent.usage import RequestUsage

_COUNTED_APART = 'advisor_message', 'compaction'
"""Steps of an answer whose tokens are not among those of the answer."""


def read_usage(said: dict[str, Any]) -> RequestUsage:
    """Read the counters of an answer. All that Anthropic counts is in the details, by the names that it has there."""
    details = {name: value for name, value in said.items() if type(value) is int}
    written = details.get('cache_creation_input_tokens', 0)
    read = details.get('cache_read_input_tokens', 0)
    fresh, output = details.get('input_tokens', 0), details.get('output_tokens', 0)
    for name in ('cache_creation', 'server_tool_use', 'output_tokens_details'):
        group = said.get(name)
        if isinstance(group, dict):
            details |= {
                key: value for key, value in cast('dict[str, Any]', group).items() if type(value) is int and value
            }
    for step in said.get('iterations') or ():
        _count_step(details, step)
    return RequestUsage(
        # Anthropic's own number is that of the tokens which have nothing to do with its cache.
        input_tokens=fresh + written + read,
        cache_write_tokens=written,
        cache_read_tokens=read,
        output_tokens=output,
        details=details,
    )


def _count_step(details: dict[str, int], step: Any) -> None:
    """Count a step of an answer, and its tokens if they are in no other counter."""
    said = cast('dict[str, Any]', step) if isinstance(step, dict) else {}
    kind = said.get('type')
    if not isinstance(kind, str):
        return
    counted: dict[str, int] = {'iterations': 1}
    if kind in _COUNTED_APART:
        counted |= {key: said.get(key) or 0 for key in ('input_tokens', 'output_tokens')}
    for key, value in counted.items():
        name = f'{kind.removesuffix("_message")}_{key}'
        details[name] = details.get(name, 0) + value
