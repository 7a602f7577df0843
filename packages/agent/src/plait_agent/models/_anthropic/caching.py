"""Marks up to which Anthropic keeps a prompt. A request may have four of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait_agent.models._anthropic.blocks import Block

_MOST = 4
_WITHOUT_CACHE = frozenset({'thinking', 'redacted_thinking'})
"""Blocks that cannot be marked themselves; they are kept with those around them."""


class CacheMarks:
    """The marks of a request, oldest first.

    Args:
        names_usual_ttl: Whether it is said how long a mark holds if that is as long as usual; not all who serve
            Anthropic's models know the word.
    """

    def __init__(self, names_usual_ttl: bool = True):
        self._names_usual_ttl = names_usual_ttl
        self._in_messages: list[Block] = []
        self._others = 0

    def add(self, block: Block, ttl: Any) -> None:
        """Mark a block that is no part of a message; also the request itself, which marks its end."""
        block['cache_control'] = self._mark(ttl)
        self._others += 1

    def add_in_messages(self, block: Block, ttl: Any) -> None:
        """Mark a block of a message. A block has one mark, the last that was asked for."""
        if 'cache_control' not in block:
            self._in_messages.append(block)
        block['cache_control'] = self._mark(ttl)

    def _mark(self, ttl: Any) -> dict[str, str]:
        """A mark; `True` keeps as long as usual, which is five minutes."""
        said = '5m' if ttl is True else ttl
        return (
            {'type': 'ephemeral'} if said == '5m' and not self._names_usual_ttl else {'type': 'ephemeral', 'ttl': said}
        )

    def keep_allowed(self) -> None:
        """Take away the oldest marks of messages until no more are left than Anthropic allows."""
        left = max(_MOST - self._others, 0)
        for block in self._in_messages[: len(self._in_messages) - left]:
            del block['cache_control']


def last_markable(content: list[Block]) -> Block | None:
    """The last block that can be marked."""
    return next((block for block in reversed(content) if block.get('type') not in _WITHOUT_CACHE), None)
