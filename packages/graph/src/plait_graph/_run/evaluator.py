"""Calls the user's synchronous functions that stand on edges, for a scheduler that is to know nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from plait_graph._run.tokens import Environment
from plait_graph.decision import Decision
from plait_graph.join import Join, ReducerContext
from plait_graph.step import StepContext

EXHAUSTED: Any = object()
"""Stands for the item after the last one."""


class Evaluator:
    """The one way from the scheduler to transforms, predicates, reducers, factories and iterators."""

    def apply(self, function: Callable[[StepContext[Any, Any, Any]], Any], env: Environment, value: Any) -> Any:
        """Call a transform, or a function that maps a subgraph's state, dependencies or inputs."""
        return function(StepContext(state=env.state, deps=env.deps, inputs=value))

    def choose(self, decision: Decision[Any, Any, Any], value: Any) -> int | None:
        """The first branch that accepts a value, by its position."""
        for position, branch in enumerate(decision.branches):
            if branch.accepts(value):
                return position
        return None

    def initial(self, join: Join[Any, Any, Any, Any]) -> Any:
        """Make the value that a join begins with."""
        return join.initial_factory()

    def fold(self, join: Join[Any, Any, Any, Any], env: Environment, current: Any, value: Any) -> tuple[Any, bool]:
        """Fold a value; tells also whether the reducer cancelled what could bring further ones."""
        if not join.takes_context:
            return join.reducer(current, value), False
        context = ReducerContext(state=env.state, deps=env.deps)
        return join.reducer(context, current, value), context.siblings_cancelled

    def read(self, value: Any) -> list[Any]:
        """Read an iterable to its end."""
        return list(value)

    def iterate(self, value: Any) -> Iterator[Any]:
        """Begin to read an iterable item by item."""
        return iter(value)

    def pull(self, iterator: Iterator[Any]) -> Any:
        """The next item, or `EXHAUSTED`."""
        return next(iterator, EXHAUSTED)
