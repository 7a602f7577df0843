"""Models that Alibaba Cloud Model Studio serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('AlibabaProvider',)


class AlibabaProvider(CompatibleProvider):
    """Serves the models of Alibaba Cloud Model Studio.

    The key is taken from `ALIBABA_API_KEY` or `DASHSCOPE_API_KEY`.
    """

    server: ClassVar = Server(
        'alibaba',
        'Alibaba Cloud Model Studio',
        'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
        key_variables=('ALIBABA_API_KEY', 'DASHSCOPE_API_KEY'),
        families={
            '': 'qwen',
        },
    )
