"""Bodies in contexts of their own.

What a body does to context variables is seen by no other body and not by the caller, though many bodies share one task.
A body still lives its whole life in one task: only its context is changed for it at each step of the coroutine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import Any, cast


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def as_coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """Anything that can be awaited, as something that can be sent to."""
    if isinstance(awaitable, CoroutineType):
        return cast('Coroutine[Any, Any, Any]', awaitable)
    return _wait(awaitable)


async def isolated(context: Context, body: Coroutine[Any, Any, Any]) -> Any:
    """Await a body in a context."""
    try:
        waiting_for = context.run(body.send, None)
    except StopIteration as stop:
        return stop.value
    return await resume(context, body, waiting_for)


@coroutine
def resume(context: Context, body: Coroutine[Any, Any, Any], waiting_for: Any) -> Generator[Any, Any, Any]:
    """Await the rest of a body that has begun in a context, and now waits for something.

    Passes what the loop sends or throws on to the body, as PEP 380 has it for `yield from`.
    """
    while True:
        try:
            sent = yield waiting_for
        except GeneratorExit:
            context.run(body.close)
            raise
        except BaseException as error:  # noqa: BLE001 # thrown into the body
            step: Any = body.throw
            sent = error
        else:
            step = body.send
        try:
            waiting_for = context.run(step, sent)
        except StopIteration as stop:
            return stop.value
