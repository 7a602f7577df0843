"""How often and how long: counts and times of a run, node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from plait_graph._explain.records import LoggedEvent
from plait_graph.events import (
    JoinFired,
    RunEvent,
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
from plait_graph.id_types import NodeID, TaskID


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatistics:
    """What one node did in a run. Times are in seconds."""

    node_id: NodeID
    started: int = 0
    """Attempts that began."""
    finished: int = 0
    """Values that a step gave, also from its cache."""
    failed: int = 0
    """Failures for good; those of tasks that had been cancelled count there."""
    retried: int = 0
    """Attempts that failed and were followed by another one."""
    fell_back: int = 0
    """Tasks whose inputs went to the fallback."""
    cancelled: int = 0
    cached: int = 0
    """Values from the step's cache."""
    joined: int = 0
    """Values that a join took."""
    dropped: int = 0
    """Values that reached a join which had fired."""
    fired: int = 0
    """How often a join passed a value on."""
    total: float = 0
    """The time of all attempts that ended."""
    mean: float = 0
    longest: float = 0
    waiting: float = 0
    """The time that tasks waited until their first attempt began, all together."""


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """What a run did, and how long it took. As text, a table."""

    duration: float
    """Seconds from the first event to the last."""
    most_at_once: int
    """How many bodies ran at the same time at most."""
    nodes: tuple[NodeStatistics, ...]
    """The nodes that something was told of; those that worked longest come first."""

    @property
    def joined(self) -> int:
        """The values that joins took."""
        return sum(node.joined for node in self.nodes)

    @property
    def dropped(self) -> int:
        """The values that reached joins which had fired."""
        return sum(node.dropped for node in self.nodes)

    def __str__(self) -> str:
        head = (
            f'{self.duration:.3f} s, at most {self.most_at_once} at once, '
            f'{self.joined} values joined, {self.dropped} dropped'
        )
        return '\n'.join([head, *_table(self.nodes)])


_ALWAYS = 'started', 'finished', 'total'
_COUNTS = 'started', 'finished', 'failed', 'retried', 'fell_back', 'cancelled', 'cached', 'joined', 'dropped', 'fired'
_TIMES = 'total', 'mean', 'longest', 'waiting'


def _table(nodes: tuple[NodeStatistics, ...]) -> list[str]:
    """A row for each node, and a column for all that occurs."""
    names = [name for name in (*_COUNTS, *_TIMES) if name in _ALWAYS or any(getattr(node, name) for node in nodes)]
    rows = [['node', *(name.replace('_', ' ') for name in names)]]
    rows += [[node.node_id, *(_cell(name, getattr(node, name)) for name in names)] for node in nodes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _cell(name: str, number: float) -> str:
    return f'{number:.3f}' if name in _TIMES else str(number)


_WORDS: dict[type[RunEvent], str] = {
    StepStarted: 'started',
    StepFinished: 'finished',
    StepFailed: 'failed',
    StepRetried: 'retried',
    StepFellBack: 'fell_back',
    StepCancelled: 'cancelled',
    ValueJoined: 'joined',
    ValueDropped: 'dropped',
    JoinFired: 'fired',
}


@dataclass(slots=True)
class _Tally:
    """What has been told of one node."""

    counts: Counter[str] = field(default_factory=Counter[str])
    times: list[float] = field(default_factory=list[float])
    waiting: float = 0


class _Clerk:
    """Takes the events of a run in, one after the other."""

    def __init__(self) -> None:
        self.tallies: dict[NodeID, _Tally] = {}
        self.ready: dict[TaskID, float] = {}
        self.working: dict[TaskID, float] = {}
        self.most_at_once = 0
        self.seconds = 0.0

    def take(self, logged: LoggedEvent) -> None:
        self.seconds, event = logged.seconds, logged.event
        if isinstance(event, RunFinished):
            return
        is_join = isinstance(event, ValueJoined | JoinFired | ValueDropped)
        tally = self.tallies.setdefault(event.join_id if is_join else event.node_id, _Tally())
        if not (isinstance(event, StepFailed) and event.is_dropped):
            tally.counts[_WORDS.get(type(event), 'other')] += 1
        match event:
            case StepReady():
                self.ready[event.task_id] = logged.seconds
            case StepStarted():
                self._start(tally, event.task_id)
            case StepFinished() | StepFailed() | StepRetried() | StepFellBack() | StepCancelled():
                tally.counts['cached'] += isinstance(event, StepFinished) and event.is_cached
                self._stop(tally, event.task_id)
            case _:
                pass

    def _start(self, tally: _Tally, task_id: TaskID) -> None:
        tally.waiting += self.seconds - self.ready.pop(task_id, self.seconds)
        self.working[task_id] = self.seconds
        self.most_at_once = max(self.most_at_once, len(self.working))

    def _stop(self, tally: _Tally, task_id: TaskID) -> None:
        self.ready.pop(task_id, None)
        began = self.working.pop(task_id, None)
        if began is not None:
            tally.times.append(self.seconds - began)


def count(events: Iterable[LoggedEvent]) -> RunStatistics:
    """Count what the events tell."""
    clerk = _Clerk()
    for logged in events:
        clerk.take(logged)
    nodes = [_summary(node_id, tally) for node_id, tally in clerk.tallies.items()]
    nodes.sort(key=lambda node: -node.total)
    return RunStatistics(clerk.seconds, clerk.most_at_once, tuple(nodes))


def _summary(node_id: NodeID, tally: _Tally) -> NodeStatistics:
    total = sum(tally.times)
    return NodeStatistics(
        node_id=node_id,
        **{name: tally.counts[name] for name in _COUNTS},
        total=total,
        mean=total / len(tally.times) if tally.times else 0,
        longest=max(tally.times, default=0),
        waiting=tally.waiting,
    )
