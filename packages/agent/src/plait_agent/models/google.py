"""Models of Google: Gemini, by the Gemini API and Vertex AI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plait_agent.builtin_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebFetchTool,
    WebSearchTool,
)
from plait_agent.models import ModelRequestParameters, StreamedResponse, check_allow_model_requests
from plait_agent.models._google.config import http_options, make_options
from plait_agent.models._google.connections import Chunks, Connection, over, reading
from plait_agent.models._google.decode import decode
from plait_agent.models._google.encode import Encoder
from plait_agent.models._google.media import fetch_files
from plait_agent.models._google.stream import GeminiStreamedResponse
from plait_agent.models._provider_model import ProviderModel
from plait_agent.profiles.google import GoogleModelProfile
from plait_agent.settings import ModelSettings
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import MediaResolution, SafetySettingDict, ThinkingConfigDict

    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.output import StructuredOutputMode
    from plait_agent.profiles import ModelProfile, ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.tools import RunContext

__all__ = 'GeminiStreamedResponse', 'GoogleModel', 'GoogleModelName', 'GoogleModelSettings', 'LatestGoogleModelNames'

LatestGoogleModelNames: TypeAlias = Literal[
    'gemini-flash-latest',
    'gemini-flash-lite-latest',
    'gemini-2.0-flash',
    'gemini-2.0-flash-lite',
    'gemini-2.5-flash',
    'gemini-2.5-flash-preview-09-2025',
    'gemini-2.5-flash-image',
    'gemini-2.5-flash-lite',
    'gemini-2.5-flash-lite-preview-09-2025',
    'gemini-2.5-pro',
    'gemini-3-flash-preview',
    'gemini-3-pro-preview',
    'gemini-3-pro-image-preview',
]
"""Some models of Google."""
GoogleModelName: TypeAlias = str | LatestGoogleModelNames
"""A model of Google; any name will do."""

_CONTENTS = ' '
"""What the library is given in the place of the contents, which it takes from the body."""


class GoogleModelSettings(ModelSettings, total=False):
    """Settings of Google's models, beside those that many providers know."""

    google_safety_settings: list[SafetySettingDict]
    """From which probability on harm of some kind blocks an answer."""
    google_thinking_config: ThinkingConfigDict
    """How much the model thinks, and whether its thoughts are told: `{'include_thoughts': True}`."""
    google_labels: dict[str, str]
    """Labels of the request, for bills of Google Cloud."""
    google_video_resolution: MediaResolution
    """How closely images and videos are looked at."""
    google_cached_content: str
    """The name of a cached beginning. System prompts and tools are in it, and are not sent beside it."""
    google_logprobs: bool
    """Whether the probability of each token is told, in the details of the response."""
    google_top_logprobs: int
    """For how many tokens in each place it is told."""


class GoogleModel(ProviderModel):
    """A model of Google.

    Works on asyncio and on trio. The conversation is written by us and sent by Google's library, `google-genai`.

    Args:
        model_name: The name of the model, such as `gemini-2.5-flash`.
        provider: `'google-gla'` (or `'google'`) for the Gemini API, `'google-vertex'` for Vertex AI, or a
            `GoogleProvider`.
        profile: What the model can do, in place of what its name tells.
        settings: What is asked of the model if nothing else is said.
    """

    def __init__(
        self,
        model_name: GoogleModelName,
        *,
        provider: Provider[Client] | str = 'google-gla',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """The built-in tools that Google has."""
        return frozenset(
            {CodeExecutionTool, FileSearchTool, ImageGenerationTool, MCPServerTool, WebFetchTool, WebSearchTool}
        )

    def output_profile_beside(self, builtin_tools: Sequence[AbstractBuiltinTool]) -> ModelProfile:
        """What a run may count on; a model that takes no output tools beside built-in tools is asked for text."""
        profile = self._google_profile
        if profile.google_supports_tool_combination:
            return profile
        return replace(profile, default_structured_output_mode=_mode_beside_builtin_tools(profile))

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Lay settings over the model's own, and fit parameters to its profile.

        Where it is left to the model how data is asked for, and it does not take output tools beside built-in tools,
        it is asked for as text.
        """
        parameters, profile = model_request_parameters, self._google_profile
        is_open = parameters.output_mode == 'auto' and parameters.output_object is not None
        if is_open and parameters.builtin_tools and not profile.google_supports_tool_combination:
            mode = _mode_beside_builtin_tools(profile)
            parameters = replace(parameters, output_mode=mode, allow_text_output=True)
        return super().prepare_request(model_settings, parameters)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and wait for the whole answer."""
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        request = await self._request(messages, settings, parameters)
        with self._origin.translating(), reading(self._origin), over(Connection()):
            response = await self.client.aio.models.generate_content(**request)
            return decode(response, self._origin)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and receive the answer while it grows."""
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        request = await self._request(messages, settings, parameters)
        with self._origin.translating(), reading(self._origin):
            chunks = Chunks(await self.client.aio.models.generate_content_stream(**request), self._origin)
        async with GeminiStreamedResponse(parameters, self._origin, chunks) as stream:
            with self._origin.translating():
                await chunks.begin()
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Let Google count the tokens that a request would have, with its system prompts and tools."""
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        request = await self._request(messages, settings, parameters)
        body, options = request['config']['http_options']['extra_body'], request['config']
        counted: dict[str, Any] = {'contents': body['contents']}
        counted |= {
            name: options[option]
            for option, name in (('system_instruction', 'systemInstruction'), ('tools', 'tools'))
            if option in options
        }
        if not self._is_vertex:
            # Google does without the contents beside this, which have to be there for the library.
            model = f'models/{self.model_name.removeprefix("models/")}'
            counted = {'contents': [], 'generateContentRequest': {'model': model, **counted}}
        http = request['config']['http_options'] | {'extra_body': counted}
        with self._origin.translating(), reading(self._origin), over(Connection()):
            told = await self.client.aio.models.count_tokens(
                model=self.model_name, contents=_CONTENTS, config={'http_options': http}
            )
        return RequestUsage(input_tokens=told.total_tokens or 0, cache_read_tokens=told.cached_content_token_count or 0)

    async def _request(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        """A request as the library takes it; files that Google cannot fetch are fetched before."""
        is_vertex, profile = self._is_vertex, self._google_profile
        fetched = await fetch_files(messages, is_vertex=is_vertex)
        encoder = Encoder(self.system, fetched, profile.google_supported_mime_types_in_tool_returns)
        encoder.encode(messages)
        instructions = self._get_instructions(messages, parameters)
        if instructions:
            encoder.system.append({'text': instructions})
        options = make_options(settings, parameters, profile, encoder.system, is_vertex=is_vertex)
        options['http_options'] = http_options(settings, {'contents': encoder.contents})
        sign_in = getattr(self._provider, 'sign_in', None)
        if sign_in is not None:
            await sign_in()
        return {'model': self.model_name, 'contents': _CONTENTS, 'config': options}

    @property
    def _is_vertex(self) -> bool:
        return self.system == 'google-vertex'

    @property
    def _google_profile(self) -> GoogleModelProfile:
        return GoogleModelProfile.from_profile(self.profile)


def _mode_beside_builtin_tools(profile: GoogleModelProfile) -> StructuredOutputMode:
    """How data is asked for by a model that takes no output tools beside built-in tools."""
    return 'native' if profile.google_supports_native_output_with_builtin_tools else 'prompted'
