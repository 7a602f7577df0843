"""The rules of OpenAI's strict mode, as its guide to structured outputs documents them.

Strict mode refuses a whole request if any part of a schema breaks one of them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

_MOST_PROPERTIES = 5000
_DEEPEST = 10
_MOST_LETTERS = 120_000
_MOST_ENUM_VALUES = 1000
_KNOWN = {
    '$ref',
    'additionalProperties',
    'anyOf',
    'const',
    'deprecated',
    'description',
    'enum',
    'examples',
    'exclusiveMaximum',
    'exclusiveMinimum',
    'format',
    'items',
    'maxItems',
    'maximum',
    'minItems',
    'minimum',
    'multipleOf',
    'pattern',
    'properties',
    'readOnly',
    'required',
    'type',
    'writeOnly',
}
_FORMATS = {'date', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'time', 'uuid'}
_TYPES = {'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'}


def find_faults(schema: dict[str, Any]) -> list[str]:
    """What strict mode would refuse of a schema, each with its place."""
    faults = [] if schema.get('type') == 'object' else ['the root is no object']
    parts = [('', {key: value for key, value in schema.items() if key != '$defs'}, 1)]
    parts += [(f'$defs.{name}', each, 1) for name, each in schema.get('$defs', {}).items()]
    counted = Counted()
    for place, part, depth in parts:
        for where, each, deep in _walk(place, part, depth):
            faults += [f'{where or "the root"} {fault}' for fault in _faults(each, deep, schema)]
            counted.count(each)
    return faults + counted.faults()


class Counted:
    """What there may not be too much of in a schema."""

    def __init__(self) -> None:
        self.properties = 0
        self.letters = 0
        self.values = 0

    def count(self, schema: Mapping[str, Any]) -> None:
        """Count one schema, without its parts."""
        names = schema.get('properties', {})
        values = schema.get('enum', ())
        self.properties += len(names)
        self.values += len(values)
        self.letters += sum(len(name) for name in names) + sum(len(value) for value in values if isinstance(value, str))

    def faults(self) -> list[str]:
        """What there is too much of."""
        limits = (
            ('properties', self.properties, _MOST_PROPERTIES),
            ('letters in names', self.letters, _MOST_LETTERS),
            ('values of enums', self.values, _MOST_ENUM_VALUES),
        )
        return [f'the schema has too many {name}: {count}' for name, count, most in limits if count > most]


def _walk(place: str, schema: dict[str, Any], depth: int) -> Iterator[tuple[str, dict[str, Any], int]]:
    yield place, schema, depth
    for name, each in schema.get('properties', {}).items():
        yield from _walk(f'{place}.{name}', each, depth + 1)
    for number, each in enumerate(schema.get('anyOf', ())):
        yield from _walk(f'{place}|{number}', each, depth)
    if isinstance(schema.get('items'), dict):
        yield from _walk(f'{place}[]', cast('dict[str, Any]', schema['items']), depth + 1)


def _faults(schema: dict[str, Any], depth: int, root: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one schema, its parts left aside."""
    if depth > _DEEPEST:
        yield 'is nested too deeply'
    unknown = set(schema) - _KNOWN
    if unknown:
        yield f'uses {sorted(unknown)}'
    if not set(schema) & {'$ref', 'anyOf', 'const', 'enum', 'type'}:
        yield 'has no type'
    if 'format' in schema and schema['format'] not in _FORMATS:
        yield f'has the format {schema["format"]}'
    if '$ref' in schema:
        yield from _faults_of_reference(schema, root)
    types = schema.get('type', [])
    for each in types if isinstance(types, list) else [types]:
        if each not in _TYPES:
            yield f'has the type {each}'
        if each == 'object':
            yield from _faults_of_object(schema)
        if each == 'array' and not isinstance(schema.get('items'), dict):
            yield 'is a list of nothing that is known'


def _faults_of_reference(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    if len(schema) > 1:
        yield 'says something beside a reference'
    ref = schema['$ref']
    if ref != '#' and ref.removeprefix('#/$defs/') not in root.get('$defs', {}):
        yield f'refers to {ref}, which is not there'


def _faults_of_object(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get('additionalProperties') is not False:
        yield 'lets an object have other fields'
    if set(schema.get('required', ())) != set(schema.get('properties', {})):
        yield 'does not require all of its fields'
