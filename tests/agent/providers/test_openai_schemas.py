"""Schemas for OpenAI: bound where that can be, left as they are or refused with a reason where it cannot."""

from typing import Any

import pytest
from openai_rules import find_faults
from output_types import OUTPUT_TYPES, schema_of

from plait_agent.exceptions import UserError
from plait_agent.profiles.openai import OpenAIJsonSchemaTransformer

CANNOT_BE_BOUND = {
    'anything',
    'bounded lists, sets and tuples',
    'mapping',
    'mapping from an enum',
    'mapping of trees',
    'mapping to numbers',
    'mappings to models and lists',
    'named tuple',
    'recursive alias',
    'root mapping',
}
"""The output types with keys that are not known, with places of different types, or with anything at all."""


def bound(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as strict mode is given it."""
    return OpenAIJsonSchemaTransformer(schema, strict=True).walk()


@pytest.mark.parametrize('kind', OUTPUT_TYPES)
async def test_an_output_type_gives_a_strict_schema_or_a_reason(kind: str) -> None:
    """Each output type is rewritten into what strict mode allows, or refused with a way out."""
    schema = await schema_of(OUTPUT_TYPES[kind])
    if kind in CANNOT_BE_BOUND:
        with pytest.raises(UserError, match=r'cannot be strict: .* strict mode does not know\. Say strict=False'):
            bound(schema)
        return

    assert find_faults(bound(schema)) == []


@pytest.mark.parametrize('kind', OUTPUT_TYPES)
async def test_a_schema_is_called_strict_only_if_it_is(kind: str) -> None:
    """Where nothing is said of strictness, a model is bound to schemas that say no more than strict mode can."""
    transformer = OpenAIJsonSchemaTransformer(await schema_of(OUTPUT_TYPES[kind]))

    schema = transformer.walk()

    assert not transformer.is_strict_compatible or find_faults(schema) == []
