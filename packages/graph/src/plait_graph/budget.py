"""Budgets: how much time, money, tokens and calls a run and its parts may use.

Budgets form a tree, and all bounds from a budget up to the root hold together. Knows nothing of what it is spent on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import final

from plait_graph._accounts import Account, Amounts, BudgetStatistics, Money, Sums, make_amounts, read, read_seconds
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError

__all__ = 'Amounts', 'Budget', 'BudgetStatistics', 'Money', 'Reservation'


@final
class Budget:
    """Bounds on what may be used: by a run if it is the root, else by a part of what its parent covers.

    Without a bound there is none, and what is spent is counted all the same. The time of a budget, and of all above it,
    starts at `start()` or when it is first used: by `reserve`, `spend` or `check`. So it can be made ahead. Any thread
    may use it.

    Args:
        seconds: How long.
        money: How much money, in whatever currency you count.
        tokens: How many tokens.
        calls: How many calls.
        name: What it is for.
        parent: The budget that it is part of.
        clock: Gives the seconds of a clock that never goes back. A child has that of its parent.

    Raises:
        GraphSetupError: A bound is no amount, the name is empty, or the parent is no budget or has another clock.
    """

    __slots__ = '_account', 'name', 'parent'

    def __init__(
        self,
        *,
        seconds: float | None = None,
        money: Money | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        name: str = 'run',
        parent: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.name = name
        self.parent = parent
        _check_name(name)
        above = None if parent is None else self._account_of(parent, clock)
        path = name if above is None else f'{above.path}/{name}'
        limit = None if seconds is None else read_seconds(path, seconds)
        self._account = Account(path, limit, read(path, GraphSetupError, money, tokens, calls), above, clock)

    @property
    def path(self) -> str:
        """The names of the budgets above it and its own, such as `run/research`."""
        return self._account.path

    def child(
        self,
        *,
        name: str,
        seconds: float | None = None,
        money: Money | None = None,
        tokens: int | None = None,
        calls: int | None = None,
    ) -> Budget:
        """Make a budget for a part: its own bounds hold, and all bounds above it as well.

        Raises:
            GraphSetupError: A bound is no amount, or the name is empty.
        """
        return Budget(seconds=seconds, money=money, tokens=tokens, calls=calls, name=name, parent=self)

    def start(self) -> None:
        """Let the time begin, here and above. Where it has begun it goes on."""
        self._account.start()

    def check(self) -> None:
        """See that there is time left, here and above.

        Raises:
            BudgetExceeded: The time is up.
        """
        self._account.check()

    def reserve(
        self, *, money: Money | None = None, tokens: int | None = None, calls: int | None = None
    ) -> Reservation:
        """Set something aside before it is spent, here and above: all that is asked for, or nothing.

        Use it in a `with` block, which gives back what was not spent.

        Raises:
            BudgetExceeded: Less is left, or the time is up.
            GraphRuntimeError: What is asked for is no amount.
        """
        asked = read(self.path, GraphRuntimeError, money, tokens, calls)
        self._account.reserve(asked)
        return Reservation(self._account, asked)

    def spend(self, *, money: Money | None = None, tokens: int | None = None, calls: int | None = None) -> None:
        """Record what was spent without a reservation, whatever the bounds are: what is spent is spent.

        What others have reserved is not there for it.

        Raises:
            BudgetExceeded: Less was left, or the time is up. All is recorded.
            GraphRuntimeError: What was spent is no amount. Nothing is recorded.
        """
        self._account.spend(read(self.path, GraphRuntimeError, money, tokens, calls), {})

    @property
    def limits(self) -> Amounts:
        """The bounds of this budget by itself."""
        return self.statistics().limits

    @property
    def spent(self) -> Amounts:
        """What was spent here and below, and the seconds since the time started."""
        return self.statistics().spent

    @property
    def reserved(self) -> Amounts:
        """What is reserved here and below and not spent."""
        return self.statistics().reserved

    @property
    def remaining(self) -> Amounts:
        """What may still be spent, by the bounds here and above; never below zero."""
        return self.statistics().remaining

    def statistics(self) -> BudgetStatistics:
        """Where the budget stands, all of it at one moment; printed, it is a line."""
        return self._account.statistics()

    def _account_of(self, parent: object, clock: Callable[[], float]) -> Account:
        if not isinstance(parent, Budget):
            raise GraphSetupError(
                f'Budget {self.name!r} has parent={parent!r}, which is no budget. Give a Budget, or leave it out.'
            )
        if clock not in (parent._account.clock, time.monotonic):
            raise GraphSetupError(
                f'Budget {self.name!r} has clock={clock!r}, and its parent {parent.path!r} has another one. '
                f'Leave it out: a tree has one clock.'
            )
        return parent._account

    def __repr__(self) -> str:
        return f'Budget({", ".join(filter(None, (repr(self.path), str(self.limits))))})'


@final
class Reservation:
    """A part of a budget that is set aside for one who will spend it; made by `Budget.reserve`.

    When it is settled nothing is left in it, and what is spent then is charged as if it had not been reserved.
    """

    __slots__ = '_account', '_left'

    def __init__(self, account: Account, left: Sums):
        self._account = account
        self._left = left

    @property
    def left(self) -> Amounts:
        """What is still set aside."""
        return make_amounts(self._left)

    def spend(self, *, money: Money | None = None, tokens: int | None = None, calls: int | None = None) -> None:
        """Record what was spent. What goes over what is set aside is charged to the budget.

        Raises:
            BudgetExceeded: The budget had less left than went over, or the time is up. All is recorded.
            GraphRuntimeError: What was spent is no amount. Nothing is recorded.
        """
        self._account.spend(read(self._account.path, GraphRuntimeError, money, tokens, calls), self._left)

    def settle(self) -> None:
        """Give back what was not spent, as the end of a `with` block does. The second time it does nothing."""
        self._account.settle(self._left)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.settle()

    def __repr__(self) -> str:
        return f'Reservation({self._account.path!r}, {str(self.left) or "nothing"} left)'


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise GraphSetupError(f'A budget is named {name!r}. Give a text that is not empty.')
