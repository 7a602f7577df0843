"""A model that is a function: what the function is told, what it may give, and how its stream is told."""

from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import Any

import pytest

from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FinalResultEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    ToolCallPartDelta,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from plait_agent.output import OutputObjectDefinition
from plait_agent.profiles import ModelProfile
from plait_agent.settings import ModelSettings
from plait_agent.tools import ToolDefinition
from plait_agent.usage import RequestUsage

QUESTION = ModelRequest.user_text_prompt('hello', instructions='Be brief.')
PLAIN = ModelRequestParameters()


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Greet."""
    return ModelResponse([TextPart('good day')])


async def answer_later(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Greet, and await nothing."""
    return answer(messages, info)


def pass_on(messages: list[ModelMessage], info: AgentInfo) -> Awaitable[ModelResponse]:
    """Let another function greet."""
    return answer_later(messages, info)


async def stream_words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Greet bit by bit."""
    yield 'good '
    yield 'day'


class Greeter:
    """An object that can be called."""

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return answer(messages, info)


async def told_by(model: FunctionModel, **parameters: Any) -> tuple[list[Any], ModelResponse]:
    """The events of a stream, and the response at its end."""
    async with model.request_stream([QUESTION], None, ModelRequestParameters(**parameters)) as stream:
        return [event async for event in stream], stream.get()


@pytest.mark.parametrize(
    ('function', 'name'),
    [
        (answer, 'function:answer:'),
        (answer_later, 'function:answer_later:'),
        (partial(answer_later), 'function:answer_later:'),
        (Greeter(), 'function:Greeter:'),
        (pass_on, 'function:pass_on:'),
    ],
)
async def test_any_callable_may_answer(function: Any, name: str) -> None:
    """Functions, asynchronous or not, partials and objects answer, and give the model its name."""
    response = await FunctionModel(function).request([QUESTION], None, PLAIN)

    assert (response.text, response.model_name) == ('good day', name)


def test_a_model_is_named_after_both_functions() -> None:
    """The name has a place for each function, and a given name wins."""
    assert FunctionModel(answer, stream_function=stream_words).model_name == 'function:answer:stream_words'
    assert FunctionModel(stream_function=stream_words).model_name == 'function::stream_words'
    assert FunctionModel(answer, model_name='mine').model_name == 'mine'
    assert FunctionModel(answer).system == 'function'


def test_a_model_needs_a_function() -> None:
    """Without any, the model is refused where it is made."""
    with pytest.raises(TypeError, match=r'^Either `function` or `stream_function` must be provided$'):
        FunctionModel()


async def test_the_function_is_told_everything() -> None:
    """It gets the messages, and as info the tools, the settings and the instructions."""
    asked: list[Any] = []

    def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append((messages, info))
        return answer(messages, info)

    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name='t')],
        output_mode='prompted',
        output_object=OutputObjectDefinition({'type': 'object'}),
        prompted_output_template='Like {schema}',
    )
    model = FunctionModel(note, settings=ModelSettings(temperature=0.5))
    await model.request([QUESTION], ModelSettings(seed=1), parameters)

    assert asked == [
        (
            [QUESTION],
            AgentInfo(
                function_tools=[ToolDefinition(name='t')],
                allow_text_output=True,
                output_tools=[],
                model_settings={'temperature': 0.5, 'seed': 1},
                model_request_parameters=parameters,
                instructions='Be brief.\n\nLike {"type": "object"}',
            ),
        )
    ]


def test_a_function_can_do_everything_but_images() -> None:
    """The default profile has native output and all built-in tools; another one may be given."""
    profile = FunctionModel(answer).profile

    assert (profile.supports_json_schema_output, profile.supports_image_output) == (True, False)
    assert profile.supported_builtin_tools == ModelProfile().supported_builtin_tools
    assert not FunctionModel(answer, profile=ModelProfile()).profile.supports_json_schema_output


async def test_the_response_of_the_function_is_completed_and_not_changed() -> None:
    """Name and usage are filled in, in a copy, since the function may give its response again."""
    given = ModelResponse([TextPart('x')], finish_reason='stop')
    model = FunctionModel(lambda _messages, _info: given)

    response = await model.request([QUESTION], None, PLAIN)

    assert response.usage == RequestUsage(input_tokens=51, output_tokens=1)
    assert (response.finish_reason, response.timestamp) == ('stop', given.timestamp)
    assert (given.usage, given.model_name) == (RequestUsage(), None)


async def test_what_the_function_says_itself_stays() -> None:
    """A usage and a name that the response has are kept."""
    given = ModelResponse([TextPart('x')], usage=RequestUsage(output_tokens=7), model_name='own')

    response = await FunctionModel(lambda _messages, _info: given).request([QUESTION], None, PLAIN)

    assert (response.usage, response.model_name) == (RequestUsage(output_tokens=7), 'own')


@pytest.mark.parametrize('given', ['text', None])
async def test_a_function_that_gives_no_response_is_told_so(given: Any) -> None:
    """The error has the model, what came and what is wanted."""

    async def wrong(messages: list[ModelMessage], info: AgentInfo) -> Any:
        return given

    with pytest.raises(TypeError, match=rf"'function:wrong:' has returned {given!r}. Let it return a ModelResponse"):
        await FunctionModel(wrong).request([QUESTION], None, PLAIN)


async def test_a_plain_request_waits_for_the_stream_if_there_is_only_that() -> None:
    """Without `function` the stream is read to its end."""
    response = await FunctionModel(stream_function=stream_words).request([QUESTION], None, PLAIN)

    assert (response.text, response.usage) == ('good day', RequestUsage(input_tokens=51, output_tokens=2))


async def test_a_stream_has_the_plain_response_if_there_is_only_that() -> None:
    """Without `stream_function` the answer comes in one go."""
    events, response = await told_by(FunctionModel(answer))

    assert [event.event_kind for event in events] == ['part_start', 'final_result', 'part_end']
    assert (response.text, response.usage) == ('good day', RequestUsage(input_tokens=51, output_tokens=2))


async def test_text_is_streamed_as_it_is_yielded() -> None:
    """Each piece of text is an event, and the whole text stands at the end."""
    events, response = await told_by(FunctionModel(stream_function=stream_words))

    assert events == [
        PartStartEvent(index=0, part=TextPart('good ')),
        FinalResultEvent(tool_name=None, tool_call_id=None),
        PartDeltaEvent(index=0, delta=TextPartDelta('day')),
        PartEndEvent(index=0, part=TextPart('good day')),
    ]
    assert response.model_name == 'function::stream_words'


async def test_a_call_is_told_once_its_name_is_known() -> None:
    """Arguments may come before the name; what has come is told with the start."""

    async def call(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaToolCall(json_args='{"a"')}
        yield {0: DeltaToolCall('t', tool_call_id='id')}
        yield {0: DeltaToolCall(json_args=':1}')}

    events, response = await told_by(FunctionModel(stream_function=call))

    assert events == [
        PartStartEvent(index=0, part=ToolCallPart('t', '{"a"', 'id')),
        PartDeltaEvent(index=0, delta=ToolCallPartDelta(args_delta=':1}', tool_call_id='id')),
        PartEndEvent(index=0, part=ToolCallPart('t', '{"a":1}', 'id')),
    ]
    assert response.usage.output_tokens == 1 + 3


async def test_all_kinds_of_parts_can_be_mixed() -> None:
    """Thoughts, built-in tools, calls and text stand in the order of their first appearance."""
    search = BuiltinToolCallPart('search', {}, 'b')
    found = BuiltinToolReturnPart('search', 'x', 'b')

    async def mix(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaThinkingPart(content='hm')}
        yield {0: DeltaThinkingPart(signature='s'), 1: search, 2: found}
        yield 'so'
        yield {3: DeltaToolCall('t', '{}', tool_call_id='id')}

    _, response = await told_by(FunctionModel(stream_function=mix))

    assert response.parts == [
        ThinkingPart('hm', signature='s', provider_name='function'),
        search,
        found,
        TextPart('so'),
        ToolCallPart('t', '{}', 'id'),
    ]
    assert response.usage.output_tokens == 1 + 2 + 1 + 1 + 2


async def test_a_stream_uses_as_much_as_a_plain_request() -> None:
    """The same answer costs the same, streamed or not, with all of the history."""
    history = [QUESTION, ModelResponse([TextPart('yes')]), ModelRequest.user_text_prompt('one two three')]

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for piece in ('He said: "', 'no', '", ', 'and left', '.'):
            yield piece
        yield {0: DeltaToolCall('t')}

    def plain(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart('He said: "no", and left.'), ToolCallPart('t')])

    model = FunctionModel(plain, stream_function=stream)
    async with model.request_stream(history, None, PLAIN) as streamed:
        assert streamed.usage() == RequestUsage(input_tokens=54)
        async for _ in streamed:
            pass

    assert streamed.usage() == (await model.request(history, None, PLAIN)).usage


async def test_a_stream_function_has_to_yield() -> None:
    """A stream without any item is an error of the function."""

    async def silent(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for word in ():
            yield word

    with pytest.raises(ValueError, match=r'^Stream function must return at least one item$'):
        await told_by(FunctionModel(stream_function=silent))


@pytest.mark.parametrize('item', [5, {0: 'text'}])
async def test_what_cannot_be_streamed_is_refused(item: Any) -> None:
    """The error has what came, and lists what may come."""

    async def wrong(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield item

    with pytest.raises(TypeError, match=r"'function::wrong' has yielded .* Let it yield text, or dictionaries"):
        await told_by(FunctionModel(stream_function=wrong))


async def test_a_stream_function_that_is_no_generator_is_refused() -> None:
    """The error says how such a function is written."""
    with pytest.raises(TypeError, match=r'Let it be an async generator'):
        await told_by(FunctionModel(stream_function=answer))  # type: ignore[arg-type]


async def test_a_stream_that_is_left_early_closes_the_function() -> None:
    """The generator of the program is closed with the block, on each event loop."""
    closed: list[str] = []

    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            while True:
                yield 'word '
        finally:
            closed.append('closed')

    async with FunctionModel(stream_function=endless).request_stream([QUESTION], None, PLAIN) as stream:
        async for _ in stream:
            break

    assert closed == ['closed']
