"""How a run calls the tools that a response asks for, and how it answers."""

import threading

import anyio
import pytest

from plait_agent import (
    Agent,
    BinaryContent,
    FunctionToolResultEvent,
    FunctionToolset,
    ModelRetry,
    RunContext,
    Tool,
    ToolReturn,
    UnexpectedModelBehavior,
    UserError,
    capture_run_messages,
)
from plait_agent.messages import (
    FunctionToolCallEvent,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models.function import FunctionModel

WITHIN_A_LIST = (
    "The return value of tool 'give' contains invalid nested `ToolReturn` objects. "
    '`ToolReturn` should be used directly.'
)
WITH_A_FILE = (
    "The `return_value` of tool 'give' contains invalid nested `MultiModalContent` objects. "
    'Please use `content` instead.'
)


def answering(*answers):
    """A model that gives these parts, one list after the other, and at last a text."""
    left = iter([*answers, [TextPart('done')]])
    return FunctionModel(lambda _messages, _info: ModelResponse(next(left)))


def call(name, call_id, **arguments):
    """A tool call."""
    return ToolCallPart(name, arguments, call_id)


def contents(message):
    """What the parts of a message say, in order."""
    return [part.content for part in message.parts]


# ---------------------------------------------------------------------------------------- side by side


async def test_calls_run_side_by_side_and_are_answered_in_call_order():
    """The calls of a response run at once; whichever is done first, the returns stand in call order."""
    agent = Agent(answering([call('slow', '1'), call('quick', '2')]))
    quick_is_done = anyio.Event()

    @agent.tool_plain
    async def slow():
        await quick_is_done.wait()
        return 'slow'

    @agent.tool_plain
    async def quick():
        quick_is_done.set()
        return 'quick'

    assert contents((await agent.run('x')).all_messages()[2]) == ['slow', 'quick']


async def test_events_tell_calls_first_and_results_as_they_come():
    """All calls are told of before any result, and results in the order in which they come."""
    agent = Agent(answering([call('slow', '1'), call('quick', '2')]))
    quick_is_done = anyio.Event()

    @agent.tool_plain
    async def slow():
        await quick_is_done.wait()

    @agent.tool_plain
    async def quick():
        quick_is_done.set()

    async with agent.iter('x') as run:
        node = await run.next(await run.next(run.next_node))
        async with node.stream(run.ctx) as stream:
            events = [(type(event), event.tool_call_id) async for event in stream]

    assert events == [
        (FunctionToolCallEvent, '1'),
        (FunctionToolCallEvent, '2'),
        (FunctionToolResultEvent, '2'),
        (FunctionToolResultEvent, '1'),
    ]


@pytest.mark.parametrize('by_tool', [True, False])
async def test_sequential_tools_run_one_by_one(by_tool):
    """If one tool of a response is to run alone, or within the block that says so, all run in call order."""
    agent = Agent(answering([call('step', '1', n=1), call('step', '2', n=2), call('other', '3')]))
    running, seen = [], []

    async def alone(name):
        running.append(name)
        await anyio.lowlevel.checkpoint()
        seen.append(list(running))
        running.remove(name)

    @agent.tool_plain
    async def step(n: int):
        await alone(n)

    @agent.tool_plain(sequential=by_tool)
    async def other():
        await alone('other')

    if by_tool:
        await agent.run('x')
    else:
        with agent.sequential_tool_calls():
            await agent.run('x')

    assert seen == [[1], [2], ['other']]


async def test_synchronous_tools_run_in_threads():
    """A tool that is not async runs in a thread, and does not hold up the others."""
    agent = Agent(answering([call('blocking', '1'), call('free', '2')]))
    freed = threading.Event()

    @agent.tool_plain
    def blocking():
        return freed.wait(10)

    @agent.tool_plain
    async def free():
        freed.set()

    assert contents((await agent.run('x')).all_messages()[2]) == [True, None]


async def test_a_call_id_that_is_used_twice_is_called_once():
    """The second call of an id is refused, and not made."""
    made = []
    agent = Agent(answering([call('note', '1', n=1), call('note', '1', n=2)]))

    @agent.tool_plain
    def note(n: int):
        made.append(n)

    result = await agent.run('x')

    assert made == [1]
    assert contents(result.all_messages()[2]) == [
        None,
        "Tool call id '1' was used for another call. Use a new one.",
    ]


# ---------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize('calls', [[call('fail', '1')], [call('wait', '1'), call('fail', '2')]])
async def test_what_a_tool_raises_comes_out_of_the_run_as_it_is(calls):
    """The exception of a tool is the exception of the run, the very object; the other calls are cancelled first."""
    error = LookupError('nothing there')
    ended, waiting = [], anyio.Event()
    agent = Agent(answering(calls))

    @agent.tool_plain
    async def wait():
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append('wait')

    @agent.tool_plain
    async def fail():
        if len(calls) > 1:
            await waiting.wait()
        raise error

    with pytest.raises(LookupError) as caught:
        await agent.run('x')

    assert caught.value is error
    assert ended == (['wait'] if len(calls) > 1 else [])


async def test_bad_arguments_are_sent_back():
    """Arguments that do not fit are answered with the errors, and the tool is not called."""
    made = []
    agent = Agent(answering([call('add', '1', a='one')], [ToolCallPart('add', '{"a": 2}', '2')]))

    @agent.tool_plain
    def add(a: int):
        made.append(a)

    result = await agent.run('x')

    (part,) = result.all_messages()[2].parts
    assert (part.tool_name, part.tool_call_id) == ('add', '1')
    assert [(error['type'], error['loc']) for error in part.content] == [('int_parsing', ('a',))]
    assert made == [2]
    assert result.usage().tool_calls == 1


@pytest.mark.parametrize('args', [None, '', {}, '{}'])
async def test_no_arguments_are_an_empty_object(args):
    """A call without arguments, however it is written, calls the tool with none."""
    agent = Agent(answering([ToolCallPart('ping', args, '1')]), tools=[Tool(lambda: 'pong', name='ping')])

    assert contents((await agent.run('x')).all_messages()[2]) == ['pong']


async def test_a_tool_may_fail_so_often_in_a_row():
    """A failing tool sees the number of its attempt; when it may fail no more the run ends."""
    attempts = []
    agent = Agent(answering(*[[call('fail', str(n))] for n in range(4)]))

    @agent.tool(retries=2)
    def fail(ctx: RunContext):
        attempts.append((ctx.retry, ctx.max_retries, ctx.last_attempt, dict(ctx.retries)))
        raise ModelRetry('again')

    with pytest.raises(UnexpectedModelBehavior, match=r"Tool 'fail' exceeded max retries count of 2") as caught:
        await agent.run('x')

    assert attempts == [(0, 2, False, {}), (1, 2, False, {'fail': 1}), (2, 2, True, {'fail': 2})]
    assert caught.value.__cause__ == ModelRetry('again')


async def test_a_step_without_failure_begins_the_count_anew():
    """The failures of a tool are counted in a row, a response with several of them once."""
    agent = Agent(
        answering(
            [call('even', '1', n=1), call('even', '2', n=3)],
            [call('even', '3', n=2)],
            [call('even', '4', n=1)],
            [TextPart('')],
            [call('even', '5', n=1)],
        )
    )

    @agent.tool_plain
    def even(n: int):
        if n % 2:
            raise ModelRetry('odd')
        return n

    result = await agent.run('x')

    answers = [part for message in result.all_messages()[2:-1:2] for part in message.parts]
    assert [isinstance(part, RetryPromptPart) for part in answers] == [True, True, False, True, True, True]
    assert result.output == 'done'


async def test_how_often_tools_of_agents_and_toolsets_may_fail():
    """A tool's own number comes first, then its toolset's; for the agent's own tools that is the agent's."""
    seen = {}

    def noting(name):
        def tool(ctx: RunContext):
            seen[name] = ctx.max_retries

        return tool

    agent = Agent(
        answering([call('own', '1'), call('of_set', '2'), call('with_number', '3')]),
        retries=4,
        tools=[Tool(noting('own'), name='own')],
        toolsets=[FunctionToolset([Tool(noting('of_set'), name='of_set')])],
    )
    agent.tool(name='with_number', retries=7)(noting('with_number'))

    await agent.run('x')

    assert seen == {'own': 4, 'of_set': 1, 'with_number': 7}


async def test_a_tool_that_takes_too_long_is_asked_for_again():
    """A tool that takes too long is cancelled; the model is told, and it counts as a failure."""
    ended = []
    agent = Agent(answering([call('slow', '1')], [call('slow', '2')]), tool_timeout=0.01)

    @agent.tool_plain
    async def slow():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append('slow')

    with capture_run_messages() as messages, pytest.raises(UnexpectedModelBehavior, match='max retries count of 1'):
        await agent.run('x')

    assert contents(messages[2]) == ['Timed out after 0.01 seconds.']
    assert ended == ['slow', 'slow']


async def test_a_timeout_of_a_tool_beats_that_of_the_agent():
    """A tool's own timeout comes before the agent's, which does not reach other toolsets."""
    toolset = FunctionToolset()
    offered = []

    def answer(_messages, info):
        offered.extend((tool.name, tool.timeout) for tool in info.function_tools)
        return ModelResponse([TextPart('done')])

    agent = Agent(FunctionModel(answer), tool_timeout=3, toolsets=[toolset])
    agent.tool_plain(name='own')(lambda: 1)
    agent.tool_plain(name='with_number', timeout=9)(lambda: 1)
    toolset.add_function(lambda: 1, name='elsewhere')

    await agent.run('x')

    assert offered == [('own', 3), ('with_number', 9), ('elsewhere', None)]


# ---------------------------------------------------------------------------------------- what tools give


async def test_what_a_tool_returns_is_kept_as_it_is():
    """The return of a tool is in the history as the object that it was."""
    value = {'a': [1, (2, 3)]}
    agent = Agent(answering([call('give', '1')]), tools=[Tool(lambda: value, name='give')])

    assert (await agent.run('x')).all_messages()[2].parts[0].content is value


async def test_tool_returns_with_more_than_a_value():
    """Files and contents for the user follow all returns, in order, as user prompts of their own."""
    image = BinaryContent(b'an image', media_type='image/png')
    agent = Agent(answering([call('full', '1'), call('image', '2'), call('both', '3')]))

    @agent.tool_plain
    def full():
        return ToolReturn('value', content='user content', metadata={'m': 1})

    agent.tool_plain(name='image')(lambda: image)
    agent.tool_plain(name='both')(lambda: ['text', image])

    parts = (await agent.run('x')).all_messages()[2].parts

    see, this_is = f'See file {image.identifier}', f'This is file {image.identifier}:'
    assert [type(part) for part in parts] == [ToolReturnPart] * 3 + [UserPromptPart] * 3
    assert [part.content for part in parts[:3]] == ['value', see, ['text', see]]
    assert [part.content for part in parts[3:]] == ['user content', [this_is, image], [this_is, image]]
    assert parts[0].metadata == {'m': 1}


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ([ToolReturn('a')], WITHIN_A_LIST),
        (ToolReturn(BinaryContent(b'i', media_type='image/png')), WITH_A_FILE),
    ],
)
async def test_returns_that_cannot_be(given, message):
    """A `ToolReturn` within a list, or with a file as its value, is an error that says what to do."""
    agent = Agent(answering([call('give', '1')]), tools=[Tool(lambda: given, name='give')])

    with pytest.raises(UserError) as caught:
        await agent.run('x')

    assert str(caught.value) == message


async def test_tools_that_are_added_during_a_run_are_there_in_the_next_step():
    """A tool may add another one, which the model is offered with the next request."""
    offered = []

    def answer(messages, info):
        offered.append([tool.name for tool in info.function_tools])
        return ModelResponse([call('grow', '1')] if len(messages) == 1 else [TextPart('done')])

    agent = Agent(FunctionModel(answer))

    @agent.tool_plain
    def grow():
        agent.tool_plain(name='grown')(lambda: 1)

    await agent.run('x')

    assert offered == [['grow'], ['grow', 'grown']]


async def test_tools_can_be_prepared_for_each_step():
    """A function of the agent may leave tools out of a step; what is left out cannot be called."""

    async def only_first(ctx: RunContext, tools):
        return tools if ctx.run_step == 1 else None

    agent = Agent(answering([call('ft', '1')], [call('ft', '2')]), prepare_tools=only_first)
    agent.tool_plain(name='ft')(lambda: 1)

    result = await agent.run('x')

    assert contents(result.all_messages()[2]) == [1]
    assert contents(result.all_messages()[4]) == ["Unknown tool name: 'ft'. No tools available."]


async def test_a_limit_by_name_is_held_while_a_tool_runs():
    """Tools that share a limit run no more than so many at once."""
    from plait_graph import Limit

    agent = Agent(answering([call('use', str(n)) for n in range(4)]))
    running, most = [], []

    @agent.tool_plain(limit=Limit('a pump', in_flight=2))
    async def use():
        running.append(1)
        most.append(len(running))
        await anyio.lowlevel.checkpoint()
        running.pop()

    await agent.run('x')

    assert (max(most), len(most)) == (2, 4)


async def test_a_thousand_calls_in_one_response():
    """A response may ask for very many calls; all are made, and answered in order."""
    agent = Agent(answering([call('double', str(n), n=n) for n in range(1000)]))

    @agent.tool_plain
    async def double(n: int):
        return 2 * n

    assert contents((await agent.run('x')).all_messages()[2]) == [2 * n for n in range(1000)]
