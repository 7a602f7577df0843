"""What Qwen's models can do."""

from __future__ import annotations

from plait_agent._json_schema_transformer import InlineDefsJsonSchemaTransformer
from plait_agent.profiles import ModelProfile
from plait_agent.profiles.openai import OpenAIModelProfile

__all__ = ('qwen_model_profile',)


def qwen_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of Qwen can do by its name."""
    name = model_name.lower()
    is_coder = name.startswith('qwen-3-coder')
    sees_all = 'omni' in name
    return OpenAIModelProfile(
        json_schema_transformer=InlineDefsJsonSchemaTransformer,
        ignore_streamed_leading_whitespace=True,
        openai_supports_strict_tool_definition=not is_coder,
        openai_supports_tool_choice_required=not is_coder,
        openai_chat_audio_input_encoding='uri' if sees_all else 'base64',
        openai_chat_supports_video=sees_all,
    )
