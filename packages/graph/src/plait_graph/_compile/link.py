"""From nodes and plain edges to a plan: numbers for names, subgraphs laid out flat, reachability as classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from plait_graph._compile.lower import Layout, destination
from plait_graph._compile.plan import Kind, Plan, PlanEdge, PlanNode
from plait_graph.decision import Decision
from plait_graph.id_types import ForkID, JoinID, NodeID
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.parent_forks import ParentFork
from plait_graph.paths import Path, TransformMarker
from plait_graph.policies import JoinPolicy, StepPolicy
from plait_graph.step import Step, SubgraphStep


class Structure(Protocol):
    """What linking asks of a graph that was compiled."""

    @property
    def layout(self) -> Layout: ...
    @property
    def parents(self) -> Mapping[JoinID, ParentFork[NodeID]]: ...
    @property
    def routing(self) -> frozenset[NodeID]: ...


def link(structure: Structure, *, isolates_state: bool = False) -> Plan:
    """Make the plan of a graph whose structure has no faults.

    Reachability is the least solution of: what can be reached from a node is what can be reached from where it leads
    to, without the joins whose parent fork it is, and with the node itself if it is a join. It is solved over bit sets
    with a worklist, as in Kildall, "A Unified Approach to Global Program Optimization" (1973).
    """
    drafts = _Drafts()
    drafts.add(structure, scope=0, prefix='')
    nodes = drafts.nodes
    _number(node for node in nodes if node.kind is Kind.JOIN)
    _number(_by_rank(nodes, _reached_joins(nodes)))
    reached = _reached_joins(nodes)
    classes = _classes(nodes, reached)
    whole = _Whole(
        nodes,
        reached,
        classes,
        frozenset(node.fallback.target for node in nodes if node.fallback is not None),
        _joins_by_parent(nodes),
        any(_needs_threads(node) for node in nodes),
    )
    plan_nodes = tuple(_finish(node, whole) for node in nodes)
    any_inner = any(node.kind is Kind.CALL and node.node.graph.isolates_state for node in plan_nodes)
    uses_processes = any(node.is_step and node.node.kind == 'process' for node in plan_nodes)
    tracks_members = any(_can_cancel(node, nodes) for node in nodes)
    return Plan(
        nodes=plan_nodes,
        by_id=drafts.by_id,
        by_path={node.id: node.index for node in plan_nodes},
        tracks_members=tracks_members,
        tracks_threads=whole.tracks_threads,
        root_is_isolated=isolates_state,
        isolates_state=isolates_state or any_inner,
        uses_processes=uses_processes,
        is_careful=tracks_members or isolates_state or any_inner,
        is_simple=not (isolates_state or any_inner or uses_processes),
        catches=any(node.needs is not None and _may_take_failures(node.needs) for node in plan_nodes),
    )


@dataclass(slots=True)
class _Draft:
    index: int
    id: NodeID
    kind: Kind
    node: Any
    scope: int
    edges: list[PlanEdge] = field(default_factory=list[PlanEdge])
    fallback: PlanEdge | None = None
    guard: PlanEdge | None = None
    routes: bool = False
    partner: int = -1
    parent: int = -1
    ordinal: int = -1
    on_empty: int = -1

    @property
    def targets(self) -> list[int]:
        """All that the node can lead to."""
        ways = (*self.edges, self.fallback, self.guard)
        return [way.target for way in ways if way is not None]


class _Drafts:
    """The nodes of a graph and of all graphs in it, numbered."""

    def __init__(self) -> None:
        self.nodes: list[_Draft] = []
        self.by_id: dict[tuple[int, NodeID], int] = {}

    def add(self, structure: Structure, *, scope: int, prefix: str) -> None:
        """Lay a graph out. A subgraph's start is the node that enters it, its end a node of its own."""
        layout = structure.layout
        for node_id, node in layout.nodes.items():
            if prefix and isinstance(node, StartNode):
                self.by_id[scope, node_id] = scope
                continue
            kind = Kind.RETURN if prefix and isinstance(node, EndNode) else _kind(node)
            draft = self._append(NodeID(prefix + node_id), kind, node, scope, name=node_id)
            draft.routes = node_id in structure.routing
        for node_id, paths in layout.edges.items():
            draft = self.nodes[self.by_id[scope, node_id]]
            draft.edges = [self._edge(path, scope) for path in paths if path.exit is None]
            exits = {path.exit: self._edge(path, scope) for path in paths}
            draft.fallback, draft.guard = exits.get('fallback'), exits.get('guard')
        for join_id, parent in structure.parents.items():
            self.nodes[self.by_id[scope, join_id]].parent = self.by_id[scope, parent.fork_id]
        for node_id, node in layout.nodes.items():
            if isinstance(node, SubgraphStep):
                self._enter(self.nodes[self.by_id[scope, node_id]], node)

    def _enter(self, call: _Draft, step: SubgraphStep[Any, Any, Any, Any]) -> None:
        """Put a subgraph between a node and what it leads to."""
        outer = call.edges
        self.add(step.graph, scope=call.index, prefix=f'{call.id}/')
        back = self.nodes[self.by_id[call.index, EndNode.id]]
        back.edges = outer
        call.partner, back.partner = back.index, call.index

    def _append(self, path: NodeID, kind: Kind, node: object, scope: int, *, name: NodeID) -> _Draft:
        draft = _Draft(len(self.nodes), path, kind, node, scope)
        self.nodes.append(draft)
        self.by_id[scope, name] = draft.index
        return draft

    def _edge(self, path: Path, scope: int) -> PlanEdge:
        transforms = tuple(item.transform for item in path.items if isinstance(item, TransformMarker))
        return PlanEdge(self.by_id[scope, destination(path)], transforms)


def _kind(node: object) -> Kind:
    match node:
        case SubgraphStep():
            return Kind.CALL
        case Step():
            return Kind.STEP
        case Decision():
            return Kind.DECISION
        case Join():
            return Kind.JOIN
        case Fork():
            return Kind.MAP if node.is_map else Kind.BROADCAST
        case EndNode():
            return Kind.END
        case _:
            return Kind.START


def _number(joins: Iterable[_Draft]) -> None:
    for ordinal, join in enumerate(joins):
        join.ordinal = ordinal


def _by_rank(nodes: list[_Draft], reached: _Reached) -> list[_Draft]:
    """The joins, so that of those with one parent each stands behind those that feed it.

    If one feeds another, whatever reaches the one reaches the other, so the number of joins that reach it is its rank.
    """
    joins = [node for node in nodes if node.kind is Kind.JOIN]

    def rank(join: _Draft) -> int:
        siblings = (other for other in joins if other.parent == join.parent)
        return sum(reached.leaving[other.index] >> join.ordinal & 1 for other in siblings)

    return sorted(joins, key=rank)


@dataclass(frozen=True, slots=True)
class _Reached:
    """For each node, as bits, the joins that can be reached without passing their parent forks again."""

    arriving: list[int]
    leaving: list[int]
    ended: list[int]
    """For a fork, the joins that belong to it."""


def _reached_joins(nodes: list[_Draft]) -> _Reached:
    own = [1 << node.ordinal if node.kind is Kind.JOIN else 0 for node in nodes]
    ended = [0] * len(nodes)
    sources: list[list[int]] = [[] for _ in nodes]
    for node in nodes:
        if node.parent >= 0:
            ended[node.parent] |= own[node.index]
        for target in node.targets:
            sources[target].append(node.index)
    arriving, leaving = list(own), [0] * len(nodes)
    pending = [node.index for node in nodes if own[node.index]]
    while pending:
        index = pending.pop()
        for source in sources[index]:
            leaving[source] |= arriving[index]
            reached = (leaving[source] & ~ended[source]) | own[source]
            if reached != arriving[source]:
                arriving[source] = reached
                pending.append(source)
    return _Reached(arriving, leaving, ended)


def _classes(nodes: list[_Draft], reached: _Reached) -> dict[int, int]:
    """A small number for each set of joins that occurs, also without those of forks that can run within themselves."""
    classes: dict[int, int] = {}
    for node in nodes:
        for joins in (reached.arriving[node.index], reached.leaving[node.index]):
            classes.setdefault(joins, len(classes))
    masks = [reached.ended[node.index] for node in nodes if reached.ended[node.index] and _is_on_cycle(node, nodes)]
    known = list(classes)
    for joins in known:  # grows while it is read: from what one fork leaves, another one can take more
        for mask in masks:
            if joins & ~mask not in classes:
                classes[joins & ~mask] = len(classes)
                known.append(joins & ~mask)
    return classes


def _is_on_cycle(node: _Draft, nodes: list[_Draft]) -> bool:
    seen: set[int] = set()
    pending = list(node.targets)
    while pending:
        index = pending.pop()
        if index not in seen:
            seen.add(index)
            pending.extend(nodes[index].targets)
    return node.index in seen


@dataclass(frozen=True, slots=True)
class _Whole:
    """What is known of all nodes together."""

    nodes: list[_Draft]
    reached: _Reached
    classes: Mapping[int, int]
    stand_ins: frozenset[int]
    """The steps that are the fallbacks of others."""
    joins: Mapping[int, tuple[int, ...]]
    """For each fork the joins that belong to it, each behind those that feed it."""
    tracks_threads: bool


def _joins_by_parent(nodes: list[_Draft]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for node in sorted((node for node in nodes if node.kind is Kind.JOIN), key=lambda node: node.ordinal):
        found[node.parent] = (*found.get(node.parent, ()), node.index)
    return found


def _finish(draft: _Draft, whole: _Whole) -> PlanNode:
    nodes, reached, classes = whole.nodes, whole.reached, whole.classes
    straight = _only_target(draft, whole)
    is_plain = straight is not None and straight.kind is Kind.STEP and _policy_of(straight, whole) is None
    own = whole.joins.get(draft.index, ())
    is_straight = is_plain and reached.arriving[draft.index] == reached.arriving[draft.edges[0].target]
    node = PlanNode(
        index=draft.index,
        id=draft.id,
        kind=draft.kind,
        node=draft.node,
        edges=tuple(draft.edges),
        scope=draft.scope,
        arriving=classes[reached.arriving[draft.index]],
        leaving=classes[reached.leaving[draft.index]],
        is_step=draft.kind is Kind.STEP,
        routes=draft.routes,
        is_plain=is_plain,
        straight=draft.edges[0].target if is_straight else -1,
        is_last=straight is not None and straight.kind is Kind.END,
        outward=_outward(draft, nodes, reached, classes),
        partner=draft.partner,
        policy=_policy_of(draft, whole),
        fallback=draft.fallback,
        guard=draft.guard,
        joins=own,
        timed=tuple(index for index in own if _has_deadline(nodes[index])),
    )
    if draft.kind is Kind.JOIN:
        bit = 1 << draft.ordinal
        blocking = sum(1 << number for joins, number in classes.items() if joins & bit)
        ordered = draft.node.order == 'input'
        return replace(
            node,
            parent=draft.parent,
            ordinal=draft.ordinal,
            blocking=blocking,
            is_ordered=ordered,
            needs=draft.node.policy,
            folds_in_turn=whole.tracks_threads and ordered and not _fires_early(draft),
        )
    if draft.kind is Kind.MAP:
        return replace(node, on_empty=_join_for_empty_map(draft, nodes, reached))
    return node


def _outward(
    draft: _Draft, nodes: list[_Draft], reached: _Reached, classes: Mapping[int, int]
) -> Mapping[int, int] | None:
    """How a run of a fork looks from a run of the same fork around it: the fork has been passed again."""
    mask = reached.ended[draft.index]
    if not mask or not _is_on_cycle(draft, nodes):
        return None
    return {number: classes[joins & ~mask] for joins, number in classes.items()}


def _only_target(draft: _Draft, whole: _Whole) -> _Draft | None:
    """Where the only edge leads, if there is one, and nothing happens to a value on it."""
    if draft.routes or len(draft.edges) != 1 or draft.edges[0].transforms:
        return None
    return whole.nodes[draft.edges[0].target]


def _policy_of(draft: _Draft, whole: _Whole) -> StepPolicy | None:
    """The policy of a step; an empty one for a fallback, since it must be known why its tasks are there."""
    if draft.kind is not Kind.STEP:
        return None
    return draft.node.policy or (StepPolicy() if draft.index in whole.stand_ins else None)


def _may_take_failures(needs: JoinPolicy) -> bool:
    return needs.failures != 'raise' or needs.rest == 'keep'


def _fires_early(draft: _Draft) -> bool:
    return draft.node.policy is not None and draft.node.policy.fires_early


def _has_deadline(draft: _Draft) -> bool:
    return draft.kind is Kind.JOIN and draft.node.policy is not None and draft.node.policy.deadline is not None


def _join_for_empty_map(fork: _Draft, nodes: list[_Draft], reached: _Reached) -> int:
    """The join that is first reached from a map, if there is exactly one, or the one that is named."""
    named: JoinID | None = fork.node.downstream_join_id
    if named is not None:
        return next(node.index for node in nodes if node.scope == fork.scope and _own_id(node) == named)
    outlasting = reached.leaving[fork.index]
    first: set[int] = set()
    seen = {fork.index}
    pending = [edge.target for edge in fork.edges]
    while pending:
        node = nodes[pending.pop()]
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.kind is Kind.JOIN and outlasting >> node.ordinal & 1:
            first.add(node.index)
        elif node.kind is Kind.CALL:
            pending.append(node.partner)  # joins in there belong to runs that do not begin
        elif node.kind is not Kind.RETURN or node.scope != fork.scope:
            pending.extend(node.targets)
    return first.pop() if len(first) == 1 else -1


def _own_id(node: _Draft) -> NodeID | ForkID:
    return getattr(node.node, 'id', node.id)


def _can_cancel(draft: _Draft, nodes: list[_Draft]) -> bool:
    """Whether a node can end a part of a run: a join whose reducer can cancel, a subgraph with several tokens."""
    if draft.kind is Kind.JOIN:
        return bool(draft.node.takes_context) or draft.node.policy is not None
    if draft.kind is Kind.CALL:
        return any(node.kind in (Kind.MAP, Kind.BROADCAST) and _is_inside(node, draft, nodes) for node in nodes)
    return False


def _needs_threads(draft: _Draft) -> bool:
    """Whether it matters which threads of a run still live: for places of a map, and to act on values in their turn."""
    if draft.kind is Kind.MAP:
        return draft.node.limit is not None
    return draft.kind is Kind.JOIN and draft.node.takes_context and draft.node.order == 'input'


def _is_inside(node: _Draft, call: _Draft, nodes: list[_Draft]) -> bool:
    scope = node.scope
    while scope:
        if scope == call.index:
            return True
        scope = nodes[scope].scope
    return False
