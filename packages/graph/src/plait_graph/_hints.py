"""What annotations say: what a step takes and gives, and where a class node leads.

Annotations that cannot be resolved say nothing of a function step; a class node cannot do without its return hint.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin

from plait_graph.basenode import BaseNode, Edge, End
from plait_graph.exceptions import GraphSetupError
from plait_graph.join import Join, JoinNode
from plait_graph.step import AnyStep, NodeStep, Step, StepContext, StepNode

UNKNOWN: Any = object()
"""Stands for a type of which nothing is said."""


@dataclass(frozen=True, slots=True)
class Way:
    """One place that a return hint names."""

    to: Any
    """A class node, a step, a join, or `End`."""
    label: str | None = None


def step_types(step: AnyStep, namespace: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a step takes and gives, each `UNKNOWN` where nothing is said."""
    if isinstance(step, NodeStep):
        return step.node_type, UNKNOWN
    hints = _resolve(step.call, namespace)
    parameters = [name for name in hints if name != 'return']
    taken = _input_of(hints[parameters[0]]) if parameters else UNKNOWN
    given = hints.get('return', UNKNOWN)
    if step.kind != 'async' and get_origin(given) is not None and inspect.isawaitable(get_origin(given)):
        given = UNKNOWN
    return taken, given


def _input_of(hint: Any) -> Any:
    """The type of `ctx.inputs` in `StepContext[State, Deps, Input]`."""
    args = get_args(hint)
    if get_origin(hint) is StepContext and len(args) == 3 and not isinstance(args[2], typing.TypeVar):
        return args[2]
    return UNKNOWN


def ways_of_node(node: type[BaseNode[Any, Any, Any]], namespace: Mapping[str, Any]) -> list[Way]:
    """Where the return hint of a class node's `run` leads.

    Raises:
        GraphSetupError: There is no hint, it cannot be resolved, or it names something that is no node.
    """
    try:
        hints = typing.get_type_hints(node.run, localns=dict(namespace), include_extras=True)
    except Exception as error:
        raise GraphSetupError(
            f'The return hint of {node.__name__}.run cannot be resolved: {error}. '
            f'Add the node where the classes that it names can be seen.'
        ) from error
    if 'return' not in hints:
        raise GraphSetupError(f'Node {node.__name__} is missing a return type hint on its `run` method.')
    members = _members(hints['return'])
    ways = [_way(member) for member in members]
    for member, way in zip(members, ways, strict=True):
        if way is None:
            raise GraphSetupError(
                f'Node {node.__name__} has a return hint that says nothing of where to go: {member!r}. '
                f'Name node classes, End[...], or Annotated[StepNode[...], step].'
            )
    return [way for way in ways if way is not None]


def ways_of_step(step: AnyStep, given: Any, namespace: Mapping[str, Any]) -> list[Way]:
    """Where the return hint of a function step leads, if all of it names nodes; else nowhere."""
    if given is UNKNOWN:
        return []
    raw = _resolve(step.call, namespace).get('return', given)
    ways = [_way(member) for member in _members(raw)]
    return [way for way in ways if way is not None] if all(ways) else []


def _resolve(call: Any, namespace: Mapping[str, Any]) -> dict[str, Any]:
    function: Any = call
    while isinstance(function, functools.partial):
        function = cast('functools.partial[Any]', function).func
    if not inspect.isroutine(function):
        function = type(function).__call__
    if not getattr(function, '__annotations__', None):
        return {}
    try:
        return typing.get_type_hints(function, localns=dict(namespace), include_extras=True)
    except Exception:  # noqa: BLE001 # names that exist for the checker only are no fault
        return {}


def _members(hint: Any) -> Sequence[Any]:
    """The members of a union, or the one hint."""
    if get_origin(hint) in (Union, types.UnionType):
        return [member for each in get_args(hint) for member in _members(each)]
    return [hint]


def _way(hint: Any) -> Way | None:
    """Where one member of a return hint leads, if it names a node."""
    extras: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        extras = tuple(rest)
    label = next((extra.label for extra in extras if isinstance(extra, Edge)), None)
    origin = get_origin(hint) or hint
    if not isinstance(origin, type):
        return None
    if origin is End:
        return Way(End, label)
    if issubclass(origin, StepNode | JoinNode):
        wanted: Any = Step if issubclass(origin, StepNode) else Join
        target = next((extra for extra in extras if isinstance(extra, wanted)), None)
        if target is None:
            raise GraphSetupError(
                f'A return hint has {origin.__name__} without its object. '
                f'Write Annotated[{origin.__name__}[State, Deps], the_{wanted.__name__.lower()}].'
            )
        return Way(target, label)
    if issubclass(origin, BaseNode):
        if origin is BaseNode:
            raise GraphSetupError('A return hint names the bare BaseNode. Name the node classes that can follow.')
        return Way(cast(Any, origin), label)
    return None
