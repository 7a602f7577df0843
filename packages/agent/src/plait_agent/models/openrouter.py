"""Models that OpenRouter passes requests on to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from typing_extensions import TypedDict

from plait_agent.models._openai_chat.model import OpenAIChatModel
from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = (
    'OpenRouterMaxPrice',
    'OpenRouterModel',
    'OpenRouterModelSettings',
    'OpenRouterProviderConfig',
    'OpenRouterProviderName',
    'OpenRouterReasoning',
    'OpenRouterTransforms',
    'OpenRouterUsageConfig',
)

OpenRouterProviderName: TypeAlias = str
"""What OpenRouter calls one of the providers that it passes requests on to."""
OpenRouterTransforms: TypeAlias = Literal['middle-out']
"""What may be done to a prompt that is too long."""


class OpenRouterMaxPrice(TypedDict, total=False):
    """The most that a request may cost, in US dollars for a million tokens, or for one image or request."""

    prompt: float
    completion: float
    image: float
    audio: float
    request: float


class OpenRouterProviderConfig(TypedDict, total=False):
    """Which provider a request is passed on to."""

    order: list[OpenRouterProviderName]
    """Who is asked first, and who then."""
    allow_fallbacks: bool
    """Whether others are asked when those cannot answer."""
    require_parameters: bool
    """Whether only those are asked that know all parameters of the request."""
    data_collection: Literal['allow', 'deny']
    """Whether those are asked that may keep the prompts."""
    zdr: bool
    """Whether only those are asked that keep nothing."""
    only: list[OpenRouterProviderName]
    """The only ones that are asked."""
    ignore: list[str]
    """Who is not asked."""
    quantizations: list[Literal['int4', 'int8', 'fp4', 'fp6', 'fp8', 'fp16', 'bf16', 'fp32', 'unknown']]
    """How exactly the weights of the model may be stored."""
    sort: Literal['price', 'throughput', 'latency']
    """What makes one better than another."""
    max_price: OpenRouterMaxPrice
    """The most that the request may cost."""


class OpenRouterReasoning(TypedDict, total=False):
    """How the model thinks before it answers."""

    effort: Literal['none', 'minimal', 'low', 'medium', 'high', 'xhigh']
    """How much."""
    max_tokens: int
    """With how many tokens; in place of `effort`."""
    exclude: bool
    """Whether the thoughts are left out of the answer."""
    enabled: bool
    """Whether it thinks at all."""


class OpenRouterUsageConfig(TypedDict, total=False):
    """What is told of usage."""

    include: bool
    """Whether the answer tells what it has cost."""


class OpenRouterModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that OpenRouter passes requests on to."""

    openrouter_models: list[str]
    """Models that are asked when the first one cannot answer."""
    openrouter_provider: OpenRouterProviderConfig
    """Which provider the request is passed on to."""
    openrouter_preset: str
    """The name of settings that are kept at OpenRouter."""
    openrouter_transforms: list[OpenRouterTransforms]
    """What may be done to a prompt that is too long."""
    openrouter_reasoning: OpenRouterReasoning
    """How the model thinks before it answers."""
    openrouter_usage: OpenRouterUsageConfig
    """What is told of usage."""


class OpenRouterModel(OpenAIChatModel):
    """A model that OpenRouter passes requests on to.

    Args:
        model_name: The name of the model, with that of its maker, as in `'openai/gpt-5'`.
        provider: OpenRouter, or its name; it is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    _body_settings: ClassVar[Mapping[str, str]] = {
        'openrouter_models': 'models',
        'openrouter_provider': 'provider',
        'openrouter_preset': 'preset',
        'openrouter_transforms': 'transforms',
        'openrouter_reasoning': 'reasoning',
        'openrouter_usage': 'usage',
    }

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'openrouter',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
