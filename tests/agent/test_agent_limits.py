"""What stops a run: limits on its usage, budgets, time, and calls that bring nothing new."""

import anyio
import pytest

from plait_agent import (
    Agent,
    NativeOutput,
    RequestUsage,
    RunContext,
    RunUsage,
    UsageLimitExceeded,
    UsageLimits,
    UserError,
)
from plait_agent.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from plait_agent.models.function import FunctionModel
from plait_agent.profiles import ModelProfile
from plait_graph import Budget

TEN = RequestUsage(input_tokens=6, output_tokens=4)


def answering(*answers, usage=TEN):
    """A model that gives these parts, one list after the other."""
    left = iter(answers)
    return FunctionModel(lambda _messages, _info: ModelResponse(next(left), usage=usage))


def looping(tool='step', **arguments):
    """A model that calls a tool for ever."""
    return FunctionModel(lambda _messages, _info: ModelResponse([ToolCallPart(tool, arguments)], usage=TEN))


def with_steps(agent):
    """Give an agent a tool, and the list of its calls."""
    made = []

    @agent.tool_plain
    def step():
        made.append('step')
        return 'the same'

    return made


# ---------------------------------------------------------------------------------------- usage


async def test_no_more_requests_than_allowed():
    """The request that would be one too many is not made."""
    agent = Agent(looping())
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded, match='The next request would exceed the request_limit of 3'):
        await agent.run('x', usage_limits=UsageLimits(request_limit=3))

    assert len(made) == 3


async def test_fifty_requests_unless_something_is_said():
    """A run without limits may make fifty requests."""
    agent = Agent(looping())
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded, match='request_limit of 50'):
        await agent.run('x')

    assert len(made) == 50


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        ({'output_tokens_limit': 3}, 'Exceeded the output_tokens_limit of 3 (output_tokens=4)'),
        ({'input_tokens_limit': 5}, 'Exceeded the input_tokens_limit of 5 (input_tokens=6)'),
        ({'total_tokens_limit': 9}, 'Exceeded the total_tokens_limit of 9 (total_tokens=10)'),
    ],
)
async def test_tokens_are_checked_after_each_response(limits, message):
    """A response that used too much ends the run, and is counted."""
    usage = RunUsage()

    with pytest.raises(UsageLimitExceeded) as caught:
        await Agent(answering([TextPart('a')])).run('x', usage=usage, usage_limits=UsageLimits(**limits))

    assert str(caught.value) == message
    assert usage == RunUsage(input_tokens=6, output_tokens=4, requests=1)


async def test_tokens_that_are_used_up_allow_no_request():
    """If too much was used before the run begins, no request is made."""
    usage, model = RunUsage(input_tokens=7), answering()

    with pytest.raises(UsageLimitExceeded, match=r'next request would exceed the input_tokens_limit of 6 \(input_tok'):
        await Agent(model).run('x', usage=usage, usage_limits=UsageLimits(input_tokens_limit=6))

    assert usage.requests == 0


async def test_tool_calls_of_a_response_are_made_together_or_not_at_all():
    """If the calls of a response would be too many, none of them is made."""
    agent = Agent(answering([ToolCallPart('step')], [ToolCallPart('step'), ToolCallPart('step')]))
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded) as caught:
        await agent.run('x', usage_limits=UsageLimits(tool_calls_limit=2))

    assert str(caught.value) == 'The next tool call(s) would exceed the tool_calls_limit of 2 (tool_calls=3).'
    assert made == ['step']


async def test_tokens_can_be_counted_before_the_request():
    """A model may count the tokens of a prompt first; a prompt that is too long is not sent."""

    class Counting(FunctionModel):
        async def count_tokens(self, messages, model_settings, model_request_parameters):
            return RequestUsage(input_tokens=len(messages[0].parts[0].content))

    asked = []

    def answer(messages, _info):
        asked.append(messages[0].parts[0].content)
        return ModelResponse([TextPart('a')], usage=TEN)

    limits = UsageLimits(input_tokens_limit=6, count_tokens_before_request=True)
    agent = Agent(Counting(answer))
    await agent.run('short', usage_limits=limits)

    with pytest.raises(UsageLimitExceeded, match=r'next request would exceed the input_tokens_limit of 6 \(input_t'):
        await agent.run('too long', usage_limits=limits)

    assert asked == ['short']


async def test_a_model_that_cannot_count_says_so():
    """Counting ahead with a model that cannot is an error that names its class."""
    limits = UsageLimits(input_tokens_limit=6, count_tokens_before_request=True)

    with pytest.raises(NotImplementedError, match='not supported by FunctionModel'):
        await Agent(answering()).run('x', usage_limits=limits)


async def test_usage_is_shared_with_agents_that_are_called():
    """Agents that count into the same usage add up, and limits see the sum."""
    inner = Agent(answering([TextPart('inner')], [TextPart('inner')]))
    outer = Agent(answering([ToolCallPart('ask')], [ToolCallPart('ask')], [TextPart('outer')]))

    @outer.tool
    async def ask(ctx: RunContext):
        return (await inner.run('y', usage=ctx.usage)).output

    usage = RunUsage()
    result = await outer.run('x', usage=usage)

    assert result.usage() is usage
    assert (usage.requests, usage.tool_calls, usage.total_tokens) == (5, 2, 50)


async def test_limits_see_what_called_agents_have_used():
    """The requests of a called agent count against the limit of the one that calls it."""
    inner = Agent(answering([TextPart('inner')]))
    outer = Agent(answering([ToolCallPart('ask')], [TextPart('outer')]))

    @outer.tool
    async def ask(ctx: RunContext):
        return (await inner.run('y', usage=ctx.usage)).output

    with pytest.raises(UsageLimitExceeded, match='request_limit of 2'):
        await outer.run('x', usage_limits=UsageLimits(request_limit=2))


# ---------------------------------------------------------------------------------------- budgets


async def test_a_budget_is_spent_by_a_run():
    """What a run uses is charged to the budget that it was given."""
    budget = Budget(calls=5, tokens=100, name='day')

    await Agent(answering([TextPart('a')])).run('x', budget=budget)

    assert (budget.spent.calls, budget.spent.tokens) == (1, 10)


async def test_a_budget_is_asked_before_a_request():
    """A request that the budget does not cover is not made; the error names the budget."""
    budget = Budget(calls=1, name='day')
    agent = Agent(looping(), name='helper')
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded, match='day'):
        await agent.run('x', budget=budget)

    assert (made, budget.spent.calls, budget.reserved.calls) == (['step'], 1, 0)


async def test_called_agents_spend_of_the_same_budget():
    """An agent that a tool runs spends of the budget of the run that called it, without being told."""
    inner = Agent(answering([TextPart('inner')]), name='inner')
    outer = Agent(answering([ToolCallPart('ask')], [TextPart('outer')]), name='outer')
    paths = []

    @inner.instructions
    def look(ctx: RunContext):
        paths.append(ctx.budget.path)

    @outer.tool_plain
    async def ask():
        return (await inner.run('y')).output

    budget = Budget(calls=3, name='day')
    await outer.run('x', budget=budget)

    assert budget.spent.calls == 3
    assert paths == ['day/outer/inner']


async def test_called_agents_are_stopped_by_the_budget_of_their_caller():
    """What is left for a called agent is what its caller has left."""
    inner = Agent(looping(), name='inner')
    made = with_steps(inner)
    outer = Agent(answering([ToolCallPart('ask')], [TextPart('outer')]), name='outer')

    @outer.tool_plain
    async def ask():
        try:
            await inner.run('y')
        except UsageLimitExceeded:
            return 'stopped'

    budget = Budget(calls=4, name='day')
    with pytest.raises(UsageLimitExceeded):
        await outer.run('x', budget=budget)

    assert (len(made), budget.spent.calls) == (3, 4)


async def test_tools_can_spend_of_the_budget():
    """A tool finds the budget in its context, and may spend of it what the agent knows nothing of."""
    agent = Agent(answering([ToolCallPart('buy')], [TextPart('a')]))

    @agent.tool
    def buy(ctx: RunContext):
        ctx.budget.spend(money=2)

    budget = Budget(money=5)
    await agent.run('x', budget=budget, model=priced(answering([ToolCallPart('buy')], [TextPart('a')])))

    assert budget.spent.money > 2


def priced(model):
    """The same model under a name and a provider whose prices are known."""

    class Priced(FunctionModel):
        system = 'openai'

    def answer(messages, info):
        response = model.function(messages, info)
        response.provider_name = 'openai'
        return response

    return Priced(answer, model_name='gpt-4o')


async def test_money_is_bounded():
    """A run stops when its requests have cost more than they may."""
    usage = RunUsage()
    agent = Agent(priced(looping()))
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded, match='money'):
        await agent.run('x', usage=usage, usage_limits=UsageLimits(cost_limit=0.0001))

    assert 1 < usage.requests < 10
    assert len(made) == usage.requests - 1


async def test_a_run_that_cannot_know_its_cost_is_not_begun():
    """With a bound on money, a model without a known price is refused before the first request."""
    asked = []
    model = FunctionModel(lambda messages, _info: asked.append(messages))

    with pytest.raises(UserError, match="the price of model 'function:<lambda>:' is not known"):
        await Agent(model).run('x', usage_limits=UsageLimits(cost_limit=1))

    assert asked == []


# ---------------------------------------------------------------------------------------- time


async def test_a_deadline_stops_a_run_in_the_middle():
    """When the time is up, what is running is cancelled, and the run fails for that reason."""
    ended = []
    agent = Agent(answering([ToolCallPart('wait')]), name='slow')

    @agent.tool_plain
    async def wait():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append('wait')

    with pytest.raises(UsageLimitExceeded, match='slow'):
        await agent.run('x', usage_limits=UsageLimits(deadline=1))  # long enough for the tool to begin

    assert ended == ['wait']


async def test_the_deadline_of_a_caller_holds_for_called_agents():
    """The time of a run covers the agents that its tools run."""
    inner = Agent(answering([ToolCallPart('wait')]), name='inner')
    outer = Agent(answering([ToolCallPart('ask')]), name='outer')

    @inner.tool_plain
    async def wait():
        await anyio.sleep_forever()

    @outer.tool_plain
    async def ask():
        await inner.run('y')

    with pytest.raises(UsageLimitExceeded, match='outer'):
        await outer.run('x', usage_limits=UsageLimits(deadline=0.02))


# ---------------------------------------------------------------------------------------- repeated calls


def notes(messages):
    """What the model was told beside returns."""
    return [part.content for message in messages[1:] for part in message.parts if isinstance(part, UserPromptPart)]


NOTE = (
    "Tool 'step' was called 2 times in a row with the arguments {}, and gave the same result each time. "
    'Do not make this call again. Answer with what is known, or do something else.'
)


async def test_a_model_that_repeats_itself_is_told_so_once():
    """When a call has given the same result so often, the model is told beside the returns, and may go on."""
    step = [ToolCallPart('step')]
    agent = Agent(answering(step, step, [TextPart('I see')]))
    with_steps(agent)

    result = await agent.run('x', usage_limits=UsageLimits(repeated_calls_limit=2))

    assert result.output == 'I see'
    assert notes(result.all_messages()) == [NOTE]
    assert [type(part) for part in result.all_messages()[4].parts] == [ToolReturnPart, UserPromptPart]


async def test_a_model_that_goes_on_repeating_itself_ends_with_its_latest_text():
    """If the call comes again after that, the run ends with the latest text; the call is answered."""
    step = ToolCallPart('step', '{}')
    agent = Agent(answering([step], [TextPart('so far'), ToolCallPart('step')], [step]))
    with_steps(agent)

    result = await agent.run('x', usage_limits=UsageLimits(repeated_calls_limit=2))

    assert result.output == 'so far'
    assert [part.content for part in result.all_messages()[-1].parts] == ['the same']


@pytest.mark.parametrize('output_type', [str, int, NativeOutput(int)])
async def test_a_model_that_repeats_itself_and_has_said_nothing_fails(output_type):
    """Without a text that can be the output the run fails, and the error names tool, arguments and number."""
    profile = ModelProfile(supports_json_schema_output=True)
    parts = [TextPart('no number'), ToolCallPart('step')] if output_type is not str else [ToolCallPart('step')]
    model = FunctionModel(lambda _messages, _info: ModelResponse(parts), profile=profile)
    agent = Agent(model, output_type=output_type)
    made = with_steps(agent)

    with pytest.raises(UsageLimitExceeded) as caught:
        await agent.run('x', usage_limits=UsageLimits(repeated_calls_limit=2))

    assert str(caught.value) == (
        "Tool 'step' was called 3 times in a row with the arguments {}, and gave the same result each time. "
        'The model was told so, and the repeated_calls_limit is 2. Let the tool say more, or raise the limit.'
    )
    assert len(made) == 3


async def test_text_of_an_earlier_run_is_no_answer():
    """A run that is stopped does not end with what was said before it."""
    agent = Agent(answering([TextPart('earlier')]))
    with_steps(agent)
    history = (await agent.run('x')).all_messages()

    with pytest.raises(UsageLimitExceeded, match='was called 3 times in a row'):
        await agent.run('y', message_history=history, model=looping(), usage_limits=UsageLimits(repeated_calls_limit=2))


@pytest.mark.parametrize(
    'rounds',
    [
        [{'n': 1}, {'n': 2}, {'n': 1}, {'n': 2}],
        [{'n': 1}, None, {'n': 1}, None],
        [{'n': 0}, {'n': 0}, {'n': 0}, {'n': 0}],
    ],
    ids=['other arguments', 'a round without the call', 'other results'],
)
async def test_what_is_no_repetition(rounds):
    """Only the same call with the same result counts, and only in rounds that follow each other."""
    results = iter(range(100))
    calls = [[ToolCallPart('count', each) if each else ToolCallPart('other')] for each in rounds]
    agent = Agent(answering(*calls, [TextPart('end')]))

    @agent.tool_plain
    def count(n: int):
        return n or next(results) + 100

    agent.tool_plain(name='other')(lambda: next(results))

    result = await agent.run('x', usage_limits=UsageLimits(repeated_calls_limit=2))

    assert (result.output, notes(result.all_messages())) == ('end', [])


async def test_the_same_call_twice_in_a_round_counts_once():
    """Rounds are counted and not calls."""
    step = [ToolCallPart('step'), ToolCallPart('step')]
    agent = Agent(answering(step, [TextPart('end')]))
    with_steps(agent)

    result = await agent.run('x', usage_limits=UsageLimits(repeated_calls_limit=2))

    assert notes(result.all_messages()) == []
