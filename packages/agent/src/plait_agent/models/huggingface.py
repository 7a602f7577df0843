"""Models that Hugging Face serves, in its form of OpenAI's chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from plait_agent.models._openai_chat.model import OpenAIChatModel
from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = 'HuggingFaceModel', 'HuggingFaceModelName', 'HuggingFaceModelSettings'

HuggingFaceModelName: TypeAlias = str
"""The name of a model, as Hugging Face calls it."""


class HuggingFaceModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that Hugging Face serves."""


class HuggingFaceModel(OpenAIChatModel):
    """A model that Hugging Face serves.

    Args:
        model_name: The name of the model.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'huggingface',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
