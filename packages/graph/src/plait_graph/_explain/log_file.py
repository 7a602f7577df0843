"""The file of a log: a line of JSON for the whole of it, and one for each event.

A damaged line is an error that names the place, but for a torn last line: a program that was stopped while it wrote
leaves one, and what stands before it is still good.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from plait_graph._explain.codec import read_event, write_event
from plait_graph._explain.records import LoggedEvent
from plait_graph.exceptions import EventLogError

_FORMAT = 'plait event log'
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHeader:
    """What is said of a whole log."""

    run_id: str | None
    graph_name: str | None
    started_at: datetime | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log as it stands in a file."""

    header: LogHeader
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])


def write_lines(header: LogHeader, events: Iterable[LoggedEvent]) -> Iterator[str]:
    """The lines of a file."""
    started_at = None if header.started_at is None else header.started_at.isoformat()
    yield _line(
        format=_FORMAT,
        version=_VERSION,
        run_id=header.run_id,
        graph_name=header.graph_name,
        started_at=started_at,
        is_complete=header.is_complete,
    )
    for logged in events:
        kind, data = type(logged.event).__name__, write_event(logged.event)
        yield _line(sequence=logged.sequence, seconds=logged.seconds, kind=kind, event=data)


def _line(**data: Any) -> str:
    return f'{json.dumps(data)}\n'


def read_file(path: Path) -> LogFile:
    """Read a file that was written.

    Raises:
        EventLogError: It is no log, of another version, or has a line that is damaged or unknown.
    """
    first, *lines = path.read_bytes().split(b'\n')
    log = LogFile(_read_header(path, first))
    for number, line in enumerate(lines, 2):
        is_last = number == len(lines) + 1  # whole lines end with a line break, and nothing stands behind the last one
        data = _parse(line)
        if is_last and data is None:
            return log if not line else replace(log, header=replace(log.header, is_complete=False))
        log.events.append(_read_logged(f'{path}, line {number}', data))
    return log


def _parse(line: bytes) -> Mapping[str, Any] | None:
    """The object in a line, if there is one."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast('dict[str, Any]', data) if isinstance(data, dict) else None


def _read_header(path: Path, line: bytes) -> LogHeader:
    data = _parse(line)
    if data is None or data.get('format') != _FORMAT:
        raise EventLogError(
            f'{path}, line 1 is not the beginning of an event log. Give a file that EventLog.save has written.'
        )
    if data.get('version') != _VERSION:
        raise EventLogError(
            f'{path}, line 1: the log is of version {data.get("version")!r}, and this library reads {_VERSION}. '
            f'Read it with the library that wrote it.'
        )
    try:
        started_at = data['started_at'] and datetime.fromisoformat(data['started_at'])
        return LogHeader(
            run_id=data['run_id'],
            graph_name=data['graph_name'],
            started_at=started_at,
            is_complete=data['is_complete'],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(f'{path}, line 1', f'{type(error).__name__}: {error}') from error


def _read_logged(place: str, data: Mapping[str, Any] | None) -> LoggedEvent:
    if data is None:
        raise _damaged(place, 'it is no JSON object')
    try:
        sequence, seconds, kind, fields = (data[name] for name in ('sequence', 'seconds', 'kind', 'event'))
    except KeyError as error:
        raise _damaged(place, f'it has no {error}') from error
    if type(sequence) is not int or type(seconds) not in (int, float):
        raise _damaged(place, f'sequence {sequence!r} or seconds {seconds!r} is no number')
    if not isinstance(kind, str) or not isinstance(fields, dict):
        raise _damaged(place, f'kind {kind!r} or event {fields!r} is not what it should be')
    try:
        return LoggedEvent(sequence, seconds, read_event(kind, cast('dict[str, Any]', fields)))
    except ValueError as error:
        raise _damaged(place, str(error)) from error


def _damaged(place: str, problem: str) -> EventLogError:
    return EventLogError(
        f'{place} cannot be read: {problem}. Restore the file, or remove the line to do without that event.'
    )
