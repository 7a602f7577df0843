"""Entering several things once, for all who are inside at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyio import Lock


class SharedEntry:
    """The first to come enters the contexts in order, the last to go leaves them. Without contexts nobody waits."""

    __slots__ = '_count', '_lock', '_stack'

    def __init__(self) -> None:
        self._count = 0
        self._lock: Lock | None = None
        self._stack: AsyncExitStack | None = None

    async def enter(self, contexts: Sequence[AbstractAsyncContextManager[Any]]) -> None:
        """Come in. If a context cannot be entered, those before it are left again, and nobody has come in."""
        if not contexts and self._stack is None:
            self._count += 1
            return
        async with self._turn():
            if self._count == 0:
                await self._enter_all(contexts)
            self._count += 1

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Go. Who is cancelled goes too, so that the count is right whatever happens."""
        if self._stack is None:
            self._count -= 1
            return None
        from anyio import CancelScope

        turn = self._turn()
        with CancelScope(shield=True):
            await turn.acquire()
        try:
            return await self._leave_all(kind, error, traceback)
        finally:
            turn.release()

    async def _enter_all(self, contexts: Sequence[AbstractAsyncContextManager[Any]]) -> None:
        async with AsyncExitStack() as stack:
            for context in contexts:
                await stack.enter_async_context(context)
            self._stack = stack.pop_all()

    async def _leave_all(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave the contexts, if nobody is inside any more."""
        self._count -= 1
        if self._count or self._stack is None:
            return None
        stack, self._stack = self._stack, None
        return await stack.__aexit__(kind, error, traceback)

    def _turn(self) -> Lock:
        from anyio import Lock

        if self._lock is None:
            self._lock = Lock(fast_acquire=True)
        return self._lock
