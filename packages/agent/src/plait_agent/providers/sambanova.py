"""Models that SambaNova serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('SambaNovaProvider',)


class SambaNovaProvider(CompatibleProvider):
    """Serves the models of SambaNova.

    The key is taken from `SAMBANOVA_API_KEY`. Another address is taken from `SAMBANOVA_BASE_URL`.
    """

    server: ClassVar = Server(
        'sambanova',
        'SambaNova',
        'https://api.sambanova.ai/v1',
        key_variables=('SAMBANOVA_API_KEY',),
        url_variable='SAMBANOVA_BASE_URL',
        families={
            'llama': 'meta',
            'qwen': 'qwen',
            'deepseek': 'deepseek',
            'mistral': 'mistral',
            'meta-llama': 'meta',
            'gpt-oss': 'harmony',
        },
    )
