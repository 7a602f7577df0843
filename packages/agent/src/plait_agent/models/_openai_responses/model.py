"""Models in OpenAI's responses format."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plait_agent.models import check_allow_model_requests
from plait_agent.models._json_events import JsonEvents, read_json
from plait_agent.models._openai_responses.background import wait_until_done
from plait_agent.models._openai_responses.builtin_tools import SUPPORTED
from plait_agent.models._openai_responses.decode import decode_response
from plait_agent.models._openai_responses.encode import Asked, RequestWriter
from plait_agent.models._openai_responses.settings import OpenAIResponsesModelSettings
from plait_agent.models._openai_responses.stream import OpenAIResponsesStreamedResponse
from plait_agent.models._provider_model import ProviderModel
from plait_agent.profiles.openai import OpenAIModelProfile
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models._parameters import ModelRequestParameters
    from plait_agent.models._stream import StreamedResponse
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings

__all__ = 'OpenAIResponsesModel', 'OpenAIResponsesModelSettings'

_COUNTED = (
    'conversation',
    'extra_headers',
    'input',
    'instructions',
    'parallel_tool_calls',
    'previous_response_id',
    'reasoning',
    'text',
    'timeout',
    'tool_choice',
    'tools',
    'truncation',
)
"""The arguments of a request that bear on the number of its tokens."""


class OpenAIResponsesModel(ProviderModel):
    """A model that is asked in OpenAI's responses format, by OpenAI or by servers that speak it.

    Beside tools of the program it can use those that OpenAI runs (`WebSearchTool`, `CodeExecutionTool`,
    `FileSearchTool`, `ImageGenerationTool`, `MCPServerTool`); what they do is in the answer as `BuiltinToolCallPart`,
    `BuiltinToolReturnPart` and `FilePart`. Thoughts go back to the model with the history. What a text cites is in
    `provider_details['annotations']` of its part; why a model refuses, in `provider_details['refusal']` of the answer.
    Works on asyncio and on trio.

    Args:
        model_name: The name of the model, as its provider calls it.
        provider: Who serves it, or the name of the provider.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said; see `OpenAIResponsesModelSettings`.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[Any] | str = 'openai',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """The tools that OpenAI runs."""
        return SUPPORTED

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and wait for the whole answer.

        An answer that is made in the background is asked for until it is there; if the caller is cancelled, so is it.

        Raises:
            ModelHTTPError: OpenAI has answered with a status of 400 or above.
            ModelAPIError: OpenAI could not be reached, or the model has failed.
            UnexpectedModelBehavior: The answer cannot be read.
            UserError: The request asks for something that OpenAI cannot do.
        """
        check_allow_model_requests()
        arguments, _ = await self._write(messages, model_settings, model_request_parameters)
        responses = self.client.responses.with_raw_response
        with self._origin.translating():
            received = await responses.create(model=self._model_name, stream=False, **arguments)
            response = read_json(received.content, self._origin, received.request_id)
            if arguments.get('background'):
                response = await wait_until_done(responses, response, self._origin)
        return decode_response(response, self._origin, request_id=received.request_id)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and receive the answer while it grows. Leaving the block closes the stream.

        Raises:
            ModelHTTPError: OpenAI has answered with a status of 400 or above.
            ModelAPIError: OpenAI could not be reached.
            UserError: The request asks for something that OpenAI cannot do.
        """
        check_allow_model_requests()
        arguments, parameters = await self._write(messages, model_settings, model_request_parameters)
        with self._origin.translating():
            connection = await self.client.responses.create(model=self._model_name, stream=True, **arguments)
        events = JsonEvents(connection, self._origin)
        async with OpenAIResponsesStreamedResponse(parameters, self._origin, events) as stream:
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Let OpenAI count the tokens that a request would have, without making it.

        Raises:
            ModelHTTPError: OpenAI, or a server that cannot count, has answered with a status of 400 or above.
            ModelAPIError: OpenAI could not be reached.
        """
        check_allow_model_requests()
        arguments, _ = await self._write(messages, model_settings, model_request_parameters)
        counted = {name: value for name, value in arguments.items() if name in _COUNTED}
        with self._origin.translating():
            count = await self.client.responses.input_tokens.count(model=self._model_name, **counted)
        return RequestUsage(input_tokens=count.input_tokens)

    async def _write(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[dict[str, Any], ModelRequestParameters]:
        """The arguments of a request, and the parameters as they fit the model."""
        settings, parameters = self.prepare_request(settings, parameters)
        instructions = self._get_instructions(messages, parameters)
        asked = Asked(messages, settings, parameters, instructions)
        return await self._writer.write(asked), parameters

    @cached_property
    def _writer(self) -> RequestWriter:
        return RequestWriter(self.system, OpenAIModelProfile.from_profile(self.profile))
