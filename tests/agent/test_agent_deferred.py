"""Calls that wait for somebody: how a run ends with them, and how another run goes on from there."""

import pytest
from pydantic import BaseModel

from plait_agent import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    ModelRetry,
    RunContext,
    ToolApproved,
    ToolDefinition,
    ToolDenied,
    ToolReturn,
    UnexpectedModelBehavior,
    UserError,
)
from plait_agent.messages import (
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models.function import FunctionModel


class Foo(BaseModel):
    """A structured output."""

    x: int


def call(name, call_id, **arguments):
    """A tool call."""
    return ToolCallPart(name, arguments, call_id)


def desk(*answers, output_type=(str, DeferredToolRequests), **options):
    """An agent with a tool of each kind, and the calls that were made of them."""
    left, made = iter(answers), []
    external = ExternalToolset([ToolDefinition(name='ext'), ToolDefinition(name='ext2')])
    agent = Agent(
        FunctionModel(lambda _messages, _info: ModelResponse(next(left))),
        output_type=list(output_type),
        toolsets=[external],
        **options,
    )

    @agent.tool_plain
    def normal():
        made.append('normal')
        return 'normal gave this'

    @agent.tool_plain
    def again():
        raise ModelRetry('again')

    @agent.tool(requires_approval=True)
    def appr(ctx: RunContext, n: int = 0):
        made.append(('appr', n, ctx.tool_call_approved, ctx.tool_call_metadata))
        return 'appr gave this'

    @agent.tool
    def cond(ctx: RunContext):
        if not ctx.tool_call_approved:
            raise ApprovalRequired({'why': 'careful'})
        made.append('cond')
        return 'cond gave this'

    @agent.tool_plain
    def later():
        raise CallDeferred({'ticket': 7})

    return agent, made


def ids(calls):
    """The ids of calls."""
    return [each.tool_call_id for each in calls]


def answers_to_calls(message):
    """What is in a request: of each part its kind, its id if it has one, and its content."""
    return [(type(part), getattr(part, 'tool_call_id', None), part.content) for part in message.parts]


EVERYTHING = [call('normal', 'n'), call('appr', 'a'), call('cond', 'c'), call('ext', 'e'), call('later', 'l')]
ANSWER = [TextPart('done')]


# ---------------------------------------------------------------------------------------- ending with requests


async def test_a_run_ends_with_the_calls_that_wait():
    """Normal calls are made and answered; the others are the output, by who is to do something about them."""
    agent, made = desk(EVERYTHING)

    result = await agent.run('x')

    assert made == ['normal']
    assert ids(result.output.approvals) == ['c', 'a']
    assert ids(result.output.calls) == ['l', 'e']
    assert result.output.metadata == {'c': {'why': 'careful'}, 'l': {'ticket': 7}}
    assert answers_to_calls(result.all_messages()[-1]) == [(ToolReturnPart, 'n', 'normal gave this')]


async def test_without_normal_calls_the_history_ends_with_the_response():
    """If no call could be made, nothing follows the response."""
    agent, _made = desk([TextPart('please'), call('ext', 'e')])

    result = await agent.run('x')

    assert ids(result.output.calls) == ['e']
    assert isinstance(result.all_messages()[-1], ModelResponse)


async def test_a_run_ends_although_a_sibling_wants_a_retry():
    """A call that failed beside one that waits is answered in the history, and the run ends all the same."""
    agent, _made = desk([call('again', 'r'), call('ext', 'e')])

    result = await agent.run('x')

    assert ids(result.output.calls) == ['e']
    assert answers_to_calls(result.all_messages()[-1]) == [(RetryPromptPart, 'r', 'again')]


async def test_a_valid_output_beats_deferral():
    """Calls that would wait are not made once there is a result, whatever their kind."""
    calls = [call('ext', 'e'), call('appr', 'a'), call('final_result', 'f', x=1)]
    agent, made = desk(calls, output_type=(Foo, DeferredToolRequests))

    result = await agent.run('x')

    assert result.output == Foo(x=1)
    assert made == []
    assert [content for _kind, _id, content in answers_to_calls(result.all_messages()[-1])] == [
        'Final result processed.',
        'Tool not executed - a final result was already processed.',
        'Tool not executed - a final result was already processed.',
    ]


async def test_a_tool_that_defers_beside_a_result():
    """With 'exhaustive' a tool that defers when it is called beside a result is answered as not executed."""
    agent, _made = desk(
        [call('later', 'l'), call('final_result', 'f', x=1)],
        output_type=(Foo, DeferredToolRequests),
        end_strategy='exhaustive',
    )

    result = await agent.run('x')

    assert result.output == Foo(x=1)
    assert ids(result.all_messages()[-1].parts) == ['f', 'l']


@pytest.mark.parametrize('waiting', [call('ext', 'e'), call('later', 'l')])
async def test_deferral_must_be_among_the_outputs(waiting):
    """A run whose outputs do not allow it cannot end with calls that wait, and says what to add."""
    agent = Agent(
        FunctionModel(lambda _messages, _info: ModelResponse([waiting])),
        toolsets=[ExternalToolset([ToolDefinition(name='ext')])],
    )

    @agent.tool_plain
    def later():
        raise CallDeferred

    with pytest.raises(UserError) as caught:
        await agent.run('x')

    assert str(caught.value) == (
        'A deferred tool call was present, but `DeferredToolRequests` is not among output types. '
        'To resolve this, add `DeferredToolRequests` to the list of output types for this agent.'
    )


# ---------------------------------------------------------------------------------------- going on


async def test_a_second_run_answers_all_calls_in_one_request():
    """Results go into one new request: called tools, then what others have given, in call order, then the prompt."""
    agent, made = desk(EVERYTHING, ANSWER)
    first = await agent.run('x')
    results = DeferredToolResults(
        calls={'e': 5, 'l': 'late'}, approvals={'a': True, 'c': True}, metadata={'a': {'by': 'me'}}
    )

    second = await agent.run('also', message_history=first.all_messages(), deferred_tool_results=results)

    assert second.output == 'done'
    assert made[0] == 'normal'
    assert sorted(made[1:], key=str) == [('appr', 0, True, {'by': 'me'}), 'cond']
    assert answers_to_calls(second.new_messages()[0]) == [
        (ToolReturnPart, 'c', 'cond gave this'),
        (ToolReturnPart, 'l', 'late'),
        (ToolReturnPart, 'a', 'appr gave this'),
        (ToolReturnPart, 'e', 5),
        (UserPromptPart, None, 'also'),
    ]
    assert second.usage().tool_calls == 2


@pytest.mark.parametrize(
    ('decision', 'answer'),
    [
        (True, 'appr gave this'),
        (ToolApproved(), 'appr gave this'),
        (False, 'The tool call was denied.'),
        (ToolDenied('Not today.'), 'Not today.'),
    ],
)
async def test_decisions_about_a_call(decision, answer):
    """An approved call is made; a denied one is answered with the message."""
    agent, made = desk([call('appr', 'a')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(approvals={'a': decision})
    second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)

    assert answers_to_calls(second.new_messages()[0]) == [(ToolReturnPart, 'a', answer)]
    assert len(made) == (answer == 'appr gave this')


async def test_an_approval_may_change_the_arguments():
    """A call is made with the arguments of who approved it, if these are given."""
    agent, made = desk([call('appr', 'a', n=1)], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(approvals={'a': ToolApproved(override_args={'n': 2})})
    await agent.run(message_history=first.all_messages(), deferred_tool_results=results)

    assert made == [('appr', 2, True, None)]


@pytest.mark.parametrize('given', [ToolApproved(override_args={'n': 'two'}), True])
async def test_the_arguments_of_an_approved_call_are_validated(given):
    """Arguments that do not fit, the model's or those of who approved, lead to a retry of the model."""
    agent, made = desk([call('appr', 'a', n='one')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(approvals={'a': given})
    second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)

    (part,) = second.new_messages()[0].parts
    assert (type(part), [error['type'] for error in part.content]) == (RetryPromptPart, ['int_parsing'])
    assert made == []


@pytest.mark.parametrize(
    ('given', 'kind', 'content'),
    [
        ({'a': 1}, ToolReturnPart, {'a': 1}),
        (None, ToolReturnPart, None),
        (ModelRetry('again'), RetryPromptPart, 'again'),
        (RetryPromptPart('once more'), RetryPromptPart, 'once more'),
        (ToolReturn('value', metadata={'m': 1}), ToolReturnPart, 'value'),
    ],
)
async def test_results_of_calls_that_others_have_made(given, kind, content):
    """A result is a value, or says more than a value; name and id of the call are filled in."""
    agent, _made = desk([call('ext', 'e')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(calls={'e': given})
    second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)

    (part,) = second.new_messages()[0].parts
    assert (type(part), part.tool_name, part.tool_call_id, part.content) == (kind, 'ext', 'e', content)


async def test_content_for_the_user_comes_before_the_prompt():
    """The content of a `ToolReturn` follows all returns, and the new prompt follows that."""
    agent, _made = desk([call('ext', 'e')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(calls={'e': ToolReturn('value', content='look')})
    second = await agent.run('now', message_history=first.all_messages(), deferred_tool_results=results)

    assert [part.content for part in second.new_messages()[0].parts] == ['value', 'look', 'now']


async def test_a_result_for_a_call_that_waits_for_approval():
    """Kinds are not checked: a result may stand for an approval, and then the tool is not called."""
    agent, made = desk([call('appr', 'a')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(calls={'a': 'by hand'})
    second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)

    assert (second.new_messages()[0].parts[0].content, made) == ('by hand', [])


async def test_an_approved_external_call_waits_again():
    """A tool that somebody else calls waits again when it is approved, and the other calls are answered."""
    agent, _made = desk([call('ext', 'e'), call('appr', 'a')], ANSWER)
    first = await agent.run('x')

    results = DeferredToolResults(approvals={'e': True, 'a': True})
    second = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
    third = await agent.run(
        message_history=second.all_messages(), deferred_tool_results=DeferredToolResults(calls={'e': 5})
    )

    assert ids(second.output.calls) == ['e']
    assert answers_to_calls(second.all_messages()[-1]) == [(ToolReturnPart, 'a', 'appr gave this')]
    assert third.output == 'done'


async def test_requests_and_results_can_be_stored():
    """History, requests and results go through JSON, and the run goes on in another process."""
    from pydantic import TypeAdapter

    from plait_agent import ModelMessagesTypeAdapter

    agent, made = desk(EVERYTHING, ANSWER)
    first = await agent.run('x')
    stored = first.all_messages_json(), TypeAdapter(DeferredToolRequests).dump_json(first.output)

    requests = TypeAdapter(DeferredToolRequests).validate_json(stored[1])
    results = requests.build_results(approve_all=True, calls={'e': 1, 'l': 2})
    history = ModelMessagesTypeAdapter.validate_json(stored[0])
    second = await agent.run(message_history=history, deferred_tool_results=results)

    assert second.output == 'done'
    assert sorted(made[1:], key=str) == [('appr', 0, True, None), 'cond']


async def test_a_tool_that_keeps_failing_after_approval():
    """A failure after approval counts like any other."""
    agent, _made = desk([call('appr', 'a', n='one')], [call('appr', 'b', n='two')])
    history = (await agent.run('x')).all_messages()

    history = (
        await agent.run(message_history=history, deferred_tool_results=DeferredToolResults(approvals={'a': True}))
    ).all_messages()
    agent.model = FunctionModel(lambda _messages, _info: ModelResponse([call('appr', 'c', n='three')]))

    with pytest.raises(UnexpectedModelBehavior, match="Tool 'appr' exceeded max retries count of 0"):
        await Agent(agent.model, retries=0, output_type=[str, DeferredToolRequests], tools=[approved_tool()]).run(
            message_history=history, deferred_tool_results=DeferredToolResults(approvals={'b': True})
        )


def approved_tool():
    """A tool that needs approval."""
    from plait_agent import Tool

    def appr(n: int):
        return n

    return Tool(appr, requires_approval=True)


# ---------------------------------------------------------------------------------------- an agent within a tool


async def test_a_call_that_waits_within_an_inner_agent():
    """A tool that runs another agent can hand on its calls, and their results later."""
    inner, made = desk([call('appr', 'a')], [TextPart('inner done')])
    outer = Agent(
        FunctionModel(
            lambda messages, _info: ModelResponse([call('ask', 'o')] if len(messages) == 1 else [TextPart('outer')])
        ),
        output_type=[str, DeferredToolRequests],
    )

    @outer.tool
    async def ask(ctx: RunContext):
        given = ctx.tool_call_metadata
        if given is None:
            result = await inner.run('x')
            raise ApprovalRequired({'history': result.all_messages(), 'requests': result.output})
        results = given['requests'].build_results(approve_all=True)
        return (await inner.run(message_history=given['history'], deferred_tool_results=results)).output

    first = await outer.run('x')
    results = DeferredToolResults(approvals={'o': True}, metadata=first.output.metadata)
    second = await outer.run(message_history=first.all_messages(), deferred_tool_results=results)

    assert made == [('appr', 0, True, None)]
    assert second.output == 'outer'
    assert second.new_messages()[0].parts[0].content == 'inner done'


# ---------------------------------------------------------------------------------------- what cannot be


HISTORY = [ModelRequest([UserPromptPart('x')]), ModelResponse([call('ext', 'e'), call('ext2', 'f')])]
NOT_ALL = 'Tool call results need to be provided for all deferred tool calls. '
NO_DECISION = (
    "approvals['e'] is 'yes', which does not say whether the call may be made. "
    'Give True, False, ToolApproved or ToolDenied there, and results of calls in `calls`.'
)
PARTLY = [*HISTORY, ModelRequest([ToolReturnPart('ext', 1, 'e')])]


@pytest.mark.parametrize(
    ('history', 'results', 'message'),
    [
        ([], {'calls': {'e': 1}}, 'Tool call results were provided, but the message history is empty.'),
        (
            HISTORY[:1],
            {'calls': {'e': 1}},
            'Tool call results were provided, but the message history does not contain a `ModelResponse`.',
        ),
        (
            [ModelResponse([TextPart('a')])],
            {'calls': {'e': 1}},
            'Tool call results were provided, but the message history does not contain any unprocessed tool calls.',
        ),
        (
            HISTORY,
            {'calls': {'e': 1}},
            NOT_ALL + "Expected: {'e', 'f'}, got: {'e'}",
        ),
        (
            HISTORY,
            {'calls': {'e': 1, 'f': 2}, 'approvals': {'g': True}},
            NOT_ALL + "Expected: {'e', 'f'}, got: {'e', 'f', 'g'}",
        ),
        (
            PARTLY,
            {'calls': {'e': 1, 'f': 2}},
            "Tool call 'e' was already executed and its result cannot be overridden.",
        ),
        (
            HISTORY,
            {'calls': {'f': 2}, 'approvals': {'e': 'yes'}},
            NO_DECISION,
        ),
    ],
)
async def test_results_that_do_not_fit(history, results, message):
    """Results that do not fit the history are refused with what was expected."""
    agent, _made = desk()

    with pytest.raises(UserError) as caught:
        await agent.run(message_history=history, deferred_tool_results=DeferredToolResults(**results))

    assert str(caught.value) == message


@pytest.mark.parametrize('history', [HISTORY, PARTLY])
async def test_a_prompt_cannot_come_before_the_results(history):
    """A prompt after calls that nothing has answered is refused, also if some of them are answered."""
    agent, _made = desk()

    with pytest.raises(UserError) as caught:
        await agent.run('now', message_history=history)

    message = 'Cannot provide a new user prompt when the message history contains unprocessed tool calls.'
    assert str(caught.value) == message


async def test_a_history_with_some_calls_answered_is_not_sent():
    """A history that answers some calls of a response and not all is refused: a provider would refuse it."""
    agent, _made = desk()

    with pytest.raises(UserError) as caught:
        await agent.run(message_history=PARTLY)

    assert str(caught.value) == (
        "The message history ends with returns for some tool calls and none for ['f']. "
        'Give their results with `deferred_tool_results`.'
    )


async def test_an_approved_call_of_a_tool_that_is_gone():
    """A call that was approved cannot be made by an agent that has no such tool."""
    history = [ModelRequest([UserPromptPart('x')]), ModelResponse([call('gone', 'g')])]
    agent, _made = desk()

    with pytest.raises(UserError, match="The call 'g' was approved, and there is no tool 'gone' to make it"):
        await agent.run(message_history=history, deferred_tool_results=DeferredToolResults(approvals={'g': True}))


def test_tools_that_need_approval_need_an_agent_that_can_ask():
    """An agent whose outputs do not allow deferral takes no tool that needs approval."""
    message = 'To use tools that require approval, add `DeferredToolRequests` to the list of output types'

    with pytest.raises(UserError, match=message):
        Agent('test').tool_plain(requires_approval=True)(lambda: 1)
    with pytest.raises(UserError, match=message):
        Agent('test', tools=[approved_tool()])
