"""What a run tells those who listen. Frozen records; a run makes them only if somebody does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from plait_graph.id_types import ForkStack, JoinID, NodeID, TaskID

__all__ = (
    'Emitted',
    'JoinFired',
    'LoopBlocked',
    'RunEvent',
    'RunFinished',
    'StepCancelled',
    'StepFailed',
    'StepFellBack',
    'StepFinished',
    'StepReady',
    'StepRetried',
    'StepStarted',
    'ValueDropped',
    'ValueJoined',
)


@dataclass(frozen=True, slots=True)
class StepReady:
    """A value reached a step, which will start when its turn has come."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    inputs: Any
    cause: TaskID | None
    """What led here: the task of a step, or the `firing_id` of a join; nothing for the start."""
    visit: int
    """How many steps lie before this one on its way."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """An attempt of a step began to work."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    inputs: Any
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step gave a value."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    output: Any
    is_cached: bool = False
    """Whether the value came from the step's cache, and no body ran."""


@dataclass(frozen=True, slots=True)
class StepRetried:
    """An attempt of a step failed or took too long, and there will be another one."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    error: BaseException
    attempt: int
    """The attempt that failed, counted from 1."""
    delay: float
    """Seconds until the next one."""


@dataclass(frozen=True, slots=True)
class StepFellBack:
    """A step has no attempt left, and its inputs go to its fallback."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    error: BaseException
    fallback_id: NodeID


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step, or a function on an edge that leaves it, raised, and nothing more was tried."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    error: BaseException
    is_dropped: bool
    """Whether the task had been cancelled before, so that the error changes nothing for the run."""
    attempt: int = 1
    handled_by: JoinID | None = None
    """The join that collects or ignores the failure; the run fails if there is none."""


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """A step was stopped, or taken off the list before it started, because its value is no longer wanted."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack


@dataclass(frozen=True, slots=True)
class ValueJoined:
    """A value reached a join that takes it."""

    join_id: JoinID
    fork_stack: ForkStack
    """Where the value came from."""
    value: Any
    cause: TaskID | None
    """The task of the step that gave it, or the `firing_id` of a join."""
    firing_id: TaskID
    """What the join's own value will have as its cause."""


@dataclass(frozen=True, slots=True)
class JoinFired:
    """A join passed its value on."""

    join_id: JoinID
    fork_stack: ForkStack
    output: Any
    firing_id: TaskID
    """Names this firing where it is the cause of something."""


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
class LoopBlocked:
    """In debug mode: a step kept the event loop from everything else."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    seconds: float
    stack: str
    """Where the step was, as a traceback shows it."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run reached its end."""

    output: Any
    cause: TaskID | None = None
    """The task of the step that gave the output, or the `firing_id` of a join."""


RunEvent: TypeAlias = (
    StepReady
    | StepStarted
    | StepFinished
    | StepRetried
    | StepFellBack
    | StepFailed
    | StepCancelled
    | ValueJoined
    | JoinFired
    | ValueDropped
    | Emitted
    | LoopBlocked
    | RunFinished
)
"""Any event of a run."""
