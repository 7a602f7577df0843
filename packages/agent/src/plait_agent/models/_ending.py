"""The end of a stream that is left before its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any


async def exhaust(chunks: AsyncIterator[Any]) -> None:
    """Read a stream whose connection is closed until it says so.

    The libraries of HTTP and of providers read through generators within generators, which closing a response does not
    end. Left like this they are collected at some time, of which trio warns. On a closed connection the next read ends
    them all, with an error that nobody needs.
    """
    with suppress(Exception):
        async for _ in chunks:
            pass
