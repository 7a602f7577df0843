"""Which part of a streamed text is a thought, where models mark their thoughts by tags within the text.

A tag may come in pieces, so text that may be the beginning of one is kept back until it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from plait_agent.messages import TextPart, ThinkingPart

Piece: TypeAlias = tuple[Literal['text', 'opened', 'thought', 'closed'], str]
"""What was read; `'opened'` and `'closed'` are the tags."""


class TagReader:
    """Reads one stream of text."""

    __slots__ = 'held', 'is_inside'

    def __init__(self) -> None:
        self.is_inside = False
        """Whether what comes next is a thought."""
        self.held = ''
        """What may be the beginning of a tag."""

    def read(self, chunk: str, tags: tuple[str, str]) -> Iterator[Piece]:
        """Tell what a chunk brings, with what was kept back before it."""
        rest, self.held = self.held + chunk, ''
        while rest:
            before, tag, after = rest.partition(tags[self.is_inside])
            if not tag:
                self.held = _beginning_at_end(rest, tags[self.is_inside])
                before = rest.removesuffix(self.held)
            if before:
                yield 'thought' if self.is_inside else 'text', before
            if tag:
                self.is_inside = not self.is_inside
                yield 'opened' if self.is_inside else 'closed', ''
            rest = after


def _beginning_at_end(text: str, tag: str) -> str:
    """The longest beginning of a tag that a text ends with."""
    if tag[0] not in text[1 - len(tag) :]:
        return ''  # nearly always
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return tag[:length]
    return ''


def split_thoughts(content: str, tags: tuple[str, str]) -> list[TextPart | ThinkingPart]:
    """The parts of a whole text in which thoughts are marked; what is empty is left out."""
    parts: list[TextPart | ThinkingPart] = []
    reader = TagReader()
    pieces = [*reader.read(content, tags), ('thought' if reader.is_inside else 'text', reader.held)]
    for kind, piece in pieces:
        if not piece:
            continue
        part_type = ThinkingPart if kind == 'thought' else TextPart
        if parts and type(parts[-1]) is part_type:
            parts[-1].content += piece
        else:
            parts.append(part_type(piece))
    return parts
