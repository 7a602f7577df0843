"""Errors that are told within answers, and answers that are told as errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from plait_agent.exceptions import AgentRunError, ModelHTTPError
from plait_agent.messages import ModelResponse, ToolCallPart
from plait_agent.models._origin import Origin, hide_secrets

_AS_TAG = re.compile(r'<function=([\w.-]+)[^{>]*>?\s*(\{.*\})', re.DOTALL)
"""How some models of Llama write a call."""


def told_error(origin: Origin, told: Any) -> AgentRunError:
    """The error that an answer or a stream has told of."""
    body: Mapping[str, Any] = cast('Mapping[str, Any]', told) if isinstance(told, Mapping) else {'message': str(told)}
    status = next((body[name] for name in ('status_code', 'code') if _is_status(body.get(name))), None)
    if status is not None:
        return ModelHTTPError(
            status, origin.model_name, hide_secrets(dict(body), origin.secrets), provider_name=origin.provider_name
        )
    words = body.get('message') or json.dumps(dict(body), default=str)
    return origin.failure(f'The provider has told of an error ({words})')


def _is_status(value: object) -> bool:
    return isinstance(value, int) and 400 <= value < 600


def error_of(body: object) -> Mapping[str, Any]:
    """What is told of an error in the body of an answer; nothing if nothing is."""
    if not isinstance(body, Mapping):
        return {}
    inner = cast('Mapping[str, Any]', body).get('error', body)
    return cast('Mapping[str, Any]', inner) if isinstance(inner, Mapping) else {}


def failed_calls(error: Mapping[str, Any]) -> list[ToolCallPart]:
    """The calls that Groq refused to pass on since their arguments do not fit.

    The run refuses them as well and tells the model why, which a failed request could not.
    """
    said = error.get('failed_generation')
    if error.get('code') != 'tool_use_failed' or not isinstance(said, str):
        return []
    tag = _AS_TAG.search(said)
    if tag is not None:
        return [ToolCallPart(tag[1], tag[2])]
    try:
        calls: Any = json.loads(said)
    except ValueError:
        return []
    found = [_call(each) for each in cast('list[Any]', calls if isinstance(calls, list) else [calls])]
    return [call for call in found if call is not None]


def _call(said: Any) -> ToolCallPart | None:
    if not isinstance(said, Mapping):
        return None
    call = cast('Mapping[str, Any]', said)
    name, arguments = call.get('name'), call.get('arguments', call.get('parameters'))
    if not isinstance(name, str) or not isinstance(arguments, (str, dict)):
        return None
    return ToolCallPart(name, cast('str | dict[str, Any]', arguments))


def answer_of(error: ModelHTTPError, origin: Origin) -> ModelResponse | None:
    """The answer that a refused request stands for, if it does: calls that do not fit, or a filter that has struck."""
    if error.status_code != 400:
        return None
    told = error_of(error.body)
    calls = failed_calls(told)
    if calls:
        return _response(origin, ModelResponse(calls, finish_reason='error'))
    if told.get('code') != 'content_filter':
        return None
    details: dict[str, Any] = {'finish_reason': 'content_filter'}
    filtered = error_of({'error': told.get('innererror')}).get('content_filter_result')
    if filtered is not None:
        details['content_filter_result'] = filtered
    return _response(origin, ModelResponse([], provider_details=details, finish_reason='content_filter'))


def _response(origin: Origin, response: ModelResponse) -> ModelResponse:
    response.model_name = origin.model_name
    response.provider_name = origin.provider_name
    response.provider_url = origin.provider_url
    return response
