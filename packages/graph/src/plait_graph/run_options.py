"""What can be said about one run, whichever way it is started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypedDict

from plait_graph import events
from plait_graph._run.clock import Clock
from plait_graph._run.driver import Driver
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.failures import ErrorMode
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.policies import Duration, seconds_of

if TYPE_CHECKING:
    from plait_graph._compile.plan import Plan
    from plait_graph.budget import Budget
    from plait_graph.executors import Executor
    from plait_graph.explain import EventLog

__all__ = 'Clock', 'IterOptions', 'RunOptions'


class IterOptions(TypedDict, total=False):
    """The options of `Graph.iter`."""

    span: AbstractContextManager[Any] | None
    """A context manager that is entered around the run."""
    infer_name: bool
    """Whether a graph without a name takes that of the caller's variable; it does unless told otherwise."""
    on_event: Callable[[events.RunEvent], None] | None
    """Is called with each event of the run, on the event loop, and should be quick."""
    log: EventLog | None
    """Records the events of the run, for `run.why`, `run.statistics` and whatever else can be asked of it."""
    max_concurrency: int | None
    """How many step bodies may run at once; `None` for all that are ready."""
    run_id: str | None
    """An id of your own for the run; it goes into idempotency keys."""
    deadline: Duration | None
    """How long the whole run may take; a number means seconds. It then fails with `RunTimeout`."""
    budget: Budget | None
    """What the run may spend; steps have it as `ctx.budget`. Its time is a deadline as well."""
    executor: Executor | None
    """Where the bodies of steps with `worker='process'` run; a pool of processes if nothing else is said."""
    clock: Clock | None
    """What keeps the run's retries, time-outs and deadlines; the event loop, if nothing else is said."""
    debug: bool | float
    """Whether steps that block the event loop are reported; a number is for how many seconds they may."""


class RunOptions(IterOptions, total=False):
    """The options of `Graph.run` and `Graph.run_sync`."""

    errors: ErrorMode
    """What is raised if several steps fail: a `'group'` of all their exceptions, which is the default, or the `'first'`
    one with notes of the others."""


_KNOWN = RunOptions.__annotations__.keys() | IterOptions.__annotations__.keys()
EVALUATOR = Evaluator()
"""For runs that go by the clock of the machine; it has no state."""
_SECONDS_UNTIL_BLAMED = 0.1


def make_driver(
    plan: Plan,
    state: Any,
    deps: Any,
    options: RunOptions | IterOptions,
    *,
    state_type: Any = None,
    watched: bool = False,
    listener: Callable[[events.RunEvent], None] | None = None,
) -> Driver:
    """A driver for a new run.

    Raises:
        GraphRuntimeError: An option makes no sense.
        GraphSetupError: The state is to be isolated, and cannot be.
        TypeError: There is no option of a name.
    """
    env = make_environment(plan, state, deps, state_type)
    clock = options.get('clock')
    evaluator = EVALUATOR if clock is None else Evaluator(clock.now)
    scheduler = Scheduler(plan, evaluator, env, watched, listener)
    unknown = options.keys() - _KNOWN
    if unknown:
        raise TypeError(f'A run has no options {sorted(unknown)}. The options are {", ".join(sorted(_KNOWN))}.')
    max_concurrency = options.get('max_concurrency')
    if max_concurrency is not None:
        scheduler.max_concurrency = _checked_limit(max_concurrency)
    seconds, limit = _time_for(options)
    if seconds is not None:
        scheduler.allow(seconds, limit)
    driver = Driver(scheduler, listener, options.get('run_id'))
    driver.clock = clock
    driver.budget = options.get('budget')
    threshold = _threshold(options.get('debug', False))
    if plan.uses_processes or threshold is not None:
        from plait_graph._run.surroundings import Surroundings

        driver.takes_short_road = False
        driver.surroundings = Surroundings(plan.uses_processes, options.get('executor'), threshold, driver.tell)
    return driver


def make_environment(plan: Plan, state: Any, deps: Any, state_type: Any) -> Environment:
    """What the steps of a new run see."""
    return EVALUATOR.environment(state, deps, state_type) if plan.root_is_isolated else Environment(state, deps)


def listener_of(options: RunOptions | IterOptions) -> Callable[[events.RunEvent], None] | None:
    """What is told the events of a run: the caller's function, the caller's log, or both."""
    listener, log = options.get('on_event'), options.get('log')
    if log is None:
        return listener
    if listener is None:
        return log

    def tell(event: events.RunEvent) -> None:
        log(event)
        listener(event)

    return tell


def _time_for(options: RunOptions | IterOptions) -> tuple[float | None, str]:
    """How long a run may take, and what says so: its deadline, its budget, or nothing."""
    deadline, budget = options.get('deadline'), options.get('budget')
    times: list[tuple[float, str]] = []
    if deadline is not None:
        try:
            times.append((seconds_of(deadline, 'deadline'), 'deadline'))
        except GraphSetupError as error:
            raise GraphRuntimeError(error.message) from None
    if budget is not None:
        budget.start()
        budget.check()
        if budget.remaining.seconds is not None:
            times.append((budget.remaining.seconds, f'budget {budget.path}'))
    return min(times, default=(None, ''))


def _threshold(debug: bool | float) -> float | None:
    """For how long a step may have the event loop for itself before it is reported, if it is."""
    if debug is False:
        return None
    seconds = _SECONDS_UNTIL_BLAMED if debug is True else debug
    if not isinstance(seconds, int | float) or not seconds > 0:  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
        raise GraphRuntimeError(f'debug={debug!r} is no time that a step may take. Give True, or seconds above 0.')
    return seconds


def _checked_limit(limit: int) -> int:
    if not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
        raise GraphRuntimeError(f'max_concurrency={limit!r} lets no step run. Give at least 1, or None for no limit.')
    return limit
