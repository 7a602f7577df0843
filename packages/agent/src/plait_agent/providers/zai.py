"""Models that Z.ai serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('ZaiProvider',)


class ZaiProvider(CompatibleProvider):
    """Serves the models of Z.ai. The key is taken from `ZAI_API_KEY`."""

    server: ClassVar = Server(
        'zai',
        'Z.ai',
        'https://api.z.ai/api/paas/v4',
        key_variables=('ZAI_API_KEY',),
        families={
            '': 'zai',
        },
        traits={
            'supports_json_object_output': True,
            'openai_supports_strict_tool_definition': False,
            'openai_supports_tool_choice_required': False,
            'openai_chat_thinking_field': 'reasoning_content',
            'openai_chat_send_back_thinking_parts': 'field',
            'openai_chat_max_tokens_field': 'max_tokens',
        },
    )
