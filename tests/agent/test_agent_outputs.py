"""How a run comes to its output: which call is the result, what validators do, and when the model is asked again."""

import pytest
from pydantic import BaseModel, ValidationError

from plait_agent import (
    Agent,
    BinaryImage,
    IncompleteToolCall,
    ModelRetry,
    NativeOutput,
    RunContext,
    TextOutput,
    ToolOutput,
    UnexpectedModelBehavior,
    capture_run_messages,
)
from plait_agent.exceptions import ContentFilterError, ToolRetryError
from plait_agent.messages import (
    BuiltinToolCallPart,
    FilePart,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.models.function import FunctionModel
from plait_agent.profiles import ModelProfile

PROCESSED = 'Final result processed.'
NOT_USED = 'Output tool not used - a final result was already processed.'
TEXT_OR_CALL = 'Please return text or include your response in a tool call.'
NOT_EXECUTED = 'Tool not executed - a final result was already processed.'


class Foo(BaseModel):
    """A structured output."""

    x: int


def answering(*answers, profile=None, **fields):
    """A model that gives these parts, one list after the other."""
    left = iter(answers)
    return FunctionModel(lambda _messages, _info: ModelResponse(next(left), **fields), profile=profile)


def call(name, call_id, **arguments):
    """A tool call."""
    return ToolCallPart(name, arguments, call_id)


def final(call_id, x):
    """A call of the output tool."""
    return ToolCallPart('final_result', {'x': x}, call_id)


def answers_to_calls(message):
    """What answers the calls, in order: the id with the content, or with the types of errors."""
    return [(part.tool_call_id, _said(part)) for part in message.parts]


def _said(part):
    if isinstance(part, RetryPromptPart) and isinstance(part.content, list):
        return [error['type'] for error in part.content]
    return part.content


def with_tool(agent, name='ft'):
    """Give an agent a tool that notes its calls, and give the notes."""
    made = []

    def tool():
        made.append(name)
        return f'{name} gave this'

    agent.tool_plain(name=name)(tool)
    return made


# ---------------------------------------------------------------------------------------- end strategies


async def test_a_structured_output_is_answered_and_kept():
    """The history ends with the return of the output tool, so that it can be sent again."""
    result = await Agent(answering([final('1', 0)]), output_type=Foo).run('x')

    assert result.output == Foo(x=0)
    assert answers_to_calls(result.all_messages()[-1]) == [('1', PROCESSED)]
    assert [message.kind for message in result.all_messages()] == ['request', 'response', 'request']


@pytest.mark.parametrize(
    ('strategy', 'made', 'answered'),
    [
        ('early', [], [('2', PROCESSED), ('3', NOT_USED), ('4', NOT_USED), ('1', NOT_EXECUTED)]),
        ('exhaustive', ['ft'], [('2', PROCESSED), ('3', PROCESSED), ('4', ['int_parsing']), ('1', 'ft gave this')]),
    ],
)
async def test_end_strategies(strategy, made, answered):
    """The first valid output call is the result; with 'early' nothing else is made, with 'exhaustive' all is."""
    calls = [call('ft', '1'), final('2', 1), final('3', 2), final('4', 'wrong')]
    agent = Agent(answering(calls), output_type=Foo, end_strategy=strategy)
    made_calls = with_tool(agent)

    result = await agent.run('x')

    assert result.output == Foo(x=1)
    assert made_calls == made
    assert answers_to_calls(result.all_messages()[-1]) == answered


@pytest.mark.parametrize('strategy', ['early', 'exhaustive'])
async def test_an_unknown_tool_beside_a_result_is_refused(strategy):
    """An unknown tool beside a result is answered by a refusal, and counts nothing."""
    agent = Agent(answering([call('u', '1'), final('2', 1)]), output_type=Foo, retries=0, end_strategy=strategy)

    result = await agent.run('x')

    refusal = "Unknown tool name: 'u'. Available tools: 'final_result'"
    assert answers_to_calls(result.all_messages()[-1]) == [('2', PROCESSED), ('1', refusal)]


async def test_an_invalid_output_and_a_tool():
    """If no output is valid the tools of the response are called, and the model is told of both."""
    agent = Agent(answering([final('1', 'wrong'), call('ft', '2')], [final('3', 1)]), output_type=Foo)
    made = with_tool(agent)

    result = await agent.run('x')

    assert made == ['ft']
    assert answers_to_calls(result.all_messages()[2]) == [('1', ['int_parsing']), ('2', 'ft gave this')]
    assert result.output == Foo(x=1)


async def test_an_invalid_output_before_a_valid_one_counts():
    """An invalid output call is refused although a later one in the same response is the result, and is a retry."""
    calls = [final('1', 'wrong'), final('2', 1)]

    result = await Agent(answering(calls), output_type=Foo).run('x')

    assert answers_to_calls(result.all_messages()[-1]) == [('1', ['int_parsing']), ('2', PROCESSED)]
    with pytest.raises(UnexpectedModelBehavior, match=r'Exceeded maximum retries \(0\) for output validation'):
        await Agent(answering(calls), output_type=Foo, output_retries=0).run('x')


async def test_an_output_tool_wins_over_text_beside_it():
    """Where both may be the output, text beside an output call is not."""
    result = await Agent(answering([TextPart('text'), final('1', 1)]), output_type=[Foo, str]).run('x')

    assert result.output == Foo(x=1)


# ---------------------------------------------------------------------------------------- text


async def test_text_after_a_built_in_tool_is_the_output():
    """Text parts are joined over thoughts, and begin behind the last call of a tool of the provider."""
    builtin = BuiltinToolCallPart('web_search', {}, 'b')
    parts = [TextPart('before'), builtin, TextPart('a'), ThinkingPart('hm'), TextPart('b')]

    assert (await Agent(answering(parts)).run('x')).output == 'ab'


async def test_json_as_text_is_the_output_of_the_only_tool():
    """A model that writes the arguments of the only output tool as text has answered."""
    result = await Agent(answering([TextPart('{"x": 5}')]), output_type=Foo).run('x')

    assert (result.output, len(result.all_messages())) == (Foo(x=5), 2)


async def test_text_that_is_no_json_is_refused():
    """Any other text is refused with the errors of the JSON, for no tool."""
    result = await Agent(answering([TextPart('five')], [final('1', 5)]), output_type=Foo).run('x')

    (part,) = result.all_messages()[2].parts
    assert (part.tool_name, [error['type'] for error in part.content]) == (None, ['json_invalid'])


async def test_a_text_function_may_refuse():
    """`TextOutput` makes the output of the text, or asks for another one without naming a tool."""

    def words(text: str) -> list[str]:
        if ' ' not in text:
            raise ModelRetry('More words, please.')
        return text.split()

    result = await Agent(answering([TextPart('one')], [TextPart('one two')]), output_type=TextOutput(words)).run('x')

    (part,) = result.all_messages()[2].parts
    assert (part.tool_name, part.content, result.output) == (None, 'More words, please.', ['one', 'two'])


async def test_native_output_is_text_with_data():
    """A native output is validated from the text, and refused like it."""
    profile = ModelProfile(supports_json_schema_output=True)
    model = answering([TextPart('{"x": "a"}')], [TextPart('{"x": 1}')], profile=profile)

    result = await Agent(model, output_type=NativeOutput(Foo)).run('x')

    assert (result.output, result.usage().requests) == (Foo(x=1), 2)


async def test_an_image_is_the_output():
    """Where an image can be the output it wins over text, which stays in the response."""
    image = BinaryImage(data=b'i', media_type='image/png')
    profile = ModelProfile(supports_image_output=True)
    model = answering([TextPart('look'), FilePart(image)], profile=profile)

    result = await Agent(model, output_type=BinaryImage).run('x')

    assert (result.output, result.response.text) == (image, 'look')


# ---------------------------------------------------------------------------------------- functions and validators


async def test_an_output_function_is_called_with_its_context():
    """An output function gets validated arguments and the context of its call; what it gives is the output."""
    seen = []

    def double(ctx: RunContext, x: int) -> int:
        seen.append((ctx.tool_name, ctx.tool_call_id, ctx.retry, ctx.max_retries, ctx.partial_output))
        if x < 2:
            raise ModelRetry('More.')
        return 2 * x

    result = await Agent(answering([final('1', 1)], [final('2', 2)]), output_type=double).run('x')

    assert result.output == 4
    assert seen == [('final_result', '1', 0, 1, False), ('final_result', '2', 1, 1, False)]
    assert answers_to_calls(result.all_messages()[2]) == [('1', 'More.')]


async def test_validators_see_each_others_results():
    """Validators run in order of registration, each on what the one before gave, with or without the context."""
    agent = Agent(answering([TextPart('a')]), deps_type=str)

    @agent.output_validator
    def first(output):
        return output + '1'

    @agent.output_validator
    async def second(ctx: RunContext[str], output: str):
        return output + ctx.deps

    assert (await agent.run('x', deps='2')).output == 'a12'


async def test_a_validator_may_refuse_text_and_sees_which_attempt_it_is():
    """A refusal by a validator goes to the model; the context says how often the output was refused."""
    seen = []
    agent = Agent(answering([TextPart('a')], [TextPart('b')], [TextPart('c')]), output_retries=2)

    @agent.output_validator
    def refuse(ctx: RunContext, output: str):
        seen.append((output, ctx.retry, ctx.max_retries, ctx.last_attempt))
        if output != 'c':
            raise ModelRetry(f'not {output}')
        return output

    result = await agent.run('x')

    assert seen == [('a', 0, 2, False), ('b', 1, 2, False), ('c', 2, 2, True)]
    assert [message.parts[0].content for message in result.all_messages()[2::2]] == ['not a', 'not b']


async def test_a_validator_may_refuse_an_output_call():
    """What a validator refuses is the call of the output tool, which is answered so."""
    agent = Agent(answering([final('1', 1)], [final('2', 2)]), output_type=Foo)

    @agent.output_validator
    def refuse(output: Foo):
        if output.x == 1:
            raise ModelRetry('not 1')
        return output

    result = await agent.run('x')

    assert answers_to_calls(result.all_messages()[2]) == [('1', 'not 1')]
    assert result.output == Foo(x=2)


@pytest.mark.parametrize('context', [{'most': 5}, lambda ctx: {'most': ctx.deps}])
async def test_the_validation_context_reaches_pydantic(context):
    """The validation context, or what a function makes of the run, is what pydantic validators see."""
    from pydantic import ValidationInfo, field_validator

    class Bounded(BaseModel):
        x: int

        @field_validator('x')
        @classmethod
        def bounded(cls, x: int, info: ValidationInfo) -> int:
            return min(x, info.context['most'])

    agent = Agent(answering([final('1', 9)]), output_type=Bounded, validation_context=context, deps_type=int)

    assert (await agent.run('x', deps=5)).output.x == 5


# ---------------------------------------------------------------------------------------- nothing of use


async def test_an_empty_response_is_asked_for_again():
    """A response without parts leads to an empty request, which has the instructions."""
    result = await Agent(answering([], [TextPart('a')]), instructions='i').run('x')

    assert (result.all_messages()[2].parts, result.all_messages()[2].instructions) == ([], 'i')
    assert result.output == 'a'


async def test_an_empty_response_after_text_means_that_text():
    """A response without parts means what the model has said last, also beside a tool call."""
    agent = Agent(answering([TextPart('hello'), call('ft', '1')], []))
    with_tool(agent)

    assert (await agent.run('x')).output == 'hello'


async def test_an_empty_response_for_lack_of_tokens():
    """A response that is empty for lack of tokens is an error which says what to raise."""
    agent = Agent(answering([], [], finish_reason='length'), model_settings={'max_tokens': 5})

    with pytest.raises(UnexpectedModelBehavior) as caught:
        await agent.run('x')

    assert str(caught.value) == (
        'Model token limit (5) exceeded before any response was generated. Increase the `max_tokens` model setting, '
        'or simplify the prompt to result in a shorter response that will fit within the limit.'
    )


async def test_an_empty_response_by_a_content_filter():
    """A response that a filter has emptied is an error with the reason, and the response as its body."""
    model = answering([], finish_reason='content_filter', provider_details={'finish_reason': 'SAFETY'})

    with pytest.raises(ContentFilterError, match="Finish reason: 'SAFETY'") as caught:
        await Agent(model).run('x')

    assert '"finish_reason": "content_filter"' in caught.value.body


async def test_a_refusal_is_told():
    """What the model has said in the place of an answer is in the error."""
    details = {'finish_reason': 'stop', 'refusal': 'I must not.'}
    model = answering([], finish_reason='content_filter', provider_details=details)

    with pytest.raises(ContentFilterError, match=r"Content filter triggered\. The model refuses: 'I must not\.'"):
        await Agent(model).run('x')


@pytest.mark.parametrize(
    ('output_type', 'useless', 'useful', 'wanted'),
    [
        (str, ThinkingPart('hm'), TextPart('a'), 'Please return text or call a tool.'),
        (str, TextPart(''), TextPart('a'), 'Please return text or call a tool.'),
        (Foo, ThinkingPart('hm'), final('1', 1), TEXT_OR_CALL),
        ([Foo, int], TextPart('a'), call('final_result_int', '1', response=1), TEXT_OR_CALL),
        ([Foo, str], ThinkingPart('hm'), TextPart('a'), TEXT_OR_CALL),
    ],
)
async def test_what_is_of_no_use_is_told(output_type, useless, useful, wanted):
    """A response that cannot be an output leads to a request that says what is wanted."""
    result = await Agent(answering([useless], [useful]), output_type=output_type).run('x')

    (part,) = result.all_messages()[2].parts
    assert (type(part), part.tool_name, part.content) == (RetryPromptPart, None, wanted)


# ---------------------------------------------------------------------------------------- counting


@pytest.mark.parametrize(
    ('useless', 'cause'),
    [
        ([final('1', 'wrong')], ValidationError),
        ([TextPart('wrong')], ValidationError),
        ([call('u', '1')], ToolRetryError),
        ([ThinkingPart('hm')], ToolRetryError),
    ],
)
async def test_too_many_refused_outputs_end_the_run(useless, cause):
    """The count of a run goes up with each response that leads to a retry, and is never taken back."""
    agent = Agent(answering(useless, useless, useless), output_type=Foo, output_retries=2)

    with capture_run_messages() as messages, pytest.raises(UnexpectedModelBehavior) as caught:
        await agent.run('x')

    assert str(caught.value) == 'Exceeded maximum retries (2) for output validation'
    assert isinstance(caught.value.__cause__, cause)
    assert [message.kind for message in messages].count('response') == 3


async def test_the_cause_of_a_refusal_is_what_refused():
    """What an output function or validator has raised is the cause of the error."""

    def never(x: int) -> int:
        raise ModelRetry('never')

    with pytest.raises(UnexpectedModelBehavior) as caught:
        await Agent(answering([final('1', 1)]), output_type=never, output_retries=0).run('x')

    assert caught.value.__cause__ == ModelRetry('never')


async def test_several_unknown_tools_in_a_response_count_once():
    """However many unknown tools a response calls, it is one retry; and the count goes on over the run."""
    agent = Agent(answering([call('u', '1'), call('v', '2')], [call('ft', '3')], [call('u', '4')]), output_retries=1)
    with_tool(agent)

    with capture_run_messages() as messages, pytest.raises(UnexpectedModelBehavior, match=r'maximum retries \(1\)'):
        await agent.run('x')

    assert [part.tool_call_id for part in messages[2].parts] == ['1', '2']
    assert len(messages) == 7


async def test_no_tools_are_available():
    """An agent without tools says so of an unknown one."""
    result = await Agent(answering([call('u', '1')], [TextPart('a')])).run('x')

    assert answers_to_calls(result.all_messages()[2]) == [('1', "Unknown tool name: 'u'. No tools available.")]


async def test_a_call_that_broke_off_for_lack_of_tokens():
    """If the last response broke off in a call for lack of tokens, the error is that."""
    broken = ToolCallPart('final_result', '{"x": 1', '1')

    with pytest.raises(IncompleteToolCall) as caught:
        await Agent(answering([broken], finish_reason='length'), output_type=Foo, output_retries=0).run('x')

    assert str(caught.value).startswith(
        'Model token limit (provider default) exceeded while generating a tool call, resulting in incomplete arguments.'
    )


async def test_named_output_tools():
    """An output tool is called by the name that it was given."""
    model = answering([call('give', '1', x=1)])

    result = await Agent(model, output_type=ToolOutput(Foo, name='give')).run('x')

    assert result.output == Foo(x=1)
    assert isinstance(result.all_messages()[-1].parts[0], ToolReturnPart)


@pytest.mark.parametrize('own', [0, 1, 3])
async def test_an_output_tool_may_have_its_own_number_of_retries(own):
    """The number of an output tool holds for it instead of the agent's, whether it is larger or smaller."""
    wrong = FunctionModel(lambda _messages, _info: ModelResponse([final('1', 'wrong')]))
    agent = Agent(wrong, output_type=ToolOutput(Foo, name='final_result', max_retries=own), output_retries=1)

    with capture_run_messages() as messages, pytest.raises(UnexpectedModelBehavior) as caught:
        await agent.run('x')

    assert str(caught.value) == f'Exceeded maximum retries ({own}) for output validation'
    assert [message.kind for message in messages].count('response') == own + 1


async def test_output_tools_can_be_prepared():
    """A function may leave output tools out of a step; it may be synchronous."""
    offered = []

    def answer(messages, info):
        offered.append([tool.name for tool in info.output_tools])
        return ModelResponse([ToolCallPart('final_result_int', {'response': 1})])

    agent = Agent(
        FunctionModel(answer),
        output_type=[Foo, int],
        prepare_output_tools=lambda _ctx, tools: [tool for tool in tools if tool.name.endswith('int')],
    )

    assert (await agent.run('x')).output == 1
    assert offered == [['final_result_int']]
