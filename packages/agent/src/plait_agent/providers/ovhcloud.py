"""Models that OVHcloud AI Endpoints serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('OVHcloudProvider',)


class OVHcloudProvider(CompatibleProvider):
    """Serves the models of OVHcloud AI Endpoints. The key is taken from `OVHCLOUD_API_KEY`."""

    server: ClassVar = Server(
        'ovhcloud',
        'OVHcloud AI Endpoints',
        'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1',
        key_variables=('OVHCLOUD_API_KEY',),
        families={
            'llama': 'meta',
            'qwen': 'qwen',
            'deepseek': 'deepseek',
            'mistral': 'mistral',
            'gpt-oss': 'harmony',
            'meta-': 'meta',
        },
    )
