"""A model for tests: it calls every tool once and then answers, with values that fit the schemas."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from plait_agent._stamps import now_utc
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse
from plait_agent.models._estimates import TextCount, count_input, count_response_part, estimate_usage
from plait_agent.models._replay import split_words
from plait_agent.models._test_data import generate

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponsePart, ModelResponseStreamEvent
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

__all__ = 'TestModel', 'TestStreamedResponse'


@dataclass(init=False, eq=False)
class TestModel(Model):
    """Answers without any model: calls each tool once, then gives the output.

    The first answer of a conversation calls the tools; where tools ask for a retry, they are called again. The output
    is a text that tells what the tools have returned, or a call of an output tool. All arguments are made from the
    schemas, which a validator may know better than.

    Args:
        call_tools: The names of the tools to be called, or `'all'`.
        custom_output_text: The output, if it is to be text.
        custom_output_args: The arguments of the output tool.
        seed: Other seeds give other arguments, and another output tool if there are several.
        model_name: The name to go by.
        profile: What the model can do.
        settings: Taken and not used.
    """

    __test__ = False
    """It is no class of tests."""

    call_tools: list[str] | Literal['all']
    custom_output_text: str | None
    custom_output_args: Any
    seed: int
    last_model_request_parameters: ModelRequestParameters | None
    """What the last request has asked for."""

    def __init__(
        self,
        *,
        call_tools: list[str] | Literal['all'] = 'all',
        custom_output_text: str | None = None,
        custom_output_args: Any = None,
        seed: int = 0,
        model_name: str = 'test',
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(settings=settings, profile=profile)
        if custom_output_text is not None and custom_output_args is not None:
            raise UserError(
                'TestModel is given both custom_output_text and custom_output_args. '
                'Give the one that the output type asks for.'
            )
        self.call_tools = call_tools
        self.custom_output_text = custom_output_text
        self.custom_output_args = custom_output_args
        self.seed = seed
        self.last_model_request_parameters = None
        self._model_name = model_name

    @property
    def model_name(self) -> str:
        """The name that it goes by."""
        return self._model_name

    @property
    def system(self) -> str:
        """`'test'`."""
        return 'test'

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """All of them by the profile; a request with one is refused."""
        from plait_agent.builtin_tools import SUPPORTED_BUILTIN_TOOLS

        return SUPPORTED_BUILTIN_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Call tools, or give the output."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = self._answer(messages, parameters)
        return ModelResponse(parts, model_name=self._model_name, usage=estimate_usage(messages, parts))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Call tools, or give the output word by word."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = self._answer(messages, parameters)
        async with TestStreamedResponse(parameters, self._model_name, parts, count_input(messages)) as stream:
            yield stream

    def _answer(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> list[ModelResponsePart]:
        """The parts of the answer."""
        if parameters.builtin_tools:
            raise UserError('TestModel does not support built-in tools')
        self.last_model_request_parameters = parameters
        if not any(isinstance(message, ModelResponse) for message in messages):
            calls = [self._call(tool, f'pyd_ai_tool_call_id__{tool.name}') for tool in self._tools_to_call(parameters)]
            return [*calls] or [self._output(messages, parameters)]
        if not isinstance(messages[-1], ModelRequest):
            raise AssertionError('Expected last message to be a `ModelRequest`.')
        return [*self._retries(messages[-1], parameters)] or [self._output(messages, parameters)]

    def _tools_to_call(self, parameters: ModelRequestParameters) -> list[ToolDefinition]:
        if self.call_tools == 'all':
            return parameters.function_tools
        by_name = {tool.name: tool for tool in parameters.function_tools}
        unknown = [name for name in self.call_tools if name not in by_name]
        if unknown:
            raise KeyError(f'TestModel is to call {unknown}, and there are {list(by_name)}. Give call_tools of these.')
        return [by_name[name] for name in self.call_tools]

    def _retries(self, request: ModelRequest, parameters: ModelRequestParameters) -> Iterator[ToolCallPart]:
        """Another call of each tool that asks for one. Its id is new, since a call is answered once."""
        failed = {part.tool_name for part in request.parts if isinstance(part, RetryPromptPart)}
        for tool in parameters.function_tools:
            if tool.name in failed:
                yield self._call(tool)
        for tool in parameters.output_tools:
            if tool.name in failed:
                yield self._output_call(tool)

    def _output(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> TextPart | ToolCallPart:
        tools = parameters.output_tools
        if self.custom_output_text is not None:
            if not parameters.allow_text_output:
                raise AssertionError('Plain response not allowed, but `custom_output_text` is set.')
            return TextPart(self.custom_output_text)
        if self.custom_output_args is not None and not tools:
            raise UserError(
                'TestModel is given custom_output_args, and no output tool is there to take them. '
                'Give custom_output_text, or the agent an output type that is asked for with a tool.'
            )
        if tools and (self.custom_output_args is not None or not parameters.allow_text_output):
            return self._output_call(tools[self.seed % len(tools)])
        return TextPart(_tell_returns(messages))

    def _output_call(self, tool: ToolDefinition) -> ToolCallPart:
        call_id = f'pyd_ai_tool_call_id__{tool.name}'
        if self.custom_output_args is None:
            return self._call(tool, call_id)
        from pydantic_core import to_jsonable_python

        args = to_jsonable_python(self.custom_output_args)
        key = tool.outer_typed_dict_key
        return ToolCallPart(tool.name, args if key is None else {key: args}, call_id)

    def _call(self, tool: ToolDefinition, call_id: str | None = None) -> ToolCallPart:
        args = generate(tool.parameters_json_schema, self.seed)
        return ToolCallPart(tool.name, args) if call_id is None else ToolCallPart(tool.name, args, call_id)


@dataclass
class TestStreamedResponse(StreamedResponse):
    """Parts that are there, told as a stream: text word by word, everything else in one go."""

    __test__ = False

    _model_name: str
    _parts: list[ModelResponsePart]
    _input_tokens: int
    _timestamp: datetime = field(default_factory=now_utc, init=False)

    def __post_init__(self) -> None:
        self._usage.input_tokens = self._input_tokens

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        for index, part in enumerate(self._parts):
            if not isinstance(part, TextPart):
                self._usage.output_tokens += count_response_part(part)
                for event in self._parts_manager.handle_part(vendor_part_id=index, part=part):
                    yield event
                continue
            count = TextCount()
            for word in ('', *split_words(part.content)):
                self._usage.output_tokens += count.add(word)
                for event in self._parts_manager.handle_text_delta(vendor_part_id=index, content=word):
                    yield event

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self._model_name

    @property
    def provider_name(self) -> None:
        """Nobody, as in a plain response."""

    @property
    def provider_url(self) -> None:
        """Nowhere."""

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp


def _tell_returns(messages: list[ModelMessage]) -> str:
    """What the tools have returned, as JSON by their names; of several returns of a tool the last one."""
    returns = {
        part.tool_name: part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    if not returns:
        return 'success (no tool calls)'
    from pydantic_core import to_json

    return to_json(returns).decode()
