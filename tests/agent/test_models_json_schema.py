"""Rewriting of JSON schemas for models: every part, references, and definitions put in their place."""

import copy
from typing import Any

import pytest

from plait_agent._json_schema_transformer import InlineDefsJsonSchemaTransformer, JsonSchema, JsonSchemaTransformer

INTEGER = {'type': 'integer'}


class Marking(JsonSchemaTransformer):
    """Marks every schema that it is given."""

    def transform(self, schema: JsonSchema) -> JsonSchema:
        return {**schema, 'seen': True}


class Keeping(JsonSchemaTransformer):
    """Changes nothing by itself."""

    def transform(self, schema: JsonSchema) -> JsonSchema:
        return schema


def marked(schema: JsonSchema) -> JsonSchema:
    """A schema that was seen."""
    return {**schema, 'seen': True}


@pytest.mark.parametrize(
    ('schema', 'rewritten'),
    [
        ({'properties': {'a': INTEGER}}, {'properties': {'a': marked(INTEGER)}}),
        ({'patternProperties': {'^a': INTEGER}}, {'patternProperties': {'^a': marked(INTEGER)}}),
        ({'items': INTEGER}, {'items': marked(INTEGER)}),
        ({'prefixItems': [INTEGER]}, {'prefixItems': [marked(INTEGER)]}),
        ({'additionalProperties': INTEGER}, {'additionalProperties': marked(INTEGER)}),
        ({'additionalProperties': False}, {'additionalProperties': False}),
        ({'anyOf': [INTEGER, True]}, {'anyOf': [marked(INTEGER), True]}),
        ({'oneOf': [INTEGER]}, {'oneOf': [marked(INTEGER)]}),
        ({'allOf': [INTEGER]}, {'allOf': [marked(INTEGER)]}),
        ({'not': INTEGER}, {'not': marked(INTEGER)}),
    ],
)
def test_every_part_of_a_schema_is_transformed(schema: JsonSchema, rewritten: JsonSchema) -> None:
    """Parts come before what they are parts of, and the schema that was given stays as it was."""
    before = copy.deepcopy(schema)

    assert Marking(schema).walk() == marked(rewritten)
    assert schema == before


def test_definitions_are_transformed_where_they_are() -> None:
    """References stay, and what they refer to is rewritten under its name."""
    schema = {'properties': {'a': {'$ref': '#/$defs/A'}}, '$defs': {'A': INTEGER}}

    assert Marking(schema).walk() == {
        'properties': {'a': {'$ref': '#/$defs/A', 'seen': True}},
        'seen': True,
        '$defs': {'A': marked(INTEGER)},
    }


def test_a_union_of_one_is_its_member() -> None:
    """A choice without choice is taken away, and what stood beside it goes over it."""
    schema = {'anyOf': [{'type': 'integer', 'description': 'inner'}], 'description': 'outer'}

    assert Keeping(schema).walk() == {'type': 'integer', 'description': 'outer'}


@pytest.mark.parametrize(
    ('members', 'result'),
    [
        ([INTEGER, {'type': 'null'}], {'type': 'integer', 'title': 'T', 'nullable': True}),
        ([{'type': 'null'}, INTEGER], {'type': 'integer', 'title': 'T', 'nullable': True}),
        ([INTEGER, {'type': 'string'}], None),
        ([{'type': 'null'}, {'type': 'null'}], None),
        ([INTEGER, {'type': 'string'}, {'type': 'null'}], None),
    ],
)
def test_a_choice_between_something_and_null_becomes_nullable(members: list[Any], result: JsonSchema | None) -> None:
    """With `simplify_nullable_unions` one schema beside null is that schema, nullable; other unions stay."""
    schema = {'anyOf': members, 'title': 'T'}

    assert Keeping(schema, simplify_nullable_unions=True).walk() == (result or schema)
    assert Keeping(schema).walk() == schema


def test_definitions_are_put_in_the_place_of_references() -> None:
    """Nothing refers any more, however deep; what stands beside a reference goes over the definition."""
    schema = {
        'type': 'object',
        'properties': {
            'a': {'$ref': '#/$defs/A', 'description': 'An a.'},
            'b': {'allOf': [{'$ref': '#/$defs/B'}]},
        },
        '$defs': {'A': {'type': 'array', 'items': {'$ref': '#/$defs/B'}}, 'B': INTEGER},
    }

    assert InlineDefsJsonSchemaTransformer(schema).walk() == {
        'type': 'object',
        'properties': {
            'a': {'type': 'array', 'items': INTEGER, 'description': 'An a.'},
            'b': {'allOf': [INTEGER]},
        },
    }


def test_a_definition_that_leads_back_to_itself_stays() -> None:
    """It is inlined once, and its own reference to itself finds it among the definitions."""
    tree = {'type': 'object', 'properties': {'children': {'type': 'array', 'items': {'$ref': '#/$defs/Tree'}}}}
    schema = {
        'type': 'object',
        'properties': {'tree': {'$ref': '#/$defs/Tree'}, 'n': {'$ref': '#/$defs/N'}},
        '$defs': {'Tree': tree, 'N': INTEGER},
    }

    assert InlineDefsJsonSchemaTransformer(schema).walk() == {
        '$defs': {'Tree': tree, 'root': {'type': 'object', 'properties': {'tree': tree, 'n': INTEGER}}},
        '$ref': '#/$defs/root',
    }


def test_a_root_that_leads_back_to_itself_is_a_definition() -> None:
    """A recursive root needs no other name."""
    chain = {'type': 'object', 'properties': {'next': {'$ref': '#/$defs/Chain'}}}
    schema = {'$ref': '#/$defs/Chain', '$defs': {'Chain': chain}}

    assert InlineDefsJsonSchemaTransformer(schema).walk() == schema


def test_definitions_that_lead_back_through_each_other_stay_together() -> None:
    """In a cycle of two each reference that is left finds its definition."""
    schema = {
        'properties': {'a': {'$ref': '#/$defs/A'}},
        '$defs': {
            'A': {'properties': {'b': {'$ref': '#/$defs/B'}}},
            'B': {'properties': {'a': {'$ref': '#/$defs/A'}, 'b': {'$ref': '#/$defs/B'}}},
            'root': INTEGER,
        },
    }
    result = InlineDefsJsonSchemaTransformer(schema).walk()

    assert set(result['$defs']) == {'A', 'B', 'root_'}
    assert set(find_references(result)) == {'#/$defs/A', '#/$defs/B', '#/$defs/root_'}


def find_references(schema: Any) -> list[str]:
    """All references of a schema."""
    if isinstance(schema, list):
        return [ref for each in schema for ref in find_references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema['$ref']] if '$ref' in schema else []
    return own + [ref for each in schema.values() for ref in find_references(each)]


def test_a_reference_to_nothing_is_left_alone() -> None:
    """What is not among the definitions cannot be put anywhere."""
    schema = {'properties': {'a': {'$ref': '#/$defs/Gone'}}}

    assert InlineDefsJsonSchemaTransformer(schema).walk() == schema


def test_a_transformer_keeps_what_is_said_of_strictness() -> None:
    """A subclass finds out whether a schema can be strict, and is told what was asked for."""
    transformer = InlineDefsJsonSchemaTransformer(INTEGER, strict=True)

    assert (transformer.strict, transformer.is_strict_compatible) == (True, True)
