"""Models that Cohere serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('CohereProvider',)


class CohereProvider(CompatibleProvider):
    """Serves the models of Cohere. The key is taken from `CO_API_KEY`."""

    server: ClassVar = Server(
        'cohere',
        'Cohere',
        'https://api.cohere.ai/compatibility/v1',
        key_variables=('CO_API_KEY',),
        families={
            '': 'cohere',
        },
        traits={
            'supports_json_schema_output': True,
            'supports_json_object_output': True,
            'openai_supports_strict_tool_definition': False,
            'openai_chat_max_tokens_field': 'max_tokens',
        },
    )
