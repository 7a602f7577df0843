"""Reads a recorded request of chat completions as the messages, settings and parameters that ask for it."""

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.output import OutputObjectDefinition
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

SETTINGS = {
    'frequency_penalty': 'frequency_penalty',
    'logit_bias': 'logit_bias',
    'logprobs': 'openai_logprobs',
    'max_completion_tokens': 'max_tokens',
    'max_tokens': 'max_tokens',
    'parallel_tool_calls': 'parallel_tool_calls',
    'prediction': 'openai_prediction',
    'presence_penalty': 'presence_penalty',
    'prompt_cache_key': 'openai_prompt_cache_key',
    'prompt_cache_retention': 'openai_prompt_cache_retention',
    'reasoning_effort': 'openai_reasoning_effort',
    'reasoning_format': 'groq_reasoning_format',
    'seed': 'seed',
    'service_tier': 'openai_service_tier',
    'stop': 'stop_sequences',
    'store': 'openai_store',
    'temperature': 'temperature',
    'top_logprobs': 'openai_top_logprobs',
    'top_p': 'top_p',
    'user': 'openai_user',
    'verbosity': 'openai_verbosity',
}
"""Fields of a request and the settings that they come from."""
READ_OTHERWISE = {
    'messages',
    'model',
    'response_format',
    'stream',
    'stream_options',
    'tool_choice',
    'tools',
    'web_search_options',
}
_THOUGHT = re.compile(r'(?:\n\n)?<think>\n(.*?)\n</think>(?:\n\n)?', re.DOTALL)


@dataclass
class Read:
    """What a request was made of."""

    messages: list[ModelMessage]
    settings: dict[str, Any]
    parameters: ModelRequestParameters
    profile: dict[str, Any]
    """What the model must be able to do for it."""


def read_request(body: dict[str, Any], provider: str) -> Read:
    """Read a request. What no setting stands for is sent along, as programs would do it."""
    settings = {SETTINGS[name]: value for name, value in body.items() if name in SETTINGS and value is not None}
    rest = {name: value for name, value in body.items() if name not in SETTINGS and name not in READ_OTHERWISE}
    if rest:
        settings['extra_body'] = rest
    settings['tool_choice'] = _read_choice(body.get('tool_choice'))
    if any('function' not in tool for tool in body.get('tools') or ()):
        settings['extra_body'] = {**rest, 'tools': body['tools']}  # tools of the provider's own
    profile = _read_profile(body)
    roles = {message['role'] for message in body['messages']} & {'developer', 'system'}
    if roles:
        profile['openai_system_prompt_role'] = roles.pop()
    return Read(_read_messages(body['messages'], provider), settings, _read_parameters(body, profile), profile)


def _read_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return 'required' if choice == 'any' else choice
    if choice['type'] != 'allowed_tools':
        return [choice['function']['name']]
    names = [tool['function']['name'] for tool in choice['allowed_tools']['tools']]
    return names if choice['allowed_tools']['mode'] == 'required' else ToolOrOutput(function_tools=names)


def _read_profile(body: dict[str, Any]) -> dict[str, Any]:
    """What the model can do, as far as it was asked to."""
    choice = body.get('tool_choice')
    profile: dict[str, Any] = {
        'openai_chat_supports_web_search': 'web_search_options' in body,
        # It was told all this, even if it may have refused it.
        'openai_unsupported_model_settings': (),
    }
    if any(_THOUGHT.search(_text_of(message)) for message in body['messages'] if message['role'] == 'assistant'):
        profile['openai_chat_send_back_thinking_parts'] = 'tags'
    if choice == 'required' or isinstance(choice, dict):
        profile['openai_supports_tool_choice_required'] = True
    if isinstance(choice, dict) and choice['type'] == 'allowed_tools':
        profile['openai_chat_supports_allowed_tools'] = True
    if any((tool.get('function') or {}).get('strict') for tool in body.get('tools') or ()):
        profile['openai_supports_strict_tool_definition'] = True
    return profile


def _text_of(message: dict[str, Any]) -> str:
    content = message.get('content')
    return content if isinstance(content, str) else ''


def _read_parameters(body: dict[str, Any], profile: dict[str, Any]) -> ModelRequestParameters:
    parameters = ModelRequestParameters(
        function_tools=[_read_tool(tool['function']) for tool in body.get('tools') or () if 'function' in tool]
    )
    if 'web_search_options' in body:
        options = body['web_search_options']
        location = (options.get('user_location') or {}).get('approximate')
        size = options.get('search_context_size', 'medium')
        parameters.builtin_tools = [WebSearchTool(search_context_size=size, user_location=location)]
    wanted = body.get('response_format') or {}
    if wanted.get('type') == 'json_schema':
        schema = wanted['json_schema']
        parameters.output_mode = 'native'
        parameters.output_object = OutputObjectDefinition(
            schema['schema'], schema['name'], schema.get('description'), schema.get('strict')
        )
        profile['supports_json_schema_output'] = True
        profile['openai_chat_supports_strict_output'] = bool(schema.get('strict'))
    elif wanted.get('type') == 'json_object':
        # What the model is told of the schema stands among the messages.
        parameters.output_mode = 'prompted'
        profile['supports_json_object_output'] = True
    return parameters


def _read_tool(function: dict[str, Any]) -> ToolDefinition:
    return ToolDefinition(
        name=function['name'],
        description=function.get('description'),
        parameters_json_schema=function.get('parameters') or {'type': 'object', 'properties': {}},
        strict=function.get('strict'),
    )


# Messages


def _read_messages(messages: list[dict[str, Any]], provider: str) -> list[ModelMessage]:
    read: list[ModelMessage] = []
    names: dict[str, str] = {}
    for message in messages:
        if message['role'] == 'assistant':
            read.append(ModelResponse(_read_response(message, provider), provider_name=provider))
            names |= {call['id']: call['function']['name'] for call in message.get('tool_calls') or ()}
        else:
            read.append(ModelRequest([_read_request_part(message, names)]))
    return read


def _read_request_part(message: dict[str, Any], names: dict[str, str]) -> Any:
    content = message['content']
    if message['role'] in ('system', 'developer'):
        return SystemPromptPart(_joined(content))
    if message['role'] == 'tool':
        return ToolReturnPart(names[message['tool_call_id']], _joined(content), message['tool_call_id'])
    return UserPromptPart(
        content if isinstance(content, str) else [each for item in content for each in _read_item(item)]
    )


def _joined(content: Any) -> str:
    """Content of which only the text is known to our messages."""
    return content if isinstance(content, str) else '\n\n'.join(item['text'] for item in content)


def _read_item(item: dict[str, Any]) -> list[Any]:
    mark = item.get('cache_control')
    return [_read_content(item)] + ([] if mark is None else [CachePoint(mark.get('ttl', '5m'))])


def _read_content(item: dict[str, Any]) -> Any:
    kind = item['type']
    said = item.get(kind)
    if kind == 'text':
        return said
    if kind == 'input_audio':
        return BinaryContent(b64decode(said['data']), media_type={'mp3': 'audio/mpeg'}.get(said['format'], 'audio/wav'))
    url = said['file_data'] if kind == 'file' else said if isinstance(said, str) else said['url']
    metadata = {'detail': said['detail']} if kind == 'image_url' and 'detail' in said else None
    if url.startswith('data:'):
        content = BinaryContent.from_data_uri(url)
        content.vendor_metadata = metadata
        return content
    if kind == 'image_url':
        return ImageUrl(url, vendor_metadata=metadata)
    return VideoUrl(url) if kind == 'video_url' else DocumentUrl(url, media_type='application/pdf')


def _read_response(message: dict[str, Any], provider: str) -> list[Any]:
    parts: list[Any] = [_read_detail(each, provider) for each in message.get('reasoning_details') or ()]
    if not parts:
        fields = [name for name in ('reasoning', 'reasoning_content') if message.get(name)]
        parts += [ThinkingPart(message[name], id=name, provider_name=provider) for name in fields]
    content = message.get('content')
    if isinstance(content, str):
        parts += _read_text(content, provider)
    for chunk in content if isinstance(content, list) else ():
        if chunk['type'] == 'text':
            parts.append(TextPart(chunk['text']))
        elif chunk['type'] == 'thinking':
            thought = ''.join(each['text'] for each in chunk['thinking'])
            parts.append(ThinkingPart(thought, provider_name=provider))
    calls = message.get('tool_calls') or ()
    return parts + [ToolCallPart(call['function']['name'], call['function']['arguments'], call['id']) for call in calls]


def _read_text(content: str, provider: str) -> list[Any]:
    """The text of an answer, and the thoughts that stand within it."""
    parts: list[Any] = []
    for number, piece in enumerate(_THOUGHT.split(content)):
        if number % 2:
            parts.append(ThinkingPart(piece, provider_name=provider))
        elif piece or not parts:
            parts.append(TextPart(piece))
    return parts if len(parts) < 2 or parts[0].content else parts[1:]


def _read_detail(detail: dict[str, Any], provider: str) -> ThinkingPart:
    content = {'text', 'summary', 'data', 'signature', 'id'}
    return ThinkingPart(
        detail.get('text') or detail.get('summary') or '',
        id=detail.get('id'),
        signature=detail.get('signature') or detail.get('data'),
        provider_name=provider,
        provider_details={name: value for name, value in detail.items() if name not in content},
    )
