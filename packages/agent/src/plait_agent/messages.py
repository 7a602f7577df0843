"""What agents and models say to each other: requests, answers, their parts, and how these grow while streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plait_agent._messages.content import (
    AudioUrl,
    BinaryContent,
    BinaryImage,
    CachePoint,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    MultiModalContent,
    ToolReturn,
    UserContent,
    VideoUrl,
)
from plait_agent._messages.deltas import (
    ModelResponsePartDelta,
    ProviderDetailsDelta,
    TextPartDelta,
    ThinkingPartDelta,
    ToolCallPartDelta,
)
from plait_agent._messages.events import (
    AgentStreamEvent,
    BuiltinToolCallEvent,  # pyright: ignore[reportDeprecated] # still told
    BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated]
    FinalResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    HandleResponseEvent,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
)
from plait_agent._messages.formats import (
    AudioFormat,
    AudioMediaType,
    DocumentFormat,
    DocumentMediaType,
    ImageFormat,
    ImageMediaType,
    VideoFormat,
    VideoMediaType,
)
from plait_agent._messages.messages import FinishReason, ModelMessage, ModelRequest, ModelResponse
from plait_agent._messages.request_parts import (
    BaseToolReturnPart,
    ModelRequestPart,
    RetryPromptPart,
    SystemPromptPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent._messages.response_parts import (
    BaseToolCallPart,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    ModelMessagesTypeAdapter: TypeAdapter[list[ModelMessage]]
    """Loads and writes lists of messages, bytes as base64."""

__all__ = (
    'AgentStreamEvent',
    'AudioFormat',
    'AudioMediaType',
    'AudioUrl',
    'BaseToolCallPart',
    'BaseToolReturnPart',
    'BinaryContent',
    'BinaryImage',
    'BuiltinToolCallEvent',
    'BuiltinToolCallPart',
    'BuiltinToolResultEvent',
    'BuiltinToolReturnPart',
    'CachePoint',
    'DocumentFormat',
    'DocumentMediaType',
    'DocumentUrl',
    'FilePart',
    'FileUrl',
    'FinalResultEvent',
    'FinishReason',
    'FunctionToolCallEvent',
    'FunctionToolResultEvent',
    'HandleResponseEvent',
    'ImageFormat',
    'ImageMediaType',
    'ImageUrl',
    'ModelMessage',
    'ModelMessagesTypeAdapter',
    'ModelRequest',
    'ModelRequestPart',
    'ModelResponse',
    'ModelResponsePart',
    'ModelResponsePartDelta',
    'ModelResponseStreamEvent',
    'MultiModalContent',
    'PartDeltaEvent',
    'PartEndEvent',
    'PartStartEvent',
    'ProviderDetailsDelta',
    'RetryPromptPart',
    'SystemPromptPart',
    'TextPart',
    'TextPartDelta',
    'ThinkingPart',
    'ThinkingPartDelta',
    'ToolCallPart',
    'ToolCallPartDelta',
    'ToolReturn',
    'ToolReturnPart',
    'UserContent',
    'UserPromptPart',
    'VideoFormat',
    'VideoMediaType',
    'VideoUrl',
)


def __getattr__(name: str) -> Any:
    """Make the adapter when it is first asked for: to import pydantic is slow, and many runs store no messages."""
    if name != 'ModelMessagesTypeAdapter':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(defer_build=True, ser_json_bytes='base64', val_json_bytes='base64')
    adapter = globals()[name] = TypeAdapter(list[ModelMessage], config=config)
    return adapter
