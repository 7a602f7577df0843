"""Compiling: from a definition to all that a graph knows of itself, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plait_graph._compile import checks
from plait_graph._compile.finding import Finding
from plait_graph._compile.findings import find
from plait_graph._compile.link import link
from plait_graph._compile.lower import Layout, lower
from plait_graph._compile.plan import Plan
from plait_graph._definition import Definition
from plait_graph.id_types import JoinID, NodeID
from plait_graph.join import Join
from plait_graph.node import Fork, StartNode
from plait_graph.parent_forks import ParentFork, ParentForkFinder, assign_parent_forks
from plait_graph.policies import Share
from plait_graph.step import SubgraphStep


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiling gives."""

    layout: Layout
    parents: Mapping[JoinID, ParentFork[NodeID]]
    routing: frozenset[NodeID]
    plan: Plan
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Structure:
    layout: Layout
    parents: Mapping[JoinID, ParentFork[NodeID]]
    routing: frozenset[NodeID]


def compile_definition(
    definition: Definition,
    *,
    picture: Callable[[Layout], str],
    validate: bool = True,
    skip: Collection[str] = (),
    isolated_state_type: Any = None,
) -> Compiled:
    """Make the plan of a graph.

    Args:
        definition: What was said.
        picture: Draws a graph for a message.
        validate: Whether the structure is checked.
        skip: Names of checks to leave out.
        isolated_state_type: The type of the state, if each step is to work on a private copy of it.

    Raises:
        GraphValidationError: The structure has faults; all are reported together.
        GraphBuildingError: A join has no parent fork, or what was said cannot be put together.
    """
    layout = lower(definition)
    problems = checks.check_structure(layout, skip) if validate else []
    references = checks.check_references(layout)
    references += checks.check_isolation(layout, isolated_state_type is not None)
    reachable = checks.reachable_from_start(layout)
    parents, refused = _parents(layout, reachable)
    checks.raise_problems(layout, problems, references, refused, picture)
    structure = _Structure(layout, parents, definition.routing)
    return Compiled(
        layout=layout,
        parents=parents,
        routing=definition.routing,
        plan=link(structure, isolates_state=isolated_state_type is not None),
        findings=(*find(layout, definition, parents), *_conflicts(layout, isolated_state_type)),
    )


def _conflicts(layout: Layout, isolated_state_type: Any) -> Iterator[Finding]:
    if isolated_state_type is None:
        return
    from plait_graph._compile.state_conflicts import state_conflicts  # most graphs do without

    yield from state_conflicts(layout, isolated_state_type)
    for node in layout.nodes.values():
        if isinstance(node, SubgraphStep) and not node.graph.isolates_state:  # else it was searched when it was built
            state_type = isolated_state_type if node.map_state is None else node.graph.state_type
            for finding in _conflicts(node.graph.layout, state_type):
                nodes = tuple(NodeID(f'{node.id}/{each}') for each in finding.nodes)
                yield Finding(finding.code, nodes, f'In subgraph {node.id!r}: {finding.message}')


def _parents(
    layout: Layout, reachable: Collection[NodeID]
) -> tuple[dict[NodeID, ParentFork[NodeID]], dict[NodeID, str]]:
    joins = {node.id: node for node in layout.nodes.values() if isinstance(node, Join) and node.id in reachable}
    if not joins:
        return {}, {}
    finder = ParentForkFinder(
        nodes=list(layout.nodes),
        start_ids=[StartNode.id],
        fork_ids=[StartNode.id, *(node.id for node in layout.nodes.values() if isinstance(node, Fork))],
        edges={node_id: layout.targets(node_id) for node_id in layout.nodes},
    )
    wishes = {join.id: (join.parent_fork_id, join.preferred_parent_fork == 'closest') for join in joins.values()}
    counting = [join.id for join in joins.values() if join.policy is not None and isinstance(join.policy.need, Share)]
    return assign_parent_forks(finder, wishes, counting)
