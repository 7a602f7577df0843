"""What OpenAI's strict mode knows of JSON schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from plait_agent._json_schema_transformer import JsonSchema
from plait_agent.exceptions import UserError

_NO_KEYWORDS = frozenset(
    (
        'contains',
        'maxContains',
        'maxLength',
        'maxProperties',
        'minContains',
        'minLength',
        'minProperties',
        'patternProperties',
        'propertyNames',
        'unevaluatedItems',
        'unevaluatedProperties',
        'uniqueItems',
    )
)
"""Keywords that strict mode refuses, and that only narrow what another keyword says."""
_NO_MEANINGS = frozenset(
    ('allOf', 'dependentRequired', 'dependentSchemas', 'else', 'if', 'not', 'oneOf', 'prefixItems', 'then')
)
"""Keywords that strict mode refuses, and without which the schema means something else."""
_FORMATS = frozenset(('date', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'time', 'uuid'))
_KINDS = '$ref', 'anyOf', 'const', 'enum', 'type'
"""At least one of them says what a value is."""


def loose_keywords(schema: JsonSchema) -> list[str]:
    """The keywords of one schema that only narrow it, and that strict mode does not know."""
    return [key for key, value in schema.items() if key in _NO_KEYWORDS or _is_strange_format(key, value)]


def is_bound(schema: JsonSchema) -> bool:
    """Whether strict mode can say all that one schema says, its parts and its fields left aside."""
    if 'default' in schema or not any(key in schema for key in _KINDS):
        return False
    if schema.get('type') == 'array' and 'items' not in schema:
        return False
    return not loose_keywords(schema) and not any(key in schema for key in _NO_MEANINGS)


def check_strict(schema: JsonSchema) -> None:
    """See that strict mode can say what a schema means, at least when the details go into descriptions.

    Raises:
        UserError: It cannot.
    """
    for place, part in _parts('', schema):
        fault = _fault(part)
        if fault is not None:
            name = part.get('title') or schema.get('title')
            raise UserError(
                f'The schema {f"of {name!r} " if name else ""}cannot be strict: {place or "the root"} {fault}, '
                f"which OpenAI's strict mode does not know. "
                f'Say strict=False, or use a type with named fields of known types there.'
            )


def _fault(schema: JsonSchema) -> str | None:
    """What one schema means that strict mode cannot say."""
    if not any(key in schema for key in (*_KINDS, 'oneOf', 'allOf')):
        return 'may be anything'
    missing = next((key for key in sorted(_NO_MEANINGS - {'oneOf'}) if key in schema), None)
    if missing is not None:
        return f'uses {missing!r}'
    if schema.get('type') == 'array' and not isinstance(schema.get('items'), dict):
        return 'is a list of anything'
    if schema.get('type') == 'object' and not schema.get('properties') and schema.get('additionalProperties'):
        return 'is an object with any fields'
    return None


def _parts(place: str, schema: object) -> Iterator[tuple[str, JsonSchema]]:
    """A schema and all within it, each with the place where it stands."""
    if not isinstance(schema, dict):
        return
    this = cast('JsonSchema', schema)
    yield place, this
    for key in ('properties', '$defs'):
        for name, each in this.get(key, {}).items():
            yield from _parts(f'{place}.{name}' if place else name, each)
    for key in ('anyOf', 'oneOf'):
        for each in this.get(key, ()):
            yield from _parts(place, each)
    yield from _parts(f'{place}[]', this.get('items'))


def _is_strange_format(key: str, value: Any) -> bool:
    return key == 'format' and value not in _FORMATS
