"""Requests to models, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from typing_extensions import deprecated

from plait_agent._messages.content import BinaryContent, BinaryImage
from plait_agent._messages.request_parts import ModelRequestPart, UserPromptPart
from plait_agent._messages.response_parts import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent._messages.schemas import ToldApartBy, with_older_names
from plait_agent._short_repr import short_repr
from plait_agent._stamps import now_utc
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation
    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema

FinishReason: TypeAlias = Literal['stop', 'length', 'content_filter', 'tool_call', 'error']
"""Why a model stopped."""


@dataclass(repr=False)
class ModelRequest:
    """What a model is asked."""

    parts: Sequence[ModelRequestPart]
    timestamp: datetime | None = field(default=None, kw_only=True)
    """When it was sent."""
    instructions: str | None = field(default=None, kw_only=True)
    """The instructions that it was sent with."""
    kind: Literal['request'] = field(default='request', kw_only=True)
    run_id: str | None = field(default=None, kw_only=True)
    """The run that it was made in."""
    metadata: dict[str, Any] | None = field(default=None, kw_only=True)
    """What the program keeps with it and the model does not see."""

    @classmethod
    def user_text_prompt(cls, user_prompt: str, *, instructions: str | None = None) -> ModelRequest:
        """Make a request of a user's text alone."""
        return cls([UserPromptPart(user_prompt)], instructions=instructions)

    __repr__ = short_repr


@dataclass(repr=False)
class ModelResponse:
    """What a model has answered."""

    parts: Sequence[ModelResponsePart]
    usage: RequestUsage = field(default_factory=RequestUsage, kw_only=True)
    model_name: str | None = field(default=None, kw_only=True)
    """The model that answered, by the name that the provider has for it."""
    timestamp: datetime = field(default_factory=now_utc, kw_only=True)
    kind: Literal['response'] = field(default='response', kw_only=True)
    provider_name: str | None = field(default=None, kw_only=True)
    provider_url: str | None = field(default=None, kw_only=True)
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    """What else the provider has told."""
    provider_response_id: str | None = field(default=None, kw_only=True)
    """The id that the provider has given to the answer."""
    finish_reason: FinishReason | None = field(default=None, kw_only=True)
    """Why the model stopped."""
    run_id: str | None = field(default=None, kw_only=True)
    """The run that it was made in."""
    metadata: dict[str, Any] | None = field(default=None, kw_only=True)
    """What the program keeps with it and the model does not see."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_older_names(
            handler(source), handler, {'provider_details': 'vendor_details', 'provider_response_id': 'vendor_id'}
        )

    @property
    def text(self) -> str | None:
        """The text, `None` if there is none. What other parts divide is divided by a blank line."""
        texts: list[str] = []
        follows_text = False
        for part in self.parts:
            is_text = isinstance(part, TextPart)
            if is_text and follows_text:
                texts[-1] += part.content
            elif is_text:
                texts.append(part.content)
            follows_text = is_text
        return '\n\n'.join(texts) if texts else None

    @property
    def thinking(self) -> str | None:
        """What the model thought, `None` if that is not known. Thoughts are divided by a blank line."""
        thoughts = [part.content for part in self.parts if isinstance(part, ThinkingPart)]
        return '\n\n'.join(thoughts) if thoughts else None

    @property
    def files(self) -> list[BinaryContent]:
        """The files that the model has made."""
        return [part.content for part in self.parts if isinstance(part, FilePart)]

    @property
    def images(self) -> list[BinaryImage]:
        """The images among them."""
        return [file for file in self.files if isinstance(file, BinaryImage)]

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls of tools that run here."""
        return [part for part in self.parts if isinstance(part, ToolCallPart)]

    @property
    def builtin_tool_calls(self) -> list[tuple[BuiltinToolCallPart, BuiltinToolReturnPart]]:
        """The calls of the provider's tools that have returned, each with what was returned."""
        returns = {part.tool_call_id: part for part in self.parts if isinstance(part, BuiltinToolReturnPart)}
        calls = [part for part in self.parts if isinstance(part, BuiltinToolCallPart)]
        return [(call, returns[call.tool_call_id]) for call in calls if call.tool_call_id in returns]

    def cost(self) -> PriceCalculation:
        """Calculate what the answer has cost, with genai-prices.

        Raises:
            ImportError: genai-prices is not installed.
            AssertionError: The name of the model is not known.
            LookupError: genai-prices does not know the provider or the model.
        """
        if self.model_name is None:
            raise AssertionError('Model name is required to calculate price')
        from plait_agent._prices import calculate_price

        return calculate_price(self.usage, self.model_name, self.provider_name, self.provider_url, self.timestamp)

    @deprecated('`price` is deprecated, use `cost` instead')
    def price(self) -> PriceCalculation:
        """The former name of `cost`."""
        return self.cost()

    @property
    @deprecated('`vendor_details` is deprecated, use `provider_details` instead')
    def vendor_details(self) -> dict[str, Any] | None:
        """The former name of `provider_details`."""
        return self.provider_details

    @property
    @deprecated('`vendor_id` is deprecated, use `provider_response_id` instead')
    def vendor_id(self) -> str | None:
        """The former name of `provider_response_id`."""
        return self.provider_response_id

    @property
    @deprecated('`provider_request_id` is deprecated, use `provider_response_id` instead')
    def provider_request_id(self) -> str | None:
        """A former name of `provider_response_id`."""
        return self.provider_response_id

    __repr__ = short_repr


ModelMessage: TypeAlias = Annotated[ModelRequest | ModelResponse, ToldApartBy('kind')]
"""A request to a model or its answer."""
