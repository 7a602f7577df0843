"""Waiting for an answer with an eye on the screen and an ear for Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import FrameType
from typing import Generic, Self, TypeVar

import anyio

T = TypeVar('T')

BEAT = 0.08
"""How many seconds pass between two looks at the screen and at Ctrl-C."""
LAST_INTERRUPT = 3
"""The Ctrl-C that ends the program, whatever a tool in a thread is still doing."""


class Interrupts:
    """Counts how often Ctrl-C is pressed while it is listened to.

    Args:
        tidy: Is called before the program is left.
    """

    def __init__(self, tidy: Callable[[], None]):
        self.count = 0
        self._tidy = tidy

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        # A handler may interrupt the event loop anywhere, so it only counts; the beat sees it.
        self.count += 1
        if self.count >= LAST_INTERRUPT:
            self._tidy()
            os._exit(130)

    @contextmanager
    def heard(self) -> Generator[Self]:
        """Take the place of whoever listens to Ctrl-C, within a block; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.signal(signal.SIGINT, self)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@dataclass(slots=True)
class Attended(Generic[T]):
    """What came of something that was waited for: a value, a failure, or neither if Ctrl-C stopped it."""

    value: T | None = None
    failure: Exception | None = None
    was_stopped: bool = False


async def attend(work: Callable[[], Awaitable[T]], on_beat: Callable[[int], None]) -> Attended[T]:
    """Await something unless Ctrl-C is pressed.

    Ctrl-C cancels the work, whose clean-up is waited for. The third one ends the program: a tool that blocks in its
    thread cannot be stopped, only left.

    Args:
        work: What is to be done.
        on_beat: Is called some twelve times a second, and told how often Ctrl-C was pressed.
    """
    scope = anyio.CancelScope()

    async def beat(interrupts: Interrupts) -> None:
        while True:
            if interrupts.count:
                scope.cancel()
            started = perf_counter()
            on_beat(interrupts.count)
            # Drawing a long list takes a while, and most of the time is to be left to the answer.
            await anyio.sleep(max(BEAT, 3 * (perf_counter() - started)))

    attended = Attended[T]()
    with _quiet_keyboard() as wake_keyboard, Interrupts(wake_keyboard).heard() as interrupts:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat, interrupts)
            await _work_within(scope, work, attended)
            tasks.cancel_scope.cancel()
    return attended


async def _work_within(scope: anyio.CancelScope, work: Callable[[], Awaitable[T]], attended: Attended[T]) -> None:
    """Do something, and note what came of it. A failure is not raised, as a group of tasks around it would wrap it."""
    with scope:
        try:
            attended.value = await work()
        except Exception as error:  # noqa: BLE001 # told to the user
            attended.failure = error
    attended.was_stopped = scope.cancelled_caught


@contextmanager
def _quiet_keyboard() -> Generator[Callable[[], None]]:
    """Keep what is typed meanwhile from the screen, where it would stand in the middle of an answer.

    It is not lost, unless Ctrl-C is pressed: the next prompt begins with it. Gives what puts everything back at once.
    """
    if sys.platform == 'win32' or not sys.stdin.isatty():
        yield _do_nothing
        return
    import termios

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(keyboard, termios.TCSANOW, quiet)

    def wake() -> None:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
        os.write(sys.stdout.fileno(), b'\x1b[?25h\n')  # the cursor was hidden

    try:
        yield wake
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


def _do_nothing() -> None:
    """Nothing was changed."""
