"""What a run waits for that no body does: times, and permits of limits by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from plait_graph._clock import Cancellable
from plait_graph._run.permits import Permits
from plait_graph._run.tokens import Timer

if TYPE_CHECKING:
    from plait_graph._run.driver import Driver


class Waiting:
    """The timers and the permits of one run."""

    def __init__(self, driver: Driver):
        self._driver = driver
        self._timers: dict[int, Cancellable] = {}
        self.permits = Permits(driver.scheduler, self._on_loop, self._call_later)

    @property
    def is_waiting(self) -> bool:
        return bool(self._timers) or self.permits.is_waiting

    def start(self, timer: Timer) -> None:
        """Tell the scheduler when a time is up."""
        self._timers[timer.id] = self._call_later(timer.seconds, lambda: self._expire(timer))

    def stop(self, timer: Timer) -> None:
        """Forget a timer."""
        handle = self._timers.pop(timer.id, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Wait for nothing any more."""
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()
        self.permits.close()

    def _expire(self, timer: Timer) -> None:
        if self._timers.pop(timer.id, None) is not None:
            self._driver.see_to(lambda: self._driver.scheduler.expired(timer))

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        return (self._driver.clock or self._driver.crew).call_later(seconds, callback)

    def _on_loop(self, event: Callable[[], None]) -> None:
        self._driver.wake_from_thread(lambda: self._driver.see_to(event))
