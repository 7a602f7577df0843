"""What counts as a difference between two runs."""

import asyncio
from dataclasses import dataclass

import pytest

from plait_graph.testing._comparing import difference


class Plain:
    """Compares by identity."""

    def __init__(self, **attributes):
        self.__dict__ |= attributes


class Slotted:
    """Has no dictionary."""

    __slots__ = ('n', 'unset')

    def __init__(self, n):
        self.n = n


@dataclass
class Record:
    inner: object


class Array:
    """Answers a comparison for each element, as arrays do."""

    def __init__(self, *items):
        self.items = items

    def __eq__(self, other):
        return Array(*(mine == others for mine, others in zip(self.items, other.items, strict=True)))

    def __bool__(self):
        raise ValueError('ambiguous')

    def all(self):
        return all(self.items)

    __hash__ = None


def cyclic():
    """An object that contains itself."""
    result = Plain(n=1)
    result.me = result
    return result


@pytest.mark.parametrize(
    'make',
    [
        lambda: Plain(n=1, inner=[Plain(), Slotted(2)]),
        lambda: Record(Plain(n=1)),
        lambda: [float('nan')],
        lambda: ValueError('no'),
        lambda: Array(1, 2),
        lambda: {'lock': asyncio.Lock()},
        lambda: lambda: 1,
        lambda: Plain,
        cyclic,
    ],
    ids=['plain', 'record', 'nan', 'error', 'array', 'lock', 'function', 'class', 'cyclic'],
)
def test_values_that_are_made_alike_are_the_same(make):
    """What two runs make in the same way does not differ, though it may not be equal."""
    assert difference(make(), make(), 'it') is None


def test_group_members_may_come_in_any_order():
    """Groups of exceptions are the same if their members are, in whatever order those failed."""
    one, other = ValueError('a'), KeyError('b')

    assert difference(ExceptionGroup('2', [one, other]), ExceptionGroup('2', [other, one]), 'it') is None


@pytest.mark.parametrize(
    ('here', 'there', 'text'),
    [
        (1, 2, 'it is 1, and 2 in the plain order'),
        ([1, [2, 3]], [1, [2, 4]], 'it[1][1] is 3, and 4 in the plain order'),
        (Plain(n=1), Plain(n=2), 'it.n is 1, and 2 in the plain order'),
        (Slotted(1), Slotted(2), 'it.n is 1, and 2 in the plain order'),
        ({'a': 1}, {}, "it['a'] is there, and missing in the plain order"),
        ([], [5], 'it[0] is missing, and there in the plain order'),
        (ValueError('a'), ValueError('b'), "it is 'ValueError: a', and 'ValueError: b' in the plain order"),
        (1, '1', "it is 1, and '1' in the plain order"),
        ({1}, {2}, 'it is {1}, and {2} in the plain order'),
        (Array(1), Array(2), 'it.items[0] is 1, and 2 in the plain order'),
        (int, str, "it is <class 'int'>, and <class 'str'> in the plain order"),
        (Plain(n=1), None, 'it is Plain(n=1), and None in the plain order'),
        ('a' * 400, 'b', f"it is '{'a' * 299}..., and 'b' in the plain order"),
    ],
    ids=['int', 'list', 'plain', 'slots', 'missing', 'more', 'error', 'type', 'set', 'array', 'class', 'none', 'long'],
)
def test_the_first_difference_is_named(here, there, text):
    """Where two values differ is said with the way to it, and both sides."""
    assert difference(here, there, 'it') == text
