"""What is kept of requests and answers: only what says something, in a form that people and diffs can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import ModelRequestParameters
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

Json: TypeAlias = dict[str, Any]

_MESSAGE_KEYS = 'kind', 'instructions', 'parts'
"""What a model is told of a message."""
_UNTOLD = {'timestamp', 'metadata', 'dynamic_ref', 'provider_name', 'provider_details', 'id'}
"""What a model is not told of a part, or what differs each time."""
_TOOL_KEYS = 'name', 'description', 'parameters_json_schema', 'strict'
"""What a model is told of a tool."""
_SECRET = re.compile(r'(^|[_-])(headers|authorization|api[_-]?key|secret|password|credentials|token)$', re.IGNORECASE)
"""The names of what must not be written down."""


def describe_request(
    messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> Json:
    """A request as JSON: what the model sees of it, without times, ids of runs, and secrets.

    Ids of calls are numbered, since many are made anew each time.
    """
    from plait_agent.messages import ModelMessagesTypeAdapter

    number = _numbered_ids()
    described = ModelMessagesTypeAdapter.dump_python(list(messages), mode='json')
    kept = {key: value for key, value in sorted((settings or {}).items()) if key != 'timeout'}
    beside = {'settings': _plain(kept), 'parameters': _told_parameters(parameters)}
    return {
        'messages': [_told_message(message, number) for message in described],
        **{name: value for name, value in beside.items() if value},
    }


def describe_response(response: ModelResponse) -> Json:
    """A response as JSON, without its time and its run."""
    from plait_agent.messages import ModelMessagesTypeAdapter

    (dumped,) = ModelMessagesTypeAdapter.dump_python([response], mode='json')
    usage = {key: value for key, value in dumped['usage'].items() if value}
    parts = [_without_nulls(part) for part in dumped['parts']]
    rest = {key: value for key, value in dumped.items() if key not in ('timestamp', 'run_id', 'metadata', 'kind')}
    return _without_nulls({**rest, 'parts': parts, 'usage': usage})


def restore_response(described: Json) -> ModelResponse:
    """A new response like the one that was described."""
    from plait_agent.messages import ModelMessagesTypeAdapter

    (response,) = ModelMessagesTypeAdapter.validate_python([{'kind': 'response', **described}])
    return cast('ModelResponse', response)


def _told_message(message: Json, number: Callable[[str], str]) -> Json:
    told = {key: message[key] for key in _MESSAGE_KEYS if message.get(key) is not None}
    told['parts'] = [_told_part(part, number) for part in told['parts']]
    return told


def _told_part(part: Json, number: Callable[[str], str]) -> Json:
    # The kind says what the rest means, so it is what one reads first.
    told = {'part_kind': part['part_kind']}
    told |= {key: value for key, value in _without_nulls(part).items() if key not in _UNTOLD}
    if 'tool_call_id' in told:
        told['tool_call_id'] = number(told['tool_call_id'])
    content = told.get('content')
    if isinstance(content, list):
        told['content'] = [_told_content(each) for each in cast('list[Any]', content)]
    elif told['part_kind'] == 'file':
        told['content'] = _told_content(content)
    return told


def _told_content(content: Any) -> Any:
    """What a user has sent, or a model; of bytes only their hash."""
    file = cast('Json', content)
    if not isinstance(content, dict) or file.get('kind') != 'binary':
        return file
    from hashlib import sha256

    return {'kind': 'binary', 'media_type': file['media_type'], 'sha256': sha256(file['data'].encode()).hexdigest()}


def _numbered_ids() -> Callable[[str], str]:
    """A function that gives the ids of calls their numbers, in the order in which they appear."""
    known: dict[str, str] = {}
    return lambda call_id: known.setdefault(call_id, f'call {len(known) + 1}')


def _told_parameters(parameters: ModelRequestParameters) -> Json:
    """The parameters that are not at their defaults."""
    told: Json = {}
    for each in fields(parameters):
        value = getattr(parameters, each.name)
        default: Any = [] if each.default is MISSING else each.default
        if value == default:
            continue
        is_tools = each.name in ('function_tools', 'output_tools')
        told[each.name] = [_told_tool(tool) for tool in value] if is_tools else _plain(value)
    return told


def _told_tool(tool: ToolDefinition) -> Json:
    return _without_nulls({key: getattr(tool, key) for key in _TOOL_KEYS})


def _plain(value: Any) -> Any:
    """A value as JSON, without secrets."""
    from pydantic_core import to_jsonable_python

    return _without_secrets(to_jsonable_python(value, fallback=repr))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(each) for each in cast('list[Any]', value)]
    if not isinstance(value, dict):
        return value
    pairs = _without_nulls(cast('Json', value)).items()
    return {key: _without_secrets(each) for key, each in pairs if not _SECRET.search(key)}


def _without_nulls(record: Json) -> Json:
    """A record without what is not there; a tool may have returned null, though."""
    return {key: value for key, value in record.items() if value is not None or key == 'content'}
