"""Models that DeepSeek serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('DeepSeekProvider',)


class DeepSeekProvider(CompatibleProvider):
    """Serves the models of DeepSeek. The key is taken from `DEEPSEEK_API_KEY`."""

    server: ClassVar = Server(
        'deepseek',
        'DeepSeek',
        'https://api.deepseek.com',
        key_variables=('DEEPSEEK_API_KEY',),
        families={
            '': 'deepseek',
        },
        traits={
            'supports_json_object_output': True,
            'openai_chat_thinking_field': 'reasoning_content',
            'openai_chat_send_back_thinking_parts': 'field',
            'openai_chat_thinking_requires_field_on_tool_calls': True,
            'openai_chat_max_tokens_field': 'max_tokens',
        },
    )
