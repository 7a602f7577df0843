"""How a run goes from what the user says to its end: what is sent, in which order, and what is kept."""

from dataclasses import replace

import pytest

from plait_agent import Agent, RunContext, UserError, capture_run_messages
from plait_agent.messages import (
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models.function import FunctionModel
from plait_agent.models.test import TestModel


def answering(*answers):
    """A model that gives these parts, one list after the other."""
    left = iter(answers)
    return FunctionModel(lambda _messages, _info: ModelResponse(next(left)))


def noting(sent):
    """A model that notes what it is sent, and answers."""

    def answer(messages, info):
        sent.append((list(messages), info))
        return ModelResponse([TextPart(f'answer {len(sent)}')])

    return FunctionModel(answer)


def outline(messages):
    """What is in messages: of each part its kind, its tool and its content."""
    return [[_outline_of(part) for part in message.parts] for message in messages]


def _outline_of(part):
    match part:
        case ToolCallPart():
            return 'call', part.tool_name
        case ToolReturnPart():
            return 'return', part.tool_name, part.content
        case RetryPromptPart():
            return 'retry', part.tool_name, part.content
        case _:
            return part.part_kind.split('-')[0], part.content


# ---------------------------------------------------------------------------------------- worked sequences


async def test_a_tool_then_text():
    """A tool call is answered, and the text that follows is the output."""
    agent = Agent(answering([ToolCallPart('one')], [TextPart('done')]))

    @agent.tool_plain
    def one():
        return 1

    result = await agent.run('x')

    assert outline(result.all_messages()) == [
        [('user', 'x')],
        [('call', 'one')],
        [('return', 'one', 1)],
        [('text', 'done')],
    ]
    assert (result.output, result.usage().requests, result.usage().tool_calls) == ('done', 2, 1)


async def test_text_beside_a_call_is_not_the_output():
    """Text that stands beside a tool call stays in its message, and the run goes on."""
    agent = Agent(answering([TextPart('hello'), ToolCallPart('ft')], [TextPart('end')]), tools=[lambda_named('ft')])

    result = await agent.run('x')

    assert result.output == 'end'
    assert outline(result.all_messages())[1:] == [
        [('text', 'hello'), ('call', 'ft')],
        [('return', 'ft', 'ft gave this')],
        [('text', 'end')],
    ]


async def test_known_and_unknown_tools():
    """A known tool is called beside an unknown one, whose name is refused last with the names that there are."""
    agent = Agent(answering([ToolCallPart('u'), ToolCallPart('t')], [TextPart('end')]), tools=[lambda_named('t')])

    result = await agent.run('x')

    assert outline(result.all_messages())[2] == [
        ('return', 't', 't gave this'),
        ('retry', 'u', "Unknown tool name: 'u'. Available tools: 't'"),
    ]


async def test_the_test_model_calls_every_tool_once():
    """The model for tests calls all tools, and then says what they gave."""
    agent = Agent(TestModel(), tools=[lambda_named('one'), lambda_named('two')])

    result = await agent.run('x')

    assert outline(result.all_messages())[1] == [('call', 'one'), ('call', 'two')]
    assert result.output == '{"one":"one gave this","two":"two gave this"}'


def lambda_named(name):
    """A tool of this name that takes nothing."""

    async def tool():
        return f'{name} gave this'

    tool.__name__ = name
    return tool


# ---------------------------------------------------------------------------------------- how a run starts


async def test_a_history_that_ends_with_a_request_is_sent_again():
    """Without a prompt the last request is sent again, a copy of it, and is none of the new messages."""
    history = [ModelRequest([UserPromptPart('before')])]

    result = await Agent(answering([TextPart('a')]), instructions='i').run(message_history=history)

    assert outline(result.all_messages()) == [[('user', 'before')], [('text', 'a')]]
    assert result.new_messages() == result.all_messages()[1:]
    assert (history[0].instructions, history[0].run_id) == (None, None)
    assert (result.all_messages()[0].instructions, result.all_messages()[0].run_id) == ('i', result.run_id)


async def test_a_history_that_ends_with_text_is_the_output():
    """Without a prompt and without instructions a last response is handled as if it had just come."""
    history = [ModelRequest([UserPromptPart('before')]), ModelResponse([TextPart('said')])]

    result = await Agent(answering()).run(message_history=history)

    assert (result.output, result.usage().requests, result.new_messages()) == ('said', 0, [])


async def test_a_history_that_ends_with_calls_has_them_made():
    """Without a prompt the unanswered calls of a last response are made, and the model is asked then."""
    history = [ModelRequest([UserPromptPart('before')]), ModelResponse([ToolCallPart('t')])]
    agent = Agent(answering([TextPart('end')]), tools=[lambda_named('t')], instructions='i')

    result = await agent.run(message_history=history)

    assert outline(result.new_messages()) == [[('return', 't', 't gave this')], [('text', 'end')]]


async def test_instructions_alone_ask_the_model_once_more():
    """Without a prompt, after a response without calls, instructions are sent with an empty request."""
    history = [ModelRequest([UserPromptPart('before')]), ModelResponse([TextPart('said')])]

    result = await Agent(answering([TextPart('more')]), instructions='go on').run(message_history=history)

    assert outline(result.new_messages()) == [[], [('text', 'more')]]
    assert result.new_messages()[0].instructions == 'go on'


async def test_a_prompt_after_a_request_is_a_second_request():
    """A prompt after a history that ends with a request is a request of its own."""
    history = [ModelRequest([UserPromptPart('before')])]

    result = await Agent(answering([TextPart('a')])).run('now', message_history=history)

    assert outline(result.all_messages()) == [[('user', 'before')], [('user', 'now')], [('text', 'a')]]
    assert outline(result.new_messages()) == [[('user', 'now')], [('text', 'a')]]
    assert history == [result.all_messages()[0]]


@pytest.mark.parametrize('prompt', ['', []])
async def test_an_empty_prompt_is_a_prompt(prompt):
    """An empty text or list is sent as it is."""
    result = await Agent(answering([TextPart('a')])).run(prompt)

    assert outline(result.all_messages())[0] == [('user', prompt)]


async def test_system_prompt_or_instructions_are_enough():
    """An agent with a system prompt or instructions can be run with nothing else."""
    with_system = await Agent(answering([TextPart('a')]), system_prompt='s').run()
    with_instructions = await Agent(answering([TextPart('a')]), instructions='i').run()

    assert outline(with_system.all_messages())[0] == [('system', 's')]
    assert outline(with_instructions.all_messages())[0] == []


# ---------------------------------------------------------------------------------------- prompts


async def test_instructions_are_literals_and_then_functions():
    """All texts come first, the agent's before the run's, and then what each function gives, in blocks."""
    sent = []
    agent = Agent(noting(sent), instructions=['a', lambda: 'c', 'b'])
    agent.instructions(lambda _ctx: 'f')
    agent.instructions(lambda: None)

    result = await agent.run('x', instructions=['e', lambda: ''])

    assert sent[0][1].instructions == result.all_messages()[0].instructions == 'a\nb\ne\n\nc\n\nf'
    assert outline(result.all_messages())[0] == [('user', 'x')]


async def test_instructions_are_made_for_each_request():
    """Functions are asked before each request and see its number; those of older messages are not sent."""
    agent = Agent(answering([ToolCallPart('t')], [TextPart('a')]), tools=[lambda_named('t')])

    @agent.instructions
    async def step(ctx: RunContext):
        return f'step {ctx.run_step}'

    messages = (await agent.run('x')).all_messages()

    assert [message.instructions for message in messages[::2]] == ['step 1', 'step 2']


async def test_system_prompts_begin_a_conversation():
    """Texts and then functions are parts before the prompt; a history that is there gets none."""
    agent = Agent(noting([]), system_prompt=('a', 'b'))

    @agent.system_prompt
    def c(ctx: RunContext[int]):
        return f'deps {ctx.deps}'

    @agent.system_prompt
    def nothing():
        return None

    first = await agent.run('x', deps=3)
    second = await agent.run('y', deps=4, message_history=[ModelRequest([UserPromptPart('before')])])

    assert outline(first.all_messages())[0] == [('system', 'a'), ('system', 'b'), ('system', 'deps 3'), ('user', 'x')]
    assert outline(second.all_messages())[:2] == [[('user', 'before')], [('user', 'y')]]


async def test_dynamic_system_prompts_are_made_anew():
    """A dynamic system prompt of the history is made anew by its function; the caller's messages stay as they were."""
    agent = Agent(noting([]), deps_type=int)

    @agent.system_prompt(dynamic=True)
    def who(ctx: RunContext[int]):
        return f'user {ctx.deps}'

    first = await agent.run('x', deps=1)
    history = first.all_messages()
    second = await agent.run('y', deps=2, message_history=history)

    part = second.all_messages()[0].parts[0]
    assert (part.content, part.dynamic_ref) == ('user 2', who.__qualname__)
    assert history[0].parts[0].content == 'user 1'


# ---------------------------------------------------------------------------------------- history processors


async def test_history_processors_replace_the_history():
    """What processors give, in order, is what is sent and kept."""
    sent = []

    def drop_old(messages):
        return messages[-1:]

    async def mark(ctx: RunContext, messages):
        marked = replace(messages[-1], parts=[SystemPromptPart(f'step {ctx.run_step}'), *messages[-1].parts])
        return [*messages[:-1], marked]

    agent = Agent(noting(sent), history_processors=[drop_old, mark])
    history = [ModelRequest([UserPromptPart('before')]), ModelResponse([TextPart('said')])]
    result = await agent.run('now', message_history=history)

    assert outline(sent[0][0]) == [[('system', 'step 1'), ('user', 'now')]]
    assert outline(result.all_messages()) == [[('system', 'step 1'), ('user', 'now')], [('text', 'answer 1')]]
    assert len(history) == 2


@pytest.mark.parametrize('kept', [0, 1, 2])
async def test_new_messages_are_those_of_the_run_whatever_processors_drop(kept):
    """`new_messages` gives what the run has made, also when a processor has made the history shorter."""
    history = [ModelRequest([UserPromptPart('before')]), ModelResponse([TextPart('said')])]
    agent = Agent(noting([]), history_processors=[lambda messages: [*messages[:kept], messages[-1]]])

    result = await agent.run('now', message_history=history)

    assert outline(result.new_messages()) == [[('user', 'now')], [('text', 'answer 1')]]
    assert len(result.all_messages()) == kept + 2


async def test_new_messages_when_a_processor_adds_some():
    """A message that a processor puts before the others is none of the run's."""
    summary = ModelRequest([UserPromptPart('summary')])

    agent = Agent(noting([]), history_processors=[lambda messages: [summary, *messages]])

    assert outline((await agent.run('now')).new_messages()) == [[('user', 'now')], [('text', 'answer 1')]]


async def test_a_request_that_was_processed_is_not_sent_twice_after_a_failure():
    """A node that failed and is run again has its request in the history once, also if a processor has copied it."""
    errors = [RuntimeError('offline')]

    def flaky(_messages, _info):
        if errors:
            raise errors.pop()
        return ModelResponse([TextPart('a')])

    agent = Agent(FunctionModel(flaky), history_processors=[lambda messages: [replace(each) for each in messages]])
    async with agent.iter('x') as run:
        node = await run.next(run.next_node)
        with pytest.raises(RuntimeError):
            await run.next(node)
        await run.next(node)

    assert outline(run.all_messages()) == [[('user', 'x')], [('text', 'a')]]


# ---------------------------------------------------------------------------------------- ids, capture, metadata


async def test_all_messages_of_a_run_carry_its_id():
    """Each message that a run makes has the run's id; those of the history keep theirs."""
    agent = Agent(answering([TextPart('a')], [ToolCallPart('t')], [TextPart('b')]), tools=[lambda_named('t')])

    first = await agent.run('x')
    second = await agent.run('y', message_history=first.all_messages())

    ids = [message.run_id for message in second.all_messages()]
    assert ids == [first.run_id] * 2 + [second.run_id] * 4
    assert first.run_id != second.run_id
    assert len(first.run_id) == 36


async def test_captured_messages_are_those_of_the_first_run():
    """The list holds the messages of the first run in the block, and blocks within share it."""
    agent = Agent(noting([]))

    with capture_run_messages() as outer, capture_run_messages() as inner:
        first = await agent.run('x')
        await agent.run('y')

    assert inner is outer
    assert outer == first.all_messages()


async def test_captured_messages_hold_a_failing_response():
    """When a run fails, the list says what was exchanged until then."""
    agent = Agent(answering([ToolCallPart('u')]), retries=0)

    with capture_run_messages() as messages, pytest.raises(RuntimeError):
        await agent.run('x')

    assert outline(messages)[:2] == [[('user', 'x')], [('call', 'u')]]


async def test_metadata_of_agent_and_run():
    """Notes of the run lie over those of the agent; functions are asked at the start, and again after the end."""
    seen = []
    agent = Agent(noting([]), metadata={'a': 1, 'b': 1})

    @agent.instructions
    def look(ctx: RunContext):
        seen.append(ctx.metadata)

    result = await agent.run('x', metadata=lambda ctx: {'b': 2, 'requests': ctx.usage.requests})

    assert seen == [{'a': 1, 'b': 2, 'requests': 0}]
    assert result.metadata == {'a': 1, 'b': 2, 'requests': 1}
    assert (await Agent(noting([])).run('x')).metadata is None


async def test_model_settings_are_laid_over_each_other():
    """The settings of the run lie over those of the agent, and these over the model's; keys are not merged deeper."""
    sent = []
    model = FunctionModel(noting(sent).function, settings={'temperature': 0.1, 'top_p': 0.1, 'seed': 1})
    agent = Agent(model, model_settings={'top_p': 0.2, 'seed': 2, 'extra_headers': {'a': '1'}})

    await agent.run('x', model_settings={'seed': 3, 'extra_headers': {'b': '2'}})

    expected = {'temperature': 0.1, 'top_p': 0.2, 'seed': 3, 'extra_headers': {'b': '2'}}
    assert sent[0][1].model_settings == expected


# ---------------------------------------------------------------------------------------- names


async def test_an_agent_takes_the_name_of_the_variable():
    """An agent without a name takes that of the caller's variable at its first run."""
    my_agent = Agent('test')
    other = Agent('test')

    await my_agent.run('x')
    await other.run('x', infer_name=False)

    assert (my_agent.name, other.name) == ('my_agent', None)


@pytest.mark.usefixtures('thread_loop')
def test_a_synchronous_run_takes_the_name_as_well():
    """`run_sync` looks at the variables of its caller."""
    my_agent = Agent('test')

    my_agent.run_sync('x')

    assert my_agent.name == 'my_agent'


async def test_an_agent_in_no_variable_has_no_name():
    """An agent that no variable of the caller holds is not named after anything inside of the library."""
    agents = [Agent('test'), Agent('test'), Agent('test')]

    agents[0].run_sync('x')
    async for _event in agents[1].run_stream_events('x'):
        pass
    agents[2].run_stream_sync('x').get_output()

    assert [agent.name for agent in agents] == [None, None, None]


# ---------------------------------------------------------------------------------------- override


async def test_overrides_beat_what_the_run_says():
    """Within the block the model, the dependencies and the instructions are the given ones, whatever a run says."""
    sent = []
    agent = Agent('test', instructions='own', deps_type=int)

    @agent.instructions
    def who(ctx: RunContext[int]):
        return f'deps {ctx.deps}'

    with agent.override(model=noting(sent), deps=7, instructions=lambda ctx: f'over {ctx.deps}', metadata={'m': 1}):
        result = await agent.run('x', model='test', deps=1, instructions='run', metadata={'n': 2})

    assert result.output == 'answer 1'
    assert sent[0][1].instructions == 'over 7'
    assert result.metadata == {'m': 1}
    assert (await agent.run('x', deps=1)).all_messages()[0].instructions == 'own\n\ndeps 1'


async def test_overrides_nest():
    """An inner block changes what it names, and leaves the rest as the outer one has it."""
    agent = Agent('test', name='own')

    with agent.override(name='outer', model=TestModel(custom_output_text='outer')):
        with agent.override(name='inner'):
            inner = agent.name, (await agent.run('x')).output
        outer = agent.name

    assert (inner, outer, agent.name) == (('inner', 'outer'), 'outer', 'own')


async def test_overridden_tools_and_toolsets():
    """`tools` stands for the functions of the agent alone, `toolsets` for all other toolsets, the run's too."""
    from plait_agent import FunctionToolset

    sent = []
    own, extra, other = lambda_named('own'), FunctionToolset([lambda_named('extra')]), lambda_named('other')
    agent = Agent(noting(sent), tools=[own], toolsets=[extra])

    with agent.override(tools=[other]):
        await agent.run('x')
    with agent.override(toolsets=[FunctionToolset([other])]):
        await agent.run('x', toolsets=[extra])

    names = [[tool.name for tool in info.function_tools] for _messages, info in sent]
    assert names == [['other', 'extra'], ['own', 'other']]


# ---------------------------------------------------------------------------------------- results


async def test_a_result_gives_messages_usage_and_times():
    """A result gives its messages, the last response, its usage, and prints its output alone."""
    result = await Agent(answering([TextPart('a')])).run('x')

    assert repr(result) == "AgentRunResult(output='a')"
    assert result.response is result.all_messages()[-1]
    assert result.timestamp() == result.response.timestamp
    assert result.usage().requests == 1


async def test_what_answers_the_output_tool_can_be_said_anew():
    """The return of the output tool can be given another content, in a copy; text has no such return."""
    structured = await Agent(answering([ToolCallPart('final_result', {'response': 5})]), output_type=int).run('x')
    text = await Agent(answering([TextPart('a')])).run('x')

    assert outline(structured.new_messages(output_tool_return_content='ok'))[-1] == [('return', 'final_result', 'ok')]
    assert outline(structured.new_messages())[-1] == [('return', 'final_result', 'Final result processed.')]
    with pytest.raises(ValueError, match=r'Cannot set output tool return content when the return type is `str`\.'):
        text.all_messages(output_tool_return_content='ok')


async def test_a_synchronous_run_within_a_running_loop():
    """`run_sync` works where a loop runs already, as in a notebook."""
    assert Agent(answering([TextPart('a')])).run_sync('x').output == 'a'


async def test_tools_see_the_run():
    """A tool is told of the run: the prompt, the live messages, its call, the step and the id."""
    seen = []
    agent = Agent(answering([ToolCallPart('look', {}, 'c1')], [TextPart('a')]), deps_type=int)

    @agent.tool
    async def look(ctx: RunContext[int]):
        seen.append((ctx.deps, ctx.prompt, ctx.tool_name, ctx.tool_call_id, ctx.run_step, ctx.run_id))
        seen.append(outline(ctx.messages))
        seen.append((ctx.retry, ctx.max_retries, ctx.last_attempt, ctx.usage.requests, ctx.partial_output))

    result = await agent.run('x', deps=3)

    assert seen[0] == (3, 'x', 'look', 'c1', 1, result.run_id)
    assert seen[1:] == [[[('user', 'x')], [('call', 'look')]], (0, 1, False, 1, False)]


async def test_a_run_may_have_an_output_type_of_its_own():
    """The output type of a run stands for the agent's, unless validators were made for that."""
    agent = Agent(answering([ToolCallPart('final_result', {'response': 5})]))

    assert (await agent.run('x', output_type=int)).output == 5

    agent.output_validator(lambda output: output)
    with pytest.raises(UserError, match='Cannot set a custom run `output_type` when the agent has output validators'):
        await agent.run('x', output_type=int)
