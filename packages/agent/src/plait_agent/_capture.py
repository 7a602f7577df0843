"""Messages of a run for who cannot get at its result, because it failed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage


class _Captured:
    __slots__ = 'is_used', 'messages'

    def __init__(self) -> None:
        self.messages: list[ModelMessage] = []
        self.is_used = False


_captured: ContextVar[_Captured | None] = ContextVar('plait_agent_captured_messages', default=None)


@contextmanager
def capture_run_messages() -> Generator[list[ModelMessage]]:
    """Give a list that holds the messages of the first run in the block, also if the run fails.

    Blocks within others share the list.
    """
    outer = _captured.get()
    if outer is not None:
        yield outer.messages
        return
    captured = _Captured()
    token = _captured.set(captured)
    try:
        yield captured.messages
    finally:
        _captured.reset(token)


def history_list() -> list[ModelMessage]:
    """The list that a run is to keep its messages in."""
    captured = _captured.get()
    if captured is None or captured.is_used:
        return []
    captured.is_used = True
    return captured.messages
