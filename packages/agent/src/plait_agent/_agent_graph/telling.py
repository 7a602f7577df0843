"""What happens in one task, told to another."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar('T')


class News(AsyncIterator[T], Generic[T]):
    """What is told by one task and read by another.

    Iterating ends when there is no more to come, and raises what the one who tells has failed with. Nothing is lost if
    a wait for what comes next is cancelled.
    """

    def __init__(self) -> None:
        self._told: deque[T] = deque()
        self._end = anyio.Event()
        self._error: BaseException | None = None
        self._arrival: anyio.Event | None = None
        """What a reader waits for who has read everything."""
        self._request: anyio.Event | None = None
        """What one who tells waits for until everything is read."""

    # Telling

    def tell(self, news: T) -> None:
        """Tell something; nobody waits."""
        self._told.append(news)
        if self._arrival is not None:
            self._arrival.set()

    def end(self, error: BaseException | None = None) -> None:
        """Tell that this is all, or what went wrong. The second time it does nothing."""
        if self._end.is_set():
            return
        self._error = error
        self._end.set()
        if self._arrival is not None:
            self._arrival.set()

    async def all_read(self) -> None:
        """Wait until everything is read, and more is asked for."""
        while self._told or self._arrival is None:
            self._request = anyio.Event()
            await self._request.wait()

    # Reading

    async def __anext__(self) -> T:
        if not self._told:
            await self._wait()
        if self._told:
            return self._told.popleft()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def gather(self, seconds: float, *, is_begun: bool = False) -> list[T]:
        """All that is told within some time from the first of it; nothing if there is no more to come.

        What was told before something went wrong is given before that is raised.

        Args:
            seconds: The time.
            is_begun: Whether it begins now, and not with the first of the news; there may be none of them then.
        """
        if not self._told and not is_begun:
            await self._wait()
        if self._told or is_begun:
            with anyio.move_on_after(seconds):
                await self._end.wait()
        elif self._error is not None:
            raise self._error
        return self.take()

    def take(self) -> list[T]:
        """All that has been told and not been read."""
        taken = list(self._told)
        self._told.clear()
        return taken

    async def _wait(self) -> None:
        """Wait until something is told, or there is no more to come."""
        while not self._told and not self._end.is_set():
            self._arrival = anyio.Event()
            if self._request is not None:
                self._request.set()
            try:
                await self._arrival.wait()
            finally:
                self._arrival = None


class Telling(News[T]):
    """Does something beside a block, and gives what it tells of as it happens.

    Entered, it begins, or later when `begin` is called. Leaving the block waits for the end of the work, and raises
    what it failed with; if the block raises, the work is cancelled.

    Args:
        work: What is to be done, given whom to tell.
        is_lazy: Whether it waits for `begin`.
    """

    def __init__(self, work: Callable[[Callable[[T], None]], Awaitable[None]], *, is_lazy: bool = False):
        super().__init__()
        self._work = work
        self._is_lazy = is_lazy
        self.has_begun = False
        """Whether the work has begun."""

    async def __aenter__(self) -> Self:
        self._tasks: TaskGroup = await anyio.create_task_group().__aenter__()
        if not self._is_lazy:
            self.begin()
        return self

    def begin(self) -> None:
        """Begin the work, unless that has been done."""
        if not self.has_begun:
            self.has_begun = True
            self._tasks.start_soon(do_and_end, self, self._work)

    def cancel(self) -> None:
        """Stop the work."""
        self._tasks.cancel_scope.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.cancel()
        # The group is not told of the error, as it would wrap it in a group of exceptions.
        await self._tasks.__aexit__(None, None, None)
        if error is None and self._error is not None:
            raise self._error


async def do_and_end(news: News[T], work: Callable[[Callable[[T], None]], Awaitable[None]]) -> None:
    """Do something that tells news; what it raises is raised where they are read."""
    failure = None
    try:
        await work(news.tell)
    except BaseException as error:
        if _is_of_loop(error):
            raise
        failure = error
    finally:
        news.end(failure)


def _is_of_loop(error: BaseException) -> bool:
    """Whether an error is the cancellation of the task that it came up in, or the end of its coroutine."""
    if isinstance(error, GeneratorExit):
        return True
    is_cancellation = isinstance(error, anyio.get_cancelled_exc_class())
    return is_cancellation and anyio.current_effective_deadline() == -math.inf
