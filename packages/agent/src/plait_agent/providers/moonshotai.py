"""Models that Moonshot AI serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('MoonshotAIProvider',)


class MoonshotAIProvider(CompatibleProvider):
    """Serves the models of Moonshot AI. The key is taken from `MOONSHOTAI_API_KEY`."""

    server: ClassVar = Server(
        'moonshotai',
        'Moonshot AI',
        'https://api.moonshot.ai/v1',
        key_variables=('MOONSHOTAI_API_KEY',),
        families={
            '': 'moonshotai',
        },
        traits={
            'supports_json_object_output': True,
            'openai_supports_tool_choice_required': False,
            'openai_chat_thinking_field': 'reasoning_content',
            'openai_chat_send_back_thinking_parts': 'field',
        },
    )
