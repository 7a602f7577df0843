"""Calls the user's synchronous functions that stand on edges, for a scheduler that is to know nothing of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from plait_graph._run.tokens import Attempt, Environment
from plait_graph.decision import Decision
from plait_graph.join import Join, ReducerContext
from plait_graph.policies import Retry
from plait_graph.step import StepContext

EXHAUSTED: Any = object()
"""Stands for the item after the last one."""


class RetryState:
    """What a strategy is told of a step's attempts: the part of tenacity's retry state that has a meaning here."""

    def __init__(self, attempt_number: int, error: BaseException, seconds_since_start: float):
        self.attempt_number = attempt_number
        self.outcome = _FailedAttempt(error)
        self.seconds_since_start = seconds_since_start
        self.upcoming_sleep: float = 0
        self.idle_for: float = 0


class _FailedAttempt:
    failed = True

    def __init__(self, error: BaseException):
        self._error = error

    def exception(self) -> BaseException:
        return self._error


class Evaluator:
    """The one way from the scheduler to transforms, predicates, reducers, factories and iterators.

    Args:
        now: The time that strategies for retries count with, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self.now = now

    def apply(self, function: Callable[[StepContext[Any, Any, Any]], Any], env: Environment, value: Any) -> Any:
        """Call a transform, or a function that maps a subgraph's state, dependencies or inputs."""
        return function(StepContext(state=env.readable, deps=env.deps, inputs=value))

    def choose(self, decision: Decision[Any, Any, Any], value: Any) -> int | None:
        """The first branch that accepts a value, by its position."""
        for position, branch in enumerate(decision.branches):
            if branch.accepts(value):
                return position
        return None

    def weigh(self, limit: Any, env: Environment, value: Any) -> float:
        """How much a limit by name is to count for a step's call."""
        weight = getattr(limit, 'weight', None)
        return 1 if weight is None else weight(StepContext(state=env.readable, deps=env.deps, inputs=value))

    def delay(self, retry: Retry, attempt: Attempt, error: BaseException) -> float | None:
        """How long to wait after a failure before the next attempt; nothing if there is to be none."""
        if attempt.number >= retry.attempts or not retry.applies_to(error):
            return None
        elapsed = 0 if attempt.began is None else self.now() - attempt.began
        state = RetryState(attempt.number, error, elapsed)
        state.upcoming_sleep = float(retry.wait(state) if callable(retry.wait) else retry.wait)
        return None if retry.stop is not None and retry.stop(state) else state.upcoming_sleep

    def environment(self, state: Any, deps: Any, state_type: Any) -> Environment:
        """What steps see of a state whose changes are isolated; the type declares how they are merged."""
        from plait_graph._isolated_state import IsolatedState  # most runs do without

        return Environment(state, deps, IsolatedState(state, state_type, deps))

    def initial(self, join: Join[Any, Any, Any, Any]) -> Any:
        """Make the value that a join begins with."""
        return join.initial_factory()

    def fold(self, join: Join[Any, Any, Any, Any], env: Environment, current: Any, value: Any) -> tuple[Any, bool]:
        """Fold a value; tells also whether the reducer cancelled what could bring further ones."""
        if not join.takes_context:
            return join.reducer(current, value), False
        if env.isolated is None:
            context = ReducerContext(state=env.state, deps=env.deps)
            return join.reducer(context, current, value), context.siblings_cancelled
        view = env.isolated.begin()
        try:
            context = ReducerContext(state=view.state, deps=env.deps)
            result = join.reducer(context, current, value)
            env.isolated.commit(view, f'join {join.id}')
        finally:
            env.isolated.drop(view)
        return result, context.siblings_cancelled

    def read(self, value: Any) -> list[Any]:
        """Read an iterable to its end."""
        return list(value)

    def iterate(self, value: Any) -> Iterator[Any]:
        """Begin to read an iterable item by item."""
        return iter(value)

    def pull(self, iterator: Iterator[Any]) -> Any:
        """The next item, or `EXHAUSTED`."""
        return next(iterator, EXHAUSTED)
