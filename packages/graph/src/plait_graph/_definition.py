"""What was said about a graph, frozen. Knows nothing of what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plait_graph.id_types import NodeID
from plait_graph.paths import AnyNode, Path


@dataclass(frozen=True, slots=True)
class Definition:
    """Nodes and edges in the order in which they were added."""

    nodes: Mapping[NodeID, AnyNode]
    edges: Sequence[tuple[NodeID, Path]]
    routing: frozenset[NodeID]
    """The steps whose value, being a node, says where to go."""
    types: Mapping[NodeID, tuple[Any, Any]] = field(default_factory=dict[NodeID, 'tuple[Any, Any]'])
    """What each step takes and gives, as far as its annotations say."""
