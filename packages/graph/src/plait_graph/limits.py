"""Limits by name: how many may work at once, and how fast they may begin.

A limit is shared by everyone in the process who names it: steps, graphs, runs, threads and event loops. Who wants a
place asks for a ticket, stands in one line with all others, and is woken. Nothing here awaits or keeps a timer, except
`hold`, which is an ordinary user of the rest; so an engine that may not await can wait for a place too.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, final

from plait_graph._line import Figures, LimitStatistics, Line, Ticket, is_number
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError

if TYPE_CHECKING:
    from plait_graph.step import StepContext

__all__ = 'Limit', 'LimitStatistics', 'Ticket', 'WeighedLimit'

_lines: dict[str, Line] = {}
"""All limits of the process. They stay, since their users come and go and the server behind a limit does not."""
_lines_lock = Lock()


@dataclass(frozen=True, slots=True)
class WeighedLimit:
    """A limit together with what a step's call weighs, for the policy of a step."""

    limit: Limit
    """The limit."""
    weight: Callable[[StepContext[Any, Any, Any]], float]
    """How many units a call will use, found before it begins."""


@final
class Limit:
    """A bound on how many may work at once, how many may begin in a second, how many units they may use in a minute.

    The name stands for one limit in the whole process: another `Limit` of the same name must have the same figures, is
    equal and shares everything. Tickets are granted in the order of asking, each as soon as all figures allow it. Both
    rates are buckets that hold what one second or one minute allows, 1 at least, and fill steadily: after a rest that
    much may begin at once.

    Args:
        name: What the limit stands for.
        in_flight: How many tickets may be held at once.
        per_second: How many tickets may be granted in a second.
        units_per_minute: How much the tickets of a minute may weigh together: tokens of a model, bytes, ...
        clock: Gives the seconds of a clock that never goes back. With the default a limit that is there keeps its own.

    Raises:
        GraphSetupError: No figure is given or one is not positive; or the name has other figures or another clock.
    """

    __slots__ = ('_line',)

    def __init__(
        self,
        name: str,
        *,
        in_flight: int | None = None,
        per_second: float | None = None,
        units_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        figures = Figures(in_flight, per_second, units_per_minute)
        _check_figures(name, figures)
        with _lines_lock:
            line = _lines.get(name)
            if line is None:
                line = _lines[name] = Line(name, figures, clock)
        _check_same(line, figures, clock)
        self._line = line

    @classmethod
    def named(cls, name: str) -> Limit:
        """Give the limit that was made under a name.

        Raises:
            GraphRuntimeError: There is none.
        """
        with _lines_lock:
            line = _lines.get(name)
            known = list(_lines)
        if line is None:
            raise GraphRuntimeError(
                f'No limit is named {name!r}{_near(name, known)}. Make it first: Limit({name!r}, in_flight=...).'
            )
        limit = cls.__new__(cls)
        limit._line = line
        return limit

    @classmethod
    def forget(cls, name: str) -> None:
        """Free a name for a new limit, if there is one of it. Who holds the old limit goes on with that."""
        with _lines_lock:
            _lines.pop(name, None)

    @property
    def name(self) -> str:
        """What the limit stands for."""
        return self._line.name

    @property
    def units_per_minute(self) -> float | None:
        """How much the tickets of a minute may weigh together, and so one of them at most; `None` is without bound."""
        return self._line.figures.units_per_minute

    def weighing(self, weight: Callable[[StepContext[Any, Any, Any]], float]) -> WeighedLimit:
        """This limit with a function that says how many units a call of a step will use.

        Raises:
            GraphSetupError: The weight cannot be called.
        """
        if not callable(weight):
            raise GraphSetupError(
                f'Limit {self.name!r} is weighed by {weight!r}, which cannot be called. '
                f'Give a function of a StepContext.'
            )
        return WeighedLimit(self, weight)

    def ask(self, weight: float = 1, wake: Callable[[], None] | None = None) -> Ticket:
        """Stand in the line for a place; the ticket is granted at once if there is room and nobody waits before it.

        Args:
            weight: How many units will be used. For `in_flight` and `per_second` each ticket counts 1.
            wake: Called when the ticket is granted later, and when it has come to the head of the line and time alone
                may let it go on: look at `is_granted`, and if it is not, poll after `Ticket.delay()`. It is called
                from whichever thread moves the line, maybe before `ask` has returned. It must neither block nor
                raise: its error is logged and the ticket withdrawn, so that the others go on.

        Raises:
            GraphRuntimeError: The weight is no amount, or more than the limit will ever allow at once.
        """
        return self._line.ask(weight, wake)

    @asynccontextmanager
    async def hold(self, weight: float = 1) -> AsyncGenerator[Ticket, None]:
        """Wait for a place and hold it for the block, on asyncio and on trio.

        A caller that is cancelled while it waits leaves the line. Release the ticket within the block to say how many
        units were really used.

        Raises:
            GraphRuntimeError: The weight is no amount, or more than the limit will ever allow at once.
        """
        import anyio.lowlevel

        await anyio.lowlevel.checkpoint()
        bell = _Bell()
        ticket = self.ask(weight, bell.ring)
        try:
            while not ticket.is_granted:
                await bell.wait(ticket.delay())
                self.poll()
        except BaseException:
            ticket.withdraw()
            raise
        try:
            yield ticket
        finally:
            ticket.release()

    def pause(self, seconds: float) -> None:
        """Grant nothing for a time, as when a server says Retry-After. The later end of two pauses counts.

        Raises:
            GraphRuntimeError: The seconds are no amount.
        """
        self._line.pause(seconds)

    def poll(self) -> float | None:
        """Let go on whoever may by now, wake them, and give the next `delay()`."""
        return self._line.poll()

    def delay(self) -> float | None:
        """Seconds until time alone may let the head of the line go on.

        `None` if nobody waits, or if a place must be released first.
        """
        return self._line.delay()

    def statistics(self) -> LimitStatistics:
        """What the limit is doing."""
        return self._line.statistics()

    def __eq__(self, other: object) -> bool:
        """Whether both are the same limit, and not only of one name."""
        return isinstance(other, Limit) and self._line is other._line

    def __hash__(self) -> int:
        return hash(self._line)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy goes by the name: it is this limit here, and the limit of that name in another process."""
        return partial(Limit, **asdict(self._line.figures)), (self.name,)

    def __repr__(self) -> str:
        line = self._line
        return f'Limit({line.name!r}, {line.figures}: {line.held} in flight, {len(line.waiting)} waiting)'


class _Bell:
    """Wakes one awaiting function, from any thread and without waiting for its loop."""

    __slots__ = '_event', '_post'

    def __init__(self) -> None:
        import anyio.lowlevel

        # anyio's own way into a loop blocks until that has answered: two loops that wake each other would be stuck.
        token: Any = anyio.lowlevel.current_token().native_token
        self._post = getattr(token, 'call_soon_threadsafe', None) or token.run_sync_soon
        self._event = anyio.Event()

    def ring(self) -> None:
        self._post(self._set)

    def _set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float | None) -> None:
        """Wait for the bell, but not longer than so many seconds."""
        import anyio

        with anyio.move_on_after(seconds):
            await self._event.wait()
        self._event = anyio.Event()


def _check_figures(name: object, figures: Figures) -> None:
    if not isinstance(name, str) or not name:
        raise GraphSetupError(f'A limit is named {name!r}. Give a text that is not empty.')
    given = {word: figure for word, figure in asdict(figures).items() if figure is not None}
    if not given:
        raise GraphSetupError(f'Limit {name!r} limits nothing. Give in_flight, per_second or units_per_minute.')
    for word, figure in given.items():
        if not is_number(figure) or not 0 < figure < math.inf:
            raise GraphSetupError(f'Limit {name!r} has {word}={figure!r}. Give a finite number above 0.')
    if not isinstance(given.get('in_flight', 1), int):
        raise GraphSetupError(f'Limit {name!r} has in_flight={figures.in_flight!r}. Give a whole number.')


def _check_same(line: Line, figures: Figures, clock: Callable[[], float]) -> None:
    if line.figures != figures:
        raise GraphSetupError(
            f'Limit {line.name!r} was made with {line.figures} and is asked for with {figures}. '
            f'Use the same figures, another name, or Limit.named({line.name!r}).'
        )
    if clock not in (line.clock, time.monotonic):
        raise GraphSetupError(
            f'Limit {line.name!r} was made with clock={line.clock!r} and is asked for with clock={clock!r}. '
            f'Leave the clock out, or call Limit.forget({line.name!r}) before.'
        )


def _near(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = [repr(other) for other in get_close_matches(name, known)]
    return f'; is {" or ".join(near)} meant?' if near else f'; there are {known}' if known else ''
