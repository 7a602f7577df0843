"""An order in words: what each body did in its turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from plait_graph.testing._places import name_of
from plait_graph.testing._turns import Body, Turn

_MOST_LINES = 40


def tell(turns: Sequence[Turn]) -> str:
    """A numbered line for each body that went on, until another one did."""
    names = _names({turn.body for turn in turns})
    lines = [
        f'  {number}. {names[body]} {_what(list(row))}'
        for number, (body, row) in enumerate(groupby(turns, key=lambda turn: turn.body), 1)
    ]
    left = len(lines) - _MOST_LINES
    return '\n'.join(lines if left <= 0 else [*lines[:_MOST_LINES], f'  ... and {left} more'])


def _names(bodies: Iterable[Body]) -> dict[Body, str]:
    """What to call each body: by its step and items if that tells it from all others, and else in full."""
    short = {body: name_of(body.key, fully=False) for body in bodies}
    long = {body: name_of(body.key, fully=True) for body in short}
    meanings: dict[str, set[str]] = {}
    for body, name in short.items():
        meanings.setdefault(name, set()).add(long[body])
    return {body: name if len(meanings[name]) == 1 else long[body] for body, name in short.items()}


def _what(row: Sequence[Turn]) -> str:
    """What a body did in turns that follow one another."""
    end = row[-1].end or f'waited at {row[-1].place}'.removesuffix(' at ')
    return f'{"began, and ran" if row[0].is_first else "went on"} until it {end}'
