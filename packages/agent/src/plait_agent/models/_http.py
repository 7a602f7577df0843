"""The HTTP client that models share, whatever event loop they are asked from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from anyio.lowlevel import RunVar

try:
    from httpx2 import AsyncBaseTransport, AsyncClient, AsyncHTTPTransport, Limits, Timeout
except ImportError as error:
    raise ImportError(
        'Models of providers are reached with the package httpx2, which is not installed. '
        'Install it: pip install httpx2, or the extra of the provider, as in plait-agent[openai].'
    ) from error

if TYPE_CHECKING:
    from httpx2 import Request, Response

__all__ = 'LoopTransport', 'cached_async_http_client'

_LIMITS = Limits(max_connections=1000, max_keepalive_connections=100)
"""Places are what limits of models are for; this only keeps a program from running out of files."""

_clients: dict[tuple[str | None, int, int], AsyncClient] = {}


def cached_async_http_client(*, provider: str | None = None, timeout: int = 600, connect: int = 5) -> AsyncClient:
    """Give the HTTP client that all models of a provider share, so that connections are used again.

    It may be used from several event loops, one after the other and at once: each has connections of its own, which are
    closed with the loop. Proxies are taken from the environment. A client that was closed is not given again. Requests
    are tried again as `plait_agent.retries.retrying_transport` does it.

    Args:
        provider: Whose models share it; `None` is for all who name no provider.
        timeout: How many seconds an answer may take.
        connect: How many seconds it may take to connect.

    Raises:
        ImportError: The package httpx2 is not installed.
    """
    key = provider, timeout, connect
    client = _clients.get(key)
    if client is None or client.is_closed:
        client = _clients[key] = _make_client(timeout, connect)
    return client


def _make_client(timeout: int, connect: int) -> AsyncClient:
    return AsyncClient(
        timeout=Timeout(timeout, connect=connect),
        headers={'User-Agent': 'plait-agent'},
        transport=LoopTransport(lambda: _make_transport(None)),
        mounts={pattern: _through(proxy) for pattern, proxy in _find_proxies().items()},
        # What servers of models answer is an answer or an error; a key is not sent on to where they point.
        follow_redirects=False,
    )


class LoopTransport(AsyncBaseTransport):
    """Sends requests over a transport that belongs to the event loop they come from, and is closed with it.

    A connection cannot be used from another loop than the one that opened it, and programs may well have several:
    each `asyncio.run` is a new one.

    Args:
        make: Makes the transport of a loop.
    """

    def __init__(self, make: Callable[[], AsyncBaseTransport]):
        self._make = make
        self._of_loop: RunVar[tuple[AsyncBaseTransport, AsyncGenerator[None]]] = RunVar('plait_agent.transport')

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request."""
        here = self._of_loop.get(None)
        if here is None:
            transport = self._make()
            here = transport, _close_at_end(transport)
            self._of_loop.set(here)
            # From here on the event loop knows of the generator, and closes it when it ends.
            await anext(here[1])
        return await here[0].handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections of the event loop that this is called from."""
        here = self._of_loop.get(None)
        if here is not None:
            await here[1].aclose()


async def _close_at_end(transport: AsyncBaseTransport) -> AsyncGenerator[None]:
    """Close a transport with the event loop: loops close the asynchronous generators that are open when they end."""
    try:
        yield
    finally:
        await transport.aclose()


def _make_transport(proxy: str | None) -> AsyncBaseTransport:
    from plait_agent.retries import retrying_transport

    return retrying_transport(AsyncHTTPTransport(limits=_LIMITS, proxy=proxy))


def _through(proxy: str | None) -> AsyncBaseTransport | None:
    return None if proxy is None else LoopTransport(lambda: _make_transport(proxy))


def _find_proxies() -> dict[str, str | None]:
    """The proxies that the environment names, by the URLs that go through them; `None` goes through none."""
    from urllib.request import getproxies

    said = getproxies()
    proxies: dict[str, str | None] = {
        f'{scheme}://': said[scheme] if '://' in said[scheme] else f'http://{said[scheme]}'
        for scheme in ('http', 'https', 'all')
        if said.get(scheme)
    }
    if not proxies:
        return {}
    excepted = [host.strip() for host in said.get('no', '').split(',') if host.strip()]
    if '*' in excepted:
        return {}
    return proxies | {_pattern_of(host): None for host in excepted}


def _pattern_of(host: str) -> str:
    """The URLs of a host and, as is usual for names in `NO_PROXY`, of all below it."""
    if '://' in host:
        return host
    name = host.lstrip('.')
    is_address = name.replace('.', '').isdigit() or ':' in name or name == 'localhost'
    return f'all://{name}' if is_address else f'all://*{name}'
