"""What is told while an answer is streamed, and while it is handled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from typing_extensions import deprecated

from plait_agent._messages.content import UserContent
from plait_agent._messages.deltas import ModelResponsePartDelta
from plait_agent._messages.request_parts import RetryPromptPart, ToolReturnPart
from plait_agent._messages.response_parts import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ModelResponsePart,
    ToolCallPart,
)
from plait_agent._messages.schemas import ToldApartBy
from plait_agent._short_repr import short_repr

ResponsePartKind: TypeAlias = Literal[
    'text', 'thinking', 'tool-call', 'builtin-tool-call', 'builtin-tool-return', 'file'
]
"""The kinds of parts that an answer has."""


@dataclass(repr=False, kw_only=True)
class PartStartEvent:
    """A part has begun. If there was one of the same index, it takes its place."""

    index: int
    """The place of the part in the answer."""
    part: ModelResponsePart
    """What there is of it."""
    previous_part_kind: ResponsePartKind | None = None
    """The kind of the part before it, if there is one."""
    event_kind: Literal['part_start'] = 'part_start'

    __repr__ = short_repr


@dataclass(repr=False, kw_only=True)
class PartDeltaEvent:
    """A part has grown."""

    index: int
    """The place of the part in the answer."""
    delta: ModelResponsePartDelta
    """What has come."""
    event_kind: Literal['part_delta'] = 'part_delta'

    __repr__ = short_repr


@dataclass(repr=False, kw_only=True)
class PartEndEvent:
    """A part is complete."""

    index: int
    """The place of the part in the answer."""
    part: ModelResponsePart
    """The whole part."""
    next_part_kind: ResponsePartKind | None = None
    """The kind of the part after it, if there is one."""
    event_kind: Literal['part_end'] = 'part_end'

    __repr__ = short_repr


@dataclass(repr=False, kw_only=True)
class FinalResultEvent:
    """The answer is of a kind that can be the result of the run."""

    tool_name: str | None
    """The output tool that is called; `None` if the result is no call."""
    tool_call_id: str | None
    """The call."""
    event_kind: Literal['final_result'] = 'final_result'

    __repr__ = short_repr


ModelResponseStreamEvent: TypeAlias = Annotated[
    PartStartEvent | PartDeltaEvent | PartEndEvent | FinalResultEvent, ToldApartBy('event_kind')
]
"""What is told while an answer is streamed."""


@dataclass(repr=False)
class FunctionToolCallEvent:
    """A call of a tool begins."""

    part: ToolCallPart
    event_kind: Literal['function_tool_call'] = field(default='function_tool_call', kw_only=True)

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.part.tool_call_id

    @property
    @deprecated('`call_id` is deprecated, use `tool_call_id` instead.')
    def call_id(self) -> str:
        """The former name of `tool_call_id`."""
        return self.part.tool_call_id

    __repr__ = short_repr


@dataclass(repr=False)
class FunctionToolResultEvent:
    """A call of a tool has ended."""

    result: ToolReturnPart | RetryPromptPart
    content: str | Sequence[UserContent] | None = field(default=None, kw_only=True)
    """What the model is told beside the result."""
    event_kind: Literal['function_tool_result'] = field(default='function_tool_result', kw_only=True)

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.result.tool_call_id

    __repr__ = short_repr


@dataclass(repr=False)
@deprecated(
    '`BuiltinToolCallEvent` is deprecated, look for `PartStartEvent` and `PartDeltaEvent` with '
    '`BuiltinToolCallPart` instead.',
    category=None,  # it is agents that make them, and not the program
)
class BuiltinToolCallEvent:
    """The provider has called a tool of its own."""

    part: BuiltinToolCallPart
    event_kind: Literal['builtin_tool_call'] = field(default='builtin_tool_call', kw_only=True)

    __repr__ = short_repr


@dataclass(repr=False)
@deprecated(
    '`BuiltinToolResultEvent` is deprecated, look for `PartStartEvent` and `PartDeltaEvent` with '
    '`BuiltinToolReturnPart` instead.',
    category=None,  # it is agents that make them, and not the program
)
class BuiltinToolResultEvent:
    """A tool of the provider has returned."""

    result: BuiltinToolReturnPart
    event_kind: Literal['builtin_tool_result'] = field(default='builtin_tool_result', kw_only=True)

    __repr__ = short_repr


HandleResponseEvent: TypeAlias = Annotated[
    FunctionToolCallEvent
    | FunctionToolResultEvent
    | BuiltinToolCallEvent  # pyright: ignore[reportDeprecated] # still told
    | BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated]
    ToldApartBy('event_kind'),
]
"""What is told while an answer is handled."""
AgentStreamEvent: TypeAlias = Annotated[ModelResponseStreamEvent | HandleResponseEvent, ToldApartBy('event_kind')]
"""What is told while a model answers and its answer is handled."""
