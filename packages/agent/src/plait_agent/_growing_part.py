"""A part of an answer while it is streamed, and how the three kinds that are streamed grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic, TypeAlias, TypeVar

from plait_agent._messages.deltas import merge_details
from plait_agent.messages import (
    BuiltinToolCallPart,
    ModelResponsePart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

UnfinishedPart: TypeAlias = ModelResponsePart | ToolCallPartDelta
"""A part, or a call whose name has not come yet."""
UnfinishedCall: TypeAlias = ToolCallPart | BuiltinToolCallPart | ToolCallPartDelta
Part = TypeVar('Part', bound=UnfinishedPart)

_GROWING_FIELDS: dict[type, str] = {
    TextPart: 'content',
    ThinkingPart: 'content',
    ToolCallPart: 'args',
    BuiltinToolCallPart: 'args',
    ToolCallPartDelta: 'args_delta',
}


class GrowingPart(Generic[Part]):
    """A part and what was added to it.

    Text is kept in the chunks that it came in and joined when somebody asks, so that what a chunk costs does not grow
    with what has come before. The part itself is never changed, but replaced: events show it as it was.
    """

    __slots__ = 'chunks', 'index', 'part'

    def __init__(self, index: int, part: Part):
        self.index = index
        """Its place in the answer."""
        self.part = part
        """The part without the chunks."""
        self.chunks: list[str] = []
        """What is to be added to its text or its arguments."""

    def whole(self) -> Part:
        """The part with all that has come."""
        if self.chunks:
            name = _GROWING_FIELDS[type(self.part)]
            self.change(**{name: ''.join((getattr(self.part, name) or '', *self.chunks))})
            self.chunks = []
        return self.part

    def change(self, **fields: Any) -> None:
        """Give fields of the part new values, and leave the chunks as they are."""
        self.part = replace(self.part, **fields)

    def put(self, part: Part) -> None:
        """Put another part in the place of all that has come."""
        self.part = part
        self.chunks = []


def grow_text(text: GrowingPart[TextPart], delta: TextPartDelta) -> None:
    """Add to a text."""
    text.chunks.append(delta.content_delta)
    if delta.provider_details:
        text.change(provider_details=merge_details(text.part.provider_details, delta.provider_details))


def grow_thought(thought: GrowingPart[ThinkingPart], delta: ThinkingPartDelta) -> None:
    """Add to a thought."""
    if delta.content_delta is not None:
        thought.chunks.append(delta.content_delta)
    if delta.signature_delta is not None:
        thought.change(signature=delta.signature_delta)
    if delta.provider_name is not None:
        thought.change(provider_name=delta.provider_name)
    if delta.provider_details:
        thought.change(provider_details=merge_details(thought.part.provider_details, delta.provider_details))


def grow_call(call: GrowingPart[UnfinishedCall], delta: ToolCallPartDelta) -> None:
    """Add to a call.

    Raises:
        UnexpectedModelBehavior: The arguments come as JSON and as an object.
    """
    args = delta.args_delta
    is_arguments_alone = (
        delta.tool_name_delta is None
        and delta.tool_call_id in (None, call.part.tool_call_id)
        and not delta.provider_details
    )
    if is_arguments_alone and isinstance(args, str) and not isinstance(_args_of(call.part), dict):
        call.chunks.append(args)
    else:
        call.put(delta.apply(call.whole()))


def _args_of(part: UnfinishedCall) -> str | dict[str, Any] | None:
    return part.args_delta if isinstance(part, ToolCallPartDelta) else part.args
