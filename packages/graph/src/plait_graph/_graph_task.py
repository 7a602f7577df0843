"""What a run shows of itself, and what it can be asked to do: tasks, markers, counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from plait_graph._typevars import OutputOut
from plait_graph.id_types import ForkStack, TaskID

if TYPE_CHECKING:
    from plait_graph.explain import RunStatistics

__all__ = 'EndMarker', 'ErrorMarker', 'GraphTask', 'GraphTaskRequest', 'JoinItem', 'Request', 'RunCounts'


@dataclass(repr=False)
class EndMarker(Generic[OutputOut]):
    """The run has reached its end, with this value."""

    _value: OutputOut

    @property
    def value(self) -> OutputOut:
        """The output of the run."""
        return self._value

    def __repr__(self) -> str:
        return f'EndMarker(_value={self._value!r})'


@dataclass
class ErrorMarker:
    """A node raised; `override_next` can put something in the place of what it should have led to."""

    error: BaseException


@dataclass
class JoinItem:
    """A value for a join. Runs show it as a `GraphTask` at the join; it may be given to `next` as well."""

    join_id: str
    inputs: Any
    fork_stack: ForkStack = ()


@dataclass
class GraphTaskRequest:
    """A task that is to run: a node, its inputs, and the fork runs that it is in."""

    node_id: str
    inputs: Any
    fork_stack: ForkStack = field(default=(), repr=False)
    """Empty for the run itself, outside of all forks."""


@dataclass
class GraphTask(GraphTaskRequest):
    """A task of a run."""

    task_id: TaskID = field(default=TaskID(''), repr=False)
    """Tells the tasks of a run apart."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many tasks a run has at one moment."""

    running: int
    """Bodies at work, those included that were asked to stop and have not ended."""
    ready: int
    """Tasks that could start if there were a place for them."""
    waiting: int
    """Tasks that wait for a limit, for a place at their step, or for the time of their next attempt."""
    open_joins: int
    """Joins that have received something and wait for more."""
    recorded: RunStatistics | None
    """What happened so far, if the run has a log."""


Request: TypeAlias = GraphTaskRequest | JoinItem
