"""JSON out of text in which a model has put it between Markdown fences, with words around it."""

from __future__ import annotations

import re

_OPENING = re.compile(r'(?:^|\n)[ \t]*(?:```|~~~)[^\n`~]*\n\s*(?=\{)')
_CLOSING = re.compile(r'\n[ \t]*(?:```|~~~)|(?:```|~~~)\s*$')


def without_fences(text: str) -> str:
    """The JSON object of a text without what is around its fences.

    A fence may be open still. A text without fences, or with several of them around objects, stays as it is: nobody
    can say which object is meant.
    """
    if text.lstrip().startswith('{'):
        return text
    openings = list(_OPENING.finditer(text))
    if len(openings) != 1:
        return text
    block = text[openings[0].end() :]
    closing = _CLOSING.search(block)
    return block if closing is None else block[: closing.start()]
