"""What DeepSeek's models can do."""

from __future__ import annotations

from plait_agent.profiles import ModelProfile
from plait_agent.profiles.openai import OpenAIModelProfile

__all__ = ('deepseek_model_profile',)


def deepseek_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of DeepSeek can do by its name."""
    if 'reasoner' in model_name:
        return OpenAIModelProfile(openai_supports_tool_choice_required=False)
    return ModelProfile(ignore_streamed_leading_whitespace='r1' in model_name.lower())
