"""What a request asks for beside its messages, as arguments of OpenAI's library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.models._tool_choice import choose_tools
from plait_agent.profiles.openai import refused_settings

if TYPE_CHECKING:
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.models._memo import IdentityMemo
    from plait_agent.models._parameters import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.output import OutputObjectDefinition
    from plait_agent.profiles.openai import OpenAIModelProfile
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

Json = dict[str, Any]

_FIELDS = {
    'temperature': 'temperature',
    'top_p': 'top_p',
    'seed': 'seed',
    'presence_penalty': 'presence_penalty',
    'frequency_penalty': 'frequency_penalty',
    'logit_bias': 'logit_bias',
    'stop_sequences': 'stop',
    'timeout': 'timeout',
    'openai_reasoning_effort': 'reasoning_effort',
    'openai_logprobs': 'logprobs',
    'openai_top_logprobs': 'top_logprobs',
    'openai_user': 'user',
    'openai_service_tier': 'service_tier',
    'openai_prediction': 'prediction',
    'openai_prompt_cache_key': 'prompt_cache_key',
    'openai_prompt_cache_retention': 'prompt_cache_retention',
    'openai_store': 'store',
    'openai_safety_identifier': 'safety_identifier',
    'openai_modalities': 'modalities',
    'openai_audio': 'audio',
    'openai_verbosity': 'verbosity',
    'openai_text_verbosity': 'verbosity',
}
"""Settings, and what they are called in a request."""


def encode_settings(settings: ModelSettings | None, profile: OpenAIModelProfile) -> Json:
    """What the settings ask for, without what the model does not take."""
    said = cast('Mapping[str, Any]', settings or {})
    arguments = {field: said[name] for name, field in _FIELDS.items() if name in said}
    if 'max_tokens' in said:
        arguments[profile.openai_chat_max_tokens_field] = said['max_tokens']
    for field in refused_settings(profile, said.get('openai_reasoning_effort')):
        arguments.pop(field, None)
    headers, body = said.get('extra_headers'), said.get('extra_body')
    if headers:
        arguments['extra_headers'] = headers
    if body:
        arguments['extra_body'] = body
    return arguments


def encode_tools(
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    profile: OpenAIModelProfile,
    known: IdentityMemo[Json],
) -> Json:
    """The tools, and which of them may or must be called.

    Args:
        settings: May choose among the tools.
        parameters: Hold the tools.
        profile: What is known of the model.
        known: Tools that were written before; they come again with each request.

    Raises:
        UserError: The settings choose what there is not.
    """
    choice = choose_tools(settings, parameters)
    if not choice.tools:
        return {}
    tools, said = _encode_choice(choice, profile)
    if not tools:
        return {}
    strict = profile.openai_supports_strict_tool_definition
    arguments: Json = {
        'tools': [known.get(tool) or known.put(tool, _encode_tool(tool, strict=strict)) for tool in tools],
        'tool_choice': said,
    }
    parallel = (settings or {}).get('parallel_tool_calls')
    if parallel is not None and 'parallel_tool_calls' not in profile.openai_unsupported_model_settings:
        arguments['parallel_tool_calls'] = parallel
    return arguments


def _encode_choice(choice: ToolChoice, profile: OpenAIModelProfile) -> tuple[list[ToolDefinition], Any]:
    """The tools that are told of, and what is said of them."""
    forces = choice.mode == 'required' and profile.openai_supports_tool_choice_required
    mode = 'auto' if choice.mode == 'required' else choice.mode
    if forces:
        mode = profile.openai_chat_tool_choice_required
    if choice.allowed is None or choice.mode == 'none':
        return choice.tools, mode
    if forces and len(choice.allowed) == 1:
        return choice.tools, _named(*choice.allowed)
    if not profile.openai_chat_supports_allowed_tools:
        return choice.callable_tools, mode
    allowed = [_named(tool.name) for tool in choice.callable_tools]
    return choice.tools, {'type': 'allowed_tools', 'allowed_tools': {'mode': mode, 'tools': allowed}}


def _named(name: str) -> Json:
    return {'type': 'function', 'function': {'name': name}}


def _encode_tool(tool: ToolDefinition, *, strict: bool) -> Json:
    function: Json = {
        'name': tool.name,
        'description': tool.description or '',
        'parameters': tool.parameters_json_schema,
    }
    if tool.strict and strict:
        function['strict'] = True
    return {'type': 'function', 'function': function}


def encode_output(parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> Json:
    """The form of the answer."""
    if parameters.output_mode == 'native' and parameters.output_object is not None:
        return {'response_format': {'type': 'json_schema', 'json_schema': _schema(parameters.output_object, profile)}}
    takes_json = profile.openai_chat_supports_json_object_with_tools or not parameters.function_tools
    if parameters.output_mode == 'prompted' and profile.supports_json_object_output and takes_json:
        return {'response_format': {'type': 'json_object'}}
    return {}


def _schema(output: OutputObjectDefinition, profile: OpenAIModelProfile) -> Json:
    schema: Json = {'name': output.name or 'final_result', 'schema': output.json_schema}
    if output.description:
        schema['description'] = output.description
    if output.strict and (profile.openai_supports_strict_tool_definition or profile.openai_chat_supports_strict_output):
        schema['strict'] = True
    return schema


def encode_web_search(tools: list[AbstractBuiltinTool]) -> Json:
    """How the web is to be searched, if it is."""
    for tool in tools:
        if isinstance(tool, WebSearchTool):
            options: Json = {'search_context_size': tool.search_context_size}
            if tool.user_location:
                options['user_location'] = {'type': 'approximate', 'approximate': tool.user_location}
            return {'web_search_options': options}
    return {}
