"""Pydantic models: their fields are in three dicts, and they write some of them past their own attributes.

This room is entered only where there is a model, since to import pydantic is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from plait_graph._state.dicts import Fields, LazyDict, put_item, touched
from plait_graph._state.objects import ObjectStore, PrivateCopy
from plait_graph._state.values import MISSING

_EXTRA, _PRIVATE = '__pydantic_extra__', '__pydantic_private__'
_PLACES = None, _EXTRA, _PRIVATE
"""Where fields are: in the `__dict__`, or in a dict that one of these attributes holds."""


class ModelStore(ObjectStore):
    """How the instances of one model keep their fields, extra values and private attributes."""

    def __init__(self, class_: type[Any]):
        super().__init__(class_)
        config: Mapping[str, Any] = class_.model_config
        self.has_extra = config.get('extra') == 'allow'
        is_plain = class_.__setattr__ is BaseModel.__setattr__ and not config.get('validate_assignment')
        self.direct = {name for name, each in class_.__pydantic_fields__.items() if is_plain and not each.frozen}
        """The fields that pydantic sets without more ado, in the `__dict__` as it comes: all would be copied for it."""

    def is_slot(self, attribute: Any) -> bool:
        """No slot of a model is a field."""
        return False

    def hides(self, name: str, attribute: Any) -> bool:
        """No attribute of a model's class has the name of a field."""
        return False

    def keeps(self, name: str) -> bool:
        """Whether a field of this name is in the `__dict__`."""
        return name not in self.derived and self._place(name) is None

    def _place(self, name: str) -> str | None:
        """The attribute that holds the dict in which a name belongs; `None` for the `__dict__`."""
        if name in self.class_.__private_attributes__:
            return _PRIVATE
        is_extra = self.has_extra and name not in self.class_.__pydantic_fields__ and not name.startswith('_')
        return _EXTRA if is_extra else None

    def _drawer(self, state: Any, place: str | None) -> dict[str, Any]:
        drawer = self.own_dict(state) if place is None else getattr(state, place, None)
        return {} if drawer is None else drawer

    def items(self, state: Any) -> dict[str, Any]:
        parts = [touched(self._drawer(state, place)) for place in _PLACES]
        return {name: value for part in parts for name, value in part.items() if name not in self.derived}

    def names(self, state: Any) -> list[str]:
        parts = [list(self._drawer(state, place)) for place in _PLACES]
        return [name for part in parts for name in part if name not in self.derived]

    def get(self, state: Any, name: str) -> Any:
        return self._drawer(state, self._place(name)).get(name, MISSING)

    def put(self, state: Any, name: str, value: Any) -> None:
        """Set or remove a field without validation: it was validated, as far as the model does, where it was set."""
        place = self._place(name)
        put_item(self._drawer(state, place), name, value)
        if place != _PRIVATE and value is not MISSING:
            state.__pydantic_fields_set__.add(name)

    def blank(self, state: Any, fields: Fields) -> Any:
        private = super().blank(state, fields)
        self._furnish(private, state, lambda place: LazyDict(_Part(fields, lambda name: self._place(name) == place)))
        return private

    def fill(self, private: Any) -> None:
        for place in _PLACES:
            drawer = self._drawer(private, place)
            if isinstance(drawer, LazyDict):
                drawer.load_all()
        super().fill(private)

    def plain(self, state: Any, items: Mapping[str, Any]) -> Any:
        plain = object.__new__(self.class_)
        self._furnish(plain, state, lambda place: {})
        for name, value in items.items():
            self._drawer(plain, self._place(name))[name] = value
        return plain

    def _furnish(self, new: Any, state: Any, make: Callable[[str], dict[str, Any]]) -> None:
        """Give a new object what pydantic wants beside the `__dict__`."""
        object.__setattr__(new, '__pydantic_fields_set__', set(state.__pydantic_fields_set__))
        for place in (_EXTRA, _PRIVATE):
            object.__setattr__(new, place, None if getattr(state, place, None) is None else make(place))


class ModelCopy(PrivateCopy):
    """A private copy of a model."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__plait_store__.direct:
            object.__setattr__(self, name, value)
            self.__pydantic_fields_set__.add(name)
        else:
            super().__setattr__(name, value)

    __pydantic_fields_set__: set[str]


ModelStore.copy_base = ModelCopy


class _Part:
    """Those of the fields that belong into one dict."""

    def __init__(self, fields: Fields, belongs: Callable[[Any], bool]):
        self._fields = fields
        self._belongs = belongs
        self.given = fields.given
        self.is_filled = False

    def load(self, name: Any, into: Any = None) -> Any:
        return self._fields.load(name) if self._belongs(name) else MISSING

    def has(self, name: Any) -> bool:
        return self._belongs(name) and self._fields.has(name)

    def names(self) -> Iterable[Any]:
        return filter(self._belongs, self._fields.names())
