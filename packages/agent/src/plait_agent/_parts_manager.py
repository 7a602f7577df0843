"""Folds what a provider streams into the parts of an answer, and tells what has become of them.

Knows nothing of providers: their adapters say what has come, by whatever their provider calls its parts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from plait_agent._growing_part import (
    GrowingPart,
    Part,
    UnfinishedCall,
    UnfinishedPart,
    grow_call,
    grow_text,
    grow_thought,
)
from plait_agent._messages.deltas import merge_details
from plait_agent._stamps import generate_tool_call_id
from plait_agent._thinking_tags import TagReader
from plait_agent.exceptions import UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    ProviderDetailsDelta,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

__all__ = ('ModelResponsePartsManager',)

VendorId: TypeAlias = Hashable | None
"""What a provider calls a part; `None` means the last part, if it is of the kind."""
Events: TypeAlias = Sequence[ModelResponseStreamEvent]

_CALLS = ToolCallPart, BuiltinToolCallPart, ToolCallPartDelta


class ModelResponsePartsManager:
    """The parts of one answer while it is streamed.

    What the `handle_` methods give is to be told in that order. The ends of parts are not told here.
    """

    __slots__ = '_known', '_parts', '_readers'

    def __init__(self) -> None:
        self._parts: list[GrowingPart[Any]] = []
        self._known: dict[Hashable, GrowingPart[Any]] = {}
        self._readers: dict[VendorId, TagReader] = {}

    def get_parts(self) -> list[ModelResponsePart]:
        """The parts with all that has come. A call whose name is still to come is not among them."""
        parts: list[UnfinishedPart] = [growing.whole() for growing in self._parts]
        for vendor_part_id, reader in self._readers.items():
            if reader.held:
                self._place_held(parts, vendor_part_id, reader)
        return [part for part in parts if not isinstance(part, ToolCallPartDelta)]

    def get_part(self, index: int) -> ModelResponsePart:
        """The part that events call by an index, with all that they have told of it."""
        return self._parts[index].whole()

    # Text and thoughts

    def handle_text_delta(
        self,
        *,
        vendor_part_id: VendorId,
        content: str,
        id: str | None = None,
        provider_details: dict[str, Any] | None = None,
        thinking_tags: tuple[str, str] | None = None,
        ignore_leading_whitespace: bool = False,
    ) -> Events:
        """Take more of a text.

        Args:
            vendor_part_id: Which one.
            content: What has come.
            id: The id of the text, if this is the first of it.
            provider_details: What else has come with it.
            thinking_tags: Between which tags the text is a thought. What may be the beginning of a tag is not told
                until it is known, or until `handle_end`.
            ignore_leading_whitespace: Whether nothing but white space begins no text.

        Raises:
            UnexpectedModelBehavior: The part is no text.
        """
        if thinking_tags is not None:
            return self._handle_tagged(
                vendor_part_id, content, id, provider_details, thinking_tags, ignore_leading_whitespace
            )
        growing = self._find(vendor_part_id, (TextPart,), 'text')
        if growing is None:
            if ignore_leading_whitespace and (not content or content.isspace()):
                return ()
            return self._start(vendor_part_id, TextPart(content, id=id, provider_details=provider_details))
        delta = TextPartDelta(content, provider_details=provider_details)
        grow_text(growing, delta)
        return (PartDeltaEvent(index=growing.index, delta=delta),)

    def handle_thinking_delta(
        self,
        *,
        vendor_part_id: VendorId,
        content: str | None = None,
        id: str | None = None,
        signature: str | None = None,
        provider_name: str | None = None,
        provider_details: ProviderDetailsDelta = None,
    ) -> Events:
        """Take more of a thought.

        Args:
            vendor_part_id: Which one.
            content: What has come.
            id: The id of the thought, if this is the first of it.
            signature: Its signature, in place of the one before.
            provider_name: The provider that they are for.
            provider_details: What else has come with it, or a function that makes the new details of the old ones.

        Raises:
            UnexpectedModelBehavior: The part is no thought; or it is a new one, and there is nothing of it.
        """
        has_news = content is not None or signature is not None or bool(provider_details)
        growing = self._find(vendor_part_id, (ThinkingPart,), 'thinking')
        if growing is None and not has_news:
            raise UnexpectedModelBehavior(
                'Cannot create a ThinkingPart with no content, signature, or provider_details'
            )
        if growing is None:
            part = ThinkingPart(
                content or '',
                id=id,
                signature=signature,
                provider_name=provider_name,
                provider_details=merge_details(None, provider_details),
            )
            return self._start(vendor_part_id, part)
        if not has_news and provider_name is None:
            return ()
        delta = ThinkingPartDelta(
            content_delta=content,
            signature_delta=signature,
            provider_name=provider_name,
            provider_details=provider_details,
        )
        grow_thought(growing, delta)
        return (PartDeltaEvent(index=growing.index, delta=delta),)

    def handle_end(self) -> Events:
        """Tell what was kept back since it might have been the beginning of a tag. Nothing comes after this."""
        events: list[ModelResponseStreamEvent] = []
        for vendor_part_id, reader in self._readers.items():
            held, reader.held = reader.held, ''
            if held and reader.is_inside:
                events += self.handle_thinking_delta(vendor_part_id=vendor_part_id, content=held)
            elif held:
                events += self.handle_text_delta(vendor_part_id=vendor_part_id, content=held)
        return events

    def _handle_tagged(
        self,
        vendor_part_id: VendorId,
        content: str,
        id: str | None,
        provider_details: dict[str, Any] | None,
        tags: tuple[str, str],
        ignore_leading_whitespace: bool,
    ) -> Events:
        reader = self._readers.get(vendor_part_id)
        if reader is None:
            reader = self._readers[vendor_part_id] = TagReader()
        events: list[ModelResponseStreamEvent] = []
        for kind, piece in reader.read(content, tags):
            if kind == 'opened':
                events += self._start(vendor_part_id, ThinkingPart('', provider_details=provider_details))
            elif kind == 'closed':
                self._known.pop(vendor_part_id, None)
            elif kind == 'thought':
                events += self.handle_thinking_delta(
                    vendor_part_id=vendor_part_id, content=piece, provider_details=provider_details
                )
            else:
                events += self.handle_text_delta(
                    vendor_part_id=vendor_part_id,
                    content=piece,
                    id=id,
                    provider_details=provider_details,
                    ignore_leading_whitespace=ignore_leading_whitespace,
                )
        return events

    def _place_held(self, parts: list[UnfinishedPart], vendor_part_id: VendorId, reader: TagReader) -> None:
        """Put what was kept back where it goes if it is no tag."""
        kind = ThinkingPart if reader.is_inside else TextPart
        growing = self._find(vendor_part_id, (kind,), 'text')
        if growing is None:
            parts.append(kind(reader.held))
        else:
            part = growing.whole()
            parts[growing.index] = replace(part, content=part.content + reader.held)

    # Calls and other parts

    def handle_tool_call_delta(
        self,
        *,
        vendor_part_id: VendorId,
        tool_name: str | None = None,
        args: str | dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> Events:
        """Take more of a call. It is not told before its name has come.

        Args:
            vendor_part_id: Which one; with `None`, a name begins a new one.
            tool_name: More of its name.
            args: More of its arguments: text is put behind what has come, an object is laid over it.
            tool_call_id: Its id, in place of the one before. Without any, one is made.
            provider_details: What else has come with it.

        Raises:
            UnexpectedModelBehavior: The part is no call, or its arguments come as text and as an object.
        """
        delta = ToolCallPartDelta(
            tool_name_delta=tool_name, args_delta=args, tool_call_id=tool_call_id, provider_details=provider_details
        )
        growing = self._find_call(vendor_part_id, tool_name)
        if growing is None:
            return self._begin(self._append(vendor_part_id, delta.as_part() or delta))
        was_kept_back = isinstance(growing.part, ToolCallPartDelta)
        grow_call(growing, delta)
        if was_kept_back:
            return self._begin(growing)
        delta.tool_call_id = growing.part.tool_call_id
        return (PartDeltaEvent(index=growing.index, delta=delta),)

    def handle_tool_call_part(
        self,
        *,
        vendor_part_id: VendorId,
        tool_name: str,
        args: str | dict[str, Any] | None,
        tool_call_id: str | None = None,
        id: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> Events:
        """Take a whole call. It takes the place of the call of that vendor id, if there is one."""
        part = ToolCallPart(
            tool_name, args, tool_call_id or generate_tool_call_id(), id=id, provider_details=provider_details
        )
        return self._put(vendor_part_id, part, (ToolCallPart, ToolCallPartDelta))

    def handle_part(self, *, vendor_part_id: VendorId, part: ModelResponsePart) -> Events:
        """Take a whole part. It takes the place of the part of that kind and vendor id, if there is one."""
        return self._put(vendor_part_id, part, (type(part),))

    def _begin(self, growing: GrowingPart[UnfinishedCall]) -> Events:
        """Tell of a call if its name has come."""
        part = growing.part
        return () if isinstance(part, ToolCallPartDelta) else (PartStartEvent(index=growing.index, part=part),)

    def _put(
        self, vendor_part_id: VendorId, part: ModelResponsePart, kinds: tuple[type[UnfinishedPart], ...]
    ) -> Events:
        growing = None if vendor_part_id is None else self._known.get(vendor_part_id)
        if growing is None or not isinstance(growing.part, kinds):
            return self._start(vendor_part_id, part)
        growing.put(part)
        return (PartStartEvent(index=growing.index, part=part),)

    # The list of parts

    def _start(self, vendor_part_id: VendorId, part: ModelResponsePart) -> Events:
        return (PartStartEvent(index=self._append(vendor_part_id, part).index, part=part),)

    def _append(self, vendor_part_id: VendorId, part: Part) -> GrowingPart[Part]:
        growing = GrowingPart(len(self._parts), part)
        self._parts.append(growing)
        if vendor_part_id is not None:
            self._known[vendor_part_id] = growing
        return growing

    def _find(self, vendor_part_id: VendorId, kinds: tuple[type[Part], ...], word: str) -> GrowingPart[Part] | None:
        """The part that a delta is for, if there is one.

        Raises:
            UnexpectedModelBehavior: It is of another kind.
        """
        if vendor_part_id is None:
            last = self._parts[-1] if self._parts else None
            return last if last is not None and isinstance(last.part, kinds) else None
        growing = self._known.get(vendor_part_id)
        if growing is None or isinstance(growing.part, kinds):
            return growing
        raise UnexpectedModelBehavior(f'Cannot apply a {word} delta to existing_part={growing.whole()!r}')

    def _find_call(self, vendor_part_id: VendorId, tool_name: str | None) -> GrowingPart[UnfinishedCall] | None:
        growing = self._find(vendor_part_id, _CALLS, 'tool call')
        begins_another = vendor_part_id is None and tool_name is not None
        if growing is not None and begins_another and not isinstance(growing.part, ToolCallPartDelta):
            return None
        return growing
