"""Models that Nebius serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('NebiusProvider',)


class NebiusProvider(CompatibleProvider):
    """Serves the models of Nebius. The key is taken from `NEBIUS_API_KEY`."""

    server: ClassVar = Server(
        'nebius',
        'Nebius',
        'https://api.studio.nebius.com/v1',
        key_variables=('NEBIUS_API_KEY',),
        families={
            'deepseek-ai/': 'deepseek',
            'google/': 'google',
            'meta-llama/': 'meta',
            'mistralai/': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'harmony',
            'qwen/': 'qwen',
        },
    )
