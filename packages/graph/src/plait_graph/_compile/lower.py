"""From what was said to nodes and plain edges: forks become nodes, and each path runs from one node to the next.

Nothing is decided here but how forks are placed; the result is what is drawn and what is analysed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from plait_graph._definition import Definition
from plait_graph.decision import Decision
from plait_graph.exceptions import GraphBuildingError
from plait_graph.id_types import ForkID, NodeID
from plait_graph.node import Fork
from plait_graph.paths import (
    AnyNode,
    BroadcastMarker,
    DestinationMarker,
    ExitMarker,
    LabelMarker,
    MapMarker,
    Path,
    PathItem,
    TransformMarker,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph of nodes, forks among them, and paths that each end at a node and pass no other."""

    nodes: Mapping[NodeID, AnyNode]
    edges: Mapping[NodeID, Sequence[Path]]
    """For each node the paths that leave it, in order: a decision's in the order of its branches, those that only a
    step's policy leads along behind the others."""

    def leads_on(self, node_id: NodeID) -> bool:
        """Whether a node's value goes anywhere."""
        return any(path.exit is None for path in self.edges.get(node_id, ()))

    def targets(self, node_id: NodeID) -> list[NodeID]:
        """The nodes that a node leads to."""
        return [destination(path) for path in self.edges.get(node_id, ())]


def destination(path: Path) -> NodeID:
    """Where a plain path ends."""
    last = path.items[-1]
    if not isinstance(last, DestinationMarker):
        raise GraphBuildingError(f'The path {path!r} does not end at a node. End it with .to(...).')
    return last.destination_id


def lower(definition: Definition) -> Layout:
    """Place the forks.

    Raises:
        GraphBuildingError: A fork's id is used twice for different things, or a path has no end.
    """
    return _Lowering(definition).run()


class _Lowering:
    def __init__(self, definition: Definition):
        self._definition = definition
        self._nodes: dict[NodeID, AnyNode] = dict(definition.nodes)
        self._edges: dict[NodeID, list[Path]] = {node_id: [] for node_id in definition.nodes}
        self._continuations: dict[ForkID, tuple[Path, ...]] = {}

    def run(self) -> Layout:
        said: dict[NodeID, list[Path]] = {}
        for source, path in self._definition.edges:
            said.setdefault(source, []).append(path)
        for node in self._definition.nodes.values():
            if isinstance(node, Decision):
                said[node.id] = [branch.path for branch in node.branches]
        for source, paths in said.items():
            self._leave(source, paths)
        return Layout(self._nodes, {node_id: tuple(paths) for node_id, paths in self._edges.items()})

    def _leave(self, source: NodeID, paths: Sequence[Path]) -> None:
        """Let paths leave a node: behind a fork if there are several, unless the node is to choose one."""
        exits = [path for path in paths if path.exit is not None]
        paths = [path for path in paths if path.exit is None]
        if len(paths) > 1 and not isinstance(self._nodes[source], Decision):
            fork_id = self._unused(f'{source}_broadcast_fork')
            paths = [Path((BroadcastMarker(tuple(paths), fork_id),))]
        for path in (*paths, *exits):
            self._follow(source, path)

    def _follow(self, source: NodeID, path: Path) -> None:
        passed: list[PathItem] = []
        for position, item in enumerate(path.items):
            match item:
                case LabelMarker() | TransformMarker() | ExitMarker():
                    passed.append(item)
                case DestinationMarker():
                    self._edges[source].append(Path((*passed, item)))
                    return None
                case MapMarker():
                    fork: Fork[object, object] = Fork(item.fork_id, True, item.downstream_join_id, item.limit)
                    return self._fork(source, passed, fork, (Path(tuple(path.items[position + 1 :])),))
                case BroadcastMarker():
                    return self._fork(source, passed, Fork(item.fork_id, False), tuple(item.paths))
        raise GraphBuildingError(f'A path from {source!r} does not end at a node. End it with .to(...).')

    def _fork(
        self, source: NodeID, passed: Sequence[PathItem], fork: Fork[object, object], rest: tuple[Path, ...]
    ) -> None:
        """Lead to a fork, and from there on along what follows it."""
        self._edges[source].append(Path((*passed, DestinationMarker(fork.id))))
        if self._nodes.get(fork.id) == fork and self._continuations.get(fork.id) == rest:
            return  # several sources share one path
        if fork.id in self._nodes:
            raise GraphBuildingError(
                f'All nodes must have unique node IDs, and {fork.id!r} is used by {self._nodes[fork.id]!r} '
                f'and by a fork that leads elsewhere. Give the fork another fork_id=.'
            )
        self._nodes[fork.id] = fork
        self._edges[fork.id] = []
        self._continuations[fork.id] = rest
        for path in rest:
            self._follow(fork.id, path)

    def _unused(self, name: str) -> ForkID:
        return next(ForkID(each) for each in numbered(name) if each not in self._nodes)


def numbered(name: str) -> Iterator[str]:
    """A name, then the same name with numbers behind it."""
    yield name
    number = 2
    while True:
        yield f'{name}_{number}'
        number += 1
