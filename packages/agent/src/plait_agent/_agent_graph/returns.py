"""What a tool gave, as the parts that answer its call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from plait_agent.exceptions import ModelRetry, UserError
from plait_agent.messages import (
    BinaryContent,
    FileUrl,
    RetryPromptPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)

_PLAIN = (str, int, float, bool, type(None))
_FILES = (FileUrl, BinaryContent)


def answer(call: ToolCallPart, result: Any) -> tuple[ToolReturnPart | RetryPromptPart, UserPromptPart | None]:
    """The return of a call, and what the user is to say beside it: files, or the content of a `ToolReturn`.

    Raises:
        UserError: A `ToolReturn` stands within a list or a mapping, or holds files as its value.
    """
    name, call_id = call.tool_name, call.tool_call_id
    if type(result) in _PLAIN:
        return ToolReturnPart(name, result, call_id), None
    if isinstance(result, ToolReturn):
        return _answer_in_full(call, result)
    if isinstance(result, ModelRetry):
        return RetryPromptPart(result.message, tool_name=name, tool_call_id=call_id), None
    if isinstance(result, RetryPromptPart):
        return RetryPromptPart(result.content, tool_name=name, tool_call_id=call_id), None
    if _holds(result, (ToolReturn,)):
        raise UserError(
            f'The return value of tool {name!r} contains invalid nested `ToolReturn` objects. '
            f'`ToolReturn` should be used directly.'
        )
    content, files = _without_files(result)
    return ToolReturnPart(name, content, call_id), UserPromptPart(files) if files else None


def _answer_in_full(call: ToolCallPart, result: ToolReturn) -> tuple[ToolReturnPart, UserPromptPart | None]:
    if isinstance(result.return_value, _FILES) or _holds(result.return_value, _FILES):
        raise UserError(
            f'The `return_value` of tool {call.tool_name!r} contains invalid nested `MultiModalContent` objects. '
            f'Please use `content` instead.'
        )
    part = ToolReturnPart(call.tool_name, result.return_value, call.tool_call_id, metadata=result.metadata)
    return part, UserPromptPart(result.content) if result.content else None


def _holds(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a list or mapping has something of a kind in it."""
    if isinstance(value, Mapping):
        return any(isinstance(each, kinds) for each in cast('Mapping[Any, Any]', value).values())
    return isinstance(value, list | tuple) and any(isinstance(each, kinds) for each in cast('list[Any]', value))


def _without_files(result: Any) -> tuple[Any, list[Any]]:
    """A result with a word in the place of each file, and the files with that word for the user to show."""
    if isinstance(result, _FILES):
        return f'See file {result.identifier}', _shown(result)
    if not isinstance(result, list) or not _holds(cast('object', result), _FILES):
        return cast('Any', result), []
    items = cast('list[Any]', result)
    content = [f'See file {each.identifier}' if isinstance(each, _FILES) else each for each in items]
    return content, [word for each in items if isinstance(each, _FILES) for word in _shown(each)]


def _shown(file: FileUrl | BinaryContent) -> list[Any]:
    return [f'This is file {file.identifier}:', file]
