"""Providers that are reached with OpenAI's library, each told apart by what is said of it as data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from plait_agent.exceptions import UserError
from plait_agent.providers import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx2 import AsyncClient
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfile

NO_KEY = 'no-key'
"""What servers are sent that ask for no key; the library does not send nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is to be known of a provider to reach it."""

    name: str
    """The name in the names of models."""
    title: str
    """What people call it."""
    base_url: str | None = None
    """Where it is; `None` if everyone has it somewhere else."""
    key_variables: tuple[str, ...] = ()
    """The environment variables that may hold the key."""
    url_variable: str | None = None
    """The environment variable that may hold the address."""
    url_path: str = ''
    """What follows an address that was given without any path."""
    url_argument: str = 'base_url'
    """What the address is called among the arguments."""
    asks_for_key: bool = True
    """Whether it cannot be used without a key."""
    asks_elsewhere: bool = True
    """Whether that holds for servers at other addresses too."""
    families: Mapping[str, str] = field(default_factory=dict[str, str])
    """The families of its models, by how their names begin."""
    name_prefix: str = ''
    """What stands before the names of models and says nothing."""
    traits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What all its models can do, as fields of a profile."""


class CompatibleProvider(Provider['AsyncOpenAI']):
    """A provider that is reached with OpenAI's library.

    Args:
        base_url: Where it is, if not at its usual address.
        api_key: The key; without it, the environment is asked.
        openai_client: A client of OpenAI's library to use as it is, in place of all else.
        http_client: The HTTP client to use; without it, models of the provider share one.

    Raises:
        UserError: There is no key, or no address.
        ImportError: OpenAI's library is not installed.
    """

    server: ClassVar[Server]
    """What is to be known of the provider."""
    _headers: Mapping[str, str] | None = None
    """Headers that all requests have."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        http_client: AsyncClient | None = None,
    ):
        if openai_client is not None:
            self._use(openai_client, base_url=base_url, api_key=api_key, http_client=http_client)
            return
        url = self._find_url(base_url)
        key = self._find_key(api_key, is_elsewhere=url != self.server.base_url)
        self._client = make_client(self.server.name, http_client, base_url=url, api_key=key, headers=self._headers)

    def _use(self, client: AsyncOpenAI, **given: object) -> None:
        """Take a client that was given, which knows the rest itself."""
        also = [name for name, value in given.items() if value is not None]
        if also:
            raise UserError(
                f'{type(self).__name__} was given openai_client and also {", ".join(also)}. '
                f'Make the client with them, or leave out openai_client.'
            )
        self._client = client

    def _find_url(self, given: str | None) -> str:
        server = self.server
        said = given or (os.environ.get(server.url_variable) if server.url_variable is not None else None)
        if said:
            from urllib.parse import urlsplit

            return said if urlsplit(said).path.strip('/') else said.rstrip('/') + server.url_path
        if server.base_url is not None:
            return server.base_url
        raise UserError(
            f'There is no address for {server.title}. Set the `{server.url_variable}` environment variable or '
            f'pass it via `{type(self).__name__}({server.url_argument}=...)`.'
        )

    def _find_key(self, given: str | None, *, is_elsewhere: bool) -> str:
        server = self.server
        key = given or next((os.environ[name] for name in server.key_variables if os.environ.get(name)), None)
        if key is not None:
            return key
        if not server.asks_for_key or (is_elsewhere and not server.asks_elsewhere):
            return NO_KEY
        variables = ' or '.join(f'`{name}`' for name in server.key_variables)
        raise UserError(
            f'There is no key for {server.title}. Set the {variables} environment variable or pass it via '
            f'`{type(self).__name__}(api_key=...)`.'
        )

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells."""
        from plait_agent.profiles._families import compatible_profile

        server = self.server
        return compatible_profile(model_name.removeprefix(server.name_prefix), server.families, server.traits)

    @property
    def name(self) -> str:
        """The name of the provider, as telemetry and prices know it."""
        return self.server.name

    @property
    def base_url(self) -> str:
        """Where it is."""
        return str(self._client.base_url)

    @property
    def client(self) -> AsyncOpenAI:
        """The client of OpenAI's library."""
        return self._client


def make_client(
    name: str,
    http_client: AsyncClient | None,
    *,
    base_url: str,
    api_key: str,
    headers: Mapping[str, str] | None = None,
) -> AsyncOpenAI:
    """Make a client of OpenAI's library.

    Raises:
        ImportError: The library is not installed.
    """
    library = import_library(name)
    return library.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        http_client=http_client or shared_http_client(name),
        default_headers=headers,
        # Requests are made again by the transport, by one rule for all providers.
        max_retries=0,
    )


def shared_http_client(name: str) -> AsyncClient:
    """The HTTP client that models of a provider share."""
    from plait_agent.models import cached_async_http_client

    return cached_async_http_client(provider=name)


def import_library(name: str) -> Any:
    """OpenAI's library, which is slow to import.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            f"Models of {name!r} are reached with OpenAI's library, which is not installed ({error}). "
            f"Install it: pip install 'plait-agent[openai]'"
        ) from error
    return openai
