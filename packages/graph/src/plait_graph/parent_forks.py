"""Which fork a join belongs to.

A join folds once for each run of its parent fork: a fork that every way to the join passes (that dominates it), such
that no cycle through the join avoids that fork. Knows nothing of runs; it is told of a graph and answers with forks.

Dominators are those of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001), as networkx has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

__all__ = 'ParentFork', 'ParentForkFinder', 'assign_parent_forks'

T = TypeVar('T', bound=Hashable)


@dataclass(frozen=True)
class ParentFork(Generic[T]):
    """The fork that a join belongs to."""

    fork_id: T
    intermediate_nodes: frozenset[T]
    """The nodes from which the join can be reached without passing the fork again."""


@dataclass(frozen=True)
class ParentForkFinder(Generic[T]):
    """Finds the forks that a join of one graph can belong to.

    Example:
        ```python
        from plait_graph.parent_forks import ParentForkFinder

        finder = ParentForkFinder(
            nodes={'start', 'map', 'work', 'join', 'end'},
            start_ids={'start'},
            fork_ids={'start', 'map'},
            edges={'start': ['map'], 'map': ['work'], 'work': ['join'], 'join': ['end']},
        )
        assert finder.candidates('join') == ['map', 'start']
        ```
    """

    nodes: Collection[T]
    start_ids: Collection[T]
    fork_ids: Collection[T]
    edges: Mapping[T, Collection[T]]

    def find_parent_fork(
        self, join_id: T, *, parent_fork_id: T | None = None, prefer_closest: bool = False
    ) -> ParentFork[T] | None:
        """The fork that a join belongs to when it stands alone, or `None` if there is none."""
        candidates = self.candidates(join_id)
        if parent_fork_id is not None:
            candidates = [fork for fork in candidates if fork == parent_fork_id]
        if not candidates:
            return None
        return self.parent_fork(join_id, candidates[0 if prefer_closest else -1])

    def parent_fork(self, join_id: T, fork_id: T) -> ParentFork[T]:
        """The record of a fork that was chosen for a join."""
        upstream = _reach(join_id, lambda node: self._predecessors.get(node, ()), avoiding=fork_id)
        return ParentFork(fork_id, frozenset(upstream))

    def candidates(self, join_id: T) -> list[T]:
        """The forks that a join can belong to, closest first.

        If a cycle through the join avoids a fork, it avoids every fork further out as well, so the first one that fails
        ends the list.
        """
        result: list[T] = []
        on_cycle = self._is_on_cycle(join_id, avoiding=None)
        for fork in self.dominating_forks(join_id):
            if on_cycle and self._is_on_cycle(join_id, avoiding=fork):
                break
            result.append(fork)
        return result

    def dominating_forks(self, node: T) -> list[T]:
        """The forks that every way from the start to a node passes, closest first."""
        result: list[T] = []
        above = self._dominators.get(node)
        while above is not None and above != node:
            if above in self._forks:
                result.append(cast(T, above))
            node, above = cast(T, above), self._dominators.get(cast(T, above))
        return result

    def strictly_dominates(self, outer: T, inner: T) -> bool:
        """Whether every way to the inner node passes the outer one."""
        return outer != inner and outer in self.dominating_forks(inner)

    def _is_on_cycle(self, node: T, *, avoiding: T | None) -> bool:
        return node in _reach(node, lambda each: self.edges.get(each, ()), avoiding=avoiding)

    @cached_property
    def _forks(self) -> frozenset[T]:
        return frozenset(self.fork_ids)

    @cached_property
    def _predecessors(self) -> dict[T, list[T]]:
        result: dict[T, list[T]] = {}
        for source, targets in self.edges.items():
            for target in targets:
                result.setdefault(target, []).append(source)
        return result

    @cached_property
    def _dominators(self) -> dict[T, Any]:
        """Each node's immediate dominator; the starts hang below one root that is no node."""
        import networkx as nx  # costs more to import than all else, and only graphs with joins need it

        root = object()
        networkx: Any = nx  # its annotations are partial
        graph = networkx.DiGraph()
        graph.add_edges_from((root, start) for start in self.start_ids)
        graph.add_edges_from((source, target) for source, targets in self.edges.items() for target in targets)
        found: dict[Any, Any] = networkx.immediate_dominators(graph, root)
        return {node: above for node, above in found.items() if node is not root and above is not root}


def assign_parent_forks(
    finder: ParentForkFinder[T],
    wishes: Mapping[T, tuple[T | None, bool]],
    needing_branches: Collection[T] = (),
) -> tuple[dict[T, ParentFork[T]], dict[T, str]]:
    """Give each join of a graph its parent fork.

    Joins are settled from the last one backwards: what leaves a join carries the run of its own parent fork and no
    inner one, so a join's parent is never outside the parent of a join that it feeds without passing that parent again.

    Args:
        finder: The graph.
        wishes: For each join the fork that was asked for by name, if any, and whether the closest one is preferred.
        needing_branches: The joins that cannot belong to a start, because they count the branches of their fork.

    Returns:
            The parent of each join that has one, and for each other join the reason why it has none.
    """
    candidates = {join: finder.candidates(join) for join in wishes}
    for join in needing_branches:
        candidates[join] = [fork for fork in candidates[join] if fork not in finder.start_ids]
    chosen: dict[T, ParentFork[T]] = {}
    refused: dict[T, str] = {}
    order = [node for node in _postorder(finder) if node in wishes]
    # Joins that feed each other around a cycle can need another round; parents only ever move inwards.
    for _ in range(len(order) + 1):
        before = {join: parent.fork_id for join, parent in chosen.items()}
        for join in order:
            allowed = _allowed(finder, candidates[join], fed=_parents_fed_by(join, finder, chosen))
            fork, reason = _choose(candidates[join], allowed, *wishes[join])
            refused.pop(join, None)
            chosen.pop(join, None)
            if fork is None:
                refused[join] = reason if join not in needing_branches else _NO_BRANCHES
            else:
                chosen[join] = finder.parent_fork(join, fork)
        if before == {join: parent.fork_id for join, parent in chosen.items()}:
            break
    return chosen, refused


_NO_BRANCHES = 'it needs a share of the branches of a map or broadcast, and there is none that it can belong to'


def _parents_fed_by(join: T, finder: ParentForkFinder[T], chosen: Mapping[T, ParentFork[T]]) -> list[T]:
    """The parents of the joins that a join feeds without passing those parents again."""
    targets = finder.edges.get(join, ())
    return [
        parent.fork_id
        for other, parent in chosen.items()
        if other != join and any(node == other or node in parent.intermediate_nodes for node in targets)
    ]


def _allowed(finder: ParentForkFinder[T], candidates: Iterable[T], fed: Collection[T]) -> list[T]:
    return [fork for fork in candidates if not any(finder.strictly_dominates(fork, inner) for inner in fed)]


def _choose(candidates: list[T], allowed: list[T], wish: T | None, closest: bool) -> tuple[T | None, str]:
    """One fork of those allowed, or the reason why there is none."""
    if wish is not None:
        if wish in allowed:
            return wish, ''
        if wish in candidates:
            return None, f'fork {wish!r} is outside of the parent fork of a join that it feeds'
        return None, f'fork {wish!r} does not lead to it on every way, or a cycle through it avoids that fork'
    if not allowed:
        return None, 'every fork before it is avoided by a cycle through it' if not candidates else 'no fork is left'
    return allowed[0 if closest else -1], ''


def _postorder(finder: ParentForkFinder[T]) -> list[T]:
    """The nodes in the order in which a depth-first walk from the start leaves them: last ones first."""
    seen: set[T] = set()
    result: list[T] = []
    for start in finder.start_ids:
        stack = [(start, iter(finder.edges.get(start, ())))]
        seen.add(start)
        while stack:
            node, targets = stack[-1]
            following = next((target for target in targets if target not in seen), None)
            if following is None:
                result.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(finder.edges.get(following, ()))))
    return result


def _reach(start: T, neighbours: Callable[[T], Iterable[T]], *, avoiding: T | None) -> set[T]:
    """The nodes that can be reached from a node, which itself counts only if a way leads back to it."""
    found: set[T] = set()
    frontier = [start]
    while frontier:
        for node in neighbours(frontier.pop()):
            if node not in found and node != avoiding:
                found.add(node)
                frontier.append(node)
    return found
