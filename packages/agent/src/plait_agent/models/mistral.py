"""Models that Mistral serves, in its form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from plait_agent.models._openai_chat.model import OpenAIChatModel
from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = 'MistralModel', 'MistralModelName', 'MistralModelSettings'

MistralModelName: TypeAlias = str
"""The name of a model, as Mistral calls it."""


class MistralModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that Mistral serves."""

    mistral_prompt_mode: Literal['reasoning'] | None
    """Whether the model is told to reason."""
    mistral_safe_prompt: bool
    """Whether the model is told to be careful."""
    mistral_prompt_cache_key: str
    """What requests have in common whose prompts begin alike, so that they meet the same cache."""


class MistralModel(OpenAIChatModel):
    """A model that Mistral serves.

    Args:
        model_name: The name of the model.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    _body_settings: ClassVar[Mapping[str, str]] = {
        'mistral_prompt_mode': 'prompt_mode',
        'mistral_safe_prompt': 'safe_prompt',
        'mistral_prompt_cache_key': 'prompt_cache_key',
        'seed': 'random_seed',
    }

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'mistral',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
