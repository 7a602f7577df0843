"""Dictionaries that show models a JSON schema which somebody has written."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeAlias, cast

from plait_agent.exceptions import UserError

_Schema: TypeAlias = dict[str, Any]


class _RefersToItself(Exception):
    """A definition is met inside of itself."""


def structured_dict(json_schema: Mapping[str, Any], name: str | None, description: str | None) -> type[_Schema]:
    """A dictionary type with a schema; see `plait_agent.output.StructuredDict`."""
    given = {'title': name, 'description': description}
    schema = _inlined(dict(json_schema)) | {key: text for key, text in given.items() if text is not None}
    if schema.get('type') != 'object':
        raise UserError('Schema must be an object')

    class StructuredDict(_Schema):
        __structured_schema__ = schema

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
            from pydantic_core import core_schema

            return core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())

        @classmethod
        def __get_pydantic_json_schema__(cls, _core_schema: Any, _handler: Any) -> _Schema:
            return deepcopy(schema)  # pydantic drops titles in place

    StructuredDict.__doc__ = schema.get('description')
    return StructuredDict


def written_schema(output: Any) -> _Schema | None:
    """The schema of such a type, None for others."""
    return getattr(output, '__structured_schema__', None)


def _inlined(schema: _Schema) -> _Schema:
    """A schema with its definitions in the places that refer to them; one that refers to itself stays as it is."""
    definitions: Mapping[str, Any] = schema.get('$defs', {})
    rest = {key: value for key, value in schema.items() if key != '$defs'}
    try:
        return _resolved(rest, definitions, ())
    except _RefersToItself:
        return schema


def _resolved(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolved(each, definitions, inside) for each in cast('list[Any]', node)]
    if not isinstance(node, dict):
        return node
    node = cast('_Schema', node)
    name = _definition_name(node.get('$ref'))
    if name not in definitions:
        return {key: _resolved(value, definitions, inside) for key, value in node.items()}
    if name in inside:
        raise _RefersToItself(name)
    beside = {key: value for key, value in node.items() if key != '$ref'}
    return _resolved({**definitions[name], **beside}, definitions, (*inside, name))


def _definition_name(reference: Any) -> str:
    return reference.removeprefix('#/$defs/') if isinstance(reference, str) else ''
