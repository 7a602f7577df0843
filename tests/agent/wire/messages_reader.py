"""Turns a request of Anthropic's messages API into the messages, the settings and the parameters that ask for it."""

from base64 import b64decode
from typing import Any

from plait_agent.builtin_tools import CodeExecutionTool, MCPServerTool, MemoryTool, WebFetchTool, WebSearchTool
from plait_agent.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models._anthropic.builtin_tools import encode_builtin_tool
from plait_agent.models._anthropic.decode import BlockReader
from plait_agent.output import OutputObjectDefinition
from plait_agent.tools import ToolDefinition

AT_ONCE: dict[str, Any] = {'anthropic_max_continuations': 0}
"""Each exchange is looked at by itself, so an answer that stops in the middle is to be given as it is."""


def read_request(body: dict[str, Any]) -> tuple[list[Any], dict[str, Any], ModelRequestParameters]:
    """The messages, settings and parameters that a recorded request comes from."""
    reader = BlockReader('anthropic')
    names: dict[str, str] = {}
    messages: list[Any] = []
    settings: dict[str, Any] = {'max_tokens': body['max_tokens'], **AT_ONCE}
    for turn in body['messages']:
        blocks = turn['content']
        blocks = [{'type': 'text', 'text': blocks}] if isinstance(blocks, str) else blocks
        if turn['role'] == 'assistant':
            parts = [reader.read(block) for block in blocks]
            names |= {part.tool_call_id: part.tool_name for part in parts if isinstance(part, ToolCallPart)}
            messages.append(ModelResponse(parts, provider_name='anthropic'))
            continue
        messages.append(ModelRequest([part for block in blocks for part in read_block(turn['role'], block, names)]))
        if turn['role'] == 'system' and 'cache_control' in blocks[-1]:
            settings['anthropic_cache_messages'] = ttl_of(blocks[-1])
    if 'system' in body:
        read_system(body['system'], messages, settings)
    settings |= read_settings(body)
    return messages, settings, read_parameters(body, settings)


def ttl_of(block: dict[str, Any]) -> Any:
    """How long what is marked is kept; five minutes if it is not said."""
    return block['cache_control'].get('ttl', '5m')


def read_block(role: str, block: dict[str, Any], names: dict[str, str]) -> list[Any]:
    """The parts of a request that a block comes from."""
    if role == 'system':
        return [SystemPromptPart(block['text'])]
    mark = [UserPromptPart([CachePoint(ttl=ttl_of(block))])] if 'cache_control' in block else []
    if block['type'] != 'tool_result':
        return [UserPromptPart([read_content(block)]), *mark]
    return [read_result(block, names.get(block['tool_use_id'], 'unknown')), *mark]


FIX = '\n\nFix the errors and try again.'
"""What stands below each retry of ours."""


def read_result(block: dict[str, Any], name: str) -> Any:
    """The result of a call, or what went wrong with it."""
    said, call_id = block.get('content') or '', block['tool_use_id']
    if block.get('is_error'):
        text = said if isinstance(said, str) else said[0]['text']
        return RetryPromptPart(text.removesuffix(FIX), tool_name=name, tool_call_id=call_id)
    if isinstance(said, list):
        items = [read_content(each) for each in said]
        said = items[0] if len(items) == 1 and isinstance(items[0], str) else items
    return ToolReturnPart(name, said, call_id)


def read_content(block: dict[str, Any]) -> Any:
    """What a user or a tool has said."""
    if block['type'] == 'text':
        return block['text']
    if block['type'] not in ('image', 'document'):
        return block
    source = block['source']
    more = {name: block[name] for name in ('title', 'context', 'citations') if block.get(name) is not None} or None
    if source['type'] == 'url' and block['type'] == 'image':
        return ImageUrl(source['url'])
    if source['type'] == 'url':
        return DocumentUrl(source['url'], media_type='application/pdf', vendor_metadata=more)
    data = source['data'].encode() if source['type'] == 'text' else b64decode(source['data'])
    return BinaryContent(data, media_type=source['media_type'], vendor_metadata=more)


def read_system(said: Any, messages: list[Any], settings: dict[str, Any]) -> None:
    """Put the system prompts where they come from: before what the user says first."""
    blocks = [{'type': 'text', 'text': said}] if isinstance(said, str) else said
    messages[0].parts[:0] = [SystemPromptPart(block['text']) for block in blocks]
    for block in blocks:
        if 'cache_control' in block:
            settings['anthropic_cache_instructions'] = ttl_of(block)


def read_settings(body: dict[str, Any]) -> dict[str, Any]:
    """The settings of a request; what we have none for goes into its body as it is."""
    names = {
        'temperature': 'temperature',
        'top_p': 'top_p',
        'stop_sequences': 'stop_sequences',
        'thinking': 'anthropic_thinking',
        'metadata': 'anthropic_metadata',
        'service_tier': 'anthropic_service_tier',
        'speed': 'anthropic_speed',
        'container': 'anthropic_container',
        'context_management': 'anthropic_context_management',
        'inference_geo': 'anthropic_inference_geo',
    }
    settings = {setting: body[name] for name, setting in names.items() if name in body}
    if 'cache_control' in body:
        settings['anthropic_cache'] = ttl_of(body)
    config = dict(body.get('output_config') or {})
    config.pop('format', None)
    settings |= {f'anthropic_{name}': value for name, value in config.items()}
    unread = body.keys() - names.keys() - READ
    if unread:
        settings['extra_body'] = {name: body[name] for name in unread}
    return settings


READ = {
    'cache_control',
    'max_tokens',
    'mcp_servers',
    'messages',
    'model',
    'output_config',
    'stream',
    'system',
    'tool_choice',
    'tools',
}


def read_parameters(body: dict[str, Any], settings: dict[str, Any]) -> ModelRequestParameters:
    """The tools and the form of the output of a request; what has no class of ours goes to the settings."""
    functions: list[ToolDefinition] = []
    builtin: list[Any] = []
    for tool in body.get('tools', ()):
        if 'input_schema' in tool:
            functions.append(read_tool(tool, settings))
        else:
            builtin += read_builtin_tool(tool, settings)
    builtin += [read_mcp_server(server) for server in body.get('mcp_servers', ())]
    if any(isinstance(tool, MemoryTool) for tool in builtin):
        functions.append(ToolDefinition(name='memory'))
    choice = body.get('tool_choice', {'type': 'auto'})
    if 'disable_parallel_tool_use' in choice:
        settings['parallel_tool_calls'] = not choice['disable_parallel_tool_use']
    if choice['type'] in ('none', 'tool'):
        settings['tool_choice'] = 'none' if choice['type'] == 'none' else [choice['name']]
    output = (body.get('output_config') or {}).get('format')
    return ModelRequestParameters(
        function_tools=functions,
        builtin_tools=builtin,
        allow_text_output=choice['type'] != 'any',
        output_mode='native' if output else 'text',
        output_object=OutputObjectDefinition(json_schema=output['schema']) if output else None,
    )


def read_tool(tool: dict[str, Any], settings: dict[str, Any]) -> ToolDefinition:
    """A tool of the program; what we have no word for goes to the settings."""
    known = {'name', 'description', 'input_schema', 'strict', 'cache_control'}
    options = {name: value for name, value in tool.items() if name not in known}
    if options:
        settings.setdefault('anthropic_tool_options', {})[tool['name']] = options
    if 'cache_control' in tool:
        settings['anthropic_cache_tool_definitions'] = ttl_of(tool)
    return ToolDefinition(
        name=tool['name'],
        description=tool.get('description'),
        parameters_json_schema=tool['input_schema'],
        strict=tool.get('strict'),
    )


def read_builtin_tool(tool: dict[str, Any], settings: dict[str, Any]) -> list[Any]:
    """A tool that Anthropic runs; one that no class of ours can say whole goes to the settings as it is."""
    kind, fields = tool['type'], normal_json(tool)
    read = read_known_tool(kind, fields)
    marked = fields.pop('cache_control', None)
    if any(encode_builtin_tool(each, kind.removeprefix('code_execution_')) != fields for each in read):
        read = []
    if not read:
        settings.setdefault('anthropic_server_tools', []).append(tool)
    elif marked:
        settings['anthropic_cache_tool_definitions'] = marked['ttl']
    if kind.startswith('code_execution_'):
        settings['anthropic_code_execution_tool_version'] = kind.removeprefix('code_execution_')
    return read


def read_known_tool(kind: str, fields: dict[str, Any]) -> list[Any]:
    """A tool that there is a class for."""
    if kind == 'web_search_20250305':
        location = dict(fields.get('user_location') or {})
        location.pop('type', None)
        return [WebSearchTool(**only(fields, SEARCH), user_location=location or None)]
    if kind == 'web_fetch_20250910':
        return [WebFetchTool(**only(fields, FETCH), enable_citations='citations' in fields)]
    if kind.startswith('code_execution_'):
        return [CodeExecutionTool()]
    return [MemoryTool()] if kind == 'memory_20250818' else []


SEARCH = {'max_uses', 'allowed_domains', 'blocked_domains'}
FETCH = SEARCH | {'max_content_tokens'}


def only(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Some fields of a definition."""
    return {name: value for name, value in fields.items() if name in names}


def read_mcp_server(server: dict[str, Any]) -> MCPServerTool:
    """An MCP server that Anthropic connects to."""
    return MCPServerTool(
        id=server['name'],
        url=server['url'],
        authorization_token=server.get('authorization_token'),
        allowed_tools=(server.get('tool_configuration') or {}).get('allowed_tools'),
    )


def normal_json(value: Any) -> Any:
    """What is null is not said, and marks that say nothing of their time are kept for five minutes."""
    if isinstance(value, dict):
        said = {key: normal_json(each) for key, each in value.items() if each is not None}
        return {'ttl': '5m', **said} if said.get('type') == 'ephemeral' else said
    return [normal_json(each) for each in value] if isinstance(value, list) else value
