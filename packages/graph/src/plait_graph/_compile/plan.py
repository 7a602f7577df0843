"""The plan: what a run needs to know of a graph, in the shape in which it is needed.

Nodes are numbered, subgraphs are laid out flat, and for each place where a token can stand it is known which joins can
be reached from there. Places that agree in this form a *class*; a run counts tokens by class, not by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from plait_graph.id_types import NodeID
from plait_graph.policies import JoinPolicy, StepPolicy


class Kind(IntEnum):
    """What a node does with a value."""

    STEP = 0
    DECISION = 1
    BROADCAST = 2
    MAP = 3
    JOIN = 4
    END = 5
    START = 6
    CALL = 7
    """Enters a subgraph."""
    RETURN = 8
    """Leaves a subgraph."""


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """The way to one node."""

    target: int
    transforms: tuple[Callable[[Any], Any], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node, with all that a run asks of it."""

    index: int
    id: NodeID
    kind: Kind
    node: Any
    """The step, decision, fork or join that the kind says; left unchecked, since a run asks it for every task."""
    edges: tuple[PlanEdge, ...]
    scope: int
    """The node that enters the subgraph that this node is in; 0, the start, outside of any."""
    arriving: int
    """The class of a token that stands at this node."""
    leaving: int
    """The class of a token that is on its way out: what a fork has still to start, a join that is open."""
    is_step: bool = False
    routes: bool = False
    """Whether the value itself says where to go."""
    is_plain: bool = False
    """Whether the only edge leads straight to a step."""
    straight: int = -1
    """For a step: the step that the only edge leads straight to, if no count changes on the way."""
    is_last: bool = False
    """Whether the only edge leads straight to the end of the graph."""
    partner: int = -1
    """For a node that enters a subgraph the one that leaves it, and the other way round."""
    parent: int = -1
    """For a join: its parent fork."""
    ordinal: int = -1
    """For a join: its number among the joins."""
    blocking: int = 0
    """For a join: the classes, as bits, from which it can still be reached."""
    is_ordered: bool = False
    """For a join: whether values are folded in input order."""
    outward: Mapping[int, int] | None = None
    """For a fork that can run within itself: for each class of a token in such a run, the class that it has for a run
    further out, from where the fork has been passed again."""
    on_empty: int = -1
    """For a map: the join that fires if there are no items."""
    policy: StepPolicy | None = None
    """For a step: what becomes of it when it fails, takes long or runs often."""
    fallback: PlanEdge | None = None
    """For a step: where its inputs go when no attempt is left."""
    guard: PlanEdge | None = None
    """For a step: where its inputs go when it has been reached as often as it may."""
    needs: JoinPolicy | None = None
    """For a join: what it waits for, if that is not simply all."""
    folds_in_turn: bool = False
    """For a join: whether it folds a value as soon as all before it is settled, and an item is in flight until then."""
    joins: tuple[int, ...] = ()
    """For a fork: the joins that belong to it, each behind those that feed it."""
    timed: tuple[int, ...] = ()
    """For a fork: those of its joins that have a deadline."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph, ready to run. Plans of equal definitions are equal."""

    nodes: tuple[PlanNode, ...]
    by_id: Mapping[tuple[int, NodeID], int]
    """The number of a node by scope and by its id within that scope."""
    by_path: Mapping[NodeID, int]
    """The number of a node by its whole id, subgraphs included."""
    tracks_members: bool
    """Whether something in the plan can cancel a part of a run, so that regions must know their tokens."""
    tracks_threads: bool
    """Whether a map has a limit, or a reducer in input order can cancel, so that regions must know which of their
    threads still live."""
    root_is_isolated: bool
    """Whether each step of the graph works on a private copy of the state."""
    isolates_state: bool
    """Whether the steps of the graph or of a subgraph do."""
    uses_processes: bool
    """Whether bodies of steps run in processes."""
    is_careful: bool
    """Whether even a step from one node to the next has to be noted: for what can be cancelled, or for the state."""
    is_simple: bool
    """Whether a run needs neither processes nor isolated state."""
    catches: bool
    """Whether there are joins that may take failures, so that not each of them is one of the run."""

    def __repr__(self) -> str:
        return f'<Plan of {len(self.nodes)} nodes>'
