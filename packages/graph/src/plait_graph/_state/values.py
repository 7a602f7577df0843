"""Values in the fields of a state: copying them, telling whether they have changed, showing them.

Knows nothing of states, views or steps.
"""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Callable, Iterable
from enum import Enum
from types import BuiltinFunctionType, EllipsisType, FunctionType, NoneType
from typing import Any, cast


class _Missing(Enum):
    MISSING = 'nothing'


MISSING: Any = _Missing.MISSING
"""Stands for the value of a field that is not there. Of a type of its own, so that it is the same as no other value."""

_NEVER_CHANGED = frozenset[type[Any]](
    {NoneType, EllipsisType, bool, int, float, complex, str, bytes, range, type, FunctionType, BuiltinFunctionType}
)
_NEVER_CHANGED_ELSEWHERE = frozenset(
    {('decimal', 'Decimal'), ('fractions', 'Fraction'), ('uuid', 'UUID')}
    | {('datetime', name) for name in ('date', 'datetime', 'time', 'timedelta', 'timezone')}
)
"""By name, since to import them takes longer than all of this."""


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy, or the value itself if nothing in it can change.

    Args:
        value: What to copy.
        memo: What stands for objects that are not to be copied, by their ids.
    """
    return value if _is_immutable(value) else copy.deepcopy(value, memo)


def _is_immutable(value: Any) -> bool:
    kind = cast(Any, type(value))
    if kind is tuple or kind is frozenset:
        return all(map(_is_immutable, value))
    return kind in _NEVER_CHANGED or _is_elsewhere(kind) or isinstance(value, Enum)


def _is_elsewhere(kind: Any) -> bool:
    return (kind.__module__, kind.__name__) in _NEVER_CHANGED_ELSEWHERE


def is_same(one: Any, other: Any, alike: tuple[Any, Any] = (None, None)) -> bool:
    """Whether nothing in a value differs from another one.

    Objects are compared by what is in them, as pickle and deepcopy see it, and not by their `__eq__`: there is
    often none, and one that looks at a part would hide a change in the rest. What cannot be compared differs.

    Args:
        one: A value.
        other: Another one.
        alike: Two objects that count as the same one where the values refer to them.
    """
    try:
        return _Comparison(alike).is_same(one, other)
    except Exception:  # noqa: BLE001 # the user's own methods take part in this
        return False


class _Comparison:
    def __init__(self, alike: tuple[Any, Any]):
        self._met: dict[tuple[int, int], tuple[Any, Any]] = {(id(alike[0]), id(alike[1])): alike}
        """Pairs that are being compared or were; they are kept alive here, so that no id is used again."""

    def is_same(self, one: Any, other: Any) -> bool:
        if one is other or (id(one), id(other)) in self._met:
            return True
        kind = cast(Any, type(one))
        if kind is not type(other):
            return False
        if kind is float or kind is complex or _is_elsewhere(kind):
            return repr(one) == repr(other)  # `==` does not see the sign of zero, digits of a decimal, time zones
        if kind in _NEVER_CHANGED:
            return one == other
        self._met[id(one), id(other)] = one, other
        return self._way_of(kind)(one, other)

    def _way_of(self, kind: type[Any]) -> Callable[[Any, Any], bool]:
        if kind is list or kind is tuple:
            return self._are_same_items
        if kind is dict:
            return self._are_same_entries
        if kind is set or kind is frozenset:
            return lambda one, other: one == other or _are_same_in_any_order(one, other)
        return self._are_same_objects

    def _are_same_items(self, one: Any, other: Any) -> bool:
        return len(one) == len(other) and all(map(self.is_same, one, other))

    def _are_same_entries(self, one: dict[Any, Any], other: dict[Any, Any]) -> bool:
        if one.keys() != other.keys():
            return _are_same_in_any_order(one.items(), other.items())
        return all(self.is_same(value, other[key]) for key, value in one.items())

    def _are_same_objects(self, one: Any, other: Any) -> bool:
        try:
            parts = _parts(one), _parts(other)
        except Exception:  # noqa: BLE001 # it cannot be taken apart
            return type(one).__eq__ is not object.__eq__ and bool(one == other)
        return self.is_same(*parts)


def _parts(value: Any) -> Any:
    """What an object is made of, as pickle has it; iterators are read."""
    reduced: str | tuple[Any, ...] = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return reduced
    head, iterators, tail = reduced[:3], reduced[3:5], reduced[5:]
    return *head, *(None if each is None else list(each) for each in iterators), *tail


def _are_same_in_any_order(one: Iterable[Any], other: Iterable[Any]) -> bool:
    """Whether members agree that cannot be found in each other's hash table: copies of them are other keys."""
    import pickle

    return sorted(map(pickle.dumps, one)) == sorted(map(pickle.dumps, other))


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def shown(value: Any) -> str:
    """A value in a message, shortened."""
    return 'nothing' if value is MISSING else _repr.repr(value)


def name_of(kind: Any) -> str:
    """A type in a message."""
    return cast(str, getattr(kind, '__name__', None)) or repr(kind)
