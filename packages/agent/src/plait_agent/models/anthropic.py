"""Models of Anthropic, through its own library: the messages API, also as Bedrock, Vertex and Foundry serve it.

They work on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from plait_agent.exceptions import UserError
from plait_agent.models import check_allow_model_requests
from plait_agent.models._anthropic.builtin_tools import SUPPORTED
from plait_agent.models._anthropic.content import fill_in
from plait_agent.models._anthropic.decode import decode_message, is_paused
from plait_agent.models._anthropic.encode import Call, encode_call
from plait_agent.models._anthropic.messages import Dialect
from plait_agent.models._anthropic.stream import AnthropicStreamedResponse
from plait_agent.models._provider_model import ProviderModel
from plait_agent.profiles.anthropic import AnthropicModelProfile
from plait_agent.settings import ModelSettings
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from anthropic.types import ModelParam
    from anthropic.types.beta import (
        BetaContainerParams,
        BetaContextManagementConfigParam,
        BetaMetadataParam,
        BetaThinkingConfigParam,
        BetaTokenTaskBudgetParam,
        BetaToolUnionParam,
    )

    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse, ModelResponsePart
    from plait_agent.models import ModelRequestParameters, StreamedResponse
    from plait_agent.models._origin import Origin
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider

__all__ = (
    'AnthropicModel',
    'AnthropicModelName',
    'AnthropicModelSettings',
    'AnthropicStreamedResponse',
    'LatestAnthropicModelNames',
)

LatestAnthropicModelNames: TypeAlias = 'ModelParam'
"""The names that Anthropic's library knows."""
AnthropicModelName: TypeAlias = 'str | LatestAnthropicModelNames'
"""The name of a model, also one that the library does not know."""

_LONGEST_WHOLE_ANSWER = 21_333
"""Tokens; what may be longer can take more than ten minutes, and Anthropic then answers with streams alone."""
_CONTINUATIONS = 10

Ttl: TypeAlias = bool | Literal['5m', '1h']
"""How long a cache keeps something; `True` is five minutes."""


class AnthropicModelSettings(ModelSettings, total=False):
    """Settings of models of Anthropic."""

    anthropic_metadata: BetaMetadataParam
    """What Anthropic is told of the request, such as the `user_id`."""
    anthropic_thinking: BetaThinkingConfigParam
    """Whether the model thinks first: `{'type': 'enabled', 'budget_tokens': 4096}` or `{'type': 'adaptive'}`.

    A model that thinks cannot be forced to call a tool. One whose output is a tool is trusted to call it.
    """
    anthropic_effort: Literal['low', 'medium', 'high', 'xhigh', 'max']
    """How much work the model puts into its answer."""
    anthropic_task_budget: BetaTokenTaskBudgetParam
    """How many tokens the model may use for all of its task, such as `{'type': 'tokens', 'total': 50_000}`."""
    anthropic_service_tier: Literal['auto', 'standard_only']
    """Whether capacity may be used that was bought beforehand."""
    anthropic_speed: Literal['standard', 'fast']
    """How fast the answer is written, by models that have a choice."""
    anthropic_cache: Ttl
    """Keep all of the prompt; Anthropic itself sets the mark at its end."""
    anthropic_cache_instructions: Ttl
    """Keep the prompt up to the end of the instructions."""
    anthropic_cache_tool_definitions: Ttl
    """Keep the prompt up to the end of the definitions of tools."""
    anthropic_cache_messages: Ttl
    """Keep the prompt up to the end of the last message.

    There are four marks in a request, with those of `CachePoint`. Of more, the oldest of messages are left out.
    """
    anthropic_container: BetaContainerParams | str | Literal[False]
    """The container in which code runs. Without it, that of the answers before; `False` begins a new one."""
    anthropic_code_execution_tool_version: Literal['20250522', '20250825', '20260120', '20260521', 'auto']
    """The version of the tool that runs code; `'auto'` leaves it to the profile of the model."""
    anthropic_server_tools: list[BetaToolUnionParam]
    """Definitions of tools that have no class here, such as the advisor or the search for tools, as Anthropic has them.

    One that has the name of a tool of the program takes the place of its definition; the program still runs it.
    """
    anthropic_tool_options: dict[str, dict[str, Any]]
    """What is added to definitions of tools, by their names, such as `{'look_up': {'defer_loading': True}}`."""
    anthropic_eager_input_streaming: bool
    """Whether arguments of calls are streamed as they are written, without being checked first."""
    anthropic_context_management: BetaContextManagementConfigParam
    """What Anthropic leaves out of a conversation that grows long."""
    anthropic_inference_geo: str
    """Where the model is to run."""
    anthropic_betas: list[str]
    """Further features that are asked for by name. Those that other settings need are asked for without it."""
    anthropic_max_continuations: int
    """How often an answer that stops in the middle of its work is sent back to go on by itself; 10 if not given.

    If it then still has not come to its end, it is given as it is, with `finish_reason='length'`. With 0 that is so
    at once; the conversation can then be sent again as it is, to go on.
    """


class AnthropicModel(ProviderModel):
    """A model of Anthropic.

    Args:
        model_name: The name of the model, such as `'claude-sonnet-4-5'`.
        provider: Who serves it: `AnthropicProvider`, or its name, by which it is made from the environment.
        profile: What the model can do, in place of what is known of it.
        settings: What is asked of the model if nothing else is said; see `AnthropicModelSettings`.

    Raises:
        UserError: The provider was named, and the environment has no key for it.
    """

    def __init__(
        self,
        model_name: AnthropicModelName,
        *,
        provider: Provider[Any] | str = 'anthropic',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """The built-in tools that Anthropic has."""
        return SUPPORTED

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and wait for the whole answer.

        An answer that stops in the middle of long work is sent back, so that it goes on, up to
        `anthropic_max_continuations` times. An answer that may be very long is streamed behind the scenes.

        Raises:
            ModelHTTPError: Anthropic has answered with a status of 400 or above.
            ModelAPIError: It could not be reached, or broke off.
            UnexpectedModelBehavior: The answer cannot be read.
            UserError: Something is asked for that models of Anthropic cannot do.
        """
        check_allow_model_requests()
        settings, parameters = self._prepare(model_settings, model_request_parameters)
        call = await self._encode(messages, settings, parameters)
        if settings.get('timeout') is None and call.arguments['max_tokens'] > _LONGEST_WHOLE_ANSWER:
            async with self._stream(call, settings, parameters) as stream:
                async for _ in stream:
                    pass
                return stream.get()
        response = await self._ask(call)
        for _ in range(_continuations_of(settings)):
            if not is_paused(response.provider_details):
                break
            response = await self._ask(call, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and receive the answer while it grows.

        An answer that stops in the middle of long work goes on within the same stream, up to
        `anthropic_max_continuations` times.

        Raises:
            ModelHTTPError: Anthropic has answered with a status of 400 or above, or told of such an error later.
            ModelAPIError: It could not be reached, or broke off.
            UnexpectedModelBehavior: The answer cannot be read.
            UserError: Something is asked for that models of Anthropic cannot do.
        """
        check_allow_model_requests()
        settings, parameters = self._prepare(model_settings, model_request_parameters)
        call = await self._encode(messages, settings, parameters)
        async with self._stream(call, settings, parameters) as stream:
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Count the tokens that a request would have, without making it; Anthropic is asked.

        Raises:
            UserError: The provider has no way to tell, as Bedrock has none.
        """
        check_allow_model_requests()
        if _is_bedrock(self.client):
            raise UserError(
                'Bedrock cannot count the tokens of models of Anthropic. '
                'Leave count_tokens_before_request out of the limits, or ask Anthropic itself.'
            )
        settings, parameters = self._prepare(model_settings, model_request_parameters)
        call = await self._encode(messages, settings, parameters)
        arguments = {name: value for name, value in call.arguments.items() if name in _COUNTED}
        with self._origin_of(call).translating():
            counted = await self.client.beta.messages.count_tokens(**arguments)
        return RequestUsage(input_tokens=counted.input_tokens)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Make schemas fit for the model. That of a native output always binds, so it always has to be fit for that."""
        output = model_request_parameters.output_object
        if output is not None and model_request_parameters.output_mode == 'native':
            bound = replace(output, strict=True)
            model_request_parameters = replace(model_request_parameters, output_object=bound)
        return super().customize_request_parameters(model_request_parameters)

    def _prepare(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[Mapping[str, Any], ModelRequestParameters]:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        return cast('Mapping[str, Any]', settings or {}), parameters

    async def _encode(
        self, messages: list[ModelMessage], settings: Mapping[str, Any], parameters: ModelRequestParameters
    ) -> Call:
        """The call that a request becomes, with all files fetched that have to be."""
        dialect = Dialect(self.system, AnthropicModelProfile.from_profile(self.profile), not _is_bedrock(self.client))
        instructions = self._get_instructions(messages, parameters)
        call = encode_call(self.model_name, messages, instructions, settings, parameters, dialect)
        await fill_in(call.turns.downloads)
        # A time-out that is said is not questioned by the library.
        call.arguments.setdefault('timeout', self.client.timeout)
        return call

    async def _ask(self, call: Call, before: ModelResponse | None = None) -> ModelResponse:
        """Wait for an answer, or for how the one before goes on."""
        if before is not None:
            call.send_back(before.parts, before.provider_details)
        origin = self._origin_of(call)
        with origin.translating():
            message = await self.client.beta.messages.create(**call.arguments, stream=False)
        return decode_message(message, origin, before)

    @asynccontextmanager
    async def _stream(
        self, call: Call, settings: Mapping[str, Any], parameters: ModelRequestParameters
    ) -> AsyncGenerator[AnthropicStreamedResponse]:
        """Open the stream of an answer, and those in which it goes on."""

        async def go_on(parts: Sequence[ModelResponsePart], details: dict[str, Any] | None) -> AsyncIterable[Any]:
            call.send_back(parts, details)
            return await self.client.beta.messages.create(**call.arguments, stream=True)

        origin = self._origin_of(call)
        with origin.translating():
            chunks = await self.client.beta.messages.create(**call.arguments, stream=True)
        async with AnthropicStreamedResponse(
            parameters, origin, chunks, _go_on=go_on, _continuations=_continuations_of(settings)
        ) as stream:
            yield stream

    def _origin_of(self, call: Call) -> Origin:
        """Who is asked, with what must not be told of a call."""
        origin = self._origin
        return replace(origin, secrets=origin.secrets + call.secrets) if call.secrets else origin


_COUNTED = frozenset(
    {
        'model',
        'messages',
        'system',
        'tools',
        'tool_choice',
        'thinking',
        'mcp_servers',
        'output_config',
        'cache_control',
        'context_management',
        'speed',
        'betas',
        'extra_headers',
        'timeout',
    }
)
"""What counts as part of a prompt, and how to ask for the count."""


def _continuations_of(settings: Mapping[str, Any]) -> int:
    return settings.get('anthropic_max_continuations', _CONTINUATIONS)


def _is_bedrock(client: Any) -> bool:
    return 'Bedrock' in type(client).__name__
