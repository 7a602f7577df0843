"""The HTTP connections that Google's library asks over.

The library does not give away the connection of a streamed answer, which has to be closed if nobody wants the rest; it
reads server-sent events in its own way; and where no time-out is said it takes none at all. All this is put right here
with hooks of the HTTP client, which do nothing to requests that are not ours.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from plait_agent.exceptions import UserError
from plait_agent.models._ending import exhaust
from plait_agent.models._google.events import event_lines

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Request, Response

    from plait_agent.models._origin import Origin

_OK = 200
_NEW_WORDS = (
    'ignore',
    re.compile('.* is not a valid ', re.IGNORECASE),
    UserWarning,
    re.compile(r'google\.genai\._common'),
    0,
)
"""As `warnings` keeps it. The library warns of each word that is newer than itself, which we can live with."""


class Connection:
    """What the requests for one answer are sent over.

    Args:
        is_streamed: Whether the answer is to come in chunks.
    """

    __slots__ = 'is_closed', 'is_streamed', 'response'

    def __init__(self, *, is_streamed: bool = False) -> None:
        self.is_streamed = is_streamed
        self.response: Response | None = None
        """The latest response; an answer may take several requests."""
        self.is_closed = False
        """Whether nobody wants more of it."""

    async def aclose(self) -> None:
        """Close it, whether or not everything has come."""
        self.is_closed = True
        if self.response is not None:
            await self.response.aclose()


_current: ContextVar[Connection | None] = ContextVar('plait_agent.google', default=None)


@contextmanager
def over(connection: Connection) -> Generator[None]:
    """Ask over a connection within a block."""
    if _NEW_WORDS not in warnings.filters:
        warnings.filterwarnings('ignore', message='.* is not a valid ', module=r'google\.genai\._common')
    token = _current.set(connection)
    try:
        yield
    finally:
        _current.reset(token)


class Chunks:
    """The chunks of a streamed answer.

    Args:
        source: The library's chunks. Their request is made when the first one is asked for.
        origin: Where they come from.
    """

    def __init__(self, source: AsyncIterator[Any], origin: Origin):
        self._source = source
        self._origin = origin
        self._connection = Connection(is_streamed=True)
        self._first: list[Any] = []

    async def begin(self) -> None:
        """Make the request, and wait for the first chunk: Google refuses a request before that."""
        first = await anext(self, None)
        self._first = [] if first is None else [first]

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._first:
            return self._first.pop()
        if self._connection.is_closed and self._connection.response is None:
            raise StopAsyncIteration
        with reading(self._origin), over(self._connection):
            return await anext(self._source)

    async def aclose(self) -> None:
        """Close the connection, whether or not everything has come."""
        await self._connection.aclose()
        if self._connection.response is not None:
            await exhaust(self)


class _Watch:
    """The hooks of one HTTP client."""

    def __init__(self, client: AsyncClient):
        self._client = client

    async def asks(self, request: Request) -> None:
        """Give a request the client's time-outs if it has none."""
        connection = _current.get()
        if connection is None:
            return
        if connection.is_closed:
            raise RuntimeError('The answer is not wanted any more, so it is not continued.')
        said: dict[str, float | None] = request.extensions.get('timeout') or {}
        if not any(said.values()):
            request.extensions['timeout'] = self._client.timeout.as_dict()

    async def answers(self, response: Response) -> None:
        """Note a response, so that it can be closed, and let the library read events as they are meant."""
        connection = _current.get()
        if connection is None:
            return
        connection.response = response
        if response.status_code != _OK:
            return
        if not connection.is_streamed:
            (await response.aread()).decode()  # the library would put marks in the place of what is no text
        else:
            response.aiter_lines = lambda: event_lines(response)


def watch(client: Any) -> None:
    """Let an HTTP client tell of the connections of answers; once is enough, and any other client is left alone."""
    from httpx2 import AsyncClient

    if not isinstance(client, AsyncClient):
        return
    hooks = client.event_hooks
    if any(isinstance(getattr(hook, '__self__', None), _Watch) for hook in hooks['request']):
        return
    own = _Watch(client)
    client.event_hooks = {
        'request': [*hooks['request'], own.asks],
        'response': [*hooks['response'], own.answers],
    }


@contextmanager
def reading(origin: Origin) -> Generator[None]:
    """Turn what Google's library raises in a block into our errors, where it does not tell of the provider.

    Raises:
        UserError: The library refuses what it was given.
        UnexpectedModelBehavior: It has fallen over what the provider sent.
    """
    try:
        yield
    except Exception as error:
        ours = _translated(error, origin)
        if ours is None:
            raise
        # The library's own errors of validation have the values in them, and so perhaps keys.
        raise ours from (None if isinstance(ours, UserError) else error)


def _translated(error: Exception, origin: Origin) -> Exception | None:
    from pydantic import ValidationError

    if isinstance(error, ValidationError) and error.title != 'GenerateContentResponse':
        wrong = '; '.join(f'{".".join(map(str, each["loc"]))}: {each["msg"]}' for each in error.errors())
        return UserError(
            f"Google's library does not take what model settings or built-in tools say ({wrong}). "
            f'See the fields of `google.genai.types.{error.title}`.'
        )
    if isinstance(error, RuntimeError) and 'no running event loop' in str(error):
        return UserError(
            "The client of Google's library that the provider was given fetches its token on asyncio only. "
            'Give the provider `credentials` and an `http_client` in its place, which work on trio too.'
        )
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return origin.unexpected(f'The answer cannot be read ({type(error).__name__}: {error})')
    if type(error) is ValueError:
        return UserError(f"Google's library refuses the request: {error}")
    return None
