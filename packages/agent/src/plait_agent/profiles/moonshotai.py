"""What Moonshot AI's models can do."""

from __future__ import annotations

from plait_agent.profiles import ModelProfile

__all__ = ('moonshotai_model_profile',)


def moonshotai_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of Moonshot AI can do by its name."""
    return ModelProfile(ignore_streamed_leading_whitespace=True)
