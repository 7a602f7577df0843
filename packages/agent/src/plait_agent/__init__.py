"""LLM agents as typed graphs.

Everything here is imported when it is first asked for, so that `import plait_agent` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait_agent import models
    from plait_agent._json_schema_transformer import (
        InlineDefsJsonSchemaTransformer,
        JsonSchemaTransformer,
    )
    from plait_agent.agent import (
        AbstractAgent,
        Agent,
        AgentRun,
        AgentRunResult,
        AgentRunResultEvent,
        CallToolsNode,
        EndStrategy,
        EventStreamHandler,
        ModelRequestNode,
        UserPromptNode,
        WrapperAgent,
        capture_run_messages,
    )
    from plait_agent.builtin_tools import (
        AbstractBuiltinTool,
        CodeExecutionTool,
        FileSearchTool,
        ImageGenerationTool,
        MCPServerTool,
        MemoryTool,
        UrlContextTool,  # pyright: ignore[reportDeprecated] # an old name
        WebFetchTool,
        WebSearchTool,
        WebSearchUserLocation,
    )
    from plait_agent.exceptions import (
        AgentRunError,
        ApprovalRequired,
        CallDeferred,
        ConcurrencyLimitExceeded,
        ContentFilterError,
        FallbackExceptionGroup,
        IncompleteToolCall,
        ModelAPIError,
        ModelHTTPError,
        ModelRetry,
        ToolRetryError,
        UnexpectedModelBehavior,
        UsageLimitExceeded,
        UserError,
    )
    from plait_agent.format_prompt import (
        format_as_xml,
    )
    from plait_agent.messages import (
        AgentStreamEvent,
        AudioFormat,
        AudioMediaType,
        AudioUrl,
        BaseToolCallPart,
        BaseToolReturnPart,
        BinaryContent,
        BinaryImage,
        BuiltinToolCallEvent,  # pyright: ignore[reportDeprecated] # an old name
        BuiltinToolCallPart,
        BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated] # an old name
        BuiltinToolReturnPart,
        CachePoint,
        DocumentFormat,
        DocumentMediaType,
        DocumentUrl,
        FilePart,
        FileUrl,
        FinalResultEvent,
        FinishReason,
        FunctionToolCallEvent,
        FunctionToolResultEvent,
        HandleResponseEvent,
        ImageFormat,
        ImageMediaType,
        ImageUrl,
        ModelMessage,
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelRequestPart,
        ModelResponse,
        ModelResponsePart,
        ModelResponsePartDelta,
        ModelResponseStreamEvent,
        MultiModalContent,
        PartDeltaEvent,
        PartEndEvent,
        PartStartEvent,
        RetryPromptPart,
        SystemPromptPart,
        TextPart,
        TextPartDelta,
        ThinkingPart,
        ThinkingPartDelta,
        ToolCallPart,
        ToolCallPartDelta,
        ToolReturn,
        ToolReturnPart,
        UserContent,
        UserPromptPart,
        VideoFormat,
        VideoMediaType,
        VideoUrl,
    )
    from plait_agent.models import (
        Model,
        ModelRequestParameters,
        StreamedResponse,
        infer_model,
    )
    from plait_agent.models.concurrency import (
        ConcurrencyLimitedModel,
    )
    from plait_agent.models.instrumented import (
        InstrumentationSettings,
        InstrumentedModel,
    )
    from plait_agent.output import (
        NativeOutput,
        OutputObjectDefinition,
        PromptedOutput,
        StructuredDict,
        TextOutput,
        ToolOutput,
    )
    from plait_agent.profiles import (
        DEFAULT_PROFILE,
        ModelProfile,
        ModelProfileSpec,
    )
    from plait_agent.result import (
        AgentStream,
        FinalResult,
        StreamedRunResult,
        StreamedRunResultSync,
    )
    from plait_agent.settings import (
        ModelSettings,
        merge_model_settings,
    )
    from plait_agent.tools import (
        DeferredToolRequests,
        DeferredToolResults,
        RunContext,
        Tool,
        ToolApproved,
        ToolDefinition,
        ToolDenied,
    )
    from plait_agent.toolsets import (
        AbstractToolset,
        ApprovalRequiredToolset,
        CombinedToolset,
        ExternalToolset,
        FilteredToolset,
        FunctionToolset,
        PrefixedToolset,
        PreparedToolset,
        RenamedToolset,
        ToolsetFunc,
        ToolsetTool,
        WrapperToolset,
    )
    from plait_agent.usage import (
        RequestUsage,
        RunUsage,
        UsageLimits,
    )

__version__ = '0.1.0'

__all__ = (
    'DEFAULT_PROFILE',
    'AbstractAgent',
    'AbstractBuiltinTool',
    'AbstractToolset',
    'Agent',
    'AgentRun',
    'AgentRunError',
    'AgentRunResult',
    'AgentRunResultEvent',
    'AgentStream',
    'AgentStreamEvent',
    'ApprovalRequired',
    'ApprovalRequiredToolset',
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
    'CallDeferred',
    'CallToolsNode',
    'CodeExecutionTool',
    'CombinedToolset',
    'ConcurrencyLimitExceeded',
    'ConcurrencyLimitedModel',
    'ContentFilterError',
    'DeferredToolRequests',
    'DeferredToolResults',
    'DocumentFormat',
    'DocumentMediaType',
    'DocumentUrl',
    'EndStrategy',
    'EventStreamHandler',
    'ExternalToolset',
    'FallbackExceptionGroup',
    'FilePart',
    'FileSearchTool',
    'FileUrl',
    'FilteredToolset',
    'FinalResult',
    'FinalResultEvent',
    'FinishReason',
    'FunctionToolCallEvent',
    'FunctionToolResultEvent',
    'FunctionToolset',
    'HandleResponseEvent',
    'ImageFormat',
    'ImageGenerationTool',
    'ImageMediaType',
    'ImageUrl',
    'IncompleteToolCall',
    'InlineDefsJsonSchemaTransformer',
    'InstrumentationSettings',
    'InstrumentedModel',
    'JsonSchemaTransformer',
    'MCPServerTool',
    'MemoryTool',
    'Model',
    'ModelAPIError',
    'ModelHTTPError',
    'ModelMessage',
    'ModelMessagesTypeAdapter',
    'ModelProfile',
    'ModelProfileSpec',
    'ModelRequest',
    'ModelRequestNode',
    'ModelRequestParameters',
    'ModelRequestPart',
    'ModelResponse',
    'ModelResponsePart',
    'ModelResponsePartDelta',
    'ModelResponseStreamEvent',
    'ModelRetry',
    'ModelSettings',
    'MultiModalContent',
    'NativeOutput',
    'OutputObjectDefinition',
    'PartDeltaEvent',
    'PartEndEvent',
    'PartStartEvent',
    'PrefixedToolset',
    'PreparedToolset',
    'PromptedOutput',
    'RenamedToolset',
    'RequestUsage',
    'RetryPromptPart',
    'RunContext',
    'RunUsage',
    'StreamedResponse',
    'StreamedRunResult',
    'StreamedRunResultSync',
    'StructuredDict',
    'SystemPromptPart',
    'TextOutput',
    'TextPart',
    'TextPartDelta',
    'ThinkingPart',
    'ThinkingPartDelta',
    'Tool',
    'ToolApproved',
    'ToolCallPart',
    'ToolCallPartDelta',
    'ToolDefinition',
    'ToolDenied',
    'ToolOutput',
    'ToolRetryError',
    'ToolReturn',
    'ToolReturnPart',
    'ToolsetFunc',
    'ToolsetTool',
    'UnexpectedModelBehavior',
    'UrlContextTool',
    'UsageLimitExceeded',
    'UsageLimits',
    'UserContent',
    'UserError',
    'UserPromptNode',
    'UserPromptPart',
    'VideoFormat',
    'VideoMediaType',
    'VideoUrl',
    'WebFetchTool',
    'WebSearchTool',
    'WebSearchUserLocation',
    'WrapperAgent',
    'WrapperToolset',
    '__version__',
    'capture_run_messages',
    'format_as_xml',
    'infer_model',
    'merge_model_settings',
    'models',
)

_ROOMS = {
    'agent': (
        'AbstractAgent Agent AgentRun AgentRunResult AgentRunResultEvent CallToolsNode EndStrategy '
        'EventStreamHandler ModelRequestNode UserPromptNode WrapperAgent capture_run_messages'
    ),
    'builtin_tools': (
        'AbstractBuiltinTool CodeExecutionTool FileSearchTool ImageGenerationTool MCPServerTool MemoryTool '
        'UrlContextTool WebFetchTool WebSearchTool WebSearchUserLocation'
    ),
    'exceptions': (
        'AgentRunError ApprovalRequired CallDeferred ConcurrencyLimitExceeded ContentFilterError '
        'FallbackExceptionGroup IncompleteToolCall ModelAPIError ModelHTTPError ModelRetry ToolRetryError '
        'UnexpectedModelBehavior UsageLimitExceeded UserError'
    ),
    'format_prompt': 'format_as_xml',
    'messages': (
        'AgentStreamEvent AudioFormat AudioMediaType AudioUrl BaseToolCallPart BaseToolReturnPart '
        'BinaryContent BinaryImage BuiltinToolCallEvent BuiltinToolCallPart BuiltinToolResultEvent '
        'BuiltinToolReturnPart CachePoint DocumentFormat DocumentMediaType DocumentUrl FilePart FileUrl '
        'FinalResultEvent FinishReason FunctionToolCallEvent FunctionToolResultEvent HandleResponseEvent '
        'ImageFormat ImageMediaType ImageUrl ModelMessage ModelMessagesTypeAdapter ModelRequest '
        'ModelRequestPart ModelResponse ModelResponsePart ModelResponsePartDelta ModelResponseStreamEvent '
        'MultiModalContent PartDeltaEvent PartEndEvent PartStartEvent RetryPromptPart SystemPromptPart '
        'TextPart TextPartDelta ThinkingPart ThinkingPartDelta ToolCallPart ToolCallPartDelta ToolReturn '
        'ToolReturnPart UserContent UserPromptPart VideoFormat VideoMediaType VideoUrl'
    ),
    'models': 'Model ModelRequestParameters StreamedResponse infer_model',
    'models.concurrency': 'ConcurrencyLimitedModel',
    'models.instrumented': 'InstrumentationSettings InstrumentedModel',
    'output': 'NativeOutput OutputObjectDefinition PromptedOutput StructuredDict TextOutput ToolOutput',
    'profiles': 'DEFAULT_PROFILE ModelProfile ModelProfileSpec',
    '_json_schema_transformer': 'InlineDefsJsonSchemaTransformer JsonSchemaTransformer',
    'result': 'AgentStream FinalResult StreamedRunResult StreamedRunResultSync',
    'settings': 'ModelSettings merge_model_settings',
    'tools': ('DeferredToolRequests DeferredToolResults RunContext Tool ToolApproved ToolDefinition ToolDenied'),
    'toolsets': (
        'AbstractToolset ApprovalRequiredToolset CombinedToolset ExternalToolset FilteredToolset '
        'FunctionToolset PrefixedToolset PreparedToolset RenamedToolset ToolsetFunc ToolsetTool '
        'WrapperToolset'
    ),
    'usage': 'RequestUsage RunUsage UsageLimits',
}
"""Where the names live."""
_HOMES = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == 'models':
        return import_module(f'{__name__}.models')
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
