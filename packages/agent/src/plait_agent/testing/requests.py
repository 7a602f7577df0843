"""A request, as it has come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait_agent.testing._actions import Behavior

__all__ = ('ReceivedRequest',)

_SECRET = re.compile(r'auth|key|token|secret|cookie', re.IGNORECASE)
_SECRET_QUERY = re.compile(r'([?&](?:key|api[-_]?key|access_token|token)=)[^&]*', re.IGNORECASE)
_HIDDEN = '<hidden>'


@dataclass
class ReceivedRequest:
    """A request that the server has received. What may be a key is hidden when it comes, and kept nowhere."""

    number: int
    """The how many-th it is, from 1 on; the id that the answer carries is `req_` and this."""
    method: str
    """GET, POST, ..."""
    path: str
    """The path, with the query."""
    headers: dict[str, str] = field(repr=False)
    """By small names. The value of those that may have a key in them is `<hidden>`."""
    json: Any
    """The body, if it is JSON; else `None`."""
    api: str | None
    """`openai-chat`, `openai-responses`, `anthropic` or `google`; `None` if the path belongs to none of them."""
    is_streamed: bool
    """Whether a stream was asked for."""
    behavior: Behavior | None = field(default=None, repr=False)
    """What the server did; `None` if the script had nothing for it."""

    @property
    def request_id(self) -> str:
        """The id that the answer carries."""
        return f'req_{self.number}'

    def find(self, *path: str) -> Any:
        """What the body has under a row of names; `None` if it has nothing there."""
        value = self.json
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] # any JSON
        return value  # pyright: ignore[reportUnknownVariableType] # any JSON


def hide_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without what may be a key."""
    return {name: _HIDDEN if _SECRET.search(name) else value for name, value in headers.items()}


def hide_query(path: str) -> str:
    """A path without the keys in its query."""
    return _SECRET_QUERY.sub(rf'\1{_HIDDEN}', path)
