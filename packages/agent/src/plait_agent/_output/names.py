"""Names that tell things apart: the second of a name gets a number."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain, count


def unique_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, with a number to each that is taken or was there before."""
    used = set(taken)
    unique: list[str] = []
    for name in names:
        unique.append(free_name(name, used))
        used.add(unique[-1])
    return unique


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with the first number from 2 on that makes it another than those that are taken."""
    numbered = (f'{name}_{number}' for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)
