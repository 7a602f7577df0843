"""JSON schemas side by side in one: their definitions go to the top, where each has a name of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from plait_agent._output.names import free_name

_Schema: TypeAlias = dict[str, Any]
_REFERENCE = '#/$defs/'


def gathered(schemas: Iterable[_Schema]) -> tuple[list[_Schema], _Schema]:
    """The schemas without their definitions, and all of these.

    What several of them define alike is there once; what they define differently has several names.
    """
    together: _Schema = {}
    bodies = [_moved(schema, together) for schema in schemas]
    return bodies, together


def _moved(schema: _Schema, together: _Schema) -> _Schema:
    """Move the definitions of a schema to the others, and give it without them."""
    own: _Schema = schema.get('$defs', {})
    names = {name: name for name in own}
    if any(together.get(name, each) != each for name, each in own.items()):
        # All of them, as one that is the same may refer to one that is not.
        names = {name: free_name(name, together) for name in own}
    together |= {names[name]: _renamed(each, names) for name, each in own.items()}
    return _renamed({key: value for key, value in schema.items() if key != '$defs'}, names)


def _renamed(node: Any, names: dict[str, str]) -> Any:
    """A schema that refers to definitions by their new names."""
    if isinstance(node, list):
        return [_renamed(each, names) for each in cast('list[Any]', node)]
    if not isinstance(node, dict):
        return node
    renamed = {key: _renamed(value, names) for key, value in cast('_Schema', node).items()}
    reference = renamed.get('$ref')
    if isinstance(reference, str) and reference.startswith(_REFERENCE):
        name = reference.removeprefix(_REFERENCE)
        renamed['$ref'] = _REFERENCE + names.get(name, name)
    return renamed
