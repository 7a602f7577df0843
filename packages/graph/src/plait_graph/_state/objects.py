"""Objects whose fields are attributes, and private copies of them that fill as they are used.

The fields of an object are what is in its storage: its `__dict__` and its slots. Cached properties are none, since they
follow from fields.

A private copy is an instance of a subclass that is made for this. It begins with an empty storage; a field is copied
into it when it is first asked for, and is from then on an attribute like any other. What looks at the whole object
finds it through `__dict__`, which fills the storage first, or gets an ordinary object to look at.
"""

from __future__ import annotations

import copy
from abc import ABCMeta
from collections.abc import Mapping
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, cast

from plait_graph._state.dicts import Fields
from plait_graph._state.values import MISSING


class ObjectStore:
    """How the objects of one class keep their fields."""

    def __init__(self, class_: type[Any]):
        attributes = {name: each for owner in reversed(class_.__mro__) for name, each in vars(owner).items()}
        self.class_ = class_
        self.own_dict: Any = getattr(attributes.get('__dict__'), '__get__', _no_dict)
        """Reads the real `__dict__`, also where a private copy shows a full one."""
        self.slots = {name: each for name, each in attributes.items() if self.is_slot(each)}
        self.derived = {name for name, each in attributes.items() if isinstance(each, cached_property)}
        self.copy_class = self._copy_class(attributes)

    def is_slot(self, attribute: Any) -> bool:
        """Whether an attribute of the class is a slot that holds a field."""
        return isinstance(attribute, MemberDescriptorType)

    def items(self, state: Any) -> dict[str, Any]:
        """What is in the storage of an object; of a private copy only what was touched."""
        return {name: self.get(state, name) for name in self.names(state)}

    def names(self, state: Any) -> list[str]:
        """The names of the fields that are there."""
        slots = [name for name in self.slots if self.get(state, name) is not MISSING]
        return slots + [name for name in list(self.own_dict(state)) if name not in self.derived]

    def get(self, state: Any, name: str) -> Any:
        """The value of a field, or `MISSING`."""
        if name not in self.slots:
            return self.own_dict(state).get(name, MISSING)
        try:
            return self.slots[name].__get__(state)
        except AttributeError:
            return MISSING

    def put(self, state: Any, name: str, value: Any) -> None:
        """Set a field, or remove it if the value is `MISSING`."""
        if value is not MISSING:
            object.__setattr__(state, name, value)
        elif self.get(state, name) is not MISSING:  # else it is gone already
            object.__delattr__(state, name)

    def blank(self, state: Any, fields: Fields) -> Any:
        """A private copy with nothing in it yet."""
        private = object.__new__(self.copy_class)
        object.__setattr__(private, '__plait_fields__', fields)
        return private

    def keeps(self, name: str) -> bool:
        """Whether a field of this name is in the storage of the object itself."""
        return name not in self.derived

    def load(self, private: Any, name: str) -> bool:
        """Copy a field into a private copy; says whether there is one."""
        fields = fields_of(private)
        value = MISSING if fields is None or not self.keeps(name) else fields.load(name, private)
        if value is not MISSING:
            object.__setattr__(private, name, value)
        return value is not MISSING

    def fill(self, private: Any) -> None:
        """Copy into a private copy what is not there yet."""
        fields = fields_of(private)
        if fields is None or fields.is_filled:
            return
        names = [name for name in fields.names() if self.keeps(name)]
        for name in names:
            if self.get(private, name) is MISSING:
                self.load(private, name)
        own = self.own_dict(private)
        in_order = {name: own[name] for name in names if name in own} | own
        own.clear()
        own.update(in_order)
        fields.is_filled = True

    def plain(self, state: Any, items: Mapping[str, Any]) -> Any:
        """An ordinary object with these fields, shared; for the rest like the one that is given."""
        plain = object.__new__(self.class_)
        for name, value in items.items():
            object.__setattr__(plain, name, value)
        return plain

    def twin(self, private: Any) -> Any:
        """An ordinary object with the fields of a private copy, shared."""
        self.fill(private)
        return self.plain(private, self.items(private))

    # The class of the private copies

    copy_base: type[Any]

    def hides(self, name: str, attribute: Any) -> bool:
        """Whether an attribute of the class would be found where a field is asked for that is not copied yet."""
        if (name.startswith('__') and name.endswith('__')) or hasattr(attribute, '__set__'):
            return False
        return name in self.class_.__dataclass_fields__ or not hasattr(attribute, '__get__')

    def _copy_class(self, attributes: Mapping[str, Any]) -> type[Any]:
        class_ = self.class_
        namespace: dict[str, Any] = {
            '__module__': class_.__module__,
            '__qualname__': class_.__qualname__,
            '__doc__': class_.__doc__,
            '__slots__': ('__plait_fields__',),
            '__plait_store__': self,
            '__class__': property(lambda private: class_),  # dataclasses compare only what is of one class
            **{name: _Loader(name) for name, each in attributes.items() if self.hides(name, each)},
        }
        if self.own_dict is not _no_dict:
            namespace['__dict__'] = property(_full_dict, _set_dict)
        meta = type(class_)
        # Not by calling the metaclass: pydantic's would build the model again, and refuse what is in the namespace.
        make: Any = ABCMeta.__new__ if issubclass(meta, ABCMeta) else type.__new__
        return make(meta, class_.__name__, (self.copy_base, class_), namespace)


class PrivateCopy:
    """What private copies of objects do otherwise than the objects themselves.

    An instance that a user's method makes with `type(self)(...)` has no fields to load, and is an ordinary object.
    """

    __slots__ = ()
    __plait_store__: Any

    def __init_subclass__(cls) -> None:
        """Do not tell the user's classes of this one: they may keep a register."""

    def __getattr__(self, name: str) -> Any:
        if self.__plait_store__.load(self, name):
            return object.__getattribute__(self, name)
        inherited = getattr(super(), '__getattr__', None)
        if inherited is not None:
            return inherited(name)
        return object.__getattribute__(self, name)  # again, for the error

    def __delattr__(self, name: str) -> None:
        fields, store = fields_of(self), self.__plait_store__
        if fields is not None and store.keeps(name):
            if store.get(self, name) is MISSING:
                store.load(self, name)
            fields.given.add(name)
        super().__delattr__(name)

    def __copy__(self) -> Any:
        return copy.copy(self.__plait_store__.twin(self))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        return copy.deepcopy(self.__plait_store__.twin(self), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__plait_store__.twin(self).__reduce_ex__(protocol)


ObjectStore.copy_base = PrivateCopy


class _Loader:
    """Stands in the class of the copies before an attribute of the original class, such as a field's default."""

    def __init__(self, name: str):
        self._name = name

    def __get__(self, private: Any, owner: Any) -> Any:
        if private is not None and owner.__plait_store__.load(private, self._name):
            return object.__getattribute__(private, self._name)
        return getattr(cast(Any, super)(owner, owner if private is None else private), self._name)


def fields_of(private: Any) -> Fields | None:
    """The fields that a private copy loads from; `None` if it has none."""
    try:
        return object.__getattribute__(private, '__plait_fields__')
    except AttributeError:
        return None


def _full_dict(private: Any) -> dict[str, Any]:
    store: ObjectStore = private.__plait_store__
    store.fill(private)
    return store.own_dict(private)


def _set_dict(private: Any, values: dict[str, Any]) -> None:
    store: ObjectStore = private.__plait_store__
    store.own_dict.__self__.__set__(private, values)


def _no_dict(state: Any) -> dict[str, Any]:
    return {}
