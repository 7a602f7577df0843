"""Whatever happens in a turn, the history can be sent again afterwards."""

from itertools import pairwise

import anyio
import pytest
from chat_parts import Silence, answering, echoing
from pydantic import BaseModel

from plait_agent import Agent, DeferredToolRequests, ModelHTTPError, ModelRetry, UserError, WrapperAgent
from plait_agent._chat.conversation import Conversation
from plait_agent.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from plait_agent.models.function import DeltaToolCall, FunctionModel


def is_well_formed(messages):
    """Whether each call in a history has its answer in the message that follows."""
    for message, following in pairwise([*messages, ModelRequest([])]):
        calls = {part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart)}
        answers = {getattr(part, 'tool_call_id', None) for part in following.parts}
        if not calls <= answers:
            return False
    return True


def texts_of(messages):
    """What was said, by user and model."""
    return [part.content for each in messages for part in each.parts if isinstance(part, UserPromptPart | TextPart)]


async def broken_off(conversation, prompt, event):
    """Ask, and cancel the run when an event is set."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(conversation.ask, prompt, Silence())
        await event.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


async def test_turns_add_up():
    """Each turn knows those before it, and what they have used is added up."""
    conversation = Conversation(echoing())

    assert await conversation.ask('one', Silence()) == 'You said one.'
    assert await conversation.ask('two', Silence()) == 'You said two.'

    assert texts_of(conversation.messages) == ['one', 'You said one.', 'two', 'You said two.']
    assert (conversation.spent.usage.requests, conversation.last_spent.usage.requests) == (2, 1)


async def test_the_text_of_a_stopped_answer_stays():
    """What had come of an answer stays in the history, marked as not complete; calls that had begun do not."""
    waits = anyio.Event()

    async def stream(_messages, _info):
        yield 'I begin '
        yield {1: DeltaToolCall('find', '{"a')}
        waits.set()
        await anyio.sleep_forever()

    conversation = Conversation(Agent(FunctionModel(stream_function=stream)))
    await broken_off(conversation, 'go', waits)

    assert texts_of(conversation.messages) == ['go', 'I begin ']
    assert [part.part_kind for part in conversation.messages[-1].parts] == ['text']
    assert conversation.messages[-1].metadata == {'interrupted': True}
    assert conversation.spent.usage.requests == 1
    conversation.model = answering('again')
    assert await conversation.ask('and now?', Silence()) == 'again'


async def test_a_prompt_that_nothing_has_answered_is_no_part_of_the_history():
    """A prompt that failed does not spoil what follows, and can be asked again."""
    agent = Agent(answering(ModelHTTPError(400, 'scripted', 'too long'), 'fine'))
    conversation = Conversation(agent)

    with pytest.raises(ModelHTTPError):
        await conversation.ask('go', Silence())
    assert conversation.messages == []

    assert await conversation.retry(Silence()) == 'fine'
    assert texts_of(conversation.messages) == ['go', 'fine']


async def test_a_retry_does_not_call_tools_again():
    """When the request after a tool's return failed, the retry makes that request and nothing more."""
    calls = []
    agent = Agent(answering([ToolCallPart('count', {}, '1')], ModelHTTPError(500, 'scripted'), 'counted'))

    @agent.tool_plain
    def count():
        calls.append(1)
        return len(calls)

    conversation = Conversation(agent)
    with pytest.raises(ModelHTTPError):
        await conversation.ask('go', Silence())

    assert is_well_formed(conversation.messages)
    assert await conversation.retry(Silence()) == 'counted'
    assert calls == [1]
    assert texts_of(conversation.messages) == ['go', 'counted']


async def test_a_retry_of_an_answer_takes_its_place():
    """An answer that was complete is asked for anew, and the first one forgotten."""
    conversation = Conversation(Agent(answering('hello', 'first', 'second')))
    await conversation.ask('hi', Silence())
    await conversation.ask('go', Silence())

    assert await conversation.retry(Silence()) == 'second'
    assert texts_of(conversation.messages) == ['hi', 'hello', 'go', 'second']


async def test_nothing_to_retry():
    """A retry before anything was said is refused."""
    with pytest.raises(UserError, match='Say something first'):
        await Conversation(echoing()).retry(Silence())


async def test_calls_that_a_stop_leaves_open_are_answered():
    """A run that is stopped in a tool leaves a history that can be sent again."""
    is_called = anyio.Event()
    agent = Agent(answering([ToolCallPart('wait', {}, '1')], 'done'))

    @agent.tool_plain
    async def wait():
        is_called.set()
        await anyio.sleep_forever()

    conversation = Conversation(agent)
    await broken_off(conversation, 'go', is_called)

    assert is_well_formed(conversation.messages)
    assert await conversation.ask('what now?', Silence()) == 'done'


async def test_calls_that_wait_are_answered_or_closed():
    """Calls that wait for approval stay open for the answer, and are closed if there is none."""
    agent = Agent(answering([ToolCallPart('pay', {}, '1')], 'paid'), output_type=[str, DeferredToolRequests])
    agent.tool_plain(requires_approval=True)(pay)
    conversation = Conversation(agent)

    output = await conversation.ask('pay', Silence())
    assert not is_well_formed(conversation.messages)
    waiting = Conversation(agent, messages=conversation.messages)
    conversation.close_calls()

    assert isinstance(output, DeferredToolRequests)
    assert is_well_formed(conversation.messages)
    assert is_well_formed(waiting.messages)  # a chat that was left in the middle of a question
    assert await conversation.ask('go on', Silence()) == 'paid'


def pay():
    """Pay."""
    return 'done'


async def test_tools_that_ran_after_approval_stay_in_the_history():
    """If the request after approved calls fails, their returns are kept, so that they are not made twice."""
    agent = Agent(
        answering([ToolCallPart('pay', {}, '1')], ModelHTTPError(500, 'scripted'), 'paid'),
        output_type=[str, DeferredToolRequests],
    )
    agent.tool_plain(requires_approval=True)(pay)
    conversation = Conversation(agent)
    requests = await conversation.ask('pay', Silence())

    with pytest.raises(ModelHTTPError):
        await conversation.ask(None, Silence(), requests.build_results(approve_all=True))

    returns = [part.content for part in conversation.messages[-1].parts if isinstance(part, ToolReturnPart)]
    assert returns == ['done']
    assert await conversation.retry(Silence()) == 'paid'


async def test_outputs_may_be_deferred_although_the_agent_does_not_say_so():
    """A tool may ask for approval in a chat: somebody is there to be asked. Output validators are no hindrance."""
    from plait_agent import ApprovalRequired

    agent = Agent(answering([ToolCallPart('pay', {}, '1')]))

    @agent.tool_plain
    def pay():
        raise ApprovalRequired

    assert isinstance(await Conversation(agent).ask('go', Silence()), DeferredToolRequests)

    validated = Agent(answering('short', 'long enough'))

    @validated.output_validator
    def check(output: str) -> str:
        if output == 'short':
            raise ModelRetry('more, please')
        return output

    audience = Silence()
    assert await Conversation(validated).ask('go', audience) == 'long enough'
    assert [part.content for part in audience.refused] == ['more, please']


async def test_structured_outputs_and_wrapped_agents():
    """An agent with data for its output, also within a wrapper, gives that data."""

    class Order(BaseModel):
        article: str

    agent = Agent(answering([ToolCallPart('final_result', {'article': 'tea'}, '1')]), output_type=Order)

    assert await Conversation(WrapperAgent(agent)).ask('go', Silence()) == Order(article='tea')


async def test_a_chat_without_a_model_cannot_begin():
    """An agent without a model is refused before anything is asked."""
    with pytest.raises(UserError, match='model'):
        Conversation(Agent(), model=None).check()


async def test_prices_are_said_where_they_are_known():
    """An answer of a model with a known price costs that, one of an unknown model nobody knows what."""
    from plait_agent._chat.spending import spent_on
    from plait_agent.usage import RequestUsage, RunUsage

    def answered(model, provider):
        usage = RequestUsage(input_tokens=1000, output_tokens=1000)
        return ModelResponse([], usage=usage, model_name=model, provider_name=provider)

    used = RunUsage(requests=1, input_tokens=1000, output_tokens=1000)
    assert '$' in str(spent_on([answered('gpt-4o', 'openai')], used))
    assert str(spent_on([answered('no-such-model', 'openai')], used)).endswith('price unknown')
    assert str(spent_on([answered('qwen', 'local')], used)) == '1,000 tokens in · 1,000 out'
