"""Models that Fireworks AI serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('FireworksProvider',)


class FireworksProvider(CompatibleProvider):
    """Serves the models of Fireworks AI. The key is taken from `FIREWORKS_API_KEY`."""

    server: ClassVar = Server(
        'fireworks',
        'Fireworks AI',
        'https://api.fireworks.ai/inference/v1',
        key_variables=('FIREWORKS_API_KEY',),
        name_prefix='accounts/fireworks/models/',
        families={
            'llama': 'meta',
            'qwen': 'qwen',
            'deepseek': 'deepseek',
            'mistral': 'mistral',
            'gemma': 'google',
        },
    )
