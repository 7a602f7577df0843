"""A server on this machine that speaks as model providers do, and does what a script says."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from plait_agent.exceptions import UserError
from plait_agent.testing._actions import Head, Send
from plait_agent.testing._dialects import DIALECTS, find_dialect
from plait_agent.testing._exchange import Exchange
from plait_agent.testing.requests import ReceivedRequest, hide_headers, hide_query
from plait_agent.testing.scripts import Script, read_script

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import SocketStream

    from plait_agent.testing._actions import Action, Behavior
    from plait_agent.testing._http import Received

__all__ = 'MisbehavingServer', 'refusing_url'

_HOST = '127.0.0.1'
_NOT_IMPLEMENTED = 501
"""For what the script does not say. A 501 is not tried again by those who try other server errors again."""


class MisbehavingServer:
    """A local server that answers as OpenAI, Anthropic and Google do, and misbehaves when its script says so.

    It listens on a free port of 127.0.0.1, on asyncio and on trio, and knows the API by the path of a request: chat
    completions, responses, messages, generateContent and streamGenerateContent. Where they count tokens, an answer
    says its `input_tokens`. No key is right or wrong.

    Use it with `async with`, within the event loop of the test; or with `with` in a program without one, in a thread
    of its own:

        async with MisbehavingServer([HttpError(503), Answer('Hello')]) as server:
            provider = OpenAIProvider(base_url=f'{server.url}/v1', api_key='any')
            ...
            assert [request.api for request in server.requests] == ['openai-chat', 'openai-chat']

    A request for which the script has nothing, or whose path belongs to no API, is answered with status 501 and a text
    that says what is missing. When the block is left, all connections are closed, finished or not.

    Args:
        script: One behaviour for all requests, one for each in turn, or a function of the request that finds it.
        keep: How many requests are remembered, the last ones; `None` is all.

    Raises:
        UserError: Something in the script is no behaviour.
        ImportError: The package h11 is not installed.
    """

    def __init__(self, script: Script, *, keep: int | None = None):
        _check_h11()
        self._script = read_script(script)
        self._requests: deque[ReceivedRequest] = deque(maxlen=keep)
        self._count = 0
        self._open = 0
        self._accepted = 0
        self._url: str | None = None
        self._running: AsyncExitStack | None = None
        self._in_thread: ExitStack | None = None

    @property
    def url(self) -> str:
        """Where it is, as in `http://127.0.0.1:40123`.

        Raises:
            UserError: It is not running.
        """
        if self._url is None:
            raise UserError('The MisbehavingServer is not running. Ask for its url within `async with server:`.')
        return self._url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What has come, in the order in which it came. Keys are hidden."""
        return list(self._requests)

    @property
    def received(self) -> int:
        """How many requests have come, remembered or not."""
        return self._count

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._open

    @property
    def accepted_connections(self) -> int:
        """How many connections there ever were."""
        return self._accepted

    async def __aenter__(self) -> Self:
        import anyio
        from anyio.abc import SocketAttribute

        self._check_idle()
        async with AsyncExitStack() as stack:
            listener = await anyio.create_tcp_listener(local_host=_HOST, local_port=0)
            await stack.enter_async_context(listener)
            group = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(group.cancel_scope.cancel)
            group.start_soon(listener.serve, self._serve, group)
            self._url = f'http://{_HOST}:{listener.extra(SocketAttribute.local_port)}'
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running, self._running, self._url = self._running, None, None
        if running is None:
            return
        import anyio

        # What the block raises is its own affair; the group would put it into an ExceptionGroup.
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            await running.__aexit__(exc_type, exc, traceback)
        else:
            await running.aclose()

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        self._check_idle()
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            here: AbstractContextManager[Any] = portal.wrap_async_context_manager(self)
            stack.enter_context(here)
            self._in_thread = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stack, self._in_thread = self._in_thread, None
        if stack is not None:
            stack.close()

    def _check_idle(self) -> None:
        if self._url is not None:
            raise UserError(f'The MisbehavingServer is running already, at {self._url}. Make another one.')

    async def _serve(self, stream: SocketStream) -> None:
        """All requests of a connection."""
        from plait_agent.testing._http import Connection

        self._open += 1
        self._accepted += 1
        try:
            async with stream:
                connection = Connection(stream)
                received = await connection.receive()
                while received is not None and await connection.carry_out(self._decide(received)):
                    received = await connection.receive()
        finally:
            self._open -= 1

    def _decide(self, received: Received) -> Iterable[Action]:
        """What is done with a request."""
        self._count += 1
        dialect = find_dialect(received.target)
        body = _parse(received.body)
        bare = received.target.partition('?')[0]
        request = ReceivedRequest(
            number=self._count,
            method=received.method,
            path=hide_query(received.target),
            headers=hide_headers(received.headers),
            json=body,
            api=None if dialect is None else dialect.name,
            is_streamed=dialect is not None and dialect.is_streamed(bare, body),
        )
        self._requests.append(request)
        if dialect is None:
            return _missing(request, f'No API has this path. There are {", ".join(each.name for each in DIALECTS)}.')
        request.behavior, problem = self._find_behavior(request)
        if request.behavior is None:
            return _missing(request, problem)
        return request.behavior.actions(Exchange(request, dialect))

    def _find_behavior(self, request: ReceivedRequest) -> tuple[Behavior | None, str]:
        """What the script has for a request, or what is wrong with the script."""
        try:
            behavior = self._script(request)
        except Exception as error:  # noqa: BLE001 # the client is told: an error here would end the block, and blame nobody
            return None, f'The script has failed: {error!r}'
        return behavior, 'The script has ended; each behaviour of it is for one request. Give it one more.'


@contextmanager
def refusing_url() -> Generator[str]:
    """Give a URL at which connections are refused, for as long as the block lasts."""
    with socket.socket() as bound:
        # Bound, so that nobody else gets the port, and not listening.
        bound.bind((_HOST, 0))
        yield f'http://{_HOST}:{bound.getsockname()[1]}'


def _missing(request: ReceivedRequest, problem: str) -> Iterable[Action]:
    """An answer that says what the script lacks."""
    message = f'MisbehavingServer: request {request.number}, {request.method} {request.path}: {problem}'
    body = json.dumps({'error': {'message': message, 'type': 'not_implemented', 'code': _NOT_IMPLEMENTED}}).encode()
    yield Head(_NOT_IMPLEMENTED, {'content-type': 'application/json', 'x-request-id': request.request_id}, len(body))
    yield Send(body)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _check_h11() -> None:
    from importlib.util import find_spec

    if find_spec('h11') is None:
        raise ImportError(
            'A MisbehavingServer reads HTTP with the package h11, which is not installed. '
            'Install it: pip install h11; it also comes with plait-agent[retries].'
        )
