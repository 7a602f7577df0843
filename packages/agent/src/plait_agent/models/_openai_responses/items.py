"""From our messages to the input of a request: a list of items, one for each thing that was said or done.

What OpenAI itself has said goes back with the ids that it has given, so that it knows its thoughts again; what others
have said is told as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
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
from plait_agent.models._openai_responses.kept_items import answer_to, answered_by, kept_item, type_of_asked
from plait_agent.models._openai_responses.media import MediaWriter, holds_files
from plait_agent.models._openai_responses.server_items import SERVER_TOOLS, server_item

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage, ModelResponsePart
    from plait_agent.models._openai_responses.builtin_tools import Item


@dataclass(frozen=True, slots=True)
class Manner:
    """How messages are written."""

    provider_name: str
    """Who is written to."""
    system_role: str
    """Who says system prompts."""
    thinking_tags: tuple[str, str]
    """What stands around thoughts that are told as text."""
    sends_ids: bool
    """Whether items have the ids that the provider has given them."""
    keeps_items: bool
    """Whether the provider keeps items, so that their ids are enough."""
    needs_null_status: bool
    """Whether calls have a status of null."""


class ItemWriter:
    """Writes messages as items."""

    def __init__(self, manner: Manner, media: MediaWriter):
        self._manner = manner
        self._media = media
        self._items: list[Item] = []
        self._kept: dict[str, str] = {}
        """The calls that were no calls of functions, each with the type of its item."""

    def write(self, messages: Iterable[ModelMessage]) -> list[Item]:
        """Write messages, in their order."""
        for message in messages:
            if isinstance(message, ModelRequest):
                self._write_request(message)
            else:
                self.know_calls(message)
                _ResponseWriter(self._manner, message, self._items).write()
        return self._items

    def know_calls(self, response: ModelResponse) -> None:
        """Take note of the calls of an answer, for what answers them. The calls of others are those of functions."""
        if response.provider_name != self._manner.provider_name:
            return
        for part in response.parts:
            if isinstance(part, (ToolCallPart, BuiltinToolCallPart)):
                kind = type_of_asked(part)
                if kind is not None:
                    self._kept[part.tool_call_id] = kind

    def _write_request(self, request: ModelRequest) -> None:
        for part in request.parts:
            if isinstance(part, SystemPromptPart):
                self._items.append({'role': self._manner.system_role, 'content': part.content})
            elif isinstance(part, UserPromptPart):
                said = part.content
                written = said if isinstance(said, str) else self._media.write_all(said)
                self._items.append({'role': 'user', 'content': written})
            elif isinstance(part, ToolReturnPart):
                self._items.append(self._write_return(part))
            else:
                self._items.append(self._write_retry(part))

    def _write_return(self, part: ToolReturnPart) -> Item:
        kind = self._kept.get(part.tool_call_id)
        if kind is not None:
            return answer_to(kind, part.tool_call_id, part.content, self._write_output(part))
        return _answer_to_function(part.tool_call_id, self._write_output(part))

    def _write_output(self, part: ToolReturnPart) -> str | list[Item]:
        """What a tool has returned: text, or parts if there are files."""
        if not holds_files(part.content):
            return part.model_response_str()
        said: Any = part.content
        content: list[Any] = cast('list[Any]', said) if isinstance(said, (list, tuple)) else [said]
        return [
            self._media.write(each)
            if isinstance(each, str) or holds_files(each)
            else self._media.write(ToolReturnPart(part.tool_name, each).model_response_str())
            for each in content
        ]

    def _write_retry(self, part: RetryPromptPart) -> Item:
        text = part.model_response()
        if part.tool_name is None:
            return {'role': 'user', 'content': text}
        kind = self._kept.get(part.tool_call_id)
        if kind is not None:
            return answer_to(kind, part.tool_call_id, text, text, failed=True)
        return _answer_to_function(part.tool_call_id, text)


class _ResponseWriter:
    """Writes one answer."""

    def __init__(self, manner: Manner, response: ModelResponse, items: list[Item]):
        self._manner = manner
        self._parts: Sequence[ModelResponsePart] = response.parts
        self._provider_name = response.provider_name
        self._is_own = response.provider_name == manner.provider_name
        self._items = items
        self._by_id: dict[str, Item] = {}
        """The items that several parts belong to: texts of a message, thoughts, calls and their returns."""

    def write(self) -> None:
        for part in self._parts:
            if isinstance(part, TextPart):
                self._write_text(part)
            elif isinstance(part, ThinkingPart):
                self._write_thought(part)
            elif isinstance(part, ToolCallPart):
                self._items.append(self._write_call(part))
            elif part.provider_name == self._manner.provider_name:
                self._write_server_part(part)

    def _write_text(self, part: TextPart) -> None:
        phase = (part.provider_details or {}).get('phase') if self._is_own else None
        told = {'phase': phase} if phase else {}
        if part.id is None or not self._is_own or not self._manner.sends_ids:
            if part.content:
                self._items.append({'role': 'assistant', 'content': part.content, **told})
            return
        empty: Item = {
            'type': 'message',
            'role': 'assistant',
            'id': part.id,
            'status': 'completed',
            'content': [],
            **told,
        }
        message = self._item(part.id, empty)
        message['content'].append({'type': 'output_text', 'text': part.content, 'annotations': []})

    def _write_thought(self, part: ThinkingPart) -> None:
        if not self._goes_back(part):
            if part.content:
                start, end = self._manner.thinking_tags
                self._items.append({'role': 'assistant', 'content': f'{start}\n{part.content}\n{end}'})
            return
        item = self._item(
            part.id or '', {'type': 'reasoning', 'id': part.id, 'summary': [], 'encrypted_content': part.signature}
        )
        raw = (part.provider_details or {}).get('raw_content')
        if raw:
            item['content'] = [{'type': 'reasoning_text', 'text': text} for text in raw]
        if part.content and part.content != ''.join(raw or ()):
            item['summary'].append({'type': 'summary_text', 'text': part.content})

    def _goes_back(self, part: ThinkingPart) -> bool:
        """Whether the provider knows a thought again: by what it has encrypted, by its words, or by its id."""
        if part.id is None or (part.provider_name or self._provider_name) != self._manner.provider_name:
            return False
        if part.id in self._by_id or (part.provider_details or {}).get('raw_content'):
            return True
        return self._manner.sends_ids and (self._manner.keeps_items or part.signature is not None)

    def _write_call(self, part: ToolCallPart) -> Item:
        kept = kept_item(part) if self._is_own else None
        if kept is not None:
            return kept
        details = part.provider_details or {}
        call_id, item_id = _split_id(part.tool_call_id)
        item: Item = {
            'type': 'function_call',
            'call_id': call_id,
            'name': part.tool_name,
            'arguments': part.args_as_json_str(),
        }
        if self._is_own:
            item |= {name: details[name] for name in ('namespace', 'caller') if details.get(name)}
        item_id = part.id or item_id
        if self._is_own and self._manner.sends_ids and item_id is not None:
            item['id'] = item_id
        if self._manner.needs_null_status:
            item['status'] = None
        return item

    def _write_server_part(self, part: BuiltinToolCallPart | BuiltinToolReturnPart | FilePart) -> None:
        is_full = not self._manner.keeps_items
        if isinstance(part, FilePart):
            item = self._by_id.get(part.id or '')
            if is_full and item is not None and item['type'] == 'image_generation_call':
                item['result'] = part.content.base64
        elif isinstance(part, BuiltinToolCallPart):
            self._write_server_call(part)
        else:
            self._write_server_return(part, is_full=is_full)

    def _write_server_call(self, part: BuiltinToolCallPart) -> None:
        item = kept_item(part)
        if item is None and (self._manner.sends_ids or type_of_asked(part) is not None):
            item = server_item(part)
        if item is not None:
            self._item(part.tool_call_id, item)

    def _write_server_return(self, part: BuiltinToolReturnPart, *, is_full: bool) -> None:
        item = kept_item(part)
        if item is not None:
            self._items.append(item)
            return
        call = self._by_id.get(part.tool_call_id)
        if call is None:
            return
        content: Any = part.content
        tool = SERVER_TOOLS.get(call['type'])
        if tool is None:
            self._items.append(answered_by(part, call))
        elif isinstance(content, dict):
            call.update(tool.return_fields(cast('dict[str, Any]', content), is_full))

    def _item(self, id: str, new: Item) -> Item:
        """The item of an id, which is added if it is new."""
        item = self._by_id.get(id)
        if item is None:
            item = self._by_id[id] = new
            self._items.append(item)
        return item


def _answer_to_function(call_id: str, output: str | list[Item]) -> Item:
    return {'type': 'function_call_output', 'call_id': _split_id(call_id)[0], 'output': output}


def _split_id(call_id: str) -> tuple[str, str | None]:
    """The id of a call, and that of its item, which histories that were stored long ago have in one."""
    first, _, second = call_id.partition('|')
    return first, second or None
