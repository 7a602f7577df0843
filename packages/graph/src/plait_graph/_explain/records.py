"""An event in a log, the stand-in for an error there, and how values and places are said in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

from plait_graph.events import RunEvent
from plait_graph.id_types import ForkID, ForkStack
from plait_graph.node import StartNode

EventOut = TypeVar('EventOut', bound=RunEvent, covariant=True, default=RunEvent)

_LINE = 60

ForkPath = tuple[tuple[ForkID, int], ...]
"""A fork stack without the ids of the fork runs, which depend on the order of work."""


@dataclass(frozen=True, slots=True)
class LoggedEvent(Generic[EventOut]):
    """An event, and when it was told."""

    sequence: int
    """How many events were told before it."""
    seconds: float
    """The time since the first event."""
    event: EventOut


class RecordedError(Exception):
    """Stands in a log for an error: what it said, without the object, its traceback and what those hold on to.

    Equal to another one that says the same.

    Args:
        type: The name of the error's class, with its module if it is not a built-in one.
        message: What the error said.
        notes: The notes that were added to it.
    """

    def __init__(self, type: str, message: str, notes: tuple[str, ...] = ()):
        super().__init__(type, message)
        self.type = type
        self.message = message
        for note in notes:
            self.add_note(note)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes that were added to the error."""
        return tuple(getattr(self, '__notes__', ()))

    def __str__(self) -> str:
        return f'{self.type}: {self.message}' if self.message else self.type

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordedError):
            return NotImplemented
        return (self.type, self.message, self.notes) == (other.type, other.message, other.notes)

    def __hash__(self) -> int:
        return hash((self.type, self.message))


def path_of(stack: ForkStack) -> ForkPath:
    """The forks of a stack with their threads; the run itself is left out."""
    return tuple((item.fork_id, item.thread_index) for item in stack if item.fork_id != StartNode.id)


def describe_path(path: ForkPath) -> str:
    """A path in a few words, such as ` for regions[0].shops[3]`; `*` stands for the value of a join."""
    words = [f'{fork_id}[{index if index >= 0 else "*"}]' for fork_id, index in path]
    return f' for {".".join(words)}' if words else ''


def shorten(value: Any) -> str:
    """A value in a line."""
    return shorten_text(repr(value))


def shorten_text(text: str) -> str:
    """A text in a line."""
    line = ' '.join(text.split())
    return line if len(line) <= _LINE else f'{line[:_LINE]}...'
