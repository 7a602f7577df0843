"""Models that are asked in OpenAI's chat completions format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from typing_extensions import deprecated

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.exceptions import ModelHTTPError, UserError
from plait_agent.models import CompletedStreamedResponse, StreamedResponse, check_allow_model_requests
from plait_agent.models._download import fetch_content
from plait_agent.models._json_events import JsonEvents
from plait_agent.models._memo import IdentityMemo
from plait_agent.models._openai_chat.arguments import encode_output, encode_settings, encode_tools, encode_web_search
from plait_agent.models._openai_chat.encode import MessageEncoder
from plait_agent.models._openai_chat.errors import answer_of
from plait_agent.models._openai_chat.media import find_wanted
from plait_agent.models._openai_chat.stream import OpenAIStreamedResponse
from plait_agent.models._provider_model import ProviderModel
from plait_agent.profiles.openai import OpenAIModelProfile

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from plait_agent._messages.content import FileUrl
    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import BinaryContent, ModelMessage, ModelResponse
    from plait_agent.models import ModelRequestParameters
    from plait_agent.models._origin import Origin
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.profiles.openai import OpenAISystemPromptRole
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings


class OpenAIChatModel(ProviderModel):
    """A model that is asked in OpenAI's chat completions format, whoever serves it.

    Args:
        model_name: The name of the model, as its provider calls it.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        system_prompt_role: Who says system prompts and instructions, in place of what the profile says.
        settings: What is asked of the model if nothing else is said.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[AsyncOpenAI] | str = 'openai',
        profile: ModelProfileSpec | None = None,
        system_prompt_role: OpenAISystemPromptRole | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
        self._system_prompt_role = system_prompt_role
        self._encoded_tools: IdentityMemo[dict[str, Any]] = IdentityMemo()
        self._fetched: IdentityMemo[BinaryContent] = IdentityMemo()

    _body_settings: ClassVar[Mapping[str, str]] = {}
    """Settings that only one provider has, and what they are called in a request."""

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Web search, which only some models can do in this format."""
        return frozenset((WebSearchTool,))

    @cached_property
    def _found_profile(self) -> OpenAIModelProfile:
        profile = OpenAIModelProfile.from_profile(super()._found_profile)
        changes: dict[str, Any] = {}
        if not profile.openai_chat_supports_web_search:
            changes['supported_builtin_tools'] = frozenset[Any]()
        if self._system_prompt_role is not None:
            changes['openai_system_prompt_role'] = self._system_prompt_role
        return replace(profile, **changes)

    @property
    def profile(self) -> OpenAIModelProfile:
        """What the model can do."""
        return self._found_profile

    @property
    def system_prompt_role(self) -> OpenAISystemPromptRole | None:
        """Who says system prompts and instructions; `None` means the system."""
        return self.profile.openai_system_prompt_role

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Lay settings over the model's own, and fit parameters to its profile.

        Raises:
            UserError: The model lacks what the parameters ask for.
        """
        searches = any(isinstance(tool, WebSearchTool) for tool in model_request_parameters.builtin_tools)
        if searches and not self.profile.openai_chat_supports_web_search:
            raise UserError(
                f'WebSearchTool is not supported with `{type(self).__name__}` and model {self.model_name!r}. '
                f'Please use `OpenAIResponsesModel` instead.'
            )
        return super().prepare_request(model_settings, model_request_parameters)

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

        Raises:
            UserError: The request holds what the provider does not take.
            ModelHTTPError: The provider has refused it.
            ModelAPIError: The provider cannot be reached, or has told of an error.
            UnexpectedModelBehavior: The answer makes no sense.
        """
        parameters, arguments = await self._prepare(messages, model_settings, model_request_parameters)
        try:
            with self._origin.translating():
                completion = await self.client.chat.completions.create(**arguments, stream=False)
        except ModelHTTPError as error:
            return _answer_or_raise(error, self._origin)
        return self._new_stream(parameters).take_whole(_as_json(completion, self._origin))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model, and receive the answer while it grows. Leaving the block closes the connection.

        Args:
            messages: All that has been said; the last message is what is asked.
            model_settings: Go over the model's own settings.
            model_request_parameters: The tools, and the form of the answer.
            run_context: The run that asks, if there is one.

        Raises:
            UserError: The request holds what the provider does not take.
            ModelHTTPError: The provider has refused it.
            ModelAPIError: The provider cannot be reached, has told of an error, or has broken off.
            UnexpectedModelBehavior: The answer makes no sense.
        """
        parameters, arguments = await self._prepare(messages, model_settings, model_request_parameters)
        if self.profile.openai_chat_supports_stream_options:
            arguments['stream_options'] = self._stream_options(model_settings)
        try:
            with self._origin.translating():
                connection = await self.client.chat.completions.create(**arguments, stream=True)
        except ModelHTTPError as error:
            stream = CompletedStreamedResponse(parameters, _answer_or_raise(error, self._origin))
        else:
            stream = self._new_stream(parameters, connection)
        async with stream:
            yield stream

    async def _prepare(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> tuple[ModelRequestParameters, dict[str, Any]]:
        """What is asked for as the profile has it, and the arguments of the library."""
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        await self._fetch(messages)
        profile = self.profile
        instructions = self._get_instructions(messages, parameters)
        arguments: dict[str, Any] = {
            'model': self._model_name,
            'messages': self._encoder.encode(messages, instructions, self._fetched_file),
            **encode_tools(settings, parameters, profile, self._encoded_tools),
            **encode_output(parameters, profile),
            **encode_web_search(parameters.builtin_tools),
            **self._encode_settings(settings),
        }
        return parameters, arguments

    def _encode_settings(self, settings: ModelSettings | None) -> dict[str, Any]:
        arguments = encode_settings(settings, self.profile)
        said = cast('Mapping[str, Any]', settings or {})
        own = {field: said[name] for name, field in self._body_settings.items() if name in said}
        if own:
            arguments['extra_body'] = {**own, **arguments.get('extra_body', {})}
        return arguments

    def _stream_options(self, settings: ModelSettings | None) -> dict[str, Any]:
        options = {'include_usage': True}
        if cast('Mapping[str, Any]', settings or {}).get('openai_continuous_usage_stats'):
            options['continuous_usage_stats'] = True
        return options

    async def _fetch(self, messages: list[ModelMessage]) -> None:
        """Fetch the files that the provider wants as bytes, each once for as long as its message lives."""
        for item in find_wanted(messages, self.profile):
            if self._fetched.get(item) is None:
                self._fetched.put(item, await self._fetch_one(item))

    async def _fetch_one(self, item: FileUrl) -> BinaryContent:
        try:
            return await fetch_content(item)
        except UserError:
            raise
        except Exception as error:
            # What follows a question mark may be a key.
            url = item.url.partition('?')[0]
            raise self._origin.failure(f'The file {url} cannot be fetched for the model ({error!r})') from error

    def _fetched_file(self, item: FileUrl) -> BinaryContent:
        content = self._fetched.get(item)
        if content is None:
            raise KeyError(item)  # all that are wanted were fetched
        return content

    @cached_property
    def _encoder(self) -> MessageEncoder:
        return MessageEncoder(self.profile, self.system)

    def _new_stream(self, parameters: ModelRequestParameters, connection: Any = None) -> OpenAIStreamedResponse:
        chunks = JsonEvents(connection, self._origin, tells_end=True)
        return OpenAIStreamedResponse(parameters, self._origin, chunks, _profile=self.profile)


@deprecated('`OpenAIModel` is deprecated, use `OpenAIChatModel` instead')
class OpenAIModel(OpenAIChatModel):
    """The former name of `OpenAIChatModel`."""


def _as_json(completion: Any, origin: Origin) -> Mapping[str, Any]:
    """A record of the library as what it was read from."""
    if hasattr(completion, 'to_dict'):
        return completion.to_dict(warnings=False)
    raise origin.unexpected('The answer is not JSON', body=str(completion))


def _answer_or_raise(error: ModelHTTPError, origin: Origin) -> ModelResponse:
    """The answer that a refused request stands for; else it is refused."""
    answer = answer_of(error, origin)
    if answer is None:
        raise error
    return answer
