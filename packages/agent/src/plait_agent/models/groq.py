"""Models that Groq serves, in its form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.models._openai_chat.model import OpenAIChatModel
from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings
from plait_agent.profiles.groq import GroqModelProfile

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent.models import ModelRequestParameters
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = 'GroqModel', 'GroqModelName', 'GroqModelSettings'

GroqModelName: TypeAlias = str
"""The name of a model, as Groq calls it."""


class GroqModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that Groq serves."""

    groq_reasoning_format: Literal['hidden', 'raw', 'parsed']
    """What becomes of the thoughts: they are left out, in the text, or in a field of their own."""
    groq_reasoning_effort: Literal['none', 'default', 'low', 'medium', 'high']
    """How much a model that reasons thinks before it answers."""


class GroqModel(OpenAIChatModel):
    """A model that Groq serves.

    Args:
        model_name: The name of the model.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    _body_settings: ClassVar[Mapping[str, str]] = {
        'groq_reasoning_format': 'reasoning_format',
        'groq_reasoning_effort': 'reasoning_effort',
    }

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'groq',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Lay settings over the model's own, and fit parameters to its profile.

        A model that always searches the web is not given a tool for it.

        Raises:
            UserError: The model lacks what the parameters ask for.
        """
        parameters, profile = model_request_parameters, self.profile
        if isinstance(profile, GroqModelProfile) and profile.groq_always_has_web_search_builtin_tool:
            tools = [tool for tool in parameters.builtin_tools if not isinstance(tool, WebSearchTool)]
            parameters = replace(parameters, builtin_tools=tools)
        return super().prepare_request(model_settings, parameters)
