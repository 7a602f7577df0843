"""The arguments of calls that go back to a model.

Servers take nothing but JSON objects there, and a model may have written something else. That is put into an object,
so that the model still sees what it wrote.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait_agent.messages import BuiltinToolCallPart, ToolCallPart

__all__ = 'arguments_as_text', 'arguments_of'


def arguments_of(part: ToolCallPart | BuiltinToolCallPart) -> dict[str, Any]:
    """The arguments of a call as an object."""
    try:
        return part.args_as_dict()
    except (ValueError, AssertionError):
        return _wrapped(part)


def arguments_as_text(part: ToolCallPart | BuiltinToolCallPart) -> str:
    """The JSON of the arguments of a call, as it was written if it is that of an object."""
    try:
        part.args_as_dict()
    except (ValueError, AssertionError):
        return json.dumps(_wrapped(part))
    return part.args_as_json_str()


def _wrapped(part: ToolCallPart | BuiltinToolCallPart) -> dict[str, Any]:
    return {'INVALID_JSON': part.args}
