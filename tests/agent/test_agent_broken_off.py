"""What a run leaves behind that was cancelled or has failed: a history that can be sent again."""

from itertools import pairwise

import anyio
import pytest

from plait_agent import Agent, CallDeferred, DeferredToolRequests, ModelRetry, UsageLimits, capture_run_messages
from plait_agent.messages import (
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.models.function import FunctionModel

CALLS = [ToolCallPart('quick', {}, '1'), ToolCallPart('slow', {}, '2')]


def answering(*answers):
    """A model that gives these parts, one list after the other, and at last a text."""
    left = iter([*answers, [TextPart('done')]])
    return FunctionModel(lambda _messages, _info: ModelResponse(next(left)))


def answers_to_calls(messages):
    """What answers each call of a history: pairs of call id and answers, which are exactly one."""
    answers = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                answers[part.tool_call_id] = []
            elif isinstance(part, ToolReturnPart | RetryPromptPart) and part.tool_name:
                answers[part.tool_call_id].append(part.content)
    assert all(len(each) == 1 for each in answers.values()), answers
    return {call_id: content for call_id, (content,) in answers.items()}


async def send_again(messages):
    """Send a history with a new prompt to a model that refuses what a provider would."""

    def strict(sent, _info):
        for response, following in pairwise(sent):
            called = [part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart)]
            answered = [
                part.tool_call_id for part in following.parts if isinstance(part, ToolReturnPart | RetryPromptPart)
            ]
            assert not called or called == [each for each in called if each in answered]
        return ModelResponse([TextPart('again')])

    result = await Agent(FunctionModel(strict)).run('go on', message_history=messages)
    assert result.output == 'again'


async def test_cancelled_between_parallel_tools():
    """A cancelled run answers each call: what was done as it was, what was stopped with a word that it was."""
    agent = Agent(answering(CALLS))
    is_slow = anyio.Event()

    @agent.tool_plain
    async def quick():
        return 'quick gave this'

    @agent.tool_plain
    async def slow():
        is_slow.set()
        await anyio.sleep_forever()

    with capture_run_messages() as messages:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run, 'x')
            await is_slow.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert answers_to_calls(messages) == {'1': 'quick gave this', '2': 'Tool did not finish - the run was cancelled.'}
    await send_again(messages)


async def test_a_tool_that_raises():
    """When a tool raises, the calls that had not begun are answered too."""
    agent = Agent(answering([*CALLS, ToolCallPart('slow', {}, '3')]))

    @agent.tool_plain(sequential=True)
    async def quick():
        return 'quick gave this'

    @agent.tool_plain
    async def slow():
        raise LookupError('nothing there')

    with capture_run_messages() as messages, pytest.raises(LookupError):
        await agent.run('x')

    assert answers_to_calls(messages) == {
        '1': 'quick gave this',
        '2': 'Tool did not finish - the run failed.',
        '3': 'Tool not executed - the run failed.',
    }
    await send_again(messages)


async def test_a_tool_that_may_fail_no_more():
    """When a tool has failed too often, its last call is answered with what was wrong."""
    agent = Agent(answering([ToolCallPart('fail', {}, '1'), ToolCallPart('fail', {}, '2')]), retries=0)

    @agent.tool_plain(sequential=True)
    def fail():
        raise ModelRetry('again')

    with capture_run_messages() as messages, pytest.raises(RuntimeError, match='max retries count of 0'):
        await agent.run('x')

    assert answers_to_calls(messages) == {'1': 'again', '2': 'Tool not executed - the run failed.'}
    await send_again(messages)


async def test_an_output_that_may_be_refused_no_more():
    """When the output was refused too often, the refusal is in the history, and so is what the tools gave."""
    calls = [ToolCallPart('final_result', {'response': 'a'}, '1'), ToolCallPart('ft', {}, '2')]
    agent = Agent(answering(calls), output_type=int, output_retries=0)
    agent.tool_plain(name='ft')(lambda: 'ft gave this')

    with capture_run_messages() as messages, pytest.raises(RuntimeError, match='Exceeded maximum retries'):
        await agent.run('x')

    answers = answers_to_calls(messages)
    assert (answers['1'][0]['type'], answers['2']) == ('int_parsing', 'ft gave this')
    await send_again(messages)


@pytest.mark.parametrize('limits', [UsageLimits(tool_calls_limit=1), UsageLimits(request_limit=1)])
async def test_limits_that_are_reached(limits):
    """A limit that is reached before tool calls or before the next request leaves no call unanswered."""
    agent = Agent(answering(CALLS))
    agent.tool_plain(name='quick')(lambda: 'quick gave this')
    agent.tool_plain(name='slow')(lambda: 'slow gave this')

    with capture_run_messages() as messages, pytest.raises(RuntimeError):
        await agent.run('x', usage_limits=limits)

    not_made = 'Tool not executed - the run failed.'
    made = {'1': 'quick gave this', '2': 'slow gave this'}
    assert answers_to_calls(messages) == (made if limits.request_limit == 1 else {'1': not_made, '2': not_made})
    await send_again(messages)


async def test_deferral_that_is_not_allowed():
    """A call that cannot wait, since the outputs do not allow it, is answered beside those that were made."""
    agent = Agent(answering(CALLS))
    agent.tool_plain(name='quick')(lambda: 'quick gave this')

    @agent.tool_plain
    def slow():
        raise CallDeferred

    with capture_run_messages() as messages, pytest.raises(RuntimeError, match='DeferredToolRequests'):
        await agent.run('x')

    assert answers_to_calls(messages)['1'] == 'quick gave this'
    await send_again(messages)


async def test_a_model_that_fails():
    """When a request fails, the history ends with that request, and can be sent as it is."""
    answers = iter([[ToolCallPart('quick', {}, '1')]])

    def flaky(_messages, _info):
        for parts in answers:
            return ModelResponse(parts)
        raise ConnectionError('offline')

    agent = Agent(FunctionModel(flaky))
    agent.tool_plain(name='quick')(lambda: 'quick gave this')

    with capture_run_messages() as messages, pytest.raises(ConnectionError):
        await agent.run('x')

    assert answers_to_calls(messages) == {'1': 'quick gave this'}
    await send_again(messages)
    assert (await Agent(answering()).run(message_history=messages)).output == 'done'


async def test_a_validation_context_that_fails():
    """What fails between a response and its calls leaves no call unanswered either."""
    asked = []

    def context(_ctx):
        asked.append(1)
        if len(asked) > 1:
            raise LookupError('no context')

    agent = Agent(answering(CALLS), validation_context=context)
    agent.tool_plain(name='quick')(lambda: 1)
    agent.tool_plain(name='slow')(lambda: 1)

    with capture_run_messages() as messages, pytest.raises(LookupError):
        await agent.run('x')

    assert set(answers_to_calls(messages)) == {'1', '2'}
    await send_again(messages)


async def test_a_block_that_is_left_with_an_error_between_two_nodes():
    """A run that is left with an error before its calls are made answers them."""
    agent = Agent(answering(CALLS))

    async def leave():
        async with agent.iter('x') as run:
            await run.next(await run.next(run.next_node))
            raise LookupError('of the user')

    with capture_run_messages() as messages, pytest.raises(LookupError):
        await leave()

    assert set(answers_to_calls(messages)) == {'1', '2'}
    await send_again(messages)


async def test_a_block_that_is_left_in_peace_leaves_the_calls_open():
    """A run that is left without an error keeps its calls open: another run goes on with them."""
    agent = Agent(answering(CALLS))
    agent.tool_plain(name='quick')(lambda: 'quick gave this')
    agent.tool_plain(name='slow')(lambda: 'slow gave this')

    async with agent.iter('x') as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break
    result = await agent.run(message_history=run.all_messages())

    assert answers_to_calls(result.all_messages()) == {'1': 'quick gave this', '2': 'slow gave this'}


async def test_calls_that_wait_stay_open_whatever_the_block_raises():
    """A run that has ended with calls that wait keeps them open, also if the block is left with an error."""
    agent = Agent(answering(CALLS), output_type=[str, DeferredToolRequests])
    for name in ('quick', 'slow'):
        agent.tool_plain(name=name, requires_approval=True)(lambda: 1)

    async def leave():
        async with agent.iter('x') as run:
            async for _node in run:
                pass
            raise LookupError('of the user')

    with capture_run_messages() as messages, pytest.raises(LookupError):
        await leave()

    assert isinstance(messages[-1], ModelResponse)


async def test_a_node_that_failed_and_is_run_again_makes_no_call_twice():
    """A node whose tools failed can be run again: its answers are taken back, and what was done is not repeated."""
    agent, errors, made = Agent(answering(CALLS)), [LookupError('once')], []

    @agent.tool_plain(sequential=True)
    def quick():
        made.append('quick')
        return 'quick gave this'

    @agent.tool_plain
    def slow():
        made.append('slow')
        if errors:
            raise errors.pop()
        return 'slow gave this'

    async with agent.iter('x', usage_limits=UsageLimits(tool_calls_limit=2)) as run:
        node = await run.next(await run.next(run.next_node))
        with pytest.raises(LookupError):
            await run.next(node)
        assert isinstance(run.all_messages()[-1], ModelRequest)
        await run.next(await run.next(await run.next(node)))

    assert made == ['quick', 'slow', 'slow']
    assert answers_to_calls(run.all_messages()) == {'1': 'quick gave this', '2': 'slow gave this'}
    assert (run.result.output, run.usage().tool_calls) == ('done', 2)


async def test_cancelled_while_the_model_is_asked():
    """A run that is cancelled in a request leaves the request as the last message."""
    is_asked = anyio.Event()

    async def waiting(_messages, _info):
        is_asked.set()
        await anyio.sleep_forever()

    with capture_run_messages() as messages:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Agent(FunctionModel(waiting)).run, 'x')
            await is_asked.wait()
            tasks.cancel_scope.cancel()

    assert [message.kind for message in messages] == ['request']
    await send_again(messages)
