"""The JSON schema of what runs end with, for programs that read it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from inspect import isroutine, unwrap
from typing import Any, cast, get_args, get_origin

from pydantic import TypeAdapter

from plait_agent._annotations import Unresolved, read_annotations
from plait_agent._output.definitions import gathered
from plait_agent._output.members import is_function, union_members
from plait_agent._output.processors import JsonObject
from plait_agent._output.structured_dict import written_schema
from plait_agent._output.type_processors import explained
from plait_agent.output import TextOutput, ToolOutput


def result_schema(outputs: Iterable[Any]) -> JsonObject:
    """The schema of outputs as they are serialised, `anyOf` for several."""
    schemas, definitions = gathered(each for output in outputs for each in _schemas(output))
    once = [each for index, each in enumerate(schemas) if each not in schemas[:index]]
    schema = once[0] if len(once) == 1 else {'anyOf': once}
    return schema | {'$defs': definitions} if definitions else dict(schema)


def _schemas(output: Any) -> Iterator[JsonObject]:
    if isinstance(output, TextOutput):
        yield from _schemas(cast('TextOutput[Any]', output).output_function)
    elif isinstance(output, ToolOutput):
        yield from _schemas(cast('ToolOutput[Any]', output).output)
    elif is_function(output):
        yield from _returned(output)
    else:
        yield from map(_schema, union_members(output))


def _returned(function: Any) -> Iterator[JsonObject]:
    """The schemas of what a function returns; one that does not say it returns text."""
    declared = _declared(function)
    annotations: Mapping[str, Any] = getattr(declared, '__annotations__', {})
    hint = read_annotations(declared, {'return': annotations.get('return', str)})['return']
    if isinstance(hint, Unresolved):
        yield {}
        return
    if get_origin(hint) in {Awaitable, Coroutine}:
        hint = get_args(hint)[-1]
    yield from map(_schema, union_members(hint))


def _declared(function: Any) -> Any:
    """Where the annotations of a function are."""
    function = unwrap(function)
    if isinstance(function, partial):
        return _declared(cast('partial[Any]', function).func)
    return function if isroutine(function) else type(function).__call__


def _schema(output: Any) -> JsonObject:
    with explained(output):
        return written_schema(output) or TypeAdapter[Any](output).json_schema(mode='serialization')
