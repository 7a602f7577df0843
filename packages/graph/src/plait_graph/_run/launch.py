"""What starts a run: a driver made from what was said about it. The door of the engine, imported by the first build."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plait_graph._run.driver import Driver
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.policies import seconds_of
from plait_graph.run_options import IterOptions, RunOptions

if TYPE_CHECKING:
    from plait_graph import events
    from plait_graph._compile.plan import Plan

_KNOWN = RunOptions.__annotations__.keys() | IterOptions.__annotations__.keys()
EVALUATOR = Evaluator()
"""For runs that go by the clock of the machine; it has no state."""
_SECONDS_UNTIL_BLAMED = 0.1


def make_driver(
    plan: Plan,
    state: Any,
    deps: Any,
    options: RunOptions | IterOptions,
    state_type: Any,
    *,
    watched: bool = False,
    listener: Callable[[events.RunEvent], None] | None = None,
) -> Driver:
    """A driver for a new run.

    Args:
        plan: What is run.
        state: The state of the run.
        deps: Its dependencies.
        options: What else is said about it.
        state_type: Says how changes of the state are merged, if they are isolated.
        watched: Whether somebody is to see, and agree to, what each node leads to.
        listener: Is told what happens; what the options say, if it is not given.

    Raises:
        GraphRuntimeError: An option makes no sense.
        GraphSetupError: The state is to be isolated, and cannot be.
        TypeError: There is no option of a name.
    """
    if not options and plan.is_simple and not watched:
        return Driver(Scheduler(plan, EVALUATOR, Environment(state, deps)))
    if listener is None:
        listener = listener_of(options)
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
