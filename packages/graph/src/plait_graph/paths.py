"""What stands between two nodes: a path of labels, transforms and forks that ends at a destination.

A path is data. The builders here only collect it; each method returns a new builder, and the receiver stays usable.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar, Union, cast, get_origin, overload

from plait_graph._typevars import Deps, DepsIn, Input, Item, Output, OutputOut, State, StateIn
from plait_graph.basenode import BaseNode
from plait_graph.exceptions import GraphBuildingError, GraphSetupError
from plait_graph.id_types import ForkID, JoinID, NodeID
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.step import NodeStep, Step, StepContext
from plait_graph.util import get_callable_name

if TYPE_CHECKING:
    from plait_graph.decision import Decision

__all__ = (
    'BroadcastMarker',
    'DestinationMarker',
    'EdgePath',
    'EdgePathBuilder',
    'ExitMarker',
    'LabelMarker',
    'MapMarker',
    'Path',
    'PathBuilder',
    'PathChain',
    'PathItem',
    'TransformFunction',
    'TransformMarker',
)

Finished = TypeVar('Finished')
NewOutput = TypeVar('NewOutput')

TransformFunction: TypeAlias = Callable[[StepContext[State, Deps, Input]], Output]
"""A plain function of a `StepContext` whose result replaces the value."""

SourceNode: TypeAlias = (
    StartNode[Output] | Step[State, Deps, Any, Output] | Join[State, Deps, Any, Output] | Fork[Any, Output]
)
"""What an edge can come from."""

DestinationNode: TypeAlias = Union[  # a name that is not there yet has no `|`
    EndNode[Input],
    Step[State, Deps, Input, Any],
    Join[State, Deps, Input, Any],
    'Decision[State, Deps, Input]',
    type[BaseNode[State, Deps, Any]],
]
"""What an edge can lead to."""

AnyNode: TypeAlias = Union[
    StartNode[Any],
    EndNode[Any],
    Step[Any, Any, Any, Any],
    Join[Any, Any, Any, Any],
    Fork[Any, Any],
    'Decision[Any, Any, Any]',
]
"""Any node of a graph."""


@dataclass(frozen=True, slots=True)
class TransformMarker:
    """The value is replaced by what the function makes of it."""

    transform: Callable[[StepContext[Any, Any, Any]], Any]


@dataclass(frozen=True, slots=True)
class MapMarker:
    """The rest of the path runs once for each item."""

    fork_id: ForkID
    downstream_join_id: JoinID | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class BroadcastMarker:
    """Each of several paths runs."""

    paths: Sequence[Path]
    fork_id: ForkID


@dataclass(frozen=True, slots=True)
class LabelMarker:
    """A text for the picture."""

    label: str


@dataclass(frozen=True, slots=True)
class DestinationMarker:
    """The path ends at a node."""

    destination_id: NodeID


@dataclass(frozen=True, slots=True)
class ExitMarker:
    """The path is taken only if a step's policy says so, and carries what the step was given."""

    reason: Literal['fallback', 'guard']


PathItem: TypeAlias = TransformMarker | MapMarker | BroadcastMarker | LabelMarker | ExitMarker | DestinationMarker


@dataclass(frozen=True, slots=True)
class Path:
    """What happens to a value on its way from one node to another."""

    items: Sequence[PathItem]

    @property
    def last_fork(self) -> BroadcastMarker | MapMarker | None:
        """The last fork on the path, if there is one."""
        forks = [item for item in self.items if isinstance(item, BroadcastMarker | MapMarker)]
        return forks[-1] if forks else None

    @property
    def exit(self) -> Literal['fallback', 'guard'] | None:
        """Why the path is taken instead of the others, if it is one that a step's policy leads along."""
        return next((item.reason for item in self.items if isinstance(item, ExitMarker)), None)

    @property
    def next_path(self) -> Path:
        """The path without its first item."""
        return Path(self.items[1:])


class IdSource(Protocol):
    """Gives ids that are not in use."""

    def generate(self, name: str) -> NodeID:
        """An id like `name` that nobody has yet."""
        ...


class _Verbatim:
    """Ids for paths that belong to no builder."""

    def generate(self, name: str) -> NodeID:
        return NodeID(name)


_VERBATIM = _Verbatim()


@dataclass(frozen=True)
class PathBuilder:
    """A path that has no destination yet."""

    working_items: Sequence[PathItem] = ()
    ids: IdSource = _VERBATIM

    def to(self, destination: Any, /, *more: Any, fork_id: str | None = None) -> Path:
        """End the path at a node, or at several of them behind a broadcast."""
        ends = [Path((DestinationMarker(as_node(node).id),)) for node in (destination, *more)]
        if len(ends) == 1:
            return Path((*self.working_items, *ends[0].items))
        return self.broadcast(ends, fork_id=fork_id)

    def broadcast(self, paths: Sequence[Path], *, fork_id: str | None = None) -> Path:
        """End the path in several paths that all run.

        Raises:
            GraphBuildingError: There are none.
        """
        if not paths:
            raise GraphBuildingError('A broadcast returned no branches, but must return at least one.')
        marker = BroadcastMarker(tuple(paths), ForkID(fork_id or self.ids.generate('broadcast')))
        return Path((*self.working_items, marker))

    def map(
        self, *, fork_id: str | None = None, downstream_join_id: str | None = None, limit: int | None = None
    ) -> PathBuilder:
        """Run the rest of the path once for each item.

        Raises:
            GraphBuildingError: The limit leaves no place for an item.
        """
        if limit is not None and limit < 1:
            raise GraphBuildingError(f'map(limit={limit!r}) lets no item run. Give at least 1, or None for no limit.')
        join_id = None if downstream_join_id is None else JoinID(downstream_join_id)
        return self._with(MapMarker(ForkID(fork_id or self.ids.generate('map')), join_id, limit))

    def transform(self, function: Callable[[StepContext[Any, Any, Any]], Any], /) -> PathBuilder:
        """Replace the value by what a plain function makes of it."""
        if not callable(function):
            raise GraphSetupError(f'transform() was given {function!r}, which cannot be called. Give a function.')
        return self._with(TransformMarker(function))

    def label(self, label: str, /) -> PathBuilder:
        """Give the way to the next fork or destination a text in the picture."""
        return self._with(LabelMarker(label))

    def _with(self, item: PathItem) -> PathBuilder:
        return replace(self, working_items=(*self.working_items, item))


@dataclass(frozen=True, slots=True)
class EdgePath(Generic[StateIn, DepsIn]):
    """A finished path with the nodes that it comes from and leads to, for `GraphBuilder.add`."""

    sources: Sequence[AnyNode]
    path: Path
    destinations: Sequence[AnyNode]


class HasPath(Protocol):
    """A finished edge path or branch."""

    @property
    def path(self) -> Path: ...
    @property
    def destinations(self) -> Sequence[AnyNode]: ...


class PathChain(Generic[State, Deps, OutputOut, Finished]):
    """A path on its way from an edge's sources or a decision's branch to its destination.

    Each method returns a new chain; `to` and `broadcast` finish it.
    """

    __slots__ = '_builder', '_finish'

    def __init__(self, builder: PathBuilder, finish: Callable[[Path, Sequence[AnyNode]], Finished]):
        self._builder = builder
        self._finish = finish

    def to(
        self,
        destination: DestinationNode[OutputOut, State, Deps],
        /,
        *more: DestinationNode[OutputOut, State, Deps],
        fork_id: str | None = None,
    ) -> Finished:
        """Lead to a node, or to each of several nodes.

        Args:
            destination: A step, join, decision, the end node, or a class node.
            more: More of them, which makes a broadcast.
            fork_id: The id of that broadcast; generated if not given.

        Raises:
            GraphSetupError: A destination is not a node.
        """
        nodes = [as_node(node) for node in (destination, *more)]
        return self._finish(self._builder.to(*nodes, fork_id=fork_id), nodes)

    def broadcast(
        self,
        get_branches: Callable[[PathChain[State, Deps, OutputOut, Finished]], Sequence[Finished]],
        /,
        *,
        fork_id: str | None = None,
    ) -> Finished:
        """Lead on along several paths, each made from the builder that the function is given.

        Args:
            get_branches: Gets a builder; returns finished paths made from it.
            fork_id: The id of the broadcast; generated if not given.

        Raises:
            GraphBuildingError: The function returned no path.
        """
        start: PathChain[State, Deps, OutputOut, Finished] = PathChain(
            replace(self._builder, working_items=()), self._finish
        )
        branches = [cast(HasPath, branch) for branch in get_branches(start)]
        path = self._builder.broadcast([branch.path for branch in branches], fork_id=fork_id)
        return self._finish(path, [node for branch in branches for node in branch.destinations])

    @overload
    def map(
        self: PathChain[State, Deps, Iterable[Item], Finished],
        *,
        fork_id: str | None = None,
        downstream_join_id: str | None = None,
        limit: int | None = None,
    ) -> PathChain[State, Deps, Item, Finished]: ...
    @overload
    def map(
        self: PathChain[State, Deps, AsyncIterable[Item], Finished],
        *,
        fork_id: str | None = None,
        downstream_join_id: str | None = None,
        limit: int | None = None,
    ) -> PathChain[State, Deps, Item, Finished]: ...
    def map(
        self: PathChain[State, Deps, Any, Finished],
        *,
        fork_id: str | None = None,
        downstream_join_id: str | None = None,
        limit: int | None = None,
    ) -> PathChain[State, Deps, Any, Finished]:
        """Run the rest of the path once for each item of an iterable or asynchronous iterable.

        Items of an asynchronous iterable start while it still produces. An empty one fires the join that is first
        reached from here, with its initial value.

        Args:
            fork_id: The id of the fork; generated if not given.
            downstream_join_id: The join that fires even if there are no items, where it is not clear which one.
            limit: How many items may be in flight at once, from the moment an item is pulled until it is folded into a
                join or gone; no more than that are ever held. `None` for no limit: an iterable is then read at once.

        Raises:
            GraphBuildingError: The limit is below 1.
        """
        return PathChain(
            self._builder.map(fork_id=fork_id, downstream_join_id=downstream_join_id, limit=limit), self._finish
        )

    def transform(
        self, function: Callable[[StepContext[State, Deps, OutputOut]], NewOutput], /
    ) -> PathChain[State, Deps, NewOutput, Finished]:
        """Replace the value by what a plain function makes of it.

        The function runs in line on the event loop, so it should be short.
        """
        return PathChain(self._builder.transform(function), self._finish)

    def label(self, label: str, /) -> PathChain[State, Deps, OutputOut, Finished]:
        """Give the way to the next fork or destination a text in the picture."""
        return PathChain(self._builder.label(label), self._finish)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({list(self._builder.working_items)!r})'


EdgePathBuilder: TypeAlias = PathChain[State, Deps, Output, EdgePath[State, Deps]]
"""The builder that `GraphBuilder.edge_from` gives."""


def as_node(node: Any) -> Any:
    """The node that a destination stands for: a class node's step, or the node itself.

    Raises:
        GraphSetupError: It is not a node.
    """
    from plait_graph.node_types import is_destination  # node_types needs the classes of this module

    node_class = get_origin(node) or node
    if isinstance(node_class, type) and issubclass(node_class, BaseNode):
        return NodeStep(cast('type[BaseNode[Any, Any, Any]]', node_class))
    if is_destination(node):
        return node
    hint = (
        'Make it a step with @g.step first.'
        if callable(node)
        else 'Give a step, join, decision, class node or end_node.'
    )
    name = get_callable_name(node) if callable(node) else repr(node)
    raise GraphSetupError(f'{name} is not a node that an edge can lead to. {hint}')
