"""A model that is a function of the messages: for tests, for rules, and for models that have no other door."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from plait_agent._stamps import now_utc
from plait_agent.messages import BuiltinToolCallPart, BuiltinToolReturnPart, ModelResponse
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse
from plait_agent.models._estimates import CallCount, TextCount, count_input, count_response_part, estimate_usage

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponseStreamEvent
    from plait_agent.profiles import ModelProfile, ModelProfileSpec
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

__all__ = (
    'AgentInfo',
    'BuiltinToolCallsReturns',
    'DeltaThinkingCalls',
    'DeltaThinkingPart',
    'DeltaToolCall',
    'DeltaToolCalls',
    'FunctionDef',
    'FunctionModel',
    'FunctionStreamedResponse',
    'StreamFunctionDef',
)


@dataclass(frozen=True, kw_only=True)
class AgentInfo:
    """What a function is told beside the messages."""

    function_tools: list[ToolDefinition]
    """The tools that can be called."""
    allow_text_output: bool
    """Whether text can be the output."""
    output_tools: list[ToolDefinition]
    """The tools whose call is the output."""
    model_settings: ModelSettings | None
    """The settings of the request."""
    model_request_parameters: ModelRequestParameters
    """All that the request asks for."""
    instructions: str | None
    """The instructions, with what the model is told of the form of the output."""


@dataclass
class DeltaToolCall:
    """More of a tool call. Nothing is told of the call until its name is known."""

    name: str | None = None
    """More of the name."""
    json_args: str | None = None
    """More of the arguments."""
    tool_call_id: str | None = field(default=None, kw_only=True)
    """The id of the call; without one it is given one."""


@dataclass
class DeltaThinkingPart:
    """More of a thought."""

    content: str | None = field(default=None, kw_only=True)
    """More of the text."""
    signature: str | None = field(default=None, kw_only=True)
    """The signature."""


DeltaToolCalls: TypeAlias = dict[int, DeltaToolCall]
"""More of tool calls, by their place."""
DeltaThinkingCalls: TypeAlias = dict[int, DeltaThinkingPart]
"""More of thoughts, by their place."""
BuiltinToolCallsReturns: TypeAlias = dict[int, BuiltinToolCallPart | BuiltinToolReturnPart]
"""Calls and returns of built-in tools, by their place."""

FunctionDef: TypeAlias = Callable[[list['ModelMessage'], AgentInfo], ModelResponse | Awaitable[ModelResponse]]
"""A function that answers."""
StreamFunctionDef: TypeAlias = Callable[
    [list['ModelMessage'], AgentInfo],
    AsyncIterator[str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns],
]
"""An async generator that answers bit by bit."""


@dataclass(init=False, eq=False)
class FunctionModel(Model):
    """Answers with what a function says.

    One of the two functions is enough: without a `stream_function` a stream brings the answer in one go, and without a
    `function` a plain request waits for the end of the stream. A function that is not asynchronous runs on the event
    loop, so it should not block.

    Args:
        function: Makes the whole answer, synchronously or not.
        stream_function: An async generator that makes the answer bit by bit.
        model_name: The name to go by; without it, the names of the functions.
        profile: What the model can do; without it, all forms of output except images.
        settings: What the functions are told if nothing else is said.

    Raises:
        TypeError: Neither function is given.
    """

    function: FunctionDef | None
    stream_function: StreamFunctionDef | None

    def __init__(
        self,
        function: FunctionDef | None = None,
        *,
        stream_function: StreamFunctionDef | None = None,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        if function is None and stream_function is None:
            raise TypeError('Either `function` or `stream_function` must be provided')
        super().__init__(settings=settings, profile=profile or _profile)
        self.function = function
        self.stream_function = stream_function
        self._model_name = model_name or f'function:{_name_of(function)}:{_name_of(stream_function)}'

    @property
    def model_name(self) -> str:
        """The name that it goes by."""
        return self._model_name

    @property
    def system(self) -> str:
        """`'function'`."""
        return 'function'

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """All of them: the function answers for what they do."""
        from plait_agent.builtin_tools import SUPPORTED_BUILTIN_TOOLS

        return SUPPORTED_BUILTIN_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the function. Its response gets a name and an estimated usage if it has none."""
        if self.function is None:
            async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
                async for _ in stream:
                    pass
                return stream.get()
        info = self._tell(messages, model_settings, model_request_parameters)
        response = self.function(messages, info)
        if hasattr(response, '__await__'):
            response = await cast('Awaitable[ModelResponse]', response)
        if not isinstance(response, ModelResponse):
            raise TypeError(
                f'The function of {self._model_name!r} has returned {response!r}. Let it return a ModelResponse.'
            )
        return self._completed(response, messages)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the function that streams, or the other one."""
        if self.stream_function is None:
            async with super().request_stream(messages, model_settings, model_request_parameters) as whole:
                yield whole
            return
        info = self._tell(messages, model_settings, model_request_parameters)
        items = self.stream_function(messages, info)
        if not hasattr(items, '__aiter__'):
            raise TypeError(
                f'The stream function of {self._model_name!r} has returned {items!r}. '
                f'Let it be an async generator: async def with yield.'
            )
        parameters = info.model_request_parameters
        async with FunctionStreamedResponse(parameters, self._model_name, items, count_input(messages)) as stream:
            yield stream

    def _completed(self, response: ModelResponse, messages: list[ModelMessage]) -> ModelResponse:
        """A copy with name and usage; the function may give its response again, so that one is not changed."""
        counted = any(vars(response.usage).values())
        usage = response.usage if counted else estimate_usage(messages, response.parts)
        # Several times quicker than `dataclasses.replace`.
        completed = object.__new__(type(response))
        completed.__dict__.update(response.__dict__, usage=usage, model_name=response.model_name or self._model_name)
        return completed

    def _tell(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> AgentInfo:
        """What the function is told."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        return AgentInfo(
            function_tools=parameters.function_tools,
            allow_text_output=parameters.allow_text_output,
            output_tools=parameters.output_tools,
            model_settings=settings,
            model_request_parameters=parameters,
            instructions=self._get_instructions(messages, parameters),
        )


@dataclass
class FunctionStreamedResponse(StreamedResponse):
    """What a stream function yields, as a stream of events."""

    _model_name: str
    _iter: AsyncIterator[str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns]
    _input_tokens: int
    _timestamp: datetime = field(default_factory=now_utc)
    _text_count: TextCount = field(default_factory=TextCount, init=False)
    _call_counts: dict[int, CallCount] = field(default_factory=dict[int, CallCount], init=False)
    _thought_counts: dict[int, TextCount] = field(default_factory=dict[int, TextCount], init=False)

    def __post_init__(self) -> None:
        self._usage.input_tokens = self._input_tokens

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        is_empty = True
        async for item in self._iter:
            is_empty = False
            events = self._on_text(item) if isinstance(item, str) else self._on_deltas(item)
            for event in events:
                yield event
        if is_empty:
            raise ValueError('Stream function must return at least one item')

    async def close_stream(self) -> None:
        """Close the function."""
        close = getattr(self._iter, 'aclose', None)
        if close is not None:
            await close()

    def _on_text(self, text: str) -> Iterable[ModelResponseStreamEvent]:
        self._usage.output_tokens += self._text_count.add(text)
        return self._parts_manager.handle_text_delta(vendor_part_id='content', content=text)

    def _on_deltas(self, deltas: Any) -> Iterator[ModelResponseStreamEvent]:
        """The events of a dictionary with something for one or several parts."""
        if not isinstance(deltas, dict):
            raise _unknown_item(self._model_name, deltas)
        for place, delta in cast('dict[int, Any]', deltas).items():
            if isinstance(delta, DeltaToolCall):
                yield from self._on_call(place, delta)
            elif isinstance(delta, DeltaThinkingPart):
                yield from self._on_thinking(place, delta)
            elif isinstance(delta, (BuiltinToolCallPart, BuiltinToolReturnPart)):
                self._usage.output_tokens += count_response_part(delta)
                yield from self._parts_manager.handle_part(vendor_part_id=place, part=delta)
            else:
                raise _unknown_item(self._model_name, delta)

    def _on_call(self, place: int, delta: DeltaToolCall) -> Iterable[ModelResponseStreamEvent]:
        count = self._call_counts.setdefault(place, CallCount())
        self._usage.output_tokens += count.add(delta.name, delta.json_args)
        return self._parts_manager.handle_tool_call_delta(
            vendor_part_id=place, tool_name=delta.name, args=delta.json_args, tool_call_id=delta.tool_call_id
        )

    def _on_thinking(self, place: int, delta: DeltaThinkingPart) -> Iterable[ModelResponseStreamEvent]:
        count = self._thought_counts.setdefault(place, TextCount())
        self._usage.output_tokens += count.add(delta.content or '')
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=place,
            content=delta.content,
            signature=delta.signature,
            provider_name='function' if delta.signature else None,
        )

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self._model_name

    @property
    def provider_name(self) -> None:
        """Nobody."""

    @property
    def provider_url(self) -> None:
        """Nowhere."""

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp


def _profile(_: str) -> ModelProfile:
    """What a function can be expected to do: every form of output that is text."""
    from plait_agent.profiles import ModelProfile

    return ModelProfile(supports_json_schema_output=True, supports_json_object_output=True)


def _name_of(function: object) -> str:
    """The name of a function, of what a partial calls, or of the class of a callable object."""
    while isinstance(function, partial):
        function = cast('partial[Any]', function).func
    if function is None:
        return ''
    return getattr(function, '__name__', None) or type(function).__name__


def _unknown_item(model_name: str, item: object) -> TypeError:
    return TypeError(
        f'The stream function of {model_name!r} has yielded {item!r}. Let it yield text, or dictionaries of '
        f'DeltaToolCall, DeltaThinkingPart, BuiltinToolCallPart or BuiltinToolReturnPart by their place.'
    )
