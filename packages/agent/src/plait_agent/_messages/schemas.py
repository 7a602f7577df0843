"""How records are validated and written beyond what their annotations say.

Everything here waits until pydantic asks for a schema: to import pydantic is slow, and many runs never load a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema

BYTES_AS_BASE64 = {'ser_json_bytes': 'base64', 'val_json_bytes': 'base64'}
"""The pydantic settings of what holds bytes."""


@dataclass(frozen=True, slots=True)
class ToldApartBy:
    """Marks a union whose members are told apart by a field."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic import Discriminator

        return handler.generate_schema(Annotated[source, Discriminator(self.field)])


@dataclass(frozen=True, slots=True)
class EmptyForNone:
    """Marks a dictionary that is empty where older data has null."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(lambda value: value or {}, handler(source))


@dataclass(frozen=True, slots=True)
class ImagesNarrowed:
    """Marks binary content that becomes a `BinaryImage` where it is an image."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(source.narrow_type, handler(source))


def with_older_names(schema: CoreSchema, handler: GetCoreSchemaHandler, names: Mapping[str, str]) -> CoreSchema:
    """Let fields of a record also be loaded from the names that they had."""
    for field in _arguments(schema, handler)['fields']:
        older = names.get(field['name'])
        if older is not None:
            field['validation_alias'] = [[field['name']], [older]]
    return schema


def with_properties(schema: CoreSchema, handler: GetCoreSchemaHandler, names: Mapping[str, str]) -> CoreSchema:
    """Write properties of a record in place of the private fields behind them, and load these from the same names.

    A property that raises `ValueError` is written as null: what is not known yet keeps nobody from storing the record.

    Args:
        schema: The schema of the record.
        handler: What made it.
        names: The properties, each with its field.
    """
    from pydantic_core.core_schema import wrap_serializer_function_ser_schema

    properties = {private: name for name, private in names.items()}
    record: Any = handler.resolve_ref_schema(schema)
    for field in _arguments(schema, handler)['fields']:
        if field['name'] in properties:
            field['validation_alias'] = properties[field['name']]

    def write(value: object, write_fields: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
        written = write_fields(value)
        for private, name in properties.items():
            if private in written:
                del written[private]
                written[name] = _known(value, name)
        return written

    record['serialization'] = wrap_serializer_function_ser_schema(write)
    return schema


def _known(value: object, name: str) -> Any:
    try:
        return getattr(value, name)
    except ValueError:
        return None


def _arguments(schema: CoreSchema, handler: GetCoreSchemaHandler) -> Any:
    """The part of a dataclass's schema that lists the fields."""
    record: Any = handler.resolve_ref_schema(schema)
    return record['schema']
