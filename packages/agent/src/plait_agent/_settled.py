"""What a user's function has answered, whether it was async or not."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import TypeVar, cast

T = TypeVar('T')


async def settled(answer: T | Awaitable[T]) -> T:
    """The answer itself, awaited if it has to be."""
    return await cast('Awaitable[T]', answer) if isawaitable(answer) else cast('T', answer)
