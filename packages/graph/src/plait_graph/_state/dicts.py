"""A dict that shows fields which are copied when they are first asked for.

In the dict's own storage are the keys that were touched. Once its keys have been asked for, all of them are there in
their order, those that were not touched with a mark for a value. Whatever looks at more than keys has all values copied
first; what is written in C and reads dicts past their methods is led here by `__iter__`, which it finds overridden.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from plait_graph._state.values import MISSING


class Fields(Protocol):
    """The fields of a state, for one private copy of it."""

    given: set[Any]
    """The names that were handed out: what is not in the copy any more was removed there."""
    is_filled: bool
    """Whether all have been handed out."""

    def load(self, name: Any, into: Any = None) -> Any:
        """A copy of a field's value, or `MISSING` if there is none or it has been handed out."""
        ...

    def has(self, name: Any) -> bool:
        """Whether `load` would give a value."""
        ...

    def names(self) -> Iterable[Any]:
        """All names, in order."""
        ...


_NOT_LOADED: Any = object()
_SEED: Any = object()
"""A key that stands for keys that are not listed: json takes a dict for empty if nothing is in its storage."""


class LazyDict(dict[Any, Any]):
    """A private copy of a dict."""

    __slots__ = '_fields', '_is_listed', '_removed'

    def __init__(self, fields: Fields):
        super().__init__()
        self._fields = fields
        self._is_listed = False
        self._removed: set[Any] = set()
        super().__setitem__(_SEED, _NOT_LOADED)

    def touched(self) -> dict[Any, Any]:
        """What was read or written."""
        return {key: value for key, value in super().items() if value is not _NOT_LOADED}

    def load_all(self) -> None:
        """Copy what has not been copied."""
        self._list()
        for key in [key for key, value in super().items() if value is _NOT_LOADED]:
            self._value(key)

    def plain(self) -> dict[Any, Any]:
        """An ordinary dict with the same items."""
        self.load_all()
        return dict(super().items())

    def _value(self, key: Any) -> Any:
        value = super().get(key, _NOT_LOADED)
        if value is _NOT_LOADED:
            value = self._fields.load(key, self)
            if value is not MISSING:
                super().__setitem__(key, value)
        return value

    def _list(self) -> None:
        """Bring all keys into their order."""
        if self._is_listed:
            return
        own = dict(super().items())
        del own[_SEED]
        super().clear()
        for name in self._fields.names():
            if name not in self._removed:
                super().__setitem__(name, own.pop(name, _NOT_LOADED))
        super().update(own)
        self._is_listed = True

    def _remove(self, key: Any) -> None:
        super().pop(key, None)
        self._fields.given.add(key)
        self._removed.add(key)

    # One key

    def __getitem__(self, key: Any) -> Any:
        value = self._value(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: Any, default: Any = None, /) -> Any:
        value = self._value(key)
        return default if value is MISSING else value

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._fields.has(key)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self._remove(key)

    def pop(self, key: Any, default: Any = MISSING, /) -> Any:
        value = self._value(key)
        if value is MISSING and default is MISSING:
            raise KeyError(key)
        self._remove(key)
        return default if value is MISSING else value

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    # Keys

    def __len__(self) -> int:
        self._list()
        return super().__len__()

    def __iter__(self) -> Iterator[Any]:
        self._list()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._list()
        return super().__reversed__()

    def keys(self) -> Any:
        self._list()
        return super().keys()

    def popitem(self) -> tuple[Any, Any]:
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError('popitem(): dictionary is empty')

    def clear(self) -> None:
        for key in list(self):
            self._remove(key)

    # Everything

    def values(self) -> Any:
        self.load_all()
        return super().values()

    def items(self) -> Any:
        self.load_all()
        return super().items()

    def copy(self) -> dict[Any, Any]:
        return self.plain()

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> dict[Any, Any]:
        import copy

        return copy.deepcopy(self.plain(), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (self.plain(),)

    def __repr__(self) -> str:
        return repr(self.plain())

    def __eq__(self, other: object) -> bool:
        self.load_all()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self.load_all()
        return super().__ne__(other)

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return self.plain().__or__(other)

    def __ror__(self, other: Any) -> Any:
        return self.plain().__ror__(other)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, /) -> dict[Any, Any]:
        return dict.fromkeys(iterable, value)


class DictStore:
    """The keys of a dict are its fields."""

    def items(self, state: dict[Any, Any]) -> dict[Any, Any]:
        return touched(state)

    def names(self, state: dict[Any, Any]) -> list[Any]:
        return list(state)

    def get(self, state: dict[Any, Any], name: Any) -> Any:
        return state.get(name, MISSING)

    def put(self, state: dict[Any, Any], name: Any, value: Any) -> None:
        put_item(state, name, value)

    def blank(self, state: dict[Any, Any], fields: Fields) -> LazyDict:
        return LazyDict(fields)

    def fill(self, private: dict[Any, Any]) -> None:
        if isinstance(private, LazyDict):
            private.load_all()

    def plain(self, state: dict[Any, Any], items: dict[Any, Any]) -> dict[Any, Any]:
        return dict(items)


def touched(values: dict[Any, Any]) -> dict[Any, Any]:
    """The items of a dict; of a private copy those that were touched."""
    return values.touched() if isinstance(values, LazyDict) else dict(values)


def put_item(values: dict[Any, Any], key: Any, value: Any) -> None:
    """Set an item, or remove it if the value is `MISSING`."""
    if value is MISSING:
        values.pop(key, None)
    else:
        values[key] = value
