"""Our messages as the contents of a request to Google, in the JSON that its API documents.

The library would check and rewrite each content of a history anew in each request, which costs more than everything
else together; it takes this JSON as it is, as `extra_body`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CachePoint,
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models._call_arguments import arguments_of
from plait_agent.models._google.decode import SIGNATURE, TOOL_TYPE
from plait_agent.models._google.media import FILES, Fetched, Json, file_part, media_type_of
from plait_agent.models._tool_files import listed

_NO_SIGNATURE = 'c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I='
"""Base64 of what Google has one say of a call that was not made by the model that is asked."""
_SAME = {'google': 'google-gla', 'google-cloud': 'google-vertex'}
"""Other names of the providers, in histories of other programs."""


@dataclass(slots=True)
class Encoder:
    """Writes one history.

    Args:
        provider_name: Who is asked; signatures and built-in tools are sent only to who has made them.
        fetched: The files that were fetched for it.
        file_types: The media types that tools may return as files.
    """

    provider_name: str
    fetched: Fetched = field(default_factory=dict[int, Any])
    file_types: tuple[str, ...] = ()
    system: list[Json] = field(default_factory=list[Json])
    """The system prompts."""
    contents: list[Json] = field(default_factory=list[Json])
    """The rest."""

    def encode(self, messages: list[ModelMessage]) -> None:
        """Write messages."""
        for message in messages:
            if isinstance(message, ModelRequest):
                self._request(message)
            else:
                self._add('model', list(self._response(message)))
        if not self.contents or self.contents[0]['role'] == 'model':
            # Google wants to be asked something.
            self.contents.insert(0, {'role': 'user', 'parts': [{'text': ''}]})

    # Requests

    def _request(self, message: ModelRequest) -> None:
        """Write a request: what tools have returned comes first and by itself, as it has to follow the calls."""
        returns: list[Json] = []
        said: list[Json] = []
        for part in message.parts:
            if isinstance(part, SystemPromptPart):
                self.system.append({'text': part.content})
            elif isinstance(part, UserPromptPart):
                said.extend(self._user(part))
            elif isinstance(part, ToolReturnPart):
                returns.append(self._return(part, said))
            elif part.tool_name is None:
                said.append({'text': part.model_response()})
            else:
                returns.append(_function_response(part, {'error': part.model_response()}))
        self._add('user', returns)
        self._add('user', said)

    def _user(self, part: UserPromptPart) -> Iterator[Json]:
        for item in (part.content,) if isinstance(part.content, str) else part.content:
            if isinstance(item, str):
                yield {'text': item}
            elif not isinstance(item, CachePoint):
                yield file_part(item, self.fetched)

    def _return(self, part: ToolReturnPart, said: list[Json]) -> Json:
        """Write what a tool has returned. Files that cannot be part of it are said by the user after it."""
        items = listed(part.content)
        if not any(isinstance(each, FILES) for each in items):
            return _function_response(part, part.model_response_object())
        files: list[Json] = []
        rest: list[Any] = []
        for item in items:
            if not isinstance(item, FILES):
                rest.append(item)
            elif media_type_of(item, self.fetched) in self.file_types:
                files.append(file_part(item, self.fetched))
            else:
                rest.append(f'See file {item.identifier}.')
                said += {'text': f'This is file {item.identifier}:'}, file_part(item, self.fetched)
        told = ToolReturnPart(part.tool_name, rest if isinstance(part.content, (list, tuple)) else ''.join(rest))
        response = _function_response(part, told.model_response_object() if rest else {})
        if files:
            response['functionResponse']['parts'] = files
        return response

    # Responses

    def _response(self, message: ModelResponse) -> Iterator[Json]:
        is_own = self._is_own(message.provider_name)
        is_called = False
        carried: str | None = None
        for part in message.parts:
            if isinstance(part, ThinkingPart) and part.signature and self._is_own(part.provider_name):
                # Older histories have it here; it belongs to what the thought led to.
                carried = part.signature
            content = _response_part(part, is_own=is_own or self._is_own(getattr(part, 'provider_name', None)))
            if content is None:
                continue
            if 'thoughtSignature' not in content and carried and not content.get('thought'):
                content['thoughtSignature'], carried = carried, None
            if isinstance(part, ToolCallPart):
                if not is_called:
                    content.setdefault('thoughtSignature', _NO_SIGNATURE)
                is_called = True
            yield content

    def _is_own(self, provider_name: str | None) -> bool:
        return provider_name is not None and _SAME.get(provider_name, provider_name) == self.provider_name

    def _add(self, role: str, parts: list[Json]) -> None:
        """Add parts to what the same side has said last; only what tools return stands by itself."""
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        if last is not None and last['role'] == role and _are_returns(last['parts']) == _are_returns(parts):
            last['parts'] += parts
        else:
            self.contents.append({'role': role, 'parts': parts})


def _are_returns(parts: Sequence[Json]) -> bool:
    return 'functionResponse' in parts[0]


def _function_response(part: ToolReturnPart | RetryPromptPart, response: Json) -> Json:
    return {'functionResponse': {'id': part.tool_call_id, 'name': part.tool_name, 'response': response}}


def _response_part(part: Any, *, is_own: bool) -> Json | None:
    """A part of an answer as Google has sent it; nothing if it has no use for it."""
    details: Json = (part.provider_details or {}) if is_own else {}
    signature: Json = {'thoughtSignature': details[SIGNATURE]} if SIGNATURE in details else {}
    if isinstance(part, TextPart):
        return {'text': part.content, **signature} if part.content or signature else None
    if isinstance(part, ThinkingPart):
        return {'text': part.content, 'thought': True, **signature} if part.content or signature else None
    if isinstance(part, ToolCallPart):
        call = {'id': part.tool_call_id, 'name': part.tool_name, 'args': arguments_of(part)}
        return {'functionCall': call, **signature}
    if isinstance(part, FilePart):
        return {**file_part(part.content, {}), **signature}
    said = _builtin(part, details) if is_own else None
    return None if said is None else {**said, **signature}


def _builtin(part: BuiltinToolCallPart | BuiltinToolReturnPart, details: Json) -> Json | None:
    """What a built-in tool did, if Google has told of it within the answer."""
    if isinstance(part, BuiltinToolCallPart):
        if part.tool_name == 'code_execution':
            return {'executableCode': arguments_of(part)}
        if TOOL_TYPE in details:
            return {'toolCall': {'id': part.tool_call_id, 'toolType': details[TOOL_TYPE], 'args': arguments_of(part)}}
        return None
    if part.tool_name == 'code_execution':
        return {'codeExecutionResult': part.content}
    if TOOL_TYPE not in details:
        return None
    return {'toolResponse': {'id': part.tool_call_id, 'toolType': details[TOOL_TYPE], 'response': part.content}}
