"""Names for nodes, runs of nodes and tasks.

Identifiers of different kinds have different types, so that a checker can tell them apart.
Joins and forks are nodes, and share the node's type, as programs written for the peers expect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, TypeAlias

__all__ = 'ForkID', 'ForkStack', 'ForkStackItem', 'JoinID', 'NodeID', 'NodeRunID', 'TaskID'

NodeID = NewType('NodeID', str)
"""The id of a node within its graph. Nodes of a subgraph are written `subgraph/node`."""

NodeRunID = NewType('NodeRunID', str)
"""The id of one run of a fork."""

TaskID = NewType('TaskID', str)
"""The id of one task of one run."""

JoinID = NodeID
"""The id of a join."""

ForkID = NodeID
"""The id of a fork: a map, a broadcast, the start, or a subgraph that is used as a step."""


@dataclass(frozen=True, slots=True)
class ForkStackItem:
    """One level of nesting: in which run of which fork a task is, and on which of its threads."""

    fork_id: ForkID
    """The fork."""
    node_run_id: NodeRunID
    """The run of the fork."""
    thread_index: int
    """The position of the item in a map, or of the branch in a broadcast.

    The value that a join passes on belongs to no thread of the fork; it has `-1 - n`, where `n` counts the
    joins of the graph.
    """


ForkStack: TypeAlias = tuple[ForkStackItem, ...]
"""The fork runs that a task is in, outermost first."""
