"""A clock that moves only when a test says so."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from plait_graph.exceptions import GraphRuntimeError

__all__ = 'TestClock', 'Timer'

_ROUNDS = 10
"""How often others get their turn before it is asked whether all of them wait, since asking may take real time."""


class Timer:
    """Something that is to be called at a time."""

    __slots__ = '_clock', 'at', 'callback'

    def __init__(self, clock: TestClock, at: float, callback: Callable[[], object]):
        self._clock = clock
        self.at = at
        self.callback = callback

    def cancel(self) -> None:
        """See to it that nothing is called; does nothing if it has been."""
        self._clock._forget(self)  # pyright: ignore[reportPrivateUsage] # same room

    def __repr__(self) -> str:
        return f'<Timer at {self.at:g}: {getattr(self.callback, "__qualname__", self.callback)}>'


class TestClock:
    """Time for timers: a test moves it, and it never moves by itself.

    Args:
        start: The time at the beginning, in seconds.
    """

    __test__ = False  # pytest would take the name for that of a class of tests

    def __init__(self, start: float = 0.0):
        self._now = start
        self._timers: list[Timer] = []
        self._set: anyio.Event | None = None
        """Is set when a timer is, if somebody waits for that."""

    def now(self) -> float:
        """The time, in seconds."""
        return self._now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Have something called when the clock has moved so far; what is due already is called by the next move."""
        timer = Timer(self, self._now + max(seconds, 0.0), callback)
        self._timers.append(timer)
        if self._set is not None:
            self._set.set()
        return timer

    @property
    def pending(self) -> tuple[Timer, ...]:
        """The timers that wait, the next one first."""
        return tuple(sorted(self._timers, key=lambda timer: timer.at))  # those of one time in the order they were set

    def advance(self, seconds: float) -> None:
        """Move the clock, and call what becomes due, each at its own time and in order.

        Timers that are set by what is called count as well. Steps do not go on meanwhile; see `wait_passed`.

        Raises:
            GraphRuntimeError: The seconds are negative.
        """
        until = self._until(seconds)
        while self._call_next(until):
            pass
        self._now = until

    async def wait_passed(self, seconds: float) -> None:
        """Move the clock as `advance` does, and let all tasks go on until they wait: before, at each timer, and after.

        So a retry that sets its next timer only when it has failed again sets it at the right time.

        Raises:
            GraphRuntimeError: The seconds are negative.
        """
        until = self._until(seconds)
        await _wait_all_wait()
        while self._call_next(until):
            await _wait_all_wait()
        self._now = until

    @asynccontextmanager
    async def autojump(self) -> AsyncGenerator[TestClock]:
        """Within the block, jump to the next timer whenever all tasks wait."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._jump)
            yield self
            group.cancel_scope.cancel()

    async def _jump(self) -> None:
        while True:
            self._set = anyio.Event()
            if not self._timers:
                await self._set.wait()
            await _wait_all_wait()
            self._call_next(math.inf)

    def _until(self, seconds: float) -> float:
        if seconds < 0:
            raise GraphRuntimeError(f'The clock was to move by {seconds:g} seconds, and time does not go back.')
        return self._now + seconds

    def _call_next(self, until: float) -> bool:
        """Call the next timer that is due by a time; tells whether there was one."""
        if not self._timers:
            return False
        timer = min(self._timers, key=lambda timer: timer.at)
        if timer.at > until:
            return False
        self._timers.remove(timer)
        self._now = timer.at
        timer.callback()
        return True

    def _forget(self, timer: Timer) -> None:
        if timer in self._timers:
            self._timers.remove(timer)

    def __repr__(self) -> str:
        return f'<TestClock at {self._now:g}, pending: {", ".join(map(repr, self.pending)) or "nothing"}>'


async def _wait_all_wait() -> None:
    """Let all other tasks go on until they wait for something."""
    for _ in range(_ROUNDS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()
