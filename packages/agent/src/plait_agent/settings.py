"""What can be asked of a model beside its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, cast

__all__ = 'ModelSettings', 'ToolChoice', 'ToolOrOutput', 'merge_model_settings'


@dataclass
class ToolOrOutput:
    """A choice of tools that leaves the output free: beside it, only some tools of the program may be called."""

    function_tools: list[str]
    """Their names."""


ToolChoice: TypeAlias = Literal['auto', 'none', 'required'] | list[str] | ToolOrOutput | None
"""Which tools may or must be called: as the model likes, none of the program's, some tool, one of those named."""


class ModelSettings(TypedDict, total=False):
    """Settings that several providers know; each has more of its own. What is not given is the provider's default."""

    max_tokens: int
    """How many tokens the answer may have."""
    temperature: float
    """How random the answer is."""
    top_p: float
    """From which share of the probability tokens are drawn."""
    timeout: float | Any
    """How many seconds a request may take, or a time-out of the HTTP library."""
    parallel_tool_calls: bool
    """Whether one answer may call several tools."""
    tool_choice: ToolChoice
    """Which tools may or must be called. A run whose every request must call a tool needs a way to its end."""
    seed: int
    """Makes answers as repeatable as the provider can."""
    presence_penalty: float
    """How much tokens are avoided that have been there."""
    frequency_penalty: float
    """How much tokens are avoided that have been there often."""
    logit_bias: dict[str, int]
    """How much certain tokens are preferred."""
    stop_sequences: list[str]
    """Texts that end the answer."""
    extra_headers: dict[str, str]
    """HTTP headers to be sent as well."""
    extra_body: object
    """What is added to the body of the request."""


def merge_model_settings(base: ModelSettings | None, overrides: ModelSettings | None) -> ModelSettings | None:
    """Lay settings over others, key by key; either may be missing."""
    if base is None or overrides is None:
        return base if overrides is None else overrides
    return cast('ModelSettings', {**cast('Mapping[str, Any]', base), **cast('Mapping[str, Any]', overrides)})


_MAY_HOLD_KEYS = ('extra_headers', 'extra_body')


def shown_settings(settings: ModelSettings | None) -> dict[str, Any] | None:
    """Settings as they may be printed: without what is sent along with requests, which may hold keys."""
    if settings is None:
        return None
    return {name: '<hidden>' if name in _MAY_HOLD_KEYS else value for name, value in settings.items()}
