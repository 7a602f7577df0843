"""What Mistral's models can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

__all__ = ('mistral_model_profile',)


def mistral_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of Mistral can do by its name; there is nothing that its provider does not say."""
    return None
