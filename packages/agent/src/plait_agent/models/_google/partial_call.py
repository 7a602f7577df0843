"""A call whose arguments Vertex AI streams, each value with the path that it belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from google.genai.types import PartialArg

_STEP = re.compile(r'\[(\d+)\]|\.?([^.\[\]]+)')


class PartialCall:
    """A call as far as it has come.

    Args:
        tool_name: The tool.
        call_id: What Google calls the call, if it has an id.
        details: What came with it.
    """

    __slots__ = 'args', 'call_id', 'details', 'tool_name'

    def __init__(self, tool_name: str, call_id: str | None, details: dict[str, Any] | None):
        self.tool_name = tool_name
        self.call_id = call_id
        self.details = details
        self.args: Any = None
        """The arguments."""

    def take(self, arg: PartialArg) -> None:
        """Take a value, or more of a text."""
        path = [int(index) if index else name for index, name in _STEP.findall((arg.json_path or '').removeprefix('$'))]
        said = (arg.string_value, arg.number_value, arg.bool_value)
        self.args = _put(self.args, path, next((value for value in said if value is not None), None))


def _put(into: Any, path: list[int | str], value: Any) -> Any:
    """A value with another put where a path leads, through whatever has to be made for it."""
    if not path:
        return into + value if isinstance(into, str) and isinstance(value, str) else value
    step, *rest = path
    if isinstance(step, str):
        known = cast('dict[str, Any]', into) if isinstance(into, dict) else {}
        return {**known, step: _put(known.get(step), rest, value)}
    items = list(cast('list[Any]', into)) if isinstance(into, list) else []
    items += [None] * (step + 1 - len(items))
    items[step] = _put(items[step], rest, value)
    return items
