"""What DeepSeek's models can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait_agent.profiles.openai import OpenAIModelProfile

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

__all__ = ('deepseek_model_profile',)


def deepseek_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of DeepSeek can do by its name."""
    reasons = 'reasoner' in model_name
    return OpenAIModelProfile(
        openai_supports_tool_choice_required=not reasons,
        ignore_streamed_leading_whitespace=reasons or 'r1' in model_name.lower(),
    )
