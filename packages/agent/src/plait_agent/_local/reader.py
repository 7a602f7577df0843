"""Reads the choice of a model while it is being written: which tool, and its arguments or the text of an answer.

The text is JSON that may be cut anywhere. What is given back does not depend on where: the same pieces, joined, come
out of any way of cutting it. Blanks between the parts of the arguments are left out.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from plait_agent._local.turns import ARGUMENTS, TEXT, TOOL

_STRING = r'"((?:[^"\\]|\\.)*)"'
_HEAD = re.compile(rf'\s*\{{\s*"{TOOL}"\s*:\s*{_STRING}\s*,\s*"{ARGUMENTS}"\s*:\s*', re.DOTALL)
_TEXT_HEAD = re.compile(rf'\s*\{{\s*"{TEXT}"\s*:\s*"')
_ESCAPES = {'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(.))', re.DOTALL)
_TORN_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{0,3})?\Z')


class Kind(Enum):
    """What a piece belongs to."""

    TEXT = 'text'
    CALL = 'call'


class Piece(NamedTuple):
    """Something more of a choice."""

    kind: Kind
    name: str
    """The tool that is called."""
    content: str
    """More of its arguments, or of the text; the first piece of a call may have none."""


class ChoiceReader:
    """Reads one answer.

    Args:
        final_tool: The tool that stands for an answer.
        is_structured: Whether an answer is the arguments of that tool themselves, and not a text among them.
        only_tool: The tool whose arguments the whole text is, if there is nothing to choose.
    """

    __slots__ = '_arguments', '_final', '_is_structured', '_name', '_pending', '_text'

    def __init__(self, final_tool: str, *, is_structured: bool = False, only_tool: str | None = None):
        self._final = final_tool
        self._is_structured = is_structured
        self._pending = ''
        self._name = only_tool
        self._arguments = CompactJson() if only_tool is not None else None
        self._text: JsonString | None = None

    @property
    def has_chosen(self) -> bool:
        """Whether the tool is known."""
        return self._name is not None

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        if self._text is not None:
            return self._text.is_complete
        return self._arguments is not None and self._arguments.is_complete

    @property
    def unread(self) -> str:
        """What has come and makes no choice yet."""
        return self._pending

    def feed(self, text: str) -> list[Piece]:
        """Take more text, and give what it brings."""
        if self._arguments is not None:
            return self._more_arguments(text)
        if self._text is not None:
            return self._more_text(text)
        self._pending += text
        return self._read_head()

    def _read_head(self) -> list[Piece]:
        """Find out which tool it is, once that much has come."""
        found = _HEAD.match(self._pending)
        if found is None or found.end() == len(self._pending):
            return []  # blanks may follow
        name = _unescaped(found[1])
        rest = self._pending[found.end() :]
        if name == self._final and not self._is_structured:
            opened = _TEXT_HEAD.match(rest)
            if opened is None:
                return []
            self._name, self._text, self._pending = name, JsonString(), ''
            return self._more_text(rest[opened.end() :])
        self._name, self._arguments, self._pending = name, CompactJson(), ''
        started = [] if name == self._final else [Piece(Kind.CALL, name, '')]
        return started + self._more_arguments(rest)

    def _more_arguments(self, text: str) -> list[Piece]:
        if self._arguments is None or self._name is None:
            return []
        content = self._arguments.feed(text)
        kind = Kind.TEXT if self._name == self._final else Kind.CALL
        return [Piece(kind, self._name, content)] if content else []

    def _more_text(self, text: str) -> list[Piece]:
        content = '' if self._text is None else self._text.feed(text)
        return [Piece(Kind.TEXT, self._final, content)] if content else []


class CompactJson:
    """Takes the blanks out of JSON that comes in pieces, up to the end of its first value."""

    __slots__ = '_depth', '_escaped', '_in_string', 'is_complete'

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.is_complete = False
        """Whether the value has ended; for objects, arrays and strings."""

    def feed(self, text: str) -> str:
        """Take more, and give what is to be kept of it."""
        kept: list[str] = []
        for character in text:
            if self.is_complete:
                break
            if self._in_string or not character.isspace():
                kept.append(character)
            self._follow(character)
        return ''.join(kept)

    def _follow(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._escaped = character == '\\'
            self._in_string = character != '"'
        elif character == '"':
            self._in_string = True
        elif character in '{[':
            self._depth += 1
        elif character in '}]':
            self._depth -= 1
        self.is_complete = not self._in_string and self._depth <= 0 and character in '}]"'


class JsonString:
    """Decodes the inside of a JSON string that comes in pieces, up to its closing quotation mark."""

    __slots__ = '_pending', 'is_complete'

    def __init__(self) -> None:
        self._pending = ''
        self.is_complete = False

    def feed(self, text: str) -> str:
        """Take more, and give what it says. A torn escape waits for its rest."""
        if self.is_complete:
            return ''
        text = self._pending + text
        end = re.match(r'(?:[^"\\]|\\.)*"', text, re.DOTALL)
        if end is not None:
            self.is_complete, self._pending = True, ''
            return _unescaped(text[: end.end() - 1])
        cut = _whole_end(text)
        self._pending = text[cut:]
        return _unescaped(text[:cut])


def _whole_end(text: str) -> int:
    """Up to where a piece can be decoded: before a torn escape, and before the first half of a pair of them."""
    torn = _TORN_ESCAPE.search(text)
    # A backslash that is itself escaped tears nothing.
    cut = torn.start() if torn is not None and _is_open(text, torn.start()) else len(text)
    half = re.search(r'\\u[dD][89abAB][0-9a-fA-F]{2}\Z', text[:cut])
    return half.start() if half is not None and _is_open(text, half.start()) else cut


def _is_open(text: str, index: int) -> bool:
    """Whether the backslash at an index begins an escape."""
    before = len(text[:index]) - len(text[:index].rstrip('\\'))
    return before % 2 == 0


def _unescaped(text: str) -> str:
    """What the inside of a JSON string says. Halves of pairs that stand alone become the sign for unreadable text."""
    if '\\' not in text:
        return text
    said = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[2]), text)
    return said.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')
