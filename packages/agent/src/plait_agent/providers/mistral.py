"""Models that Mistral serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('MistralProvider',)


class MistralProvider(CompatibleProvider):
    """Serves the models of Mistral.

    The key is taken from `MISTRAL_API_KEY`. Another address is taken from `MISTRAL_BASE_URL`.
    """

    server: ClassVar = Server(
        'mistral',
        'Mistral',
        'https://api.mistral.ai/v1',
        key_variables=('MISTRAL_API_KEY',),
        url_variable='MISTRAL_BASE_URL',
        url_path='/v1',
        families={
            '': 'mistral',
        },
        traits={
            'supports_json_schema_output': True,
            'supports_json_object_output': True,
            'openai_supports_strict_tool_definition': False,
            'openai_unsupported_model_settings': ('seed', 'logit_bias', 'logprobs', 'top_logprobs', 'user'),
            'openai_chat_max_tokens_field': 'max_tokens',
            'openai_chat_tool_choice_required': 'any',
            'openai_chat_supports_stream_options': False,
            'openai_chat_tool_call_id_length': 9,
            'openai_chat_document_part': 'document_url',
            'openai_chat_send_back_thinking_parts': 'chunks',
        },
    )
