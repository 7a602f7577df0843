"""What the fields of a state were, at versions that are still being read.

Every commit has a number, the version that it makes. For each field that was committed since the oldest version that
lives, there is a history of older values, in which each version finds its own; the rest is forgotten as versions end.
Knows nothing of where the present values are.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections import deque
from typing import Any, NamedTuple


class _Old(NamedTuple):
    """The value that a field had before a commit."""

    version: int
    value: Any


class _Past(NamedTuple):
    """What became of one field. Replaced as a whole, so that a thread may read one."""

    version: int
    """That of the last commit."""
    writer: str
    older: tuple[_Old, ...]
    """A value that no living version shows is left out."""


class _Hold(weakref.ref[Any]):
    """Keeps a version alive until nobody has an object any more."""

    __slots__ = ('version',)
    version: int


class History:
    """The past of a state's fields."""

    def __init__(self) -> None:
        self.version = 0
        self._live: dict[int, int] = {}
        """How many read each version; oldest first, since versions only grow."""
        self._pasts: dict[Any, _Past] = {}
        self._commits: deque[tuple[int, Any]] = deque()
        """The version and field of what is in the pasts, oldest first."""
        self._holds: set[_Hold] = set()
        self._released: deque[Any] = deque()
        """Holds whose objects are gone; put here by any thread."""

    @property
    def readers(self) -> int:
        """How many versions are being read, each as often as it is."""
        return sum(self._live.values())

    @property
    def names(self) -> list[Any]:
        """The fields that have a past."""
        return list(self._pasts)

    # Reading

    def enter(self) -> int:
        """Begin to read the present version."""
        self._settle()
        self._live[self.version] = self._live.get(self.version, 0) + 1
        return self.version

    def leave(self, version: int) -> None:
        """End that, and forget what nobody needs."""
        left = self._live[version] - 1
        if left:
            self._live[version] = left
            return
        del self._live[version]
        if not self._live:
            self._pasts.clear()
            self._commits.clear()
            return
        oldest = next(iter(self._live))
        while self._commits and self._commits[0][0] <= oldest:
            self._forget(self._commits.popleft()[1], oldest)

    def leave_after(self, version: int, reader: object) -> None:
        """End that when nobody has an object any more."""
        hold = _Hold(reader, self._released.append)
        hold.version = version
        self._holds.add(hold)

    def value_at(self, version: int, name: Any, present: Any) -> Any:
        """The value of a field at a version, if its present value was read before this was called."""
        past = self._pasts.get(name)
        if past is None:
            return present
        position = bisect_right(past.older, version, key=lambda old: old.version)
        return past.older[position].value if position < len(past.older) else present

    def writer_since(self, version: int, name: Any) -> str | None:
        """Who committed a field last, if that was after a version."""
        past = self._pasts.get(name)
        return past.writer if past is not None and past.version > version else None

    # Writing

    def advance(self) -> None:
        """Begin a commit."""
        self._settle()
        self.version += 1

    def record(self, name: Any, value: Any, writer: str) -> None:
        """Note the value that a field had before this commit. Comes before the field is changed."""
        if not self._live:
            return
        past = self._pasts.get(name)
        older = () if past is None else past.older
        if past is None or next(reversed(self._live)) >= past.version:
            older = *older, _Old(self.version, value)
        self._pasts[name] = _Past(self.version, writer, older)
        self._commits.append((self.version, name))

    # What is still needed

    def _settle(self) -> None:
        while self._released:
            hold = self._released.popleft()
            self._holds.discard(hold)
            self.leave(hold.version)

    def _forget(self, name: Any, oldest: int) -> None:
        past = self._pasts.get(name)
        if past is None:
            return
        if past.version <= oldest:
            del self._pasts[name]
        else:
            self._pasts[name] = past._replace(older=tuple(old for old in past.older if old.version > oldest))
