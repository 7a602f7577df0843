"""Where bodies are: in the graph, and in their source."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from plait_graph._compile.plan import Kind
from plait_graph._run.tokens import Region, Task

Place: TypeAlias = tuple[tuple[int, int, int], ...]
"""Sorts as the graph does: the number, visit and thread of each fork run, outermost first, and then of the node."""


def place_of(key: Task | Region) -> Place:
    """Where a body is; the same whatever the order of work, but for the last number, which keeps two bodies apart."""
    forks = [(region.node.index, region.visit, index) for region, index in _forks(key)]
    return (*reversed(forks), (key.node.index, key.visit, key.id))


def name_of(key: Task | Region, *, fully: bool) -> str:
    """A body in words: the step with its items of maps and, if that is not enough, its branches."""
    kinds = (Kind.MAP, Kind.BROADCAST) if fully else (Kind.MAP,)
    parts = [
        f', {"item" if region.node.kind is Kind.MAP else "branch"} {index} of {region.node.id!r}'
        for region, index in _forks(key)
        if region.node.kind in kinds and index >= 0
    ]
    return f'{"step" if isinstance(key, Task) else "the source of map"} {key.node.id!r}{"".join(parts)}'


def items_of(task: Task) -> tuple[int, ...]:
    """The positions in the maps that a task is in, outermost first."""
    found = [index for region, index in _forks(task) if region.node.kind is Kind.MAP and index >= 0]
    return tuple(reversed(found))


def _forks(key: Task | Region) -> Iterator[tuple[Region, int]]:
    """The fork runs that a body is in, with its thread in each, innermost first."""
    region, index = key.region if isinstance(key, Task) else key.parent, key.index
    while region is not None and region.parent is not None:
        yield region, index
        region, index = region.parent, region.index


def source_line(waiting: Any) -> str:
    """The line of the user's own source at which a coroutine waits, if it can be found."""
    frame: FrameType | None = None
    while waiting is not None:
        here = getattr(waiting, 'cr_frame', None) or getattr(waiting, 'gi_frame', None)
        if here is not None and not here.f_code.co_filename.startswith(_machinery()):
            frame = here
        waiting = getattr(waiting, 'cr_await', None) or getattr(waiting, 'gi_yieldfrom', None)
    if frame is None:
        return ''
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f'{Path(file).name}:{line}{": " if text else ""}{text}'


@cache
def _machinery() -> tuple[str, ...]:
    """Folders whose frames say nothing to a user."""
    import asyncio

    import anyio

    return tuple(str(Path(file).parent) for file in (asyncio.__file__, anyio.__file__, str(Path(__file__).parent)))
