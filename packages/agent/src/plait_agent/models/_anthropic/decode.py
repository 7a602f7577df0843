"""Reads the answers of Anthropic's library into messages of ours.

Blocks that we have no part for are kept as they came, so that they can be sent back: in thoughts without text, which
nobody takes for output. Nothing is known of networks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models._anthropic.blocks import MCP_PREFIX, REDACTED, Block, result_type_of, tool_of
from plait_agent.models._anthropic.usage import read_usage

if TYPE_CHECKING:
    from plait_agent.models._origin import Origin

_FINISH_REASONS: dict[str, FinishReason] = {
    'end_turn': 'stop',
    'stop_sequence': 'stop',
    'tool_use': 'tool_call',
    'max_tokens': 'length',
    'model_context_window_exceeded': 'length',
    # The answer is not at its end, but was cut off by how much Anthropic does in one go.
    'pause_turn': 'length',
    'compaction': 'length',
    'refusal': 'content_filter',
}
UNREADABLE = AttributeError, KeyError, TypeError, ValueError
"""What is raised where an answer does not have the form that it should have; the library lets it through."""
_OF_CONTAINERS = 'container_id', 'container_expires_at'
_PAUSES = frozenset({'pause_turn', 'compaction'})


def decode_message(message: Any, origin: Origin, before: ModelResponse | None = None) -> ModelResponse:
    """Read an answer.

    Args:
        message: The answer, as the library gives it.
        origin: Who has answered.
        before: The answer that this one goes on with; the response holds both.

    Raises:
        UnexpectedModelBehavior: It is no answer.
    """
    said = as_json(message)
    if said.get('type') == 'message' and said.get('content') is None:
        # Servers that speak the format may have nothing where Anthropic has an empty list.
        said['content'] = []
    if not isinstance(said.get('content'), list):
        raise origin.unexpected(f'The answer is no message: {str(said or message)[:200]}')
    try:
        return _decode(said, origin, before)
    except UNREADABLE as error:
        raise origin.unexpected(f'The answer cannot be read ({error!r})', body=str(said)) from error


def _decode(said: dict[str, Any], origin: Origin, before: ModelResponse | None) -> ModelResponse:
    reader = BlockReader(origin.provider_name, () if before is None else before.parts)
    parts = [part for part in map(reader.read, said['content']) if part is not None]
    usage = read_usage(said.get('usage') or {})
    finish_reason, details = read_end(said, None if before is None else before.provider_details)
    return ModelResponse(
        parts if before is None else [*before.parts, *parts],
        usage=usage if before is None else before.usage + usage,
        model_name=said.get('model') or origin.model_name,
        provider_name=origin.provider_name,
        provider_url=origin.provider_url,
        provider_details=details,
        provider_response_id=said.get('id'),
        finish_reason=finish_reason,
    )


def is_paused(details: dict[str, Any] | None) -> bool:
    """Whether an answer stopped in the middle, and goes on once it is sent back."""
    return (details or {}).get('finish_reason') in _PAUSES


def read_end(
    said: dict[str, Any], before: dict[str, Any] | None = None
) -> tuple[FinishReason | None, dict[str, Any] | None]:
    """Why an answer ended, and what else was told then, from a message or the delta of one.

    The container of the answer before, which this one goes on with, is still its container.
    """
    reason: str | None = said.get('stop_reason')
    refusal: dict[str, Any] = said.get('stop_details') or {}
    container: dict[str, Any] = said.get('container') or {}
    details = {
        'finish_reason': reason,
        'stop_sequence': said.get('stop_sequence'),
        'refusal': refusal.get('explanation'),
        'refusal_category': refusal.get('category'),
        'container_id': container.get('id'),
        'container_expires_at': container.get('expires_at'),
        'context_management': said.get('context_management'),
    }
    told = {name: before[name] for name in _OF_CONTAINERS if before and name in before}
    told |= {name: value for name, value in details.items() if value is not None}
    return _FINISH_REASONS.get(reason or ''), told or None


def as_json(record: Any) -> dict[str, Any]:
    """What the library has read, as the JSON that came; an empty object for what is no record of it."""
    to_dict = getattr(record, 'to_dict', None)
    return {} if to_dict is None else to_dict(mode='json', warnings=False)


class BlockReader:
    """Reads the blocks of an answer; it remembers which calls were made, since results do not name their tools.

    Args:
        provider_name: Who has answered.
        before: What was answered before in the same turn.
    """

    def __init__(self, provider_name: str, before: Sequence[ModelResponsePart] = ()):
        self._provider_name = provider_name
        self._tools = {part.tool_call_id: part.tool_name for part in before if isinstance(part, BuiltinToolCallPart)}

    def read(self, block: Block) -> ModelResponsePart | None:
        """The part that a block becomes; nothing for a text or a thought with nothing in it."""
        kind = block.get('type')
        if kind == 'text':
            return self._text(block)
        if kind == 'thinking':
            return self._thought(block)
        if kind == 'tool_use':
            return ToolCallPart(
                block['name'], block.get('input') or {}, block['id'], provider_details=_kept(block, 'toolset_name')
            )
        if kind in ('server_tool_use', 'mcp_tool_use'):
            return self._builtin_call(block)
        if 'tool_use_id' in block:
            return self._builtin_return(block)
        return self._unknown(block)

    def _text(self, block: Block) -> TextPart | None:
        citations = block.get('citations')
        text = block.get('text') or ''
        return TextPart(text, provider_details={'citations': citations} if citations else None) if text else None

    def _thought(self, block: Block) -> ThinkingPart | None:
        text, signature = block.get('thinking') or '', block.get('signature') or None
        if not text and signature is None:
            return None
        return ThinkingPart(text, signature=signature, provider_name=self._provider_name)

    def _builtin_call(self, block: Block) -> BuiltinToolCallPart:
        name: str = block['name']
        args: dict[str, Any] = block.get('input') or {}
        details = _kept(block)
        if block['type'] == 'mcp_tool_use':
            tool = MCP_PREFIX + (block.get('server_name') or '')
            args = {'action': 'call_tool', 'tool_name': name, 'tool_args': args}
        else:
            tool = tool_of(name)
            details = {**(details or {}), 'name': name} if tool != name else details
        self._tools[block['id']] = tool
        return BuiltinToolCallPart(tool, args, block['id'], provider_name=self._provider_name, provider_details=details)

    def _builtin_return(self, block: Block) -> BuiltinToolReturnPart:
        kind, call_id, content = block['type'], block['tool_use_id'], block.get('content')
        is_mcp = kind == 'mcp_tool_result'
        tool = self._tools.get(call_id) or (MCP_PREFIX if is_mcp else tool_of(kind.removesuffix('_tool_result')))
        details = _kept(block)
        if not is_mcp and kind != result_type_of(tool, content):
            details = {**(details or {}), 'type': kind}
        return BuiltinToolReturnPart(
            tool,
            {'content': content, 'is_error': block.get('is_error', False)} if is_mcp else content,
            call_id,
            provider_name=self._provider_name,
            provider_details=details,
        )

    def _unknown(self, block: Block) -> ThinkingPart:
        if block.get('type') == REDACTED:
            return ThinkingPart('', id=REDACTED, signature=block.get('data'), provider_name=self._provider_name)
        return ThinkingPart(
            '', id=str(block.get('type')), provider_name=self._provider_name, provider_details={'block': block}
        )


def _kept(block: Block, *names: str) -> dict[str, Any] | None:
    """What else a block tells that has to be sent back with it; who made a call, if it was not the model itself."""
    kept = {name: block[name] for name in names if block.get(name) is not None}
    caller = block.get('caller')
    if isinstance(caller, dict) and caller != {'type': 'direct'}:
        kept['caller'] = caller
    return kept or None
