"""The items of tools that OpenAI runs, which hold a call and its result in one; here they are two parts.

Both parts have the id of the item. What OpenAI has kept of an item itself need not be sent back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from plait_agent.builtin_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebSearchTool,
)
from plait_agent.exceptions import UnexpectedModelBehavior
from plait_agent.messages import BaseToolCallPart, BinaryContent, BuiltinToolCallPart
from plait_agent.models._openai_responses.builtin_tools import Item

Args: TypeAlias = str | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ServerTool:
    """How an item of a kind is told, and made again of what was told."""

    name: Callable[[Item], str]
    """What the tool is called."""
    args: Callable[[Item], Args]
    """What it was called with."""
    content: Callable[[Item], Item | None]
    """What it returned, if it is the item that says so."""
    call_fields: Callable[[dict[str, Any]], Item]
    """The fields of the item that say what it was called with, of the arguments."""
    return_fields: Callable[[dict[str, Any], bool], Item]
    """The fields that say what it returned, of the content: all of them, or only those that have to be sent."""
    opening: Callable[[Item], str] | None = None
    """What stands before arguments that are streamed."""


def json_text(value: Any) -> str:
    """A value as JSON, as it is put together of pieces that are streamed."""
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'))


def inside_json_text(text: str) -> str:
    """A piece of a text as it stands within a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def records(value: Any) -> list[Item]:
    """What is a record of those in a list."""
    if not isinstance(value, list):
        return []
    return [cast('Item', each) for each in cast('list[Any]', value) if isinstance(each, dict)]


def _picked(source: Item, *names: str) -> Item:
    """Those of some fields that are there."""
    return {name: source[name] for name in names if source.get(name) is not None}


def _status(content: dict[str, Any], _is_full: bool) -> Item:
    return _picked(content, 'status')


# Web search: what was looked at goes to the result, as it is not what the model asked for.


def _web_args(item: Item) -> Args:
    action = item.get('action')
    if not isinstance(action, dict):
        return None
    said = cast('Item', action)
    return {name: value for name, value in said.items() if name != 'sources' and value is not None}


def _web_content(item: Item) -> Item:
    action: Any = item.get('action')
    return _picked(item, 'status') | (_picked(cast('Item', action), 'sources') if isinstance(action, dict) else {})


# Code execution


def _code_opening(item: Item) -> str:
    return f'{{"container_id":{json_text(item.get("container_id"))},"code":"'


def _code_args(item: Item) -> Args:
    return f'{_code_opening(item)}{inside_json_text(item.get("code") or "")}"}}'


def _code_content(item: Item) -> Item:
    logs = [output.get('logs', '') for output in _outputs(item) if output.get('type') == 'logs']
    others = [output for output in _outputs(item) if output.get('type') not in ('logs', 'image')]
    content = _picked(item, 'status') | ({'logs': logs} if logs else {})
    return content | ({'outputs': others} if others else {})


def _code_call_fields(args: dict[str, Any]) -> Item:
    return {'container_id': args.get('container_id'), 'code': args.get('code'), 'outputs': None}


def _code_return_fields(content: dict[str, Any], is_full: bool) -> Item:
    logs = content.get('logs')
    told = {'outputs': [{'type': 'logs', 'logs': each} for each in logs]} if is_full and logs else {}
    return _picked(content, 'status') | told


def _outputs(item: Item) -> list[Item]:
    return records(item.get('outputs'))


# Image generation


def _image_content(item: Item) -> Item:
    names = ('status', 'action', 'background', 'error', 'output_format', 'quality', 'size', 'revised_prompt')
    return _picked(item, *names)


def _image_return_fields(content: dict[str, Any], is_full: bool) -> Item:
    return _picked(content, 'status') if is_full else {}


def read_files(item: Item) -> list[BinaryContent]:
    """The images in the item of a tool."""
    if item.get('type') == 'image_generation_call':
        result = item.get('result')
        return [read_image(result, item.get('output_format'))] if isinstance(result, str) and result else []
    if item.get('type') != 'code_interpreter_call':
        return []
    urls = [output.get('url') for output in _outputs(item) if output.get('type') == 'image']
    return [_read_image_uri(url) for url in urls if isinstance(url, str) and url.startswith('data:')]


def read_image(data: str, output_format: str | None) -> BinaryContent:
    """An image that came as base64."""
    return _read_image_uri(f'data:image/{output_format or "png"};base64,{data}')


def _read_image_uri(uri: str) -> BinaryContent:
    try:
        return BinaryContent.from_data_uri(uri)
    except ValueError as error:
        raise UnexpectedModelBehavior(f'An image of the answer cannot be read ({error}): {uri[:80]}') from error


# MCP


def _mcp_name(item: Item) -> str:
    return f'{MCPServerTool.kind}:{item.get("server_label", "")}'


def _mcp_opening(action: str) -> Callable[[Item], str]:
    return lambda item: f'{{"action":"{action}","tool_name":{json_text(item.get("name", ""))},"tool_args":'


def _mcp_args(action: str) -> Callable[[Item], Args]:
    opening = _mcp_opening(action)
    return lambda item: f'{opening(item)}{item.get("arguments") or "{}"}}}'


def _mcp_call_fields(args: dict[str, Any]) -> Item:
    return {'name': args.get('tool_name', ''), 'arguments': json_text(args.get('tool_args', {}))}


def _mcp_whole_call_fields(args: dict[str, Any]) -> Item:
    return _mcp_call_fields(args) | {'error': None, 'output': None}


def _mcp_return_fields(content: dict[str, Any], is_full: bool) -> Item:
    return _picked(content, 'error', 'output') if is_full else {}


SERVER_TOOLS: dict[str, ServerTool] = {
    'web_search_call': ServerTool(
        name=lambda _: WebSearchTool.kind,
        args=_web_args,
        content=_web_content,
        call_fields=lambda args: {'action': args} if args else {},
        return_fields=_status,
    ),
    'file_search_call': ServerTool(
        name=lambda _: FileSearchTool.kind,
        args=lambda item: {'queries': item.get('queries') or []},
        content=lambda item: _picked(item, 'status', 'results'),
        call_fields=lambda args: {'queries': args.get('queries', [])},
        return_fields=lambda content, is_full: _picked(content, 'status', *(['results'] if is_full else [])),
    ),
    'code_interpreter_call': ServerTool(
        name=lambda _: CodeExecutionTool.kind,
        args=_code_args,
        content=_code_content,
        call_fields=_code_call_fields,
        return_fields=_code_return_fields,
        opening=_code_opening,
    ),
    'image_generation_call': ServerTool(
        name=lambda _: ImageGenerationTool.kind,
        args=lambda _: None,
        content=_image_content,
        call_fields=lambda _: {},
        return_fields=_image_return_fields,
    ),
    'mcp_list_tools': ServerTool(
        name=_mcp_name,
        args=lambda _: {'action': 'list_tools'},
        content=lambda item: {'tools': item.get('tools') or [], 'error': item.get('error')},
        call_fields=lambda _: {'tools': []},
        return_fields=lambda content, is_full: _picked(content, 'tools', 'error') if is_full else {},
    ),
    'mcp_call': ServerTool(
        name=_mcp_name,
        args=_mcp_args('call_tool'),
        content=lambda item: {'output': item.get('output'), 'error': item.get('error')},
        call_fields=_mcp_whole_call_fields,
        return_fields=_mcp_return_fields,
        opening=_mcp_opening('call_tool'),
    ),
    'mcp_approval_request': ServerTool(
        name=_mcp_name,
        args=_mcp_args('ask_approval'),
        content=lambda _: None,
        call_fields=_mcp_call_fields,
        return_fields=lambda _content, _is_full: {},
    ),
}
"""The items that hold a call and what it returned."""

_TYPES = {
    WebSearchTool.kind: 'web_search_call',
    FileSearchTool.kind: 'file_search_call',
    CodeExecutionTool.kind: 'code_interpreter_call',
    ImageGenerationTool.kind: 'image_generation_call',
}
_MCP_TYPES = {'list_tools': 'mcp_list_tools', 'call_tool': 'mcp_call', 'ask_approval': 'mcp_approval_request'}


def type_of_call(tool_name: str, args: dict[str, Any]) -> str | None:
    """The type of the item of a call; nothing if it is none of these tools."""
    if tool_name.partition(':')[0] == MCPServerTool.kind:
        return _MCP_TYPES.get(args.get('action', ''))
    return _TYPES.get(tool_name)


def server_item(part: BuiltinToolCallPart) -> Item | None:
    """The item of a call, without what it returned; nothing if it is none of these tools, or was broken off."""
    args = read_args(part)
    kind = type_of_call(part.tool_name, args)
    if kind is None or (part.args and not args):
        return None
    item: Item = {'type': kind, 'id': part.tool_call_id}
    if part.tool_name.startswith(MCPServerTool.kind):
        item['server_label'] = part.tool_name.partition(':')[2]
    return item | SERVER_TOOLS[kind].call_fields(args)


def read_args(part: BaseToolCallPart) -> dict[str, Any]:
    """The arguments of a call; none if they are not complete."""
    try:
        return part.args_as_dict()
    except (ValueError, AssertionError):
        return {}
