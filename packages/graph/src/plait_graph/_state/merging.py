"""How two changes of one field of a state become one: what is declared for the field, and the merging itself.

A reducer is given what the one committed and what the other one added to what both began with. Knows nothing of views
or steps.
"""

from __future__ import annotations

import functools
import inspect
import operator
import types
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import typing_extensions

from plait_graph._state.values import MISSING, copied, is_same, name_of
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.join import Join, ReducerContext, reduce_list_append, reduce_sum
from plait_graph.util import get_callable_name


@dataclass(frozen=True, slots=True)
class Merge:
    """Declares that changes of a field are merged by `function(base, theirs, mine) -> merged`.

    `base` is what both began with, `None` if the field was not there; all three are copies. Written as an annotation:
    `Annotated[Plan, Merge(merge_plans)]`.
    """

    function: Callable[[Any, Any, Any], Any]


Rule: TypeAlias = Merge | Join[Any, Any, Any, Any]
"""How a field is merged: a function of three values, or a reducer, with which a field folds as a join does."""


class CannotMerge(Exception):
    """Raised when a change is not of the kind that a rule can merge; says why."""


# What is declared


@functools.lru_cache(maxsize=256)
def declared(state_type: Any) -> Mapping[str, Rule]:
    """The rules that the annotations of a state's class say, by field.

    Raises:
        GraphSetupError: A rule is of no use, or an annotation that may hold one cannot be resolved.
    """
    class_ = get_origin(state_type) or state_type
    found = {name: _rule(class_, name, _extras(hint)) for name, hint in _hints(class_)}
    return {name: rule for name, rule in found.items() if rule is not None}


def _hints(class_: Any) -> Iterator[tuple[str, Any]]:
    """The annotations of a class and of those that it derives from, the class's own last."""
    fields: Any = getattr(class_, '__pydantic_fields__', {})
    for owner in reversed(getattr(class_, '__mro__', ())):
        for name in inspect.get_annotations(owner):
            if name in fields:  # pydantic has resolved it, also where we could not
                yield name, Annotated[(fields[name].annotation, *fields[name].metadata, None)]
            else:
                yield name, _resolved(owner, name)


def _resolved(owner: type[Any], name: str) -> Any:
    """One annotation of a class; each on its own, as one that names what is missing must not hide the others."""
    hint: Any = inspect.get_annotations(owner)[name]
    alone = type(owner.__name__, (), {'__annotations__': {name: hint}, '__module__': owner.__module__})
    try:
        return get_type_hints(alone, localns={**vars(owner), owner.__name__: owner}, include_extras=True)[name]
    except Exception as error:
        if 'Annotated' not in str(hint):
            return Any
        raise GraphSetupError(
            f'The annotation {hint!r} of field {name!r} of {owner.__name__} cannot be resolved: {error}. '
            f'Define what it names in the module of the class, where it can be seen at run time.'
        ) from error


_WRAPPERS: tuple[Any, ...] = (
    *(Union, types.UnionType, Final),
    *(typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly),
)


def _extras(hint: Any) -> list[Any]:
    """What is said beside the type in a hint."""
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        return [*_extras(inner), *extras]
    if get_origin(hint) in _WRAPPERS:
        return [extra for inner in get_args(hint) for extra in _extras(inner)]
    return []


def _rule(class_: Any, field: str, extras: Iterable[Any]) -> Rule | None:
    """The first extra that is a rule; other functions may stand beside it."""
    refused: list[str] = []
    for extra in extras:
        if (not callable(extra) and not isinstance(extra, Merge)) or isinstance(extra, type):
            continue
        if isinstance(extra, Merge):
            return _checked(extra, class_, field)
        try:
            return Join(f'{name_of(class_)}.{field}', extra, initial_factory=list[Any])
        except GraphSetupError:
            refused.append(get_callable_name(extra))
    if refused:
        raise GraphSetupError(
            f'Field {field!r} of {name_of(class_)} is annotated with {refused[0]!r}, which does not take the arguments '
            f'of a reducer. A reducer takes (current, value) or (context, current, value).'
        )
    return None


def _checked(rule: Merge, class_: Any, field: str) -> Merge:
    try:
        inspect.signature(rule.function).bind('base', 'theirs', 'mine')
    except TypeError as error:
        raise GraphSetupError(
            f'Field {field!r} of {name_of(class_)} is annotated with {rule!r}, whose function does not take three '
            f'arguments. Give a function of (base, theirs, mine).'
        ) from error
    return rule


# Merging


def merge(rule: Rule, base: Any, theirs: Any, mine: Any, context: Callable[[], ReducerContext[Any, Any]]) -> Any:
    """One value of two changes.

    Args:
        rule: What is declared for the field.
        base: What both began with.
        theirs: What has been committed.
        mine: What is to be merged into it; it becomes part of the result.
        context: Makes the context for a reducer that takes one.

    Raises:
        CannotMerge: The change is not of a kind that the rule can merge.
        GraphRuntimeError: The reducer asks for something that only a join can do.
    """
    if theirs is MISSING or mine is MISSING:
        raise CannotMerge('a field that was removed cannot be merged')
    theirs = copied(theirs)
    if isinstance(rule, Merge):
        return rule.function(None if base is MISSING else copied(base), theirs, mine)
    made = context() if rule.takes_context else cast(Any, None)
    for contribution in _contributions(rule.reducer, base, mine):
        theirs = rule.reduce(made, theirs, contribution)
    if made is not None and made.siblings_cancelled:
        raise GraphRuntimeError(
            f'The reducer of {rule.id!r} called cancel_sibling_tasks(), which only the reducer of a join can do. '
            f'Give the field a reducer that merges.'
        )
    return theirs


def _contributions(reducer: Any, base: Any, mine: Any) -> list[Any]:
    """What the reducer is given, one after the other."""
    added = _added(base, mine, is_sum=reducer is reduce_sum or reducer is operator.add)
    if reducer is reduce_list_append and isinstance(added, list):
        return cast('list[Any]', added)
    return [added]


def _added(base: Any, mine: Any, *, is_sum: bool) -> Any:
    """What was added to a value; the whole new value if that cannot be said."""
    for kind in _SEQUENCES:
        if _are(kind, base, mine):
            return kind(_tail(base, mine))
    if is_sum and not any(base is each for each in (None, MISSING)):
        return _difference(base, mine)
    if _are(dict, base, mine):
        return _new_items(base, mine)
    if _are(AbstractSet, base, mine):
        return _new_members(base, mine)
    return mine


_SEQUENCES: tuple[Any, ...] = list, deque


def _are(kind: Any, base: Any, mine: Any) -> bool:
    return isinstance(base, kind) and isinstance(mine, kind)


def _tail(base: Any, mine: Any) -> Iterable[Any]:
    if len(mine) < len(base) or not all(map(is_same, base, mine)):
        raise CannotMerge('the step did more than append')
    return islice(mine, len(base), None)


def _new_items(base: dict[Any, Any], mine: dict[Any, Any]) -> dict[Any, Any]:
    if not base.keys() <= mine.keys():
        raise CannotMerge('the step removed keys')
    return {key: value for key, value in mine.items() if key not in base or not is_same(base[key], value)}


def _new_members(base: AbstractSet[Any], mine: AbstractSet[Any]) -> AbstractSet[Any]:
    if not base <= mine:
        raise CannotMerge('the step removed members')
    return mine - base


def _difference(base: Any, mine: Any) -> Any:
    """What has to be added to one value so that it becomes the other one."""
    if _are(Counter, base, mine):
        difference = Counter[Any](mine)
        difference.subtract(base)
        return difference
    if any(_are(kind, base, mine) for kind in (str, bytes, tuple)):
        if mine[: len(base)] != base:
            raise CannotMerge('the step did more than append')
        return mine[len(base) :]
    try:
        return mine - base
    except TypeError as error:
        raise CannotMerge('the difference that the step made cannot be told') from error
