"""How the parts of an answer grow while it is streamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeAlias, overload

from plait_agent._messages.response_parts import (
    BuiltinToolCallPart,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent._messages.schemas import ToldApartBy
from plait_agent._short_repr import short_repr
from plait_agent._stamps import generate_tool_call_id
from plait_agent.exceptions import UnexpectedModelBehavior

ProviderDetailsDelta: TypeAlias = dict[str, Any] | Callable[[dict[str, Any] | None], dict[str, Any]] | None
"""Details to be added, or a function from the old ones to the new ones."""


@dataclass(repr=False)
class TextPartDelta:
    """More of a text."""

    content_delta: str
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    part_delta_kind: Literal['text'] = field(default='text', kw_only=True)

    def apply(self, part: ModelResponsePart) -> TextPart:
        """Make the text with this added to it.

        Raises:
            ValueError: The part is no text.
        """
        if not isinstance(part, TextPart):
            raise ValueError('Cannot apply TextPartDeltas to non-TextParts')
        return replace(
            part,
            content=part.content + self.content_delta,
            provider_details=merge_details(part.provider_details, self.provider_details),
        )

    __repr__ = short_repr


@dataclass(repr=False, kw_only=True)
class ThinkingPartDelta:
    """More of a thought."""

    content_delta: str | None = None
    signature_delta: str | None = None
    """The signature, which takes the place of the one before."""
    provider_name: str | None = None
    provider_details: ProviderDetailsDelta = None
    part_delta_kind: Literal['thinking'] = 'thinking'

    @overload
    def apply(self, part: ModelResponsePart) -> ThinkingPart: ...
    @overload
    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta: ...
    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta:
        """Make the thought, or the delta before this one, with this added to it.

        Raises:
            ValueError: The part is neither.
        """
        if isinstance(part, ThinkingPart):
            return replace(
                part,
                content=part.content + (self.content_delta or ''),
                signature=part.signature if self.signature_delta is None else self.signature_delta,
                provider_name=part.provider_name if self.provider_name is None else self.provider_name,
                provider_details=merge_details(part.provider_details, self.provider_details),
            )
        if isinstance(part, ThinkingPartDelta):
            return self._after(part)
        raise ValueError(
            f'Cannot apply ThinkingPartDeltas to non-ThinkingParts or non-ThinkingPartDeltas ({part=}, {self=})'
        )

    def _after(self, delta: ThinkingPartDelta) -> ThinkingPartDelta:
        contents = [each for each in (delta.content_delta, self.content_delta) if each is not None]
        return ThinkingPartDelta(
            content_delta=''.join(contents) if contents else None,
            signature_delta=delta.signature_delta if self.signature_delta is None else self.signature_delta,
            provider_name=delta.provider_name if self.provider_name is None else self.provider_name,
            provider_details=_chain_details(delta.provider_details, self.provider_details),
        )

    __repr__ = short_repr


@dataclass(repr=False, kw_only=True)
class ToolCallPartDelta:
    """More of a call."""

    tool_name_delta: str | None = None
    args_delta: str | dict[str, Any] | None = None
    tool_call_id: str | None = None
    """The id of the call, which takes the place of the one before."""
    provider_details: dict[str, Any] | None = None
    part_delta_kind: Literal['tool_call'] = 'tool_call'

    def as_part(self) -> ToolCallPart | None:
        """The call, if its name has come; with an id of our own if it has none."""
        if self.tool_name_delta is None:
            return None
        call_id = self.tool_call_id or generate_tool_call_id()
        return ToolCallPart(self.tool_name_delta, self.args_delta, call_id, provider_details=self.provider_details)

    @overload
    def apply(self, part: ModelResponsePart) -> ToolCallPart | BuiltinToolCallPart: ...
    @overload
    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | BuiltinToolCallPart | ToolCallPartDelta: ...
    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | BuiltinToolCallPart | ToolCallPartDelta:
        """Make the call, or the delta before this one, with this added to it. A delta with a name becomes a call.

        Raises:
            ValueError: The part is neither.
            UnexpectedModelBehavior: The arguments come as JSON and as an object.
        """
        if isinstance(part, ToolCallPartDelta):
            delta = self._after(part)
            return delta.as_part() or delta
        if isinstance(part, ToolCallPart | BuiltinToolCallPart):
            return replace(
                part,
                tool_name=part.tool_name + (self.tool_name_delta or ''),
                args=_merge_args(part.args, self.args_delta, part, self),
                tool_call_id=self.tool_call_id or part.tool_call_id,
                provider_details=merge_details(part.provider_details, self.provider_details),
            )
        raise ValueError(
            f'Can only apply ToolCallPartDeltas to ToolCallParts, BuiltinToolCallParts, or ToolCallPartDeltas, '
            f'not {part}'
        )

    def _after(self, delta: ToolCallPartDelta) -> ToolCallPartDelta:
        return ToolCallPartDelta(
            tool_name_delta=(delta.tool_name_delta or '') + (self.tool_name_delta or '') or None,
            args_delta=_merge_args(delta.args_delta, self.args_delta, delta, self),
            tool_call_id=self.tool_call_id or delta.tool_call_id,
            provider_details=merge_details(delta.provider_details, self.provider_details),
        )

    __repr__ = short_repr


ModelResponsePartDelta: TypeAlias = Annotated[
    TextPartDelta | ThinkingPartDelta | ToolCallPartDelta, ToldApartBy('part_delta_kind')
]
"""More of a part."""


def merge_details(old: dict[str, Any] | None, new: ProviderDetailsDelta) -> dict[str, Any] | None:
    """Lay details over older ones; a function is told the older ones."""
    added = new(old) if callable(new) else new
    return {**(old or {}), **added} if added else old


def _chain_details(first: ProviderDetailsDelta, second: ProviderDetailsDelta) -> ProviderDetailsDelta:
    """What does to details what one and then the other would do."""
    if not callable(first) and not callable(second):
        return merge_details(first, second)
    return lambda old: merge_details(merge_details(old, first), second) or {}


def _merge_args(
    old: str | dict[str, Any] | None, new: str | dict[str, Any] | None, part: object, delta: object
) -> str | dict[str, Any] | None:
    """Put arguments behind those that have come, or beside them.

    Raises:
        UnexpectedModelBehavior: Some are JSON and some are an object.
    """
    if old is None or new is None:
        return old if new is None else new
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **new}
    kinds = ('JSON deltas', 'non-JSON') if isinstance(new, str) else ('dict deltas', 'non-dict')
    raise UnexpectedModelBehavior(f'Cannot apply {kinds[0]} to {kinds[1]} tool arguments ({part=}, self={delta!r})')
