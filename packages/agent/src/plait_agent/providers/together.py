"""Models that Together AI serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('TogetherProvider',)


class TogetherProvider(CompatibleProvider):
    """Serves the models of Together AI. The key is taken from `TOGETHER_API_KEY`."""

    server: ClassVar = Server(
        'together',
        'Together AI',
        'https://api.together.xyz/v1',
        key_variables=('TOGETHER_API_KEY',),
        families={
            'deepseek-ai/': 'deepseek',
            'google/': 'google',
            'meta-llama/': 'meta',
            'mistralai/': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'harmony',
            'qwen/': 'qwen',
            'zai-org/': 'zai',
        },
    )
