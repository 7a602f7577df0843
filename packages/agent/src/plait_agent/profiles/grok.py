"""What xAI's models can do."""

from __future__ import annotations

from dataclasses import dataclass

from plait_agent.builtin_tools import SUPPORTED_BUILTIN_TOOLS
from plait_agent.profiles import ModelProfile

__all__ = 'GrokModelProfile', 'grok_model_profile'


@dataclass(kw_only=True)
class GrokModelProfile(ModelProfile):
    """What a model of xAI can do."""

    grok_supports_builtin_tools: bool = False
    """Whether the provider runs tools for it."""
    grok_supports_tool_choice_required: bool = True
    """Whether it can be made to call a tool."""


def grok_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of xAI can do by its name."""
    has_tools = model_name.startswith('grok-4') or 'code' in model_name
    return GrokModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        grok_supports_builtin_tools=has_tools,
        supported_builtin_tools=SUPPORTED_BUILTIN_TOOLS if has_tools else frozenset(),
    )
