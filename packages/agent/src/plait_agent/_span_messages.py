"""Messages in the form in which spans have them: by role and part, as OpenTelemetry's GenAI conventions say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from plait_agent.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CachePoint,
    FilePart,
    FileUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserContent,
    UserPromptPart,
)

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageForm:
    """Writes messages as records of role and parts.

    Args:
        include_content: Whether what was said is written, and not only of what kind it was.
        include_binary_content: Whether files are.
    """

    include_content: bool
    include_binary_content: bool

    def messages(self, messages: Iterable[ModelMessage]) -> list[JsonObject]:
        """All messages; a request is one for each change between system and user."""
        found: list[JsonObject] = []
        for message in messages:
            if isinstance(message, ModelResponse):
                found.append(self.response(message))
            else:
                found += self._request(message)
        return found

    def response(self, response: ModelResponse) -> JsonObject:
        """An answer."""
        parts = [self._response_part(part) for part in response.parts]
        told: JsonObject = {'role': 'assistant', 'parts': parts}
        return told | ({'finish_reason': response.finish_reason} if response.finish_reason else {})

    def instructions(self, instructions: str | None) -> list[JsonObject] | None:
        """Instructions; nothing if there are none, or they are not to be seen."""
        return [self.text(instructions)] if instructions and self.include_content else None

    def text(self, content: str, kind: str = 'text') -> JsonObject:
        """Text or thoughts."""
        return {'type': kind, **self._content('content', content)}

    def _content(self, name: str, value: Any) -> JsonObject:
        return {name: value} if self.include_content else {}

    def _request(self, request: ModelRequest) -> list[JsonObject]:
        found: list[JsonObject] = []
        for part in request.parts:
            role = 'system' if isinstance(part, SystemPromptPart) else 'user'
            if not found or found[-1]['role'] != role:
                found.append({'role': role, 'parts': []})
            found[-1]['parts'] += self._request_part(part)
        return found

    def _request_part(self, part: ModelRequestPart) -> Iterator[JsonObject]:
        if isinstance(part, SystemPromptPart):
            yield self.text(part.content)
        elif isinstance(part, UserPromptPart):
            content = [part.content] if isinstance(part.content, str) else part.content
            yield from (self._user_content(each) for each in content if not isinstance(each, CachePoint))
        elif isinstance(part, BaseToolReturnPart):
            yield self._return(part)
        elif part.tool_name is None:
            yield self.text(part.model_response())
        else:
            called = {'type': 'tool_call_response', 'id': part.tool_call_id, 'name': part.tool_name}
            yield called | self._content('result', part.model_response())

    def _user_content(self, content: UserContent) -> JsonObject:
        if isinstance(content, str):
            return self.text(content)
        if isinstance(content, FileUrl):
            return {'type': content.kind, **self._content('url', content.url)}
        if isinstance(content, BinaryContent):
            return {'type': 'binary', **self.file(content, 'content')}
        return {'type': content.kind}

    def file(self, file: BinaryContent, name: str) -> JsonObject:
        """The media type of a file, and under a name its bytes if they are to be seen."""
        is_shown = self.include_content and self.include_binary_content
        return {'media_type': file.media_type, **({name: file.base64} if is_shown else {})}

    def _response_part(self, part: ModelResponsePart) -> JsonObject:
        if isinstance(part, TextPart):
            return self.text(part.content)
        if isinstance(part, ThinkingPart):
            return self.text(part.content, 'thinking')
        if isinstance(part, FilePart):
            return {'type': 'binary', **self.file(part.content, 'content')}
        return self._call(part) if isinstance(part, BaseToolCallPart) else self._return(part)

    def _call(self, part: BaseToolCallPart) -> JsonObject:
        told: JsonObject = {'type': 'tool_call', 'id': part.tool_call_id, 'name': part.tool_name}
        if isinstance(part, BuiltinToolCallPart):
            told['builtin'] = True
        return told | ({} if part.args is None else self._content('arguments', part.args))

    def _return(self, part: BaseToolReturnPart) -> JsonObject:
        told: JsonObject = {'type': 'tool_call_response', 'id': part.tool_call_id, 'name': part.tool_name}
        if isinstance(part, BuiltinToolReturnPart):
            told['builtin'] = True
        return told | self._content('result', part.content)


@dataclass(frozen=True, slots=True)
class EventForm:
    """Writes messages as the events of version 1.

    Args:
        form: Says what is to be seen.
        system: The provider that is asked, if a request is told of.
    """

    form: MessageForm
    system: str | None = None

    def messages(self, messages: Sequence[ModelMessage], instructions: str | None) -> list[JsonObject]:
        """The instructions, and an event for each part of a request and for each answer."""
        found: list[JsonObject] = []
        if instructions:
            found.append(self._event('system', {**self._content(instructions), 'role': 'system'}, None))
        for index, message in enumerate(messages):
            if isinstance(message, ModelResponse):
                found.append(self._event('assistant', self._answer(message), index))
            else:
                found += (self._asked(part, index) for part in message.parts)
        return found

    def choice(self, response: ModelResponse) -> JsonObject:
        """The event of the answer that a request was given."""
        message = {'index': 0, 'message': self._answer(response)}
        return {**message, **self._origin(), 'event.name': 'gen_ai.choice'}

    def _event(self, kind: str, body: JsonObject, index: int | None) -> JsonObject:
        place = {} if index is None else {'gen_ai.message.index': index}
        return {**body, **self._origin(), **place, 'event.name': f'gen_ai.{kind}.message'}

    def _origin(self) -> JsonObject:
        return {} if self.system is None else {'gen_ai.system': self.system}

    def _content(self, content: Any) -> JsonObject:
        return {'content': content} if self.form.include_content else {}

    def _asked(self, part: ModelRequestPart, index: int) -> JsonObject:
        if isinstance(part, SystemPromptPart):
            return self._event('system', {'role': 'system', **self._content(part.content)}, index)
        if isinstance(part, UserPromptPart):
            return self._event('user', {'content': self._user_content(part.content), 'role': 'user'}, index)
        if isinstance(part, RetryPromptPart) and part.tool_name is None:
            return self._event('user', {**self._content(part.model_response()), 'role': 'user'}, index)
        content = part.model_response() if isinstance(part, RetryPromptPart) else part.content
        body = {**self._content(content), 'role': 'tool', 'id': part.tool_call_id, 'name': part.tool_name}
        return self._event('tool', body, index)

    def _user_content(self, content: str | Sequence[UserContent]) -> Any:
        if isinstance(content, str):
            return content if self.form.include_content else {'kind': 'text'}
        return [self._item(each) for each in content if not isinstance(each, CachePoint)]

    def _item(self, item: UserContent) -> Any:
        if isinstance(item, str):
            return self._user_content(item)
        if isinstance(item, FileUrl):
            return {'kind': item.kind, **({'url': item.url} if self.form.include_content else {})}
        if isinstance(item, BinaryContent):
            return self._file(item)
        return {'kind': item.kind}

    def _file(self, file: BinaryContent) -> JsonObject:
        return {'kind': 'binary', **self.form.file(file, 'binary_content')}

    def _answer(self, response: ModelResponse) -> JsonObject:
        said = [told for part in response.parts if (told := self._said(part)) is not None]
        calls = [self._call(part) for part in response.parts if isinstance(part, ToolCallPart)]
        body: JsonObject = {'role': 'assistant'}
        if said:
            is_plain = len(said) == 1 and said[0]['kind'] == 'text' and self.form.include_content
            body['content'] = said[0]['text'] if is_plain else said
        return body | ({'tool_calls': calls} if calls else {})

    def _said(self, part: ModelResponsePart) -> JsonObject | None:
        if isinstance(part, TextPart | ThinkingPart):
            return {'kind': part.part_kind, **({'text': part.content} if self.form.include_content else {})}
        return self._file(part.content) if isinstance(part, FilePart) else None

    def _call(self, part: ToolCallPart) -> JsonObject:
        arguments = {'arguments': part.args} if self.form.include_content else {}
        return {'id': part.tool_call_id, 'type': 'function', 'function': {'name': part.tool_name, **arguments}}
