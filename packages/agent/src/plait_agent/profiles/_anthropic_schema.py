"""Rewrites a JSON schema into the part of the language that Anthropic can bind a model to.

What only narrows values is told in words instead. What would change their shape cannot be left out, and is refused.
"""

from __future__ import annotations

import re
from typing import Any, cast

from plait_agent._json_schema_transformer import JsonSchema
from plait_agent.exceptions import UserError

_KEPT = frozenset({'$ref', 'type', 'enum', 'const', 'title', 'description', 'default'})
_NO_MEANING = frozenset({'$defs', 'definitions', '$schema', 'discriminator', 'examples', 'deprecated', 'readOnly'})
"""Keywords that say nothing of a value, or have been taken care of."""
_SHAPES = frozenset(
    {'properties', 'required', 'additionalProperties', 'items', 'prefixItems', 'anyOf', 'oneOf', 'allOf'}
)
"""Keywords that are rewritten one by one."""
_REFUSED = 'patternProperties', 'propertyNames', 'not', 'if', 'contains', 'dependentSchemas', 'unevaluatedProperties'
_FORMATS = frozenset({'date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'})
_HARD_PATTERN = re.compile(r'\\[bBkpP1-9]|\(\?')
"""Word boundaries, references back, classes of Unicode, and groups that look around."""
_DEFS = re.compile(r'#/(?:\$defs|definitions)/(.+)')


def bind_strictly(schema: JsonSchema) -> JsonSchema:
    """Rewrite a schema; the one that is given stays as it is.

    Raises:
        UserError: It has something in it that Anthropic cannot bind a model to and that cannot be left out.
    """
    defs: dict[str, JsonSchema] = {**schema.get('definitions', {}), **schema.get('$defs', {})}
    name = schema.get('title') or 'output'
    _refuse_rings(defs)
    rewritten = _rewrite(schema, name)
    if defs:
        rewritten['$defs'] = {key: _rewrite(each, key) for key, each in defs.items()}
    return rewritten


def _rewrite(schema: Any, path: str) -> JsonSchema:
    """A rewritten copy of a schema."""
    if not isinstance(schema, dict):
        raise _refusal(path, 'any value')
    schema = cast('JsonSchema', schema)
    for keyword in _REFUSED:
        if keyword in schema:
            raise _refusal(path, f'what {keyword!r} describes')
    if isinstance(schema.get('type'), list):
        return _rewrite(_as_union(schema), path)
    if '$ref' in schema:
        return {key: schema[key] for key in ('$ref', 'description') if key in schema}
    rewritten = {key: value for key, value in schema.items() if key in _KEPT}
    _check_kind(schema, path)
    if schema.get('type') == 'object':
        rewritten |= _object(schema, path)
    elif schema.get('type') == 'array':
        rewritten |= _array(schema, path)
    rewritten |= _union(schema, path)
    return _with_notes(schema, rewritten)


def _check_kind(schema: JsonSchema, path: str) -> None:
    """Refuse a schema that says nothing of its values, or names values that are no scalars."""
    if not any(key in schema for key in ('type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf')):
        raise _refusal(path, 'any value')
    if any(isinstance(value, (dict, list)) for value in (*schema.get('enum', ()), schema.get('const'))):
        raise _refusal(path, 'a choice of lists or objects')


def _object(schema: JsonSchema, path: str) -> JsonSchema:
    if 'properties' not in schema and schema.get('additionalProperties') is not False:
        raise _refusal(path, 'keys that are not known beforehand')
    if isinstance(schema.get('additionalProperties'), dict):
        raise _refusal(path, 'keys that are not known beforehand')
    properties = {name: _rewrite(each, f'{path}.{name}') for name, each in schema.get('properties', {}).items()}
    required = {'required': schema['required']} if 'required' in schema else {}
    return {'properties': properties, **required, 'additionalProperties': False}


def _array(schema: JsonSchema, path: str) -> JsonSchema:
    members: list[Any] = [*schema.get('prefixItems', ())]
    if schema.get('items') not in (None, False) or not members:
        members.append(schema.get('items'))
    items = [_rewrite(each, f'{path}[]') for each in members]
    distinct = [each for place, each in enumerate(items) if each not in items[:place]]
    rewritten: JsonSchema = {'items': distinct[0] if len(distinct) == 1 else {'anyOf': distinct}}
    if schema.get('minItems') in (0, 1):
        rewritten['minItems'] = schema['minItems']
    return rewritten


def _union(schema: JsonSchema, path: str) -> JsonSchema:
    """The members of a choice, or of what has to hold together."""
    members = [*schema.get('anyOf', ()), *schema.get('oneOf', ())]
    rewritten: JsonSchema = {'anyOf': [_rewrite(each, path) for each in members]} if members else {}
    parts: list[Any] = schema.get('allOf', [])
    if len(parts) == 1:
        return rewritten | _rewrite(parts[0], path)
    if any('$ref' in part for part in parts):
        raise _refusal(path, "'allOf' with references")
    return rewritten | ({'allOf': [_rewrite(each, path) for each in parts]} if parts else {})


def _as_union(schema: JsonSchema) -> JsonSchema:
    """A schema of several types as a choice of schemas of one type."""
    beside = {key: value for key, value in schema.items() if key not in ('type', 'description', 'title', 'default')}
    around = {key: schema[key] for key in ('description', 'title', 'default') if key in schema}
    return {**around, 'anyOf': [{'type': each, **beside} for each in schema['type']]}


def _with_notes(schema: JsonSchema, rewritten: JsonSchema) -> JsonSchema:
    """Keep what can be checked of the rest, and tell what cannot in the description."""
    notes: list[str] = []
    for key, value in schema.items():
        if key in rewritten or key in _NO_MEANING or (key in _SHAPES and key != 'prefixItems'):
            continue
        if _can_be_checked(key, value):
            rewritten[key] = value
        elif key == 'prefixItems':
            notes.append(f'exactly {len(value)} items, in this order')
        else:
            notes.append(f'{key}: {value}')
    if notes:
        told = f'({"; ".join(notes)})'
        rewritten['description'] = f'{rewritten["description"]} {told}' if rewritten.get('description') else told
    return rewritten


def _can_be_checked(key: str, value: Any) -> bool:
    if key == 'format':
        return value in _FORMATS
    return key == 'pattern' and isinstance(value, str) and _HARD_PATTERN.search(value) is None


def _refuse_rings(defs: dict[str, JsonSchema]) -> None:
    """Refuse definitions that lead back to themselves."""
    leads_to = {name: _references(each) for name, each in defs.items()}
    for name in defs:
        reached: set[str] = set()
        ahead = set(leads_to[name])
        while ahead:
            reached |= ahead
            ahead = {each for found in ahead for each in leads_to.get(found, ())} - reached
        if name in reached:
            raise _refusal(name, 'itself')


def _references(schema: Any) -> set[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, list):
        return {name for each in cast('list[Any]', schema) for name in _references(each)}
    if not isinstance(schema, dict):
        return set()
    found = {name for each in cast('JsonSchema', schema).values() for name in _references(each)}
    ref = cast('JsonSchema', schema).get('$ref')
    match = _DEFS.fullmatch(ref) if isinstance(ref, str) else None
    return found | {match[1]} if match is not None else found


def _refusal(path: str, what: str) -> UserError:
    return UserError(
        f'Anthropic cannot bind a model to {path!r}, which may hold {what}. '
        f'Ask for the output with ToolOutput(...) or PromptedOutput(...), leave out strict=True for a tool, '
        f'or give the field a type with known fields, such as a list of pairs.'
    )
