"""Pictures: a graph as Mermaid `stateDiagram-v2` text. The same graph gives the same text, always."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from plait_graph.decision import Decision
from plait_graph.id_types import NodeID
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.paths import AnyNode, DestinationMarker, LabelMarker, Path
from plait_graph.policies import JoinPolicy, StepPolicy
from plait_graph.step import Step, SubgraphStep

__all__ = 'MermaidEdge', 'MermaidGraph', 'MermaidNode', 'StateDiagramDirection', 'build_mermaid_graph'

StateDiagramDirection: TypeAlias = Literal['TB', 'LR', 'RL', 'BT']
"""Which way the picture runs: from top to bottom, left to right, right to left, bottom to top."""

NodeKind: TypeAlias = Literal['broadcast', 'map', 'join', 'start', 'end', 'step', 'decision', 'subgraph']

_PLAIN_ID = re.compile(r'\w+')
_ENCODED = 'id_'
_RESERVED = frozenset({'state', 'note', 'end', 'direction', 'class', 'classDef', 'style', 'as'})


@dataclass(frozen=True)
class MermaidNode:
    """A node of the picture."""

    id: str
    kind: NodeKind
    label: str | None = None
    note: str | None = None
    inner: MermaidGraph | None = None
    """What a subgraph consists of."""


@dataclass(frozen=True)
class MermaidEdge:
    """An edge of the picture."""

    start_id: str
    end_id: str
    label: str | None = None


@dataclass(frozen=True)
class MermaidGraph:
    """A picture of nodes and edges."""

    nodes: Sequence[MermaidNode]
    edges: Sequence[MermaidEdge]
    title: str | None = None
    direction: StateDiagramDirection | None = None

    def render(
        self,
        direction: StateDiagramDirection | None = None,
        title: str | None = None,
        edge_labels: bool = True,
    ) -> str:
        """The text of the picture.

        Args:
            direction: Which way it runs, if it is to be said.
            title: A title above it.
            edge_labels: Whether edges show their labels.
        """
        lines: list[str] = []
        title = title or self.title
        direction = direction or self.direction
        if title:
            lines += ['---', f'title: {title}', '---']
        lines.append('stateDiagram-v2')
        if direction is not None:
            lines.append(f'  direction {direction}')
        lines += [f'  {line}' for line in self._body('', edge_labels)]
        return '\n'.join(line if line.strip() else '' for line in lines)

    def _body(self, prefix: str, edge_labels: bool) -> Iterator[str]:
        for node in self.nodes:
            yield from _node_lines(node, prefix, edge_labels)
        yield ''
        kinds: dict[str, NodeKind] = {node.id: node.kind for node in self.nodes}
        for edge in self.edges:
            start, end = (_end_name(each, kinds, prefix) for each in (edge.start_id, edge.end_id))
            label = f': {_one_line(edge.label)}' if edge.label and edge_labels else ''
            yield f'{start} --> {end}{label}'


def _node_lines(node: MermaidNode, prefix: str, edge_labels: bool) -> Iterator[str]:
    name = prefix + _name(node.id)
    match node.kind:
        case 'start' | 'end':
            return
        case 'map' | 'broadcast':
            yield f'state {name} <<fork>>'
        case 'join':
            yield f'state {name} <<join>>'
        case 'decision':
            yield f'state {name} <<choice>>'
        case 'subgraph' if node.inner is not None:
            yield f'state {_quoted(node.label or node.id, name)} {{'
            yield from (f'  {line}' for line in node.inner._body(f'{name}.', edge_labels))  # pyright: ignore[reportPrivateUsage] # same class
            yield '}'
        case _:
            yield from _step_lines(node, prefix, name)
    if node.note:
        yield f'note right of {name}'
        yield from (f'  {line}' for line in node.note.splitlines())
        yield 'end note'


def _step_lines(node: MermaidNode, prefix: str, name: str) -> Iterator[str]:
    label = node.label or (node.id if prefix else None)
    if name != prefix + node.id:
        yield f'state {_quoted(label or node.id, name)}'
    elif label:
        yield f'{name}: {_one_line(label)}'
    else:
        yield name


def _end_name(node_id: str, kinds: Mapping[str, NodeKind], prefix: str) -> str:
    return '[*]' if kinds.get(node_id) in ('start', 'end') else prefix + _name(node_id)


def _quoted(label: str, name: str) -> str:
    escaped = _one_line(label).replace('"', '#quot;')
    return f'"{escaped}" as {name}'


def _name(node_id: str) -> str:
    """An id that Mermaid can read: the node's own, or a word that no other id gives.

    Dots are left for the paths of nodes in subgraphs.
    """
    if _PLAIN_ID.fullmatch(node_id) and node_id not in _RESERVED and not node_id.startswith(_ENCODED):
        return node_id
    return _ENCODED + ''.join(_encode(character) for character in node_id)


def _encode(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    return '__' if character == '_' else f'_{ord(character):x}_'


def _one_line(label: str) -> str:
    return '<br/>'.join(label.splitlines())


def build_mermaid_graph(
    nodes: Mapping[NodeID, AnyNode], edges_by_source: Mapping[NodeID, Sequence[Path]]
) -> MermaidGraph:
    """Make the picture of a graph.

    Nodes are ordered by their distance from the start and then by id, edges by the distances and ids of their ends.
    """
    targets = {node_id: [_destination(path) for path in edges_by_source.get(node_id, ())] for node_id in nodes}
    distances = _distances(targets)
    far = len(nodes)

    def rank(node_id: str) -> tuple[int, str]:
        return distances.get(NodeID(node_id), far), node_id

    drawn = [_draw(node_id, node) for node_id, node in nodes.items()]
    edges = [
        MermaidEdge(source, _destination(path), _label(path))
        for source in nodes
        for path in edges_by_source.get(source, ())
    ]
    return MermaidGraph(
        sorted(drawn, key=lambda node: rank(node.id)),
        sorted(
            edges,
            key=lambda edge: (rank(edge.start_id)[0], rank(edge.end_id)[0], edge.start_id, edge.end_id),
        ),
    )


def _distances(targets: Mapping[NodeID, Sequence[NodeID]]) -> dict[NodeID, int]:
    distances = {StartNode.id: 0}
    pending = deque([StartNode.id])
    while pending:
        node_id = pending.popleft()
        for target in targets.get(node_id, ()):
            if target not in distances:
                distances[target] = distances[node_id] + 1
                pending.append(target)
    return distances


def _destination(path: Path) -> NodeID:
    last = path.items[-1]
    return last.destination_id if isinstance(last, DestinationMarker) else NodeID('')


def _label(path: Path) -> str | None:
    """The last label on the way, or why a step's policy leads along it."""
    if path.exit is not None:
        return 'on failure' if path.exit == 'fallback' else 'when reached too often'
    labels = [item.label for item in path.items if isinstance(item, LabelMarker)]
    return labels[-1] if labels else None


def _words(policy: JoinPolicy | StepPolicy | None) -> str | None:
    return '\n'.join(policy.describe()) or None if policy is not None else None


def _draw(node_id: NodeID, node: Any) -> MermaidNode:
    match node:
        case StartNode():
            return MermaidNode(node_id, 'start')
        case EndNode():
            return MermaidNode(node_id, 'end')
        case Fork():
            return MermaidNode(node_id, 'map' if node.is_map else 'broadcast')
        case Join():
            return MermaidNode(node_id, 'join', note=_words(node.policy))
        case Decision():
            return MermaidNode(node_id, 'decision', note=node.note)
        case SubgraphStep():
            layout = node.graph.layout
            return MermaidNode(node_id, 'subgraph', node.label, inner=build_mermaid_graph(layout.nodes, layout.edges))
        case Step():
            return MermaidNode(node_id, 'step', node.label, _words(node.policy))
        case _:
            raise TypeError(f'{node!r} is not a node that can be drawn')
