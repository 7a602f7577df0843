"""Our messages as turns of Anthropic, in one walk over the history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from plait_agent._stamps import now_utc
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CachePoint,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models._anthropic.blocks import MCP_PREFIX, REDACTED, Block, name_of, result_type_of
from plait_agent.models._anthropic.caching import CacheMarks, last_markable
from plait_agent.models._anthropic.content import Download, file_block, result_content, text_block
from plait_agent.models._call_arguments import arguments_of

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage
    from plait_agent.profiles.anthropic import AnthropicModelProfile

_NOT_IN_IDS = re.compile(r'[^a-zA-Z0-9_-]')


class Dialect(NamedTuple):
    """How a provider's model wants to be told of what was said."""

    provider_name: str
    profile: AnthropicModelProfile
    names_usual_ttl: bool = True
    """Whether it may be said of marks for the cache how long they hold if that is as long as usual."""


class Turns:
    """The turns of a conversation; what one role says in a row is one turn.

    Args:
        dialect: How the model wants to be told.
    """

    def __init__(self, dialect: Dialect):
        self.system: list[str] = []
        """The system prompts of the beginning."""
        self.messages: list[dict[str, Any]] = []
        """The turns."""
        self.downloads: list[Download] = []
        """The files that are to be fetched before the turns are whole."""
        self.marks = CacheMarks(dialect.names_usual_ttl)
        """What is marked for the cache."""
        self.container: str | None = None
        """The container that the tools of the provider have run in, while it lives."""
        self._dialect = dialect
        self._open_calls: dict[str, Block] = {}
        """The calls of the provider's own tools that have no result yet."""

    def add_all(self, messages: Sequence[ModelMessage]) -> None:
        """Put messages behind those that there are.

        Raises:
            UserError: Something was said that models of Anthropic cannot be told.
        """
        for message in messages:
            if isinstance(message, ModelRequest):
                self._add_request(message)
            else:
                self._add_response(message)

    # Requests

    def _add_request(self, request: ModelRequest) -> None:
        later: list[str] = []
        has_begun = bool(self.messages) and self._dialect.profile.anthropic_supports_system_messages
        for part in request.parts:
            if isinstance(part, SystemPromptPart):
                self._add_system_prompt(part, later if has_begun else self.system)
            elif isinstance(part, UserPromptPart):
                self._add_prompt(part)
            elif isinstance(part, ToolReturnPart):
                self._add_result(part.tool_call_id, result_content(part, self.downloads), is_error=False)
            else:
                self._add_retry(part)
        # What the developer says goes behind what the user says: results have to follow upon their calls.
        for text in later:
            self._turn_of('system').append(text_block(text))

    def _add_system_prompt(self, part: SystemPromptPart, prompts: list[str]) -> None:
        if part.content:
            prompts.append(part.content)

    def _add_prompt(self, part: UserPromptPart) -> None:
        self._drop_open_calls()
        items = [part.content] if isinstance(part.content, str) else part.content
        for item in items:
            if isinstance(item, CachePoint):
                self._mark(item)
            elif not isinstance(item, str):
                self._turn_of('user').append(file_block(item, self.downloads))
            elif item:
                # Anthropic refuses empty texts.
                self._turn_of('user').append(text_block(item))

    def _mark(self, point: CachePoint) -> None:
        """Mark what was said last."""
        marked = (last_markable(turn['content']) for turn in reversed(self.messages))
        block = next((block for block in marked if block is not None), None)
        if block is None:
            raise UserError(
                'A CachePoint marks what stands before it, and there is nothing before the first one. '
                'Put it behind something, or use the settings anthropic_cache_instructions or '
                'anthropic_cache_tool_definitions to keep what comes before the messages.'
            )
        self.marks.add_in_messages(block, point.ttl)

    def _add_retry(self, part: RetryPromptPart) -> None:
        if part.tool_name is None:
            self._drop_open_calls()
            self._turn_of('user').append(text_block(part.model_response()))
        else:
            self._add_result(part.tool_call_id, part.model_response(), is_error=True)

    def _add_result(self, call_id: str, content: str | list[Block], *, is_error: bool) -> None:
        """Add a result; those of a turn have to stand before all else in it."""
        turn = self._turn_of('user')
        place = next((at for at, block in enumerate(turn) if block.get('type') != 'tool_result'), len(turn))
        block = {'type': 'tool_result', 'tool_use_id': _as_id(call_id), 'content': content, 'is_error': is_error}
        turn.insert(place, block)

    # Responses

    def _add_response(self, response: ModelResponse) -> None:
        self.add_answer(response.parts)
        if response.provider_name == self._dialect.provider_name and response.provider_details:
            self.container = _living_container(response.provider_details) or self.container

    def add_answer(self, parts: Sequence[ModelResponsePart]) -> None:
        """Add what the model has said."""
        for part in parts:
            block = self._block_of(part)
            if block is not None:
                self._turn_of('assistant').append(block)

    def _block_of(self, part: ModelResponsePart) -> Block | None:
        if isinstance(part, TextPart):
            # Anthropic writes texts of white space, but refuses to read them.
            return text_block(part.content) if part.content.strip() else None
        if isinstance(part, ThinkingPart):
            return self._thought(part)
        if isinstance(part, ToolCallPart):
            return _call_block('tool_use', part.tool_name, part)
        if isinstance(part, BuiltinToolCallPart) and part.provider_name == self._dialect.provider_name:
            block = self._open_calls[part.tool_call_id] = _builtin_call_block(part)
            return block
        if isinstance(part, BuiltinToolReturnPart) and part.provider_name == self._dialect.provider_name:
            was_open = self._open_calls.pop(part.tool_call_id, None) is not None
            return _builtin_return_block(part) if was_open else None
        return None

    def _drop_open_calls(self) -> None:
        """Leave out calls that have no result when the user goes on, since Anthropic refuses them.

        Until then they may still get one: an answer that has paused goes on, and code that calls tools of the program
        waits for their results.
        """
        if not self._open_calls:
            return
        dropped = {id(block) for block in self._open_calls.values()}
        self._open_calls.clear()
        for turn in self.messages:
            turn['content'] = [block for block in turn['content'] if id(block) not in dropped]
        self.messages[:] = [turn for turn in self.messages if turn['content']]

    def _thought(self, part: ThinkingPart) -> Block | None:
        """A thought as it came, or as text if it is not one that the provider would know again."""
        if part.provider_name == self._dialect.provider_name:
            if part.provider_details and 'block' in part.provider_details:
                # A copy, since marks for the cache are set on blocks.
                return dict(part.provider_details['block'])
            if part.signature is not None and part.id == REDACTED:
                return {'type': REDACTED, 'data': part.signature}
            if part.signature is not None:
                return {'type': 'thinking', 'thinking': part.content, 'signature': part.signature}
        if not part.content:
            return None
        start, end = self._dialect.profile.thinking_tags
        return text_block(f'{start}\n{part.content}\n{end}')

    def _turn_of(self, role: str) -> list[Block]:
        """The blocks of the last turn, if that is one of a role, otherwise those of a new turn."""
        if not self.messages or self.messages[-1]['role'] != role:
            self.messages.append({'role': role, 'content': []})
        return self.messages[-1]['content']


def _call_block(kind: str, name: str, part: ToolCallPart | BuiltinToolCallPart) -> Block:
    details = part.provider_details or {}
    kept = {key: details[key] for key in ('caller', 'toolset_name') if key in details}
    return {'type': kind, 'id': _as_id(part.tool_call_id), 'name': name, 'input': arguments_of(part), **kept}


def _builtin_call_block(part: BuiltinToolCallPart) -> Block:
    if not part.tool_name.startswith(MCP_PREFIX):
        name = (part.provider_details or {}).get('name') or name_of(part.tool_name)
        return _call_block('server_tool_use', name, part)
    args = arguments_of(part)
    return {
        'type': 'mcp_tool_use',
        'id': _as_id(part.tool_call_id),
        'server_name': part.tool_name.removeprefix(MCP_PREFIX),
        'name': args.get('tool_name'),
        'input': args.get('tool_args') or {},
    }


def _builtin_return_block(part: BuiltinToolReturnPart) -> Block:
    call_id, details = _as_id(part.tool_call_id), part.provider_details or {}
    said: Any = part.content
    if part.tool_name.startswith(MCP_PREFIX) and isinstance(said, dict):
        content = cast('dict[str, Any]', said)
        return {
            'type': 'mcp_tool_result',
            'tool_use_id': call_id,
            'content': content.get('content'),
            'is_error': content.get('is_error', False),
        }
    kind = details.get('type') or result_type_of(part.tool_name, said)
    kept = {'caller': details['caller']} if 'caller' in details else {}
    return {'type': kind, 'tool_use_id': call_id, 'content': said, **kept}


def _as_id(call_id: str) -> str:
    """The id of a call in letters that Anthropic takes; other providers have others in theirs."""
    return _NOT_IN_IDS.sub('_', call_id)


def _living_container(details: dict[str, Any]) -> str | None:
    """The container of a response, unless it is known to have expired."""
    try:
        has_expired = datetime.fromisoformat(details['container_expires_at']) <= now_utc()
    except (KeyError, TypeError, ValueError):
        has_expired = False
    return None if has_expired else details.get('container_id')
