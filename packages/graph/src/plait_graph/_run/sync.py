"""Runs for callers that do not await.

Uses the event loop of the thread, and keeps it. Where a loop already runs, as in a notebook, the run goes to another
thread.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

import anyio

from plait_graph.exceptions import UnsupportedEventLoopError

T = TypeVar('T')


def run_sync(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await a coroutine from synchronous code.

    Ctrl-C cancels the run, waits for its clean-up, and then raises `KeyboardInterrupt`.

    Raises:
        UnsupportedEventLoopError: The thread's loop cannot be driven from here.
    """
    if is_in_loop():
        from anyio.from_thread import start_blocking_portal

        with start_blocking_portal(backend='asyncio') as portal:
            return portal.call(start)
    loop = _own_loop()
    task = loop.create_task(start())
    waiting: list[asyncio.Task[T]] = []
    try:
        # The runner is asked for its handling of Ctrl-C, which cancels the run instead of interrupting whatever the
        # loop does; it is not closed.
        return asyncio.Runner(loop_factory=lambda: loop).run(_result_of(task, waiting))
    finally:
        # A second Ctrl-C interrupts the loop itself. Threads in which steps have run end with the task that waits, so
        # that one is let come to its end too.
        for left in (*waiting, task):
            _finish(loop, left)


async def _result_of(task: asyncio.Task[T], waiting: list[asyncio.Task[T]]) -> T:
    """The result of a task, which is cancelled if the one who waits for it is."""
    waiting.append(cast('asyncio.Task[T]', asyncio.current_task()))
    return await task


def _finish(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Cancel a task that was left in the middle, and wait for its clean-up."""
    if task.done():
        return
    task.cancel()
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        loop.run_until_complete(task)


def is_in_loop() -> bool:
    """Whether the code that asks is called from an event loop."""
    try:
        anyio.get_cancelled_exc_class()
    except RuntimeError:
        return False
    return True


def _own_loop() -> asyncio.AbstractEventLoop:
    """The loop of this thread; a new one if there is none or it is closed."""
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)  # Python says so that it would make one
        try:
            loop = asyncio.get_event_loop()
        except (RuntimeError, DeprecationWarning):
            loop = None
    if loop is None or loop.is_closed():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    if loop.is_running():
        raise UnsupportedEventLoopError(
            f'run_sync cannot drive the event loop {loop!r} of this thread, which runs in another one. '
            f'Await graph.run(...) on it instead.'
        )
    return loop
