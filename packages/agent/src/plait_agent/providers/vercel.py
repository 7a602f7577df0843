"""Models that Vercel's AI gateway serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('VercelProvider',)


class VercelProvider(CompatibleProvider):
    """Serves the models of Vercel's AI gateway.

    The key is taken from `VERCEL_AI_GATEWAY_API_KEY` or `VERCEL_OIDC_TOKEN`.
    """

    server: ClassVar = Server(
        'vercel',
        "Vercel's AI gateway",
        'https://ai-gateway.vercel.sh/v1',
        key_variables=('VERCEL_AI_GATEWAY_API_KEY', 'VERCEL_OIDC_TOKEN'),
        families={
            'anthropic/': 'anthropic',
            'bedrock/': 'amazon',
            'cohere/': 'cohere',
            'deepseek/': 'deepseek',
            'google/': 'google',
            'mistral/': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'openai',
            'vertex/': 'google',
            'xai/': 'grok',
            'zai/': 'zai',
        },
    )
