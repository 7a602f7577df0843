"""Turns a request in OpenAI's responses format into the messages, the settings and the parameters that ask for it."""

from dataclasses import dataclass, fields
from typing import Any

from plait_agent.builtin_tools import (
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebSearchTool,
)
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
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models._openai_responses.builtin_tools import write_builtin_tool
from plait_agent.models._openai_responses.decode import decode_item
from plait_agent.output import OutputObjectDefinition
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

Item = dict[str, Any]


@dataclass
class Read:
    """What a request asks, and for what."""

    messages: list[ModelMessage]
    settings: Any
    parameters: ModelRequestParameters


_SETTINGS = {
    'background': 'openai_background',
    'context_management': 'openai_context_management',
    'conversation': 'openai_conversation_id',
    'max_output_tokens': 'max_tokens',
    'max_tool_calls': 'openai_max_tool_calls',
    'metadata': 'openai_metadata',
    'moderation': 'openai_moderation',
    'prompt': 'openai_prompt',
    'safety_identifier': 'openai_safety_identifier',
    'temperature': 'temperature',
    'top_p': 'top_p',
    'parallel_tool_calls': 'parallel_tool_calls',
    'prompt_cache_key': 'openai_prompt_cache_key',
    'prompt_cache_options': 'openai_prompt_cache_options',
    'prompt_cache_retention': 'openai_prompt_cache_retention',
    'service_tier': 'openai_service_tier',
    'store': 'openai_store',
    'previous_response_id': 'openai_previous_response_id',
    'truncation': 'openai_truncation',
    'user': 'openai_user',
    'top_logprobs': 'openai_top_logprobs',
}
_INCLUDED = {
    'code_interpreter_call.outputs': 'openai_include_code_execution_outputs',
    'web_search_call.action.sources': 'openai_include_web_search_sources',
    'file_search_call.results': 'openai_include_file_search_results',
    'message.output_text.logprobs': 'openai_logprobs',
}
_READ = {'input', 'instructions', 'model', 'stream', 'include', 'reasoning', 'text', 'tools', 'tool_choice'}


def read_request(body: Item, provider: str) -> Read:
    """Read a request. What we have no setting for goes into its body as it is."""
    settings = {_SETTINGS[name]: value for name, value in body.items() if name in _SETTINGS}
    settings |= {_INCLUDED[word]: True for word in body.get('include', ()) if word in _INCLUDED}
    settings |= {f'openai_reasoning_{name}': value for name, value in (body.get('reasoning') or {}).items()}
    text = body.get('text') or {}
    if 'verbosity' in text:
        settings['openai_text_verbosity'] = text['verbosity']
    tools: list[Item] = body.get('tools') or []
    functions = [tool for tool in tools if tool['type'] == 'function']
    own = [(tool, _read_builtin(tool)) for tool in tools if tool['type'] != 'function']
    builtin = [read for _, read in own if read is not None]
    settings['openai_builtin_tools'] = [tool for tool, read in own if read is None]
    settings['openai_deferred_tools'] = [tool['name'] for tool in functions if tool.get('defer_loading')]
    settings['tool_choice'] = _read_choice(body.get('tool_choice', 'auto'))
    settings['extra_body'] = {name: value for name, value in body.items() if name not in {*_SETTINGS, *_READ}}
    parameters = ModelRequestParameters(
        function_tools=[_read_function(tool) for tool in functions], builtin_tools=builtin, **_read_output(text)
    )
    messages = _Reader(provider).read(body)
    return Read(messages, settings, parameters)


def _read_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if choice['type'] != 'allowed_tools':
        return [choice['name']]
    names = [tool['name'] for tool in choice['tools'] if tool['type'] == 'function']
    return names if choice['mode'] == 'required' else ToolOrOutput(function_tools=names)


def _read_output(text: Item) -> Item:
    said = text.get('format') or {}
    if said.get('type') == 'json_object':
        return {'output_mode': 'prompted'}
    if said.get('type') != 'json_schema':
        return {}
    output = OutputObjectDefinition(said['schema'], said['name'], said.get('description'), said.get('strict'))
    return {'output_mode': 'native', 'output_object': output}


def _read_function(tool: Item) -> ToolDefinition:
    return ToolDefinition(
        name=tool['name'],
        description=tool['description'],
        parameters_json_schema=tool['parameters'],
        strict=tool['strict'],
    )


def _read_mcp(tool: Item) -> MCPServerTool:
    return MCPServerTool(
        id=tool['server_label'],
        url=tool.get('server_url') or f'x-openai-connector:{tool["connector_id"]}',
        authorization_token=tool.get('authorization'),
        allowed_tools=tool.get('allowed_tools'),
        description=tool.get('server_description'),
        headers=tool.get('headers'),
    )


def _read_web_search(tool: Item) -> WebSearchTool:
    location = {name: value for name, value in (tool.get('user_location') or {}).items() if name != 'type'}
    return WebSearchTool(
        search_context_size=tool.get('search_context_size', 'medium'),
        user_location=location or None,  # pyright: ignore[reportArgumentType] # as it was recorded
        allowed_domains=(tool.get('filters') or {}).get('allowed_domains'),
    )


_OF_IMAGES = {each.name for each in fields(ImageGenerationTool)}

_BUILTIN: Item = {
    'web_search': _read_web_search,
    'file_search': lambda tool: FileSearchTool(file_store_ids=tool['vector_store_ids']),
    'code_interpreter': lambda _: CodeExecutionTool(),
    'image_generation': lambda tool: ImageGenerationTool(
        **{name: value for name, value in tool.items() if name in _OF_IMAGES}
    ),
    'mcp': _read_mcp,
}


def _read_builtin(tool: Item) -> AbstractBuiltinTool | None:
    """A tool that OpenAI runs; nothing if no class of ours can say all that is said of it."""
    if tool['type'] not in _BUILTIN:
        return None
    read: AbstractBuiltinTool = _BUILTIN[tool['type']](tool)
    return read if write_builtin_tool(read) == tool else None


class _Reader:
    """Puts items together to messages."""

    def __init__(self, provider: str):
        self._provider = provider
        self._messages: list[ModelMessage] = []
        self._names: dict[str, str] = {}

    def read(self, body: Item) -> list[ModelMessage]:
        """Read the input of a request."""
        items: Any = body['input']
        for item in items:
            self._read_item(item)
        requests = [message for message in self._messages if isinstance(message, ModelRequest)]
        requests[-1].instructions = body.get('instructions')
        return self._messages

    def _read_item(self, item: Item) -> None:
        kind = item.get('type')
        if kind == 'function_call_output':
            name = self._names.get(item['call_id'], 'unknown')
            self._asked(ToolReturnPart(name, _read_output_content(item['output']), item['call_id']))
        elif item.get('role') == 'user':
            self._asked(UserPromptPart(_read_content(item['content'])))
        elif item.get('role') == 'system':
            self._asked(SystemPromptPart(item['content']))
        elif item.get('role') == 'assistant' and kind is None:
            self._answered(_read_plain(item['content']))
        else:
            parts = [part for _, part in decode_item(item, self._provider)]
            if kind == 'function_call':
                self._names[item['call_id']] = item['name']
            self._answered(*parts)

    def _asked(self, part: Any) -> None:
        last = self._messages[-1] if self._messages else None
        if not isinstance(last, ModelRequest):
            last = ModelRequest([])
            self._messages.append(last)
        last.parts = [*last.parts, part]

    def _answered(self, *parts: Any) -> None:
        last = self._messages[-1] if self._messages else None
        if not isinstance(last, ModelResponse):
            last = ModelResponse([], provider_name=self._provider)
            self._messages.append(last)
        last.parts = [*last.parts, *parts]


def _read_plain(content: str) -> TextPart | ThinkingPart:
    if content.startswith('<think>\n'):
        return ThinkingPart(content.removeprefix('<think>\n').removesuffix('\n</think>'))
    return TextPart(content)


def _read_content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts: list[Any] = []
    for part in content:
        parts.append(_read_part(part))
        if 'prompt_cache_breakpoint' in part:
            parts.append(CachePoint())
    return parts


def _read_output_content(output: Any) -> Any:
    return output if isinstance(output, str) else [_read_part(part) for part in output]


def _read_part(part: Item) -> Any:
    if part['type'] == 'input_text':
        return part['text']
    if part['type'] == 'input_image':
        url: str = part['image_url']
        metadata = {'detail': part['detail']}
        if url.startswith('data:'):
            file = BinaryContent.from_data_uri(url)
            return BinaryContent(file.data, media_type=file.media_type, vendor_metadata=metadata)
        return ImageUrl(url, vendor_metadata=metadata)
    if 'file_url' in part:
        return DocumentUrl(part['file_url'])
    file = BinaryContent.from_data_uri(part['file_data'])
    return BinaryContent(file.data, media_type=file.media_type, vendor_metadata={'filename': part['filename']})
