"""A request together with the API that it speaks: what an answer is there, in bytes, and where it can be broken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from plait_agent.testing._actions import Action, Head, Send

if TYPE_CHECKING:
    from plait_agent.testing._dialects._base import Dialect, Event
    from plait_agent.testing.answers import Answer, Framing
    from plait_agent.testing.requests import ReceivedRequest

Where: TypeAlias = Literal['start', 'content', 'middle', 'end'] | int
"""A place in an answer.

`start` is before everything, `content` after what comes before the first thing that the model says (a role, empty
parts), `middle` in the middle of what it says, `end` after the last of it and before the API says that this was all. A
number counts events from the start. An answer that is not streamed has four quarters of its bytes instead of events.
"""

_QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in bytes."""

    head: Head
    pieces: tuple[bytes, ...]
    """Events, or quarters of a body."""
    first: int
    """The first piece that has something the model says."""
    last: int
    """The piece after the last one of those."""
    packet: int | None = None
    """How many bytes go out at once; `None` is a piece at once."""

    def place(self, where: Where) -> int:
        """How many pieces come before a place."""
        places = {
            'start': 0,
            'content': self.first,
            'middle': self.first + max(1, (self.last - self.first) // 2),
            'end': self.last,
        }
        return min(where if isinstance(where, int) else places[where], len(self.pieces))

    def send(self, start: int = 0, end: int | None = None) -> Iterator[Send]:
        """The pieces between two places."""
        if self.packet is None:
            yield from map(Send, self.pieces[start:end])
            return
        data = b''.join(self.pieces[start:end])
        for at in range(0, len(data), self.packet):
            yield Send(data[at : at + self.packet])


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that is to be answered."""

    request: ReceivedRequest
    dialect: Dialect

    @property
    def content_type(self) -> str:
        """What a good answer to the request calls itself."""
        return 'text/event-stream; charset=utf-8' if self.request.is_streamed else 'application/json'

    def say(self, answer: Answer) -> Said:
        """A good answer."""
        if self.request.is_streamed:
            return self.say_events(self.dialect.events(answer, self.request), answer.framing)
        return self.say_body(self.body(answer))

    def body(self, answer: Answer) -> dict[str, Any]:
        """A good answer at once, or how many tokens the request has if that was asked."""
        if self.dialect.counts(self.request.path.partition('?')[0]):
            return {self.dialect.counted: answer.input_tokens}
        return self.dialect.body(answer, self.request)

    def say_events(self, events: Iterable[Event], framing: Framing) -> Said:
        """An answer in events."""
        told = tuple(events)
        content = [place for place, event in enumerate(told) if event.has_content]
        first, last = (content[0], content[-1] + 1) if content else (0, 0)
        pieces = tuple(self.frame(event, framing) for event in told)
        if framing.bom:
            pieces = (b'\xef\xbb\xbf' + pieces[0], *pieces[1:])
        return Said(self.head(200, self.content_type), pieces, first, last, framing.packet)

    def say_body(self, body: Mapping[str, Any]) -> Said:
        """An answer at once."""
        data = json.dumps(body, ensure_ascii=False).encode()
        quarter = -(-len(data) // _QUARTERS)
        pieces = tuple(data[at : at + quarter] for at in range(0, len(data), quarter))
        return Said(self.head(200, self.content_type, len(data)), pieces, 1, _QUARTERS - 1)

    def frame(self, event: Event, framing: Framing) -> bytes:
        """An event as it is written down."""
        data = event.data if isinstance(event.data, str) else json.dumps(event.data, ensure_ascii=False)
        lines = [f'data: {data}', '', '']
        if event.name is not None:
            lines.insert(0, f'event: {event.name}')
        if framing.comments:
            lines.insert(0, ': still there')
        return (framing.newline or self.dialect.newline).join(lines).encode(errors='surrogateescape')

    def head(
        self, status: int, content_type: str, length: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Head:
        """The beginning of an answer, with the id of the request."""
        identity = {self.dialect.request_id_header: self.request.request_id}
        return Head(status, {'content-type': content_type, **identity, **(headers or {})}, length)

    def whole(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[Action]:
        """Any answer at once."""
        yield self.head(status, content_type, len(body), headers)
        yield Send(body)

    def refuse(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Iterator[Action]:
        """An error as the API says it."""
        body = json.dumps(self.dialect.error(status, message, self.request)).encode()
        return self.whole(status, body, 'application/json', headers)
