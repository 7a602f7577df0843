"""What every model can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from plait_agent.messages import ModelRequest, RetryPromptPart, ToolReturnPart
from plait_agent.models._memo import IdentityMemo
from plait_agent.models._parameters import ModelRequestParameters, fit_to_profile, transform_schemas
from plait_agent.models._stream import CompletedStreamedResponse, StreamedResponse
from plait_agent.settings import ModelSettings, merge_model_settings

if TYPE_CHECKING:
    from types import TracebackType

    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.profiles import ModelProfile, ModelProfileSpec
    from plait_agent.tools import ToolDefinition
    from plait_agent.usage import RequestUsage


class Model(ABC):
    """A model that answers requests, at once or as a stream.

    A model can be entered with `async with`, for those that hold connections; an agent enters its model for its runs.

    Args:
        settings: What is asked of the model if nothing else is said.
        profile: What the model can do, or a function that finds it by the model's name.
    """

    _settings: ModelSettings | None = None
    _profile: ModelProfileSpec | None = None

    def __init__(self, *, settings: ModelSettings | None = None, profile: ModelProfileSpec | None = None):
        self._settings = settings
        self._profile = profile

    @abstractmethod
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and wait for the whole answer.

        Args:
            messages: All that has been said; the last message is what is asked.
            model_settings: Go over the model's own settings.
            model_request_parameters: The tools, and the form of the answer.
        """

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and receive the answer while it grows.

        A model that cannot stream makes a plain request, whose answer then arrives in one go. Leaving the block closes
        the stream.

        Args:
            messages: All that has been said; the last message is what is asked.
            model_settings: Go over the model's own settings.
            model_request_parameters: The tools, and the form of the answer.
            run_context: The run that asks, if there is one.
        """
        response = await self.request(messages, model_settings, model_request_parameters)
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        async with CompletedStreamedResponse(parameters, response) as stream:
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Count the tokens that a request would have, without making it.

        Raises:
            NotImplementedError: The model has no way to tell.
        """
        raise NotImplementedError(f'Token counting ahead of the request is not supported by {type(self).__name__}')

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Make schemas fit for the model, as its profile says. Parameters without need of it come back themselves."""
        transformer = self.profile.json_schema_transformer
        if transformer is None:
            return model_request_parameters
        return transform_schemas(model_request_parameters, transformer, self._transformed_tools)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Lay settings over the model's own, and fit parameters to its profile; a request begins with this.

        Nothing is copied where nothing changes.

        Raises:
            UserError: The model lacks what the parameters ask for.
        """
        settings = merge_model_settings(self._settings, model_settings)
        customized = self.customize_request_parameters(model_request_parameters)
        return settings, fit_to_profile(customized, self.profile)

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The name of the model, as its provider calls it."""

    @property
    @abstractmethod
    def system(self) -> str:
        """The provider, as telemetry calls it."""

    @property
    def label(self) -> str:
        """The name of the model for people to read: `gpt-5` is `GPT 5`."""
        return make_label(self.model_name)

    @property
    def base_url(self) -> str | None:
        """Where the provider is, if it is reached over a network."""
        return None

    @property
    def settings(self) -> ModelSettings | None:
        """What is asked of the model if nothing else is said."""
        return self._settings

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """The built-in tools that models of this class can be given."""
        return frozenset()

    @property
    def profile(self) -> ModelProfile:
        """What the model can do. Built-in tools that its class does not support are taken out."""
        return self._found_profile

    @property
    def output_profile(self) -> ModelProfile:
        """What a run may count on when it decides how to ask for its output; the profile, if the model has one."""
        return self.profile

    def output_profile_beside(self, builtin_tools: Sequence[AbstractBuiltinTool]) -> ModelProfile:
        """The same, in a request with built-in tools; some models take no output tools beside them."""
        return self.output_profile

    @cached_property
    def _found_profile(self) -> ModelProfile:
        from plait_agent import profiles

        said = self._profile
        profile = said(self.model_name) if callable(said) else said
        if profile is None:
            profile = profiles.DEFAULT_PROFILE
        tools = profile.supported_builtin_tools & self.supported_builtin_tools()
        return profile if tools == profile.supported_builtin_tools else replace(profile, supported_builtin_tools=tools)

    @cached_property
    def _transformed_tools(self) -> IdentityMemo[ToolDefinition]:
        return IdentityMemo()

    def _get_instructions(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> str | None:
        """The instructions of a request, and what it says of the form of the output."""
        instructions = find_instructions(messages)
        told = None if model_request_parameters is None else model_request_parameters.prompted_output_instructions
        if told is None or instructions is None:
            return instructions if told is None else told
        return f'{instructions}\n\n{told}'

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return None


def find_instructions(messages: list[ModelMessage]) -> str | None:
    """The instructions of the last request, or of that before it if the last one only answers the model."""
    before_last = False
    for message in reversed(messages):
        if not isinstance(message, ModelRequest):
            continue
        if message.instructions is not None or before_last:
            return message.instructions
        if not all(isinstance(part, (ToolReturnPart, RetryPromptPart)) for part in message.parts):
            return None
        before_last = True
    return None


def make_label(model_name: str) -> str:
    """A model's name for people to read: words with capitals, and the numbers of a version joined with dots."""
    import re

    name = re.sub(r'(?<![^-])(\d[\d.]*)-(?=\d{1,2}(?:-|$))', r'\1.', model_name.rpartition('/')[2])
    first, *rest = name.split('-')
    shown = 'GPT' if first.lower() == 'gpt' else first.capitalize()
    return ' '.join((shown, *(word.capitalize() for word in rest)))
