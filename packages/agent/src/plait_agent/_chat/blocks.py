"""Markdown that comes bit by bit, divided into blocks that are complete and the one that still grows.

What stands before the last block cannot change any more, so it can be printed for good, and only the last one has to
be drawn again. Knows nothing of screens.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FENCE = re.compile(r' {0,3}(`{3,}|~{3,})')


@cache
def markdown_parser() -> MarkdownIt:
    """The Markdown that is understood: that of CommonMark with tables, and with HTML as the text that it is.

    A terminal has no HTML; a renderer would leave it out, and with it what the model said.
    """
    from markdown_it import MarkdownIt

    return MarkdownIt('commonmark', {'html': False}).enable('strikethrough').enable('table')


@cache
def _block_parser() -> MarkdownIt:
    """The same, without a look at what is inside of blocks."""
    from markdown_it import MarkdownIt

    return MarkdownIt('commonmark', {'html': False}).enable('table').disable('inline')


class Blocks:
    """A text that grows, and gives its blocks as they are completed."""

    def __init__(self) -> None:
        self.rest = ''
        """What is not complete."""
        self._new: list[str] = []
        self._searched = 0
        """How far the rest has been searched for the end of the fence that it begins with."""

    def add(self, text: str) -> None:
        """Let it grow."""
        self._new.append(text)

    def take(self) -> list[str]:
        """The blocks that are complete; they are given once."""
        self._gather()
        # A line that is not complete may turn out to be something else: "#" begins a heading and "#1" does not.
        lines = self.rest[: self.rest.rfind('\n') + 1].split('\n')
        if len(lines) < 2 or self._is_in_fence():
            return []
        tokens = _block_parser().parse('\n'.join(lines))
        starts = [token.map[0] for token in tokens if token.level == 0 and token.map is not None and token.nesting >= 0]
        if len(starts) < 2:
            return []
        taken = ['\n'.join(lines[start:end]).rstrip() for start, end in pairwise(starts)]
        self._keep(len('\n'.join(lines[: starts[-1]])) + 1)
        return taken

    def take_all(self) -> list[str]:
        """All blocks: there is no more to come."""
        self.add('\n')  # the last line is complete now
        blocks = self.take()
        rest = self.rest.rstrip()
        self.rest, self._searched = '', 0
        return [*blocks, rest] if rest else blocks

    def _gather(self) -> None:
        if self._new:
            self.rest += ''.join(self._new)
            self._new.clear()
            if not self._searched:
                self.rest = self.rest.lstrip('\n')

    def _keep(self, start: int) -> None:
        self.rest, self._searched = self.rest[start:], 0

    def _is_in_fence(self) -> bool:
        """Whether the rest is code that has not ended. Each line is looked at once, however long the code gets."""
        opened = _FENCE.match(self.rest)
        if opened is None:
            return False
        fence = opened[1]
        start = self._searched or self.rest.find('\n') + 1
        closing = re.compile(rf'^ {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*\n', re.MULTILINE)
        if start == 0 or closing.search(self.rest, start) is not None:
            return False
        self._searched = self.rest.rfind('\n') + 1
        return True
