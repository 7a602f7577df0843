"""What looks wrong in a graph that can be built: met at run time, if at all, as a clear error.

Types are compared only where they are said, and a finding is made only where nothing that is said can match.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from plait_graph._compile.finding import Finding
from plait_graph._compile.lower import Layout, destination
from plait_graph._definition import Definition
from plait_graph._hints import UNKNOWN
from plait_graph.decision import Decision
from plait_graph.id_types import JoinID, NodeID
from plait_graph.join import Join
from plait_graph.node import EndNode, Fork
from plait_graph.parent_forks import ParentFork
from plait_graph.paths import AnyNode, Path, TransformMarker


@dataclass(frozen=True, slots=True)
class _Flow:
    """A value of a known type on its way from one node to the next."""

    source: NodeID
    target: AnyNode
    type: Any


def find(layout: Layout, definition: Definition, parents: Mapping[JoinID, ParentFork[NodeID]]) -> Iterator[Finding]:
    """All findings of a graph."""
    flows = list(_flows(layout, definition))
    for flow in flows:
        for check in (_edge_type, _map_source, _missed_case):
            yield from check(flow, definition)
    yield from _endless_cycles(layout)
    yield from _starving_maps(layout, parents)
    yield from _repeated_ends(layout, parents)


# What flows where


def _flows(layout: Layout, definition: Definition) -> Iterator[_Flow]:
    """The types that are known to reach nodes: from steps and the start, through forks and decisions."""
    pending: list[tuple[NodeID, Any]] = [
        (node_id, given) for node_id, (_, given) in definition.types.items() if given is not UNKNOWN
    ]
    seen: set[tuple[NodeID, NodeID, str]] = set()
    while pending:
        source, given = pending.pop()
        if source in definition.routing or source not in layout.nodes:
            continue
        for path, type_ in _leaving(layout, source, given):
            target = layout.nodes[destination(path)]
            key = (source, destination(path), repr(type_))
            if key in seen or type_ is UNKNOWN or _is_transformed(path) or path.exit is not None:
                continue
            seen.add(key)
            yield _Flow(source, target, type_)
            if isinstance(target, Fork | Decision):
                pending.append((target.id, type_))


def _leaving(layout: Layout, source: NodeID, given: Any) -> Iterator[tuple[Path, Any]]:
    """The paths that leave a node, with the type of what goes along each."""
    node = layout.nodes[source]
    paths = layout.edges.get(source, ())
    if isinstance(node, Decision):
        for branch, path in zip(node.branches, paths, strict=True):
            yield path, UNKNOWN if branch.matches is not None or branch.source in (Any, object) else branch.source
    else:
        type_ = _item_type(given) if isinstance(node, Fork) and node.is_map else given
        for path in paths:
            yield path, type_


def _is_transformed(path: Path) -> bool:
    return any(isinstance(item, TransformMarker) for item in path.items)


def _item_type(type_: Any) -> Any:
    origin: Any = get_origin(type_)
    args: tuple[Any, ...] = get_args(type_)
    if origin is tuple:
        return args[0] if len(args) == 2 and args[1] is Ellipsis else UNKNOWN
    has_items = isinstance(origin, type) and issubclass(origin, Iterable | collections.abc.AsyncIterable)
    return next(iter(args), UNKNOWN) if has_items else UNKNOWN


# Checks


def _edge_type(flow: _Flow, definition: Definition) -> Iterator[Finding]:
    """What leaves a node fits what the next one takes."""
    if isinstance(flow.target, Fork | Decision | Join):
        return
    wanted = definition.types.get(flow.target.id, (UNKNOWN, UNKNOWN))[0]
    if never_fits(flow.type, wanted):
        yield Finding(
            'edge-type',
            (flow.source, flow.target.id),
            f'{flow.source!r} gives {_show(flow.type)}, and {flow.target.id!r} takes {_show(wanted)}. '
            f'Change one of them, or put .transform(...) between them.',
        )


def _map_source(flow: _Flow, definition: Definition) -> Iterator[Finding]:
    """What is mapped has items."""
    if not (isinstance(flow.target, Fork) and flow.target.is_map):
        return
    members = [_class_of(member) for member in _members(flow.type)]
    refused = (str, bytes, bytearray, collections.abc.Mapping)
    iterable = (Iterable, collections.abc.AsyncIterable)
    if members and all(
        member is not None
        and (issubclass(member, refused) or (member is not object and not issubclass(member, iterable)))
        for member in members
    ):
        yield Finding(
            'map-source',
            (flow.source, flow.target.id),
            f'{flow.source!r} gives {_show(flow.type)}, which {flow.target.id!r} cannot map. '
            f'Give a list or an iterator, or say what the items are with .transform(...) before .map().',
        )


def _missed_case(flow: _Flow, definition: Definition) -> Iterator[Finding]:
    """A decision has a branch for all that can reach it."""
    if not isinstance(flow.target, Decision):
        return
    branches = flow.target.branches
    if any(branch.matches is not None or branch.source in (Any, object) for branch in branches):
        return
    missed = [member for member in _cases(flow.type) if all(never_fits(member, branch.source) for branch in branches)]
    if missed:
        names = ', '.join(_show(member) for member in missed)
        yield Finding(
            'missed-case',
            (flow.source, flow.target.id),
            f'{flow.source!r} can give {names}, and decision {flow.target.id!r} has no branch for it. '
            f'Add one, or a last branch with g.match(object).',
        )


def _endless_cycles(layout: Layout) -> Iterator[Finding]:
    """From every node there is a way to the end."""
    sources: dict[NodeID, list[NodeID]] = {}
    for node_id in layout.nodes:
        for target in layout.targets(node_id):
            sources.setdefault(target, []).append(node_id)
    leading = {EndNode.id}
    pending = [EndNode.id]
    while pending:
        for source in sources.get(pending.pop(), ()):
            if source not in leading:
                leading.add(source)
                pending.append(source)
    endless = tuple(node_id for node_id in layout.nodes if node_id not in leading and layout.edges.get(node_id))
    if endless:
        yield Finding(
            'cycle-without-exit',
            endless,
            f'From {list(endless)} no way leads to the end node. Add a decision with a way out.',
        )


def _starving_maps(layout: Layout, parents: Mapping[JoinID, ParentFork[NodeID]]) -> Iterator[Finding]:
    """A map without items has one join that fires."""
    for node in layout.nodes.values():
        if not isinstance(node, Fork) or not node.is_map or node.downstream_join_id is not None:
            continue
        first = _first_joins(layout, node.id, parents)
        if len(first) > 1:
            yield Finding(
                'empty-map',
                (node.id, *sorted(first)),
                f'If map {node.id!r} has no items, it is not clear which of the joins {sorted(first)} should fire. '
                f'Name one with .map(downstream_join_id=...).',
            )


def _repeated_ends(layout: Layout, parents: Mapping[JoinID, ParentFork[NodeID]]) -> Iterator[Finding]:
    """What a fork starts is joined again before the end."""
    for node in layout.nodes.values():
        if isinstance(node, Fork) and _ways_to_end(layout, node, parents) > 1:
            yield Finding(
                'repeated-end',
                (node.id, EndNode.id),
                f'Several tasks of fork {node.id!r} can reach the end, and the first one ends the run with its value. '
                f'Put a join before the end, unless this race is what you want.',
            )


def _ways_to_end(layout: Layout, fork: Fork[Any, Any], parents: Mapping[JoinID, ParentFork[NodeID]]) -> int:
    """How many tasks of a fork can reach the end; two stand for the many of a map."""
    branches = layout.targets(fork.id)
    ways = sum(EndNode.id in _before_joins(layout, fork.id, [branch], parents) for branch in branches)
    return 2 * ways if fork.is_map else ways


def _first_joins(layout: Layout, fork: NodeID, parents: Mapping[JoinID, ParentFork[NodeID]]) -> set[NodeID]:
    """The joins that are first reached from a fork, of those that end its run or a run around it."""
    reached = _before_joins(layout, fork, layout.targets(fork), parents)
    return {node_id for node_id in reached if _ends(fork, parents.get(node_id))}


def _before_joins(
    layout: Layout, fork: NodeID, branches: Iterable[NodeID], parents: Mapping[JoinID, ParentFork[NodeID]]
) -> set[NodeID]:
    """What branches of a fork can reach up to the joins that end its run or a run around it, those included."""
    seen: set[NodeID] = set()
    pending = list(branches)
    while pending:
        node_id = pending.pop()
        if node_id not in seen and node_id != fork:
            seen.add(node_id)
            if not _ends(fork, parents.get(node_id)):
                pending.extend(layout.targets(node_id))
    return seen


def _ends(fork: NodeID, parent: ParentFork[NodeID] | None) -> bool:
    """Whether a join with this parent, if it is one, ends the run of a fork before it."""
    return parent is not None and (parent.fork_id == fork or fork in parent.intermediate_nodes)


# Types


def never_fits(given: Any, wanted: Any) -> bool:
    """Whether no value of one type can be taken for the other, as far as can be told."""
    if wanted is UNKNOWN or given is UNKNOWN:
        return False
    return not any(_may_fit(left, right) for left in _members(given) for right in _members(wanted))


def _may_fit(given: Any, wanted: Any) -> bool:
    if get_origin(given) is Literal and get_origin(wanted) is Literal:
        return bool(set(get_args(given)) & set(get_args(wanted)))
    left, right = _class_of(given), _class_of(wanted)
    if left is None or right is None or left is right:
        return True
    if right in (float, complex) and left in (int, float, bool):
        return True
    if _is_abstract(left) or _is_abstract(right):
        return True
    return issubclass(left, right) or issubclass(right, left)


def _is_abstract(class_: type) -> bool:
    return class_ is object or getattr(class_, '_is_protocol', False) or class_.__module__ == 'collections.abc'


def _members(type_: Any) -> list[Any]:
    if get_origin(type_) in (Union, types.UnionType):
        return [member for each in get_args(type_) for member in _members(each)]
    return [type_]


def _cases(type_: Any) -> Iterator[Any]:
    """The members of a type that are told apart: of a union, of a literal."""
    for member in _members(type_):
        if get_origin(member) is Literal:
            yield from (Literal[value] for value in get_args(member))
        else:
            yield member


def _class_of(type_: Any) -> type | None:
    """The class that values of a type belong to, if there is one."""
    if type_ is None:
        return type(None)
    if get_origin(type_) is Literal:
        classes: set[type[Any]] = {type(value) for value in get_args(type_)}
        return classes.pop() if len(classes) == 1 else None
    if isinstance(type_, TypeVar) or type_ is Any:
        return None
    origin = get_origin(type_) or type_
    return origin if isinstance(origin, type) else None


def _show(type_: Any) -> str:
    return type_.__name__ if isinstance(type_, type) and not get_args(type_) else str(type_)
