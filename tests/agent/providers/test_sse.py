"""Server-sent events are read from whatever pieces they come in."""

import pytest

from plait_agent.models._sse import EventReader

STREAM = b': hello\n\ndata: one\n\nevent: error\ndata:two\ndata: 2\nid: 5\n\ndata: \xe2\x80\xa8three\x0c\n\ndata: last'
EVENTS = [b'one', b'two\n2', b'\xe2\x80\xa8three\x0c', b'last']


def read(pieces: list[bytes]) -> list[bytes]:
    """The events of a stream that comes in pieces."""
    reader = EventReader()
    return [data for piece in pieces for data in reader.read(piece)] + list(reader.end())


@pytest.mark.parametrize('line_end', [b'\n', b'\r\n', b'\r'])
@pytest.mark.parametrize('size', [1, 2, 3, 7, 1000])
def test_events_are_the_same_in_all_pieces(line_end: bytes, size: int) -> None:
    """Line ends of all kinds may be cut in two; other characters end no line."""
    stream = STREAM.replace(b'\n', line_end)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert read(pieces) == EVENTS


def test_an_empty_stream_has_no_events() -> None:
    """Nothing is told of nothing, of comments and of empty lines."""
    assert read([]) == read([b'\n\n: ping\n\n\n']) == []


@pytest.mark.parametrize('size', [1, 2, 1000])
def test_a_byte_order_mark_is_no_part_of_the_first_line(size: int) -> None:
    """Some servers begin with one, and their first event is as good as the others."""
    stream = b'\xef\xbb\xbfdata: one\n\ndata: two\n\n'

    assert read([stream[at : at + size] for at in range(0, len(stream), size)]) == [b'one', b'two']


def test_a_long_line_is_put_together_once() -> None:
    """A picture comes as one line in very many pieces; what has come is not copied with each of them."""
    pieces = [b'data: ', *[b'x' * 100] * 50_000, b'\n\n']
    reader = EventReader()
    copied = 0

    for piece in pieces:
        list(reader.read(piece))
        copied = max(copied, max(map(len, reader._held), default=0))

    assert copied == 100
