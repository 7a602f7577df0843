"""An asyncio event loop with a clock of its own, that asks what to do whenever nothing is ready.

What is ready runs as ever. Then whoever waits for a turn gets it; if nobody does, the clock jumps to the next timer, so
that sleeping takes no time; and if there is no timer either, nothing can ever happen again. Knows nothing of graphs.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from anyio import CapacityLimiter

T = TypeVar('T')

_ROUNDS = 50
"""After this many rounds in which only callbacks ran, nothing is taken to be ready: a cancel scope of anyio calls
itself back in every round until the task that it cancels has left it, and that task may wait for its turn."""
_MOST_ROUNDS = 10_000
"""After this many the callbacks go on forever."""
_MILLISECOND = 0.001
_GRACE = 0.05
"""Seconds, in real time, in which a thread may come back before the next turn is given."""


class Conductor(Protocol):
    """Who is asked when nothing is ready."""

    @property
    def has_waiting(self) -> bool:
        """Whether somebody waits for a turn."""
        ...

    @property
    def only_polls(self) -> bool:
        """Whether all who wait ask again and again for something that only time can bring."""
        ...

    def give_turn(self) -> None:
        """Let one who waits go on."""
        ...

    def hang(self) -> None:
        """Nothing will happen any more; raises, or makes something happen."""
        ...


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop of one run.

    While a thread works or a socket is open, time is real: nobody here knows how long the world takes.
    """

    def __init__(self, conductor: Conductor):
        self._now = 0.0
        self._in_executor = 0
        self.limiter: CapacityLimiter | None = None
        """Tells how many threads of anyio are at work; only a task of the loop can get it."""
        super().__init__(_AskingSelector(self, conductor))

    def time(self) -> float:
        """Seconds on the loop's own clock."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Move the clock."""
        self._now += seconds

    @property
    def threads_at_work(self) -> bool:
        """Whether a thread works for somebody on the loop."""
        return self._in_executor > 0 or (self.limiter is not None and self.limiter.borrowed_tokens > 0)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Call a function in a thread, and remember that it is out."""
        future = super().run_in_executor(executor, func, *args)
        self._in_executor += 1
        future.add_done_callback(self._note_back)
        return future

    def _note_back(self, _: asyncio.Future[Any]) -> None:
        self._in_executor -= 1


class _AskingSelector(selectors.BaseSelector):
    """The selector of a virtual loop, which the loop asks how long it is to wait."""

    def __init__(self, loop: VirtualLoop, conductor: Conductor):
        self._loop = loop
        self._conductor = conductor
        self._selector = selectors.DefaultSelector()
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; without waiting, if that can be helped."""
        found = self._selector.select(0)
        is_busy = timeout is not None and timeout <= 0
        if found or (is_busy and self._rounds < _ROUNDS):
            self._rounds = 0 if found else self._rounds + 1
            return found
        return self._go_on(0.0 if is_busy else timeout)

    def _go_on(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ready: wait for the world, or give a turn, or let time pass."""
        conductor = self._conductor
        waits_for_turn = conductor.has_waiting
        if self._is_world_at_work():
            found = self._selector.select(_GRACE if waits_for_turn else timeout)
            if found:
                return found
        if timeout == 0 and not waits_for_turn and self._rounds < _MOST_ROUNDS:
            # Some task only gives way, and may do so until a time; the longer it does, the larger are the steps.
            self._rounds += 1
            self._loop.jump(self._rounds * _MILLISECOND)
            return []
        self._rounds = 0
        if waits_for_turn and not (timeout and conductor.only_polls):
            conductor.give_turn()
        elif timeout:
            self._loop.jump(timeout)
        else:
            conductor.hang()
        return []

    def _is_world_at_work(self) -> bool:
        return self._loop.threads_at_work or len(self._selector.get_map()) > 1  # one wakes the loop from threads

    # The rest is the selector's own

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def close(self) -> None:
        self._selector.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()
