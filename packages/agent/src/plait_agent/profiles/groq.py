"""What models can do that Groq serves, beside what their families say."""

from __future__ import annotations

from dataclasses import dataclass

from plait_agent.profiles.openai import OpenAIModelProfile

__all__ = 'GroqModelProfile', 'groq_model_profile'

_BOUND = 'gpt-oss', 'kimi-k2', 'llama-4'
"""In the names of models whose answers Groq can bind to a schema."""


@dataclass(kw_only=True)
class GroqModelProfile(OpenAIModelProfile):
    """What a model can do that Groq serves."""

    groq_always_has_web_search_builtin_tool: bool = False
    """Whether it searches the web without being given a tool for it."""


def groq_model_profile(model_name: str) -> GroqModelProfile:
    """Tell what a model of Groq can do by its name."""
    is_bound = any(name in model_name for name in _BOUND)
    return GroqModelProfile(
        groq_always_has_web_search_builtin_tool=model_name.removeprefix('groq/').startswith('compound'),
        supports_json_schema_output=is_bound,
        supports_json_object_output=is_bound,
        openai_chat_supports_strict_output='gpt-oss' in model_name,
    )
