"""The HTTP client that models share, on the event loops of a program."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import httpx2
import pytest
from anyio import to_thread
from anyio.abc import SocketAttribute, SocketStream

from plait_agent.models._http import LoopTransport, cached_async_http_client
from plait_agent.testing import Answer, HttpError, MisbehavingServer

pytestmark = pytest.mark.usefixtures('no_proxies')


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxies."""
    for name in ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Server:
    """Answers every request on this machine, and counts connections."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.url = ''

    async def answer(self, stream: SocketStream) -> None:
        """Answer the requests of a connection until it is closed."""
        self.opened += 1
        async with stream:
            async for _ in stream:
                await stream.send(b'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi')
        self.closed += 1


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server that runs within a block."""
    server = Server()
    listener = await anyio.create_tcp_listener(local_host='127.0.0.1')
    server.url = f'http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}'
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.answer)
        yield server
        group.cancel_scope.cancel()


async def test_connections_are_used_again_and_closed_with_their_loop() -> None:
    """Loops that use one client one after the other have a connection each, and leave none behind."""
    async with serving() as server:
        client = httpx2.AsyncClient(transport=LoopTransport(httpx2.AsyncHTTPTransport))

        async def ask_twice() -> None:
            for _ in range(2):
                assert (await client.get(server.url)).text == 'hi'

        for backend in ('asyncio', 'trio'):
            await to_thread.run_sync(partial(anyio.run, ask_twice, backend=backend))
        with anyio.fail_after(30):
            while server.closed < 2:
                await anyio.lowlevel.checkpoint()

    assert (server.opened, server.closed) == (2, 2)


async def test_a_client_that_is_closed_has_no_connection_left() -> None:
    """Closing takes the connections of the loop along."""
    async with serving() as server:
        async with httpx2.AsyncClient(transport=LoopTransport(httpx2.AsyncHTTPTransport)) as client:
            await client.get(server.url)
        with anyio.fail_after(30):
            while not server.closed:
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ('excepted', 'goes_through'),
    [('', True), ('127.0.0.1', False), ('*', False), ('.example.com', True), ('localhost, 127.0.0.1', False)],
)
async def test_proxies_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, excepted: str, goes_through: bool
) -> None:
    """`HTTP_PROXY` and `NO_PROXY` mean what they mean to every other program."""
    async with serving() as proxy, serving() as server:
        monkeypatch.setenv('HTTP_PROXY', proxy.url)
        monkeypatch.setenv('NO_PROXY', excepted)
        client = cached_async_http_client(provider=f'proxied {server.url}')

        await client.get(server.url)
        await client.aclose()

        assert (proxy.opened, server.opened) == ((1, 0) if goes_through else (0, 1))


async def test_requests_are_tried_again() -> None:
    """The shared client has the policy for what may pass."""
    async with MisbehavingServer(
        [HttpError(503, retry_after=0), HttpError(429, retry_after=0), Answer('Hi')]
    ) as server:
        client = cached_async_http_client(provider=f'tried again {server.url}')
        response = await client.post(f'{server.url}/v1/messages', json={})
        await client.aclose()

    assert response.status_code == 200


def test_a_redirect_is_not_followed() -> None:
    """A key is not sent on to wherever a server points."""
    assert not cached_async_http_client(provider='pointing').follow_redirects
