"""Schemas for models of Google: rewritten to what they understand, with the rest told in words."""

from typing import Any

import pytest
from google_rules import find_faults
from output_types import OUTPUT_TYPES, schema_of

from plait_agent.exceptions import UserError
from plait_agent.profiles import ModelProfile
from plait_agent.profiles.google import GoogleJsonSchemaTransformer, GoogleModelProfile, google_model_profile


def rewritten(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as Google is given it."""
    return GoogleJsonSchemaTransformer(schema).walk()


@pytest.mark.parametrize('kind', OUTPUT_TYPES)
async def test_an_output_type_gives_a_schema_that_google_takes(kind: str) -> None:
    """Each output type is rewritten into what Google documents."""
    assert find_faults(rewritten(await schema_of(OUTPUT_TYPES[kind]))) == []


@pytest.mark.parametrize('kind', OUTPUT_TYPES)
async def test_what_is_rewritten_stays_as_it_is(kind: str) -> None:
    """A schema that was rewritten once is not rewritten any further."""
    once = rewritten(await schema_of(OUTPUT_TYPES[kind]))

    assert rewritten(once) == once


def test_what_google_leaves_out_of_account_is_told() -> None:
    """Formats and limits that Gemini does not know stand in the description, where the model reads them."""
    schema = {
        'type': 'object',
        'properties': {
            'day': {'type': 'string', 'format': 'date', 'description': 'When.'},
            'code': {'type': 'string', 'pattern': '^[A-Z]+$', 'minLength': 2},
            'age': {'type': 'integer', 'exclusiveMinimum': 17, 'maximum': 99},
            'share': {'type': 'number', 'exclusiveMaximum': 1},
        },
    }

    told = rewritten(schema)['properties']

    assert told['day'] == {'type': 'string', 'description': 'When. (format: date)'}
    assert told['code'] == {'type': 'string', 'description': 'MinLength: 2, pattern: ^[A-Z]+$'}
    assert told['age'] == {'type': 'integer', 'minimum': 18, 'maximum': 99}
    assert told['share'] == {'type': 'number', 'description': 'ExclusiveMaximum: 1'}


def test_choices_of_several_types_are_several_choices() -> None:
    """An enum with numbers, texts, truth values and nothing in it becomes one choice for each type."""
    schema = {'properties': {'it': {'enum': [1, 'one', 'two', None, True]}}}

    assert rewritten(schema)['properties']['it'] == {
        'anyOf': [
            {'type': 'integer', 'enum': [1]},
            {'type': 'string', 'enum': ['one', 'two']},
            {'type': 'null'},
            {'type': 'boolean', 'description': 'Always true'},
        ]
    }


def test_a_reference_stands_alone() -> None:
    """What is said beside a reference is kept, in a union that has the reference alone in it."""
    schema = {
        '$defs': {'City': {'type': 'object', 'properties': {}}},
        'properties': {'home': {'$ref': '#/$defs/City', 'description': 'Where.'}},
    }

    home = rewritten(schema)['properties']['home']

    assert home == {'description': 'Where.', 'anyOf': [{'$ref': '#/$defs/City'}]}


def test_a_reference_that_leads_back_is_not_required() -> None:
    """A definition that refers to itself in a required property has the property without requiring it."""
    node = {
        'type': 'object',
        'properties': {'value': {'type': 'integer'}, 'next': {'$ref': '#/$defs/Node'}},
        'required': ['value', 'next'],
    }
    schema = {'$defs': {'Node': node}, 'properties': {'first': {'$ref': '#/$defs/Node'}}, 'required': ['first']}

    written = rewritten(schema)

    assert written['required'] == ['first']
    assert written['$defs']['Node'] == {**node, 'required': ['value']}


def test_recursion_that_is_in_no_property_may_be_anything() -> None:
    """What Gemini would follow without end is left open."""
    schema = {'$defs': {'List': {'type': 'array', 'items': {'$ref': '#/$defs/List'}}}, '$ref': '#/$defs/List'}

    assert rewritten(schema)['$defs']['List'] == {'type': 'array', 'items': {}}


def test_parts_of_all_of_become_one() -> None:
    """Members of `allOf` are put together, since Gemini knows nothing of it."""
    first = {'properties': {'a': {'type': 'string'}}, 'required': ['a']}
    second = {'type': 'object', 'properties': {'b': {'type': 'string'}}, 'required': ['b']}

    assert rewritten({'allOf': [first, second]}) == {
        'type': 'object',
        'properties': {'a': {'type': 'string'}, 'b': {'type': 'string'}},
        'required': ['a', 'b'],
    }


def test_a_reference_out_of_the_schema_is_refused() -> None:
    """A reference that Google could not follow is named, with what to do."""
    with pytest.raises(UserError, match=r"refers to 'https://e.x/city'.*Put the definition there"):
        rewritten({'properties': {'home': {'$ref': 'https://e.x/city'}}})


def test_what_a_model_can_do_goes_by_its_name() -> None:
    """Models that make images take no tools, and later versions take more together than earlier ones."""
    names = ('gemini-2.0-flash', 'gemini-2.5-flash', 'gemini-2.5-flash-image', 'gemini-3-pro-preview')
    older, former, drawing, latest = (google_model_profile(name) for name in names)

    assert (older.google_supports_strict_tool_definition, former.google_supports_strict_tool_definition) == (
        False,
        True,
    )
    assert (drawing.supports_tools, drawing.supports_image_output) == (False, True)
    assert (former.google_supports_tool_combination, latest.google_supports_tool_combination) == (False, True)
    assert google_model_profile('gemini-flash-latest').google_supports_tool_combination
    assert GoogleModelProfile.from_profile(ModelProfile(supports_tools=False)).supports_tools is False
