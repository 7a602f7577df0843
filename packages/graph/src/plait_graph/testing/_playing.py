"""One run of a graph, in an order, on a loop of its own; and what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic

import anyio.to_thread

from plait_graph._run.driver import Driver
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.launch import make_environment
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.surroundings import Surroundings
from plait_graph._typevars import Output, State
from plait_graph.graph import Graph
from plait_graph.testing._comparing import difference, shown
from plait_graph.testing._exploring import Attempt, Choices, order_of
from plait_graph.testing._inline import Inline
from plait_graph.testing._telling import tell
from plait_graph.testing._turns import Deadlock, EndlessRun, OrderedCrew, Turn, Turns
from plait_graph.testing.virtual_loop import VirtualLoop


@dataclass(frozen=True)
class OrderResult(Generic[Output, State]):
    """What came of a run in one order."""

    order: tuple[int, ...]
    """Which of the bodies that waited went on, at each point where there was a choice; `()` is the plain order."""
    state: State
    """The state when the run had ended."""
    error: BaseException | None
    """What the run raised."""
    _output: Output | None = field(repr=False)
    _turns: Sequence[Turn] = field(repr=False, compare=False)

    @property
    def output(self) -> Output:
        """The output of the run.

        Raises:
            Exception: What the run raised, if it did.
        """
        if self.error is not None:
            raise self.error
        return self._output  # pyright: ignore[reportReturnType] # a run that raised nothing has an output

    @property
    def story(self) -> str:
        """The order in words, a line for each body that went on."""
        return tell(self._turns)

    @property
    def is_stuck(self) -> bool:
        """Whether the run hung, or went on without end."""
        return isinstance(self.error, Deadlock | EndlessRun)

    @property
    def turns(self) -> int:
        """How often bodies went on."""
        return len(self._turns)

    def how_differs(self, plain: OrderResult[Output, State]) -> str | None:
        """How this differs from what comes of the plain order, if it does; after a failure the state does not count."""
        if self.error is not None or plain.error is not None:
            return difference(self.error, plain.error, 'what the run raises')
        return difference(self._output, plain._output, 'output') or difference(self.state, plain.state, 'state')

    def __str__(self) -> str:
        if self.error is not None:
            return f'{type(self.error).__name__}: {self.error}'
        return f'output {shown(self._output)}' + ('' if self.state is None else f', state {shown(self.state)}')


@dataclass(frozen=True, slots=True)
class Setup:
    """What each run is made of."""

    graph: Graph[Any, Any, Any, Any]
    make_inputs: Callable[[], Any]
    make_state: Callable[[], Any]
    make_deps: Callable[[], Any]
    max_turns: int

    def play(self, attempt: Attempt, *, tells: bool = False) -> tuple[OrderResult[Any, Any], Choices]:
        """Run the graph in an order; gives what came of it, and where there was a choice."""
        turns = Turns(attempt.chooser(), self.max_turns, tells=tells)
        state, inputs = self.make_state(), self.make_inputs()
        env = make_environment(self.graph.plan, state, self.make_deps(), self.graph.state_type)
        scheduler = Scheduler(self.graph.plan, Evaluator(), env)
        turns.begins = scheduler.renew_view  # a body begins when it has its turn, not when it is given to a worker
        output, error = None, None
        with _same_chance():
            try:
                output = _run_to_end(turns, scheduler, inputs)
            except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 # what a run raises came of it
                error = turns.error or raised
        return OrderResult(order_of(turns.choices), state, error, output, turns.turns), turns.choices


def _run_to_end(turns: Turns, scheduler: Scheduler, inputs: Any) -> Any:
    """Run a graph on a loop of its own."""
    loop = VirtualLoop(turns)

    async def main() -> Any:
        turns.main = asyncio.current_task()
        loop.limiter = anyio.to_thread.current_default_thread_limiter()
        driver = Driver(scheduler, run_id='any_order')
        driver.takes_short_road = False
        driver.own_crew = lambda: OrderedCrew(turns)
        driver.surroundings = Surroundings(scheduler.plan.uses_processes, Inline(), None, driver.tell)
        return await driver.run(inputs)

    try:
        return loop.run_until_complete(main())
    finally:
        _close(loop)


def _close(loop: VirtualLoop) -> None:
    """End what the bodies have left behind, and close the loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    with suppress(Deadlock, EndlessRun):
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.set_exception_handler(_hear_nothing)  # asyncio would complain of tasks that wait even now, and are left
    loop.close()


def _hear_nothing(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    pass


@contextmanager
def _same_chance() -> Generator[None]:
    """Let `random` draw the same in each run, so that only the order differs."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)
