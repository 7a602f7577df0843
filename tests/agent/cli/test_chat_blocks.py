"""Markdown that grows is divided into blocks that cannot change any more, and the one that can."""

import random

import pytest

from plait_agent._chat.blocks import Blocks


def taken_from(*pieces):
    """The blocks that are complete after each of these pieces, and what is left."""
    blocks = Blocks()
    taken = []
    for piece in pieces:
        blocks.add(piece)
        taken += blocks.take()
    return taken, blocks.rest


@pytest.mark.parametrize(
    ('text', 'taken', 'rest'),
    [
        ('one line', [], 'one line'),
        ('one\n\n', [], 'one\n\n'),
        ('one\n\ntwo\n', ['one'], 'two\n'),
        ('# head\ntext\n', ['# head'], 'text\n'),
        ('- a\n\n- b\n\nend\n', ['- a\n\n- b'], 'end\n'),
        ('one\n\n```\ncode\n\nmore\n', ['one'], '```\ncode\n\nmore\n'),
        ('```\ncode\n```\nend\n', ['```\ncode\n```'], 'end\n'),
        ('````\n```\n````\nend\n', ['````\n```\n````'], 'end\n'),
        ('a | b\n--|--\n1 | 2\n', [], 'a | b\n--|--\n1 | 2\n'),
    ],
)
def test_what_stands_before_the_last_block_is_complete(text, taken, rest):
    """A block is given when the next one has begun, and not while it can still grow."""
    assert taken_from(text) == (taken, rest)


def test_a_line_that_is_not_complete_decides_nothing():
    """A heading needs a blank behind its sign, so that the sign alone does not end the paragraph above."""
    assert taken_from('text\n#') == ([], 'text\n#')
    assert taken_from('text\n#', 'tag\n')[0] == []
    assert taken_from('text\n#', ' head\n')[0] == ['text']


def test_code_ends_with_a_fence_that_comes_in_pieces():
    """A closing fence is found when its line is complete, whatever pieces it comes in."""
    taken, rest = taken_from('```py\n', 'x = 1\n', '`', '``', '\n', 'after\n')

    assert (taken, rest) == (['```py\nx = 1\n```'], 'after\n')


def test_the_pieces_that_a_text_comes_in_do_not_matter():
    """However a text is cut, the same blocks are given in the end."""
    text = '# T\n\nsome *text*\nmore\n\n1. a\n2. b\n\n   c\n\n~~~\n\ncode\n~~~\n\n> q\n\n|a|\n|-|\n|1|\n\nend'
    whole = Blocks()
    whole.add(text)
    expected = whole.take_all()
    randomly = random.Random(7)

    for _ in range(50):
        blocks, taken, place = Blocks(), [], 0
        while place < len(text):
            size = randomly.randint(1, 9)
            blocks.add(text[place : place + size])
            taken += blocks.take()
            place += size
        assert [*taken, *blocks.take_all()] == expected
    assert len(expected) == 7


def test_what_is_taken_is_nothing_but_the_text():
    """Nothing is lost and nothing is added, but for blank lines between blocks."""
    text = 'a\n\n\n\nb\n\n[x]: http://y\n\nc [x]\n'
    blocks = Blocks()
    blocks.add(text)

    assert ''.join(blocks.take_all()).replace('\n', '') == text.replace('\n', '')
    assert blocks.rest == ''
