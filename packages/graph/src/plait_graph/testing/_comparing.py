"""What differs between two values, if anything does.

Values that can be compared are; objects that compare by identity, as plain classes do, are compared by their
attributes, since two runs never share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

_MACHINERY = ('asyncio', '_asyncio', 'anyio', 'threading', '_thread', 'trio')
"""Locks, events and the like are not what a run is about, and lead to the event loop."""

_MOST = 300
"""How many characters of a value are shown."""

Pairs: TypeAlias = frozenset[tuple[int, int]]


def difference(here: Any, there: Any, path: str, above: Pairs = frozenset()) -> str | None:
    """The first place at which two values differ, in words; nothing if they are the same.

    Args:
        here: A value.
        there: What it is compared with.
        path: What the value is called.
        above: The objects on the way to this one, which may contain themselves.
    """
    pair = (id(here), id(there))
    if here is there or pair in above or _is_equal(here, there):
        return None
    mine, other = _parts(here), _parts(there)
    if type(here) is not type(there) or mine is None or other is None:
        return f'{path} is {shown(here)}, and {shown(there)} in the plain order'
    for name in (*mine, *(name for name in other if name not in mine)):
        if name not in mine or name not in other:
            here_and_there = ('there', 'missing') if name in mine else ('missing', 'there')
            return f'{path}{name} is {here_and_there[0]}, and {here_and_there[1]} in the plain order'
        found = difference(mine[name], other[name], f'{path}{name}', above | {pair})
        if found is not None:
            return found
    return None


def shown(value: object) -> str:
    """A value as text, not too long."""
    text = repr(value)
    if type(value).__repr__ is object.__repr__:
        attributes = ', '.join(f'{name.removeprefix(".")}={part!r}' for name, part in _attributes(value).items())
        text = f'{type(value).__name__}({attributes})'
    return text if len(text) <= _MOST else f'{text[:_MOST]}...'


def _is_equal(here: Any, there: Any) -> bool:
    try:
        is_nan = here != here and there != there  # only what is not a number differs from itself
        return is_nan or _truth(here == there)
    except Exception:  # noqa: BLE001 # what cannot be compared is not known to be equal
        return False


def _truth(answer: Any) -> bool:
    """Whether a comparison says yes; arrays answer for each of their elements."""
    return bool(answer.all() if hasattr(answer, 'all') else answer)


def _parts(value: Any) -> dict[str, Any] | None:
    """What a value consists of, by the text that leads there; nothing if it is to be taken as a whole."""
    match value:
        case str() | bytes() | bytearray() | type():
            return None
        case BaseException():
            return _parts_of_error(value)
        case Mapping():
            return {f'[{key!r}]': part for key, part in cast('Mapping[Any, Any]', value).items()}
        case Sequence():
            return {f'[{place}]': part for place, part in enumerate(cast('Sequence[Any]', value))}
        case _:
            attributes = _attributes(value)
            return attributes if attributes or type(value).__eq__ is object.__eq__ else None


def _parts_of_error(error: BaseException) -> dict[str, Any]:
    """An exception is its type and text, a group also its members, in whatever order they came."""
    members = sorted(map(_text_of, cast('tuple[BaseException, ...]', getattr(error, 'exceptions', ()))))
    return {'': _text_of(error)} | {f'.exceptions[{place}]': text for place, text in enumerate(members)}


def _text_of(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}'


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object, its slots included; a function is known by its name."""
    kind = cast('type[Any]', type(value))
    if kind.__module__.partition('.')[0] in _MACHINERY:
        return {}
    if hasattr(value, '__qualname__'):
        return {'.__qualname__': value.__qualname__}
    slots: list[str] = [name for base in kind.__mro__ for name in _slots_of(base) if hasattr(value, name)]
    return {f'.{name}': getattr(value, name) for name in (*slots, *getattr(value, '__dict__', ()))}


def _slots_of(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get('__slots__', ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
