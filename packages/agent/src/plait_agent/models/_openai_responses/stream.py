"""An answer that arrives as events: a fold from each event to ours.

Parts are told as they come. Tools that OpenAI runs at the same time end in any order, and some of them are told of
only by the last event, which holds the whole response; so the answer has its parts in the order of the items there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from plait_agent.messages import (
    BuiltinToolCallPart,
    FilePart,
    ModelResponse,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models._openai_responses.decode import (
    FIRST,
    Place,
    check_outcome,
    decode_item,
    describe_error,
    file_place,
    read_account,
    read_items,
    read_timestamp,
    summary_place,
    text_place,
)
from plait_agent.models._openai_responses.kept_items import custom_opening
from plait_agent.models._openai_responses.server_items import SERVER_TOOLS, inside_json_text, read_image
from plait_agent.models._origin import find_request_id
from plait_agent.models._provider_model import ProviderStream

if TYPE_CHECKING:
    from datetime import datetime

    from plait_agent._parts_manager import Events
    from plait_agent.messages import ModelResponsePart, ModelResponseStreamEvent
    from plait_agent.models._openai_responses.builtin_tools import Item

Key = tuple[int, Place]
"""A part: the place of its item in the output, and its place within the item."""


@dataclass
class OpenAIResponsesStreamedResponse(ProviderStream):
    """An answer in OpenAI's responses format that is still arriving."""

    _told_name: str | None = field(default=None, init=False)
    _told: dict[Key, int] = field(default_factory=dict[Key, int], init=False)
    """The parts that have begun, each with its index."""
    _openings: dict[int, str] = field(default_factory=dict[int, str], init=False)
    """What stands before the arguments of calls that have begun, by the place of their item."""
    _done: set[int] = field(default_factory=set[int], init=False)
    """The items that are complete."""
    _is_complete: bool = field(default=False, init=False)

    @property
    def model_name(self) -> str:
        """The model that answers."""
        return self._told_name or self._origin.model_name

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp

    def get(self) -> ModelResponse:
        """What has come so far, as a response, in the order of its items."""
        response = super().get()
        keys = sorted(self._told, key=self._told.__getitem__)
        if len(keys) == len(response.parts) and keys != sorted(keys):
            response.parts = [response.parts[self._told[key]] for key in sorted(keys)]
        return response

    def _take(self, chunk: Item) -> Iterable[ModelResponseStreamEvent]:
        take = self._HANDLERS.get(chunk.get('type') or ('error' if 'error' in chunk else ''))
        return take(self, chunk) if take is not None else ()

    def _end(self) -> Iterable[ModelResponseStreamEvent]:
        if not self._is_complete:
            raise self._failure('The stream has ended before the answer was complete')
        return ()

    # The response

    def _take_created(self, event: Item) -> Events:
        self._note(_record(event, 'response'))
        return ()

    def _take_completed(self, event: Item) -> Iterator[ModelResponseStreamEvent]:
        response = _record(event, 'response')
        self._note(response)
        check_outcome(response, self._origin, find_request_id(self._chunks))
        for index, item in enumerate(read_items(response) or ()):
            if index not in self._done:
                yield from self._settle(index, item)
        account = read_account(response)
        self._usage = account.usage
        self.finish_reason = account.finish_reason
        self.provider_details = account.provider_details
        self._is_complete = True

    def _take_failed(self, event: Item) -> Events:
        check_outcome(_record(event, 'response'), self._origin, find_request_id(self._chunks))
        raise self._failure('The model has failed')

    def _take_error(self, event: Item) -> Events:
        told = event.get('error') or event
        raise self._failure(f'The stream tells of an error: {describe_error(told)}')

    def _note(self, response: Item) -> None:
        self.provider_response_id = response.get('id') or self.provider_response_id
        self._told_name = response.get('model') or self._told_name
        self._timestamp = read_timestamp(response) or self._timestamp

    def _failure(self, message: str) -> Exception:
        return self._origin.failure(message, request_id=find_request_id(self._chunks))

    # Items

    def _take_added(self, event: Item) -> Events:
        """Begin a call; other items begin with their first words."""
        item, index = _record(event, 'item'), _number(event, 'output_index')
        kind = item.get('type')
        if kind in ('message', 'reasoning') or str(kind).endswith('_output'):
            return ()
        part = next((part for _, part in decode_item(item, self.provider_name)), None)
        if isinstance(part, (ToolCallPart, BuiltinToolCallPart)):
            # What has come of the arguments comes again with their pieces.
            part.args = '' if kind == 'function_call' else None
            tool = SERVER_TOOLS.get(str(kind))
            if tool is not None and tool.opening is not None:
                self._openings[index] = tool.opening(item)
            elif kind == 'custom_tool_call':
                self._openings[index] = custom_opening()
            return self._start((index, FIRST), part)
        return ()

    def _take_done(self, event: Item) -> Iterator[ModelResponseStreamEvent]:
        item, index = _record(event, 'item'), _number(event, 'output_index')
        if item:
            self._done.add(index)
        return self._settle(index, item)

    def _settle(self, index: int, item: Item) -> Iterator[ModelResponseStreamEvent]:
        """Tell what is still to be told of an item that is complete."""
        for place, part in decode_item(item, self.provider_name):
            key = index, place
            if key not in self._told:
                yield from self._start(key, part)
                continue
            at = self._told[key]
            yield from self._grow(key, self._parts_manager.get_part(at), part)
            if self._parts_manager.get_part(at) != part:
                yield from self._start(key, part)

    def _start(self, key: Key, part: ModelResponsePart) -> Events:
        events = self._parts_manager.handle_part(vendor_part_id=key, part=part)
        for event in events:
            if isinstance(event, PartStartEvent):
                self._told[key] = event.index
        return events

    def _grow(self, key: Key, told: ModelResponsePart, part: ModelResponsePart) -> Events:
        """Add what a part has more than was told of it, if it has only more."""
        manager = self._parts_manager
        if told == part:
            return ()
        if isinstance(told, TextPart) and isinstance(part, TextPart):
            rest = _rest(told.content, part.content)
            if rest is None:
                return ()
            return manager.handle_text_delta(vendor_part_id=key, content=rest, provider_details=part.provider_details)
        if isinstance(told, ThinkingPart) and isinstance(part, ThinkingPart):
            return manager.handle_thinking_delta(
                vendor_part_id=key,
                content=_rest(told.content, part.content) or None,
                signature=part.signature,
                provider_details=part.provider_details,
            )
        if isinstance(told, (ToolCallPart, BuiltinToolCallPart)) and isinstance(part, type(told)):
            more = _rest_of_args(told.args, part.args)
            return manager.handle_tool_call_delta(vendor_part_id=key, args=more, provider_details=part.provider_details)
        return ()

    # Pieces of parts

    def _take_text(self, event: Item) -> Events:
        key = _number(event, 'output_index'), text_place(_number(event, 'content_index'))
        delta = _delta(event)
        if key not in self._told:
            return self._start(key, TextPart(delta, id=event.get('item_id'))) if delta else ()
        return self._parts_manager.handle_text_delta(vendor_part_id=key, content=delta)

    def _take_raw_thought(self, event: Item) -> Events:
        return self._grow_thought((_number(event, 'output_index'), FIRST), event)

    def _take_summary(self, event: Item) -> Events:
        place = summary_place(_number(event, 'summary_index'))
        return self._grow_thought((_number(event, 'output_index'), place), event)

    def _grow_thought(self, key: Key, event: Item) -> Events:
        delta = _delta(event)
        if key in self._told:
            return self._parts_manager.handle_thinking_delta(vendor_part_id=key, content=delta)
        if not delta:
            return ()
        thought = ThinkingPart(delta, id=event.get('item_id'), provider_name=self.provider_name)
        return self._start(key, thought)

    def _take_arguments(self, event: Item) -> Events:
        return self._grow_arguments(_number(event, 'output_index'), _delta(event))

    def _take_quoted(self, event: Item) -> Events:
        """Take more of a text that is one of the arguments."""
        return self._grow_arguments(_number(event, 'output_index'), inside_json_text(_delta(event)))

    def _grow_arguments(self, index: int, delta: str) -> Events:
        key = index, FIRST
        if key not in self._told:
            return ()
        opening = self._openings.pop(index, '')
        return self._parts_manager.handle_tool_call_delta(vendor_part_id=key, args=opening + delta)

    def _take_partial_image(self, event: Item) -> Events:
        """Show an image that is not finished; the next one takes its place."""
        image = read_image(event.get('partial_image_b64') or '', event.get('output_format'))
        part = FilePart(image, id=event.get('item_id'), provider_name=self.provider_name)
        return self._start((_number(event, 'output_index'), file_place(0)), part)

    _HANDLERS: ClassVar[dict[str, Callable[[Any, Any], Iterable[ModelResponseStreamEvent]]]] = {
        'response.created': _take_created,
        'response.completed': _take_completed,
        'response.incomplete': _take_completed,
        'response.cancelled': _take_failed,
        'response.failed': _take_failed,
        'error': _take_error,
        'response.output_item.added': _take_added,
        'response.output_item.done': _take_done,
        'response.output_text.delta': _take_text,
        'response.reasoning_text.delta': _take_raw_thought,
        'response.reasoning_summary_text.delta': _take_summary,
        'response.function_call_arguments.delta': _take_arguments,
        'response.mcp_call_arguments.delta': _take_arguments,
        'response.code_interpreter_call_code.delta': _take_quoted,
        'response.custom_tool_call_input.delta': _take_quoted,
        'response.image_generation_call.partial_image': _take_partial_image,
    }
    """What an event brings, by its type; what is of other types brings nothing that does not come with the item."""


def _record(event: Item, name: str) -> Item:
    """A record in an event."""
    record: Any = event.get(name)
    return cast('Item', record) if isinstance(record, dict) else {}


def _number(event: Item, name: str) -> int:
    """A number in an event; servers that have only one of something may leave it out."""
    value: Any = event.get(name)
    return value if isinstance(value, int) else 0


def _delta(event: Item) -> str:
    value: Any = event.get('delta')
    return value if isinstance(value, str) else ''


def _rest(told: str, whole: str) -> str | None:
    """What a text has more than was told of it; nothing if it is another text."""
    return whole[len(told) :] if whole.startswith(told) else None


def _rest_of_args(told: Any, whole: Any) -> str | dict[str, Any] | None:
    if isinstance(told, str) and isinstance(whole, str):
        return _rest(told, whole) or None
    return whole if not told else None
