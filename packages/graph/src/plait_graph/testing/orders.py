"""`any_order`: run a graph in many orders, and find what depends on them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from plait_graph._run.sync import is_in_loop
from plait_graph._typevars import Deps, Input, Output, State
from plait_graph.exceptions import GraphSetupError
from plait_graph.graph import Graph
from plait_graph.testing._exploring import Attempt, Explorer, Order, shrink
from plait_graph.testing._playing import OrderResult, Setup
from plait_graph.testing._turns import Deadlock, EndlessRun

_MOST_TURNS_TO_SHRINK = 500_000
"""How many turns may be spent on making a failing order shorter."""
_MOST_SHOWN = 100
"""How many numbers of an order are shown in a message."""

__all__ = 'Deadlock', 'EndlessRun', 'OrderDependence', 'OrderResult', 'OrdersReport', 'any_order'


@dataclass(frozen=True)
class OrdersReport(Generic[Output, State]):
    """A graph came to the same in all orders that were tried."""

    orders: int
    """How many different orders were tried, the plain one included."""
    is_complete: bool
    """Whether these are all that there are."""
    plain: OrderResult[Output, State]
    """What came of the plain order."""

    @property
    def output(self) -> Output:
        """The output of the plain order."""
        return self.plain.output

    def __repr__(self) -> str:
        return f'<OrdersReport: {self.orders} orders{", all there are" if self.is_complete else ""}; {self.plain}>'


class OrderDependence(AssertionError):
    """Raised when what comes of a graph depends on the order in which its steps go on."""

    def __init__(
        self, message: str, result: OrderResult[Any, Any], plain: OrderResult[Any, Any], seed: int | None = None
    ):
        super().__init__(message)
        self.result = result
        """The shortest order that was found to fail, and what came of it."""
        self.plain = plain
        """What comes of the plain order."""
        self.seed = seed
        """The seed of the random order that failed first; `None` if that order was not a random one."""

    @property
    def order(self) -> tuple[int, ...]:
        """The shortest order that was found to fail, for `any_order(..., order=...)`."""
        return self.result.order


def any_order(
    graph: Graph[State, Deps, Input, Output],
    *,
    inputs: Input | None = None,
    state: State | None = None,
    make_state: Callable[[], State] | None = None,
    deps: Deps | None = None,
    make_deps: Callable[[], Deps] | None = None,
    seeds: int | range = 200,
    seed: int | None = None,
    first: Sequence[Sequence[int]] = (),
    order: Sequence[int] | None = None,
    check: Callable[[OrderResult[Output, State]], object] | None = None,
    max_turns: int = 100_000,
) -> OrdersReport[Output, State]:
    """Run a graph in many orders, and raise if something depends on them.

    The real bodies run, on an event loop whose clock jumps over all waiting, one at a time. Wherever several could go
    on, another one does in each run: first in the plain order, in which each goes on as long as it can; then in orders
    with few switches; then in random ones. Plain functions are called in their turn, in no thread. Tasks that a body
    starts itself are not held up.

    By default the output and the final state must be the same in all orders. If the run raises the same in all orders,
    that is raised. May be called anywhere; where an event loop runs already, it works in a thread of its own.

    Args:
        graph: The graph.
        inputs: The inputs; each run gets a copy.
        state: The state; each run gets a copy.
        make_state: Makes the state of each run instead.
        deps: The dependencies, the same object in all runs.
        make_deps: Makes the dependencies of each run instead.
        seeds: How many orders to try, or the seeds of random orders.
        seed: One seed to repeat.
        first: Orders to try before all others, such as one that failed once.
        order: One order to repeat.
        check: Is called with what came of each run, instead of comparing; fails by raising.
        max_turns: How often bodies may go on in one run.

    Raises:
        OrderDependence: What comes of the graph is not the same in all orders, or the check fails in some.
        Deadlock: The run hangs in the plain order. If it hangs in another one, that is an `OrderDependence`.
        EndlessRun: The run has more than `max_turns` in the plain order; otherwise likewise.
        GraphSetupError: Arguments contradict each other, or inputs or state cannot be copied.
        Exception: What the run raises in all orders, or the check in the plain one.
    """
    _check_arguments(state, make_state, deps, make_deps, [seed, order])
    setup = Setup(
        graph,
        lambda: _copied(inputs, 'inputs', 'Make them in the first step'),
        make_state or (lambda: _copied(state, 'state', 'Give make_state=, a function that makes it')),
        make_deps or (lambda: deps),
        max_turns,
    )
    if order is not None:
        first, seeds = [order], range(0)
    elif seed is not None:
        seeds = range(seed, seed + 1)
    search = _Search(setup, check)
    if not is_in_loop():
        return search.run([tuple(each) for each in first], seeds)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(search.run, [tuple(each) for each in first], seeds).result()


def _check_arguments(state: Any, make_state: Any, deps: Any, make_deps: Any, repeats: list[Any]) -> None:
    for name, value, maker in (('state', state, make_state), ('deps', deps, make_deps)):
        if value is not None and maker is not None:
            raise GraphSetupError(f'any_order was given {name}= and make_{name}=. Give one of them.')
    if None not in repeats:
        raise GraphSetupError('any_order was given seed= and order=. Give the one that is to be repeated.')


def _copied(value: Any, name: str, remedy: str) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise GraphSetupError(
            f'any_order gives each run a copy of its {name}, and {type(value).__name__} cannot be copied. {remedy}.'
        ) from error


# Many runs


class _Search:
    """Tries orders until one fails, and then makes that one short."""

    def __init__(self, setup: Setup, check: Callable[[OrderResult[Any, Any]], object] | None):
        self._setup = setup
        self._check = check

    def run(self, first: Sequence[Order], seeds: int | range) -> OrdersReport[Any, Any]:
        plain, choices = self._setup.play(Attempt())
        self._judge_plain(plain)
        explorer = Explorer(choices, first, seeds)
        seen = {plain.order}
        for attempt in explorer:
            result, explorer.choices = self._setup.play(attempt)
            if result.order not in seen:
                seen.add(result.order)
                fault = self._fault(result, plain)
                if fault is not None:
                    self._raise(attempt, result, plain)
        if self._check is None and plain.error is not None:
            plain.error.add_note(f'raised in each of the {len(seen)} orders that were tried')
            raise plain.error
        return OrdersReport(len(seen), explorer.is_complete, plain)

    def _judge_plain(self, plain: OrderResult[Any, Any]) -> None:
        if plain.error is not None and plain.is_stuck:
            raise plain.error
        if self._check is None:
            return
        try:
            self._check(plain)
        except Exception as error:
            error.add_note('raised by the check of the plain order, before any other order was tried')
            raise

    def _fault(self, result: OrderResult[Any, Any], plain: OrderResult[Any, Any]) -> BaseException | str | None:
        """What is wrong with what came of an order, if anything is."""
        if result.is_stuck:
            return result.error
        if self._check is None:
            return result.how_differs(plain)
        try:
            self._check(result)
        except Exception as error:  # noqa: BLE001 # whatever the check raises is what is wrong
            return error
        return None

    def _raise(self, attempt: Attempt, failed: OrderResult[Any, Any], plain: OrderResult[Any, Any]) -> None:
        """Find a short order that fails as well, and say what happens in it."""

        def taken_if_failing(order: Order) -> Order | None:
            result, _ = self._setup.play(Attempt(order))
            return None if self._fault(result, plain) is None else result.order

        order = shrink(failed.order, taken_if_failing, most=_MOST_TURNS_TO_SHRINK // failed.turns)
        result, _ = self._setup.play(Attempt(order), tells=True)
        told, _ = self._setup.play(Attempt(), tells=True)
        fault = self._fault(result, plain)
        cause = fault if isinstance(fault, BaseException) else result.error
        raise OrderDependence(self._message(attempt, result, told, fault), result, told, attempt.seed) from cause

    def _message(
        self,
        attempt: Attempt,
        result: OrderResult[Any, Any],
        plain: OrderResult[Any, Any],
        fault: BaseException | str | None,
    ) -> str:
        name = self._setup.graph.name
        found = 'by few switches' if attempt.seed is None else f'with seed={attempt.seed}'
        wrong = fault if isinstance(fault, str) else f'{type(fault).__name__}: {fault}'
        return (
            f'The outcome of {f"graph {name!r}" if name else "the graph"} depends on the order of its steps.\n'
            f'\n{wrong}\n'
            f'\nIn this order, the shortest found ({found}):\n{result.story}\n  and so: {result}\n'
            f'\nIn the plain order:\n{plain.story}\n  and so: {plain}\n'
            f'\n{_how_to_repeat(result.order)}'
        )


def _how_to_repeat(order: Order) -> str:
    if len(order) <= _MOST_SHOWN:
        return f'Repeat it with any_order(..., order={list(order)}).'
    return f'Repeat it with any_order(..., order=...) and the {len(order)} numbers that are in `order` of this error.'
