"""A lock that holds between processes, and is let go when its process ends, however it does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_ASK_AGAIN_SECONDS = 0.2


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] | None = None) -> Generator[None]:
    """Hold a lock within a block.

    The file stays: taking it away would let two processes hold locks on files of the same name.

    Args:
        path: The file that stands for the lock; it is made.
        on_wait: Is called once if somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Asking again, instead of waiting in the system, lets Ctrl-C through on every platform.
    with path.open('a+b') as file:
        waits = False
        while not _take(file.fileno()):
            if not waits and on_wait is not None:
                on_wait()
            waits = True
            time.sleep(_ASK_AGAIN_SECONDS)
        try:
            yield
        finally:
            _let_go(file.fileno())


if sys.platform == 'win32':
    import msvcrt

    def _take(number: int) -> bool:
        try:
            os.lseek(number, 0, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _let_go(number: int) -> None:
        os.lseek(number, 0, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(number: int) -> bool:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)
