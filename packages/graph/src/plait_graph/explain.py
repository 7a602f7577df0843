"""Why a run did what it did: a log of its events, and what can be asked of it.

Knows a run by its events alone, so a log that was read from a file answers as well as one that was just made.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TextIO, TypeVar, cast, overload

from plait_graph._explain.causes import DeadEnds, Explanation, explain, find_dead_ends
from plait_graph._explain.codec import detach
from plait_graph._explain.differences import Change, Difference, Place, RunDiff, diff
from plait_graph._explain.history import FiredJoin, JoinedValue, ReachedStep, read_history
from plait_graph._explain.log_file import LogHeader, read_file, write_lines
from plait_graph._explain.records import LoggedEvent, RecordedError
from plait_graph._explain.statistics import NodeStatistics, RunStatistics, count
from plait_graph.events import RunEvent, RunFinished
from plait_graph.exceptions import GraphRuntimeError

__all__ = (
    'Change',
    'DeadEnds',
    'Difference',
    'EventLog',
    'Explanation',
    'FiredJoin',
    'JoinedValue',
    'LoggedEvent',
    'NodeStatistics',
    'Place',
    'ReachedStep',
    'RecordedError',
    'RunDiff',
    'RunStatistics',
    'diff',
)

AnyEvent = TypeVar('AnyEvent', bound=RunEvent)


class EventLog:
    """The events of one run, in the order in which they were told, for `graph.run(on_event=log)`.

    Values are recorded at once as plain JSON data, and errors as a `RecordedError`, so that a log shows what a value
    was when the event was told, however it is changed afterwards, and keeps nothing of the run alive. A log that was
    saved and loaded is the same as before. Strings, numbers and `None` cost next to nothing; a list, dictionary or
    object is copied each time an event has it, so a run that hands large collections on is better logged in part: by a
    listener that leaves events out before it calls the log. What JSON cannot say becomes `{'$repr': ...}`, with at most
    1000 characters; so do iterators, which are not read.

    Make a log for each run: task ids are those of one run.

    Args:
        limit: How many events are kept; older ones are dropped, which `dropped` counts. `None` for all.
        run_id: The id of the run, for those who read the log.
        graph_name: The name of the graph, for them too.
        clock: Gives the time in seconds.

    Raises:
        GraphRuntimeError: The limit leaves no place for an event.
    """

    run_id: str | None
    graph_name: str | None
    started_at: datetime | None = None
    """When the first event was told."""
    is_complete: bool = True
    """Whether nothing is missing at the end: false if the log was read from a file whose last line was torn."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        run_id: str | None = None,
        graph_name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        if limit is not None and limit < 1:
            raise GraphRuntimeError(f'EventLog(limit={limit!r}) keeps no event. Give at least 1, or None for all.')
        self.run_id = run_id
        self.graph_name = graph_name
        self._clock = clock
        self._zero: float | None = None
        self._events: deque[LoggedEvent] = deque(maxlen=limit)
        self._told = 0

    def __call__(self, event: RunEvent) -> None:
        """Record an event.

        Raises:
            GraphRuntimeError: It is no event of a run.
        """
        detached = detach(event)
        now = self._clock()
        if self._zero is None:
            self._zero = now - (self._events[-1].seconds if self._events else 0)
            self.started_at = self.started_at or datetime.now(UTC)
        self._events.append(LoggedEvent(self._told, round(now - self._zero, 6), detached))
        self._told += 1

    # Reading

    @property
    def dropped(self) -> int:
        """How many events were dropped to make place for others."""
        return self._told - len(self._events)

    def of(self, kind: type[AnyEvent]) -> list[LoggedEvent[AnyEvent]]:
        """The events of one kind, such as `log.of(StepFailed)`."""
        return [cast('LoggedEvent[AnyEvent]', logged) for logged in self._events if isinstance(logged.event, kind)]

    def __iter__(self) -> Iterator[LoggedEvent]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, index: int) -> LoggedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedEvent]: ...
    def __getitem__(self, index: int | slice) -> LoggedEvent | list[LoggedEvent]:
        return list(self._events)[index] if isinstance(index, slice) else self._events[index]

    def __repr__(self) -> str:
        of = ''.join(f' of {name}' for name in (self.run_id, self.graph_name) if name)
        dropped = f', {self.dropped} dropped' if self.dropped else ''
        return f'<EventLog{of}: {len(self)} events{dropped}{"" if self.is_complete else ", not complete"}>'

    # Asking

    def why(self, task_id: str | None = None) -> Explanation:
        """What led to a task, or to the firing of a join (its `firing_id`): the way back to the start.

        Args:
            task_id: The task or firing; without it, what gave the run's output.

        Raises:
            GraphRuntimeError: The log has no such task or firing; the message says which there are, and if the id is
                that of a node, which tasks were there.
        """
        return explain(read_history(self), self._last_cause() if task_id is None else task_id)

    def _last_cause(self) -> str:
        ends = self.of(RunFinished)
        if not ends or ends[-1].event.cause is None:
            raise GraphRuntimeError(
                f'{self!r} has no output that a step or join gave, so it cannot say what led to it. '
                f'Name a task: log.why(task_id).'
            )
        return ends[-1].event.cause

    def why_not(self, node_id: str) -> DeadEnds:
        """Where values ended that did not come to a node: failed, cancelled, dropped, still waiting, or led nowhere.

        The log does not know the graph, so all ends are given, also those from which the node cannot be reached.
        """
        return find_dead_ends(read_history(self), node_id)

    def statistics(self) -> RunStatistics:
        """How often each node ran, how long it took, and how many bodies ran at once."""
        return count(self)

    # Keeping

    def save(self, path: str | PathLike[str]) -> None:
        """Write the log to a file; see `dump`."""
        with Path(path).open('w', encoding='utf-8', newline='\n') as file:
            self.dump(file)

    def dump(self, file: TextIO) -> None:
        """Write the log as lines of JSON: one with what is said of the whole log, then one for each event."""
        header = LogHeader(
            run_id=self.run_id,
            graph_name=self.graph_name,
            started_at=self.started_at,
            is_complete=self.is_complete,
        )
        file.writelines(write_lines(header, self._events))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> EventLog:
        """Read a log that was saved.

        Nothing that the file names is imported or run. If its last line is torn, as when a program was stopped while it
        wrote, all before it is there and `is_complete` is false.

        Raises:
            OSError: The file cannot be read.
            EventLogError: It is no log, of another version, or has a line that is damaged or unknown; the message names
                file and line.
        """
        file = read_file(Path(path))
        log = cls(run_id=file.header.run_id, graph_name=file.header.graph_name)
        log.started_at, log.is_complete = file.header.started_at, file.header.is_complete
        log._events.extend(file.events)
        log._told = file.events[-1].sequence + 1 if file.events else 0
        return log
