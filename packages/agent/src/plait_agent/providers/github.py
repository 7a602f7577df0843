"""Models that GitHub Models serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('GitHubProvider',)


class GitHubProvider(CompatibleProvider):
    """Serves the models of GitHub Models. The key is taken from `GITHUB_API_KEY`."""

    server: ClassVar = Server(
        'github',
        'GitHub Models',
        'https://models.github.ai/inference',
        key_variables=('GITHUB_API_KEY',),
        families={
            'cohere/': 'cohere',
            'deepseek/': 'deepseek',
            'meta/': 'meta',
            'microsoft/': 'openai',
            'mistral-ai/': 'mistral',
            'openai/': 'openai',
            'xai/': 'grok',
            '': 'openai',
        },
    )
