"""What Anthropic says of the schemas that it can bind a model to, as a check that knows nothing of how we rewrite them.

By its documentation of structured outputs and strict tools: objects have known keys alone, references lead to
definitions of the same schema and never back, values of an enum are scalars, and of the keywords that narrow a value
only some formats, simple patterns and `minItems` of 0 or 1 are there.
"""

import re
from typing import Any

ANNOTATIONS = {'title', 'description', 'default'}
OF_TYPES = {
    'object': {'properties', 'required', 'additionalProperties'},
    'array': {'items', 'minItems'},
    'string': {'format', 'pattern', 'enum', 'const'},
    'integer': {'enum', 'const'},
    'number': {'enum', 'const'},
    'boolean': {'enum', 'const'},
    'null': {'const', 'enum'},
}
FORMATS = {'date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'}


def find_faults(schema: dict[str, Any]) -> list[str]:
    """What Anthropic would refuse a schema for."""
    defs: dict[str, Any] = schema.get('$defs', {})
    root = {key: value for key, value in schema.items() if key != '$defs'}
    faults = _faults(root, 'root', defs)
    for name, each in defs.items():
        faults += _faults(each, name, defs)
        if _leads_to(each, name, defs, set()):
            faults.append(f'{name} is recursive')
    return faults


def _faults(schema: Any, path: str, defs: dict[str, Any]) -> list[str]:
    if not isinstance(schema, dict):
        return [f'{path} is no schema: {schema!r}']
    if '$ref' in schema:
        faults = [] if schema['$ref'].removeprefix('#/$defs/') in defs else [f'{path}: unknown {schema["$ref"]}']
        return faults + _not_allowed(schema, {'$ref'} | ANNOTATIONS, path)
    union = [key for key in ('anyOf', 'allOf') if key in schema]
    if union:
        faults = _not_allowed(schema, {*union, *ANNOTATIONS}, path)
        return faults + [fault for key in union for each in schema[key] for fault in _faults(each, path, defs)]
    if 'type' not in schema and ('enum' in schema or 'const' in schema):
        return _not_allowed(schema, {'enum', 'const'} | ANNOTATIONS, path) + _enum_faults(schema, path)
    kind = schema.get('type')
    if kind not in OF_TYPES:
        return [f'{path} has no type: {schema}']
    return [
        *_not_allowed(schema, {'type'} | ANNOTATIONS | OF_TYPES[kind], path),
        *_enum_faults(schema, path),
        *_text_faults(schema, path),
        *_part_faults(schema, path, defs),
    ]


def _part_faults(schema: dict[str, Any], path: str, defs: dict[str, Any]) -> list[str]:
    faults: list[str] = []
    if schema['type'] == 'object':
        if schema.get('additionalProperties') is not False:
            faults.append(f'{path} has keys that are not known')
        for name, each in schema.get('properties', {}).items():
            faults += _faults(each, f'{path}.{name}', defs)
        faults += [f'{path} lacks {name}' for name in schema.get('required', ()) if name not in schema['properties']]
    if schema['type'] == 'array':
        faults += _faults(schema.get('items'), f'{path}[]', defs)
        faults += [] if schema.get('minItems', 0) in (0, 1) else [f'{path} has minItems above 1']
    return faults


def _text_faults(schema: dict[str, Any], path: str) -> list[str]:
    faults = [] if schema.get('format') in {None, *FORMATS} else [f'{path} has format {schema["format"]}']
    if re.search(r'\(\?[=!<]|\\[bB1-9]', schema.get('pattern', '')):
        faults.append(f'{path} has a pattern that looks around')
    return faults


def _enum_faults(schema: dict[str, Any], path: str) -> list[str]:
    values = [*schema.get('enum', ()), *([schema['const']] if 'const' in schema else [])]
    return [f'{path} has a choice of {value!r}' for value in values if isinstance(value, (list, dict))]


def _not_allowed(schema: dict[str, Any], allowed: set[str], path: str) -> list[str]:
    return [f'{path} has {key!r}' for key in schema if key not in allowed]


def _leads_to(schema: Any, name: str, defs: dict[str, Any], seen: set[str]) -> bool:
    if isinstance(schema, list):
        return any(_leads_to(each, name, defs, seen) for each in schema)
    if not isinstance(schema, dict):
        return False
    found = str(schema.get('$ref', '')).removeprefix('#/$defs/')
    if found == name:
        return True
    if found in defs and found not in seen:
        seen.add(found)
        if _leads_to(defs[found], name, defs, seen):
            return True
    return any(_leads_to(each, name, defs, seen) for key, each in schema.items() if key != 'default')
