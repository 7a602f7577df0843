"""What was found out about a record, kept for as long as the record lives.

Messages and tool definitions can be changed and so cannot be keys of a dictionary, and a note within them would be
copied, compared and stored with them. So the notes are here, under the identity of the record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import ref

ValueT = TypeVar('ValueT')


class _Note(ref[Any], Generic[ValueT]):
    """A value, and what it is about."""

    __slots__ = 'key', 'value'

    key: int
    value: ValueT


class IdentityMemo(Generic[ValueT]):
    """Values that are each about one object, and not about its equals."""

    __slots__ = '_forget', '_notes'

    def __init__(self) -> None:
        notes: dict[int, _Note[ValueT]] = {}

        def forget(note: Any) -> None:
            notes.pop(note.key, None)

        self._notes = notes
        self._forget: Callable[[Any], None] = forget

    def get(self, about: object) -> ValueT | None:
        """The value for an object, if there is one."""
        note = self._notes.get(id(about))
        return note.value if note is not None and note() is about else None

    def put(self, about: object, value: ValueT) -> ValueT:
        """Keep a value for an object, in the place of an earlier one, and give it back."""
        note: _Note[ValueT] = _Note(about, self._forget)
        note.key = id(about)
        note.value = value
        self._notes[note.key] = note
        return value

    def __len__(self) -> int:
        return len(self._notes)
