"""Where bodies run when more than one is under way: tasks of the event loop, one for each worker.

Two crews do the same. `AnyioCrew` works on every backend. On asyncio a task of an anyio group costs about five times an
asyncio task, and the difference is most of what a map of short steps costs, so `AsyncioCrew` uses the loop's own tasks
there. Neither ever cancels the code that uses a run: a crew's tasks are beside it, not below it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from plait_graph._clock import Cancellable
from plait_graph._run.isolation import isolated, resume

T = TypeVar('T')

CANCELLED: Any = object()
"""Stands for the value of a body that was cancelled as it was asked to be."""


class Crew(Protocol):
    """What a driver needs of an event loop."""

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a worker."""
        ...

    async def run_body(self, key: object, context: Context, body: Coroutine[Any, Any, Any]) -> Any:
        """Await a body in its context; gives its value, or `CANCELLED`."""
        ...

    async def call_plain(self, key: object, function: Callable[[], T], abandon: bool) -> T:
        """Call a plain function so that it blocks nobody; `abandon` leaves it behind if the caller is cancelled."""
        ...

    def cancel(self, key: object) -> None:
        """Cancel the body that runs under a key, if there is one."""
        ...

    def is_outer(self, error: BaseException) -> bool:
        """Whether an error that came out of a body belongs to the event loop and must be raised on."""
        ...

    async def wait(self) -> None:
        """Wait until `notify` is called; returns at once if it was called since the last wait."""
        ...

    def notify(self) -> None:
        """Wake the one who waits."""
        ...

    def notify_from_thread(self, function: Callable[[], None]) -> None:
        """Call a function on the event loop, from another thread."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Cancellable:
        """Call a function when a time is up."""
        ...

    async def __aenter__(self) -> Crew: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class _InThreads:
    """Plain functions run in worker threads, whatever the event loop."""

    async def call_plain(self, key: object, function: Callable[[], T], abandon: bool) -> T:
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=abandon)


class AsyncioCrew(_InThreads):
    """Workers that are tasks of the asyncio loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bodies: dict[object, asyncio.Task[Any]] = {}
        self._asked: set[object] = set()
        self._beginning: object = None
        """The body that has not waited for anything yet; nothing if that was asked to stop."""
        self._waiter: asyncio.Future[None] | None = None
        self._notified = False

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._loop.create_task(work())
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)

    async def run_body(self, key: object, context: Context, body: Coroutine[Any, Any, Any]) -> Any:
        self._beginning = key
        try:
            waiting_for = context.run(body.send, None)
        except StopIteration as stop:
            return stop.value
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError('a body runs outside of any task')
        self._bodies[key] = task
        if self._beginning is not key:
            self.cancel(key)
        try:
            return await resume(context, body, waiting_for)
        except asyncio.CancelledError:
            if key in self._asked:
                return CANCELLED
            raise
        finally:
            del self._bodies[key]
            if key in self._asked:
                self._asked.discard(key)
                task.uncancel()

    def cancel(self, key: object) -> None:
        task = self._bodies.get(key)
        if task is not None and key not in self._asked:
            self._asked.add(key)
            task.cancel()
        elif key is self._beginning:
            self._beginning = None

    def is_outer(self, error: BaseException) -> bool:
        return False  # nobody else cancels our tasks; a body that ends so has failed

    async def wait(self) -> None:
        if not self._notified:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._notified = False

    def notify(self) -> None:
        self._notified = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def notify_from_thread(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Cancellable:
        return self._loop.call_later(seconds, callback)

    async def __aenter__(self) -> AsyncioCrew:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is left to do: whoever used the crew has waited for its workers."""


class AnyioCrew(_InThreads):
    """Workers that are tasks of an anyio group, on any backend."""

    def __init__(self) -> None:
        self._group: TaskGroup = anyio.create_task_group()
        self._bodies: dict[object, anyio.CancelScope] = {}
        self._event = anyio.Event()
        token: Any = anyio.lowlevel.current_token().native_token
        # anyio's own way into a loop waits until that has answered; nobody who gives a permit back may be held up.
        self._post: Callable[[Callable[[], None]], object] = (
            getattr(token, 'call_soon_threadsafe', None) or token.run_sync_soon
        )
        self._cancelled = anyio.get_cancelled_exc_class()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._group.start_soon(work)

    async def run_body(self, key: object, context: Context, body: Coroutine[Any, Any, Any]) -> Any:
        value = CANCELLED
        with anyio.CancelScope() as scope:
            self._bodies[key] = scope
            try:
                value = await isolated(context, body)
            finally:
                del self._bodies[key]
        return value

    def cancel(self, key: object) -> None:
        scope = self._bodies.get(key)
        if scope is not None:
            scope.cancel()

    def is_outer(self, error: BaseException) -> bool:
        return isinstance(error, self._cancelled)

    async def wait(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()

    def notify(self) -> None:
        self._event.set()

    def notify_from_thread(self, function: Callable[[], None]) -> None:
        self._post(function)

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Cancellable:
        scope = anyio.CancelScope()
        self._group.start_soon(_sleep_and_call, scope, seconds, callback)
        return scope

    async def __aenter__(self) -> AnyioCrew:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever used the crew has waited for its workers, so the group is empty. It is told of no error, as it would
        # wrap it in a group of exceptions.
        await self._group.__aexit__(None, None, None)


async def _sleep_and_call(scope: anyio.CancelScope, seconds: float, callback: Callable[[], None]) -> None:
    with scope:
        await anyio.sleep(seconds)
        callback()


def make_crew() -> AsyncioCrew | AnyioCrew:
    """The crew for the event loop that runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return AnyioCrew()
    return AsyncioCrew()
