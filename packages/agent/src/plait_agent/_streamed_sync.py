"""Streamed runs for callers that do not await."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import datetime
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from plait_agent._typevars import DepsT, OutputT
from plait_agent.exceptions import AgentRunError

if TYPE_CHECKING:
    from plait_agent._streamed_run import StreamedRunResult
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.usage import RunUsage

T = TypeVar('T')


class StreamedRunResultSync(Generic[DepsT, OutputT]):
    """What `StreamedRunResult` is, without `await`; made by `Agent.run_stream_sync`.

    The run lives in a thread of its own, until its output has been read, or the block that it is used in is left, or
    `close` is called, or nobody holds it any more.

    Args:
        start: Opens the run.
    """

    def __init__(self, start: Callable[[], AbstractAsyncContextManager[StreamedRunResult[DepsT, OutputT]]]):
        from anyio.from_thread import start_blocking_portal

        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        try:
            self._result = self._stack.enter_context(self._portal.wrap_async_context_manager(start()))
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        self._finalizer = weakref.finalize(self, _abandon, self._stack)
        self._finalizer.atexit = False  # the thread ends with the program

    def close(self) -> None:
        """End the run, whether its output was read or not. The second time it does nothing."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._finalizer.detach() is not None:
            self._stack.__exit__(kind, error, traceback)

    def _wait_for(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Await something in the thread of the run; if that fails, or is interrupted, so does the run.

        Raises:
            AgentRunError: The run was closed.
        """
        if not self._finalizer.alive:
            raise AgentRunError('The run was closed before its output was read. Read it first, or run again.')
        future = self._portal.start_task_soon(function, *args)
        try:
            return future.result()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            future.cancel()
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def _read(self, items: AsyncGenerator[T], last: Callable[[], T]) -> Iterator[T]:
        """Read in the thread of the run; at the end that is over, and what was last is given once more."""
        if self._result.is_complete:
            yield last()
            return
        while True:
            try:
                item = self._wait_for(anext, items)
            except StopAsyncIteration:
                self.close()
                return
            yield item

    def stream_output(self, *, debounce_by: float | None = 0.1) -> Iterator[OutputT]:
        """Give the output as it grows; see `StreamedRunResult.stream_output`."""
        return self._read(self._result.stream_output(debounce_by=debounce_by), self.get_output)

    def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> Iterator[str]:
        """Give the text as it grows; see `StreamedRunResult.stream_text`."""
        items = self._result.stream_text(delta=delta, debounce_by=debounce_by)
        return self._read(items, lambda: cast('str', self.get_output()))

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> Iterator[tuple[ModelResponse, bool]]:
        """Give the response as it grows; see `StreamedRunResult.stream_responses`."""
        items = self._result.stream_responses(debounce_by=debounce_by)
        return self._read(items, lambda: (self.response, True))

    def get_output(self) -> OutputT:
        """Read to the end, and give the output."""
        if self._result.is_complete:
            return self._result.final_output
        output = self._wait_for(self._result.get_output)
        self.close()
        return output

    @property
    def response(self) -> ModelResponse:
        """The response, as far as it has come."""
        return self._result.response

    @property
    def is_complete(self) -> bool:
        """Whether the output has been read to its end."""
        return self._result.is_complete

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages so far."""
        return self._result.all_messages(output_tool_return_content=output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return self._result.all_messages_json(output_tool_return_content=output_tool_return_content)

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run."""
        return self._result.new_messages(output_tool_return_content=output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return self._result.new_messages_json(output_tool_return_content=output_tool_return_content)

    def usage(self) -> RunUsage:
        """What the run has used so far."""
        return self._result.usage()

    def timestamp(self) -> datetime:
        """When the response began."""
        return self._result.timestamp()

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._result.run_id

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the program has noted about the run."""
        return self._result.metadata


def _abandon(stack: ExitStack) -> None:
    """Cancel a run that nobody holds any more; the caller may be any thread, and does not wait."""
    error = AgentRunError('Nobody holds the stream any more.')
    Thread(target=stack.__exit__, args=(AgentRunError, error, None), daemon=True).start()
