"""Instrumentation: which spans and metrics runs make, how they nest, and what they keep to themselves."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio.lowlevel
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from plait_agent import (
    Agent,
    BinaryContent,
    CallDeferred,
    DeferredToolRequests,
    ImageUrl,
    InstrumentationSettings,
    MCPServerTool,
    ModelRequest,
    ModelResponse,
    ModelRetry,
    RequestUsage,
    RunContext,
    TextOutput,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserError,
)
from plait_agent.direct import model_request
from plait_agent.exceptions import ModelHTTPError
from plait_agent.models.fallback import FallbackModel
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.instrumented import CostCalculationFailedWarning, InstrumentedModel, instrument_model
from plait_agent.models.test import TestModel


class Seen:
    """What is seen of runs: the spans and metrics that are made with `settings`."""

    def __init__(self, **settings: Any):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracers = tracers
        self.settings = InstrumentationSettings(
            tracer_provider=tracers, meter_provider=MeterProvider([self._reader]), **settings
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def span(self, name: str) -> ReadableSpan:
        return next(span for span in self.spans if span.name == name)

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.span(name).attributes or {})

    def read(self, name: str, attribute: str) -> Any:
        return json.loads(self.attributes(name)[attribute])

    def tree(self) -> list[str]:
        """The spans by name, each behind its ancestors."""
        by_id = {span.context.span_id: span for span in self.spans if span.context}

        def path(span: ReadableSpan) -> str:
            parent = by_id.get(span.parent.span_id) if span.parent else None
            return span.name if parent is None else f'{path(parent)} > {span.name}'

        return [path(span) for span in self.spans]

    def everything(self) -> str:
        return '\n'.join(span.to_json() for span in self.spans)

    def metrics(self) -> dict[tuple[str, str], float]:
        """What was counted, by metric and type of token."""
        data = self._reader.get_metrics_data()
        return {
            (metric.name, point.attributes['gen_ai.token.type']): point.sum
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def answers(*responses: ModelResponse | Exception, **options: Any) -> FunctionModel:
    """A model that gives, or raises, one after the other."""
    left = list(responses)

    def answer(_messages: Any, _info: AgentInfo) -> ModelResponse:
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return FunctionModel(answer, **options)


def calls(*names: str, **args: Any) -> ModelResponse:
    """An answer that calls tools, each with the same arguments."""
    return ModelResponse([ToolCallPart(name, args, f'call-{name}') for name in names])


def done() -> ModelResponse:
    """An answer that ends a run."""
    return ModelResponse([TextPart('done')])


@dataclass
class Point:
    x: int


async def read_text(agent: Agent[None, str]) -> None:
    """Run an agent and read its text as it comes."""
    async with agent.run_stream('hi') as result:
        _ = [text async for text in result.stream_text()]


async def read_events(agent: Agent[None, str]) -> None:
    """Run an agent and read its events."""
    async with agent.run_stream_events('hi') as events:
        _ = [event async for event in events]


async def read_nodes(agent: Agent[None, str]) -> None:
    """Run an agent node by node."""
    async with agent.iter('hi') as run:
        _ = [node async for node in run]


async def run(agent: Agent[None, str]) -> None:
    """Run an agent."""
    await agent.run('hi')


# How they nest


@pytest.mark.parametrize('way', [run, read_text, read_events, read_nodes])
async def test_requests_and_tools_are_below_their_run(way: Callable[[Agent[None, str]], Any]):
    """However an agent is run, requests and batches are below the run, and each call below its batch."""
    seen = Seen()
    agent = Agent(TestModel(), instrument=seen.settings, name='clerk')

    @agent.tool_plain
    async def look() -> int:
        return 1

    await way(agent)

    chat = 'agent run > chat test'
    assert seen.tree() == [
        'agent run',
        chat,
        'agent run > running tools',
        'agent run > running tools > running tool',
        chat,
    ]
    assert {span.kind for span in seen.spans if span.name == 'chat test'} == {SpanKind.CLIENT}
    assert {span.kind for span in seen.spans if span.name != 'chat test'} == {SpanKind.INTERNAL}
    assert seen.attributes('agent run')['final_result'] == '{"look":1}'


@pytest.mark.parametrize('is_sync', [False, True])
async def test_agents_in_tools_are_below_their_calls(is_sync: bool):
    """An agent that a tool runs is below that call, also if several run side by side or in threads."""
    seen = Seen(version=3)
    inner = Agent(TestModel(custom_output_text='fine'), instrument=seen.settings, name='inner')
    outer = Agent(answers(calls('ask', 'tell'), done()), instrument=seen.settings, name='outer')

    def ask_sync() -> str:
        try:
            return inner.run_sync('ask').output
        finally:
            asyncio.get_event_loop().close()  # `run_sync` keeps the loop of a thread

    async def ask_async() -> str:
        await anyio.lowlevel.checkpoint()
        return (await inner.run('ask')).output

    for name in 'ask', 'tell':
        outer.tool_plain(name=name)(ask_sync if is_sync else ask_async)
    await outer.run('hi')

    batch = 'invoke_agent outer > running tools'
    nested = [path for path in seen.tree() if path.endswith('chat test')]
    assert sorted(nested) == [
        f'{batch} > execute_tool ask > invoke_agent inner > chat test',
        f'{batch} > execute_tool tell > invoke_agent inner > chat test',
    ]


async def test_spans_of_tools_and_callers_join_the_trace():
    """A run is below the caller's span, and what a tool traces is below its call."""
    seen = Seen()
    agent = Agent(TestModel(), instrument=seen.settings)

    @agent.tool
    async def look(ctx: RunContext) -> int:
        with ctx.tracer.start_as_current_span('own'):
            return 1

    with seen.tracers.get_tracer('test').start_as_current_span('caller'):
        await agent.run('hi')

    assert 'caller > agent run > running tools > running tool > own' in seen.tree()
    assert 'caller > agent run > chat test' in seen.tree()


async def test_nothing_is_current_after_a_run():
    """A run leaves the caller's place in the trace as it was, also one whose stream was left early."""
    seen = Seen()
    agent = Agent(TestModel(), instrument=seen.settings)
    before = trace.get_current_span()

    await agent.run('hi')
    async with agent.run_stream('hi'):
        pass
    async with agent.run_stream_events('hi') as events:
        await anext(events)

    assert trace.get_current_span() is before
    assert len([span for span in seen.spans if span.name == 'agent run']) == 3


async def test_an_output_function_has_its_span():
    """An output function is seen with its arguments and what it gave."""
    seen = Seen()

    def double(x: int) -> int:
        return x * 2

    agent = Agent(answers(calls('final_result', x=4)), output_type=double, instrument=seen.settings)
    assert (await agent.run('hi')).output == 8

    told = seen.attributes('running output function')
    assert seen.tree()[-1] == 'agent run > running output function'
    assert told['gen_ai.tool.name'] == 'final_result'
    assert told['gen_ai.tool.call.id'] == 'call-final_result'
    assert json.loads(told['tool_arguments']) == {'x': 4}
    assert told['tool_response'] == '8'
    assert told['logfire.msg'] == 'running output function: final_result'


async def test_a_text_function_is_seen_once_in_a_stream():
    """A function of text is seen under its own name, and not for each bit of a stream."""
    seen = Seen(version=3)

    def shout(text: str) -> str:
        return text.upper()

    agent = Agent(TestModel(custom_output_text='a b c'), output_type=TextOutput(shout), instrument=seen.settings)
    async with agent.run_stream('hi', until='end') as result:
        outputs = [output async for output in result.stream_output(debounce_by=None)]

    assert outputs[-1] == 'A B C'
    assert [span.name for span in seen.spans if 'shout' in span.name] == ['execute_tool shout']
    assert seen.attributes('execute_tool shout')['gen_ai.tool.call.result'] == 'A B C'


# What they tell


async def test_a_request_tells_whom_it_asks_and_what_came():
    """A request has provider, model, settings, tools, usage and reason to stop, under the conventions' names."""
    seen = Seen()
    response = ModelResponse(
        [TextPart('yes')],
        usage=RequestUsage(input_tokens=7, output_tokens=3, cache_read_tokens=2),
        provider_response_id='r1',
        finish_reason='stop',
    )
    agent = Agent(answers(response, model_name='m'), instrument=seen.settings, instructions='Be good.')

    @agent.tool_plain
    def look(place: str) -> str:
        """Looks."""
        return place

    await agent.run('hi', model_settings={'temperature': 0.5, 'max_tokens': 9, 'extra_headers': {'key': 'secret'}})

    told = seen.attributes('chat m')
    expected = {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'function',
        'gen_ai.system': 'function',
        'gen_ai.request.model': 'm',
        'gen_ai.request.temperature': 0.5,
        'gen_ai.request.max_tokens': 9,
        'gen_ai.usage.input_tokens': 7,
        'gen_ai.usage.output_tokens': 3,
        'gen_ai.usage.details.cache_read_tokens': 2,
        'gen_ai.response.model': 'm',
        'gen_ai.response.id': 'r1',
        'gen_ai.response.finish_reasons': ('stop',),
    }
    assert {name: told.get(name) for name in expected} == expected
    assert seen.read('chat m', 'gen_ai.input.messages') == [
        {'role': 'user', 'parts': [{'type': 'text', 'content': 'hi'}]}
    ]
    assert seen.read('chat m', 'gen_ai.output.messages') == [
        {'role': 'assistant', 'parts': [{'type': 'text', 'content': 'yes'}], 'finish_reason': 'stop'}
    ]
    assert seen.read('chat m', 'gen_ai.system_instructions') == [{'type': 'text', 'content': 'Be good.'}]
    assert seen.read('chat m', 'gen_ai.tool.definitions')[0]['description'] == 'Looks.'
    assert seen.read('chat m', 'model_request_parameters')['function_tools'][0]['name'] == 'look'
    assert seen.read('chat m', 'logfire.json_schema')['properties']['gen_ai.input.messages'] == {'type': 'array'}


async def test_a_run_tells_its_result_and_all_that_was_said():
    """A run has names, usage, metadata, result and all messages, and where the new ones begin."""
    seen = Seen()
    agent = Agent(answers(calls('final_result', x=3)), output_type=Point, instrument=seen.settings, name='clerk')
    history = [ModelRequest.user_text_prompt('before'), done()]

    await agent.run('hi', message_history=history, metadata={'user': 7})

    told = seen.attributes('agent run')
    assert told['agent_name'] == told['gen_ai.agent.name'] == 'clerk'
    assert told['logfire.msg'] == 'clerk run'
    assert told['model_name'].startswith('function:')
    assert json.loads(told['final_result']) == {'x': 3}
    assert json.loads(told['metadata']) == {'user': 7}
    assert told['pydantic_ai.new_message_index'] == 2
    assert told['gen_ai.usage.input_tokens'] > 0
    messages = json.loads(told['pydantic_ai.all_messages'])
    assert [message['role'] for message in messages] == ['user', 'assistant', 'user', 'assistant', 'user']
    assert messages[-1]['parts'][0] == {
        'type': 'tool_call_response',
        'id': 'call-final_result',
        'name': 'final_result',
        'result': 'Final result processed.',
    }


@pytest.mark.parametrize(
    ('version', 'name', 'arguments', 'result'),
    [
        (1, 'running tool', 'tool_arguments', 'tool_response'),
        (2, 'running tool', 'tool_arguments', 'tool_response'),
        (3, 'execute_tool look', 'gen_ai.tool.call.arguments', 'gen_ai.tool.call.result'),
    ],
)
async def test_a_call_tells_arguments_and_result(version: Any, name: str, arguments: str, result: str):
    """A call has its tool, its id, its arguments and its result, under the names of the version."""
    seen = Seen(version=version)
    agent = Agent(answers(calls('look', x=1), done()), instrument=seen.settings, name='clerk')

    @agent.tool_plain
    def look(x: int) -> dict[str, int]:
        return {'found': x}

    await agent.run('hi')

    told = seen.attributes(name)
    assert told['gen_ai.tool.name'] == 'look'
    assert told['gen_ai.tool.call.id'] == 'call-look'
    assert (json.loads(told[arguments]), json.loads(told[result])) == ({'x': 1}, {'found': 1})
    assert seen.attributes('running tools')['tools'] == ('look',)
    assert seen.attributes('running tools')['logfire.msg'] == 'running 1 tool'
    assert seen.spans[0].name == ('invoke_agent clerk' if version == 3 else 'agent run')


async def test_version_1_has_messages_as_events():
    """In version 1 each part of a request, and each answer, is an event."""
    seen = Seen(version=1)
    agent = Agent(answers(calls('look'), done(), model_name='m'), instrument=seen.settings, instructions='Be good.')
    agent.tool_plain(lambda: 1, name='look')

    await agent.run('hi')

    call = {'id': 'call-look', 'type': 'function', 'function': {'name': 'look', 'arguments': {}}}
    expected = [
        {'event.name': 'gen_ai.system.message', 'role': 'system', 'content': 'Be good.'},
        {'event.name': 'gen_ai.user.message', 'gen_ai.message.index': 0, 'role': 'user', 'content': 'hi'},
        {
            'event.name': 'gen_ai.assistant.message',
            'gen_ai.message.index': 1,
            'role': 'assistant',
            'tool_calls': [call],
        },
        {
            'event.name': 'gen_ai.tool.message',
            'gen_ai.message.index': 2,
            'role': 'tool',
            'id': 'call-look',
            'name': 'look',
            'content': 1,
        },
        {
            'event.name': 'gen_ai.assistant.message',
            'gen_ai.message.index': 3,
            'role': 'assistant',
            'content': 'done',
        },
    ]
    assert seen.read('agent run', 'all_messages_events') == expected
    choice = {
        'event.name': 'gen_ai.choice',
        'gen_ai.system': 'function',
        'index': 0,
        'message': {'role': 'assistant', 'tool_calls': [call]},
    }
    asked = [{**event, 'gen_ai.system': 'function'} for event in expected[:2]]
    assert seen.read('chat m', 'events') == [*asked, choice]


async def said(version: int, **settings: Any) -> tuple[Seen, Any]:
    """What a run is seen to have said whose user sends files, and whose model thinks and draws."""
    seen = Seen(version=version, **settings)
    answer = ModelResponse([ThinkingPart('hm'), TextPart('see')])
    prompt = ['look', ImageUrl('https://files.test/a.png'), BinaryContent(b'abc', media_type='image/png')]
    await Agent(answers(answer, model_name='m'), instrument=seen.settings, system_prompt='sys').run(prompt)
    return seen, seen.read('agent run', 'all_messages_events' if version == 1 else 'pydantic_ai.all_messages')


async def test_files_are_told_with_their_bytes():
    """Files are told by URL or as base64, beside the text of the same message."""
    _, messages = await said(2)

    assert messages == [
        {'role': 'system', 'parts': [{'type': 'text', 'content': 'sys'}]},
        {
            'role': 'user',
            'parts': [
                {'type': 'text', 'content': 'look'},
                {'type': 'image-url', 'url': 'https://files.test/a.png'},
                {'type': 'binary', 'media_type': 'image/png', 'content': 'YWJj'},
            ],
        },
        {'role': 'assistant', 'parts': [{'type': 'thinking', 'content': 'hm'}, {'type': 'text', 'content': 'see'}]},
    ]


async def test_files_can_be_left_out():
    """With `include_binary_content=False` files keep their type alone, and texts stay."""
    _, messages = await said(2, include_binary_content=False)

    assert messages[1]['parts'][2] == {'type': 'binary', 'media_type': 'image/png'}
    assert messages[1]['parts'][0]['content'] == 'look'


@pytest.mark.parametrize('version', [1, 2])
async def test_without_content_the_structure_stays(version: int):
    """With `include_content=False` messages keep roles and kinds, and no text, URL or byte is told."""
    seen, messages = await said(version, include_content=False)

    parts = messages[1]['parts'] if version > 1 else messages[1]['content']
    kind = 'type' if version > 1 else 'kind'
    assert [part[kind] for part in parts] == ['text', 'image-url', 'binary']
    for word in 'look', 'files.test', 'YWJj', '"hm"', 'see', '"sys"':
        assert word not in seen.everything()


@pytest.mark.parametrize('version', [1, 2, 3])
async def test_without_content_nothing_said_is_told(version: Any):
    """With `include_content=False` no span has prompts, arguments, results, outputs, or what errors quote of them."""
    seen = Seen(version=version, include_content=False)
    model = answers(calls('look', x='SECRET'), calls('look', x='1'), calls('final_result', x='SECRET'), RuntimeError())

    def keep(x: str) -> str:
        raise ModelRetry(f'SECRET {x}')

    agent = Agent(model, output_type=keep, instrument=seen.settings, instructions='SECRET', retries=2)

    @agent.tool_plain
    def look(x: int) -> str:
        return f'SECRET {x}'

    with suppress(RuntimeError):
        await agent.run('SECRET')

    assert 'SECRET' not in seen.everything()
    assert len(seen.spans) == 10


# Failures


async def test_an_error_fails_the_spans_around_it():
    """What a tool raises is the status and an event of its call, its batch and its run, and of no request."""
    seen = Seen()
    agent = Agent(TestModel(), instrument=seen.settings)

    @agent.tool_plain
    def burst() -> str:
        raise ValueError('too much')

    with pytest.raises(ValueError, match='too much'):
        await agent.run('hi')

    for name in 'agent run', 'running tools', 'running tool':
        assert seen.span(name).status.status_code is StatusCode.ERROR
        assert seen.span(name).status.description == 'ValueError: too much'
        assert [event.name for event in seen.span(name).events] == ['exception']
    assert seen.span('chat test').status.status_code is StatusCode.UNSET
    assert 'pydantic_ai.all_messages' in seen.attributes('agent run')


async def test_a_failing_request_fails_its_span():
    """A request that fails has its error, and no answer."""
    seen = Seen()

    with pytest.raises(ModelHTTPError):
        await Agent(answers(ModelHTTPError(500, 'm'), model_name='m'), instrument=seen.settings).run('hi')

    assert seen.span('chat m').status.status_code is StatusCode.ERROR
    assert 'gen_ai.output.messages' not in seen.attributes('chat m')


async def test_a_call_to_be_repeated_has_failed():
    """A call that the model is to make again is an error that says why; the batch and the run are not."""
    seen = Seen()
    agent = Agent(answers(calls('look'), done()), instrument=seen.settings)

    @agent.tool_plain
    def look() -> str:
        raise ModelRetry('not now')

    await agent.run('hi')

    failed = seen.span('running tool')
    assert failed.status.status_code is StatusCode.ERROR
    assert seen.attributes('running tool')['tool_response'].startswith('not now')
    assert seen.span('running tools').status.status_code is StatusCode.UNSET
    assert seen.span('agent run').status.status_code is StatusCode.UNSET


async def test_a_deferred_call_has_not_failed():
    """A call that is left to somebody else is no error and has no result."""
    seen = Seen()
    agent = Agent(TestModel(), output_type=[str, DeferredToolRequests], instrument=seen.settings)

    @agent.tool_plain
    def later() -> str:
        raise CallDeferred

    await agent.run('hi')

    assert seen.span('running tool').status.status_code is StatusCode.UNSET
    assert 'tool_response' not in seen.attributes('running tool')


# Keys


async def test_keys_are_in_no_span():
    """Neither a server's token nor what a URL says of a user goes into a span."""
    seen = Seen()

    class Remote(FunctionModel):
        @property
        def base_url(self) -> str:
            return 'https://user:SECRET@api.test:8443/v1?key=SECRET'

    server = MCPServerTool(id='s', url='https://mcp.test', authorization_token='SECRET', headers={'key': 'SECRET'})
    model = instrument_model(Remote(lambda _messages, _info: done()), seen.settings)
    parameters = Agent(model, builtin_tools=[server])

    await parameters.run('hi', model_settings={'extra_headers': {'Authorization': 'SECRET'}})

    (told,) = [span.attributes or {} for span in seen.spans if span.name.startswith('chat')]
    assert (told['server.address'], told['server.port']) == ('api.test', 8443)
    assert 'SECRET' not in seen.everything()
    assert 'https://mcp.test' in str(told['model_request_parameters'])


# Metrics


async def test_tokens_and_costs_are_counted():
    """Each request counts its tokens, and what they cost where that is known, by input and output."""
    seen = Seen()
    response = ModelResponse([TextPart('yes')], usage=RequestUsage(input_tokens=1000, output_tokens=100))
    model = answers(response, response, model_name='gpt-4o')

    await Agent(model, instrument=seen.settings).run('hi')
    await Agent(model, instrument=seen.settings).run('hi')

    counted = seen.metrics()
    assert counted['gen_ai.client.token.usage', 'input'] == 2000
    assert counted['gen_ai.client.token.usage', 'output'] == 200
    assert counted['operation.cost', 'input'] + counted['operation.cost', 'output'] == pytest.approx(
        2 * seen.attributes('chat gpt-4o')['operation.cost']
    )


async def test_a_price_that_breaks_is_warned_of():
    """An answer whose price cannot be calculated is given all the same."""
    seen = Seen()

    class Priceless(ModelResponse):
        def cost(self) -> Any:
            raise ZeroDivisionError('no tokens')

    model = answers(Priceless([TextPart('yes')]), model_name='m')
    with pytest.warns(CostCalculationFailedWarning, match='ZeroDivisionError: no tokens'):
        result = await Agent(model, instrument=seen.settings).run('hi')

    assert result.output == 'yes'
    assert 'operation.cost' not in seen.attributes('chat m')


async def test_a_fallback_is_told_by_the_model_that_answered():
    """The span of a request to several models has the name of the one that answered."""
    seen = Seen()
    model = FallbackModel(answers(ModelHTTPError(500, 'a'), model_name='a'), answers(done(), model_name='b'))

    await Agent(model, instrument=seen.settings).run('hi')

    assert seen.tree() == ['agent run', 'agent run > chat b']
    assert seen.attributes('chat b')['gen_ai.request.model'] == 'b'
    assert seen.attributes('agent run')['model_name'] == 'fallback:a,b'


# Asking for it


async def test_an_instrumented_model_instruments_its_agent():
    """An agent whose model is instrumented makes its spans as the model does, and none twice."""
    seen = Seen(version=3)
    model = InstrumentedModel(TestModel(), seen.settings)

    await Agent(model, name='clerk').run('hi')
    await Agent(model, name='clerk', instrument=True).run('hi')

    assert seen.tree() == ['invoke_agent clerk', 'invoke_agent clerk > chat test'] * 2
    assert instrument_model(model, True) is model
    assert instrument_model(model.wrapped, False) is model.wrapped


async def test_all_agents_can_be_instrumented_at_once():
    """`instrument_all` is for agents that say nothing themselves."""
    seen = Seen()
    Agent.instrument_all(seen.settings)
    try:
        await Agent(TestModel()).run('hi')
        await Agent(TestModel(), instrument=False).run('hi')
    finally:
        Agent.instrument_all(False)
    await Agent(TestModel()).run('hi')

    assert seen.tree() == ['agent run', 'agent run > chat test']


async def test_a_single_request_can_be_instrumented():
    """A request without an agent is a span of its own."""
    seen = Seen()

    await model_request(TestModel(), [ModelRequest.user_text_prompt('hi')], instrument=seen.settings)

    assert seen.tree() == ['chat test']


async def test_a_run_says_where_it_stands_in_the_trace():
    """The traceparent of a run and its result is that of its span; without a span there is none."""
    seen = Seen()
    agent = Agent(TestModel(), instrument=seen.settings)
    async with agent.iter('hi') as agent_run:
        during = agent_run._traceparent()
    result = await agent.run('hi')

    contexts = [span.context for span in seen.spans if span.name == 'agent run' and span.context]
    expected = [f'00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}' for context in contexts]
    assert [during, result._traceparent()] == expected
    with pytest.raises(AttributeError, match='instrument=True'):
        (await Agent(TestModel()).run('hi'))._traceparent()


async def test_a_tracer_that_records_nothing_costs_no_messages():
    """With a provider that samples nothing the run is as it would be, and has no place in a trace."""
    settings = InstrumentationSettings(tracer_provider=trace.NoOpTracerProvider())

    result = await Agent(TestModel(), instrument=settings).run('hi')

    assert result.output == 'success (no tool calls)'
    assert result._traceparent(required=False) is None


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'version': 4}, r'version=4 .* Give 1, 2 or 3'),
        ({'event_mode': 'logs'}, r"event_mode='logs' is not supported"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Any, message: str):
    """A version or a mode that there is not is refused where it is said."""
    with pytest.raises(UserError, match=message):
        InstrumentationSettings(**settings)


async def test_something_else_is_no_instrumentation():
    """An agent that is told something else than settings says so when it is run."""
    wrong: Any = 'yes'
    with pytest.raises(UserError, match=r"instrument='yes' is not known"):
        await Agent(TestModel(), instrument=wrong).run('hi')


ALONE = """
import sys
from plait_agent import Agent
from plait_agent.models.test import TestModel
Agent(TestModel()).run_sync('hi')
assert not [name for name in sys.modules if name.startswith('opentelemetry')]
"""
MISSING = """
import sys
sys.modules['opentelemetry'] = None
from plait_agent import Agent
from plait_agent.models.test import TestModel
agent = Agent(TestModel(), instrument=True)
try:
    agent.run_sync('hi')
except ImportError as error:
    print(error)
"""


def python(program: str) -> str:
    """What a program prints that runs alone."""
    return subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True, timeout=50
    ).stdout


def test_opentelemetry_waits_until_it_is_asked_for():
    """A run that is not instrumented does not import OpenTelemetry."""
    assert python(ALONE) == ''


def test_a_missing_opentelemetry_is_named():
    """Without OpenTelemetry an instrumented run says what to install."""
    assert "pip install 'plait-agent[instrument]'" in python(MISSING)
