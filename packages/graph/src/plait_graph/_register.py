"""What was said to a builder: nodes by id, edges, ids in use, and what return hints imply.

Knows nothing of how it was said; the builder has the words and their types.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from plait_graph._compile.lower import destination, numbered
from plait_graph._definition import Definition
from plait_graph._hints import Way, step_types, ways_of_node, ways_of_step
from plait_graph.basenode import BaseNode, End
from plait_graph.decision import Decision, DecisionBranch
from plait_graph.exceptions import GraphBuildingError
from plait_graph.id_types import NodeID
from plait_graph.node import EndNode, StartNode
from plait_graph.paths import (
    AnyNode,
    DestinationMarker,
    EdgePath,
    ExitMarker,
    LabelMarker,
    Path,
    PathBuilder,
    as_node,
)
from plait_graph.step import NodeStep, Step


class Register:
    """The nodes and edges of one builder."""

    def __init__(self, start: StartNode[Any], end: EndNode[Any]):
        self._end = end
        self.nodes: dict[NodeID, AnyNode] = {StartNode.id: start, EndNode.id: end}
        self._edges: list[tuple[NodeID, Path]] = []
        self._taken: set[str] = set()
        self._implied: dict[NodeID, NodeID] = {}
        self._namespace: dict[str, Any] = {}

    def claim(self, id: str) -> None:
        """Note an id that was given by the user."""
        self._taken.add(id)

    def generate(self, name: str) -> NodeID:
        """An id like `name` that no node has."""
        id = next(each for each in numbered(name) if each not in self._taken)
        self._taken.add(id)
        return NodeID(id)

    def add(self, edge: EdgePath[Any, Any]) -> None:
        """Put an edge and the nodes that it names among the others.

        Raises:
            GraphBuildingError: Another node has the id of one of them.
        """
        for node in (*edge.sources, *edge.destinations):
            for new in _insert(node, self.nodes):
                self.claim(_id(new))
        self._edges.extend((_id(source), edge.path) for source in edge.sources)

    def define(self, said: Mapping[NodeID, tuple[Any, Any]]) -> Definition:
        """What was said, with the edges that return hints imply.

        Args:
            said: What the start gives and the end takes, as far as it is known.
        """
        nodes, edges = dict(self.nodes), list(self._edges)
        sources = {source for source, _ in edges}
        types = dict(said)
        routing: set[NodeID] = set()
        pending = list(nodes.values())
        while pending:
            node = pending.pop(0)
            if not isinstance(node, Step):
                continue
            types[node.id] = step_types(node, self._namespace)
            for path, target in _exits(node):
                edges.append((node.id, path))
                pending.extend(_insert(target, nodes))
            if isinstance(node, NodeStep):
                routing.add(node.id)
            if node.id in sources:
                continue
            ways = self.ways(node, types[node.id][1])
            if not ways:
                continue
            routing.add(node.id)
            path, destinations = self.lead(node, ways)
            edges.append((node.id, path))
            for target in destinations:
                pending.extend(_insert(target, nodes))
        _lead_fallbacks_on(nodes, edges)
        return Definition(nodes, tuple(edges), frozenset(routing), types)

    def ways(self, step: Step[Any, Any, Any, Any], given: Any) -> list[Way]:
        """Where a step's return hint leads; nowhere, if a function's hint is not all of nodes."""
        if isinstance(step, NodeStep):
            return ways_of_node(step.node_type, self._namespace)
        return ways_of_step(step, given, self._namespace)

    def lead(self, step: Step[Any, Any, Any, Any], ways: list[Way]) -> tuple[Path, tuple[AnyNode, ...]]:
        """The path for a return hint: to the one place that it names, or to a decision between several."""
        if len(ways) == 1:
            destination = self._destination(ways[0])
            items = [LabelMarker(ways[0].label)] if ways[0].label is not None else []
            return PathBuilder(items).to(destination), (destination,)
        decision: Decision[Any, Any, Any] = Decision(self._implied_id(step))
        for way in ways:
            destination = self._destination(way)
            items = [LabelMarker(way.label)] if way.label is not None else []
            source: Any = way.to if isinstance(way.to, type) else object
            path = PathBuilder(items).to(destination)
            branch: DecisionBranch[Any] = DecisionBranch(source, None, path, (destination,))
            decision = decision.branch(branch)
        return PathBuilder().to(decision), (decision,)

    def _implied_id(self, step: Step[Any, Any, Any, Any]) -> NodeID:
        """The id of the decision that a step's hint implies: the same one whenever it is asked for."""
        if step.id not in self._implied:
            self._implied[step.id] = self.generate('decision')
        return self._implied[step.id]

    def _destination(self, way: Way) -> Any:
        if way.to is End:
            return self._end
        return NodeStep(cast('type[BaseNode[Any, Any, Any]]', way.to)) if isinstance(way.to, type) else way.to

    def remember_names(self) -> None:
        """Keep the caller's local names, by which hints can refer to classes that are made in a function."""
        frame = inspect.currentframe()
        while (
            frame is not None
            and frame.f_back is not None
            and frame.f_globals.get('__name__', '').startswith('plait_graph.')
        ):
            frame = frame.f_back
        if frame is not None and frame.f_locals is not frame.f_globals:
            self._namespace.update(frame.f_locals)


def _insert(node: AnyNode, nodes: dict[NodeID, AnyNode]) -> list[AnyNode]:
    """Put a node and what its branches lead to among the nodes; gives those that are new.

    Raises:
        GraphBuildingError: Another node has its id.
    """
    new: list[AnyNode] = []
    pending = [node]
    while pending:
        each = pending.pop(0)
        there = nodes.get(_id(each))
        if there is None:
            new.append(each)
        elif there is each or _is_same(there, each):
            continue
        elif not _is_later(each, there):
            if _is_later(there, each):
                continue
            raise GraphBuildingError(
                f'All nodes must have unique node IDs, and {_id(each)!r} is used by {_describe(there)} '
                f'and by {_describe(each)}. Give one of them another node_id=.'
            )
        nodes[_id(each)] = each
        if isinstance(each, Decision):
            pending.extend(destination for branch in each.branches for destination in branch.destinations)
    return new


def _exits(step: Step[Any, Any, Any, Any]) -> Iterator[tuple[Path, AnyNode]]:
    """The ways that a step's policy leads along."""
    if step.policy is None:
        return
    if step.policy.fallback is not None:
        yield _exit('fallback', step.policy.fallback)
    if step.policy.loop_guard is not None and step.policy.loop_guard.then is not None:
        yield _exit('guard', step.policy.loop_guard.then)


def _exit(reason: Literal['fallback', 'guard'], destination: Any) -> tuple[Path, AnyNode]:
    node = as_node(destination)
    return Path((ExitMarker(reason), DestinationMarker(node.id))), node


def _lead_fallbacks_on(nodes: Mapping[NodeID, AnyNode], edges: list[tuple[NodeID, Path]]) -> None:
    """Let a fallback without edges of its own lead where the step leads that it stands in for.

    Raises:
        GraphBuildingError: It stands in for several that lead to different places.
    """
    stands_in: dict[NodeID, list[NodeID]] = {}
    for source, path in edges:
        if path.exit == 'fallback' and isinstance(nodes[fallback := destination(path)], Step):
            stands_in.setdefault(fallback, []).append(source)
    waiting = [fallback for fallback in stands_in if not _ways_on(fallback, edges)]
    for _ in range(len(waiting)):  # one may stand in for another one
        for fallback in waiting:
            ways = [_ways_on(source, edges) for source in stands_in[fallback]]
            if any(way != ways[0] for way in ways[1:]) and not _ways_on(fallback, edges):
                raise GraphBuildingError(
                    f'Step {fallback!r} is the fallback of {stands_in[fallback]}, which lead to different places, and '
                    f'has no edges of its own. Add g.edge_from(...) for it.'
                )
            if not _ways_on(fallback, edges):
                edges.extend((fallback, path) for path in ways[0])


def _ways_on(node_id: NodeID, edges: Sequence[tuple[NodeID, Path]]) -> list[Path]:
    return [path for source, path in edges if source == node_id and path.exit is None]


def _describe(node: AnyNode) -> str:
    """A node, with the place of its function if that can be told."""
    code = getattr(node.call, '__code__', None) if isinstance(node, Step) else None
    if code is None:
        return repr(node)
    from pathlib import PurePath

    return f'{node!r} ({code.co_qualname}, {PurePath(code.co_filename).name}:{code.co_firstlineno})'


def _is_same(left: AnyNode, right: AnyNode) -> bool:
    """Whether two objects stand for one node: steps around one class, equal decisions, start and end of one kind."""
    return type(left) is type(right) and isinstance(left, NodeStep | Decision) and left == right


def _is_later(left: AnyNode, right: AnyNode) -> bool:
    """Whether one decision is the other one with branches added."""
    if not isinstance(left, Decision) or not isinstance(right, Decision):
        return False
    return left.branches[: len(right.branches)] == right.branches and left.note == right.note


def _id(node: Any) -> NodeID:
    return cast(NodeID, node.id)
