"""From a response, as JSON, to our own. Awaits nothing and knows nothing of OpenAI's library.

Each part has a place, by which what was streamed and what came at once are put in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from plait_agent._stamps import now_utc
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models._openai_responses.kept_items import decode_kept
from plait_agent.models._openai_responses.server_items import SERVER_TOOLS, read_files, records
from plait_agent.models._openai_responses.usage import read_usage

if TYPE_CHECKING:
    from plait_agent.models._openai_responses.builtin_tools import Item
    from plait_agent.models._origin import Origin
    from plait_agent.usage import RequestUsage

Place: TypeAlias = tuple[int, int]
"""Where within its item a part is: the kind of it, and its number."""
FIRST: Place = 0, 0
"""The place of a call, and of thoughts that are no summaries."""

_FINISH_REASONS: dict[str, FinishReason] = {
    'completed': 'stop',
    'max_output_tokens': 'length',
    'max_messages': 'length',
    'content_filter': 'content_filter',
}
UNFINISHED = ('queued', 'in_progress')
"""The states of a response that is still being made."""
_LATEST = 253402300799
"""The last second that there is a date for."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a response says of itself."""

    usage: RequestUsage
    finish_reason: FinishReason | None
    provider_details: dict[str, Any]


def decode_response(response: Item, origin: Origin, *, request_id: str | None = None) -> ModelResponse:
    """Read a whole response.

    Raises:
        ModelAPIError: The model has failed, or the response was cancelled.
        UnexpectedModelBehavior: The response is none, or is not complete.
    """
    check_outcome(response, origin, request_id)
    items = read_items(response)
    if items is None or response.get('status') in UNFINISHED:
        said = {name: response.get(name) for name in ('object', 'status')}
        raise origin.unexpected(f'The answer is no complete response ({said})', request_id=request_id)
    parts = [part for item in items for _, part in decode_item(item, origin.provider_name)]
    account = read_account(response)
    return ModelResponse(
        parts,
        usage=account.usage,
        model_name=response.get('model') or origin.model_name,
        timestamp=read_timestamp(response) or now_utc(),
        provider_name=origin.provider_name,
        provider_url=origin.provider_url,
        provider_details=account.provider_details,
        provider_response_id=response.get('id'),
        finish_reason=account.finish_reason,
    )


def read_items(response: Item) -> list[Item] | None:
    """The items of a response, without those that are none; `None` if it has no list of them."""
    output = response.get('output')
    if output is None and response.get('status') == 'completed':
        # Servers that speak the format may have nothing where OpenAI has an empty list.
        return []
    return records(output) if isinstance(output, list) else None


def check_outcome(response: Item, origin: Origin, request_id: str | None) -> None:
    """See that a response has not failed.

    Raises:
        ModelAPIError: It has, or was cancelled.
    """
    status, error = response.get('status'), response.get('error')
    if status == 'cancelled':
        raise origin.failure('The response was cancelled', request_id=request_id)
    if status == 'failed' or error:
        raise origin.failure(f'The model has failed: {describe_error(error)}', request_id=request_id)


def describe_error(error: Any) -> str:
    """The code and the message of an error."""
    if not isinstance(error, Mapping):
        return str(error) if error else 'no reason was given'
    said = cast('Mapping[str, Any]', error)
    told = [str(said[name]) for name in ('code', 'message') if said.get(name)]
    return ': '.join(told) or 'no reason was given'


def read_account(response: Item) -> Account:
    """Read what a response says of itself."""
    incomplete: Any = response.get('incomplete_details')
    reason = cast('Item', incomplete).get('reason') if isinstance(incomplete, dict) else None
    reason = reason or response.get('status')
    details: dict[str, Any] = {'finish_reason': reason} if reason else {}
    timestamp = read_timestamp(response)
    if timestamp is not None:
        details['timestamp'] = timestamp
    if response.get('service_tier'):
        details['service_tier'] = response['service_tier']
    conversation: Any = response.get('conversation')
    if isinstance(conversation, dict):
        details['conversation_id'] = cast('Item', conversation).get('id')
    refusal = _find_refusal(read_items(response) or [])
    if refusal is not None:
        details['refusal'] = refusal
    finish_reason = 'content_filter' if refusal is not None else _FINISH_REASONS.get(reason or '')
    return Account(read_usage(response), finish_reason, details)


def read_timestamp(response: Item) -> datetime | None:
    """When a response was begun."""
    created = response.get('created_at')
    if not isinstance(created, (int, float)) or not 0 < created < _LATEST:
        return None
    return datetime.fromtimestamp(created, tz=UTC)


def _find_refusal(items: list[Item]) -> str | None:
    """Why the model does not answer, in its own words."""
    refusals = [
        content.get('refusal') or ''
        for item in items
        if item.get('type') == 'message'
        for content in _contents(item)
        if content.get('type') == 'refusal'
    ]
    return ''.join(refusals) if refusals else None


# Items


def decode_item(item: Item, provider: str) -> Iterator[tuple[Place, ModelResponsePart]]:
    """The parts of an item, with their places. An item of a kind that is not known becomes a part too."""
    kind = item.get('type')
    if kind == 'message':
        yield from _decode_message(item)
    elif kind == 'reasoning':
        yield from _decode_reasoning(item, provider)
    elif kind == 'function_call':
        yield FIRST, _decode_call(item)
    elif kind in SERVER_TOOLS:
        yield from _decode_server_tool(item, provider)
    elif kind is not None:
        yield FIRST, decode_kept(item, provider)


def _decode_message(item: Item) -> Iterator[tuple[Place, TextPart]]:
    for number, content in enumerate(_contents(item)):
        if content.get('type') != 'output_text':
            continue
        details = {name: content[name] for name in ('annotations', 'logprobs') if content.get(name)}
        if item.get('phase'):
            details['phase'] = item['phase']
        yield (
            text_place(number),
            TextPart(content.get('text') or '', id=item.get('id'), provider_details=details or None),
        )


def _decode_reasoning(item: Item, provider: str) -> Iterator[tuple[Place, ThinkingPart]]:
    """The thoughts as they were, if they are told, and their summaries; the first has what the provider wants back."""
    raw = [each.get('text') or '' for each in _contents(item)]
    texts = {FIRST: ''.join(raw)} if raw else {}
    for number, summary in enumerate(records(item.get('summary'))):
        texts[summary_place(number)] = summary.get('text') or ''
    for number, (place, text) in enumerate((texts or {FIRST: ''}).items()):
        is_first = number == 0
        yield (
            place,
            ThinkingPart(
                text,
                id=item.get('id'),
                signature=item.get('encrypted_content') if is_first else None,
                provider_name=provider,
                provider_details={'raw_content': raw} if raw and is_first else None,
            ),
        )


def _decode_call(item: Item) -> ToolCallPart:
    # A namespace and who has called have to be told again when the call is sent back.
    details = {name: item[name] for name in ('namespace', 'caller') if item.get(name)}
    return ToolCallPart(
        item.get('name') or '',
        item.get('arguments') or '',
        item.get('call_id') or item.get('id') or '',
        id=item.get('id'),
        provider_details=details or None,
    )


def _decode_server_tool(item: Item, provider: str) -> Iterator[tuple[Place, ModelResponsePart]]:
    tool = SERVER_TOOLS[item['type']]
    name, call_id = tool.name(item), item.get('id') or ''
    yield FIRST, BuiltinToolCallPart(name, tool.args(item), call_id, provider_name=provider)
    for number, file in enumerate(read_files(item)):
        yield file_place(number), FilePart(file, id=item.get('id'), provider_name=provider)
    content = tool.content(item)
    if content is not None:
        yield (2, 0), BuiltinToolReturnPart(name, content, call_id, provider_name=provider)


def text_place(number: int) -> Place:
    """The place of a text within a message."""
    return 0, number


def summary_place(number: int) -> Place:
    """The place of a summary within thoughts."""
    return 1, number


def file_place(number: int) -> Place:
    """The place of a file within the item of a tool."""
    return 1, number


def _contents(item: Item) -> list[Item]:
    return records(item.get('content'))
