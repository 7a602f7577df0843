from typing import Any

import pytest
from local_parts import asked_for, tool

from plait_agent._local.turns import bindable, make_turn
from plait_agent.models._tool_choice import choose_tools
from plait_agent.output import OutputObjectDefinition

SEND = tool('send', to={'type': 'string'})
LIST = tool('list_all')


def turn_for(*tools: Any, settings: Any = None, used_up: Any = (), **others: Any) -> Any:
    """The turn for some tools."""
    parameters = asked_for(*tools, **others)
    return make_turn(parameters, choose_tools(settings, parameters), used_up)


def names(schema: dict[str, Any]) -> list[str]:
    """The tools that a schema lets a model choose."""
    return [each['properties']['tool']['const'] for each in schema.get('anyOf', [schema])]


def test_without_tools_text_is_free():
    """A request for text alone binds nothing."""
    assert turn_for().schema() is None


def test_answering_is_a_tool_among_the_others():
    """Where text is an output, the model chooses between the tools and an answer; the name comes first."""
    schema = turn_for(SEND, LIST).schema()

    assert names(schema) == ['send', 'list_all', 'final_answer']
    assert list(schema['anyOf'][0]['properties']) == ['tool', 'arguments']
    assert schema['anyOf'][2]['properties']['arguments']['required'] == ['text']


def test_a_tool_of_that_name_gets_in_nobodys_way():
    """A program may have a tool called final_answer itself."""
    turn = turn_for(tool('final_answer'))

    assert names(turn.schema()) == ['final_answer', 'final_answer_2']


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({'tool_choice': 'required'}, ['send', 'list_all']),
        ({'tool_choice': 'none'}, ['final_answer']),
        ({'tool_choice': ['send']}, ['send']),
    ],
)
def test_tool_choice_is_kept(settings: Any, expected: list[str]):
    """What the settings say of tools is what the model is bound to."""
    assert names(turn_for(SEND, LIST, settings=settings).schema()) == expected


def test_an_only_output_tool_is_its_arguments():
    """A model that can do nothing but give its output writes nothing but that."""
    turn = turn_for(output_tools=[SEND], output_mode='tool', allow_text_output=False)

    assert turn.schema() == bindable(SEND.parameters_json_schema)
    assert turn.only_tool is SEND


def test_output_tools_stand_beside_the_others():
    """Where text is no output, the model ends by the output tool alone."""
    turn = turn_for(LIST, output_tools=[SEND], output_mode='tool', allow_text_output=False)

    assert names(turn.schema()) == ['list_all', 'send']


def test_native_output_is_the_final_answer():
    """An output that has a form takes the place of the text of an answer."""
    wanted = OutputObjectDefinition(json_schema={'type': 'object', 'properties': {'x': {'type': 'integer'}}})
    alone = turn_for(output_object=wanted, output_mode='native')
    beside = turn_for(LIST, output_object=wanted, output_mode='native')

    assert alone.schema() == wanted.json_schema
    assert beside.schema()['anyOf'][1]['properties']['arguments'] == wanted.json_schema


def test_tools_that_are_used_up_are_left_out_while_something_is_left():
    """A tool without arguments that has answered is no choice, unless it is the only one."""
    assert names(turn_for(SEND, LIST, used_up={'list_all'}).schema()) == ['send', 'final_answer']
    assert names(turn_for(LIST, used_up={'list_all'}, settings={'tool_choice': 'required'}).schema()) == ['list_all']


def test_the_last_tool_leaves_nothing():
    """A turn without its only tool is none, if the model may not answer."""
    assert turn_for(SEND, settings={'tool_choice': 'required'}).without('send') is None
    assert names(turn_for(SEND).without('send').schema()) == ['final_answer']


def test_definitions_get_names_of_their_own():
    """Two tools may define different things under the same name."""
    first = tool('first', x={'$ref': '#/$defs/Thing'})
    first.parameters_json_schema['$defs'] = {'Thing': {'type': 'integer'}}
    second = tool('second', x={'$ref': '#/$defs/Thing'})
    second.parameters_json_schema['$defs'] = {'Thing': {'type': 'array', 'items': {'$ref': '#/$defs/Thing'}}}
    schema = turn_for(first, second).schema()

    assert schema['$defs'] == {
        '0_Thing': {'type': 'integer'},
        '1_Thing': {'type': 'array', 'items': {'$ref': '#/$defs/1_Thing'}},
    }
    assert schema['anyOf'][1]['properties']['arguments']['properties']['x'] == {'$ref': '#/$defs/1_Thing'}


def test_what_the_server_would_stumble_over_is_left_out():
    """Keywords that it cannot make a grammar of are left to validation; properties of such names stay."""
    schema = {
        'type': 'object',
        'title': 'T',
        'properties': {
            'title': {'type': 'string', 'pattern': '^(?=a)b$', 'maxLength': 5, 'default': 'x'},
            'pattern': {'type': 'string', 'pattern': '^[a-z]+$', 'maxLength': 10**6},
            'digits': {'type': 'string', 'pattern': r'^\d+$'},
        },
    }

    assert bindable(schema) == {
        'type': 'object',
        'properties': {
            'title': {'type': 'string', 'maxLength': 5},
            'pattern': {'type': 'string', 'pattern': '^[a-z]+$'},
            'digits': {'type': 'string'},
        },
    }
