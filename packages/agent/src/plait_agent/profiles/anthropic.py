"""What models of Anthropic can do, and which JSON schemas they can be bound to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from plait_agent._json_schema_transformer import JsonSchema, JsonSchemaTransformer
from plait_agent.profiles import ModelProfile
from plait_agent.profiles._anthropic_schema import bind_strictly

__all__ = 'AnthropicJsonSchemaTransformer', 'AnthropicModelProfile', 'anthropic_model_profile'

_LONG_ANSWER = 16_384
"""Tokens; for more, Anthropic wants answers to be streamed, and few need more."""


@dataclass(kw_only=True)
class AnthropicModelProfile(ModelProfile):
    """What a model of Anthropic can do."""

    anthropic_max_output_tokens: int = 4096
    """The most tokens that an answer of it may have."""
    anthropic_supports_adaptive_thinking: bool = False
    """Whether it can be left to it how much to think."""
    anthropic_supports_sampling_settings: bool = True
    """Whether it can be given a temperature; to those that cannot, none is sent."""
    anthropic_supports_system_messages: bool = False
    """Whether a system prompt may stand within a conversation. For other models all go to its beginning."""
    anthropic_code_execution_tool_version: str = '20250825'
    """The version of the tool that runs code."""

    @property
    def anthropic_default_max_tokens(self) -> int:
        """How many tokens an answer may have if nothing else is said; thoughts with a budget come on top."""
        return min(self.anthropic_max_output_tokens, _LONG_ANSWER)


class AnthropicJsonSchemaTransformer(JsonSchemaTransformer):
    """Rewrites schemas that models are bound to; all others stay as they are.

    A model is bound to the schema of a native output and to those of tools with `strict=True`. What Anthropic cannot
    check, such as the limits of a number, is told in the description of the field.

    Raises:
        UserError: The schema has something that cannot be left out, such as keys that are not known.
    """

    def walk(self) -> JsonSchema:
        """Rewrite the schema if a model is to be bound to it."""
        # Binding is never chosen for the user: it costs time, and Anthropic allows it for few tools of a request.
        self.is_strict_compatible = False
        return bind_strictly(self.schema) if self.strict else self.schema

    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Leave each schema as it is."""
        return schema


class _Version(NamedTuple):
    family: str
    number: tuple[int, int]


def anthropic_model_profile(model_name: str) -> AnthropicModelProfile:
    """Give the profile of a model by its name; also as Bedrock and Vertex call it."""
    family, number = _parse(model_name)
    is_opus = family == 'opus'
    return AnthropicModelProfile(
        supports_json_schema_output=number >= ((4, 1) if is_opus else (4, 5)),
        json_schema_transformer=AnthropicJsonSchemaTransformer,
        thinking_tags=('<thinking>', '</thinking>'),
        anthropic_max_output_tokens=_max_output_tokens(family, number),
        anthropic_supports_adaptive_thinking=number >= (4, 6),
        anthropic_supports_sampling_settings=number < ((4, 7) if is_opus else (5, 0)),
        anthropic_supports_system_messages=(is_opus and number >= (4, 8)) or family in ('fable', 'mythos'),
        anthropic_code_execution_tool_version='20260120' if number >= (4, 5) and family != 'haiku' else '20250825',
    )


def _max_output_tokens(family: str, number: tuple[int, int]) -> int:
    if number < (3, 5):
        return 4096
    if number < (3, 7):
        return 8192
    if family == 'opus' and number < (4, 5):
        return 32_000
    return 64_000 if number < (4, 6) else 128_000


def _parse(model_name: str) -> _Version:
    """The family and the version in a name; the oldest there is for a name that has none."""
    found = re.search(r'claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)', model_name)
    if found is not None:
        return _Version(found[1], (int(found[2]), int(found[3] or 0)))
    # Until version 3.7, and in some names of version 4, the version stood first.
    found = re.search(r'claude-(\d)(?:[-.](\d))?-([a-z]+)', model_name)
    return _Version('', (0, 0)) if found is None else _Version(found[3], (int(found[1]), int(found[2] or 0)))
