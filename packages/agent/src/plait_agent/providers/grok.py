"""Models that xAI serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('GrokProvider',)


class GrokProvider(CompatibleProvider):
    """Serves the models of xAI. The key is taken from `GROK_API_KEY`."""

    server: ClassVar = Server(
        'grok',
        'xAI',
        'https://api.x.ai/v1',
        key_variables=('GROK_API_KEY',),
        families={
            '': 'grok',
        },
        traits={
            'openai_supports_strict_tool_definition': False,
        },
    )
