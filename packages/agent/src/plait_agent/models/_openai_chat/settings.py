"""What can be asked of models in OpenAI's formats beside the usual settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plait_agent.settings import ModelSettings

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionPredictionContentParam

OpenAIModelName: TypeAlias = str
"""The name of a model, as its provider calls it."""


class OpenAIChatModelSettings(ModelSettings, total=False):
    """Settings of models that are asked in OpenAI's chat completions format."""

    openai_reasoning_effort: Literal['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] | None
    """How much a model that reasons thinks before it answers."""
    openai_logprobs: bool
    """Whether the answer tells how probable its tokens were; see `provider_details['logprobs']` of the response."""
    openai_top_logprobs: int
    """Of how many other tokens it tells that at each place; goes with `openai_logprobs`."""
    openai_user: str
    """Who the user is, in words that do not tell it, to find misuse."""
    openai_service_tier: Literal['auto', 'default', 'flex', 'priority', 'scale']
    """How quickly, and at which price, the request is handled."""
    openai_prediction: ChatCompletionPredictionContentParam | Any
    """What much of the answer is likely to be, which makes it faster."""
    openai_prompt_cache_key: str
    """What requests have in common whose prompts begin alike, so that they meet the same cache."""
    openai_prompt_cache_retention: Literal['in-memory', '24h']
    """How long prompts are kept."""
    openai_store: bool | None
    """Whether the provider keeps the answer."""
    openai_safety_identifier: str
    """What tells a user from others for the provider's checks."""
    openai_modalities: list[Literal['text', 'audio']]
    """What the answer may be."""
    openai_audio: dict[str, Any]
    """The voice and the format, if the answer is to be spoken."""
    openai_verbosity: Literal['low', 'medium', 'high'] | None
    """How many words the answer makes."""
    openai_text_verbosity: Literal['low', 'medium', 'high']
    """The same, by its name in the responses format."""
    openai_continuous_usage_stats: bool
    """Whether every chunk of a stream tells what was used so far, where the server knows how."""


class OpenAIModelSettings(OpenAIChatModelSettings, total=False):
    """The former name of `OpenAIChatModelSettings`."""
