"""What blocks of code leave behind: `run_sync` keeps the thread's loop for its next call, and tests end."""

import asyncio
import sys
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the event loop that blocks of a page have used, and forget the module that they stood for."""
    monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])
    yield
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # Python says so where it makes a loop to be closed
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            return
        loop.close()
        asyncio.set_event_loop(None)
