"""Models that Cerebras serves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

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
            ),
        },
    )

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells; those of Z.ai want their thoughts within the text here."""
        from plait_agent.profiles.openai import OpenAIModelProfile

        profile = OpenAIModelProfile.from_profile(super().model_profile(model_name))
        is_of_zai = model_name.startswith('zai')
        return replace(profile, openai_chat_send_back_thinking_parts='tags') if is_of_zai else profile
