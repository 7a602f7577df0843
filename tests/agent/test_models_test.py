"""The model for tests: what it calls, what it answers, and the values that it makes of schemas."""

from typing import Any

import pytest
from pydantic import BaseModel

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    FinalResultEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    RetryPromptPart,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models._test_data import generate
from plait_agent.models.test import TestModel
from plait_agent.tools import ToolDefinition
from plait_agent.usage import RequestUsage

X_SCHEMA = {'type': 'object', 'properties': {'x': {'type': 'integer'}}, 'required': ['x']}
ONE = ToolDefinition(name='one', parameters_json_schema=X_SCHEMA)
TWO = ToolDefinition(name='two')
OUTPUT = ToolDefinition(name='final_result', kind='output', parameters_json_schema=X_SCHEMA, outer_typed_dict_key='x')
OTHER_OUTPUT = ToolDefinition(name='other_result', kind='output', parameters_json_schema=X_SCHEMA)
QUESTION = ModelRequest.user_text_prompt('hello')
ANSWER = ModelResponse([TextPart('earlier')])


async def ask(model: TestModel, *messages: ModelMessage, **parameters: Any) -> list[Any]:
    """The parts of an answer."""
    response = await model.request(list(messages) or [QUESTION], None, ModelRequestParameters(**parameters))
    return list(response.parts)


async def test_all_tools_are_called_first() -> None:
    """The first answer calls every tool once, with arguments from the schemas and ids that are known."""
    assert await ask(TestModel(), function_tools=[ONE, TWO]) == [
        ToolCallPart('one', {'x': 0}, 'pyd_ai_tool_call_id__one'),
        ToolCallPart('two', {}, 'pyd_ai_tool_call_id__two'),
    ]


async def test_only_those_tools_are_called_that_are_named() -> None:
    """A list of names chooses the tools; an empty one calls none."""
    assert [part.tool_name for part in await ask(TestModel(call_tools=['two']), function_tools=[ONE, TWO])] == ['two']
    assert await ask(TestModel(call_tools=[]), function_tools=[ONE]) == [TextPart('success (no tool calls)')]


async def test_a_tool_that_is_not_there_cannot_be_called() -> None:
    """The error names the tool and those that there are."""
    with pytest.raises(KeyError, match=r"\['three'\].*\['one'\]"):
        await ask(TestModel(call_tools=['three']), function_tools=[ONE])


async def test_tools_are_not_called_again_once_there_was_an_answer() -> None:
    """With an answer in the history it tells what the tools have returned, of each tool the last thing."""
    returns = ModelRequest([ToolReturnPart('one', 1, 'a'), ToolReturnPart('two', {'k': (2, 3)}, 'b')])
    again = ModelRequest([ToolReturnPart('one', None, 'c')])

    parts = await ask(TestModel(), QUESTION, ANSWER, returns, ANSWER, again, function_tools=[ONE, TWO])

    assert parts == [TextPart('{"one":null,"two":{"k":[2,3]}}')]


async def test_tools_that_ask_for_a_retry_are_called_again() -> None:
    """Only those are, with new ids, as a call is answered once; output tools too."""
    retries = ModelRequest(
        [
            ToolReturnPart('two', 1, 'b'),
            RetryPromptPart('no', tool_name='one', tool_call_id='a'),
            RetryPromptPart('no', tool_name='final_result', tool_call_id='c'),
        ]
    )

    one, output = await ask(
        TestModel(), QUESTION, ANSWER, retries, function_tools=[ONE, TWO], output_tools=[OUTPUT], output_mode='tool'
    )

    assert (one.tool_name, one.args) == ('one', {'x': 0})
    assert one.tool_call_id not in ('a', 'pyd_ai_tool_call_id__one')
    assert output == ToolCallPart('final_result', {'x': 0}, 'pyd_ai_tool_call_id__final_result')


@pytest.mark.parametrize('tool_name', [None, 'gone'])
async def test_a_retry_of_no_tool_asks_for_the_output_again(tool_name: str | None) -> None:
    """What a validator refuses, or a tool that is not there, leads to the output."""
    retry = ModelRequest([RetryPromptPart('no', tool_name=tool_name, tool_call_id='a')])

    assert await ask(TestModel(custom_output_text='yes'), QUESTION, ANSWER, retry) == [TextPart('yes')]


async def test_the_history_has_to_end_with_a_request() -> None:
    """A history that ends with an answer asks nothing."""
    with pytest.raises(AssertionError, match=r'^Expected last message to be a `ModelRequest`\.$'):
        await ask(TestModel(), QUESTION, ANSWER)


async def test_text_is_the_output_where_it_may_be() -> None:
    """With output tools beside it, text wins unless it is not allowed."""
    parameters: dict[str, Any] = {'output_tools': [OUTPUT], 'output_mode': 'tool'}

    assert await ask(TestModel(), **parameters) == [TextPart('success (no tool calls)')]
    (call,) = await ask(TestModel(), **parameters, allow_text_output=False)
    assert call == ToolCallPart('final_result', {'x': 0}, 'pyd_ai_tool_call_id__final_result')


async def test_a_text_that_may_not_be_the_output_is_refused() -> None:
    """The test that gave it is told."""
    with pytest.raises(AssertionError) as caught:
        await ask(TestModel(custom_output_text='x'), output_tools=[OUTPUT], allow_text_output=False, output_mode='tool')

    assert str(caught.value) == 'Plain response not allowed, but `custom_output_text` is set.'


class Point(BaseModel):
    x: int = 7


@pytest.mark.parametrize(
    ('seed', 'given', 'made'),
    [(0, 7, {'x': 7}), (0, {'x': 7}, {'x': {'x': 7}}), (1, {'x': 7}, {'x': 7}), (1, Point(), {'x': 7})],
)
async def test_given_arguments_go_to_the_output_tool(seed: int, given: Any, made: dict[str, Any]) -> None:
    """They are wrapped if the tool wants it, models are dumped, and the seed chooses among several tools."""
    (call,) = await ask(
        TestModel(custom_output_args=given, seed=seed), output_tools=[OUTPUT, OTHER_OUTPUT], output_mode='tool'
    )

    assert (call.tool_name, call.args) == (('final_result', 'other_result')[seed], made)


async def test_given_arguments_need_an_output_tool() -> None:
    """Without one the error says what to give instead."""
    with pytest.raises(UserError, match=r'no output tool.*Give custom_output_text'):
        await ask(TestModel(custom_output_args=1))


def test_text_and_arguments_exclude_each_other() -> None:
    """An output is one or the other."""
    with pytest.raises(UserError, match=r'both custom_output_text and custom_output_args'):
        TestModel(custom_output_text='x', custom_output_args=1)


async def test_built_in_tools_are_refused() -> None:
    """Nobody is there who could run them."""
    with pytest.raises(UserError, match=r'^TestModel does not support built-in tools$'):
        await ask(TestModel(), builtin_tools=[WebSearchTool()])


async def test_the_last_parameters_are_kept_for_tests() -> None:
    """What was asked for can be looked at, as it was after preparing."""
    model = TestModel()
    assert model.last_model_request_parameters is None

    await ask(model, function_tools=[ONE], output_tools=[OUTPUT])

    assert model.last_model_request_parameters == ModelRequestParameters(function_tools=[ONE])


async def test_a_response_has_a_name_and_an_estimated_usage() -> None:
    """The usage is that of the request and of the answer."""
    response = await TestModel(model_name='mine').request([QUESTION], None, ModelRequestParameters())

    assert (response.model_name, response.usage) == ('mine', RequestUsage(input_tokens=51, output_tokens=4))


async def test_a_stream_tells_words() -> None:
    """A text starts empty and grows by words; the usage grows with it and ends as without streaming."""
    model = TestModel(custom_output_text='one two.')
    async with model.request_stream([QUESTION], None, ModelRequestParameters()) as stream:
        events = [(event, stream.usage().output_tokens) async for event in stream]

    assert events == [
        (PartStartEvent(index=0, part=TextPart('')), 0),
        (FinalResultEvent(tool_name=None, tool_call_id=None), 0),
        (PartDeltaEvent(index=0, delta=TextPartDelta('one ')), 1),
        (PartDeltaEvent(index=0, delta=TextPartDelta('two.')), 3),
        (PartEndEvent(index=0, part=TextPart('one two.')), 3),
    ]


@pytest.mark.parametrize('parameters', [{}, {'function_tools': [ONE, TWO]}, {'output_tools': [OUTPUT]}])
async def test_a_stream_ends_with_the_response_of_a_plain_request(parameters: dict[str, Any]) -> None:
    """Streamed or not, the answer is the same, usage and provider included."""
    asked = ModelRequestParameters(allow_text_output=not parameters, output_mode='tool', **parameters)
    model = TestModel()
    plain = await model.request([QUESTION], None, asked)
    async with model.request_stream([QUESTION], None, asked) as stream:
        async for _ in stream:
            pass

    streamed = stream.get()
    streamed.timestamp = plain.timestamp
    assert streamed == plain


def test_a_test_model_prints_its_settings() -> None:
    """The repr is what a failed test shows."""
    assert repr(TestModel(seed=1)) == (
        "TestModel(call_tools='all', custom_output_text=None, custom_output_args=None, seed=1, "
        'last_model_request_parameters=None)'
    )
    assert (TestModel().model_name, TestModel().system) == ('test', 'test')


@pytest.mark.parametrize(
    ('schema', 'seed', 'value'),
    [
        ({'type': 'string'}, 0, 'a'),
        ({'type': 'string'}, 52, '0'),
        ({'type': 'string'}, 94, 'aa'),
        ({'type': 'string'}, 94 + 94, 'ba'),
        ({'type': 'string', 'minLength': 3}, 1, 'bbb'),
        ({'type': 'string', 'maxLength': 0}, 1, ''),
        ({'type': 'string', 'format': 'date'}, 30, '2024-01-31'),
        ({'type': 'string', 'format': 'uuid'}, 0, 'a'),
        ({'type': 'string', 'examples': ['one', 'two']}, 0, 'one'),
        ({'type': 'string', 'examples': ['one', 'two']}, 3, 'two'),
        ({'const': None, 'examples': [1]}, 0, None),
        ({'enum': ['x', 'y', 3]}, 5, 3),
        ({'type': 'integer'}, 4, 4),
        ({'type': 'integer', 'minimum': 3}, 4, 7),
        ({'type': 'integer', 'exclusiveMinimum': 3}, 4, 8),
        ({'type': 'integer', 'maximum': 3}, 4, -1),
        ({'type': 'integer', 'exclusiveMaximum': 3}, 4, -2),
        ({'type': 'integer', 'minimum': 3, 'maximum': 5}, 3, 4),
        ({'type': 'integer', 'minimum': 3, 'maximum': 3}, 4, 3),
        ({'type': 'number', 'minimum': 1.5}, 1, 2.5),
        ({'type': 'boolean'}, 3, True),
        ({'type': 'boolean'}, 2, False),
        ({'type': 'null'}, 1, None),
        ({'type': 'array'}, 0, []),
        ({'type': 'array', 'items': {'type': 'integer'}}, 2, [2]),
        ({'type': 'array', 'items': {'type': 'integer'}, 'minItems': 2}, 2, [2, 2]),
        ({'type': 'array', 'items': {'type': 'integer'}, 'maxItems': 0}, 2, []),
        ({'type': 'array', 'items': {'type': 'integer'}, 'minItems': 3, 'uniqueItems': True}, 2, [2, 3, 4]),
        ({'type': 'array', 'prefixItems': [{'type': 'integer'}, {'type': 'null'}]}, 2, [2, None]),
        ({'type': 'object', 'properties': {'a': {'type': 'null'}, 'b': {}}, 'required': ['b']}, 0, {'b': 'a'}),
        ({'type': 'object', 'additionalProperties': {'type': 'integer'}}, 1, {'additionalProperty': 1}),
        ({'type': 'object', 'additionalProperties': True}, 1, {'additionalProperty': 'b'}),
        ({'anyOf': [{'type': 'integer'}, {'type': 'null'}]}, 1, None),
        ({'oneOf': [{'type': 'integer'}]}, 1, 'b'),
        ({}, 1, 'b'),
        ({'type': ['integer', 'null']}, 2, 2),
        ({'type': ['integer', 'null']}, 3, None),
        ({'$ref': '#/$defs/A', '$defs': {'A': {'type': 'integer'}}}, 1, 1),
    ],
)
def test_a_value_is_made_of_a_schema(schema: dict[str, Any], seed: int, value: Any) -> None:
    """Each kind of schema has its plain value, moved by the seed."""
    made = generate(schema, seed)

    assert made == value
    assert type(made) is type(value)


TREE = {
    'type': 'object',
    'properties': {'name': {'type': 'string'}, 'children': {'type': 'array', 'items': {'$ref': '#/$defs/Tree'}}},
    'required': ['name', 'children'],
}
CHAIN = {
    'type': 'object',
    'properties': {'next': {'anyOf': [{'$ref': '#/$defs/Chain'}, {'type': 'null'}]}},
    'required': ['next'],
}
MAPPING = {'type': 'object', 'additionalProperties': {'$ref': '#/$defs/Mapping'}}


@pytest.mark.parametrize(
    ('name', 'definition', 'value'),
    [
        ('Tree', TREE, {'name': 'a', 'children': []}),
        ('Chain', CHAIN, {'next': None}),
        ('Mapping', MAPPING, {}),
    ],
)
def test_a_schema_that_contains_itself_gets_the_shallowest_value(
    name: str, definition: dict[str, Any], value: Any
) -> None:
    """A recursion ends where it first may."""
    assert generate({'$ref': f'#/$defs/{name}', '$defs': {name: definition}}) == value


@pytest.mark.parametrize(
    ('definition', 'message'),
    [
        ({'anyOf': [{'$ref': '#/$defs/A'}]}, "No finite value fits the definition 'A'"),
        ({'type': 'array', 'minItems': 1, 'items': {'$ref': '#/$defs/A'}}, "No finite value fits the definition 'A'"),
        ({'$ref': '#/$defs/B'}, "refers to '#/\\$defs/B', which is not among its definitions: \\['A'\\]"),
        ({'anyOf': []}, 'has an anyOf without members'),
    ],
)
def test_a_schema_without_a_value_is_refused(definition: dict[str, Any], message: str) -> None:
    """The error says which definition is at fault and what can be done."""
    with pytest.raises(UserError, match=message):
        generate({'$ref': '#/$defs/A', '$defs': {'A': definition}})
