"""A model around another one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from plait_agent.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse, infer_model

if TYPE_CHECKING:
    from types import TracebackType

    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName
    from plait_agent.profiles import ModelProfile
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RequestUsage

__all__ = 'CompletedStreamedResponse', 'WrapperModel'


@dataclass(init=False, eq=False)
class WrapperModel(Model):
    """Passes everything on to another model; for subclasses that do something more.

    Attributes that it does not have are those of the other model.

    Args:
        wrapped: The other model, or its name.
    """

    wrapped: Model

    def __init__(self, wrapped: Model | KnownModelName | str):
        super().__init__()
        self.wrapped = infer_model(wrapped)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the other model."""
        return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the other model for a stream."""
        opened = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        async with opened as stream:
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Let the other model count."""
        return await self.wrapped.count_tokens(messages, model_settings, model_request_parameters)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Let the other model make schemas fit for it."""
        return self.wrapped.customize_request_parameters(model_request_parameters)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Let the other model prepare."""
        return self.wrapped.prepare_request(model_settings, model_request_parameters)

    @property
    def model_name(self) -> str:
        """The name of the other model."""
        return self.wrapped.model_name

    @property
    def system(self) -> str:
        """Its provider."""
        return self.wrapped.system

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.wrapped.label

    @property
    def base_url(self) -> str | None:
        """Where its provider is."""
        return self.wrapped.base_url

    @property
    def settings(self) -> ModelSettings | None:
        """Its settings."""
        return self.wrapped.settings

    @property
    def profile(self) -> ModelProfile:
        """What it can do."""
        return self.wrapped.profile

    @property
    def output_profile(self) -> ModelProfile:
        """What a run may count on."""
        return self.wrapped.output_profile

    def output_profile_beside(self, builtin_tools: Sequence[AbstractBuiltinTool]) -> ModelProfile:
        """What a run may count on in a request with built-in tools."""
        return self.wrapped.output_profile_beside(builtin_tools)

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self.wrapped.__aexit__(exc_type, exc, traceback)

    def __getattr__(self, name: str) -> Any:
        # While a copy is made there is no wrapped model yet, and looking for it would not end.
        if name == 'wrapped':
            raise AttributeError(name)
        return getattr(self.wrapped, name)
