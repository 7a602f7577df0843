"""What OpenAI's two APIs share."""

from __future__ import annotations

from typing import Any

_TYPES = {401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error', 429: 'rate_limit_error'}


def openai_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = _TYPES.get(status, 'server_error' if status >= 500 else 'invalid_request_error')
    return {'error': {'message': message, 'type': kind, 'param': None, 'code': None}}
