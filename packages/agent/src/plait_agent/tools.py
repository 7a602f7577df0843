"""Tools: functions that models call, what models are told of them, and calls that others answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from plait_agent._deferred import (
    DeferredToolApprovalResult,
    DeferredToolCallResult,
    DeferredToolRequests,
    DeferredToolResult,
    DeferredToolResults,
    ToolApproved,
    ToolDenied,
)
from plait_agent._docstrings import DocstringFormat
from plait_agent._run_context import RunContext
from plait_agent._tool import (
    Tool,
    ToolFuncContext,
    ToolFuncEither,
    ToolFuncPlain,
    ToolParams,
    ToolPrepareFunc,
    ToolsPrepareFunc,
)
from plait_agent._tool_definition import ObjectJsonSchema, ToolDefinition, ToolKind
from plait_agent._typevars import AgentDepsT
from plait_agent.builtin_tools import AbstractBuiltinTool

if TYPE_CHECKING:
    from plait_agent._json_schema import GenerateToolJsonSchema

__all__ = (
    'AgentDepsT',
    'BuiltinToolFunc',
    'DeferredToolApprovalResult',
    'DeferredToolCallResult',
    'DeferredToolRequests',
    'DeferredToolResult',
    'DeferredToolResults',
    'DocstringFormat',
    'GenerateToolJsonSchema',
    'ObjectJsonSchema',
    'RunContext',
    'Tool',
    'ToolApproved',
    'ToolDefinition',
    'ToolDenied',
    'ToolFuncContext',
    'ToolFuncEither',
    'ToolFuncPlain',
    'ToolKind',
    'ToolParams',
    'ToolPrepareFunc',
    'ToolsPrepareFunc',
)

BuiltinToolFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]], Awaitable[AbstractBuiltinTool | None] | AbstractBuiltinTool | None
]
"""Finds a built-in tool in each step; `None` if there is none."""


def __getattr__(name: str) -> Any:
    """Import what needs pydantic's JSON schemas when it is first asked for."""
    if name != 'GenerateToolJsonSchema':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from plait_agent._json_schema import GenerateToolJsonSchema

    globals()[name] = GenerateToolJsonSchema
    return GenerateToolJsonSchema
