"""What can go wrong between a model and those who ask it, one record each.

Those that break an answer take the answer that is broken, and where. Those that have a meaning for streams alone do
what is nearest to it when no stream was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, cast

from plait_agent.exceptions import UserError
from plait_agent.testing._actions import Action, Behavior, Drop, Head, Pause, Send, SendRaw
from plait_agent.testing._dialects._base import Event
from plait_agent.testing._exchange import Where
from plait_agent.testing.answers import HELLO, Answer

if TYPE_CHECKING:
    from plait_agent.testing._exchange import Exchange

__all__ = (
    'Cut',
    'Disconnect',
    'ErrorEvent',
    'Garbled',
    'HttpError',
    'Newer',
    'Noise',
    'Raw',
    'Redirect',
    'Silence',
    'Slow',
    'Stall',
    'WrongType',
)

_PAGE = '<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>proxy</body></html>'
_PHRASES = {529: 'Overloaded'}
_NO_RECORDS = frozenset({'args', 'input', 'arguments'})
"""Where a value is the caller's own, and a field more would be a different value."""


# No answer


@dataclass(frozen=True)
class Disconnect(Behavior):
    """Close the connection when the request has come, without a word.

    Args:
        reset: Whether it is broken off (RST) rather than closed.
    """

    reset: bool = False

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """The end of the connection."""
        return [Drop(self.reset)]


@dataclass(frozen=True)
class Silence(Behavior):
    """Never answer. It ends when the client goes or the server closes."""

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """An endless pause."""
        return [Pause(None)]


@dataclass(frozen=True)
class Noise(Behavior):
    """Answer with bytes that are no HTTP, and close.

    Args:
        data: The bytes.
    """

    data: bytes = b'\x15\x03\x01\x00\x02\x02\x16'

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """The bytes."""
        return [SendRaw(self.data), Drop()]


# Another answer


@dataclass(frozen=True)
class HttpError(Behavior):
    """Answer with an error.

    Args:
        status: The status: 400, 429, 500, 503, 529, ...
        message: What is wrong; `None` is the status in words.
        retry_after: When to come again, for the header Retry-After: seconds, a time that is sent as HTTP date, or any
            text. A whole number is sent without a point.
        form: `api` is an error as the API has it, `html` a page such as proxies have, `empty` nothing.
        headers: More headers.
    """

    status: int
    message: str | None = None
    _: KW_ONLY
    retry_after: float | datetime | str | None = None
    form: Literal['api', 'html', 'empty'] = 'api'
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        _check_status('HttpError', self.status)

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """The error."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers['retry-after'] = _http_time(self.retry_after)
        message = self.message or _phrase(self.status)
        if self.form == 'api':
            return exchange.refuse(self.status, message, headers)
        body = '' if self.form == 'empty' else _PAGE.format(f'{self.status} {message}')
        return exchange.whole(self.status, body.encode(), 'text/html', headers)


@dataclass(frozen=True)
class Redirect(Behavior):
    """Send the client elsewhere.

    Args:
        to: Where to; `None` is the same place again, which the client then finds with the next behaviour of the script.
        status: 307 keeps method and body.
    """

    to: str | None = None
    status: int = 307

    def __post_init__(self) -> None:
        _check_status('Redirect', self.status)

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """An empty answer with a location."""
        return exchange.whole(self.status, b'', 'text/plain', {'location': self.to or exchange.request.path})


@dataclass(frozen=True)
class Raw(Behavior):
    """Answer with any body: nothing at all if none is given.

    Args:
        body: The body.
        status: The status.
        content_type: What the body calls itself; `None` is what a good answer would.
        headers: More headers.
    """

    body: bytes = b''
    _: KW_ONLY
    status: int = 200
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        _check_status('Raw', self.status)

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """The body."""
        return exchange.whole(self.status, self.body, self.content_type or exchange.content_type, self.headers)


# An answer that is broken


@dataclass(frozen=True)
class Cut(Behavior):
    """Close the connection within an answer.

    Args:
        where: Where it ends.
        answer: The answer.
        cleanly: Whether it ends as if that were all, so that HTTP sees nothing wrong with it. A body is then JSON that
            breaks off.
        reset: Whether the connection is broken off (RST) rather than closed.
    """

    where: Where = 'middle'
    answer: Answer = HELLO
    _: KW_ONLY
    cleanly: bool = False
    reset: bool = False

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer up to there."""
        said = exchange.say(self.answer)
        end = said.place(self.where)
        if self.cleanly and said.head.length is not None:
            yield replace(said.head, length=sum(map(len, said.pieces[:end])))
        else:
            yield said.head
        yield from said.send(0, end)
        if not self.cleanly:
            yield Drop(self.reset)


@dataclass(frozen=True)
class Stall(Behavior):
    """Begin an answer and never go on. It ends when the client goes or the server closes.

    Args:
        where: Where it stops.
        answer: The answer.
    """

    where: Where = 'middle'
    answer: Answer = HELLO

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer up to there, and an endless pause."""
        said = exchange.say(self.answer)
        yield said.head
        yield from said.send(0, said.place(self.where))
        yield Pause(None)


@dataclass(frozen=True)
class Slow(Behavior):
    """Give a good answer, but take time for it. The seconds are real ones.

    Args:
        answer: The answer.
        first: Seconds before anything comes.
        between: Seconds before each packet of the body.
    """

    answer: Answer = HELLO
    _: KW_ONLY
    first: float = 0.0
    between: float = 0.0

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer with pauses."""
        said = exchange.say(self.answer)
        yield Pause(self.first)
        yield said.head
        for packet in said.send():
            yield Pause(self.between)
            yield packet


@dataclass(frozen=True)
class Garbled(Behavior):
    """Put something into an answer that does not belong there.

    Args:
        what: `json`: an event, or a body, that is no JSON. `utf-8`: the same with bytes that are no text. `line`: a
            line of a stream that means nothing, which readers are to pass over; around a body, empty lines.
        where: Where it stands in a stream.
        answer: The answer.
    """

    what: Literal['json', 'utf-8', 'line'] = 'json'
    where: Where = 'middle'
    answer: Answer = HELLO

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer with that in it."""
        said = exchange.say(self.answer)
        if said.head.length is None:
            place = said.place(self.where)
            yield said.head
            yield from said.send(0, place)
            yield Send(self._garbage(exchange, place))
            yield from said.send(place)
            return
        body = b''.join(said.pieces)
        broken = {
            'json': body[1:],
            'utf-8': body.replace(b': "', b': "\xff\xc3', 1),
            'line': b'\r\n\n' + body + b'\n\n',
        }
        yield from exchange.whole(200, broken[self.what], exchange.content_type)

    def _garbage(self, exchange: Exchange, place: int) -> bytes:
        """What stands in a stream; an event has the name of the one that follows it, so that nobody passes over it."""
        if self.what == 'line':
            return b'\x00this means nothing\n\nweather: sunny\n\n'
        events = tuple(exchange.dialect.events(self.answer, exchange.request))
        name = events[min(place, len(events) - 1)].name
        return exchange.frame(Event(_GARBAGE[self.what], name), self.answer.framing)


_GARBAGE = {'json': '{"choices": [{"delta": {"content": "Hel', 'utf-8': '{"text": "\udcff\udcc3"}'}
"""Data of events; single surrogates stand for bytes that are no text."""


@dataclass(frozen=True)
class ErrorEvent(Behavior):
    """Say within a stream that something has gone wrong, and end it. If no stream was asked for, an `HttpError`.

    Args:
        where: Where the error stands.
        answer: The answer that has begun.
        status: What the status would have been.
        message: What is wrong; `None` is the status in words.
    """

    where: Where = 'middle'
    answer: Answer = HELLO
    _: KW_ONLY
    status: int = 529
    message: str | None = None

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer up to there, and the error."""
        message = self.message or _phrase(self.status)
        if not exchange.request.is_streamed:
            yield from exchange.refuse(self.status, message)
            return
        said = exchange.say(self.answer)
        error = exchange.dialect.error_event(self.status, message, exchange.request)
        yield said.head
        yield from said.send(0, said.place(self.where))
        yield Send(exchange.frame(error, self.answer.framing))


@dataclass(frozen=True)
class Newer(Behavior):
    """Give a good answer as a later version of the API might, with fields and events that nobody knows yet.

    Args:
        answer: The answer.
    """

    answer: Answer = HELLO

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer with more in it."""
        if exchange.request.is_streamed:
            said = exchange.say_events(_newer_events(exchange, self.answer), self.answer.framing)
        else:
            said = exchange.say_body(_with_more(exchange.body(self.answer)))
        yield said.head
        yield from said.send()


@dataclass(frozen=True)
class WrongType(Behavior):
    """Give a good answer that calls itself something else.

    Args:
        content_type: What it calls itself.
        answer: The answer.
    """

    content_type: str = 'text/plain'
    answer: Answer = HELLO

    def actions(self, exchange: Exchange, /) -> Iterator[Action]:
        """The answer under that name."""
        said = exchange.say(self.answer)
        yield Head(said.head.status, {**said.head.headers, 'content-type': self.content_type}, said.head.length)
        yield from said.send()


def _check_status(record: str, status: object) -> None:
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise UserError(f'{record} has status={status!r}. Give a number from 200 to 599.')


def _newer_events(exchange: Exchange, answer: Answer) -> Iterator[Event]:
    """The events of an answer, each with more in it and one that is unknown after it."""
    *events, last = exchange.dialect.events(answer, exchange.request)
    for event in events:
        yield replace(event, data=_with_more(event.data))
        yield exchange.dialect.unknown_event()
    yield last


def _with_more(value: Any) -> Any:
    """JSON with an unknown field in each of its records."""
    if isinstance(value, list):
        return [_with_more(each) for each in cast('list[Any]', value)]
    if not isinstance(value, Mapping):
        return value
    record = cast('Mapping[str, Any]', value)
    more = {name: each if name in _NO_RECORDS else _with_more(each) for name, each in record.items()}
    return {**more, 'x_weather': {'outlook': 'sunny'}}


def _http_time(when: float | datetime | str) -> str:
    if isinstance(when, datetime):
        from datetime import UTC

        return format_datetime(when.astimezone(UTC), usegmt=True)
    return when if isinstance(when, str) else f'{when:g}'


def _phrase(status: int) -> str:
    """A status in words."""
    return _PHRASES.get(status) or next((each.phrase for each in HTTPStatus if each == status), 'Error')
