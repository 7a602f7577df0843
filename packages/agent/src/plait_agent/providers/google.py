"""Google: models of the Gemini API, and of Vertex AI in Google Cloud."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from plait_agent.exceptions import UserError
from plait_agent.providers import Provider

try:
    from google.genai import Client
    from google.genai.types import HttpOptions
except ImportError as error:
    raise ImportError(
        'Models of Google are reached with the package google-genai, which is not installed. '
        "Install it: pip install 'plait-agent[google]'."
    ) from error

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from httpx2 import AsyncClient

    from plait_agent.profiles import ModelProfile

__all__ = 'GoogleProvider', 'VertexAILocation'

VertexAILocation: TypeAlias = Literal[
    'asia-east1',
    'asia-east2',
    'asia-northeast1',
    'asia-northeast3',
    'asia-south1',
    'asia-southeast1',
    'australia-southeast1',
    'europe-central2',
    'europe-north1',
    'europe-southwest1',
    'europe-west1',
    'europe-west2',
    'europe-west3',
    'europe-west4',
    'europe-west6',
    'europe-west8',
    'europe-west9',
    'me-central1',
    'me-central2',
    'me-west1',
    'northamerica-northeast1',
    'southamerica-east1',
    'us-central1',
    'us-east1',
    'us-east4',
    'us-east5',
    'us-south1',
    'us-west1',
    'us-west4',
]
"""Regions of Vertex AI."""

_LOCATION = 'us-central1'


class GoogleProvider(Provider[Client]):
    """Google, by its Gemini API (`google-gla`) or as Vertex AI (`google-vertex`).

    Works on asyncio and on trio. Connections are shared with all models of the same provider.

    Args:
        api_key: The key; without one it is `GOOGLE_API_KEY` or `GEMINI_API_KEY` of the environment.
        credentials: What opens Vertex AI; without them, what the environment has (Application Default Credentials).
        project: The project in Google Cloud; without one it is `GOOGLE_CLOUD_PROJECT` of the environment, or that of
            the credentials.
        location: Where Vertex AI is; without one it is `GOOGLE_CLOUD_LOCATION` of the environment, or `us-central1`.
        vertexai: Whether this is Vertex AI; `None` means that it is if there are credentials, a project or a location.
        client: A client of Google's library, in the place of all others. Give it an httpx2 client: the library's own
            default may be one that works on asyncio only.
        http_client: The HTTP client. It gets hooks, which do nothing to requests that are not made for models.
        base_url: Where the API is, if it is not Google's own.

    Raises:
        UserError: There is no key.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        credentials: Credentials | None = None,
        project: str | None = None,
        location: VertexAILocation | str | None = None,
        vertexai: bool | None = None,
        client: Client | None = None,
        http_client: AsyncClient | None = None,
        base_url: str | None = None,
    ):
        from plait_agent.models._google.connections import watch

        self._credentials = credentials
        self._base_url = base_url
        if client is None:
            is_vertex = bool(location or project or credentials) if vertexai is None else vertexai
            if http_client is None:
                from plait_agent.models._http import cached_async_http_client

                http_client = cached_async_http_client(provider='google-vertex' if is_vertex else 'google-gla')
            # No retries of the library: those are a matter of the HTTP client.
            http = HttpOptions(base_url=base_url, httpx_async_client=http_client)
            client = self._vertex(http, api_key, project, location) if is_vertex else _gemini(http, api_key)
        else:
            http_client = getattr(_inside(client), '_async_httpx_client', None)
            self._credentials = getattr(_inside(client), '_credentials', None)
        watch(http_client)
        self._client = client

    @property
    def name(self) -> str:
        """`google-vertex` for Vertex AI, else `google-gla`."""
        return 'google-vertex' if self._client.vertexai else 'google-gla'

    @property
    def base_url(self) -> str:
        """Where the API is."""
        told = getattr(getattr(_inside(self._client), '_http_options', None), 'base_url', None)
        return self._base_url or told or 'https://generativelanguage.googleapis.com/'

    @property
    def client(self) -> Client:
        """The client of Google's library."""
        return self._client

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and the token if there is one."""
        told = getattr(_inside(self._client), 'api_key', None), getattr(self._credentials, 'token', None)
        return tuple(each for each in told if isinstance(each, str) and each)

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells."""
        from plait_agent.profiles.google import google_model_profile

        return google_model_profile(model_name)

    async def sign_in(self) -> None:
        """Fetch a token for Vertex AI if one is needed.

        Raises:
            UserError: The environment has no credentials, or Google refuses them.
        """
        if self._credentials is None:
            return
        from google.auth.exceptions import GoogleAuthError

        from plait_agent.models._google.credentials import fetch_token

        try:
            await fetch_token(self._credentials)
        except GoogleAuthError as error:
            raise UserError(
                f'Google Cloud gives no token for Vertex AI: {error}. Sign in with `gcloud auth application-default '
                f'login`, or give GoogleProvider(credentials=...).'
            ) from error

    def _vertex(self, http: HttpOptions, api_key: str | None, project: str | None, location: str | None) -> Client:
        key = api_key or (None if self._credentials or project or location else _key_of_environment())
        if key:
            return Client(vertexai=True, api_key=key, http_options=http)
        project = project or os.environ.get('GOOGLE_CLOUD_PROJECT')
        if self._credentials is None and project:
            from plait_agent.models._google.credentials import DefaultCredentials

            self._credentials = DefaultCredentials()
        from google.auth.exceptions import GoogleAuthError

        try:
            return Client(
                vertexai=True,
                credentials=self._credentials,
                project=project,
                location=location or os.environ.get('GOOGLE_CLOUD_LOCATION') or _LOCATION,
                http_options=http,
            )
        except GoogleAuthError as error:  # without a project the library looks for credentials that name one
            raise UserError(
                f'Vertex AI needs a project and credentials of Google Cloud: {error} Set `GOOGLE_CLOUD_PROJECT` and '
                f'sign in with `gcloud auth application-default login`, or give GoogleProvider(project=..., '
                f'credentials=...).'
            ) from error


def _gemini(http: HttpOptions, api_key: str | None) -> Client:
    key = api_key or _key_of_environment()
    if not key:
        raise UserError(
            'Set the `GOOGLE_API_KEY` environment variable or pass it via `GoogleProvider(api_key=...)` '
            'to use the Google Generative Language API.'
        )
    if not os.environ.get('GOOGLE_GENAI_API_VERSION'):
        http.api_version = 'v1beta'  # the one with all features, some of which never come to `v1`
    return Client(vertexai=False, api_key=key, http_options=http)


def _key_of_environment() -> str | None:
    return os.environ.get('GOOGLE_API_KEY') or os.environ.get('GEMINI_API_KEY')


def _inside(client: Client) -> Any:
    """The part of the library's client that knows the address and the key, which it has no public names for."""
    return cast('Any', getattr(client, '_api_client', None))
