"""When a server that fails is left alone: the states of a circuit breaker. Knows nothing of models, tasks or waiting.

The states and their names are from Michael Nygard, Release It! (2007), chapter "Stability Patterns".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Literal, TypeAlias, final

State: TypeAlias = Literal['closed', 'open', 'half-open']


@dataclass(frozen=True, slots=True)
class Figures:
    """When a circuit opens, and for how long."""

    failures: int
    window: float
    rest: float

    def __str__(self) -> str:
        return f'failures={self.failures}, window={self.window:g}, rest={self.rest:g}'


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody who was let through."""

    opened: int
    """How often the circuit had opened before; news from before the last time are old."""
    is_probe: bool


@final
class Circuit:
    """The state that all who name a breaker share. Any thread may use it."""

    def __init__(self, name: str, figures: Figures, clock: Callable[[], float]):
        self.name = name
        self.figures = figures
        self.clock = clock
        self._failed_at: deque[float] = deque(maxlen=figures.failures)
        self._opened = 0
        self._opened_at: float | None = None
        self._probe: Passage | None = None
        self._lock = Lock()

    def enter(self) -> Passage | float:
        """Let somebody through, or say for how many seconds at least nobody is."""
        with self._lock:
            if self._opened_at is None:
                return Passage(self._opened, is_probe=False)
            left = self._opened_at + self.figures.rest - self.clock()
            if left > 0 or self._probe is not None:
                return max(left, 0.0)
            self._probe = Passage(self._opened, is_probe=True)
            return self._probe

    def succeed(self, passage: Passage) -> None:
        """The server has answered."""
        with self._lock:
            if passage is self._probe:
                self._probe = self._opened_at = None
                self._failed_at.clear()

    def fail(self, passage: Passage) -> None:
        """The server has failed."""
        with self._lock:
            now = self.clock()
            if passage is self._probe:
                self._open(now)
            elif passage.opened == self._opened and self._opened_at is None:
                self._failed_at.append(now)
                if self._is_too_much(now):
                    self._open(now)

    def withdraw(self, passage: Passage) -> None:
        """Nothing is known of the server; if this was the probe, the next one may be another."""
        with self._lock:
            if passage is self._probe:
                self._probe = None

    def state(self) -> State:
        """What the next one will meet."""
        with self._lock:
            if self._opened_at is None:
                return 'closed'
            return 'open' if self.clock() < self._opened_at + self.figures.rest else 'half-open'

    def _is_too_much(self, now: float) -> bool:
        is_full = len(self._failed_at) == self.figures.failures
        return is_full and now - self._failed_at[0] <= self.figures.window

    def _open(self, now: float) -> None:
        self._opened += 1
        self._opened_at = now
        self._probe = None
        self._failed_at.clear()
