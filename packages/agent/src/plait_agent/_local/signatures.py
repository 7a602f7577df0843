"""Tools as a small model reads them best: one line each, written like a function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from plait_agent.tools import ToolDefinition

_DEEPEST = 3
_TYPES = {'integer': 'integer', 'number': 'number', 'boolean': 'true or false', 'null': 'null', 'string': 'string'}


def describe_tool(tool: ToolDefinition) -> str:
    """A tool with its arguments, and what is said of them."""
    schema = tool.parameters_json_schema
    definitions = schema.get('$defs', {})
    described = f'- {tool.name}({_members(schema, definitions, 0)})'
    if tool.description:
        described += f': {" ".join(tool.description.split())}'
    return '\n'.join((described, *_remarks(schema)))


def describe_type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    return _type(schema, schema.get('$defs', {}), 0)


def _type(schema: Any, definitions: Mapping[str, Any], depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return 'any'
    known = cast('Mapping[str, Any]', schema)
    if '$ref' in known:
        return _type(definitions.get(known['$ref'].rpartition('/')[2]), definitions, depth + 1)
    if 'enum' in known:
        return _any_of(json.dumps(each, ensure_ascii=False) for each in known['enum'])
    if 'const' in known:
        return json.dumps(known['const'], ensure_ascii=False)
    for key in ('anyOf', 'oneOf'):
        if key in known:
            return _any_of(_type(each, definitions, depth) for each in known[key])
    return _plain_type(known, definitions, depth)


def _plain_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> str:
    kind = schema.get('type')
    if isinstance(kind, list):
        return _any_of(_TYPES.get(each, each) for each in cast('list[str]', kind))
    if kind == 'array':
        return f'list of {_type(schema.get("items"), definitions, depth)}'
    if kind == 'object' and schema.get('properties'):
        return f'{{{_members(schema, definitions, depth + 1)}}}'
    return _TYPES.get(kind or '', kind or 'any')


def _members(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> str:
    required = schema.get('required', ())
    properties: Mapping[str, Any] = schema.get('properties', {})
    return ', '.join(
        f'{name}{"" if name in required else "?"}: {_type(each, definitions, depth)}'
        for name, each in properties.items()
    )


def _remarks(schema: Mapping[str, Any]) -> list[str]:
    """What is said of single arguments."""
    properties: Mapping[str, Any] = schema.get('properties', {})
    described: dict[str, Any] = {
        name: cast('Mapping[str, Any]', each).get('description')
        for name, each in properties.items()
        if isinstance(each, Mapping)
    }
    return [f'    {name}: {" ".join(text.split())}' for name, text in described.items() if isinstance(text, str)]


def _any_of(types: Iterable[str]) -> str:
    return ' or '.join(dict.fromkeys(types))
