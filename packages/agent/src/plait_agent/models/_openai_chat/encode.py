"""Messages as chat completions want them. Nothing here waits: files were fetched before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from plait_agent.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.models._call_arguments import arguments_as_text
from plait_agent.models._openai_chat.deltas import THINKING_FIELDS
from plait_agent.models._openai_chat.media import Fetched, encode_content
from plait_agent.models._tool_files import without_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plait_agent.messages import ModelRequestPart, UserContent
    from plait_agent.profiles.openai import OpenAIModelProfile

Json = dict[str, Any]


class MessageEncoder:
    """Writes messages for one model.

    Args:
        profile: What is known of the model.
        provider_name: Who serves it, and so knows its own thoughts again.
    """

    def __init__(self, profile: OpenAIModelProfile, provider_name: str):
        self._profile = profile
        self._provider_name = provider_name
        self._role = profile.openai_system_prompt_role or 'system'

    def encode(self, messages: Iterable[ModelMessage], instructions: str | None, fetched: Fetched) -> list[Json]:
        """Write all messages; instructions stand behind the system prompts with which they begin.

        Raises:
            UserError: A prompt holds something that the provider does not take.
        """
        encoded: list[Json] = []
        leading = 0
        for message in messages:
            if isinstance(message, ModelRequest):
                if leading == len(encoded):
                    leading += _count_leading(message.parts)
                encoded += self._request(message, fetched)
                continue
            answer = self._response(message)
            if answer is not None:
                encoded.append(answer)
        if instructions is not None:
            encoded.insert(leading, {'role': self._role, 'content': instructions})
        return encoded

    def _request(self, request: ModelRequest, fetched: Fetched) -> Iterator[Json]:
        """A request. Files that tools have returned come last, since nothing may stand between calls and returns."""
        files: list[UserContent] = []
        for part in request.parts:
            if isinstance(part, ToolReturnPart):
                told, shown = without_files(part)
                files += shown
                yield self._request_part(told, fetched)
            else:
                yield self._request_part(part, fetched)
        if files:
            yield {'role': 'user', 'content': encode_content(files, self._profile, fetched)}

    def _request_part(self, part: ModelRequestPart, fetched: Fetched) -> Json:
        if isinstance(part, SystemPromptPart):
            return {'role': self._role, 'content': part.content}
        if isinstance(part, ToolReturnPart):
            return self._tool_answer(part.tool_call_id, part.model_response_str())
        if not isinstance(part, RetryPromptPart):
            return {'role': 'user', 'content': encode_content(part.content, self._profile, fetched)}
        if part.tool_name is None:
            return {'role': 'user', 'content': part.model_response()}
        return self._tool_answer(part.tool_call_id, part.model_response())

    def _tool_answer(self, call_id: str, content: str) -> Json:
        return {'role': 'tool', 'tool_call_id': self._fit_id(call_id), 'content': content}

    # Answers of the model

    def _response(self, response: ModelResponse) -> Json | None:
        """An answer; nothing if there is nothing in it that could be sent, since empty answers are refused."""
        message: Json = {'role': 'assistant', 'content': None}
        said: list[str | Json] = []
        for part in response.parts:
            if isinstance(part, TextPart):
                said.append(part.content)
            elif isinstance(part, ToolCallPart):
                message.setdefault('tool_calls', []).append(self._call(part))
            elif isinstance(part, ThinkingPart):
                said += self._thought(part, message)
        message['content'] = _content(said)
        field = self._profile.openai_chat_thinking_field
        if self._profile.openai_chat_thinking_requires_field_on_tool_calls and field and 'tool_calls' in message:
            message.setdefault(field, '')
        return message if message['content'] is not None or 'tool_calls' in message else None

    def _thought(self, part: ThinkingPart, message: Json) -> Iterator[str | Json]:
        """Put a thought into the message where its provider had it, or give what of it belongs to the content."""
        how, field = self._profile.openai_chat_send_back_thinking_parts, self._field_of(part)
        if self._is_detail(part):
            message.setdefault('reasoning_details', []).append(_detail(part))
        elif not part.content or how is False:
            return
        elif field is not None:
            message[field] = f'{message[field]}\n\n{part.content}' if field in message else part.content
        elif how == 'chunks':
            yield {'type': 'thinking', 'thinking': [{'type': 'text', 'text': part.content}]}
        else:
            start, end = self._profile.thinking_tags
            yield f'{start}\n{part.content}\n{end}'

    def _field_of(self, part: ThinkingPart) -> str | None:
        """The field for a thought; `None` if it is to be part of the content."""
        how, field = self._profile.openai_chat_send_back_thinking_parts, self._profile.openai_chat_thinking_field
        if how == 'field':
            return field
        is_own = part.provider_name == self._provider_name and part.id in (field, *THINKING_FIELDS)
        return part.id if how == 'auto' and is_own else None

    def _is_detail(self, part: ThinkingPart) -> bool:
        """Whether a thought is one of those that this provider wants back as it was."""
        kind = (part.provider_details or {}).get('type')
        return part.provider_name == self._provider_name and isinstance(kind, str) and kind.startswith('reasoning.')

    def _call(self, part: ToolCallPart) -> Json:
        details = part.provider_details or {}
        call: Json = {'id': self._fit_id(part.tool_call_id)}
        if details.get('type') == 'custom':
            text = part.args_as_dict().get('input')
            return call | {'type': 'custom', 'custom': {'name': part.tool_name, 'input': text}}
        call |= {'type': 'function', 'function': {'name': part.tool_name, 'arguments': arguments_as_text(part)}}
        if 'extra_content' in details:
            call['extra_content'] = details['extra_content']
        return call

    def _fit_id(self, call_id: str) -> str:
        """The id of a call in a form that the provider takes; the same for a call and its answer."""
        length = self._profile.openai_chat_tool_call_id_length
        if length is None or (len(call_id) == length and call_id.isascii() and call_id.isalnum()):
            return call_id
        from hashlib import sha256

        return sha256(call_id.encode()).hexdigest()[:length]


def _count_leading(parts: Sequence[ModelRequestPart]) -> int:
    """With how many system prompts a request begins."""
    return next((n for n, part in enumerate(parts) if not isinstance(part, SystemPromptPart)), len(parts))


def _content(said: Sequence[str | Json]) -> str | list[Json] | None:
    """Texts in one, and the chunks of thoughts before them if there are any."""
    texts = [each for each in said if isinstance(each, str)]
    chunks = [each for each in said if not isinstance(each, str)]
    text = '\n\n'.join(texts) if texts else None
    if not chunks or text is None:
        return chunks or text
    return [*chunks, {'type': 'text', 'text': text}]


def _detail(part: ThinkingPart) -> Json:
    details: Json = dict(part.provider_details or {})
    if part.id is not None:
        details['id'] = part.id
    if details['type'] == 'reasoning.encrypted':
        return details | {'data': part.signature}
    if details['type'] == 'reasoning.summary':
        return details | {'summary': part.content}
    return details | {'text': part.content} | ({} if part.signature is None else {'signature': part.signature})
