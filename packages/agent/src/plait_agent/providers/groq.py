"""Models that Groq serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

__all__ = ('GroqProvider',)


class GroqProvider(CompatibleProvider):
    """Serves the models of Groq.

    The key is taken from `GROQ_API_KEY`. Another address is taken from `GROQ_BASE_URL`.
    """

    server: ClassVar = Server(
        'groq',
        'Groq',
        'https://api.groq.com/openai/v1',
        key_variables=('GROQ_API_KEY',),
        url_variable='GROQ_BASE_URL',
        url_path='/openai/v1',
        families={
            'deepseek': 'deepseek',
            'gemma': 'google',
            'llama': 'meta',
            'meta-llama/': 'meta',
            'mistral': 'mistral',
            'moonshotai/': 'moonshotai',
            'openai/': 'openai',
            'qwen': 'qwen',
            'qwen/': 'qwen',
        },
        traits={
            'openai_supports_strict_tool_definition': False,
            'openai_chat_supports_json_object_with_tools': False,
            'openai_chat_send_back_thinking_parts': 'tags',
        },
    )

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells: what its family says, and what it can only here."""
        from plait_agent.profiles.groq import GroqModelProfile, groq_model_profile

        return GroqModelProfile.from_profile(super().model_profile(model_name)).update(groq_model_profile(model_name))
