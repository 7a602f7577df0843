"""What an agent says to a program, or a model, that asks for what cannot be."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from plait_agent import (
    Agent,
    FunctionToolset,
    JsonSchemaTransformer,
    ModelHTTPError,
    ModelProfile,
    ModelRetry,
    RequestUsage,
    Tool,
    ToolOutput,
    UnexpectedModelBehavior,
    UsageLimits,
    UserError,
)
from plait_agent.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from plait_agent.models.function import FunctionModel
from plait_agent.models.test import TestModel
from plait_graph import BaseNode, GraphSetupError

LOAD_THEM = 'message_history has a dict in it, which is no message. Load stored messages with ModelMessagesTypeAdapter.'


def always(*parts):
    """A model that always gives the same parts."""
    return FunctionModel(lambda _messages, _info: ModelResponse(parts))


def named(name):
    """A tool of this name."""
    return Tool(lambda: 1, name=name)


# ---------------------------------------------------------------------------------------- the agent


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'foo': 1, 'bar': 2}, 'Unknown keyword arguments: `foo`, `bar`'),
        ({'end_strategy': 'late'}, "end_strategy='late' is not known. Give 'early' or 'exhaustive'."),
        ({'model': 5}, "5 is no model. Give a Model, or a name such as 'openai:gpt-5'."),
        ({'retries': -1}, 'Agent(retries=-1) is no number of retries. Give 0 or more.'),
        ({'output_retries': 1.5}, 'Agent(output_retries=1.5) is no number of retries. Give 0 or more.'),
        ({'tool_timeout': 0}, 'Agent(tool_timeout=0) leaves tools no time. Give seconds above 0.'),
        ({'tools': [5]}, '5 cannot be a tool, since it cannot be called. Give a function.'),
        ({'tools': [named('a'), named('a')]}, "Tool name conflicts with existing tool: 'a'"),
        ({'toolsets': [5]}, '5 is no toolset. Give toolsets, or functions of the RunContext that give one.'),
        (
            {'toolsets': FunctionToolset()},
            '`toolsets` is a toolset. Give a list of toolsets, [toolset] if it is the only one.',
        ),
        ({'instructions': 5}, 'Instructions function 5 cannot be called. Give a function.'),
        ({'instructions': ['a', 5]}, 'Instructions function 5 cannot be called. Give a function.'),
        (
            {'system_prompt': ['a', 5]},
            'The system prompt 5 is no text. Give texts, and functions with @agent.system_prompt.',
        ),
        ({'history_processors': [5]}, 'History processor 5 cannot be called. Give a function.'),
        ({'prepare_tools': 5}, 'Agent(prepare_tools=5) cannot be called. Give a function.'),
        ({'event_stream_handler': 5}, 'Agent(event_stream_handler=5) cannot be called. Give a function.'),
    ],
)
def test_what_no_agent_can_be_made_of(options, message):
    """An agent that is told something impossible says so when it is made."""
    with pytest.raises(UserError) as caught:
        Agent(**{'model': 'test', **options})

    assert str(caught.value) == message


def two(a, b):
    """Takes two arguments."""


@pytest.mark.parametrize(
    ('register', 'message'),
    [
        (
            lambda agent: agent.instructions(two),
            "Instructions function 'two' takes 2 arguments. Let it take none, or the RunContext.",
        ),
        (
            lambda agent: agent.system_prompt(two),
            "System prompt function 'two' takes 2 arguments. Let it take none, or the RunContext.",
        ),
        (
            lambda agent: agent.output_validator(lambda: 1),
            "Output validator '<lambda>' takes 0 arguments. Let it take 1, or the RunContext before that.",
        ),
        (lambda agent: agent.tool_plain(5), '5 cannot be a tool, since it cannot be called. Give a function.'),
        (
            lambda agent: agent.toolset(5),
            '5 is no toolset. Give toolsets, or functions of the RunContext that give one.',
        ),
    ],
)
def test_functions_that_cannot_be_part_of_an_agent(register, message):
    """A function that cannot be called as it will be is refused where it is given."""
    with pytest.raises(UserError) as caught:
        register(Agent('test'))

    assert str(caught.value) == message


def test_a_number_of_runs_that_is_none():
    """The number of runs that may be made at once is checked by the limit that it makes."""
    with pytest.raises(
        GraphSetupError, match=r"Limit 'runs of agent .*' has in_flight=0\. Give a finite number above 0"
    ):
        Agent('test', max_concurrency=0)


@pytest.mark.usefixtures('thread_loop')
def test_a_model_that_nobody_knows():
    """An unknown name or provider is an error when the agent is made, or at the first run if that was asked for."""
    with pytest.raises(UserError, match='Unknown model: foo'):
        Agent('foo')
    with pytest.raises(ValueError, match='Unknown provider: foo'):
        Agent('foo:bar')
    with pytest.raises(UserError, match='Unknown model: foo'):
        Agent('foo', defer_model_check=True).run_sync('x')
    with pytest.raises(UserError, match='Unknown model: foo'):
        Agent('test').run_sync('x', model='foo')


def test_too_few_repetitions_are_no_repetition():
    """A guard against repetition that a first call would set off is refused."""
    with pytest.raises(UserError, match=r'repeated_calls_limit=1\) would stop tools that repeat nothing'):
        UsageLimits(repeated_calls_limit=1)


# ---------------------------------------------------------------------------------------- the run


@pytest.mark.parametrize(
    ('prompt', 'options', 'message'),
    [
        (None, {}, 'No message history, user prompt, or instructions provided'),
        (None, {'message_history': []}, 'No message history, user prompt, or instructions provided'),
        (5, {}, 'The prompt is a int. Give a text, or a list of texts and media.'),
        ('x', {'model': 5}, "5 is no model. Give a Model, or a name such as 'openai:gpt-5'."),
        ('x', {'usage_limits': 5}, 'usage_limits is 5. Give UsageLimits, such as UsageLimits(request_limit=5).'),
        (
            'x',
            {'usage': RequestUsage()},
            'usage is RequestUsage(). Give the RunUsage that the run is to count into.',
        ),
        ('x', {'toolsets': [5]}, '5 is no toolset. Give toolsets, or functions of the RunContext that give one.'),
        ('x', {'metadata': 5}, 'The metadata of a run is 5. Give a dictionary, or a function that gives one.'),
        (
            'x',
            {'message_history': {'kind': 'request'}},
            'message_history is a dict, and no list of messages. Give the messages of a result: result.all_messages().',
        ),
        (
            'x',
            {'message_history': [{'kind': 'request'}]},
            LOAD_THEM,
        ),
        (
            'x',
            {'message_history': [ModelRequest([UserPromptPart('a')]), ModelResponse([ToolCallPart('t')])]},
            'Cannot provide a new user prompt when the message history contains unprocessed tool calls.',
        ),
    ],
)
async def test_what_no_run_can_begin_with(prompt, options, message):
    """A run that is told something impossible says so before the model is asked."""
    agent = Agent(FunctionModel(lambda _messages, _info: pytest.fail('the model was asked')))

    with pytest.raises(UserError) as caught:
        await agent.run(prompt, **options)

    assert str(caught.value) == message


async def test_a_run_without_a_model():
    """A run for which nobody names a model says where to name one."""
    with pytest.raises(UserError, match='`model` must either be set on the agent or included when calling it'):
        await Agent().run('x')


async def test_a_run_with_an_unknown_option():
    """An unknown option of a run is an error that names it, and those that there are."""
    with pytest.raises(TypeError, match=r"A run has no options \['foo'\]. The options are budget, builtin_tools"):
        await Agent('test').run('x', foo=1)


async def test_an_unknown_override():
    """What cannot be overridden is an error that names it."""
    with pytest.raises(TypeError, match='foo'), Agent('test').override(foo=1):
        pass


@pytest.mark.parametrize(
    ('processor', 'message'),
    [
        (lambda _messages: [], 'Processed history cannot be empty.'),
        (lambda _messages: [ModelResponse([TextPart('a')])], 'Processed history must end with a `ModelRequest`.'),
    ],
)
async def test_histories_that_cannot_be_sent(processor, message):
    """A processor has to leave a history that ends with a request."""
    with pytest.raises(UserError) as caught:
        await Agent('test', history_processors=[processor]).run('x')

    assert str(caught.value) == message


@pytest.mark.parametrize('decorator', ['instructions', 'system_prompt'])
async def test_prompts_that_are_no_text(decorator):
    """A prompt function that gives no text is named."""
    agent = Agent('test')

    @getattr(agent, decorator)
    def five():
        return 5

    with pytest.raises(UserError, match=r"Function 'five' has given 5 for a prompt\. Let it give a text"):
        await agent.run('x')


# ---------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'tools': [named('a')], 'toolsets': [FunctionToolset([named('a')])]},
            "FunctionToolset defines a tool whose name conflicts with existing tool from the agent: 'a'.",
        ),
        (
            {'tools': [named('out')], 'output_type': ToolOutput(int, name='out')},
            "The agent defines a tool whose name conflicts with existing tool from the agent's output tools: 'out'.",
        ),
    ],
)
async def test_tools_of_one_name(options, message):
    """Two tools of one name, from wherever they come, are an error that names both places."""
    with pytest.raises(UserError) as caught:
        await Agent('test', **options).run('x')

    hint = 'Rename the tool or wrap the toolset in a `PrefixedToolset` to avoid name conflicts.'
    assert str(caught.value) == f'{message} {hint}'


@pytest.mark.parametrize('option', ['prepare_tools', 'prepare_output_tools'])
async def test_prepare_functions_cannot_add_tools(option):
    """A function that prepares tools may not add one, and is told what to use."""
    from plait_agent import ToolDefinition

    agent = Agent(
        'test', tools=[named('a')], output_type=int, **{option: lambda _ctx, _tools: [ToolDefinition(name='b')]}
    )

    with pytest.raises(UserError, match='Prepare function cannot add or rename tools'):
        await agent.run('x')


async def test_bad_arguments_again_and_again():
    """When a model cannot get arguments right, the error names the tool, the attempt and the arguments."""
    agent = Agent(always(ToolCallPart('add', {'a': 'one'})), name='adder')

    @agent.tool_plain
    def add(a: int):
        return a

    with pytest.raises(UnexpectedModelBehavior) as caught:
        await agent.run('x')

    message = str(caught.value)
    assert message.startswith('Tool \'add\' exceeded max retries count of 1. Attempt 2 had the arguments {"a":"one"}:')
    assert 'Input should be a valid integer' in message
    assert "in agent 'adder', model request 2" in caught.value.__notes__


async def test_arguments_that_are_no_json():
    """Arguments that are no JSON at all are sent back, and named in the error."""
    agent = Agent(always(ToolCallPart('add', '{"a": ')), retries=0)
    agent.tool_plain(name='add')(lambda: 1)

    with pytest.raises(UnexpectedModelBehavior, match=r'Attempt 1 had the arguments \{"a": : 1 validation error'):
        await agent.run('x')


@pytest.mark.parametrize(
    ('parts', 'options'),
    [
        ([ToolCallPart('final_result', {'response': 'a'})], {'output_type': int}),
        ([TextPart('a')], {'output_type': int}),
        ([ToolCallPart('unknown')], {}),
        ([], {}),
    ],
    ids=['arguments', 'text', 'unknown tool', 'nothing'],
)
async def test_models_that_never_give_an_output(parts, options):
    """A model that never gives an output is asked so often, and then the run fails and names its agent."""
    agent = Agent(always(*parts), name='asker', **options)

    with pytest.raises(UnexpectedModelBehavior) as caught:
        await agent.run('x')

    assert str(caught.value) == 'Exceeded maximum retries (1) for output validation'
    assert "in agent 'asker', model request 2" in caught.value.__notes__


async def test_errors_name_the_agents_that_they_passed():
    """An error of an agent that a tool runs names both agents, the inner one first."""
    inner, outer = Agent(always(), name='inner', retries=0), Agent(always(ToolCallPart('ask')), name='outer')

    @outer.tool_plain
    async def ask():
        return await inner.run('y')

    with pytest.raises(UnexpectedModelBehavior) as caught:
        await outer.run('x')

    agents = [note for note in caught.value.__notes__ if note.startswith('in agent')]
    assert agents == ["in agent 'inner', model request 1", "in agent 'outer', model request 1"]


async def test_a_refusal_outside_of_a_tool():
    """`ModelRetry` from an instructions function is no refusal of anything, and comes out as it is."""
    error = ModelRetry('no')

    def instructions():
        raise error

    with pytest.raises(ModelRetry) as caught:
        await Agent('test', instructions=instructions).run('x')

    assert caught.value is error


# ---------------------------------------------------------------------------------------- nodes


async def test_nodes_of_others_are_not_known():
    """A node that the graph of the agent does not have cannot run."""

    class Other(BaseNode):
        async def run(self, ctx):
            return None

    async with Agent('test').iter('x') as run:
        with pytest.raises(Exception, match='Other'):
            await run.next(Other())


async def test_a_node_is_streamed_once():
    """A node that was streamed cannot be streamed again."""
    async with Agent('test').iter('x') as run:
        node = await run.next(run.next_node)
        async with node.stream(run.ctx):
            pass
        with pytest.raises(AssertionError, match=r'stream\(\) should only be called once per node'):
            async with node.stream(run.ctx):
                pass


def test_no_key_is_shown_by_an_agent():
    """What a program sends along in headers or in the body of requests is in no repr."""
    settings = {'extra_headers': {'Authorization': 'SECRET'}, 'extra_body': {'api_key': 'SECRET'}, 'max_tokens': 3}
    shown = repr(Agent(TestModel(settings=settings), model_settings=settings))

    assert 'SECRET' not in shown
    assert "model_settings={'extra_headers': '<hidden>', 'extra_body': '<hidden>', 'max_tokens': 3}" in shown


async def test_no_key_is_shown_when_a_request_fails():
    """Neither an error nor its notes have what is sent along with requests."""

    def fail(_messages, _info):
        raise ModelHTTPError(401, 'm', {'error': 'no such key'})

    settings = {'extra_headers': {'Authorization': 'SECRET'}}
    with pytest.raises(ModelHTTPError) as caught:
        await Agent(FunctionModel(fail), model_settings=settings).run('x')

    assert 'SECRET' not in ''.join((str(caught.value), repr(caught.value), *caught.value.__notes__))


@pytest.mark.usefixtures('thread_loop')
def test_a_synchronous_run_fails_with_no_more_words():
    """What `run_sync` raises says nothing of how it waits."""

    def fail(_messages, _info):
        raise KeyError('model')

    with pytest.raises(KeyError) as caught:
        Agent(FunctionModel(fail), name='asker').run_sync('x')

    assert [note for note in caught.value.__notes__ if 'wait' in note] == []


class NoPatterns(JsonSchemaTransformer):
    """The dialect of a model that knows no patterns."""

    def transform(self, schema):
        """Refuse them."""
        if 'pattern' in schema:
            raise UserError('Patterns are not known to this model. Leave them out.')
        return schema


class Code(BaseModel):
    """Has what the model does not know."""

    code: Annotated[str, Field(pattern='^x')]


def test_an_output_that_the_model_cannot_be_asked_for_is_refused_where_it_is_written() -> None:
    """The agent is not made, so that nobody finds out in the first run; other models may well take the type."""
    model = TestModel(profile=ModelProfile(json_schema_transformer=NoPatterns))

    with pytest.raises(UserError, match='Patterns are not known to this model'):
        Agent(model, output_type=Code)

    Agent(TestModel(), output_type=Code)
    Agent(output_type=Code)
