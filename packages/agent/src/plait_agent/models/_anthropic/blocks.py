"""Which blocks of Anthropic stand for which tools, in requests and answers alike."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

Block: TypeAlias = dict[str, Any]
"""A block of a message, as JSON."""

MCP_PREFIX = 'mcp_server:'
"""Stands before the name of an MCP server, where a tool of it is called."""
REDACTED = 'redacted_thinking'
"""The id of a thought that Anthropic has encrypted."""

_TOOLS = {
    'bash_code_execution': 'code_execution',
    'text_editor_code_execution': 'code_execution',
    'tool_search_tool_bm25': 'tool_search',
    'tool_search_tool_regex': 'tool_search',
}
"""The built-in tools that Anthropic has several names for."""
_FIRST_NAMES = {'tool_search': 'tool_search_tool_bm25'}
"""What Anthropic calls a built-in tool if nothing is known of how it was called."""


def tool_of(name: str) -> str:
    """The built-in tool that Anthropic has a name for."""
    return _TOOLS.get(name, name)


def name_of(tool: str) -> str:
    """What Anthropic calls a built-in tool."""
    return _FIRST_NAMES.get(tool, tool)


def result_type_of(tool: str, content: Any) -> str:
    """The type of block in which a tool returns a content."""
    said = cast('dict[str, Any]', content) if isinstance(content, dict) else {}
    kind: str = said.get('type') or ''
    for name in ('bash_code_execution', 'text_editor_code_execution'):
        if tool == 'code_execution' and kind.startswith(name):
            return f'{name}_tool_result'
    return f'{tool}_tool_result'
