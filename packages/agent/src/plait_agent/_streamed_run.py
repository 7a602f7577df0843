"""Runs whose output is watched while it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, cast

import anyio
from pydantic_core import ValidationError

from plait_agent._agent_graph.nodes import CallToolsNode, ModelRequestNode, is_agent_node
from plait_agent._agent_graph.records import FinalResult
from plait_agent._agent_graph.step import run_context
from plait_agent._agent_graph.telling import Telling
from plait_agent._histories import dumped
from plait_agent._typevars import DepsT, OutputT
from plait_agent.exceptions import ModelRetry
from plait_agent.messages import ModelMessage, ModelResponse
from plait_agent.result import AgentStream
from plait_agent.run import AgentRun
from plait_graph import End

if TYPE_CHECKING:
    from plait_agent.agent._start import Start
    from plait_agent.agent.options import EventStreamHandler
    from plait_agent.tools import RunContext
    from plait_agent.usage import RunUsage

Until: TypeAlias = Literal['match', 'end']
"""When the output of a streamed run is known: with the first output that matches, or when the run has ended."""


class Answers(Protocol):
    """The answers of a model in which an output has shown itself, one after the other."""

    @property
    def current(self) -> AgentStream[Any, Any] | None:
        """The one that comes now; nothing if the run has ended."""
        ...

    async def next(self) -> AgentStream[Any, Any] | None:
        """Let go of the current one, and wait for the one that follows."""
        ...

    async def final(self) -> FinalResult[Any]:
        """Go on to the end of the run."""
        ...


class StreamedRunResult(Generic[DepsT, OutputT]):
    """The output of a run as it comes; made by `Agent.run_stream`.

    Args:
        start: The run.
        answers: What the output is expected from.
    """

    def __init__(self, start: Start, answers: Answers):
        self._state = start.state
        self._deps = start.deps
        self._answers = answers
        self._final: FinalResult[OutputT] | None = None
        self.is_complete = False
        """Whether the output has been read to its end."""

    # The output

    async def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputT]:
        """Give the output as it grows, as far as it is valid, and at last as it is.

        Output functions and validators are asked each time, with `ctx.partial_output`.

        Args:
            debounce_by: For how many seconds what comes is gathered before it is given; `None` for not at all.
        """
        stream = self._stream
        while stream is not None:
            async with aclosing(stream.stream_partial_output(debounce_by=debounce_by)) as outputs:
                async for output in outputs:
                    yield output
            stream = await self._answers.next()
        yield await self.get_output()

    async def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncGenerator[str]:
        """Give the text as it grows, or what is new of it.

        In a run with `until='end'` the text of each response begins anew; the output is that of the last one.

        Args:
            delta: Whether to give only what is new. Output validators are not asked then.
            debounce_by: For how many seconds what comes is gathered before it is given; `None` for not at all.

        Raises:
            UserError: The output of the run is no text.
        """
        if self._final is not None:
            yield cast('str', self._final.output)
            return
        stream = self._stream
        while stream is not None:
            async with aclosing(stream.stream_text(delta=delta, debounce_by=debounce_by)) as texts:
                async for text in texts:
                    yield text
            stream = await self._answers.next()
        await self.get_output()

    async def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[tuple[ModelResponse, bool]]:
        """Give the response as it grows with `False`, and once more with `True` when it is whole."""
        stream = self._stream
        while stream is not None:
            async with aclosing(stream.stream_responses(debounce_by=debounce_by)) as responses:
                async for response in responses:
                    yield response, False
            stream = await self._answers.next()
        await self.get_output()
        yield self.response, True

    async def get_output(self) -> OutputT:
        """Read to the end, and give the output.

        An output that turns out to be invalid is asked for again, as in a run that is not streamed.
        """
        if self._final is None:
            self._final = await self._answers.final()
        self.is_complete = True
        return self._final.output

    @property
    def final_output(self) -> OutputT:
        """The output, once it has been read to its end.

        Raises:
            ValueError: It has not been.
        """
        if self._final is None:
            raise ValueError('The output has not been read to its end. Await get_output() first.')
        return self._final.output

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputT:
        """Make an output of a response."""
        stream = self._answers.current
        if stream is None:
            return await self.get_output()
        return await stream.validate_response_output(message, allow_partial=allow_partial)

    # The run

    @property
    def _stream(self) -> AgentStream[DepsT, OutputT] | None:
        """The answer that comes now."""
        return None if self.is_complete else self._answers.current

    @property
    def response(self) -> ModelResponse:
        """The response, as far as it has come."""
        if self._stream is not None:
            return self._stream.response
        return next(each for each in reversed(self.all_messages()) if isinstance(each, ModelResponse))

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages so far, those of earlier runs included.

        Raises:
            NotImplementedError: Another content for the output tool's return is asked for.
        """
        if output_tool_return_content is not None:
            raise NotImplementedError('Setting output tool return content is not supported for this result type.')
        return self._state.message_history

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return dumped(self.all_messages(output_tool_return_content=output_tool_return_content))

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run."""
        messages = self.all_messages(output_tool_return_content=output_tool_return_content)
        return messages[self._deps.new_message_index :]

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return dumped(self.new_messages(output_tool_return_content=output_tool_return_content))

    def usage(self) -> RunUsage:
        """What the run has used so far."""
        return self._state.usage if self._stream is None else self._stream.usage()

    def timestamp(self) -> datetime:
        """When the response began."""
        return self.response.timestamp

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._state.run_id

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the program has noted about the run."""
        return self._state.metadata


def open_streamed(start: Start, until: Until) -> AbstractAsyncContextManager[StreamedRunResult[Any, Any]]:
    """Run until a response shows an output that matches, and give that as it comes."""
    return _to_match(start) if until == 'match' else _to_end(start)


async def _find_match(
    stream: AgentStream[Any, Any], context: RunContext[Any], handler: EventStreamHandler[Any] | None
) -> bool:
    """Read a stream up to the first output that matches; a handler sees the events until then."""
    seen = _UpToMatch(stream)
    if handler is not None:
        await handler(context, seen)
    async for _ in seen:
        pass
    return stream.final_result_event is not None and not stream.is_deferral


class _UpToMatch(AsyncIterator[Any]):
    """The events of a stream, the first one that shows an output being the last."""

    def __init__(self, stream: AgentStream[Any, Any]):
        self._stream = stream

    async def __anext__(self) -> Any:
        if self._stream.final_result_event is not None:
            raise StopAsyncIteration
        return await anext(self._stream)


# Until an output matches


@asynccontextmanager
async def _to_match(start: Start) -> AsyncGenerator[StreamedRunResult[Any, Any]]:
    async with start.iterate() as run, AsyncExitStack() as stack:
        answers = _FirstMatch(run)
        await answers.find(start, stack)
        result = StreamedRunResult[Any, Any](start, answers)
        if answers.current is None:
            await result.get_output()
        yield result
        if not result.is_complete:
            await answers.leave()


class _FirstMatch:
    """The first answer that matches, which ends the run."""

    def __init__(self, run: AgentRun[Any, Any]):
        self.current: AgentStream[Any, Any] | None = None
        self._run = run
        self._node: ModelRequestNode[Any, Any] | None = None
        """What has asked for the answer."""
        self._following: Any = None
        """What the run goes on with; the answer has been read to its end then."""
        self._failure: Exception | None = None

    async def find(self, start: Start, stack: AsyncExitStack) -> None:
        """Run up to the match; its stream is closed by the stack."""
        node: Any = self._run.next_node
        while not isinstance(node, End):
            is_request = isinstance(node, ModelRequestNode)
            if is_request and await self._matches(cast('ModelRequestNode[Any, Any]', node), start, stack):
                return
            node = await self._run.next(node)
        self._following = node

    async def _matches(self, node: ModelRequestNode[Any, Any], start: Start, stack: AsyncExitStack) -> bool:
        async with AsyncExitStack() as opened:
            stream = await opened.enter_async_context(node.stream(start.context))
            if not await _find_match(stream, run_context(start.context), start.deps.event_handler):
                return False
            self.current, self._node = stream, node
            await stack.enter_async_context(opened.pop_all())
        return True

    async def next(self) -> None:
        """Nothing: there is one answer."""

    async def final(self) -> FinalResult[Any]:
        """Read the answer, see to the calls beside the output, and end the run."""
        if self._failure is not None:
            raise self._failure
        try:
            following = self._following or await self._take_match()
            while not isinstance(following, End):
                following = self._following = await self._run.next(following)
        except Exception as error:
            self._failure = error
            raise
        return cast('End[FinalResult[Any]]', following).data

    async def _take_match(self) -> Any:
        """Let the run end with what has matched; if that is not valid, the model is asked again."""
        stream, ctx = self.current, self._run.ctx
        self._following = node = await self._read()
        self._following = following = await self._past_own_nodes()
        event = None if stream is None else stream.final_result_event
        if stream is None or event is None or not stream.has_output or following is not node:
            return following
        try:
            output = await stream.validate_response_output(stream.response)
        except (ValidationError, ModelRetry):
            return node
        await node.finish(ctx, FinalResult(output, event.tool_name, event.tool_call_id))
        return node

    async def _past_own_nodes(self) -> Any:
        """Go on from the request, past nodes of the user's own."""
        following = await self._run.next(cast('Any', self._node))
        while not isinstance(following, End) and not is_agent_node(following):
            following = await self._run.next(following)
        return following

    async def leave(self) -> None:
        """Let go of an answer that nobody wants to the end: its calls are answered without being made."""
        if self._following is None:
            node = await self._read()
            node.answer_calls(self._run.ctx, 'the stream was left before its end')

    async def _read(self) -> CallToolsNode[Any, Any]:
        """Read the answer to its end."""
        if self.current is None or self._node is None:
            raise AssertionError('nothing has matched')
        await self.current.close()
        return await self._node.run(self._run.ctx)


# Until the run ends


@asynccontextmanager
async def _to_end(start: Start) -> AsyncGenerator[StreamedRunResult[Any, Any]]:
    answers = _AllMatches(start)
    async with answers.handed_over as run:
        await answers.next()
        result = StreamedRunResult[Any, Any](start, answers)
        if answers.current is None:
            await result.get_output()
        yield result
        if not result.is_complete:
            run.cancel()


class _AllMatches:
    """The answers that match in a run that goes on to its end, beside the block.

    Within its handler of events it hands a stream over, and waits until that is given back.
    """

    def __init__(self, start: Start):
        self.current: AgentStream[Any, Any] | None = None
        self.handed_over = Telling[AgentStream[Any, Any]](self._run)
        self._start = start
        self._handler = start.deps.event_handler
        self._is_free = anyio.Event()
        """Whether the stream has been given back."""
        self._final: FinalResult[Any] | None = None

    async def _run(self, hand_over: Callable[[AgentStream[Any, Any]], None]) -> None:
        async def show(context: RunContext[Any], events: AsyncIterable[Any]) -> None:
            if isinstance(events, AgentStream):
                stream = cast('AgentStream[Any, Any]', events)
                if await _find_match(stream, context, self._handler):
                    self._is_free = anyio.Event()
                    hand_over(stream)
                    await self._is_free.wait()
            elif self._handler is not None:
                await self._handler(context, events)

        self._start.deps.event_handler = show
        result = await self._start.run()
        self._final = FinalResult(result.output)

    async def next(self) -> AgentStream[Any, Any] | None:
        """Give the stream back, and wait for the one that follows."""
        self.current = None
        self._is_free.set()
        self.current = await anext(self.handed_over, None)
        return self.current

    async def final(self) -> FinalResult[Any]:
        """Let the run go on to its end."""
        while await self.next() is not None:
            pass
        if self._final is None:
            raise AssertionError('the run has not ended')
        return self._final
