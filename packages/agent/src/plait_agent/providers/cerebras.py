"""Models that Cerebras serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('CerebrasProvider',)


class CerebrasProvider(CompatibleProvider):
    """Serves the models of Cerebras. The key is taken from `CEREBRAS_API_KEY`."""

    server: ClassVar = Server(
        'cerebras',
        'Cerebras',
        'https://api.cerebras.ai/v1',
        key_variables=('CEREBRAS_API_KEY',),
        families={
            'llama': 'meta',
            'qwen': 'qwen',
            'gpt-oss': 'harmony',
            'zai': 'zai',
        },
        traits={
            'openai_unsupported_model_settings': (
                'frequency_penalty',
                'logit_bias',
                'presence_penalty',
                'parallel_tool_calls',
            ),
        },
    )
