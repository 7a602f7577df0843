"""The HTTP client that models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import AsyncClient

_clients: dict[tuple[str | None, int, int], AsyncClient] = {}


def cached_async_http_client(*, provider: str | None = None, timeout: int = 600, connect: int = 5) -> AsyncClient:
    """Give the HTTP client that all models of a provider share, so that connections are used again.

    A client that was closed is not given again. Its connections belong to the event loop that opened them.

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
    try:
        from httpx2 import AsyncClient, Timeout
    except ImportError as error:
        raise ImportError(
            'Models of providers are reached with the package httpx2, which is not installed. '
            'Install it: pip install httpx2, or the extra of the provider, as in plait-agent[openai].'
        ) from error
    return AsyncClient(timeout=Timeout(timeout, connect=connect), headers={'User-Agent': 'plait-agent'})
