"""Models that Hugging Face serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('HuggingFaceProvider',)


class HuggingFaceProvider(CompatibleProvider):
    """Serves the models of Hugging Face. The key is taken from `HF_TOKEN`."""

    server: ClassVar = Server(
        'huggingface',
        'Hugging Face',
        'https://router.huggingface.co/v1',
        key_variables=('HF_TOKEN',),
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
