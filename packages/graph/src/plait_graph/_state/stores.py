"""The store for a state, by its kind."""

from __future__ import annotations

import dataclasses
import sys
from functools import lru_cache
from typing import Any, Protocol

from plait_graph._state.dicts import DictStore, Fields, LazyDict
from plait_graph._state.objects import ObjectStore
from plait_graph.exceptions import GraphSetupError


class Store(Protocol):
    """How one kind of state keeps its fields, and how private copies of it are made."""

    def items(self, state: Any) -> dict[Any, Any]:
        """The fields that are there; of a private copy only those that were touched."""
        ...

    def names(self, state: Any) -> list[Any]:
        """The names of the fields that are there."""
        ...

    def get(self, state: Any, name: Any) -> Any:
        """The value of a field, or `MISSING`."""
        ...

    def put(self, state: Any, name: Any, value: Any) -> None:
        """Set a field, or remove it if the value is `MISSING`."""
        ...

    def blank(self, state: Any, fields: Fields) -> Any:
        """A private copy with nothing in it yet."""
        ...

    def fill(self, private: Any) -> None:
        """Copy into a private copy what is not there yet."""
        ...

    def plain(self, state: Any, items: dict[Any, Any]) -> Any:
        """An ordinary state with these fields, shared; for the rest like the one that is given."""
        ...


def store_for(state: Any) -> Store:
    """The store for a state.

    Raises:
        GraphSetupError: The state is not of a kind whose fields can be told apart, or cannot be changed.
    """
    if state is None:
        return _NothingStore()
    if type(state) is dict or isinstance(state, LazyDict):
        return DictStore()
    class_ = state.__class__  # that of the original, if this is itself a private copy
    if isinstance(state, type) or not (dataclasses.is_dataclass(class_) or _is_model(class_)):
        raise GraphSetupError(
            f'The state {state!r} cannot be isolated: it is neither a dataclass instance nor a pydantic model nor a '
            f'plain dict. Give one of these, or share the state.'
        )
    return _store_of(class_)


@lru_cache(maxsize=256)
def _store_of(class_: type[Any]) -> Store:
    is_model = _is_model(class_)
    is_frozen = class_.model_config.get('frozen') if is_model else class_.__dataclass_params__.frozen
    if is_frozen:
        raise GraphSetupError(
            f'The state {class_.__name__} cannot be isolated: it is frozen, so that no step can change it. '
            f'Leave out frozen=True, or pass it as deps.'
        )
    try:
        store = _model_store(class_) if is_model else ObjectStore(class_)
        object.__new__(store.copy_class)
    except TypeError as error:
        raise GraphSetupError(
            f'The state {class_.__name__} cannot be isolated: {error}. '
            f'Derive it from no built-in type; keep a value of such a type in a field.'
        ) from error
    return store


def _is_model(class_: type[Any]) -> bool:
    pydantic = sys.modules.get('pydantic.main')  # importing it is slow; where there is a model, it has been imported
    return pydantic is not None and issubclass(class_, pydantic.BaseModel)


def _model_store(class_: type[Any]) -> ObjectStore:
    from plait_graph._state.models import ModelStore

    return ModelStore(class_)


class _NothingStore(DictStore):
    """For a run without state: a dict without keys, except that nobody sees it."""

    def items(self, state: Any) -> dict[Any, Any]:
        return {}

    def names(self, state: Any) -> list[Any]:
        return []

    def blank(self, state: Any, fields: Fields) -> Any:
        return None

    def plain(self, state: Any, items: Any) -> Any:
        return None
