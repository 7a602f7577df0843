"""`run_stream`: which response is the output, what becomes of what stands beside it, and what is left behind."""

from contextlib import aclosing
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from plait_agent import Agent, DeferredToolRequests, ModelRetry, UnexpectedModelBehavior
from plait_agent.messages import ModelResponse, RetryPromptPart, TextPart, ToolReturnPart
from plait_agent.models.function import DeltaToolCall, FunctionModel
from plait_agent.tools import Tool


class Foo(BaseModel):
    x: int


def saying(*answers: Any) -> FunctionModel:
    """A model that streams these answers, one list of items after the other."""
    left = iter(answers)

    async def stream(_messages: Any, _info: Any) -> Any:
        for item in next(left):
            yield item

    return FunctionModel(stream_function=stream)


def call(name: str, args: str = '{}', place: int = 1) -> dict[int, DeltaToolCall]:
    """A tool call."""
    return {place: DeltaToolCall(name, args, tool_call_id=f'{name}-{place}')}


def returns(result: Any) -> list[Any]:
    """What answers the calls of the last response."""
    return [part.content for part in result.all_messages()[-1].parts if isinstance(part, ToolReturnPart)]


class Counter:
    """A tool that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> int:
        """Count."""
        self.calls += 1
        return self.calls


# ---------------------------------------------------------------------------------------- the match


async def test_text_comes_as_it_grows():
    """Each item is all of the text so far; with `delta`, what is new of it."""
    async with Agent(saying(['a', 'b'])).run_stream('x') as result:
        assert [text async for text in result.stream_text(debounce_by=None)] == ['a', 'ab']
    async with Agent(saying(['a', 'b'])).run_stream('x') as result:
        assert [text async for text in result.stream_text(debounce_by=None, delta=True)] == ['a', 'b']


async def test_output_comes_as_far_as_it_is_valid_and_then_as_it_is():
    """Partial data is given as soon as it is valid, and whole at the end."""
    items = [call('final_result', '{"x": 1'), {1: DeltaToolCall(json_args='2}')}]
    async with Agent(saying(items), output_type=Foo).run_stream('x') as result:
        assert [each async for each in result.stream_output(debounce_by=None)][-2:] == [Foo(x=12), Foo(x=12)]


async def test_responses_come_as_they_grow():
    """Responses are given with `False`, and the last one again with `True`."""
    async with Agent(saying(['a', 'b'])).run_stream('x') as result:
        seen = [(each.parts, is_last) async for each, is_last in result.stream_responses(debounce_by=None)]
    assert seen == [([TextPart('a')], False), ([TextPart('ab')], False), ([TextPart('ab')], True)]


async def test_a_fast_stream_is_given_at_once():
    """What comes within the time of gathering is one item."""
    async with Agent(saying(['a', 'b', 'c'])).run_stream('x') as result:
        assert [text async for text in result.stream_text()] == ['abc']


async def test_tools_run_before_the_output_is_watched():
    """A response without an output is handled as in `run`; the stream is that of the one that has it."""
    counter = Counter()
    agent = Agent(saying([call('count')], ['done']), tools=[counter.count])
    async with agent.run_stream('x') as result:
        assert counter.calls == 1
        assert await result.get_output() == 'done'


@pytest.mark.parametrize(
    ('strategy', 'calls', 'content'),
    [('early', 0, 'Tool not executed - a final result was already processed.'), ('exhaustive', 1, 1)],
)
async def test_the_first_match_is_the_output(strategy, calls, content):
    """Text beside a call is the output of a streamed run; the call is treated as `end_strategy` says."""
    counter = Counter()
    agent = Agent(saying([call('count', place=0), 'text']), tools=[counter.count], end_strategy=strategy)
    async with agent.run_stream('x') as result:
        assert await result.get_output() == 'text'
    assert (counter.calls, returns(result)) == (calls, [content])


async def test_text_wins_over_a_later_output_call():
    """What matches first is the output, also if data comes behind it."""
    agent = Agent(saying(['text', call('final_result', '{"x": 1}')]), output_type=[Foo, str])
    async with agent.run_stream('x') as result:
        assert await result.get_output() == 'text'
    assert returns(result) == ['Output tool not used - a final result was already processed.']


async def test_invalid_output_is_asked_for_again():
    """Data that turns out to be invalid is no error of the reader's: the model is asked again, as in `run`."""
    agent = Agent(saying([call('final_result', '{"x": "no"}')], [call('final_result', '{"x": 2}')]), output_type=Foo)
    async with agent.run_stream('x') as result:
        assert [each async for each in result.stream_output(debounce_by=None)] == [Foo(x=2)]
    assert isinstance(result.all_messages()[2].parts[0], RetryPromptPart)


async def test_output_that_stays_invalid_fails_as_in_a_run():
    """When the retries are used up, the error is that of `run`."""
    agent = Agent(saying([call('final_result')], [call('final_result')]), output_type=Foo)
    with pytest.raises(UnexpectedModelBehavior, match='Exceeded maximum retries'):
        async with agent.run_stream('x') as result:
            await result.get_output()


async def test_an_output_function_that_fails_leaves_no_call_unanswered():
    """What an output function raises comes out, and the history can be sent again."""

    def output(x: int) -> int:
        raise LookupError('broken')

    agent = Agent(saying([call('final_result', '{"x": 1}')]), output_type=output)
    with pytest.raises(LookupError, match='broken'):
        async with agent.run_stream('x') as result:
            await result.get_output()
    assert len(returns(result)) == 1


async def test_text_refused_by_a_validator_is_asked_for_again():
    """A validator that wants another text gets one."""
    agent = Agent(saying(['a'], ['b']))

    @agent.output_validator
    def not_a(output: str) -> str:
        if output == 'a':
            raise ModelRetry('not this')
        return output

    async with agent.run_stream('x') as result:
        assert await result.get_output() == 'b'


async def test_a_run_that_defers_is_complete_at_once():
    """Calls for somebody else are the output, with nothing to stream."""
    agent = Agent(
        saying([call('ask')]),
        output_type=[str, DeferredToolRequests],
        tools=[Tool(lambda: 1, name='ask', requires_approval=True)],
    )
    async with agent.run_stream('x') as result:
        assert result.is_complete
        output = await result.get_output()
    assert isinstance(output, DeferredToolRequests)
    assert [each.tool_name for each in output.approvals] == ['ask']


async def test_a_handler_sees_what_comes_before_the_match():
    """The handler's events end with the final result; what follows is the reader's."""
    seen: list[str] = []

    async def handler(_ctx: Any, events: Any) -> None:
        seen.extend([event.event_kind async for event in events])

    async with Agent(saying(['a', 'b'])).run_stream('x', event_stream_handler=handler) as result:
        assert seen == ['part_start', 'final_result']
        await result.get_output()
    assert seen == ['part_start', 'final_result']


# ---------------------------------------------------------------------------------------- complete or not


@pytest.mark.parametrize('how', ['stream_text', 'stream_output', 'stream_responses'])
async def test_reading_to_the_end_completes(how):
    """Each of the streams completes the output and puts the response into the messages; so it stays."""
    async with Agent(saying(['a', 'b'])).run_stream('x') as result:
        assert not result.is_complete
        seen = [each async for each in getattr(result, how)()]
        assert result.is_complete
        assert isinstance(result.all_messages()[-1], ModelResponse)
        again = [each async for each in getattr(result, how)()]
    assert again == seen[-1:]


async def test_leaving_early_counts_and_is_not_complete():
    """A stream that is left is read to its end by nobody: its output is not known, and its tokens count."""
    async with (
        Agent(saying(['a', 'b'])).run_stream('x') as result,
        aclosing(result.stream_responses(debounce_by=None)) as responses,
    ):
        await anext(responses)
    assert not result.is_complete
    assert result.usage().requests == 1


async def test_leaving_early_answers_the_calls():
    """The calls of a response that was left are answered, so that the history can be sent again."""
    counter = Counter()
    agent = Agent(saying(['text', call('count')]), tools=[counter.count])
    async with agent.run_stream('x') as result:
        pass
    assert (counter.calls, len(returns(result))) == (0, 1)


async def test_an_error_in_the_block_comes_out_as_it_is():
    """What the block raises is not wrapped, and closes the stream of the model."""
    closed: list[bool] = []

    async def stream(_messages: Any, _info: Any) -> Any:
        try:
            yield 'a'
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async def fail() -> None:
        async with (
            Agent(FunctionModel(stream_function=stream)).run_stream('x') as result,
            aclosing(result.stream_text(debounce_by=0)) as texts,
        ):
            await anext(texts)
            raise LookupError('mine')

    with pytest.raises(LookupError, match='mine'):
        await fail()
    assert closed == [True]


# ---------------------------------------------------------------------------------------- until the end


async def test_until_the_end_the_run_goes_on():
    """With `until='end'` a call beside text is made, and the output is that of the last response."""
    counter = Counter()
    agent = Agent(saying(['text', call('count')], ['do', 'ne']), tools=[counter.count])
    async with agent.run_stream('x', until='end') as result:
        texts = [text async for text in result.stream_text(debounce_by=None)]
    assert texts == ['text', 'do', 'done']
    assert (await result.get_output(), counter.calls) == ('done', 1)


async def test_until_the_end_nothing_is_done_before_it_is_read():
    """The run waits for its reader with what follows a response."""
    counter = Counter()
    agent = Agent(saying(['text', call('count')], ['done']), tools=[counter.count])
    async with agent.run_stream('x', until='end') as result:
        async with aclosing(result.stream_text(debounce_by=0)) as texts:
            assert await anext(texts) == 'text'
        assert counter.calls == 0
    assert not result.is_complete


async def test_until_the_end_errors_are_those_of_a_run():
    """What a tool raises after the match comes out of the reader."""

    def broken() -> str:
        raise LookupError('broken')

    with pytest.raises(LookupError, match='broken'):
        async with Agent(saying(['text', call('broken')]), tools=[broken]).run_stream('x', until='end') as result:
            await result.get_output()
    assert len(returns(result)) == 1
