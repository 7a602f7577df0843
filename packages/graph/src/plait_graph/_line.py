"""One line of tickets, and what lets them go on: free places, rates and pauses.

Knows nothing of names, event loops or timers. It is asked, told of releases and of the time, and wakes the owners of
tickets. Any thread may use it; one lock keeps it whole, and no owner is woken while it is held.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Literal, final

from plait_graph.exceptions import GraphRuntimeError

__all__ = 'Figures', 'LimitStatistics', 'Line', 'Ticket', 'is_number'

_PUNCTUAL = 1e-9
"""Who comes this many seconds early is on time: float sums are not exact, and a wait must end when it was said to."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a limit allows; `None` is without bound."""

    in_flight: int | None
    per_second: float | None
    units_per_minute: float | None

    def __str__(self) -> str:
        words = 'in_flight', 'per_second', 'units_per_minute'
        return ', '.join(f'{word}={figure!r}' for word in words if (figure := getattr(self, word)) is not None)


@dataclass(frozen=True, slots=True)
class LimitStatistics:
    """What a limit was doing when it was asked."""

    name: str
    """The limit."""
    in_flight: int
    """Places that are held."""
    waiting: int
    """Tickets that stand in the line."""
    granted: int
    """Tickets that were ever granted."""
    paused_for: float
    """Seconds that are left of a pause."""
    starts_left: float | None
    """Starts that the rate allows at once. `None` without `per_second`."""
    units_left: float | None
    """Units that the rate allows at once, below zero if more was used than said. `None` without `units_per_minute`."""


@final
class Ticket:
    """A place in the line of a limit, and then a place in the limit; made by `Limit.ask`.

    Its owner gives it back once, by `release` or by `withdraw`. Either of them does nothing after that.
    """

    __slots__ = '_line', 'state', 'wake', 'weight'

    def __init__(self, line: Line, weight: float, wake: Callable[[], None] | None):
        self._line = line
        self.weight = weight
        self.wake = wake
        self.state: Literal['waiting', 'granted', 'done'] = 'waiting'

    @property
    def is_granted(self) -> bool:
        """Whether the place is held now."""
        return self.state == 'granted'

    def delay(self) -> float | None:
        """Seconds until time alone may let this ticket go on: poll the limit then.

        `None` if it does not wait, if others stand before it, or if a place must be released first. As soon as that
        has changed, `wake` is called.
        """
        return self._line.delay_of(self)

    def release(self, units: float | None = None) -> None:
        """Give the place back.

        Args:
            units: What was really used. The difference to the weight is credited or charged to `units_per_minute`,
                which may leave less than nothing there. `None`: the weight was right.

        Raises:
            GraphRuntimeError: The ticket still waits, or the units are no amount.
        """
        self._line.release(self, units)

    def withdraw(self) -> None:
        """Leave the line; or give everything back, start and units too, if the ticket was granted and not used.

        If another thread grants it in the same moment, `wake` may still be called; the place is given back all the
        same.
        """
        self._line.withdraw(self)

    def __repr__(self) -> str:
        return f'Ticket({self._line.name!r}, {self.state})'


class Rate:
    """The generic cell rate algorithm, in its form of virtual scheduling (ITU-T Recommendation I.371, annex A).

    A bucket that fills steadily, kept as the time at which it will be full: nothing has to be filled, and the time at
    which so many units will be in it is a sum.
    """

    __slots__ = '_full_at', '_interval', 'burst'

    def __init__(self, units: float, seconds: float):
        self.burst = max(1.0, units)
        self._interval = seconds / units
        self._full_at = -math.inf

    def earliest(self, units: float) -> float:
        """When so many units will be there."""
        return self._full_at + (units - self.burst) * self._interval

    def take(self, units: float, now: float) -> None:
        """Take units out, or put them back if they are negative; a full bucket takes no more."""
        self._full_at = max(self._full_at, now) + units * self._interval

    def left(self, now: float) -> float:
        """The units that are there."""
        return self.burst - max(0.0, self._full_at - now) / self._interval


class Line:
    """The tickets of one limit: those that wait, in the order of asking, and the number of those that are granted."""

    def __init__(self, name: str, figures: Figures, clock: Callable[[], float]):
        self.name = name
        self.figures = figures
        self.clock = clock
        self.held = 0
        self._granted = 0
        self._paused_until = -math.inf
        self._starts = None if figures.per_second is None else Rate(figures.per_second, 1)
        self._units = None if figures.units_per_minute is None else Rate(figures.units_per_minute, 60)
        # Not a deque, as tickets leave from anywhere; not a dict, which gets slow at finding its first key.
        self.waiting: OrderedDict[Ticket, None] = OrderedDict()
        self._known: tuple[Ticket | None, float] = None, math.inf  # for when the owner of the head has set its timer
        self._to_wake: deque[Ticket] = deque()
        self._is_waking = False
        self._lock = Lock()

    def ask(self, weight: float, wake: Callable[[], None] | None) -> Ticket:
        self._check_weight(weight)
        ticket = Ticket(self, weight, wake)
        with self._lock:
            self.waiting[ticket] = None
            self._advance(self.clock())
            if self._to_wake and self._to_wake[-1] is ticket:
                self._to_wake.pop()  # its owner sees it in the ticket
        self._wake()
        return ticket

    def release(self, ticket: Ticket, units: float | None) -> None:
        if units is not None:
            self._check_amount('units', units)
        with self._lock:
            if ticket.state == 'waiting':
                raise GraphRuntimeError(
                    f'A ticket of limit {self.name!r} was released before it was granted. Withdraw it instead.'
                )
            self._give_back(ticket, 0, 0 if units is None else units - ticket.weight)
        self._wake()

    def withdraw(self, ticket: Ticket) -> None:
        self._take_out(ticket)
        self._wake()

    def pause(self, seconds: float) -> None:
        self._check_amount('seconds', seconds)
        with self._lock:
            self._paused_until = max(self._paused_until, self.clock() + seconds)

    def poll(self) -> float | None:
        with self._lock:
            now = self.clock()
            self._advance(now)
            delay = self._delay(now)
        self._wake()
        return delay

    def delay(self) -> float | None:
        with self._lock:
            return self._delay(self.clock())

    def delay_of(self, ticket: Ticket) -> float | None:
        with self._lock:
            is_head = ticket.state == 'waiting' and next(iter(self.waiting)) is ticket
            return self._delay(self.clock()) if is_head else None

    def statistics(self) -> LimitStatistics:
        with self._lock:
            now = self.clock()
            return LimitStatistics(
                name=self.name,
                in_flight=self.held,
                waiting=len(self.waiting),
                granted=self._granted,
                paused_for=max(0.0, self._paused_until - now),
                starts_left=None if self._starts is None else self._starts.left(now),
                units_left=None if self._units is None else self._units.left(now),
            )

    # While the lock is held

    def _advance(self, now: float) -> None:
        """Grant as many tickets as may go on, and remember whom to wake.

        The one that is then the head is woken too, if time alone may let it go on and that is sooner than it knew. Its
        owner polls, so that one timer is enough however many wait.
        """
        while self.waiting:
            head = next(iter(self.waiting))
            due = self._due(head)
            if due is None or due > now + _PUNCTUAL:
                if due is not None and (head is not self._known[0] or due < self._known[1]):
                    self._to_wake.append(head)
                self._known = head, math.inf if due is None else due
                return
            self._grant(head, now)
            self._to_wake.append(head)
        self._known = None, math.inf

    def _grant(self, ticket: Ticket, now: float) -> None:
        del self.waiting[ticket]
        ticket.state = 'granted'
        self.held += 1
        self._granted += 1
        self._take(1, ticket.weight, now)

    def _take(self, starts: float, units: float, now: float) -> None:
        if self._starts is not None:
            self._starts.take(starts, now)
        if self._units is not None:
            self._units.take(units, now)

    def _give_back(self, ticket: Ticket, starts: float, units: float) -> None:
        """Free the place of a granted ticket, and correct the rates."""
        if ticket.state == 'done':
            return
        now = self.clock()
        ticket.state = 'done'
        self.held -= 1
        self._take(starts, units, now)
        self._advance(now)

    def _due(self, ticket: Ticket) -> float | None:
        """When time lets a ticket go on, or `None` if no place is free."""
        if self.figures.in_flight is not None and self.held >= self.figures.in_flight:
            return None
        due = self._paused_until
        if self._starts is not None:
            due = max(due, self._starts.earliest(1))
        if self._units is not None:
            due = max(due, self._units.earliest(ticket.weight))
        return due

    def _delay(self, now: float) -> float | None:
        due = self._due(next(iter(self.waiting))) if self.waiting else None
        return None if due is None else max(0.0, due - now)

    # While it is not

    def _take_out(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.state != 'waiting':
                self._give_back(ticket, -1, -ticket.weight)
                return
            ticket.state = 'done'
            del self.waiting[ticket]
            self._advance(self.clock())

    def _wake(self) -> None:
        """Wake those who are to be woken, one after the other.

        What an owner does to the line at once, or another thread meanwhile, is seen to by the one who is here already:
        a chain of owners that let each other go on must not go deeper with each.
        """
        while (ticket := self._next_to_wake()) is not None:
            try:
                if ticket.wake is not None:
                    ticket.wake()
            except Exception:  # the one who releases or polls has nothing to do with it
                import logging

                logging.getLogger(__name__).exception('The wake of %r failed; the ticket is withdrawn.', ticket)
                self._take_out(ticket)
            finally:
                self._is_waking = False

    def _next_to_wake(self) -> Ticket | None:
        with self._lock:
            if self._is_waking or not self._to_wake:
                return None
            self._is_waking = True
            return self._to_wake.popleft()

    # Bad input

    def _check_amount(self, word: str, amount: float) -> None:
        if not is_number(amount) or not 0 <= amount < math.inf:
            raise GraphRuntimeError(
                f'Limit {self.name!r} was given {word}={amount!r}. Give a number that is finite and not negative.'
            )

    def _check_weight(self, weight: float) -> None:
        self._check_amount('weight', weight)
        if self._units is not None and weight > self._units.burst:
            raise GraphRuntimeError(
                f'Limit {self.name!r} was asked for weight={weight!r} and never has more than {self._units.burst:g} '
                f'units at once. Divide the work, or raise units_per_minute.'
            )


def is_number(value: object) -> bool:
    """Whether a value can be a figure; `True` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
