"""Schemas for models of Anthropic: bound where that can be, refused with a reason where it cannot."""

from typing import Any

import pytest
from anthropic_rules import find_faults
from output_types import OUTPUT_TYPES, schema_of

from plait_agent.exceptions import UserError
from plait_agent.profiles.anthropic import AnthropicJsonSchemaTransformer, anthropic_model_profile

CANNOT_BE_BOUND = {
    'anything',
    'chain',
    'generic of a tree',
    'mapping',
    'mapping from an enum',
    'mapping of trees',
    'mapping to numbers',
    'mappings to models and lists',
    'mutual recursion',
    'recursion in a union',
    'recursive alias',
    'root mapping',
    'tree',
}
"""The output types that may hold themselves, keys that are not known, or anything at all."""


def bound(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as a model is bound to it."""
    return AnthropicJsonSchemaTransformer(schema, strict=True).walk()


@pytest.mark.parametrize('kind', OUTPUT_TYPES)
async def test_an_output_type_gives_a_schema_that_anthropic_takes_or_a_reason(kind: str) -> None:
    """Each output type is rewritten into what Anthropic allows, or refused with a way out."""
    schema = await schema_of(OUTPUT_TYPES[kind])
    if kind in CANNOT_BE_BOUND:
        with pytest.raises(UserError, match=r"Anthropic cannot bind a model to '.*ToolOutput"):
            bound(schema)
        return

    assert find_faults(bound(schema)) == []


def test_what_cannot_be_checked_is_told() -> None:
    """Limits that Anthropic does not know stand in the description, where the model reads them."""
    schema = {
        'type': 'object',
        'properties': {'age': {'type': 'integer', 'minimum': 0, 'description': 'In years.'}},
        'required': ['age'],
    }

    age = bound(schema)['properties']['age']

    assert age == {'type': 'integer', 'description': 'In years. (minimum: 0)'}
    assert schema['properties']['age'] == {'type': 'integer', 'minimum': 0, 'description': 'In years.'}


def test_what_can_be_checked_stays() -> None:
    """Formats and simple patterns that Anthropic knows are kept."""
    text = {'type': 'string', 'format': 'date', 'pattern': '^[a-z]+$'}

    assert bound({'type': 'object', 'properties': {'text': text}})['properties']['text'] == text


def test_a_pattern_that_looks_around_is_told() -> None:
    """A pattern that Anthropic cannot follow is no reason to refuse the type."""
    text = bound({'type': 'object', 'properties': {'text': {'type': 'string', 'pattern': '^(?!a).*$'}}})

    assert text['properties']['text'] == {'type': 'string', 'description': '(pattern: ^(?!a).*$)'}


def test_a_tuple_is_a_list_of_what_it_may_hold() -> None:
    """Places of a tuple cannot be told apart, so each item may be what any of them is."""
    pair = {'type': 'array', 'prefixItems': [{'type': 'string'}, {'type': 'integer'}], 'minItems': 2, 'maxItems': 2}

    found = bound({'type': 'object', 'properties': {'pair': pair}})['properties']['pair']

    assert found['items'] == {'anyOf': [{'type': 'string'}, {'type': 'integer'}]}
    assert 'exactly 2 items, in this order' in found['description']


def test_a_refusal_names_the_field() -> None:
    """An error says where in the type the trouble is."""
    place = {'type': 'object', 'properties': {'extra': {'type': 'object', 'additionalProperties': True}}}
    schema = {'title': 'Order', 'type': 'object', 'properties': {'places': {'type': 'array', 'items': place}}}

    with pytest.raises(UserError, match=r"'Order\.places\[\]\.extra', which may hold keys that are not known"):
        bound(schema)


def test_a_schema_that_does_not_bind_stays_as_it_is() -> None:
    """Tools that are not strict are sent as they are, and are not made strict."""
    schema = {'type': 'object', 'properties': {'n': {'type': 'integer', 'minimum': 3}}}
    transformer = AnthropicJsonSchemaTransformer(schema)

    assert transformer.walk() == schema
    assert not transformer.is_strict_compatible


@pytest.mark.parametrize(
    ('name', 'native', 'tokens'),
    [
        ('claude-3-haiku-20240307', False, 4096),
        ('claude-3-5-sonnet-latest', False, 8192),
        ('claude-3-7-sonnet-latest', False, 64_000),
        ('claude-opus-4-20250514', False, 32_000),
        ('claude-opus-4-1@20250805', True, 32_000),
        ('us.anthropic.claude-sonnet-4-5-20250929-v1:0', True, 64_000),
        ('claude-opus-4-8', True, 128_000),
        ('claude-sonnet-5', True, 128_000),
        ('a-model-of-somebody', False, 4096),
    ],
)
def test_a_name_tells_what_a_model_can_do(name: str, native: bool, tokens: int) -> None:
    """Profiles follow the family and the version, however a name is written."""
    profile = anthropic_model_profile(name)

    assert profile.supports_json_schema_output is native
    assert profile.anthropic_max_output_tokens == tokens
    assert profile.anthropic_default_max_tokens <= min(tokens, 16_384)
