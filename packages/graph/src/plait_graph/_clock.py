"""Time, as a run needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Cancellable(Protocol):
    """Something to come that can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless if it has happened."""
        ...


class Clock(Protocol):
    """What keeps a run's retries, time-outs and deadlines; the event loop does, if nothing else is said."""

    def now(self) -> float:
        """The time in seconds, from any zero."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Cancellable:
        """Call a function on the event loop when a time is up."""
        ...
