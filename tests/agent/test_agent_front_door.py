"""What can be imported from the agent package, and what that costs."""

import importlib
import subprocess
import sys

import pytest

import plait_agent

HEAVY = {
    'anthropic',
    'google.genai',
    'griffe',
    'httpx',
    'httpx2',
    'mcp',
    'networkx',
    'openai',
    'opentelemetry',
    'pydantic.main',
}
# What programs written for pydantic-ai import, by the module that they import it from.
ROOMS = {
    'agent': 'Agent AgentRun AgentRunResult WrapperAgent AbstractAgent',
    'builtin_tools': 'CodeExecutionTool WebSearchTool MCPServerTool WebFetchTool WebSearchUserLocation'
    ' AbstractBuiltinTool FileSearchTool ImageGenerationTool MemoryTool UrlContextTool',
    'direct': 'model_request_sync model_request StreamedResponseSync model_request_stream model_request_stream_sync',
    'exceptions': 'UnexpectedModelBehavior ModelRetry ApprovalRequired UserError CallDeferred ToolRetryError'
    ' UsageLimitExceeded AgentRunError ContentFilterError IncompleteToolCall ModelAPIError ModelHTTPError',
    'messages': 'ModelMessage ModelResponse ToolCallPart TextPart FinalResultEvent ImageUrl ModelRequest PartDeltaEvent'
    ' PartEndEvent PartStartEvent RetryPromptPart TextPartDelta FinishReason ModelMessagesTypeAdapter',
    'models': 'Model ModelRequestParameters StreamedResponse ToolDefinition cached_async_http_client infer_model',
    'models.concurrency': 'ConcurrencyLimitedModel limit_model_concurrency',
    'models.fallback': 'FallbackModel',
    'models.function': 'FunctionModel AgentInfo DeltaToolCall DeltaToolCalls',
    'models.instrumented': 'InstrumentationSettings InstrumentedModel',
    'models.test': 'TestModel TestStreamedResponse',
    'models.wrapper': 'WrapperModel',
    'output': 'ToolOutput OutputObjectDefinition PromptedOutput TextOutput NativeOutput StructuredDict',
    'profiles': 'ModelProfile',
    'result': 'RunUsage AgentStream FinalResult StreamedRunResult StreamedRunResultSync',
    'retries': 'RetryConfig AsyncTenacityTransport TenacityTransport wait_retry_after HTTPX2TenacityTransport'
    ' AsyncHTTPX2TenacityTransport',
    'run': 'AgentRun AgentRunResult AgentRunResultEvent',
    'settings': 'ModelSettings merge_model_settings',
    'tools': 'ToolDefinition RunContext DeferredToolRequests DeferredToolResults ToolApproved ToolDenied Tool',
    'toolsets': 'AbstractToolset FunctionToolset CombinedToolset',
    'toolsets.abstract': 'ToolsetTool',
    'toolsets.function': 'FunctionToolset',
    'toolsets.wrapper': 'WrapperToolset',
    'usage': 'RequestUsage RunUsage UsageLimits',
}


def loaded_by(program):
    """Which heavy packages a program has loaded in a process of its own."""
    command = [sys.executable, '-c', f'{program}\nimport sys\nprint(*sorted({HEAVY!r} & {{*sys.modules}}))']
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return answer.stdout.split()


@pytest.mark.parametrize('program', ['import plait_agent', 'from plait_agent import Agent, RunContext, ModelMessage'])
def test_importing_the_package_loads_nothing_heavy(program):
    """Neither the package nor its agents load an SDK, networkx, an HTTP library, telemetry or pydantic's models."""
    assert loaded_by(program) == []


def test_running_an_agent_loads_nothing_that_it_does_not_need():
    """A run that is answered with text loads none of them either."""
    assert loaded_by("from plait_agent import Agent\nAgent('test').run_sync('Hello')") == []


@pytest.mark.parametrize('name', plait_agent.__all__)
def test_each_name_is_there(name):
    """Each name of the front door can be imported."""
    assert getattr(plait_agent, name) is not None


def test_what_is_not_there_is_said():
    """A name that is not there is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="module 'plait_agent' has no attribute 'Agnet'"):
        _ = plait_agent.Agnet


@pytest.mark.parametrize(('room', 'name'), [(room, name) for room, names in ROOMS.items() for name in names.split()])
def test_each_room_has_its_names(room, name):
    """What programs for the peer import from a module is in the module of that name here."""
    assert hasattr(importlib.import_module(f'plait_agent.{room}'), name)
