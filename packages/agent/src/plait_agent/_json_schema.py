"""JSON schemas as models like them: without titles that only repeat a name."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

__all__ = 'GenerateToolJsonSchema', 'with_root_inlined'


class GenerateToolJsonSchema(GenerateJsonSchema):
    """Writes the JSON schemas of tools: fields have no titles, and a default that is no JSON is left out."""

    ignored_warning_kinds = frozenset({'skipped-choice', 'non-serializable-default'})  # pyright: ignore[reportAssignmentType] # read only

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title made of a field's name tells a model nothing."""
        return False

    def encode_default(self, dft: Any) -> Any:
        """A default as JSON; what is JSON already needs none of pydantic's machinery."""
        return dft if dft is None or type(dft) in {str, int, bool} else super().encode_default(dft)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        """The schema of arguments, or of a TypedDict."""
        return _without_field_titles(super().typed_dict_schema(schema))

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of a pydantic model."""
        return _without_field_titles(super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """The schema of a dataclass."""
        return _without_field_titles(super().dataclass_schema(schema))


def _without_field_titles(schema: JsonSchemaValue) -> JsonSchemaValue:
    for field in schema.get('properties', {}).values():
        field.pop('title', None)
    return schema


def with_root_inlined(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Put a definition in the place of a root that only refers to it, as that of a recursive model does.

    Providers want an object at the root.
    """
    reference = schema.get('$ref')
    if reference is None:
        return schema
    definition = schema['$defs'][reference.rpartition('/')[2]]
    return {**definition, **{key: value for key, value in schema.items() if key != '$ref'}}
