"""What a run tells those who listen. Frozen records; a run makes them only if somebody does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from plait_graph.id_types import ForkStack, JoinID, NodeID, TaskID

__all__ = (
    'Emitted',
    'JoinFired',
    'RunEvent',
    'RunFinished',
    'StepCancelled',
    'StepFailed',
    'StepFinished',
    'StepStarted',
    'ValueDropped',
)


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began to work."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    inputs: Any


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step gave a value."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    output: Any


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step, or a function on an edge that leaves it, raised."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    error: BaseException
    is_dropped: bool
    """Whether the task had been cancelled before, so that the error changes nothing for the run."""


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """A step was stopped, or taken off the list before it started, because its value is no longer wanted."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack


@dataclass(frozen=True, slots=True)
class JoinFired:
    """A join passed its value on."""

    join_id: JoinID
    fork_stack: ForkStack
    output: Any


@dataclass(frozen=True, slots=True)
class ValueDropped:
    """A value reached a join that had fired for this run of its parent fork."""

    join_id: JoinID
    fork_stack: ForkStack
    value: Any


@dataclass(frozen=True, slots=True)
class Emitted:
    """A step called `ctx.emit`."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    event: Any


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run reached its end."""

    output: Any


RunEvent: TypeAlias = (
    StepStarted | StepFinished | StepFailed | StepCancelled | JoinFired | ValueDropped | Emitted | RunFinished
)
"""Any event of a run."""
