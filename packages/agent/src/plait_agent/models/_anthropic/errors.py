"""Errors that Anthropic tells of within a stream, when the status of the answer has long been sent."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from plait_agent.exceptions import ModelHTTPError
from plait_agent.models._origin import find_request_id, hide_secrets

if TYPE_CHECKING:
    from plait_agent.models._origin import Origin

_STATUSES = {
    'invalid_request_error': 400,
    'authentication_error': 401,
    'billing_error': 402,
    'permission_error': 403,
    'not_found_error': 404,
    'request_too_large': 413,
    'rate_limit_error': 429,
    'api_error': 500,
    'timeout_error': 504,
    'overloaded_error': 529,
}
"""The status that each type of error has where it can still be sent as one."""


@contextmanager
def telling_of_stream_errors(origin: Origin) -> Generator[None]:
    """Give an error within a stream the status that it would have had at its beginning.

    Raises:
        ModelHTTPError: Anthropic has told of an error of a known type.
    """
    try:
        yield
    except Exception as error:
        translated = _translate(error, origin)
        if translated is None:
            raise
        raise translated from None  # the library's error says nothing more


def _translate(error: Exception, origin: Origin) -> ModelHTTPError | None:
    if getattr(error, 'status_code', None) != 200:
        return None
    body = getattr(error, 'body', None)
    status = _STATUSES.get(_type_of(body))
    if status is None:
        return None
    return ModelHTTPError(
        status,
        origin.model_name,
        hide_secrets(body, origin.secrets),
        provider_name=origin.provider_name,
        request_id=find_request_id(error),
    )


def _type_of(body: Any) -> str:
    said = cast('dict[str, Any]', body).get('error') if isinstance(body, dict) else None
    kind = cast('dict[str, Any]', said).get('type') if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else ''
