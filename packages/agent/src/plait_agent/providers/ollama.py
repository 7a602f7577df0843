"""Models that Ollama serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('OllamaProvider',)


class OllamaProvider(CompatibleProvider):
    """Serves the models of Ollama.

    A key, if it asks for one, is taken from `OLLAMA_API_KEY`. The address is taken from `OLLAMA_BASE_URL`.
    """

    server: ClassVar = Server(
        'ollama',
        'Ollama',
        key_variables=('OLLAMA_API_KEY',),
        url_variable='OLLAMA_BASE_URL',
        url_path='/v1',
        asks_for_key=False,
        families={
            'llama': 'meta',
            'qwen': 'qwen',
            'deepseek': 'deepseek',
            'mistral': 'mistral',
            'gemma': 'google',
            'command': 'cohere',
            'gpt-oss': 'harmony',
            'qwq': 'qwen',
        },
        traits={
            'openai_supports_strict_tool_definition': False,
            'openai_chat_thinking_field': 'reasoning',
            'openai_chat_send_back_thinking_parts': 'field',
        },
    )
