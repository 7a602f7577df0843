"""How data becomes a value of a type: its schema and its validator, by pydantic.

To import this room is to import pydantic's schemas, which waits for the first type.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import lru_cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, cast, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation, PydanticUserError
from typing_extensions import TypedDict, is_typeddict

from plait_agent._json_schema import GenerateToolJsonSchema, with_root_inlined
from plait_agent._output.members import shown
from plait_agent._output.processors import WRAPPED, JsonObject, Processor
from plait_agent._output.structured_dict import written_schema
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

_TypedDict: Any = TypedDict  # whose keys type checkers want to know


def make_type_processor(output: Any) -> Processor:
    """Make the processor of a type.

    Raises:
        UserError: pydantic does not know the type, JSON has nothing for it, or something in it is not defined.
    """
    # A run may have an output type of its own: the schema of a class is made once.
    return _of_class(output) if isinstance(output, type) else _of_type(output)


def _of_type(output: Any) -> Processor:
    return _object_processor(output) if _has_fields(output) else _wrapped_processor(output)


@lru_cache(maxsize=128)
def _of_class(output: type) -> Processor:
    return _of_type(output)


def _has_fields(output: Any) -> bool:
    """Whether a type is one for objects."""
    kind: Any = get_origin(output) or output
    if is_dataclass(kind) or is_typeddict(kind) or written_schema(kind) is not None:
        return True
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _object_processor(output: Any) -> Processor:
    validator, schema = _adapter(output, output)
    if schema.get('type') != 'object':  # a root model of a list, say
        return _wrapped_processor(output)
    description = schema.pop('description', None)
    return Processor(schema.get('title') or _name(output), description, schema, validator)


def _wrapped_processor(output: Any) -> Processor:
    validator, schema = _adapter(_TypedDict('Response', {WRAPPED: output}), output)
    schema.pop('title', None)
    return Processor(_name(output), None, schema, validator, is_wrapped=True)


def _adapter(form: Any, output: Any) -> tuple[SchemaValidator, JsonObject]:
    """What validates the form in which a model gives an output, and its JSON schema."""
    with explained(output):
        adapter = TypeAdapter[Any](form)
        adapter.rebuild(raise_errors=True)  # where something is not defined yet, which is an error now
        schema = written_schema(form) or adapter.json_schema(schema_generator=GenerateToolJsonSchema)
    # What a plugin puts in its place has the same methods.
    return cast('SchemaValidator', adapter.validator), with_root_inlined(dict(schema))


@contextmanager
def explained(output: Any) -> Generator[None]:
    """Say of an error of pydantic's which output type it was.

    Raises:
        UserError: pydantic cannot handle the type.
    """
    try:
        yield
    except PydanticUndefinedAnnotation as error:
        raise UserError(
            f'Output type {shown(output)} refers to {error.name!r}, which is not defined. Define it before the agent, '
            f'where the type can see it; a model that came before it needs `model_rebuild()` then.'
        ) from error
    except PydanticInvalidForJsonSchema as error:
        raise UserError(
            f'Output type {shown(output)} cannot be told to a model: {error.message}. '
            f'Use types that JSON has a form for, or say the form with `WithJsonSchema`.'
        ) from error
    except PydanticUserError as error:
        raise UserError(
            f'Output type {shown(output)} cannot be validated: {error.message.partition(". ")[0]}. '
            f'Use a type that pydantic knows, or a function that takes such types and makes the output of them.'
        ) from error


def _name(output: Any) -> str:
    if get_origin(output) in {Union, UnionType}:
        return 'Union'
    return getattr(output, '__name__', None) or type(output).__name__
