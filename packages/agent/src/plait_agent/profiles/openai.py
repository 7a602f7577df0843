"""What OpenAI's models can do, and which JSON schemas they can be bound to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from plait_agent._json_schema_transformer import JsonSchema, JsonSchemaTransformer
from plait_agent.exceptions import UserError
from plait_agent.profiles import ModelProfile
from plait_agent.profiles._strict_schema import check_strict, is_bound, loose_keywords

__all__ = (
    'SAMPLING_PARAMS',
    'OpenAIJsonSchemaTransformer',
    'OpenAIModelProfile',
    'OpenAISystemPromptRole',
    'openai_model_profile',
    'refused_settings',
)

OpenAISystemPromptRole: TypeAlias = Literal['system', 'developer', 'user']
"""Who says what the developer has written."""

SAMPLING_PARAMS = (
    'temperature',
    'top_p',
    'presence_penalty',
    'frequency_penalty',
    'logit_bias',
    'logprobs',
    'top_logprobs',
)
"""What models that reason refuse to be told."""


@dataclass(kw_only=True)
class OpenAIModelProfile(ModelProfile):
    """What a model can do that is asked in one of OpenAI's formats, whoever serves it."""

    openai_chat_thinking_field: str | None = None
    """The field of a message that holds thoughts; without it the usual ones are tried."""
    openai_chat_send_back_thinking_parts: Literal['auto', 'tags', 'field', 'chunks', False] = 'auto'
    """How the model is told its former thoughts: within the text, in the field for thoughts, as chunks of the content,
    or not at all. `'auto'` is the field for those that came from this provider in one, and the text for others."""
    openai_chat_thinking_requires_field_on_tool_calls: bool = False
    """Whether calls have to come with the field for thoughts, even if it is empty."""
    openai_supports_strict_tool_definition: bool = True
    """Whether it can be kept to the schemas of tools."""
    openai_supports_sampling_settings: bool = True
    """Whether it takes settings such as `temperature`."""
    openai_unsupported_model_settings: Sequence[str] = ()
    """Settings that it refuses, by the name of their field in a request. They are left out."""
    openai_reasons_by_default: bool = True
    """Whether it reasons if nothing is said of it. A model that does not then takes settings such as `temperature`."""
    openai_supports_tool_choice_required: bool = True
    """Whether it can be made to call a tool."""
    openai_system_prompt_role: OpenAISystemPromptRole | None = None
    """Who says system prompts and instructions; `None` means the system."""
    openai_chat_supports_web_search: bool = False
    """Whether it searches the web in chat completions."""
    openai_chat_audio_input_encoding: Literal['base64', 'uri'] = 'base64'
    """How recordings are written."""
    openai_chat_supports_file_urls: bool = False
    """Whether the provider fetches documents by their URL; else they are fetched here."""
    openai_supports_encrypted_reasoning_content: bool = False
    """Whether the thoughts of the model come back encrypted, in the responses format."""
    openai_responses_requires_function_call_status_none: bool = False
    """Whether calls that are sent back must have no status, in the responses format."""

    # How the dialects of chat completions differ.
    openai_chat_max_tokens_field: Literal['max_completion_tokens', 'max_tokens'] = 'max_completion_tokens'
    """What the length of the answer is called."""
    openai_chat_tool_choice_required: Literal['required', 'any'] = 'required'
    """The word that makes the model call a tool."""
    openai_chat_supports_allowed_tools: bool = False
    """Whether some of the tools can be named as the only ones to call; else the others are left out."""
    openai_chat_supports_stream_options: bool = True
    """Whether it has to be asked to tell what a stream has used."""
    openai_chat_tool_call_id_length: int | None = None
    """How many letters and digits the ids of calls must have; others are replaced."""
    openai_chat_document_part: Literal['file', 'document_url'] = 'file'
    """How documents are written."""
    openai_chat_audio_formats: Sequence[str] = ('mp3', 'wav')
    """The kinds of recordings that it takes."""
    openai_chat_supports_video: bool = False
    """Whether it takes videos."""
    openai_chat_cache_points: Literal['lasting', 'plain'] | None = None
    """How a prompt marks up to where it is to be cached: with how long it is kept, without that, or not at all."""
    openai_chat_supports_strict_output: bool = False
    """Whether its answer can be kept to a schema even if calls of tools cannot."""
    openai_chat_supports_json_object_with_tools: bool = True
    """Whether it can be bound to answer with JSON while it is given tools."""

    def __post_init__(self) -> None:
        if self.openai_chat_send_back_thinking_parts == 'field' and self.openai_chat_thinking_field is None:
            raise UserError(
                "The profile has openai_chat_send_back_thinking_parts='field', and no openai_chat_thinking_field. "
                "Name the field, such as 'reasoning_content'."
            )


class OpenAIJsonSchemaTransformer(JsonSchemaTransformer):
    """Makes schemas fit for OpenAI's strict mode, in which answers are bound to them.

    With `strict=True` fields become required, their defaults go, and keywords that strict mode lacks become words in
    the description. With `strict=None` nothing is lost: a schema that says more than strict mode can is left as it is,
    and the model is not bound to it.

    Raises:
        UserError: Strict mode is wanted, and the schema means something that it cannot express.
    """

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict)
        self._root = schema.get('$ref')

    def walk(self) -> JsonSchema:
        """Rewrite the whole schema. A root that only refers becomes what it refers to."""
        if self.strict:
            check_strict(self.schema)
        result = super().walk()
        if self._root is None:
            return result
        name = self._root.removeprefix('#/$defs/')
        definition = result.get('$defs', {}).get(name)
        if definition is None:
            return result
        return definition | {key: value for key, value in result.items() if key not in ('$ref', 'anyOf')}

    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Rewrite one schema, and note whether a model can be bound to it."""
        for key in ('title', '$schema', 'discriminator'):
            schema.pop(key, None)
        self._name_reference(schema)
        if self.strict:
            self._tighten(schema)
        elif self.strict is None:
            self.is_strict_compatible &= is_bound(schema)
        if schema.get('type') == 'object':
            self._close(schema)
        return schema

    def _name_reference(self, schema: JsonSchema) -> None:
        """Point at the root where it is meant, and let nothing stand beside a reference."""
        if self.strict:
            schema.pop('default', None)
        ref = schema.get('$ref')
        if ref is None:
            return
        if ref == self._root:
            ref = schema['$ref'] = '#'
        if len(schema) > 1:
            del schema['$ref']
            schema['anyOf'] = [{'$ref': ref}]

    def _tighten(self, schema: JsonSchema) -> None:
        """Say in the description what strict mode has no keyword for."""
        if 'oneOf' in schema:
            schema['anyOf'] = schema.pop('oneOf')
        loose = loose_keywords(schema)
        if loose:
            told = ', '.join(f'{key}={schema.pop(key)}' for key in loose)
            before = schema.get('description')
            schema['description'] = f'{before} ({told})' if before else told

    def _close(self, schema: JsonSchema) -> None:
        """Let an object have no other fields than those that it names."""
        properties: dict[str, Any] = schema.setdefault('properties', {})
        if self.strict:
            schema['additionalProperties'] = False
            schema['required'] = list(properties)
            return
        if self.strict is False:
            return
        schema.setdefault('additionalProperties', False)
        is_closed = schema['additionalProperties'] is False
        if not is_closed or 'required' not in schema or set(schema['required']) != set(properties):
            self.is_strict_compatible = False


_NEW = re.compile('gpt-[5-9]')
_REASONING = re.compile('o[1-9]')
_REASONING_IF_ASKED = re.compile(r'gpt-5\.[1-4](-mini|-nano)?(-\d{4}-\d{2}-\d{2})?')
"""The models between those that always reason and those that do unless they are asked not to."""


def openai_model_profile(model_name: str) -> ModelProfile:
    """Tell what a model of OpenAI can do by its name."""
    is_new = _NEW.match(model_name) is not None
    reasons = (is_new or _REASONING.match(model_name) is not None) and not model_name.startswith('gpt-5-chat')
    draws = is_new or model_name.startswith(('gpt-4o', 'gpt-4.1', 'o3', 'chatgpt-4o'))
    return OpenAIModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        supports_image_output=draws,
        json_schema_transformer=OpenAIJsonSchemaTransformer,
        openai_unsupported_model_settings=SAMPLING_PARAMS if reasons else (),
        openai_reasons_by_default=_REASONING_IF_ASKED.fullmatch(model_name) is None,
        # The first of them refuse system prompts.
        openai_system_prompt_role='user' if model_name.startswith('o1-mini') else None,
        openai_chat_supports_web_search='-search-preview' in model_name,
        openai_supports_encrypted_reasoning_content=reasons,
        openai_chat_supports_allowed_tools=is_new,
    )


def refused_settings(profile: OpenAIModelProfile, effort: str | None) -> set[str]:
    """Tell which fields of a request a model refuses, by how much it is asked to reason."""
    refused = set(profile.openai_unsupported_model_settings)
    if not profile.openai_supports_sampling_settings:
        refused.update(SAMPLING_PARAMS)
    reasons = profile.openai_reasons_by_default if effort is None else effort != 'none'
    # A model that does not reason takes what others take.
    return refused if reasons else refused.difference(SAMPLING_PARAMS)
