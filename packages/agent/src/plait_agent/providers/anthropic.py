"""Anthropic, and those who serve its models: Amazon Bedrock, Google Vertex AI and Microsoft Foundry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from plait_agent.exceptions import UserError
from plait_agent.providers import Provider

try:
    from anthropic import AsyncAnthropic
except ImportError as error:
    raise ImportError(
        'Models of Anthropic need the package anthropic, which is not installed. '
        "Install it: pip install 'plait-agent[anthropic]'"
    ) from error

if TYPE_CHECKING:
    from anthropic import AsyncAnthropicFoundry
    from anthropic.lib.bedrock import AsyncAnthropicBedrock
    from anthropic.lib.vertex import AsyncAnthropicVertex
    from httpx2 import AsyncClient

    from plait_agent.profiles import ModelProfile

__all__ = 'AnthropicProvider', 'AsyncAnthropicClient'

AsyncAnthropicClient: TypeAlias = (
    'AsyncAnthropic | AsyncAnthropicBedrock | AsyncAnthropicFoundry | AsyncAnthropicVertex'
)
"""A client of Anthropic's library."""

_SECRETS = 'api_key', 'auth_token', 'access_token', 'aws_secret_key', 'aws_session_token'


class AnthropicProvider(Provider['AsyncAnthropicClient']):
    """Serves models of Anthropic. It works on asyncio and on trio.

    Args:
        api_key: The key; otherwise the environment's `ANTHROPIC_API_KEY`, or the token in `ANTHROPIC_AUTH_TOKEN`.
        base_url: Where the provider is; otherwise the environment's `ANTHROPIC_BASE_URL`, or Anthropic itself.
        anthropic_client: A client of Anthropic's library, which then brings its own key and address: also one for
            Bedrock, Vertex or Foundry.
        http_client: Sends the requests, in the place of the client that all models of Anthropic share.

    Raises:
        UserError: There is no key; or a client was given, and what the client has as well.
    """

    @overload
    def __init__(self, *, anthropic_client: AsyncAnthropicClient | None = None) -> None: ...
    @overload
    def __init__(
        self, *, api_key: str | None = None, base_url: str | None = None, http_client: AsyncClient | None = None
    ) -> None: ...
    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        anthropic_client: AsyncAnthropicClient | None = None,
        http_client: AsyncClient | None = None,
    ) -> None:
        if anthropic_client is None:
            self._client: Any = _make_client(api_key, base_url, http_client)
            return
        if api_key is not None or base_url is not None or http_client is not None:
            raise UserError(
                'AnthropicProvider was given anthropic_client together with api_key, base_url or http_client. '
                'Give these to the client, and the client alone to the provider.'
            )
        self._client = anthropic_client

    @property
    def name(self) -> str:
        """The name of the provider: `anthropic`, whoever serves its models."""
        return 'anthropic'

    @property
    def base_url(self) -> str:
        """Where it is."""
        return str(self._client.base_url).removesuffix('/')

    @property
    def client(self) -> Any:
        """The client of Anthropic's library."""
        return self._client

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, by its name."""
        from plait_agent.profiles.anthropic import anthropic_model_profile

        return anthropic_model_profile(model_name)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key or the tokens of the client."""
        found = (getattr(self._client, name, None) for name in _SECRETS)
        return tuple(each for each in found if isinstance(each, str) and each)


def _make_client(api_key: str | None, base_url: str | None, http_client: AsyncClient | None) -> AsyncAnthropic:
    key = api_key or os.environ.get('ANTHROPIC_API_KEY')
    token = None if key else os.environ.get('ANTHROPIC_AUTH_TOKEN')
    if not key and not token:
        raise UserError(
            'Anthropic needs a key. Set the environment variable ANTHROPIC_API_KEY, '
            'or give it: AnthropicProvider(api_key=...).'
        )
    if http_client is None:
        from plait_agent.models._http import cached_async_http_client

        http_client = cached_async_http_client(provider='anthropic')
    # Requests are tried again by our transport, which is the same for all providers.
    return AsyncAnthropic(
        api_key=key or None, auth_token=token, base_url=base_url, http_client=http_client, max_retries=0
    )
