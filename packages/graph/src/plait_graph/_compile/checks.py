"""What is wrong with the structure of a graph. One function a check; all problems come out together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

from plait_graph._compile.lower import Layout, destination
from plait_graph.exceptions import GraphBuildingError, GraphValidationError
from plait_graph.id_types import NodeID
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.step import SubgraphStep

_SWITCH = (
    'Build with validate_graph_structure=False to leave out these checks, or with skip={names!r} to leave out one.'
)


def check_structure(layout: Layout, skip: Collection[str]) -> list[tuple[str, str]]:
    """The faults of a graph's structure, each with the name of its check.

    Raises:
        GraphBuildingError: There is no check of a name to skip.
    """
    unknown = set(skip) - set(_CHECKS)
    if unknown:
        raise GraphBuildingError(f'There is no check {sorted(unknown)}. The checks are {sorted(_CHECKS)}.')
    return [(name, text) for name, check in _CHECKS.items() if name not in skip for text in check(layout)]


def no_start(layout: Layout) -> Iterator[str]:
    """The start leads somewhere."""
    if not layout.edges.get(StartNode.id):
        yield 'The graph has no edges from the start node. Add g.edge_from(g.start_node).to(...).'


def no_end(layout: Layout) -> Iterator[str]:
    """Something leads to the end."""
    if not any(EndNode.id in layout.targets(node_id) for node_id in layout.nodes):
        yield 'The graph has no edges to the end node. Add g.edge_from(...).to(g.end_node).'


def dead_end(layout: Layout) -> Iterator[str]:
    """Every node but the end leads somewhere."""
    ids = [
        node_id
        for node_id, node in layout.nodes.items()
        if not layout.leads_on(node_id) and not isinstance(node, EndNode | StartNode)
    ]
    if ids:
        yield (
            f'The following nodes have no outgoing edges: {ids}. '
            f'Add an edge from each, to the end node if nothing else follows; a decision needs a branch.'
        )


def unreachable(layout: Layout) -> Iterator[str]:
    """Every node can be reached from the start."""
    if not layout.edges.get(StartNode.id):
        return
    reachable = reachable_from_start(layout)
    ids = [node_id for node_id in layout.nodes if node_id not in reachable and node_id != EndNode.id]
    if ids:
        yield (
            f'The following nodes are not reachable from the start node: {ids}. '
            f'Add an edge that leads to them, or leave them out.'
        )


def fallback_cycle(layout: Layout) -> Iterator[str]:
    """No fallback leads back to the step that it stands in for."""
    following: dict[NodeID, NodeID] = {}
    for node_id, paths in layout.edges.items():
        following.update((node_id, destination(path)) for path in paths if path.exit == 'fallback')
    for node_id in following:
        chain = [node_id]
        while (after := following.get(chain[-1])) is not None and after not in chain:
            chain.append(after)
        if following.get(chain[-1]) == node_id and node_id == min(chain):
            yield (
                f'The fallbacks {" -> ".join(map(repr, [*chain, node_id]))} lead in a circle, and would never end if '
                f'all of them fail. Let the last one have no fallback.'
            )


_CHECKS: dict[str, Callable[[Layout], Iterator[str]]] = {
    'no-start': no_start,
    'no-end': no_end,
    'dead-end': dead_end,
    'unreachable': unreachable,
    'fallback-cycle': fallback_cycle,
}


def check_references(layout: Layout) -> list[str]:
    """Names of forks and joins that there are not."""
    joins = [node_id for node_id, node in layout.nodes.items() if isinstance(node, Join)]
    forks = [node_id for node_id, node in layout.nodes.items() if isinstance(node, Fork | StartNode)]
    problems: list[str] = []
    for node in layout.nodes.values():
        if isinstance(node, Fork) and node.downstream_join_id is not None and node.downstream_join_id not in joins:
            problems.append(
                f'Map {node.id!r} names downstream_join_id={node.downstream_join_id!r}, and there is no such join'
                f'{_near(node.downstream_join_id, joins)}.'
            )
        if isinstance(node, Join) and node.parent_fork_id is not None and node.parent_fork_id not in forks:
            problems.append(
                f'Join {node.id!r} names parent_fork_id={node.parent_fork_id!r}, and there is no such fork'
                f'{_near(node.parent_fork_id, forks)}.'
            )
    return problems


def check_isolation(layout: Layout, isolates_state: bool) -> list[str]:
    """A graph whose steps work on private copies of its state does not share the state of one whose steps do not."""
    return [
        f'Subgraph {node.id!r} was built with isolated_state=True, and shares the state of a graph that was not. '
        f'Build this one with isolated_state=True too, or give the subgraph a state of its own: as_step(state=...).'
        for node in layout.nodes.values()
        if isinstance(node, SubgraphStep) and not isolates_state and node.graph.isolates_state and not node.map_state
    ]


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f'; is {near[0]!r} meant?' if near else f'; there are {list(known)}' if known else ' at all'


def reachable_from_start(layout: Layout) -> set[NodeID]:
    """The nodes that some way from the start passes."""
    seen: set[NodeID] = {StartNode.id}
    pending = [StartNode.id]
    while pending:
        for target in layout.targets(pending.pop()):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return seen


def raise_problems(
    layout: Layout,
    problems: Sequence[tuple[str, str]],
    references: Sequence[str],
    refused: Mapping[NodeID, str],
    picture: Callable[[Layout], str],
) -> None:
    """Raise all that is wrong as one error, if anything is.

    Raises:
        GraphValidationError: The structure has faults.
        GraphBuildingError: It has none, but a join has no parent fork or a name is unknown.
    """
    orphans = {
        join_id: reason
        for join_id, reason in refused.items()
        if isinstance(join := layout.nodes[join_id], Join) and join.parent_fork_id in (None, *layout.nodes)
    }
    texts = [_missing_parents(orphans, picture(layout))] if orphans else []
    texts += [text for _, text in problems]
    texts += references
    if not texts:
        return
    if problems:
        names = tuple(sorted({name for name, _ in problems}))
        raise GraphValidationError('\n'.join((*texts, _SWITCH.format(names=names))))
    raise GraphBuildingError('\n'.join(texts))


def _missing_parents(orphans: Mapping[NodeID, str], picture: str) -> str:
    """The two conditions, the joins that do not meet them, the remedy and the picture."""
    reasons = '\n'.join(f'  * Join {join_id!r}: {reason}.' for join_id, reason in orphans.items())
    return (
        'A node in the graph is missing a dominating fork. '
        'For every Join J in the graph, there must be a Fork F between the StartNode and J satisfying:\n'
        '  1. every way from the StartNode to J passes F;\n'
        '  2. every cycle through J passes F.\n'
        f'{reasons}\n'
        'Put a fork (.map() or .broadcast()) inside of the cycle and before the join, '
        'or let the cycle begin after the join.\n'
        f'{picture}'
    )
