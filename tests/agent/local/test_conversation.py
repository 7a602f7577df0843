from typing import Any

import pytest
from local_parts import asked_for, tool

from plait_agent import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserError,
    UserPromptPart,
)
from plait_agent._local.conversation import Written, write_conversation
from plait_agent._local.signatures import describe_tool
from plait_agent.messages import RetryPromptPart, ThinkingPart
from plait_agent.models._tool_choice import choose_tools

SEND = tool('send', to={'type': 'string'})
LIST = tool('list_all')
QUESTION = ModelRequest([UserPromptPart('Who is there?')])


def write(*messages: ModelMessage, parameters: Any = None, **options: Any) -> Written:
    """Write a history down."""
    parameters = asked_for(SEND, LIST) if parameters is None else parameters
    return write_conversation(messages, parameters, choose_tools(None, parameters), **options)


def texts(written: Written) -> list[str]:
    """What stands behind the example."""
    return [getattr(part, 'content', '') for message in written.messages for part in message.parts][11:]


def called(name: str, arguments: str = '{}', call_id: str = 'c1') -> ModelResponse:
    """A response with a call."""
    return ModelResponse([ToolCallPart(name, arguments, call_id)])


def returned(name: str, content: Any, call_id: str = 'c1') -> ModelRequest:
    """What a tool has returned."""
    return ModelRequest([ToolReturnPart(name, content, call_id)])


def test_without_tools_a_history_stays_as_it_is():
    """Plain talk is sent as it was said, with instructions and system prompts first."""
    said = ModelRequest([SystemPromptPart('Be brief.'), UserPromptPart('Hello')])
    answer = ModelResponse([ThinkingPart('Hm.'), TextPart('Hi')])
    written = write(said, answer, QUESTION, parameters=asked_for(), instructions='Be kind.')

    system, *rest = [part.content for message in written.messages for part in message.parts]
    assert (system, rest) == ('Be kind.\n\nBe brief.', ['Hello', 'Hi', 'Who is there?'])


def test_calls_and_results_are_told_as_text():
    """A call is written as the model writes it, and its result as something that the user says."""
    told = texts(write(QUESTION, called('send', '{"to": "me"}'), returned('send', {'ok': True})))

    assert told[0] == 'Who is there?'
    assert told[1] == '{"tool": "send", "arguments": {"to":"me"}}'
    assert told[2].startswith('send gave: {"ok":true}\nThe question was: Who is there?\n')


def test_calls_of_one_response_stand_beside_their_results():
    """Several calls at once, as other models make them, become one after the other."""
    calls = ModelResponse([ToolCallPart('send', '{"to": "a"}', 'c1'), ToolCallPart('send', '{"to": "b"}', 'c2')])
    results = ModelRequest([ToolReturnPart('send', 'first', 'c1'), ToolReturnPart('send', 'second', 'c2')])
    told = texts(write(QUESTION, calls, results))

    assert [text.split('\n')[0] for text in told[1:]] == [
        '{"tool": "send", "arguments": {"to":"a"}}',
        'send gave: first',
        '{"tool": "send", "arguments": {"to":"b"}}',
        'send gave: second',
    ]


def test_failed_calls_are_told_and_may_be_made_again():
    """A call that was refused is not one that was answered."""
    retry = ModelRequest([RetryPromptPart('No such person.', tool_name='send', tool_call_id='c1')])
    written = write(QUESTION, called('send', '{"to": "me"}'), retry)

    assert 'send failed.\nNo such person.' in texts(written)[2]
    assert written.answered == frozenset()


def test_answered_calls_are_known_until_the_user_speaks_again():
    """What has been answered is not to be asked again, unless the program says so."""
    history = QUESTION, called('send', '{ "to": "me" }'), returned('send', 'done')

    assert write(*history).answered == {('send', '{"to":"me"}')}
    assert write(*history, may_repeat=True).answered == frozenset()
    assert write(*history, QUESTION).answered == frozenset()


def test_a_tool_without_arguments_is_used_up_by_a_call():
    """It would say the same again, so the next turn is without it."""
    written = write(QUESTION, called('list_all'), returned('list_all', 'all'))

    assert [each.name for each in written.turn.tools] == ['send']


def test_the_end_of_an_earlier_run_needs_no_result():
    """What is noted for the call of an output tool is not for the model."""
    parameters = asked_for(LIST, output_tools=[SEND], output_mode='tool', allow_text_output=False)
    ended = called('send', '{"to": "me"}'), returned('send', 'Final result processed.')
    written = write(QUESTION, *ended, QUESTION, parameters=parameters)

    told = [part.content for message in written.messages for part in message.parts]
    assert told[-3:] == ['Who is there?', '{"tool": "send", "arguments": {"to":"me"}}', 'Who is there?']
    assert not any('Final result' in text for text in told)


def test_long_questions_are_not_put_again():
    """A document in a prompt is not repeated after each result."""
    long = ModelRequest([UserPromptPart('x' * 5000)])

    assert texts(write(long, called('list_all'), returned('list_all', 'all')))[2].count('x') < 10


def test_the_prompt_of_the_next_turn_begins_with_that_of_this_one():
    """What has been written once stays as it is, so that the server reads only what is new."""
    first = write(QUESTION, called('list_all'), returned('list_all', 'all'))
    second = write(QUESTION, called('list_all'), returned('list_all', 'all'), called('send', '{"to":"a"}', 'c2'))
    third = write(
        QUESTION,
        *(called('list_all'), returned('list_all', 'all'), called('send', '{"to":"a"}', 'c2')),
        returned('send', 'done', 'c2'),
    )

    assert texts(second) == texts(first)
    assert texts(third)[: len(texts(first))] == texts(first)


def test_pictures_are_refused():
    """What is no text is refused before anything is asked."""
    with pytest.raises(UserError, match='A prompt has ImageUrl in it, and local models read nothing but text'):
        write(ModelRequest([UserPromptPart(['Look:', ImageUrl('https://pictures.invalid/a.png')])]))


def test_a_history_without_a_user_has_one_for_the_template():
    """Instructions alone are said by the user."""
    (message,) = write(ModelRequest([]), parameters=asked_for(), instructions='Say something.').messages

    assert [type(part) for part in message.parts] == [UserPromptPart]


def test_tools_are_told_in_a_line():
    """A tool is told with its arguments, their types and what is said of them."""
    described = tool(
        'book',
        people={'type': 'integer', 'description': 'How\n  many.'},
        place={'$ref': '#/$defs/Place'},
        when={'anyOf': [{'enum': ['now', 'later']}, {'type': 'null'}]},
        notes={'type': 'array', 'items': {'type': 'string'}},
    )
    schema = described.parameters_json_schema
    schema['$defs'] = {'Place': {'type': 'object', 'properties': {'name': {'type': 'string'}}}}
    schema['required'].remove('notes')

    assert describe_tool(described) == (
        '- book(people: integer, place: {name?: string}, when: "now" or "later" or null, notes?: list of string): '
        'Do book.\n    people: How many.'
    )


def test_types_that_hold_themselves_come_to_an_end():
    """A tree is told as deep as is of use."""
    grow = tool('grow', tree={'$ref': '#/$defs/Tree'})
    grow.parameters_json_schema['$defs'] = {
        'Tree': {'type': 'object', 'properties': {'below': {'type': 'array', 'items': {'$ref': '#/$defs/Tree'}}}}
    }

    assert describe_tool(grow) == '- grow(tree: {below?: list of {below?: any}}): Do grow.'
