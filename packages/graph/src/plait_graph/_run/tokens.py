"""Tokens, and the fork runs that they are in.

A token is whatever may still lead somewhere: a task that waits or runs, items that a map has still to start, a join
that is open. A *region* is one run of a fork. How tokens are counted is said in `counts`.

Knows nothing of what nodes do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plait_graph._compile.plan import Kind, PlanNode
from plait_graph.id_types import ForkStack, ForkStackItem, NodeRunID, TaskID

if TYPE_CHECKING:  # imported by the runs that need it
    from plait_graph._isolated_state import IsolatedState


class Environment:
    """The state and dependencies that the steps of a graph see; a subgraph may have its own."""

    __slots__ = 'deps', 'isolated', 'state'

    def __init__(self, state: Any, deps: Any, isolated: IsolatedState | None = None):
        self.state = state
        self.deps = deps
        self.isolated = isolated
        """What keeps the state, if steps are to see private copies of it."""

    @property
    def readable(self) -> Any:
        """The state, for a function that is to change nothing."""
        return self.state if self.isolated is None else self.isolated.read()


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
    def cls(self) -> int:
        """The class of the place that it stands at."""
        return self.node.arriving

    @property
    def task_id(self) -> TaskID:
        return TaskID(f'task:{self.id}')

    @property
    def fork_stack(self) -> ForkStack:
        return fork_stack(self.region, self.index)

    def __repr__(self) -> str:
        return f'<{self.task_id} at {self.node.id!r}, thread {self.index} of {self.region!r}>'


class Departure(Task):
    """A token that failed on its way out: a fork has begun its run by then, and a join does not take it any more."""

    __slots__ = ()

    @property
    def cls(self) -> int:
        """The class of the place that it stands at."""
        return self.node.leaving


class Attempt:
    """What is known of a task whose step has a policy, or which was caused by a failure."""

    __slots__ = (
        'began',
        'cause',
        'has_permit',
        'has_place',
        'is_cached',
        'is_looked_up',
        'key',
        'number',
        'overdue',
        'timers',
    )

    def __init__(self, cause: BaseException | None = None):
        self.number = 1
        self.cause = cause
        """Why there is this attempt: the failure of the one before, or of the step that this one stands in for."""
        self.began: float | None = None
        """When the first attempt began, as whoever evaluates strategies counts time."""
        self.has_place = False
        """Whether a place at its step is its own, if the step has only so many."""
        self.is_looked_up = False
        """Whether the cache has been asked."""
        self.key: str | None = None
        """What its cache was asked for."""
        self.is_cached = False
        """Whether the cache had the value."""
        self.has_permit = False
        """Whether the limit by name has let the attempt go on."""
        self.overdue: BaseException | None = None
        """What the attempt fails with when its body has ended, since its time is up."""
        self.timers: list[Timer] = []


@dataclass(eq=False, slots=True)
class Timer:
    """Something that happens after a time, unless it is stopped before."""

    id: int
    kind: TimerKind
    seconds: float
    task: Task | None = None
    region: Region | None = None
    node: PlanNode | None = None


TimerKind: TypeAlias = Literal['retry', 'timeout', 'idle', 'join', 'run']


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

    __slots__ = 'buffer', 'came', 'causes', 'closed', 'current', 'is_enough', 'node', 'received', 'region', 'threads'

    def __init__(self, node: PlanNode, region: Region, current: Any):
        self.node = node
        self.region = region
        self.current = current
        self.received = 0
        self.closed = False
        """Whether further values are refused, because a reducer cancelled what could bring them."""
        self.buffer: list[Contribution] = []
        """What waits to be folded in input order."""
        self.came = 0
        """The values received that are no failures."""
        self.threads: set[int] = set()
        """The threads of the region that brought one, if the join needs a share of them."""
        self.causes: list[BaseException] = []
        """The failures that it collected or ignored."""
        self.is_enough = False
        """Whether it goes on although something could still bring a value."""

    @property
    def index(self) -> int:
        """The thread that the join's own value belongs to."""
        return -1 - self.node.ordinal

    @property
    def firing_id(self) -> TaskID:
        """Names the firing where it is the cause of something."""
        return TaskID(f'{self.node.id}@{self.region.run_id}')

    def __repr__(self) -> str:
        return f'<join {self.node.id!r} open in {self.region!r}, {self.received} received, {len(self.buffer)} waiting>'


Position: TypeAlias = tuple[tuple[bool, int], ...]
"""Where a value stands in the input: for each run of a fork, from outside to inside, the thread."""

Contribution: TypeAlias = 'tuple[Position, int, Any, Region, int]'
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
    timers: dict[int, Timer] | None = None
    """The deadlines of joins that wait for this run, by the join's number."""
    passes: dict[int, dict[int, int]] | None = None
    """How often guarded steps have been reached, by step and thread."""
    total: int | None = None
    """How many items a map without a source has started."""
    cause: TaskID | None = None
    """What led to the fork, if somebody listens."""
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

    @property
    def threads_in_all(self) -> int | None:
        """How many branches or items the fork's run has; nothing as long as that is not known."""
        if self.source is not None:
            return self.source.pulled if self.source.exhausted else None
        return self.total if self.node.kind is Kind.MAP else len(self.node.edges)

    def __repr__(self) -> str:
        return f'<run {self.id} of {self.node.id!r}>'


def fork_stack(region: Region | None, index: int) -> ForkStack:
    """The public form of a place: the fork runs that it is in, outermost first."""
    items: list[ForkStackItem] = []
    while region is not None:
        items.append(ForkStackItem(region.node.id, region.run_id, index))
        region, index = region.parent, region.index
    return tuple(reversed(items))


def position(region: Region, index: int, home: Region) -> Position:
    """Where a place stands among the places below a region; what left a join stands behind all items."""
    if region is home:
        return ((index < 0, abs(index)),)
    levels = [(index < 0, abs(index))]
    while region is not home and region.parent is not None:
        region, index = region.parent, region.index
        levels.append((index < 0, abs(index)))
    return tuple(reversed(levels))
