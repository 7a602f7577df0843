"""The arguments of a function as a pydantic schema, and as the JSON schema that a model is shown.

The parameters are the fields of an object. Only pydantic's public hooks are used, so that what it knows of types and of
`Field` holds here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from inspect import Parameter
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, Field, GetCoreSchemaHandler, RootModel, TypeAdapter
from pydantic.errors import (
    PydanticErrorMixin,
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema
from typing_extensions import is_typeddict

from plait_agent._tool_signature import ToolParameter
from plait_agent.exceptions import UserError

_SHOWN = 'description', 'examples', 'deprecated', 'json_schema_extra', 'discriminator'
"""What a `Field` says beside constraints, which are metadata, and what belongs to the field and not to its type."""
_COLLECTING = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD


class _OwnCopy:
    """Marks a type whose schema is to be described, which pydantic would do in the schema that others share."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        own: Any = handler(source).copy()
        own['metadata'] = dict(own.get('metadata', ()))
        return own


_own_copy = _OwnCopy()


class UnknownTypeError(UserError, PydanticSchemaGenerationError):
    """Raised when pydantic does not know how to make what a parameter is annotated with."""


class NoJsonTypeError(UserError, PydanticInvalidForJsonSchema):
    """Raised when JSON has nothing for what a parameter is annotated with."""


def refuse(function: str, problems: Sequence[str], kind: type[UserError] = UserError) -> None:
    """Raise what keeps a function from being a tool, if anything does.

    Raises:
        UserError: There are problems.
    """
    if problems:
        raise kind('\n  '.join((f'Error generating schema for {function}:', *problems)))


class ArgumentSchema:
    """Makes the schemas of a function's arguments.

    Args:
        function: The name of the function.
        parameters: What the model fills in.
        descriptions: What the docstring says of them.
    """

    def __init__(self, function: str, parameters: Sequence[ToolParameter], descriptions: Mapping[str, str]):
        self._function = function
        self._parameters = parameters
        self._infos = {each.name: _field_info(each) for each in parameters}
        self._descriptions = {
            name: descriptions[name]
            for name, info in self._infos.items()
            if name in descriptions and not info.description
        }
        self.is_flat = len(parameters) == 1 and _has_fields(parameters[0], self._infos[parameters[0].name])
        """Whether the fields of the only parameter are the arguments."""

    def undescribed(self) -> list[str]:
        """The parameters of which neither the docstring nor a `Field` says anything."""
        return [name for name, info in self._infos.items() if not info.description and name not in self._descriptions]

    def core_schema(self) -> CoreSchema:
        """What validates arguments, and gives them by name.

        Raises:
            UserError: pydantic does not know the type of a parameter.
        """
        try:
            return _complete(Annotated[Any, self]).core_schema
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
            refuse(self._function, list(self._unknown_types()), UnknownTypeError)
            raise

    def json_schema(self, core: CoreSchema, generator: type[GenerateJsonSchema]) -> dict[str, Any]:
        """What a model is shown.

        Raises:
            UserError: JSON has nothing for the type of a parameter.
        """
        try:
            schema = generator().generate(core)
        except PydanticInvalidForJsonSchema:
            refuse(self._function, list(self._types_without_json(generator)), NoJsonTypeError)
            raise
        if not self.is_flat:
            self._describe(schema['properties'])
        return schema

    def _describe(self, properties: dict[str, Any]) -> None:
        """Add what the docstring says, in the order of keys that pydantic gives."""
        for name, description in self._descriptions.items():
            alias = self._infos[name].validation_alias
            key = alias if isinstance(alias, str) else name
            if key in properties:
                properties[key] = dict(sorted({**properties[key], 'description': description}.items()))

    # ----------------------------------------------------------------------------------- for pydantic

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if self.is_flat:
            single = self._parameters[0]
            return core_schema.no_info_after_validator_function(
                partial(_by_name, single.name), handler.generate_schema(single.annotation)
            )
        fields: dict[str, core_schema.TypedDictField] = {}
        extras: CoreSchema | None = None
        for each in self._parameters:
            schema = handler.generate_schema(self._type(each.name))
            if each.kind is Parameter.VAR_KEYWORD:
                extras = schema
            else:
                fields[each.name] = self._field(each, schema)
        if extras is None:
            return core_schema.typed_dict_schema(fields, extra_behavior='forbid')
        return core_schema.typed_dict_schema(fields, extra_behavior='allow', extras_schema=extras)

    def _type(self, name: str) -> Any:
        """The type of a parameter with what is said of it, but for its default and its alias."""
        info = self._infos[name]
        shown: dict[str, Any] = {key: value for key in _SHOWN if (value := getattr(info, key)) is not None}
        said = (*info.metadata, _own_copy, Field(**shown)) if shown else info.metadata
        return Annotated[info.annotation, *said] if said else info.annotation

    def _field(self, parameter: ToolParameter, schema: CoreSchema) -> core_schema.TypedDictField:
        info = self._infos[parameter.name]
        if info.default_factory is not None:
            schema = core_schema.with_default_schema(
                schema,
                default_factory=info.default_factory,
                default_factory_takes_data=info.default_factory_takes_validated_data,
            )
        elif not info.is_required():
            schema = core_schema.with_default_schema(schema, default=info.default)
        is_required = parameter.is_required and info.is_required()
        return core_schema.typed_dict_field(schema, required=is_required, validation_alias=_alias(info))

    # ----------------------------------------------------------------------------------- for errors

    def _unknown_types(self) -> Iterator[str]:
        for name, annotation, error in self._refused(_complete):
            yield (
                f'Parameter {name!r} is annotated with {annotation!r}, which pydantic cannot validate: '
                f'{error.message.partition(". ")[0]}. Use a type that it knows, or teach it this one with '
                f'`__get_pydantic_core_schema__` or with `Annotated` and a validator.'
            )

    def _types_without_json(self, generator: type[GenerateJsonSchema]) -> Iterator[str]:
        for name, annotation, _ in self._refused(lambda it: _complete(it).json_schema(schema_generator=generator)):
            yield (
                f'Parameter {name!r} is annotated with {annotation!r}, which a model cannot write as JSON. '
                f'Let it send a name, and find in the function what that stands for.'
            )

    def _refused(self, attempt: Callable[[Any], object]) -> Iterator[tuple[str, Any, PydanticErrorMixin]]:
        """The parameters whose types fail an attempt."""
        for name, info in self._infos.items():
            try:
                attempt(info.annotation)
            except (PydanticUserError, PydanticUndefinedAnnotation) as error:
                yield name, info.annotation, error


def _complete(annotation: Any) -> TypeAdapter[Any]:
    """An adapter that is ready for use; pydantic would wait with the names that a model cannot find."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    if not adapter.pydantic_complete:
        adapter.rebuild(force=True)
    return adapter


def _field_info(parameter: ToolParameter) -> FieldInfo:
    """What annotation and default say together, as in a model."""
    annotation: Any = Any if parameter.annotation is Parameter.empty else parameter.annotation
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return FieldInfo.from_annotation(list[annotation])
    if parameter.default is Parameter.empty:
        return FieldInfo.from_annotation(annotation)
    return FieldInfo.from_annotated_attribute(annotation, parameter.default)


def _alias(info: FieldInfo) -> str | list[str | int] | list[list[str | int]] | None:
    alias = info.validation_alias
    return alias if alias is None or isinstance(alias, str) else alias.convert_to_aliases()


def _by_name(name: str, value: Any) -> dict[str, Any]:
    return {name: value}


def _has_fields(parameter: ToolParameter, info: FieldInfo) -> bool:
    """Whether a parameter has to be there, and has a type that is written as an object with fields of its own."""
    kind = get_origin(parameter.annotation) or parameter.annotation
    if not isinstance(kind, type) or parameter.kind in _COLLECTING or not info.is_required():
        return False
    return is_typeddict(kind) or is_dataclass(kind) or (issubclass(kind, BaseModel) and not issubclass(kind, RootModel))
