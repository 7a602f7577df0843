"""What a run gives while it streams, and what it ends with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, cast

from pydantic_core import ValidationError

from plait_agent._agent_graph import endings
from plait_agent._agent_graph.records import FinalResult
from plait_agent._agent_graph.step import context_for
from plait_agent._typevars import AgentDepsT, OutputDataT
from plait_agent.exceptions import AgentRunError, ModelRetry, UnexpectedModelBehavior, UserError
from plait_agent.messages import (
    BinaryImage,
    FinalResultEvent,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from plait_agent.usage import RunUsage

if TYPE_CHECKING:
    from plait_agent._agent_graph.step import AgentContext, Step
    from plait_agent._agent_graph.telling import Telling
    from plait_agent.models import StreamedResponse
    from plait_agent.tools import DeferredToolRequests, RunContext

__all__ = 'AgentStream', 'FinalResult', 'RunUsage'

_Material: TypeAlias = 'ToolCallPart | BinaryImage | DeferredToolRequests | str'
"""What an output is made of."""


class AgentStream(Generic[AgentDepsT, OutputDataT]):
    """The answer of a model as it comes.

    Iterating gives the events. It may be broken off and gone on with, also by `stream_text` and `stream_output`, which
    begin with what has come by then. What breaks off with an error raises it again when it is gone on with.

    It is used within the block that it comes from, and lends itself to one reader at a time.

    Args:
        ctx: The run.
        step: What was offered to the model.
        response: What the model answers.
        context: The run as output functions and validators see it.
        on_end: Makes the response a part of the run.
    """

    def __init__(
        self,
        ctx: AgentContext,
        step: Step,
        response: StreamedResponse,
        context: RunContext[Any],
        on_end: Callable[[], None],
    ):
        from plait_agent._agent_graph.telling import Telling  # only streams need it

        self._ctx = ctx
        self._on_end = on_end
        self._has_ended = False
        self._step = step
        self._response = response
        self._context = context
        self.final_result_event: FinalResultEvent | None = None
        """What the response matches, once that is seen."""
        self.is_deferral = False
        """Whether that is a call which somebody has to answer from outside."""
        limits = ctx.deps.spending.limits
        self._limits = limits if limits.has_token_limits() else None
        self._events = aiter(response)
        self._failure: Exception | None = None
        self._reader = Telling[ModelResponseStreamEvent](self._read, is_lazy=True)
        """Reads ahead, beside the block, for those who do not want to wait for the next event."""

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, error, traceback)

    # Events

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        return await (anext(self._reader) if self._reader.has_begun else self._next())

    async def _next(self) -> ModelResponseStreamEvent:
        try:
            event = await anext(self._events)
            if self._limits is not None:
                self._limits.check_tokens(self.usage())
        except StopAsyncIteration:
            if self._failure is not None:
                raise self._failure from None
            raise
        except BaseException as error:
            self._failure = error if isinstance(error, Exception) else _broken_off()
            raise
        if type(event) is FinalResultEvent:
            self.final_result_event = event
            self.is_deferral = event.tool_name is None and isinstance(self.response.parts[-1], ToolCallPart)
        return event

    async def _read(self, tell: Callable[[ModelResponseStreamEvent], None]) -> None:
        with suppress(StopAsyncIteration):
            while True:
                tell(await self._next())

    async def close(self) -> None:
        """Read what is left, and make the response a part of the run."""
        await self.read_to_end()
        if not self._has_ended:
            self._has_ended = True
            self._on_end()

    async def read_to_end(self) -> None:
        """Read what is left, and let go of it."""
        async for _ in self:
            pass

    def _groups(self, seconds: float | None, *, is_begun: bool) -> _Groups:
        """What comes from now on, put together for a while, or one by one."""
        self._reader.take()  # what it tells of has come
        if seconds is not None:
            self._reader.begin()
        return _Groups(self, self._reader, seconds, is_begun=is_begun)

    # Values

    async def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncGenerator[str]:
        """Give the text as it grows, or what is new of it.

        Args:
            delta: Whether to give only what is new. Output validators are not asked then.
            debounce_by: For how many seconds what comes is gathered before it is given; `None` for not at all.

        Raises:
            UserError: The output of the run is no text.
        """
        if not self._step.schema.allows_text or self._step.schema.object_def is not None:
            raise UserError('stream_text() can only be used with text responses')
        new = text = ''.join(part.content for part in self.response.parts if isinstance(part, TextPart))
        async for group in self._groups(debounce_by, is_begun=bool(new)):
            more = ''.join(map(_text_of, group))
            text += more
            new += more
            if new:
                yield new if delta else await self._validated_text(text)
            new = ''

    async def _validated_text(self, text: str) -> str:
        if not self._ctx.deps.output_validators:
            return text
        return await endings.validated_output(self._ctx, text, context_for(self._context, partial_output=True))

    async def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputDataT]:
        """Give the output as it grows, as far as it is valid, and at last as it is, wholly validated.

        Output functions and validators are asked each time, with `ctx.partial_output`.

        Args:
            debounce_by: For how many seconds what comes is gathered before it is given; `None` for not at all.
        """
        async with aclosing(self.stream_partial_output(debounce_by=debounce_by)) as outputs:
            async for output in outputs:
                yield output
        yield await self.get_output()

    async def stream_partial_output(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputDataT]:
        """Give the output as it grows, as far as it is valid."""
        last = None
        async for group in self._groups(debounce_by, is_begun=True):
            material = self._material(self.response) if _is_change(group) else None
            if material is None or material == last:
                continue
            last = material
            try:
                output = await self._output_of(material, allow_partial=True)
            except (ValidationError, ModelRetry):
                continue
            yield output

    async def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[ModelResponse]:
        """Give the response as it grows."""
        async for group in self._groups(debounce_by, is_begun=bool(self.response.parts)):
            if _is_change(group):
                yield self.response

    async def get_output(self) -> OutputDataT:
        """Read to the end, and give the output.

        Raises:
            ValidationError: It is not valid.
            ModelRetry: An output function or a validator refuses it.
            UnexpectedModelBehavior: The response has none.
        """
        await self.read_to_end()
        return await self.validate_response_output(self.response)

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """Make an output of a response.

        Raises:
            ValidationError: It is not valid.
            ModelRetry: An output function or a validator refuses it.
            UnexpectedModelBehavior: The response has none.
        """
        material = self._material(message)
        if material is None:
            raise UnexpectedModelBehavior('The response has no output that the run could end with.')
        return await self._output_of(material, allow_partial=allow_partial)

    @property
    def has_output(self) -> bool:
        """Whether there is anything in the response that the run could end with."""
        return self._material(self.response) is not None

    def _material(self, message: ModelResponse) -> _Material | None:
        """What of a response the output is made of: that which has matched first, if something has."""
        schema, content, event = self._step.schema, endings.read(message), self.final_result_event
        calls = [call for call in content.calls if call.tool_name in schema.tools]
        if calls and (event is None or event.tool_name is not None):
            return next((call for call in calls if event and call.tool_call_id == event.tool_call_id), calls[0])
        if schema.allows_image and content.image is not None:
            return content.image
        if schema.text is not None and content.has_text:
            return content.text
        return self._deferred(content.calls) if schema.allows_deferred and content.calls else None

    def _deferred(self, calls: Sequence[ToolCallPart]) -> DeferredToolRequests:
        from plait_agent.tools import DeferredToolRequests

        kinds = {definition.name: definition.kind for definition in self._step.parameters.function_tools}
        return DeferredToolRequests(
            calls=[call for call in calls if kinds.get(call.tool_name) == 'external'],
            approvals=[call for call in calls if kinds.get(call.tool_name) == 'unapproved'],
        )

    async def _output_of(self, material: _Material, *, allow_partial: bool) -> OutputDataT:
        schema = self._step.schema
        changes: dict[str, Any] = {'partial_output': allow_partial, 'retry': self._ctx.state.retries}
        if isinstance(material, ToolCallPart):
            changes |= {'tool_name': material.tool_name, 'tool_call_id': material.tool_call_id}
        context = context_for(self._context, max_retries=self._ctx.deps.max_result_retries, **changes)
        output: Any = material
        if isinstance(material, ToolCallPart):
            tool = schema.tools[material.tool_name]
            output = tool.validate(
                material.args, allow_partial=allow_partial, validation_context=context.validation_context
            )
            output = await tool.call(output, context)
        elif isinstance(material, str) and schema.text is not None:
            output = schema.text.validate(
                material, allow_partial=allow_partial, validation_context=context.validation_context
            )
            output = await schema.text.call(output, context)
        return cast('OutputDataT', await endings.validated_output(self._ctx, output, context))

    # The run

    @property
    def response(self) -> ModelResponse:
        """The response, as far as it has come."""
        return self._response.get()

    def get(self) -> ModelResponse:
        """The response, as far as it has come."""
        return self._response.get()

    def usage(self) -> RunUsage:
        """What the run has used so far, this response included."""
        return self._ctx.state.usage + self._response.usage()

    def timestamp(self) -> datetime:
        """When the response began."""
        return self._response.timestamp

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._ctx.state.run_id

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the program has noted about the run."""
        return self._ctx.state.metadata


class _Groups(AsyncIterator[Sequence[ModelResponseStreamEvent]]):
    """Events put together for a while, or one by one; no generator, so that it can be left at any point.

    Args:
        events: The events, to be read one by one.
        reader: What gathers them.
        seconds: For how long; `None` for not at all.
        is_begun: Whether what has come before is to be a part of the first group, which may be empty then.
    """

    def __init__(
        self,
        events: AsyncIterator[ModelResponseStreamEvent],
        reader: Telling[ModelResponseStreamEvent],
        seconds: float | None,
        *,
        is_begun: bool,
    ):
        self._events = events
        self._reader = reader
        self._seconds = seconds
        self._is_begun = is_begun

    async def __anext__(self) -> Sequence[ModelResponseStreamEvent]:
        is_begun, self._is_begun = self._is_begun, False
        if self._seconds is None:
            return () if is_begun else (await anext(self._events),)
        group = await self._reader.gather(self._seconds, is_begun=is_begun)
        if not group and not is_begun:
            raise StopAsyncIteration
        return group


def _is_change(group: Sequence[ModelResponseStreamEvent]) -> bool:
    """Whether events, or what has come before them, have added to a response."""
    return not group or any(isinstance(event, PartStartEvent | PartDeltaEvent) for event in group)


def _text_of(event: ModelResponseStreamEvent) -> str:
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ''
    return event.part.content if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart) else ''


def _broken_off() -> AgentRunError:
    return AgentRunError(
        'The answer of the model was broken off while it was waited for, and cannot be gone on with. '
        'Let stream_text, stream_output or stream_responses gather it (debounce_by), which may be cancelled.'
    )


def __getattr__(name: str) -> Any:
    if name == 'StreamedRunResult':
        from plait_agent._streamed_run import StreamedRunResult

        return StreamedRunResult
    if name == 'StreamedRunResultSync':
        from plait_agent._streamed_sync import StreamedRunResultSync

        return StreamedRunResultSync
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
