"""Models that xAI serves, in its form of OpenAI's chat completions."""

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

__all__ = 'XaiModel', 'XaiModelName', 'XaiModelSettings'

XaiModelName: TypeAlias = str
"""The name of a model, as xAI calls it."""


class XaiModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that xAI serves."""

    xai_logprobs: bool
    """Whether the answer tells how probable its tokens were."""
    xai_top_logprobs: int
    """Of how many other tokens it tells that at each place."""
    xai_user: str
    """Who the user is, to find misuse."""


class XaiModel(OpenAIChatModel):
    """A model that xAI serves.

    Args:
        model_name: The name of the model.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    _body_settings: ClassVar[Mapping[str, str]] = {
        'xai_logprobs': 'logprobs',
        'xai_top_logprobs': 'top_logprobs',
        'xai_user': 'user',
    }

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'xai',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
