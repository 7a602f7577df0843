"""What a node can be in an edge."""

from __future__ import annotations

from typing import Any, TypeAlias

from typing_extensions import TypeIs

from plait_graph.decision import Decision
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.paths import AnyNode, DestinationNode, SourceNode
from plait_graph.step import Step

__all__ = 'AnyNode', 'DestinationNode', 'MiddleNode', 'SourceNode', 'is_destination', 'is_source'

MiddleNode: TypeAlias = Step[Any, Any, Any, Any] | Join[Any, Any, Any, Any] | Fork[Any, Any]
"""A node that an edge can both come from and lead to."""


def is_source(node: object) -> TypeIs[StartNode[Any] | MiddleNode]:
    """Whether an edge can come from this."""
    return isinstance(node, StartNode | Step | Join | Fork)


def is_destination(node: object) -> TypeIs[EndNode[Any] | MiddleNode | Decision[Any, Any, Any]]:
    """Whether an edge can lead to this."""
    return isinstance(node, EndNode | Step | Join | Fork | Decision)
