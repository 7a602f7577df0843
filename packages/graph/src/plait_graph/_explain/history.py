"""What became of each task and each join of a run, gathered from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from plait_graph._explain.codec import recorded
from plait_graph._explain.records import LoggedEvent, RecordedError
from plait_graph.events import (
    Emitted,
    JoinFired,
    LoopBlocked,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepFellBack,
    StepFinished,
    StepReady,
    StepRetried,
    StepStarted,
    ValueDropped,
    ValueJoined,
)
from plait_graph.id_types import ForkStack, JoinID, NodeID, TaskID

StepEvent: TypeAlias = (
    StepReady
    | StepStarted
    | StepFinished
    | StepRetried
    | StepFellBack
    | StepFailed
    | StepCancelled
    | Emitted
    | LoopBlocked
)
"""An event of a task."""

StepOutcome = Literal['finished', 'failed', 'fell back', 'cancelled', 'unfinished']


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachedStep:
    """A task: a step, what it was given, and what became of it."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    sequence: int
    """The position in the log of what was told first."""
    cause: TaskID | None = None
    """The task or the join's firing that led here; nothing for the start."""
    is_cause_known: bool = False
    """Whether the log has how the step was reached."""
    visit: int = 0
    inputs: Any = None
    attempts: int = 0
    outcome: StepOutcome = 'unfinished'
    output: Any = None
    is_cached: bool = False
    error: RecordedError | None = None
    """The last error, also if an attempt after it did well."""

    @property
    def id(self) -> TaskID:
        """What names it as a cause."""
        return self.task_id

    @property
    def causes(self) -> tuple[TaskID, ...]:
        """What led here."""
        return () if self.cause is None else (self.cause,)


@dataclass(frozen=True, slots=True)
class JoinedValue:
    """A value that reached a join."""

    value: Any
    cause: TaskID | None
    fork_stack: ForkStack


@dataclass(frozen=True, slots=True, kw_only=True)
class FiredJoin:
    """A join: the values that reached it, in the order in which they came, and what it made of them."""

    join_id: JoinID
    firing_id: TaskID
    sequence: int
    """The position in the log of what was told last."""
    fork_stack: ForkStack = ()
    """Where its value belongs; empty if it has not fired."""
    values: tuple[JoinedValue, ...] = ()
    has_fired: bool = False
    output: Any = None

    @property
    def id(self) -> TaskID:
        """What names it as a cause."""
        return self.firing_id

    @property
    def causes(self) -> tuple[TaskID, ...]:
        """What led here, each once."""
        return tuple(dict.fromkeys(value.cause for value in self.values if value.cause is not None))


Cause: TypeAlias = ReachedStep | FiredJoin
"""What values come from and lead to."""


@dataclass(frozen=True, slots=True)
class History:
    """The tasks and the firings of a run by id, and its other events that end a value's way."""

    steps: Mapping[TaskID, ReachedStep]
    joins: Mapping[TaskID, FiredJoin]
    dropped: tuple[ValueDropped, ...]
    end: RunFinished | None

    def find(self, id: TaskID) -> Cause | None:
        """The task or the firing of an id."""
        return self.steps.get(id) or self.joins.get(id)


def read_history(events: Iterable[LoggedEvent]) -> History:
    """Gather what the events say of each task and each join."""
    steps: dict[TaskID, ReachedStep] = {}
    told: dict[TaskID, list[LoggedEvent[ValueJoined | JoinFired]]] = {}
    dropped: list[ValueDropped] = []
    end: RunFinished | None = None
    for logged in events:
        match logged.event:
            case ValueJoined() | JoinFired() as event:
                told.setdefault(event.firing_id, []).append(LoggedEvent(logged.sequence, logged.seconds, event))
            case ValueDropped() as event:
                dropped.append(event)
            case RunFinished() as event:
                end = event
            case event:
                step = steps.get(event.task_id) or _new_step(event, logged.sequence)
                steps[event.task_id] = _step_after(step, event)
    return History(steps, {id: _join_of(events) for id, events in told.items()}, tuple(dropped), end)


def _new_step(event: StepEvent, sequence: int) -> ReachedStep:
    return ReachedStep(node_id=event.node_id, task_id=event.task_id, fork_stack=event.fork_stack, sequence=sequence)


def _step_after(step: ReachedStep, event: StepEvent) -> ReachedStep:
    """What is known of a task after one more event."""
    match event:
        case StepReady(inputs=inputs, cause=cause, visit=visit):
            return replace(step, inputs=inputs, cause=cause, visit=visit, is_cause_known=True)
        case StepStarted(inputs=inputs, attempt=attempt):
            return replace(step, inputs=step.inputs if step.is_cause_known else inputs, attempts=attempt)
        case StepFinished(output=output, is_cached=is_cached):
            return replace(step, outcome='finished', output=output, is_cached=is_cached)
        case StepRetried(error=error):
            return replace(step, error=recorded(error))
        case StepFellBack(error=error):
            return replace(step, outcome='fell back', error=recorded(error))
        case StepFailed(error=error) if step.outcome != 'cancelled':
            return replace(step, outcome='failed', error=recorded(error))
        case StepCancelled():
            return replace(step, outcome='cancelled')
        case _:  # it says nothing of what became of the task
            return step


def _join_of(told: list[LoggedEvent[ValueJoined | JoinFired]]) -> FiredJoin:
    """What became of a join, from all events of one firing."""
    last = told[-1]
    join = FiredJoin(
        join_id=last.event.join_id,
        firing_id=last.event.firing_id,
        sequence=last.sequence,
        values=tuple(
            JoinedValue(event.value, event.cause, event.fork_stack)
            for event in (logged.event for logged in told)
            if isinstance(event, ValueJoined)
        ),
    )
    if not isinstance(last.event, JoinFired):
        return join
    return replace(join, fork_stack=last.event.fork_stack, has_fired=True, output=last.event.output)
