"""Server-sent events, read from bytes.

Knows nothing of providers. An event is told by its data alone, since providers say in it what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ('EventReader',)

_BYTE_ORDER_MARK = b'\xef\xbb\xbf'


class EventReader:
    """Puts the pieces of a stream together to the data of events.

    Only the line ends that the format knows end a line, so data may hold any other character.
    """

    __slots__ = '_data', '_ends_with_return', '_held', '_is_first'

    def __init__(self) -> None:
        self._data: list[bytes] = []
        """The lines of data of the event that has not ended."""
        self._held: list[bytes] = []
        """The pieces of the line that has not ended. A line may hold a picture, and then comes in very many."""
        self._ends_with_return = False
        """Whether the last piece may have ended in the middle of a line end."""
        self._is_first = True
        """Whether the first line has not ended."""

    def read(self, piece: bytes) -> Iterator[bytes]:
        """Give the data of the events that end in a piece."""
        for line in self._lines(piece):
            if line.startswith(b'data:'):
                self._data.append(line[5:].removeprefix(b' '))
            elif not line and self._data:
                yield b'\n'.join(self._data)
                self._data.clear()

    def end(self) -> Iterator[bytes]:
        """Give the data of an event that has not ended when the stream did."""
        return self.read(b'\n\n')

    def _lines(self, piece: bytes) -> Sequence[bytes]:
        """The lines that end in a piece."""
        if not piece:
            return ()
        if self._ends_with_return:
            piece = piece.removeprefix(b'\n')
        self._ends_with_return = piece.endswith(b'\r')
        self._held.append(piece)
        if b'\n' not in piece and b'\r' not in piece:
            return ()
        text = b''.join(self._held)
        if b'\r' in text:
            text = text.replace(b'\r\n', b'\n').replace(b'\r', b'\n')
        *lines, rest = text.split(b'\n')
        self._held = [rest]
        if self._is_first:
            self._is_first = False
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return lines
