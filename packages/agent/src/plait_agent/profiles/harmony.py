"""What OpenAI's open models can do, which speak in the harmony format, wherever they are served."""

from __future__ import annotations

from dataclasses import replace

from plait_agent.profiles import ModelProfile
from plait_agent.profiles.openai import OpenAIModelProfile, openai_model_profile

__all__ = ('harmony_model_profile',)


def harmony_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what an open model of OpenAI can do by its name."""
    return replace(
        OpenAIModelProfile.from_profile(openai_model_profile(model_name)),
        ignore_streamed_leading_whitespace=True,
        openai_supports_tool_choice_required=False,
    )
