"""The tools that Anthropic runs itself, as it wants to be told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plait_agent.builtin_tools import (
    AbstractBuiltinTool,
    CodeExecutionTool,
    MCPServerTool,
    MemoryTool,
    WebFetchTool,
    WebSearchTool,
)
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent.models._anthropic.blocks import Block

SUPPORTED: frozenset[type[AbstractBuiltinTool]] = frozenset(
    {CodeExecutionTool, MCPServerTool, MemoryTool, WebFetchTool, WebSearchTool}
)
"""Those that models of Anthropic can be given."""

_MEMORY = {'type': 'memory_20250818', 'name': 'memory'}

_BETAS_OF_TOOLS = {
    'advisor_20260301': 'advisor-tool-2026-03-01',
    'code_execution_20250522': 'code-execution-2025-05-22',
    'computer_20241022': 'computer-use-2024-10-22',
    'computer_20250124': 'computer-use-2025-01-24',
    'computer_20251124': 'computer-use-2025-11-24',
    'mcp_toolset': 'mcp-client-2025-11-20',
}
"""What a request has to ask for that has tools of these types."""


def encode_builtin_tool(tool: AbstractBuiltinTool, code_execution_version: str) -> Block:
    """The definition of a built-in tool that is no MCP server."""
    if isinstance(tool, WebSearchTool):
        return _web_search(tool)
    if isinstance(tool, WebFetchTool):
        return _web_fetch(tool)
    if isinstance(tool, MemoryTool):
        return dict(_MEMORY)
    return {'type': f'code_execution_{code_execution_version}', 'name': 'code_execution'}


def encode_mcp_server(server: MCPServerTool) -> Block:
    """The definition of an MCP server that Anthropic connects to.

    Raises:
        UserError: It has headers, which cannot be given to Anthropic.
    """
    if server.headers:
        raise UserError(
            f'MCPServerTool({server.id!r}) has headers, and Anthropic sends none to MCP servers but the authorization. '
            f'Give authorization_token=..., or use the server with a toolset of the program.'
        )
    definition: Block = {'type': 'url', 'name': server.id, 'url': server.url}
    if server.authorization_token is not None:
        definition['authorization_token'] = server.authorization_token
    if server.allowed_tools is not None:
        definition['tool_configuration'] = {'enabled': True, 'allowed_tools': server.allowed_tools}
    return definition


def check_memory(builtin_tools: list[AbstractBuiltinTool], names: set[str]) -> None:
    """Refuse a memory that nobody keeps.

    Raises:
        UserError: There is a `MemoryTool`, but the program has no tool that does what the model asks of it.
    """
    if 'memory' not in names and any(isinstance(tool, MemoryTool) for tool in builtin_tools):
        raise UserError(
            "MemoryTool needs a tool of the program of the name 'memory', which keeps what the model notes. "
            'Add one: @agent.tool_plain def memory(command: str, ...).'
        )


def betas_of(tools: list[Block], mcp_servers: list[Block]) -> list[str]:
    """What a request has to ask for that has such tools."""
    betas = [_BETAS_OF_TOOLS[tool['type']] for tool in tools if tool.get('type') in _BETAS_OF_TOOLS]
    if mcp_servers and 'mcp-client-2025-11-20' not in betas:
        betas.append('mcp-client-2025-04-04')
    return betas


def _web_search(tool: WebSearchTool) -> Block:
    location = None if tool.user_location is None else {'type': 'approximate', **tool.user_location}
    return _given(
        type='web_search_20250305',
        name='web_search',
        max_uses=tool.max_uses,
        allowed_domains=tool.allowed_domains,
        blocked_domains=tool.blocked_domains,
        user_location=location,
    )


def _web_fetch(tool: WebFetchTool) -> Block:
    return _given(
        type='web_fetch_20250910',
        name='web_fetch',
        max_uses=tool.max_uses,
        allowed_domains=tool.allowed_domains,
        blocked_domains=tool.blocked_domains,
        citations={'enabled': True} if tool.enable_citations else None,
        max_content_tokens=tool.max_content_tokens,
    )


def _given(**fields: Any) -> Block:
    return {name: value for name, value in fields.items() if value is not None}
