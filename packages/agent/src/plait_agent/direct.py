"""One request to a model, without an agent: no tools are run, and nothing is asked again."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from plait_agent.models import Model, ModelRequestParameters, StreamedResponse, infer_model

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from anyio.abc import TaskStatus
    from anyio.from_thread import BlockingPortal

    from plait_agent.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
    from plait_agent.models import KnownModelName
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RequestUsage

__all__ = (
    'StreamedResponseSync',
    'model_request',
    'model_request_stream',
    'model_request_stream_sync',
    'model_request_sync',
)

_AHEAD = 64
"""How many events a stream may be ahead of the thread that reads it."""


async def model_request(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: Any = None,
) -> ModelResponse:
    """Ask a model, and wait for the whole answer.

    Args:
        model: The model, or its name.
        messages: All that has been said; the last message is what is asked.
        model_settings: Go over the model's own settings.
        model_request_parameters: The tools, and the form of the answer; without them it is text.
        instrument: Whether the request is traced, or the settings for it.
    """
    async with _found_model(model, instrument) as found:
        return await found.request(list(messages), model_settings, model_request_parameters or ModelRequestParameters())


def model_request_sync(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: Any = None,
) -> ModelResponse:
    """Ask a model from a program that does not await; see `model_request`.

    Works where an event loop is running too, as in a notebook; that loop stands still meanwhile.
    """
    from plait_agent._sync import run_sync

    return run_sync(
        lambda: model_request(
            model,
            messages,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
            instrument=instrument,
        )
    )


@asynccontextmanager
async def model_request_stream(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: Any = None,
) -> AsyncGenerator[StreamedResponse]:
    """Ask a model, and receive the answer while it grows. Leaving the block closes the stream.

    Args:
        model: The model, or its name.
        messages: All that has been said; the last message is what is asked.
        model_settings: Go over the model's own settings.
        model_request_parameters: The tools, and the form of the answer; without them it is text.
        instrument: Whether the request is traced, or the settings for it.
    """
    async with _found_model(model, instrument) as found:
        parameters = model_request_parameters or ModelRequestParameters()
        async with found.request_stream(list(messages), model_settings, parameters) as stream:
            yield stream


def model_request_stream_sync(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: Any = None,
) -> StreamedResponseSync:
    """Ask a model from a program that does not await, and receive the answer while it grows.

    What comes back is used as a context manager; the request is made when it is entered. See `model_request_stream`.
    """
    return StreamedResponseSync(
        model_request_stream(
            model,
            messages,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
            instrument=instrument,
        )
    )


def _found_model(model: Model | KnownModelName | str, instrument: Any) -> Model:
    """The model, traced if that is asked for."""
    found = infer_model(model)
    if not instrument:
        return found
    from importlib import import_module

    return import_module('plait_agent.models.instrumented').instrument_model(found, instrument)


class StreamedResponseSync:
    """A streamed answer for a program that does not await: to be entered with `with`, and iterated.

    It is read in another thread, which never is far ahead of the loop over the events. A loop that was left can be
    gone on with; leaving the block closes the stream.
    """

    def __init__(self, opened: AbstractAsyncContextManager[StreamedResponse]):
        self._opened = opened
        self._reading: _Reading | None = None

    def __enter__(self) -> Self:
        self._reading = _Reading(self._opened)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered().close()

    def __iter__(self) -> Iterator[ModelResponseStreamEvent]:
        return self._entered().events()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({"not entered" if self._reading is None else repr(self.get())})'

    def get(self) -> ModelResponse:
        """What has come so far, as a response."""
        return self._entered().stream.get()

    @property
    def response(self) -> ModelResponse:
        """What has come so far, as a response."""
        return self.get()

    def usage(self) -> RequestUsage:
        """What has been used so far."""
        return self._entered().stream.usage()

    @property
    def model_name(self) -> str:
        """The model that answers."""
        return self._entered().stream.model_name

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._entered().stream.timestamp

    def _entered(self) -> _Reading:
        if self._reading is None:
            raise RuntimeError(
                'StreamedResponseSync must be used as a context manager. '
                'Use: `with model_request_stream_sync(...) as stream:`'
            )
        return self._reading


class _Reading:
    """A stream that is read in a thread of its own."""

    def __init__(self, opened: AbstractAsyncContextManager[StreamedResponse]):
        import anyio
        from anyio.from_thread import start_blocking_portal

        self._arrived: deque[ModelResponseStreamEvent] = deque()
        self._sender, self._receiver = anyio.create_memory_object_stream['ModelResponseStreamEvent'](_AHEAD)
        with ExitStack() as stack:
            stack.enter_context(self._receiver)
            self._portal: BlockingPortal = stack.enter_context(start_blocking_portal())
            self._done, self.stream = self._portal.start_task(self._read, opened)
            self._stack = stack.pop_all()

    async def _read(
        self, opened: AbstractAsyncContextManager[StreamedResponse], *, task_status: TaskStatus[StreamedResponse]
    ) -> None:
        """Open the stream, read it and close it, all in one task, as streams may need it."""
        import anyio

        with self._sender, anyio.CancelScope() as self._scope:
            async with opened as stream:
                task_status.started(stream)
                async for event in stream:
                    await self._sender.send(event)

    def events(self) -> Iterator[ModelResponseStreamEvent]:
        """The events that have not been read."""
        while self._arrived or self._portal.call(self._take):
            yield self._arrived.popleft()
        self._done.result()

    async def _take(self) -> bool:
        """Wait for events, and take all that are there; whether there were any."""
        import anyio

        try:
            self._arrived.append(await self._receiver.receive())
            while True:
                self._arrived.append(self._receiver.receive_nowait())
        except (anyio.EndOfStream, anyio.WouldBlock):
            return bool(self._arrived)

    def close(self) -> None:
        """Close the stream, and end the thread."""
        with self._stack:
            self._portal.call(self._scope.cancel)
