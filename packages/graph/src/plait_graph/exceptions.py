"""What can go wrong, by whose fault it is.

Each class says when it is raised. The built-in base classes are those that programs written for the peers catch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = (
    'BlockingStepWarning',
    'BudgetExceeded',
    'EventLogError',
    'GraphBuildingError',
    'GraphError',
    'GraphRuntimeError',
    'GraphSetupError',
    'GraphValidationError',
    'JoinUnsatisfied',
    'LoopLimitReached',
    'RunCancelled',
    'RunTimeout',
    'StateConflict',
    'StepTimeout',
    'UnsupportedEventLoopError',
    'WorkerDied',
)


class GraphError(Exception):
    """The base of every error that this package raises on its own account."""

    message: str
    """What was found, where, and what to do."""

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)


class GraphSetupError(GraphError, TypeError):
    """Raised when a node, reducer or hint is not of a shape that a graph can use."""


class GraphBuildingError(GraphError, ValueError):
    """Raised when what was said about a graph cannot be put together."""


class GraphValidationError(GraphBuildingError):
    """Raised when a graph was put together and its structure has faults."""


class GraphRuntimeError(GraphError, RuntimeError):
    """Raised when a run cannot go on, or is used where it cannot be."""


class RunCancelled(GraphRuntimeError):
    """Raised from the advance of a run on which `cancel` was called."""


class JoinUnsatisfied(GraphRuntimeError):
    """Raised by a join whose need can no longer be met, or was not met by its deadline.

    `causes` are the failures of branches that the join collected or ignored.
    """

    causes: tuple[BaseException, ...] = ()


class LoopLimitReached(GraphRuntimeError):
    """Raised when a step has been reached as often as its loop guard allows, and the guard names no way out."""


class StepTimeout(GraphRuntimeError, TimeoutError):
    """Raised in place of a step's result when it took longer than its policy allows."""


class RunTimeout(GraphRuntimeError, TimeoutError):
    """Raised when the deadline of a whole run has passed."""


class EventLogError(GraphError, ValueError):
    """Raised when a file is not a log of events that can be read."""


class BudgetExceeded(GraphRuntimeError):
    """Raised when a budget has less left than is asked for or was spent, or when its time is up."""

    leaf: str
    """What there is too little of: `'seconds'`, `'money'`, `'tokens'` or `'calls'`."""
    budget: str
    """The names of the budget and of those that it is part of, such as `run/research`."""
    asked: Decimal | int | None
    """What was asked for or spent; `None` for time."""
    remaining: Decimal | int | float
    """What was left of it."""

    def __init__(
        self,
        message: str,
        leaf: str,
        budget: str,
        asked: Decimal | int | None,
        remaining: Decimal | int | float,
    ):
        super().__init__(message)
        self.leaf = leaf
        self.budget = budget
        self.asked = asked
        self.remaining = remaining

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the parts when it is sent to another process."""
        return type(self), (self.message, self.leaf, self.budget, self.asked, self.remaining), vars(self)


class StateConflict(GraphRuntimeError):
    """Raised when steps that ran at the same time changed one field of an isolated state, and it cannot be merged."""


class UnsupportedEventLoopError(GraphError, RuntimeError):
    """Raised when `run_sync` finds an event loop that it cannot drive."""


class WorkerDied(GraphRuntimeError):
    """Raised for a step whose process ended before the step did."""


class BlockingStepWarning(RuntimeWarning):
    """Shown for a step on the event loop that kept all others waiting."""
