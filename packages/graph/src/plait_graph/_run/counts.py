"""The counts that move with the tokens.

A region counts, by class of place, the tokens in it; a region that is inside of it counts as one token for each class
that occurs there. So a move costs the depth of nesting at most, and mostly nothing.
"""

from __future__ import annotations

from collections import deque

from plait_graph._run.tokens import OpenJoin, Region


class Agenda:
    """What has become possible and is to be seen to before the next event."""

    __slots__ = 'due', 'emptied', 'outlived', 'settled', 'thirsty'

    def __init__(self) -> None:
        self.due: deque[OpenJoin] = deque()
        """Joins that may have nothing left to wait for."""
        self.emptied: list[Region] = []
        """Subgraphs in which no token is left."""
        self.settled: list[tuple[Region, int]] = []
        """Threads in which no token is left."""
        self.outlived: list[Region] = []
        """Runs with deadlines in which no token is left."""
        self.thirsty: deque[Region] = deque()
        """Maps over plain iterables that have places for further items."""


class Counts:
    """Moves tokens, and remembers what the moves made possible."""

    __slots__ = '_agenda', 'tracks_threads'

    def __init__(self, tracks_threads: bool):
        self.tracks_threads = tracks_threads
        self._agenda: Agenda | None = None

    @property
    def agenda(self) -> Agenda:
        """Made when it is first asked for: a run of one step after the other has none."""
        if self._agenda is None:
            self._agenda = Agenda()
        return self._agenda

    @property
    def has_agenda(self) -> bool:
        return self._agenda is not None

    def place(self, region: Region | None, cls: int, index: int, amount: int = 1) -> None:
        """Count tokens in. Places what comes before `remove` takes what went, so that no count touches zero early."""
        if self.tracks_threads and region is not None:
            self._enter_thread(region, index, amount)
        while region is not None:
            count = region.counts.get(cls, 0)
            region.counts[cls] = count + amount
            if count:
                return
            parent = region.parent
            if parent is not None and not region.present:
                self._appear(region, parent)
            region.present |= 1 << cls
            if region.node.outward is not None:
                cls = region.node.outward[cls]
            region, amount = parent, 1

    def remove(self, region: Region | None, cls: int, index: int, amount: int = 1) -> None:
        """Count tokens out, and note the joins that may now fire."""
        if self.tracks_threads and region is not None:
            self._leave_thread(region, index, amount)
        while region is not None:
            count = region.counts[cls] - amount
            if count:
                region.counts[cls] = count
                return
            del region.counts[cls]
            region.present &= ~(1 << cls)
            if region.open:
                self._note_due(region)
            if not region.present:
                self._vanish(region)
            if region.node.outward is not None:
                cls = region.node.outward[cls]
            region, amount = region.parent, 1

    def _note_due(self, region: Region) -> None:
        for join in (region.open or {}).values():
            if not region.present & join.node.blocking:
                self.agenda.due.append(join)

    def _appear(self, region: Region, parent: Region) -> None:
        if parent.children is not None:
            parent.children[region] = None
        if self.tracks_threads:
            self._enter_thread(parent, region.index, 1)

    def _vanish(self, region: Region) -> None:
        if region.timers:
            self.agenda.outlived.append(region)
        parent = region.parent
        if parent is not None:
            if parent.children is not None:
                parent.children.pop(region, None)
            if self.tracks_threads:
                self._leave_thread(parent, region.index, 1)
        if region.node.partner >= 0:
            self.agenda.emptied.append(region)

    def _enter_thread(self, region: Region, index: int, amount: int) -> None:
        threads = region.threads
        if threads is None:
            threads = region.threads = {}
        before = threads.get(index, 0)
        threads[index] = before + amount
        if not before and index >= 0:
            region.live_items += 1
            region.frontier = min(region.frontier, index)
            if region.source is not None and not (region.held and index in region.held):
                region.source.in_flight += 1

    def _leave_thread(self, region: Region, index: int, amount: int) -> None:
        threads = region.threads
        if threads is None:
            return
        left = threads[index] - amount
        if left:
            threads[index] = left
            return
        del threads[index]
        if index >= 0:
            region.live_items -= 1
            if region.source is not None and not (region.held and index in region.held):
                region.source.in_flight -= 1
        self.agenda.settled.append((region, index))

    def hold(self, region: Region | None, index: int, home: Region) -> None:
        """Keep the places of the items that a value which waits to be folded comes from."""
        while region is not None:
            if region.held is None:
                region.held = {}
            is_new = index >= 0 and index not in region.held and index not in (region.threads or ())
            if is_new and region.source is not None:  # only when a run is restored; else the thread still lives
                region.source.in_flight += 1
            region.held[index] = region.held.get(index, 0) + 1
            if region is home:
                return
            region, index = region.parent, region.index

    def release(self, region: Region | None, index: int, home: Region) -> list[Region]:
        """Give those places free again; tells in which regions one came free."""
        freed: list[Region] = []
        while region is not None and region.held is not None:
            left = region.held[index] - 1
            if left:
                region.held[index] = left
            else:
                del region.held[index]
                if index >= 0 and index not in (region.threads or ()) and region.source is not None:
                    region.source.in_flight -= 1
                    freed.append(region)
            if region is home:
                return freed
            region, index = region.parent, region.index
        return freed


def all_before_settled(region: Region, index: int, home: Region) -> bool:
    """Whether nothing that stands before a place, below a region, can still bring a value."""
    while True:
        if index >= 0:
            if _frontier(region) < index:
                return False
        elif not _is_next(region, index):
            return False
        if region is home or region.parent is None:
            return True
        region, index = region.parent, region.index


def _is_next(region: Region, index: int) -> bool:
    """Whether what left a join stands next: no item is left or to come, and nothing that left an earlier join lives."""
    if region.live_items or (region.source is not None and not region.source.exhausted):
        return False
    return not any(index < other < 0 for other in region.threads or ())


_NONE_TO_COME = 1 << 62


def _frontier(region: Region) -> int:
    """The first thread that still lives or has still to come."""
    threads = region.threads or {}
    if not region.live_items:
        return region.source.pulled if region.source is not None else _NONE_TO_COME
    while region.frontier not in threads:
        region.frontier += 1
    return region.frontier
