"""Turns: bodies go on one at a time, in an order that somebody chooses.

Each time a body could go on, at its beginning and whenever what it waited for has come, it first waits for its turn.
When nothing else is ready, one of those who wait is chosen. A body lives its whole life in one task; it is only held up
there.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass
from types import coroutine
from typing import Any, TypeVar, cast

from plait_graph._run.crew import AsyncioCrew
from plait_graph._run.tokens import Region, Task
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.testing._places import Place, name_of, place_of, source_line

T = TypeVar('T')

_PATIENCE = 20
"""A body that only gives way goes on for this many turns before another one gets its turn."""
_STUBBORN = 100
"""A body that has only given way for so many turns is taken to wait for time to pass."""


class Deadlock(GraphRuntimeError):
    """Raised when all steps of a run wait for something that can never come."""


class EndlessRun(GraphRuntimeError):
    """Raised when a run has had more turns than it may have."""


@dataclass(slots=True)
class Turn:
    """One turn of a body: what it did, as far as that can be told."""

    body: Body
    is_first: bool
    end: str = ''
    """How it ended; empty if the body waits."""
    place: str = ''
    """Where in its source the body waits."""


class Body:
    """A body that waits for its turns: a step's, or the source of a map."""

    __slots__ = 'coroutine', 'future', 'has_begun', 'has_turn', 'key', 'place', 'turn', 'yields'

    def __init__(self, key: Task | Region, coroutine: Coroutine[Any, Any, Any]):
        self.key = key
        self.place = place_of(key)
        self.coroutine = coroutine
        self.future: asyncio.Future[None] | None = None
        self.has_begun = False
        self.has_turn = False
        self.turn: Turn | None = None
        self.yields = 0
        """How often in a row it has given way without waiting for anything."""


class Turns:
    """Who waits for a turn, and who gets it.

    Args:
        choose: Is given how many wait, and says which of them goes on; 0 is the one that went on last, if it waits, and
            else the next one in the graph, and from there on they are counted through the graph, all around.
        most: How many turns there may be.
        tells: Whether to find out where in their source bodies wait.
    """

    begins: Callable[[Task | Region], None] | None = None
    """Is told of each body when it has its first turn."""

    def __init__(self, choose: Callable[[int], int], most: int, *, tells: bool = False):
        self._choose = choose
        self._most = most
        self._tells = tells
        self._waiting: list[Body] = []
        """In the order of the graph."""
        self._alive: dict[Body, None] = {}
        self._last: Body | None = None
        self._left = most
        self.main: asyncio.Task[Any] | None = None
        """Is cancelled if the run cannot go on."""
        self.error: GraphRuntimeError | None = None
        """Why it cannot."""
        self.choices: list[tuple[int, int]] = []
        """Where there was a choice: among how many, and which one was taken."""
        self.turns: list[Turn] = []

    # What the loop asks

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def only_polls(self) -> bool:
        return all(body.yields >= _STUBBORN for body in self._waiting)

    def give_turn(self) -> None:
        """Let one of the bodies that wait go on."""
        count, chosen = len(self._waiting), 0
        if count > 1:
            chosen = min(self._choose(count), count - 1)
            self.choices.append((count, chosen))
        self._last = body = self._waiting[(self._first() + chosen) % count]
        body.turn = Turn(body, is_first=not body.has_begun)
        self.turns.append(body.turn)
        body.has_turn = True
        if body.future is not None and not body.future.done():
            body.future.set_result(None)
        self._left -= 1
        if not self._left:
            self._give_up(self._too_long())

    def hang(self) -> None:
        """End the run: cancel its bodies, or, if they wait even then, leave them."""
        self._give_up(self._deadlock())

    def _first(self) -> int:
        """Where in the graph's order those who wait are counted from: at the one that went on last, or behind it."""
        last = self._last
        if last is None:
            return 0
        place = bisect_left(self._waiting, last.place, key=_place)
        is_waiting = place < len(self._waiting) and self._waiting[place] is last
        only_yields = last.yields % _PATIENCE == _PATIENCE - 1
        return place + 1 if is_waiting and only_yields else place

    def _give_up(self, error: GraphRuntimeError) -> None:
        if self.error is not None or self.main is None:
            raise error
        self.error = error
        self._left = self._most
        self.main.cancel()

    def _deadlock(self) -> Deadlock:
        places = {body: source_line(body.coroutine) for body in self._alive}
        waits = '\n'.join(
            f'  {name_of(body.key, fully=True)} waits{f" at {place}" if place else ""}'
            for body, place in places.items()
        )
        return Deadlock(
            f'The run hangs: nothing is left that could go on.\n{waits}\n'
            f'See to it that what they wait for comes in every order, or give the wait a time-out.'
        )

    def _too_long(self) -> EndlessRun:
        last = name_of(self.turns[-1].body.key, fully=True)
        return EndlessRun(
            f'The run has had {self._most} turns and goes on; the last one was that of {last}. '
            f'Bound its loop, or allow more turns with max_turns=.'
        )

    # What bodies do

    @coroutine
    def gated(self, key: Task | Region, running: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Await a body that waits for its turn each time before it goes on."""
        body = Body(key, running)
        self._alive[body] = None
        go_on: Callable[[Any], Any] = running.send
        sent: Any = None
        try:
            yield from self._wait_turn(body)
            if self.begins is not None:
                self.begins(key)
            while True:
                body.has_begun = True
                waits_for = go_on(sent)
                self._note_wait(body, waits_for)
                go_on, sent = running.send, None
                try:
                    sent = yield waits_for
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 # thrown into the body, in its turn
                    go_on, sent = running.throw, error
                cancelled = yield from self._wait_turn(body)
                if cancelled is not None:
                    go_on, sent = running.throw, cancelled
        except StopIteration as stop:
            self._note_end(body, 'ended')
            return stop.value
        except BaseException as error:
            running.close()
            self._note_end(body, 'was cancelled' if isinstance(error, asyncio.CancelledError) else f'raised {error!r}')
            raise
        finally:
            del self._alive[body]

    def _wait_turn(self, body: Body) -> Generator[Any, Any, asyncio.CancelledError | None]:
        """Wait until the body is chosen; if it is cancelled meanwhile, it hears of it in its turn."""
        insort(self._waiting, body, key=_place)
        try:
            return (yield from _wait_chosen(body))
        finally:
            del self._waiting[bisect_left(self._waiting, body.place, key=_place)]
            body.has_turn = False

    def _note_wait(self, body: Body, waits_for: object) -> None:
        body.yields = body.yields + 1 if waits_for is None else 0
        if body.turn is not None and self._tells:
            body.turn.place = source_line(body.coroutine)

    def _note_end(self, body: Body, end: str) -> None:
        if body.turn is not None:
            body.turn.end = end


def _place(body: Body) -> Place:
    return body.place


def _wait_chosen(body: Body) -> Generator[Any, Any, asyncio.CancelledError | None]:
    cancelled = None
    while not body.has_turn:
        body.future = asyncio.get_running_loop().create_future()
        try:
            yield from body.future
        except asyncio.CancelledError as error:
            if not body.has_begun:
                raise
            cancelled = error
    return cancelled


class OrderedCrew(AsyncioCrew):
    """Workers whose bodies take turns; plain functions are called in their turn, in no thread."""

    def __init__(self, turns: Turns):
        super().__init__()
        self._turns = turns

    async def run_body(self, key: object, context: Context, body: Coroutine[Any, Any, Any]) -> Any:
        gated = cast('Coroutine[Any, Any, Any]', self._turns.gated(cast('Task | Region', key), body))  # it is one
        return await super().run_body(key, context, gated)

    async def call_plain(self, key: object, function: Callable[[], T], abandon: bool) -> T:
        if abandon:
            return function()  # the crew runs a body around it, whose turn it is

        async def call() -> T:
            return function()

        return await self._turns.gated(cast('Task | Region', key), call())
