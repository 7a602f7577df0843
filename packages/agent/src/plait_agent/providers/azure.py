"""Models that Azure serves, which is reached by an address of one's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from plait_agent.exceptions import UserError
from plait_agent.providers._compatible import (
    CompatibleProvider,
    Server,
    import_library,
    make_client,
    shared_http_client,
)

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from openai import AsyncOpenAI

__all__ = ('AzureProvider',)


class AzureProvider(CompatibleProvider):
    """Serves the models that are deployed at Azure; the name of a model is that of its deployment.

    Args:
        azure_endpoint: Where they are; without it, `AZURE_OPENAI_ENDPOINT` is asked. One that ends in `/v1` has no
            versions.
        api_version: Which version of the API; without it, `OPENAI_API_VERSION` is asked.
        api_key: The key; without it, `AZURE_OPENAI_API_KEY` is asked.
        openai_client: A client of OpenAI's library to use as it is, in place of all else.
        http_client: The HTTP client to use; without it, models of Azure share one.

    Raises:
        UserError: There is no key, no address or no version.
        ImportError: OpenAI's library is not installed.
    """

    server: ClassVar = Server(
        'azure',
        'Azure',
        key_variables=('AZURE_OPENAI_API_KEY',),
        url_variable='AZURE_OPENAI_ENDPOINT',
        families={
            '': 'openai',
            'cohere-': 'cohere',
            'deepseek': 'deepseek',
            'grok': 'grok',
            'llama': 'meta',
            'meta-': 'meta',
            'mistral': 'mistral',
            'mistralai-': 'mistral',
        },
    )

    def __init__(
        self,
        *,
        azure_endpoint: str | None = None,
        api_version: str | None = None,
        api_key: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        http_client: AsyncClient | None = None,
    ):
        if openai_client is not None:
            self._use(openai_client, azure_endpoint=azure_endpoint, api_key=api_key, http_client=http_client)
            return
        endpoint = azure_endpoint or os.environ.get('AZURE_OPENAI_ENDPOINT')
        if not endpoint:
            raise UserError(
                'There is no address for Azure. Set the `AZURE_OPENAI_ENDPOINT` environment variable or pass it via '
                '`AzureProvider(azure_endpoint=...)`.'
            )
        key = self._find_key(api_key, is_elsewhere=False)
        if endpoint.rstrip('/').endswith('/v1'):
            self._client = make_client('azure', http_client, base_url=endpoint, api_key=key)
            return
        self._client = import_library('azure').AsyncAzureOpenAI(
            azure_endpoint=endpoint,
            api_version=self._find_version(api_version),
            api_key=key,
            http_client=http_client or shared_http_client('azure'),
            max_retries=0,
        )

    def _find_version(self, given: str | None) -> str:
        version = given or os.environ.get('OPENAI_API_VERSION')
        if version:
            return version
        raise UserError(
            'There is no version of the API for Azure. Set the `OPENAI_API_VERSION` environment variable or pass it '
            'via `AzureProvider(api_version=...)`, or give an azure_endpoint that ends in /openai/v1, which has none.'
        )
