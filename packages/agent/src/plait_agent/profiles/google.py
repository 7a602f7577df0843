"""What models of Google can do, and which part of JSON schema they understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from plait_agent._json_schema_transformer import JsonSchemaTransformer
from plait_agent.exceptions import UserError
from plait_agent.profiles import ModelProfile

__all__ = 'GoogleJsonSchemaTransformer', 'GoogleModelProfile', 'google_model_profile'

JsonSchema: TypeAlias = dict[str, Any]

_FILES_FROM_TOOLS = 'image/png', 'image/jpeg', 'image/webp', 'application/pdf', 'text/plain'
_DEFS = '#/$defs/'
_MEANINGLESS = frozenset(
    {'$schema', '$comment', 'title', 'discriminator', 'examples', 'deprecated', 'readOnly', 'writeOnly'}
)
"""What says nothing about the data."""
_TOLD = (
    'format', 'minLength', 'maxLength', 'pattern', 'multipleOf', 'uniqueItems', 'exclusiveMinimum', 'exclusiveMaximum',
    'minProperties', 'maxProperties', 'propertyNames',
)  # fmt: skip
"""What Gemini leaves out of account, and what the model is therefore told in the description."""
_TYPES = {str: 'string', int: 'integer', float: 'number'}


@dataclass(kw_only=True)
class GoogleModelProfile(ModelProfile):
    """What a model of Google can do."""

    google_supports_native_output_with_builtin_tools: bool = False
    """Whether its answer can be bound to a JSON schema while it uses built-in tools."""
    google_supports_tool_combination: bool = False
    """Whether it can be given built-in tools, the program's tools and a JSON schema for its answer together."""
    google_supports_server_side_tool_invocations: bool = False
    """Whether its calls of built-in tools are parts of its answer, which are sent back with the history."""
    google_supports_strict_tool_definition: bool = False
    """Whether it can be held to the schemas of tools that it is free to call."""
    google_supported_mime_types_in_tool_returns: tuple[str, ...] = ()
    """The media types of files that it takes as part of what a tool returns."""


def google_model_profile(model_name: str) -> GoogleModelProfile:
    """Give the profile of a model of Google by its name; what is not known counts as one of the latest."""
    version = _version_of(model_name)
    is_third = version >= (3, 0)
    makes_images = 'image' in model_name
    answers_json = not makes_images or is_third
    return GoogleModelProfile(
        json_schema_transformer=GoogleJsonSchemaTransformer,
        supports_image_output=makes_images,
        supports_json_schema_output=answers_json,
        supports_json_object_output=answers_json,
        supports_tools=not makes_images,
        google_supports_native_output_with_builtin_tools=is_third,
        google_supports_tool_combination=is_third,
        google_supports_server_side_tool_invocations=is_third,
        google_supports_strict_tool_definition=version >= (2, 5) and not makes_images,
        google_supported_mime_types_in_tool_returns=_FILES_FROM_TOOLS if is_third else (),
    )


def _version_of(model_name: str) -> tuple[int, int]:
    import re

    if 'gemma' in model_name:
        return 1, 0  # open models, which have none of the later features of the API
    found = re.search(r'gemini-(\d+)(?:\.(\d+))?', model_name)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)


class GoogleJsonSchemaTransformer(JsonSchemaTransformer):
    """Rewrites schemas to what Gemini takes as `responseJsonSchema` and `parametersJsonSchema`.

    What it does not take into account, such as formats and patterns, is told in the description. References stand
    alone, and those that lead back to where they stand only in properties that are not required.

    Raises:
        UserError: A reference leads out of the schema.
    """

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict)
        self.is_strict_compatible = bool(strict)  # a matter of the tool: it costs the model some freedom

    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Rewrite one schema."""
        schema = {key: value for key, value in schema.items() if key not in _MEANINGLESS}
        _merge_all_of(schema)
        _replace_const(schema)
        self._replace_patterns(schema)
        self._tell(schema)
        return self._with_lone_reference(_with_plain_enum(schema))

    def walk(self) -> JsonSchema:
        """Rewrite the whole schema."""
        schema = super().walk()
        defs: dict[str, JsonSchema] = schema.get('$defs', {})
        leads_to = _reachable({name: set(_references(each)) for name, each in defs.items()})
        for name, each in defs.items():
            back = {other for other in defs if name in leads_to[other]}
            if name in back:
                defs[name] = _loosened(each, back)
        return schema

    def _replace_patterns(self, schema: JsonSchema) -> None:
        """Say of keys that have patterns what their values are, and tell the patterns."""
        patterns: dict[str, Any] = schema.pop('patternProperties', {})
        if patterns and isinstance(schema.get('additionalProperties', False), bool):
            values = list(patterns.values())
            schema['additionalProperties'] = values[0] if len(values) == 1 else {'anyOf': values}
            schema['propertyNames'] = {'pattern': '|'.join(patterns)}

    def _tell(self, schema: JsonSchema) -> None:
        """Move what Gemini leaves out of account to the description."""
        if schema.get('type') == 'integer':
            _include_bounds(schema)
        said = [f'{name}: {self._shown(schema.pop(name))}' for name in _TOLD if name in schema]
        if not said:
            return
        told, before = ', '.join(said), schema.get('description')
        schema['description'] = f'{before} ({told})' if before else told[0].upper() + told[1:]

    def _shown(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            names = cast('JsonSchema', value)
            names = self.defs.get(str(names.get('$ref', '')).removeprefix(_DEFS), names)
            return json.dumps(names.get('enum') or names)
        return json.dumps(value)

    def _with_lone_reference(self, schema: JsonSchema) -> JsonSchema:
        """A schema in which nothing stands beside a reference."""
        reference = schema.get('$ref')
        if reference is None:
            return schema
        if not reference.startswith(_DEFS) or reference.removeprefix(_DEFS) not in self.defs:
            raise UserError(
                f'A JSON schema for Google refers to {reference!r}, which is not in its "$defs". '
                f'Put the definition there, or in the place of the reference.'
            )
        rest = {key: value for key, value in schema.items() if key != '$ref'}
        return {**rest, 'anyOf': [{'$ref': reference}]} if rest else schema


def _merge_all_of(schema: JsonSchema) -> None:
    """Put the members of `allOf`, which Gemini does not know, into the schema itself."""
    members: list[Any] = schema.pop('allOf', [])
    for member in members:
        for key, value in member.items():
            if key == 'properties':
                schema[key] = {**schema.get(key, {}), **value}
            elif key == 'required':
                schema[key] = list(dict.fromkeys((*schema.get(key, ()), *value)))
            else:
                schema.setdefault(key, value)


def _replace_const(schema: JsonSchema) -> None:
    if 'const' in schema:
        schema['enum'] = [schema.pop('const')]


def _with_plain_enum(schema: JsonSchema) -> JsonSchema:
    """A schema whose choices are all texts or all numbers of a kind, as Gemini wants them."""
    values: list[Any] | None = schema.get('enum')
    if values is None:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ('enum', 'type')}
    by_type: dict[str, list[Any]] = {}
    for value in values:
        by_type.setdefault(_TYPES.get(cast('type[Any]', type(value)), ''), []).append(value)
    choices: list[JsonSchema] = [{'type': name, 'enum': each} for name, each in by_type.items() if name]
    others = by_type.get('', [])
    choices += [_choice(value) for value in others]
    return {**choices[0], **rest} if len(choices) == 1 else {**rest, 'anyOf': choices}


def _choice(value: Any) -> JsonSchema:
    """One choice that is no text and no number."""
    if value is None:
        return {'type': 'null'}
    kind = 'boolean' if isinstance(value, bool) else 'array' if isinstance(value, list) else 'object'
    return {'type': kind, 'description': f'Always {json.dumps(value)}'}


def _include_bounds(schema: JsonSchema) -> None:
    """Say of a whole number which is the least and the largest, where it was said which are not allowed any more."""
    for key, limit, step, stricter in (
        ('exclusiveMinimum', 'minimum', 1, max),
        ('exclusiveMaximum', 'maximum', -1, min),
    ):
        if isinstance(schema.get(key), int):
            bound = schema.pop(key) + step
            schema[limit] = stricter(bound, schema.get(limit, bound))


def _loosened(schema: Any, back: set[str], *, is_optional: bool = False) -> Any:
    """A definition in which references that lead back to it stand only in properties that are not required.

    The others become whatever there may be: Gemini would follow them without end.
    """
    if isinstance(schema, list):
        return [_loosened(each, back, is_optional=is_optional) for each in cast('list[Any]', schema)]
    if not isinstance(schema, dict):
        return schema
    known = cast('JsonSchema', schema)
    if set(_own_reference(known)) & back:
        return known if is_optional else {}
    loose = {key: _loosened(value, back, is_optional=is_optional) for key, value in known.items()}
    properties = known.get('properties')
    if isinstance(properties, dict):
        named = cast('dict[str, Any]', properties)
        loose['properties'] = {name: _loosened(each, back, is_optional=True) for name, each in named.items()}
        required = [name for name in known.get('required', ()) if not set(_references(named.get(name))) & back]
        if 'required' in known:
            loose['required'] = required
    return loose


def _own_reference(schema: JsonSchema) -> Iterator[str]:
    reference = schema.get('$ref')
    if isinstance(reference, str):
        yield reference.removeprefix(_DEFS)


def _references(schema: Any) -> Iterator[str]:
    """The definitions that a schema refers to."""
    if isinstance(schema, list):
        for each in cast('list[Any]', schema):
            yield from _references(each)
    elif isinstance(schema, dict):
        known = cast('JsonSchema', schema)
        yield from _own_reference(known)
        for each in known.values():
            yield from _references(each)


def _reachable(steps: dict[str, set[str]]) -> dict[str, set[str]]:
    """What can be reached from each name, in one step or more."""
    reached = {name: set(others) for name, others in steps.items()}
    for _ in reached:
        for others in reached.values():
            others.update(*(reached.get(each, ()) for each in tuple(others)))
    return reached
