"""Models that a LiteLLM proxy serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from openai import AsyncOpenAI

__all__ = ('LiteLLMProvider',)


class LiteLLMProvider(CompatibleProvider):
    """Serves the models of a LiteLLM proxy.

    Args:
        api_key: The key, if the proxy asks for one; without it, `LITELLM_API_KEY` is asked.
        api_base: Where the proxy is; without it, `LITELLM_API_BASE` is asked.
        openai_client: A client of OpenAI's library to use as it is, in place of all else.
        http_client: The HTTP client to use; without it, models of LiteLLM share one.

    Raises:
        UserError: There is no address.
        ImportError: OpenAI's library is not installed.
    """

    server: ClassVar = Server(
        'litellm',
        'LiteLLM',
        key_variables=('LITELLM_API_KEY',),
        url_variable='LITELLM_API_BASE',
        url_argument='api_base',
        asks_for_key=False,
        families={
            '': 'openai',
            'amazon/': 'amazon',
            'anthropic/': 'anthropic',
            'bedrock/': 'amazon',
            'cohere/': 'cohere',
            'deepseek/': 'deepseek',
            'gemini/': 'google',
            'google/': 'google',
            'groq/': 'groq',
            'meta-llama/': 'meta',
            'meta/': 'meta',
            'mistral/': 'mistral',
            'mistralai/': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'openai',
            'vertex_ai/': 'google',
            'x-ai/': 'grok',
            'xai/': 'grok',
        },
    )

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        http_client: AsyncClient | None = None,
    ):
        super().__init__(api_base, api_key, openai_client, http_client)
