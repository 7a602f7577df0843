"""Which orders to try, and how to make a failing one short.

An order says which of the bodies that wait goes on, at each point where there is a choice; past its end it says 0: the
same body goes on as long as it can. So the empty order is the plain one, and each other number is a switch. Most races
show with one or two switches, wherever they are (context bounding: M. Musuvathi and S. Qadeer, "Iterative context
bounding for systematic testing of multithreaded programs", PLDI 2007; the tool was CHESS). So orders with few switches
are tried first, one after the other, and then random ones.

Knows nothing of graphs: it yields attempts, and is told of the choices that there were.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import TypeAlias

Order: TypeAlias = tuple[int, ...]
Choices: TypeAlias = Sequence[tuple[int, int]]
"""Where there was a choice: among how many, and which one was taken."""

_SHARE_OF_FEW = 0.5
"""How much of the budget goes to orders with few switches."""
_MOST_TO_SHRINK = 500
"""How often a run is repeated at most to make its order shorter."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An order to try: a given one, or one that is drawn as it goes."""

    order: Order = ()
    seed: int | None = None

    def chooser(self) -> Callable[[int], int]:
        """A function that is asked at each point where there is a choice."""
        return _follow(self.order) if self.seed is None else _draw(self.seed)


def _follow(order: Order) -> Callable[[int], int]:
    left = iter(order)
    return lambda _: next(left, 0)


def _draw(seed: int) -> Callable[[int], int]:
    rng = Random(seed)
    how_often = rng.choice((0.1, 0.3, 0.5, 0.8))

    def choose(count: int) -> int:
        return rng.randrange(1, count) if rng.random() < how_often else 0

    return choose


def order_of(choices: Choices) -> Order:
    """The choices that were taken, without those at the end that are taken anyway."""
    taken = [chosen for _, chosen in choices]
    while taken and not taken[-1]:
        taken.pop()
    return tuple(taken)


class Explorer:
    """Yields attempts; `choices` must be set to what each has met before the next one is asked for.

    Args:
        plain: The choices that the plain order has met.
        first: Orders to try before all others.
        seeds: How many orders to try, or the seeds of random ones.
    """

    def __init__(self, plain: Choices, first: Sequence[Order], seeds: int | range):
        self.choices = plain
        self.is_complete = False
        """Whether all orders that there are have been tried."""
        self._first = first
        self._seeds = seeds

    def __iter__(self) -> Iterator[Attempt]:
        plain = self.choices
        yield from map(Attempt, self._first)
        if isinstance(self._seeds, range):
            yield from (Attempt(seed=seed) for seed in self._seeds)
            return
        few = round((self._seeds - 1) * _SHARE_OF_FEW)
        tried = 1
        for attempt in self._few_switches(plain, few):
            tried += 1
            yield attempt
        if not self.is_complete:
            yield from (Attempt(seed=seed) for seed in range(self._seeds - tried))

    def _few_switches(self, plain: Choices, budget: int) -> Iterator[Attempt]:
        """Orders with one switch, then with two, and so on; a fair sample where there are too many."""
        level: list[tuple[Order, Choices]] = [((), plain)]
        is_all = True
        while level and budget:
            orders = _sample(level, budget)
            is_all = is_all and len(orders) == sum(map(_count, level))
            budget -= len(orders)
            level = []
            for order in orders:
                yield Attempt(order)
                level.append((order, self.choices))
        self.is_complete = is_all and not any(map(_count, level))


def _count(run: tuple[Order, Choices]) -> int:
    """How many orders have one switch more than a run, behind those that it has."""
    order, choices = run
    return sum(width - 1 for width, _ in choices[len(order) :])


def _sample(level: list[tuple[Order, Choices]], most: int) -> list[Order]:
    """Orders with one switch more than those of a level."""
    ends = list(accumulate(map(_count, level)))
    total = ends[-1]
    numbers = range(total) if total <= most else sorted(Random(0).sample(range(total), most))
    found: list[Order] = []
    for number in numbers:
        place = bisect(ends, number)
        found.append(_switched(*level[place], number - (ends[place - 1] if place else 0)))
    return found


def _switched(order: Order, choices: Choices, number: int) -> Order:
    """The order of a run with one switch more: the one with a number."""
    ends = list(accumulate(width - 1 for width, _ in choices[len(order) :]))
    place = bisect(ends, number)
    chosen = number - (ends[place - 1] if place else 0) + 1
    return (*(taken for _, taken in choices[: len(order) + place]), chosen)


# Shrinking


def shrink(order: Order, taken_if_failing: Callable[[Order], Order | None], *, most: int) -> Order:
    """Make a failing order smaller, as long as it fails: fewer switches, then shorter, then lower numbers.

    Args:
        order: The one that failed.
        taken_if_failing: Tries an order; gives the choices that it came to, or nothing if it does not fail.
        most: How many orders to try.
    """
    left, best, tried = min(most, _MOST_TO_SHRINK), order, {order}
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(best):
            if candidate in tried or not left:
                continue
            tried.add(candidate)
            left -= 1
            taken = taken_if_failing(candidate)
            if taken is not None and _size(taken) < _size(best):
                best, is_smaller = taken, True
                break
    return best


def _size(order: Order) -> tuple[int, int, Order]:
    return sum(map(bool, order)), len(order), order


def _smaller(order: Order) -> Iterator[Order]:
    """Orders made from one by leaving parts out, by taking switches away, and by lowering single numbers."""
    size = len(order)
    while size:
        for start in reversed(range(0, len(order), size)):
            before, part, behind = order[:start], order[start : start + size], order[start + size :]
            yield before + behind
            if any(part):
                yield before + (0,) * len(part) + behind
        size //= 2
    for place, number in enumerate(order):
        for lower in range(1, number):
            yield (*order[:place], lower, *order[place + 1 :])
