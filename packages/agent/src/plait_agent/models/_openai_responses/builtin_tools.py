"""The tools that OpenAI runs, and how they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from plait_agent.builtin_tools import (
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebSearchTool,
)
from plait_agent.exceptions import UserError

Item: TypeAlias = dict[str, Any]
"""An item of the input or the output of a response, or a part of a request, as JSON."""

SUPPORTED = frozenset[type[AbstractBuiltinTool]](
    {WebSearchTool, CodeExecutionTool, FileSearchTool, ImageGenerationTool, MCPServerTool}
)

_CONNECTOR = 'x-openai-connector:'
"""What an address begins with that names one of OpenAI's own connections."""
_SIZES = {'1:1': '1024x1024', '2:3': '1024x1536', '3:2': '1536x1024'}


def write_builtin_tool(tool: AbstractBuiltinTool) -> Item:
    """Describe a tool.

    Raises:
        UserError: OpenAI has no such tool, or it lacks an option that must not be overlooked.
    """
    for kind, write in _WRITERS.items():
        if isinstance(tool, kind):
            return write(tool)
    raise UserError(
        f'The built-in tool {type(tool).__name__} is none of those of the responses API, which are '
        f'{", ".join(sorted(each.__name__ for each in SUPPORTED))}.'
    )


def _write_web_search(tool: WebSearchTool) -> Item:
    if tool.blocked_domains:
        raise UserError(
            f'WebSearchTool(blocked_domains={tool.blocked_domains!r}): OpenAI cannot leave sites out. '
            f'Name the only sites to search, with allowed_domains.'
        )
    written: Item = {'type': 'web_search', 'search_context_size': tool.search_context_size}
    if tool.user_location:
        written['user_location'] = {'type': 'approximate', **tool.user_location}
    if tool.allowed_domains:
        written['filters'] = {'allowed_domains': tool.allowed_domains}
    return written


def _write_code_execution(tool: CodeExecutionTool) -> Item:
    return {'type': 'code_interpreter', 'container': {'type': 'auto'}}


def _write_file_search(tool: FileSearchTool) -> Item:
    return {'type': 'file_search', 'vector_store_ids': list(tool.file_store_ids)}


def _write_image_generation(tool: ImageGenerationTool) -> Item:
    options = {
        'background': tool.background,
        'input_fidelity': tool.input_fidelity,
        'moderation': tool.moderation,
        'output_compression': tool.output_compression,
        'output_format': tool.output_format,
        'partial_images': tool.partial_images or None,
        'quality': tool.quality,
        'size': _size_of(tool),
    }
    return {'type': 'image_generation', **{name: value for name, value in options.items() if value is not None}}


def _size_of(tool: ImageGenerationTool) -> str | None:
    if tool.size in ('1K', '2K', '4K'):
        raise UserError(
            f'ImageGenerationTool(size={tool.size!r}) is not a size that OpenAI knows. '
            f"Give 'auto', '1024x1024', '1024x1536' or '1536x1024'."
        )
    if tool.aspect_ratio is None:
        return tool.size
    size = _SIZES.get(tool.aspect_ratio)
    if size is None or tool.size not in (None, 'auto', size):
        raise UserError(
            f'ImageGenerationTool(aspect_ratio={tool.aspect_ratio!r}, size={tool.size!r}): '
            f'OpenAI makes images of {", ".join(f"{each} ({_SIZES[each]})" for each in _SIZES)}. Give one of these.'
        )
    return size


def _write_mcp_server(tool: MCPServerTool) -> Item:
    written: Item = {'type': 'mcp', 'server_label': tool.id, 'require_approval': 'never'}
    if tool.url.startswith(_CONNECTOR):
        written['connector_id'] = tool.url.removeprefix(_CONNECTOR)
    else:
        written['server_url'] = tool.url
    options = {
        'authorization': tool.authorization_token,
        'allowed_tools': tool.allowed_tools,
        'server_description': tool.description,
        'headers': tool.headers,
    }
    return written | {name: value for name, value in options.items() if value is not None}


_WRITERS: dict[type[AbstractBuiltinTool], Callable[[Any], Item]] = {
    WebSearchTool: _write_web_search,
    CodeExecutionTool: _write_code_execution,
    FileSearchTool: _write_file_search,
    ImageGenerationTool: _write_image_generation,
    MCPServerTool: _write_mcp_server,
}
