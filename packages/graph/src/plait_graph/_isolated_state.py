"""Isolated state: each step sees the state as it was when the step began, and its changes come all together or not.

A view remembers the version at which it began, and nothing else; what a field was at that version is found in a history
when the field is first touched. So to begin costs the same for every state, and all else follows what is touched.

Views are begun and ended by one thread. A body in another thread may use its private copy meanwhile: a commit writes
the history before the field, and a reader looks at the field before the history.

Knows nothing of steps, tasks or event loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from typing_extensions import is_typeddict

from plait_graph._state.history import History
from plait_graph._state.merging import CannotMerge, Rule, declared, merge
from plait_graph._state.stores import Store, store_for
from plait_graph._state.values import MISSING, copied, is_same, name_of, shown
from plait_graph.exceptions import GraphRuntimeError, StateConflict
from plait_graph.join import ReducerContext


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step made of its state."""

    values: dict[Any, Any]
    """The new values, by field."""
    removed: frozenset[Any] = frozenset()
    """The fields that are not there any more."""


class _Fields:
    """The fields of a state as they were at one version; a private copy holds this as long as it lives."""

    __slots__ = '__weakref__', '_owner', 'given', 'is_filled', 'version'

    def __init__(self, owner: IsolatedState, version: int):
        self._owner = owner
        self.version = version
        self.given: set[Any] = set()
        self.is_filled = False

    @property
    def is_new(self) -> bool:
        """Whether nothing was loaded yet."""
        return not self.given and not self.is_filled

    def load(self, name: Any, into: Any = None) -> Any:
        value = MISSING if name in self.given else self._owner.value_at(name, self.version)
        if value is not MISSING:
            value = self._owner.copy_value(name, value, {} if into is None else {id(self._owner.state): into})
            self.given.add(name)
        return value

    def has(self, name: Any) -> bool:
        return name not in self.given and self._owner.value_at(name, self.version) is not MISSING

    def names(self) -> list[Any]:
        return self._owner.names_at(self.version)


class View:
    """The state as one step sees it. Made by `IsolatedState.begin`."""

    __slots__ = '_fields', '_owner', '_private', 'version'

    def __init__(self, owner: IsolatedState, version: int):
        self._owner = owner
        self.version = version
        """How many commits came before."""
        self._fields: _Fields | None = _Fields(owner, version)
        self._private: Any = MISSING

    @property
    def state(self) -> Any:
        """The private copy; what is in it is copied when it is first touched.

        Raises:
            GraphRuntimeError: The view is over.
        """
        if self._private is MISSING:
            self._private = self._owner.blank(self.fields)
        return self._private

    @property
    def fields(self) -> _Fields:
        """What the private copy loads from."""
        if self._fields is None:
            raise GraphRuntimeError(f'{self!r} was committed or dropped before. Begin a new one.')
        return self._fields

    @property
    def is_over(self) -> bool:
        """Whether it was committed or dropped."""
        return self._fields is None

    @property
    def was_touched(self) -> bool:
        """Whether there is a private copy."""
        return self._private is not MISSING

    def end(self) -> None:
        """Let go of the private copy, which somebody else may still have."""
        self._fields = None
        self._private = MISSING

    def __repr__(self) -> str:
        return f'<view of {self._owner.name} at version {self.version}>'


class Parcel:
    """A state on its way to another process and, as changes, back. Made by `IsolatedState.pack`.

    It can be pickled as long as its state was not used; then ask it for its changes.
    """

    __slots__ = '_sent', '_state'

    def __init__(self, sent: bytes):
        self._sent = sent
        self._state: Any = MISSING

    @property
    def state(self) -> Any:
        """The whole state, an ordinary object."""
        if self._state is MISSING:
            self._state = _unpickled(self._sent)
        return self._state

    def changes(self) -> Changes:
        """How the state differs from what was sent; can be pickled if the values can."""
        store = store_for(self.state)
        sent = _unpickled(self._sent)
        before, after = store.items(sent), store.items(self.state)
        changed = {
            name: value
            for name, value in after.items()
            if not is_same(before.get(name, MISSING), value, alike=(sent, self.state))
        }
        return Changes(changed, frozenset(before.keys() - after.keys()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Parcel, (self._sent,)

    def __repr__(self) -> str:
        return f'<state in {len(self._sent)} bytes>'


class IsolatedState:
    """A state that steps change through views.

    Args:
        state: The user's own object. It always shows what is committed, and is not to be changed by others.
        state_type: If this is a `TypedDict` class, it has the declarations for a state that is a dict.
        deps: What reducers that take a context find there.

    Raises:
        GraphSetupError: The state is no dataclass instance, pydantic model or plain dict, is frozen, or declares a
            reducer that cannot be one.
    """

    def __init__(self, state: Any, state_type: Any = None, deps: Any = None):
        self.state = state
        type_ = _declaring_type(state.__class__, state_type)
        self.name = name_of(type_)
        self._deps = deps
        self._store: Store = store_for(state)
        self._rules: Mapping[Any, Rule] = declared(type_)
        self._store.fill(state)  # it may be a private copy, of the graph around this one
        self._history = History()

    # Views

    def begin(self) -> View:
        """Begin a view of what is committed."""
        return View(self, self._history.enter())

    def renew(self, view: View) -> None:
        """Let a view that nobody has used see what is committed now."""
        if view.fields.is_new:
            self._history.leave(view.fields.version)
            view.version = view.fields.version = self._history.enter()

    def commit(self, view: View, writer: str) -> None:
        """End a view and put its changes into the state, all or none.

        Args:
            view: What was begun.
            writer: Who made the changes, for messages.

        Raises:
            StateConflict: A field was committed by another one meanwhile, and the changes cannot be merged.
            GraphRuntimeError: A new value cannot be copied, or the view is over.
        """
        self._commit(view, Changes({}), writer)

    def commit_changes(self, view: View, changes: Changes, writer: str) -> None:
        """Like `commit`, with changes that were made in another process."""
        self._commit(view, changes, writer)

    def drop(self, view: View) -> None:
        """End a view and forget its changes; nothing happens if it is over."""
        if view.is_over:
            return
        if view.was_touched:
            self._history.leave_after(view.version, view.fields)
        else:
            self._history.leave(view.version)
        view.end()

    def read(self) -> Any:
        """A private copy of what is committed now, for functions that are to change nothing."""
        fields = _Fields(self, self._history.enter())
        self._history.leave_after(fields.version, fields)
        return self.blank(fields)

    def pack(self, view: View) -> Parcel:
        """The whole state as a view sees it, for another process.

        Raises:
            GraphRuntimeError: A value cannot be pickled, or the view is over.
        """
        fields = view.fields
        own = self._store.items(view.state)
        names = [name for name in fields.names() if name in own or name not in fields.given]
        items = {name: own[name] if name in own else self.value_at(name, view.version) for name in names} | own
        try:
            return Parcel(_pickled(self._store.plain(view.state, items)))
        except Exception as error:
            culprit = next((f'field {name!r}' for name, value in items.items() if not _can_pickle(value)), 'its class')
            raise GraphRuntimeError(
                f'The state {self.name} cannot be sent to another process, because of {culprit}: {error}. '
                f'Keep what cannot be pickled in deps, and define classes at the top of a module.'
            ) from error

    # What private copies ask for

    def blank(self, fields: _Fields) -> Any:
        """A private copy with nothing in it yet."""
        return self._store.blank(self.state, fields)

    def value_at(self, name: Any, version: int) -> Any:
        """The committed value that a field had at a version that still lives, or `MISSING`."""
        present = self._store.get(self.state, name)  # before the history: see the top
        return self._history.value_at(version, name, present)

    def names_at(self, version: int) -> list[Any]:
        """The fields that were there at a version that still lives; those removed since come last."""
        names = self._store.names(self.state)
        changed = self._history.names
        if not changed:
            return names
        return [name for name in dict.fromkeys(names + changed) if self.value_at(name, version) is not MISSING]

    def copy_value(self, name: Any, value: Any, instead: dict[int, Any]) -> Any:
        """A deep copy of a field's value, in which something else may stand for the state itself.

        Raises:
            GraphRuntimeError: It cannot be copied.
        """
        try:
            return copied(value, instead)
        except Exception as error:
            raise GraphRuntimeError(
                f'Field {name!r} of state {self.name} holds {shown(value)}, which cannot be copied: {error}. '
                f'Keep it in deps.'
            ) from error

    # Committing

    def _commit(self, view: View, sent: Changes, writer: str) -> None:
        try:
            changes = self._changes(view)
            changes.update(sent.values)
            changes.update(dict.fromkeys(sent.removed, MISSING))
            merged = self._merged(changes, view.version, writer)
        finally:
            self.drop(view)
        if merged:
            self._apply(merged, writer)

    def _changes(self, view: View) -> dict[Any, Any]:
        """What differs in the private copy from what was there; `MISSING` for what was removed."""
        fields = view.fields
        if not view.was_touched:
            return {}
        private = view.state
        own = self._store.items(private)
        before = {name: self.value_at(name, view.version) for name in (*own, *fields.given)}
        changes = {
            name: self.copy_value(name, value, {id(private): self.state})
            for name, value in own.items()
            if not is_same(before[name], value, alike=(self.state, private))
        }
        removed = [name for name in fields.given if name not in own and before[name] is not MISSING]
        return changes | dict.fromkeys(removed, MISSING)

    def _merged(self, changes: dict[Any, Any], version: int, writer: str) -> dict[Any, Any]:
        """The values to commit. Nothing is changed here."""
        merged: dict[Any, Any] = {}
        conflicts: list[str] = []
        for name, mine in changes.items():
            first = self._history.writer_since(version, name)
            if first is None:
                merged[name] = mine
                continue
            try:
                merged[name] = self._merged_field(name, version, mine)
            except CannotMerge as reason:
                conflicts.append(self._conflict(name, first, writer, mine, reason))
        if conflicts:
            raise StateConflict('\n'.join(conflicts))
        return merged

    def _merged_field(self, name: Any, version: int, mine: Any) -> Any:
        rule = self._rules.get(name)
        if rule is None:
            raise CannotMerge('nothing says how')
        theirs = self._store.get(self.state, name)
        return merge(rule, self.value_at(name, version), theirs, mine, self._context)

    def _context(self) -> ReducerContext[Any, Any]:
        return ReducerContext(state=self.read(), deps=self._deps)

    def _conflict(self, name: Any, first: str, second: str, mine: Any, reason: CannotMerge) -> str:
        theirs = self._store.get(self.state, name)
        return (
            f'Field {name!r} of state {self.name} was changed by {first!r} and by {second!r} at the same time: '
            f'{first!r} made it {shown(theirs)}, {second!r} {shown(mine)}. They cannot be merged: {reason}. Declare '
            f'a reducer that can, as in Annotated[list[str], reduce_list_extend], or let only one step write the field.'
        )

    def _apply(self, merged: dict[Any, Any], writer: str) -> None:
        self._history.advance()
        for name, value in merged.items():
            self._history.record(name, self._store.get(self.state, name), writer)
            self._store.put(self.state, name, value)

    def __repr__(self) -> str:
        return f'<isolated {self.name} at version {self._history.version}, {self._history.readers} readers>'


def _declaring_type(class_: Any, state_type: Any) -> Any:
    """The type that says how fields are merged."""
    is_of_dict = dict in class_.__mro__ and is_typeddict(get_origin(state_type) or state_type)
    return state_type if is_of_dict else class_


def _pickled(value: Any) -> bytes:
    import pickle

    return pickle.dumps(value)


def _unpickled(data: bytes) -> Any:
    import pickle

    return pickle.loads(data)


def _can_pickle(value: Any) -> bool:
    try:
        _pickled(value)
    except Exception:  # noqa: BLE001 # it takes part in making a message
        return False
    return True
