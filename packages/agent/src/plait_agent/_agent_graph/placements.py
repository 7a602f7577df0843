"""Where a user's own node is put into the loop: before a place or after one; what cannot stand there is refused."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

from plait_agent._agent_graph.nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from plait_agent._agent_graph.records import GraphAgentDeps, GraphAgentState
from plait_agent.exceptions import UserError
from plait_graph import BaseNode, Edge, End

AnyNode: TypeAlias = BaseNode[GraphAgentState, GraphAgentDeps[Any, Any], Any]
Where: TypeAlias = Literal['before', 'after']

LOOP: tuple[type[AnyNode], ...] = (UserPromptNode, ModelRequestNode, CallToolsNode)
"""The nodes that every agent has."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A node of one's own, and its place in the loop; made by `before` and `after`."""

    where: Where
    place: type[Any]
    """A node of the loop, or `End`."""
    node: type[AnyNode]
    names: Mapping[str, Any] = field(repr=False, compare=False)
    """The classes that could be seen where it was made, by which return hints can refer to them."""


@dataclass(frozen=True, slots=True)
class Way:
    """One place that a return hint names."""

    to: type[Any]
    label: str | None


def place(where: Where, place: Any, node: Any, names: Mapping[str, Any]) -> Placement:
    """Put a node somewhere.

    Raises:
        UserError: There is no such place, or the node cannot stand there.
    """
    found = get_origin(place) or place
    places = (*LOOP, End) if where == 'before' else LOOP
    if found not in places:
        raise UserError(
            f'{_name(place)} is no place that a node can stand {where}. '
            f'Name one of {", ".join(each.__name__ for each in places)}.'
        )
    class_ = get_origin(node) or node
    if not (isinstance(class_, type) and issubclass(class_, BaseNode)) or class_ in LOOP:
        raise UserError(f'{_name(node)} is no node of your own. Give a class that is derived from OwnNode.')
    own = cast('type[AnyNode]', class_)
    if inspect.isabstract(own):
        raise UserError(f'Node {own.__name__} has no `run`. Define it: it says where the run goes.')
    made_with = [found] if where == 'before' else [way.to for way in ways_of(found, {})]
    _check_constructor(own, f'{where} {found.__name__}', made_with)
    return Placement(where, found, own, names)


def _check_constructor(own: type[AnyNode], stands: str, made_with: list[type[Any]]) -> None:
    """See that a node can be made with what it stands in the way of."""
    wanted = ' or '.join(each.__name__ for each in made_with)
    try:
        bound = inspect.signature(own).bind(None)
    except TypeError as error:
        raise UserError(
            f'Node {own.__name__}, {stands}, is made with one argument, {wanted}, and cannot be: {error}. '
            f'Give it one field for that, and defaults to all others.'
        ) from error
    try:
        hints = typing.get_type_hints(own.__init__)
    except Exception:  # noqa: BLE001 # names that exist for the checker only are no fault
        return
    hint = hints.get(next(iter(bound.arguments)), Any)
    refused = [each.__name__ for each in made_with if not _takes(hint, each)]
    if refused:
        raise UserError(
            f'Node {own.__name__}, {stands}, is made with {wanted}, and does not take {" or ".join(refused)}. '
            f'Let its first field be of that type, or put the node elsewhere.'
        )


def _takes(hint: Any, class_: type[Any]) -> bool:
    """Whether what is annotated so can be an instance of a class, as far as can be told."""
    for member in members_of(hint):
        origin = get_origin(member) or member
        if origin is Any or not isinstance(origin, type) or issubclass(class_, origin):
            return True
    return False


def ways_of(node: type[AnyNode], names: Mapping[str, Any]) -> list[Way]:
    """Where the return hint of a node leads.

    Raises:
        UserError: There is no hint, it cannot be resolved, or it names something that is no node.
    """
    try:
        hints = typing.get_type_hints(node.run, localns=dict(names), include_extras=True)
    except Exception as error:
        raise UserError(
            f'The return hint of {node.__name__}.run cannot be resolved: {error}. '
            f'Import what it names, or define it beside the node.'
        ) from error
    if 'return' not in hints:
        raise UserError(f'Node {node.__name__} is missing a return type hint on its `run` method.')
    return [_way(node, member) for member in members_of(hints['return'])]


def members_of(hint: Any) -> list[Any]:
    """The members of a union, or the one hint."""
    if get_origin(hint) in (Union, types.UnionType):
        return [member for each in get_args(hint) for member in members_of(each)]
    return [hint]


def _way(node: type[AnyNode], hint: Any) -> Way:
    bare, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    class_: Any = get_origin(bare) or bare
    is_node = isinstance(class_, type) and issubclass(class_, BaseNode | End)
    if not is_node or inspect.isabstract(cast('type', class_)):
        raise UserError(
            f'Node {node.__name__} has a return hint that says nothing of where to go: {_name(class_)}. '
            f'Name node classes, or End[FinalResult[...]].'
        )
    return Way(cast('type[Any]', class_), next((extra.label for extra in extras if isinstance(extra, Edge)), None))


def _name(given: Any) -> str:
    return given.__name__ if isinstance(given, type) else repr(given)
