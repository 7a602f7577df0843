"""The accounts of a tree of budgets: what is bounded, spent and reserved, and whether there is room for more.

What is spent in one account is spent in all above it, and so with what is reserved: each keeps its own totals, and
nothing is added up later. Any thread may use them; one lock holds for the whole tree.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from decimal import Context, Decimal, InvalidOperation, localcontext
from threading import Lock
from typing import Any, Literal, TypeAlias

from plait_graph.exceptions import BudgetExceeded, GraphError, GraphSetupError

__all__ = 'Account', 'Amounts', 'BudgetStatistics', 'Money', 'Sums', 'make_amounts', 'read', 'read_seconds'

Money: TypeAlias = Decimal | int | float | str
"""A sum of money. A float counts as it is printed, so that 0.1 is a tenth."""

_Leaf: TypeAlias = Literal['money', 'tokens', 'calls']
Sums: TypeAlias = dict[_Leaf, Decimal | int]
"""Amounts that can be spent, of those that are spoken of."""

_PLACES = 30
"""How many places of money are taken, before the point and behind it."""
_EXACT = Context(prec=4 * _PLACES)
"""Sums are exact, whatever context of decimals the caller works in."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """So much of each; `None` is without bound, or not said."""

    seconds: float | None = None
    money: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    def __str__(self) -> str:
        amounts = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ', '.join(f'{word}={_show(amount)}' for word, amount in amounts if amount is not None)


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """Where a budget stood when it was asked."""

    path: str
    """The names of the budgets above it and its own, such as `run/research`."""
    limits: Amounts
    """Its own bounds."""
    spent: Amounts
    """What was spent in it and below it, and the seconds since its time started."""
    reserved: Amounts
    """What is reserved in it and below it and not spent."""
    remaining: Amounts
    """What may still be spent, by its own bounds and all above it; never below zero."""

    def __str__(self) -> str:
        parts = ('limits', self.limits), ('spent', self.spent), ('reserved', self.reserved), ('left', self.remaining)
        return f'{self.path}: ' + '; '.join(f'{word} {amounts}' for word, amounts in parts if str(amounts))


class Account:
    """What one budget allows and what became of it."""

    def __init__(
        self, path: str, seconds: float | None, bounds: Sums, parent: Account | None, clock: Callable[[], float]
    ):
        self.path = path
        self.seconds = seconds
        self.bounds = bounds
        self.parent = parent
        self.clock = clock if parent is None else parent.clock
        self._lock = Lock() if parent is None else parent._lock
        self._spent: Sums = {'money': Decimal(0), 'tokens': 0, 'calls': 0}
        self._reserved: Sums = dict(self._spent)
        self._started_at: float | None = None

    def start(self) -> None:
        with self._lock:
            self._start()

    def check(self) -> None:
        with self._lock:
            refusal = self._find_late()
        if refusal is not None:
            raise refusal

    def reserve(self, asked: Sums) -> None:
        with self._lock, localcontext(_EXACT):
            refusal = self._find_late() or self._find_short(asked, 'asked for', 'Ask for less')
            if refusal is None:
                for account in self._upwards():
                    _add(account._reserved, asked)
        if refusal is not None:
            raise refusal

    def spend(self, amounts: Sums, left: Sums) -> None:
        """Record what was spent: first from what is left of a reservation, then from what nobody has reserved."""
        with self._lock, localcontext(_EXACT):
            covered: Sums = {leaf: min(amount, left.get(leaf, 0)) for leaf, amount in amounts.items()}
            excess: Sums = {leaf: amount - covered[leaf] for leaf, amount in amounts.items()}
            late = self._find_late()
            refusal = self._find_short(excess, 'spent without being reserved', 'Reserve before') or late
            for account in self._upwards():
                _add(account._spent, amounts)
            self._free(covered, left)
        if refusal is not None:
            raise refusal

    def settle(self, left: Sums) -> None:
        with self._lock, localcontext(_EXACT):
            self._free(left, left)

    def statistics(self) -> BudgetStatistics:
        with self._lock, localcontext(_EXACT):
            now = self.clock()
            return BudgetStatistics(
                path=self.path,
                limits=make_amounts(self.bounds, self.seconds),
                spent=make_amounts(self._spent, self._elapsed(now)),
                reserved=make_amounts(self._reserved),
                remaining=self._remaining(now),
            )

    # While the lock is held

    def _upwards(self) -> Iterator[Account]:
        account: Account | None = self
        while account is not None:
            yield account
            account = account.parent

    def _start(self) -> float:
        now = self.clock()
        for account in self._upwards():
            if account._started_at is None:
                account._started_at = now
        return now

    def _elapsed(self, now: float) -> float:
        return 0.0 if self._started_at is None else now - self._started_at

    def _room(self, leaf: _Leaf) -> Decimal | int:
        """What this account by itself, which has a bound for it, leaves."""
        return max(self.bounds[leaf] - self._spent[leaf] - self._reserved[leaf], 0)

    def _tightest(self, leaf: _Leaf) -> Account | None:
        """The account that leaves least, here or above; `None` if none has a bound."""
        bounded = [account for account in self._upwards() if leaf in account.bounds]
        return min(bounded, key=lambda account: account._room(leaf), default=None)

    def _remaining(self, now: float) -> Amounts:
        times = [max(a.seconds - a._elapsed(now), 0.0) for a in self._upwards() if a.seconds is not None]
        rooms: Sums = {leaf: a._room(leaf) for leaf in self._spent if (a := self._tightest(leaf)) is not None}
        return make_amounts(rooms, min(times, default=None))

    def _find_late(self) -> BudgetExceeded | None:
        """Start the time, and see whether it is up."""
        now = self._start()
        for account in self._upwards():
            elapsed = account._elapsed(now)
            if account.seconds is not None and elapsed >= account.seconds:
                return BudgetExceeded(
                    f'The time of budget {account.path!r} is up: {elapsed:g} of {account.seconds:g} seconds have '
                    f'passed. Stop sooner, or give it more with seconds=...',
                    leaf='seconds',
                    budget=account.path,
                    asked=None,
                    remaining=0.0,
                )
        return None

    def _find_short(self, asked: Sums, how: str, remedy: str) -> BudgetExceeded | None:
        """Find the first of what is asked for of which there is not enough."""
        for leaf, amount in asked.items():
            account = self._tightest(leaf)
            if account is not None and amount > (room := account._room(leaf)):
                return BudgetExceeded(
                    f'Budget {account.path!r} has {leaf}={_show(room)} left of {_show(account.bounds[leaf])}, '
                    f'and {leaf}={_show(amount)} is {how}. {remedy}, or give it more with {leaf}=...',
                    leaf=leaf,
                    budget=account.path,
                    asked=amount,
                    remaining=room,
                )
        return None

    def _free(self, amounts: Sums, left: Sums) -> None:
        """Take something out of a reservation, as it was spent or is given back."""
        back: Sums = {leaf: -amount for leaf, amount in amounts.items() if amount}
        _add(left, back)
        for account in self._upwards():
            _add(account._reserved, back)


def _add(sums: Sums, amounts: Sums) -> None:
    for leaf, amount in amounts.items():
        sums[leaf] += amount


def make_amounts(sums: Sums, seconds: float | None = None) -> Amounts:
    """The record of some sums."""
    given: Any = sums  # each leaf has a type of its own, which a dictionary cannot say
    return Amounts(seconds, **given)


def _show(amount: Decimal | float) -> str:
    return str(amount) if isinstance(amount, int) else f'{amount:f}' if isinstance(amount, Decimal) else f'{amount:g}'


# Bad input


def read(path: str, error: type[GraphError], money: Money | None, tokens: int | None, calls: int | None) -> Sums:
    """Turn what was said into sums.

    Raises:
        error: One of them is no amount.
    """
    sums: Sums = {}
    if money is not None:
        sums['money'] = _read_money(path, error, money)
    if tokens is not None:
        sums['tokens'] = _read_count(path, error, 'tokens', tokens)
    if calls is not None:
        sums['calls'] = _read_count(path, error, 'calls', calls)
    return sums


def _read_money(path: str, error: type[GraphError], money: Any) -> Decimal:
    try:
        is_money = isinstance(money, Decimal | int | float | str) and not isinstance(money, bool)
        amount = Decimal(str(money) if isinstance(money, float) else money) if is_money else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise error(
            f'Budget {path!r} was given money={money!r}. '
            f'Give a Decimal, an int, a float or digits in a text, finite and not negative.'
        )
    if amount.adjusted() >= _PLACES or int(amount.as_tuple().exponent) < -_PLACES:
        raise error(
            f'Budget {path!r} was given money={money!r}. Keep it to {_PLACES} places on each side of the point.'
        )
    return amount


def _read_count(path: str, error: type[GraphError], leaf: str, count: Any) -> int:
    try:
        number = -1 if isinstance(count, bool) else operator.index(count)
    except TypeError:
        number = -1
    if number < 0:
        raise error(f'Budget {path!r} was given {leaf}={count!r}. Give a whole number that is not negative.')
    return number


def read_seconds(path: str, seconds: Any) -> float:
    """Turn a bound of time into seconds.

    Raises:
        GraphSetupError: It is no amount.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
        raise GraphSetupError(
            f'Budget {path!r} was given seconds={seconds!r}. Give a number, finite and not negative, or leave it out.'
        )
    return float(seconds)
