"""Tokens, the fork runs that they are in, and the counts that move with them.

A token is whatever may still lead somewhere: a task that waits or runs, items that a map has still to start, a join
that is open. A *region* is one run of a fork. It counts, by class of place, the tokens in it; a region that is inside
of it counts as one token for each class that occurs there. So a move costs the depth of nesting at most, and mostly
nothing.

Knows nothing of what nodes do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from plait_graph._compile.plan import PlanNode
from plait_graph.id_types import ForkStack, ForkStackItem, NodeRunID, TaskID


class Environment:
    """The state and dependencies that the steps of a graph see; a subgraph may have its own."""

    __slots__ = 'deps', 'state'

    def __init__(self, state: Any, deps: Any):
        self.state = state
        self.deps = deps


class Task:
    """A token at a node: a value that waits there, or is being worked on."""

    __slots__ = 'id', 'index', 'inputs', 'node', 'region', 'visit'

    def __init__(self, id: int, node: PlanNode, inputs: Any, region: Region, index: int, visit: int):
        self.id = id
        self.node = node
        self.inputs = inputs
        self.region = region
        self.index = index
        self.visit = visit
        """How many steps lie before this one on its way, counted so that it does not depend on the order of work."""

    @property
    def task_id(self) -> TaskID:
        return TaskID(f'task:{self.id}')

    @property
    def fork_stack(self) -> ForkStack:
        return fork_stack(self.region, self.index)

    def __repr__(self) -> str:
        return f'<{self.task_id} at {self.node.id!r}, thread {self.index} of {self.region!r}>'


class Batch:
    """Items of a map that lead straight to one step and wait to be started: as many tokens as there are items left."""

    __slots__ = 'items', 'next', 'node', 'region'

    def __init__(self, node: PlanNode, items: Sequence[Any], region: Region):
        self.node = node
        self.items = items
        self.next = 0
        self.region = region

    def __repr__(self) -> str:
        return f'<{len(self.items) - self.next} items for {self.node.id!r} in {self.region!r}>'


class Source:
    """What a map pulls its items from, while it is not exhausted: a token on the way out of the fork."""

    __slots__ = 'exhausted', 'in_flight', 'is_async', 'iterator', 'limit', 'pulled', 'requested', 'value'

    def __init__(self, value: Any, limit: int | None, *, is_async: bool):
        self.value = value
        self.limit = limit
        self.is_async = is_async
        self.iterator: Iterator[Any] | None = None
        self.pulled = 0
        self.in_flight = 0
        self.exhausted = False
        self.requested = False
        """Whether the next item is on its way: asked for from an asynchronous source, or due from another one."""

    @property
    def has_room(self) -> bool:
        return not self.exhausted and (self.limit is None or self.in_flight < self.limit)

    def __repr__(self) -> str:
        state = 'exhausted' if self.exhausted else f'limit {self.limit}'
        return f'<source, {self.pulled} pulled, {self.in_flight} in flight, {state}>'


class OpenJoin:
    """A join that has been opened for one run of its parent fork and has not fired: a token at the join."""

    __slots__ = 'buffer', 'closed', 'current', 'node', 'received', 'region'

    def __init__(self, node: PlanNode, region: Region, current: Any):
        self.node = node
        self.region = region
        self.current = current
        self.received = 0
        self.closed = False
        """Whether further values are refused, because a reducer cancelled what could bring them."""
        self.buffer: list[Contribution] = []
        """What waits to be folded in input order."""

    @property
    def index(self) -> int:
        """The thread that the join's own value belongs to."""
        return -1 - self.node.ordinal

    def __repr__(self) -> str:
        return f'<join {self.node.id!r} open in {self.region!r}, {self.received} received, {len(self.buffer)} waiting>'


Contribution: TypeAlias = 'tuple[tuple[tuple[bool, int], ...], int, Any, Region, int]'
"""Position below the parent fork's run, arrival, value, and the place where it came from. Sorts by position."""


class Region:
    """One run of a fork.

    What few regions need is said by the class and made when it is needed.
    """

    open: dict[int, OpenJoin] | None = None
    """The joins that wait for values of this run."""
    fired: set[int] | None = None
    """The joins that have fired for this run."""
    source: Source | None = None
    closed: bool = False
    """Whether the rest of the region was cancelled."""
    members: dict[Task, None] | None = None
    """The tasks directly in the region, if the plan can cancel parts of a run."""
    children: dict[Region, None] | None = None
    """The regions directly in this one, if the plan can cancel parts of a run."""
    threads: dict[int, int] | None = None
    """Tokens by thread, if the plan tracks threads."""
    held: dict[int, int] | None = None
    """Values by thread that wait at a join to be folded."""
    live_items: int = 0
    frontier: int = 0
    """No thread before this one lives."""

    def __init__(self, id: int, node: PlanNode, parent: Region | None, index: int, visit: int, env: Environment):
        self.id = id
        self.node = node
        self.parent = parent
        self.index = index
        """The thread of the parent in which the fork ran."""
        self.visit = visit
        self.env = env
        self.counts: dict[int, int] = {}
        """Tokens by class; a region inside counts as one for each class that occurs in it."""
        self.present = 0
        """The classes that occur, as bits."""

    @property
    def run_id(self) -> NodeRunID:
        return NodeRunID(f'run:{self.id}')

    def __repr__(self) -> str:
        return f'<run {self.id} of {self.node.id!r}>'


def fork_stack(region: Region | None, index: int) -> ForkStack:
    """The public form of a place: the fork runs that it is in, outermost first."""
    items: list[ForkStackItem] = []
    while region is not None:
        items.append(ForkStackItem(region.node.id, region.run_id, index))
        region, index = region.parent, region.index
    return tuple(reversed(items))


def position(region: Region, index: int, home: Region) -> tuple[tuple[bool, int], ...]:
    """Where a place stands among the places below a region; what left a join stands behind all items."""
    if region is home:
        return ((index < 0, abs(index)),)
    levels = [(index < 0, abs(index))]
    while region is not home and region.parent is not None:
        region, index = region.parent, region.index
        levels.append((index < 0, abs(index)))
    return tuple(reversed(levels))


class Counts:
    """Moves tokens, and remembers what the moves made possible."""

    __slots__ = 'due', 'emptied', 'settled', 'tracks_threads'

    def __init__(self, tracks_threads: bool):
        self.tracks_threads = tracks_threads
        self.due: deque[OpenJoin] = deque()
        """Joins that may have nothing left to wait for."""
        self.emptied: list[Region] = []
        """Whole graphs, the run's or a subgraph's, in which no token is left."""
        self.settled: list[tuple[Region, int]] = []
        """Threads in which no token is left."""

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
                self.due.append(join)

    def _appear(self, region: Region, parent: Region) -> None:
        if parent.children is not None:
            parent.children[region] = None
        if self.tracks_threads:
            self._enter_thread(parent, region.index, 1)

    def _vanish(self, region: Region) -> None:
        parent = region.parent
        if parent is not None:
            if parent.children is not None:
                parent.children.pop(region, None)
            if self.tracks_threads:
                self._leave_thread(parent, region.index, 1)
        if parent is None or region.node.partner >= 0:
            self.emptied.append(region)

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
        self.settled.append((region, index))

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
