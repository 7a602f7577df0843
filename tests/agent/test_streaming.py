"""Events of nodes: their order, what is made of them, and what is left when they are broken off."""

from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from plait_agent import Agent, AgentRunError, ModelRetry, UsageLimitExceeded, UsageLimits, UserError
from plait_agent.messages import ModelRequest, ModelResponse, TextPart, ThinkingPart, ToolCallPart, ToolReturnPart
from plait_agent.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel


class Foo(BaseModel):
    x: int
    y: str = ''


def saying(*answers: Any) -> FunctionModel:
    """A model that streams these answers, one list of items after the other."""
    left = iter(answers)

    async def stream(_messages: Any, _info: Any) -> Any:
        for item in next(left):
            if isinstance(item, Exception):
                raise item
            yield item

    return FunctionModel(stream_function=stream)


def call(name: str, *args: str, place: int = 0) -> list[Any]:
    """A tool call in pieces."""
    return [
        {place: DeltaToolCall(name, tool_call_id=f'{name}-{place}')},
        *({place: DeltaToolCall(json_args=arg)} for arg in args),
    ]


def kinds(events: list[Any]) -> list[str]:
    """What kind of events these are."""
    return [event.event_kind for event in events]


async def first_request(agent: Agent[Any, Any], run: Any) -> Any:
    """Go on to the first request of a run."""
    node = await run.next(run.next_node)
    assert agent.is_model_request_node(node)
    return node


async def read(node: Any, ctx: Any) -> list[Any]:
    """All that a node streams."""
    if not Agent.is_model_request_node(node) and not Agent.is_call_tools_node(node):
        return []
    async with node.stream(ctx) as events:
        return [event async for event in events]


# ---------------------------------------------------------------------------------------- events


async def test_a_part_starts_grows_and_ends():
    """Text comes as its start, the final result that it is, its deltas, and its end with all of it."""
    agent = Agent(saying(['a', 'b', 'c']))
    events = [event async for event in agent.run_stream_events('x')]
    assert kinds(events) == [
        'part_start',
        'final_result',
        'part_delta',
        'part_delta',
        'part_end',
        'agent_run_result',
    ]
    assert events[4].part == TextPart('abc')


async def test_parts_know_their_neighbours():
    """The end of a part and the start of the next one name each other's kind."""
    agent = Agent(saying([{0: DeltaThinkingPart(content='hm')}, 'a']))
    events = [event async for event in agent.run_stream_events('x')]
    assert kinds(events)[:3] == ['part_start', 'part_end', 'part_start']
    assert events[0].previous_part_kind is None
    assert (events[1].part, events[1].next_part_kind) == (ThinkingPart('hm'), 'text')
    assert events[2].previous_part_kind == 'thinking'


async def test_tools_are_told_between_the_responses():
    """A call and its result come between the response that calls and the one that follows."""
    agent = Agent(saying(call('add', '{"a": 1}'), ['done']), tools=[add])
    events = [event async for event in agent.run_stream_events('x')]
    assert kinds(events)[:6] == [
        'part_start',
        'part_delta',
        'part_end',
        'function_tool_call',
        'function_tool_result',
        'part_start',
    ]


def add(a: int) -> int:
    """Add one."""
    return a + 1


async def test_there_is_one_final_result_in_a_response():
    """The first part that matches is told of as the final result, and no other one."""
    agent = Agent(saying(['a', *call('final_result', '{"x": 1}', place=1)]), output_type=[Foo, str])
    events = [event async for event in agent.run_stream_events('x')]
    finals = [event for event in events if event.event_kind == 'final_result']
    assert [final.tool_name for final in finals] == [None]
    assert events[-1].result.output == Foo(x=1)


async def test_an_output_call_is_told_only_if_it_is_invalid():
    """An output tool's call that fails has events of a call and its result; one that is right has none."""
    agent = Agent(saying(call('final_result', '{}'), call('final_result', '{"x": 1}')), output_type=Foo)
    events = [event async for event in agent.run_stream_events('x')]
    assert kinds(events).count('function_tool_call') == kinds(events).count('function_tool_result') == 1


async def test_a_handler_is_called_once_per_node():
    """A handler is given each request and each handling of a response, the last one without events too."""
    seen: list[list[str]] = []

    async def handler(_ctx: Any, events: Any) -> None:
        seen.append(kinds([event async for event in events]))

    agent = Agent(saying(call('add', '{"a": 1}'), ['done']), tools=[add])
    await agent.run('x', event_stream_handler=handler)
    assert [len(each) > 0 for each in seen] == [True, True, True, False]


async def test_what_a_handler_leaves_is_read():
    """A handler need not read: the response is complete all the same."""

    async def handler(_ctx: Any, _events: Any) -> None:
        return

    result = await Agent(saying(['a', 'b'])).run('x', event_stream_handler=handler)
    assert result.output == 'ab'


async def test_a_handler_cannot_hide_that_the_model_failed():
    """An error of the stream that a handler swallows ends the run: half a response is no response."""

    async def handler(_ctx: Any, events: Any) -> None:
        with pytest.raises(ValueError, match='broken'):
            async for _ in events:
                pass

    with pytest.raises(ValueError, match='broken'):
        await Agent(saying(['a', ValueError('broken')])).run('x', event_stream_handler=handler)


async def test_limits_hold_while_a_response_streams():
    """A response that uses too much is broken off where it does."""
    agent = Agent(saying(['one two three '] * 100))
    seen: list[Any] = []

    async def read_all() -> None:
        async for event in agent.run_stream_events('x', usage_limits=UsageLimits(output_tokens_limit=10)):
            seen.append(event)  # noqa: PERF401 # what came before the error counts

    with pytest.raises(UsageLimitExceeded):
        await read_all()
    assert 0 < len(seen) < 20


# ---------------------------------------------------------------------------------------- the stream of a node


async def test_a_node_streams_once():
    """A second stream of a node is refused."""
    agent = Agent(saying(['a']))
    async with agent.iter('x') as run:
        node = await first_request(agent, run)
        async with node.stream(run.ctx):
            pass
        with pytest.raises(AssertionError, match='only be called once'):
            async with node.stream(run.ctx):
                pass


async def test_text_goes_on_where_events_were_left():
    """A stream of text begins with what has come while events were read."""
    agent = Agent(saying(['a', 'b', 'c']))
    async with agent.iter('x') as run:
        node = await first_request(agent, run)
        async with node.stream(run.ctx) as stream:
            await anext(stream)
            texts = [text async for text in stream.stream_text(debounce_by=None)]
    assert texts == ['a', 'ab', 'abc']


async def test_events_go_on_where_gathered_text_was_left():
    """After text that was gathered, the events that are left can be read, and the response is complete."""
    agent = Agent(saying(['a', 'b', 'c']))
    async with agent.iter('x') as run:
        node = await first_request(agent, run)
        async with node.stream(run.ctx) as stream:
            texts = [text async for text in stream.stream_text(debounce_by=0.01)]
            assert [event async for event in stream] == []
        assert (await run.next(node)).model_response.parts == [TextPart('abc')]
    assert texts == ['abc']


@pytest.mark.parametrize('delta', [False, True])
async def test_what_was_gathered_is_given_when_the_model_pauses(delta):
    """Text does not wait for more of it: the model here goes on when the text has arrived."""
    arrived = anyio.Event()

    async def stream(_messages: Any, _info: Any) -> Any:
        yield 'a'
        yield 'b'
        await arrived.wait()
        yield 'c'

    texts: list[str] = []
    async with Agent(FunctionModel(stream_function=stream)).run_stream('x') as result:
        async for text in result.stream_text(delta=delta, debounce_by=0.001):
            texts.append(text)
            if 'b' in text:
                arrived.set()
    assert ''.join(texts) == 'abc' if delta else texts[-1] == 'abc'


async def test_cancelling_a_wait_for_gathered_text_loses_nothing():
    """A wait for more text that is given up can be begun again, and nothing of the response is lost."""
    goes_on = anyio.Event()

    async def stream(_messages: Any, _info: Any) -> Any:
        yield 'a'
        await goes_on.wait()
        yield 'b'

    async with Agent(FunctionModel(stream_function=stream)).run_stream('x') as result:
        texts = result.stream_text(debounce_by=0)
        assert await anext(texts) == 'a'
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(texts)
        goes_on.set()
        assert await result.get_output() == 'ab'


async def test_a_stream_broken_off_while_it_is_waited_for_says_so():
    """A direct wait for an event that is cancelled ends the stream, and half a response is no response."""

    async def stream(_messages: Any, _info: Any) -> Any:
        yield 'a'
        await anyio.sleep_forever()

    agent = Agent(FunctionModel(stream_function=stream))

    async def give_up() -> None:
        async with agent.run_stream('x') as result:
            texts = result.stream_text(debounce_by=None)
            assert await anext(texts) == 'a'
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(texts)

    with pytest.raises(AgentRunError, match='broken off'):
        await give_up()


async def test_structured_output_has_no_text():
    """A stream of text is refused where the output is data."""
    agent = Agent(saying(call('final_result', '{"x": 1}')), output_type=Foo)
    async with agent.run_stream('x') as result:
        with pytest.raises(UserError, match='text responses'):
            await anext(result.stream_text())


async def test_partial_output_is_made_when_it_has_changed():
    """An output function sees each state of its arguments once, however many events there are."""
    seen: list[str] = []

    def output(word: str) -> str:
        seen.append(word)
        return word

    items = call('final_result', '{"word": "a', 'b', '"}')
    agent = Agent(saying([*items[:2], {1: DeltaThinkingPart(content='hm')}, *items[2:]]), output_type=output)
    async with agent.run_stream('x') as result:
        outputs = [each async for each in result.stream_output(debounce_by=None)]
    assert seen == ['a', 'ab', 'ab', 'ab']  # with and without the closing quote, and the output itself
    assert outputs[-1] == 'ab'


# ---------------------------------------------------------------------------------------- ends before the end


async def test_cancelling_closes_the_stream_of_the_model():
    """A run that is cancelled while the model streams closes the stream, and keeps no half response."""
    closed: list[bool] = []
    started = anyio.Event()

    async def stream(_messages: Any, _info: Any) -> Any:
        try:
            yield 'a'
            started.set()
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    history: list[Any] = []
    agent = Agent(FunctionModel(stream_function=stream))

    async def run() -> None:
        async with agent.run_stream('x') as result:
            history.append(result.all_messages())
            await result.get_output()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert closed == [True]
    assert [type(message) for message in history[0]] == [ModelRequest]


async def test_a_tool_that_fails_while_it_is_watched_fails_the_run():
    """What a tool raises comes out of the stream of its node, and its call is answered in the history."""

    def broken() -> str:
        raise LookupError('broken')

    agent = Agent(saying(call('broken', '{}')), tools=[broken])
    messages: list[Any] = []

    async def read_all() -> None:
        async with agent.iter('x') as run:
            messages.append(run.all_messages())
            async for node in run:
                await read(node, run.ctx)

    with pytest.raises(LookupError, match='broken'):
        await read_all()
    [messages] = messages
    assert isinstance(messages[-2], ModelResponse)
    assert isinstance(messages[-2].parts[0], ToolCallPart)
    assert isinstance(messages[-1].parts[0], ToolReturnPart)


async def test_a_validator_sees_text_as_it_grows():
    """Validators are asked for each text, with `partial_output`, and not for deltas."""
    agent = Agent(saying(['a', 'b'], ['a', 'b']))

    @agent.output_validator
    def loud(output: str) -> str:
        return output + '!'

    async with agent.run_stream('x') as result:
        assert [text async for text in result.stream_text(debounce_by=None)] == ['a!', 'ab!']
    async with agent.run_stream('x') as result:
        assert [text async for text in result.stream_text(debounce_by=None, delta=True)] == ['a', 'b']


async def test_a_retry_of_partial_output_is_passed_over():
    """An output function that refuses a part of its arguments is asked again when there is more."""

    def output(word: str) -> str:
        if len(word) < 2:
            raise ModelRetry('too short')
        return word

    agent = Agent(saying(call('final_result', '{"word": "a', 'b', '"}')), output_type=output)
    async with agent.run_stream('x') as result:
        assert {each async for each in result.stream_output(debounce_by=None)} == {'ab'}
