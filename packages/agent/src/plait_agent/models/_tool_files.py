"""Files among what tools have returned, which many providers take only from the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from plait_agent.messages import BinaryContent, FileUrl, ToolReturnPart

if TYPE_CHECKING:
    from plait_agent.messages import UserContent

_FILES = BinaryContent, FileUrl


def listed(content: Any) -> Sequence[Any]:
    """What a tool has returned, as a sequence."""
    return cast('Sequence[Any]', content) if isinstance(content, (list, tuple)) else (content,)


def without_files(part: ToolReturnPart) -> tuple[ToolReturnPart, list[UserContent]]:
    """What a tool has returned with a word in the place of each file, and the files, each after that word."""
    items = listed(part.content)
    if not any(isinstance(item, _FILES) for item in items):
        return part, []
    words = [f'See file {item.identifier}' if isinstance(item, _FILES) else item for item in items]
    content = words if isinstance(part.content, (list, tuple)) else words[0]
    return replace(part, content=content), list(_shown(items))


def _shown(items: Sequence[Any]) -> Iterator[UserContent]:
    for item in items:
        if isinstance(item, _FILES):
            yield f'This is file {item.identifier}:'
            yield cast('UserContent', item)
