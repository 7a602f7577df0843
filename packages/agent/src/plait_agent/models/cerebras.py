"""Models that Cerebras serves, in its form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from plait_agent.models._openai_chat.model import OpenAIChatModel
from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = 'CerebrasModel', 'CerebrasModelName', 'CerebrasModelSettings'

CerebrasModelName: TypeAlias = str
"""The name of a model, as Cerebras calls it."""


class CerebrasModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that Cerebras serves."""

    cerebras_disable_reasoning: bool
    """Whether the model answers without thoughts."""


class CerebrasModel(OpenAIChatModel):
    """A model that Cerebras serves.

    Args:
        model_name: The name of the model.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    _body_settings: ClassVar[Mapping[str, str]] = {'cerebras_disable_reasoning': 'disable_reasoning'}

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'cerebras',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
