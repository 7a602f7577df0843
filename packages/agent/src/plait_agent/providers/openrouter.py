"""Models that OpenRouter passes requests on to."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from plait_agent.providers._compatible import CompatibleProvider, Server

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from openai import AsyncOpenAI

    from plait_agent.profiles import ModelProfile

__all__ = ('OpenRouterProvider',)

_CACHE_POINTS: dict[str, Literal['lasting', 'plain']] = {'anthropic': 'lasting', 'google': 'plain'}
"""Whose models are told what of a prompt to cache, and how."""


class OpenRouterProvider(CompatibleProvider):
    """Passes requests on to the models of many providers. The key is taken from `OPENROUTER_API_KEY`.

    Args:
        api_key: The key; without it, the environment is asked.
        app_url: Where the program is, for OpenRouter's lists; without it, `OPENROUTER_APP_URL` is asked.
        app_title: What the program is called; without it, `OPENROUTER_APP_TITLE` is asked.
        base_url: Where OpenRouter is, if not at its usual address.
        openai_client: A client of OpenAI's library to use as it is, in place of all else.
        http_client: The HTTP client to use; without it, models of OpenRouter share one.

    Raises:
        UserError: There is no key.
        ImportError: OpenAI's library is not installed.
    """

    server: ClassVar = Server(
        'openrouter',
        'OpenRouter',
        'https://openrouter.ai/api/v1',
        key_variables=('OPENROUTER_API_KEY',),
        families={
            'amazon/': 'amazon',
            'anthropic/': 'anthropic',
            'cohere/': 'cohere',
            'deepseek/': 'deepseek',
            'google/': 'google',
            'meta-llama/': 'meta',
            'mistralai/': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'openai',
            'qwen/': 'qwen',
            'x-ai/': 'grok',
            'z-ai/': 'zai',
        },
        traits={
            'openai_chat_thinking_field': 'reasoning',
            'openai_chat_send_back_thinking_parts': 'field',
            'openai_chat_supports_file_urls': True,
            'openai_chat_supports_video': True,
            'openai_chat_audio_formats': ('aac', 'aiff', 'flac', 'mp3', 'oga', 'wav'),
        },
    )

    def __init__(
        self,
        *,
        api_key: str | None = None,
        app_url: str | None = None,
        app_title: str | None = None,
        base_url: str | None = None,
        openai_client: AsyncOpenAI | None = None,
        http_client: AsyncClient | None = None,
    ):
        url = app_url or os.environ.get('OPENROUTER_APP_URL')
        title = app_title or os.environ.get('OPENROUTER_APP_TITLE')
        said = {'HTTP-Referer': url, 'X-Title': title}
        self._headers = {name: value for name, value in said.items() if value}
        super().__init__(base_url, api_key, openai_client, http_client)

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells; what follows a colon is how it is served."""
        from plait_agent.profiles.openai import OpenAIModelProfile

        profile = OpenAIModelProfile.from_profile(super().model_profile(model_name.partition(':')[0]))
        return replace(profile, openai_chat_cache_points=_CACHE_POINTS.get(model_name.partition('/')[0]))
