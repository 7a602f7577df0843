"""How JSON schemas are rewritten for models that understand only a part of the language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias, cast

__all__ = 'InlineDefsJsonSchemaTransformer', 'JsonSchema', 'JsonSchemaTransformer'

JsonSchema: TypeAlias = dict[str, Any]

_DEFS = '#/$defs/'
_ONE = 'items', 'additionalProperties', 'unevaluatedProperties', 'not', 'contains', 'propertyNames'
"""Keywords whose value is a schema (or a boolean)."""
_LISTS = 'prefixItems', 'anyOf', 'oneOf', 'allOf'
"""Keywords whose value is a list of schemas."""
_MAPS = 'properties', 'patternProperties'
"""Keywords whose value is a mapping of names to schemas."""


class JsonSchemaTransformer(ABC):
    """Rewrites a schema from its leaves to its root; a subclass says what becomes of one schema.

    The schema that is given is never changed. A transformer is for one schema.

    Args:
        schema: The schema.
        strict: Whether the model is to be bound to it strictly; `None` if it may be where the schema allows it.
        prefer_inlined_defs: Whether definitions take the place of the references to them. Those that lead back to
            themselves stay definitions.
        simplify_nullable_unions: Whether a choice between one schema and null becomes this schema with `nullable`.
    """

    def __init__(
        self,
        schema: JsonSchema,
        *,
        strict: bool | None = None,
        prefer_inlined_defs: bool = False,
        simplify_nullable_unions: bool = False,
    ):
        self.schema = schema
        self.strict = strict
        self.is_strict_compatible = True
        """Whether the model can be bound to the schema strictly; for `transform` to set."""
        self.prefer_inlined_defs = prefer_inlined_defs
        self.simplify_nullable_unions = simplify_nullable_unions
        self.defs: dict[str, JsonSchema] = schema.get('$defs', {})
        self.refs_stack: list[str] = []
        """The definitions that are being inlined, the innermost last."""
        self.recursive_refs: set[str] = set()
        """The definitions that lead back to themselves."""

    @abstractmethod
    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Rewrite one schema, whose parts have been rewritten; the dictionary given may be changed."""

    def walk(self) -> JsonSchema:
        """Rewrite the whole schema."""
        root = self._handle({key: value for key, value in self.schema.items() if key != '$defs'})
        if not self.prefer_inlined_defs:
            defs = {name: self._handle(each) for name, each in self.defs.items()}
            return {**root, '$defs': defs} if defs else root
        if not self.recursive_refs:
            return root
        return self._with_recursive_defs(root)

    def _with_recursive_defs(self, root: JsonSchema) -> JsonSchema:
        """The rewritten root with those definitions that could not be inlined."""
        defs: dict[str, JsonSchema] = {}
        # Rewriting one may show that another, which it contains, is recursive too.
        while missing := [name for name in self.recursive_refs if name not in defs]:
            name = min(missing)
            self.refs_stack.append(name)
            defs[name] = self._handle(self.defs[name])
            self.refs_stack.pop()
        own = self.schema.get('$ref', '').removeprefix(_DEFS)
        if own in defs:
            return {'$defs': defs, '$ref': _DEFS + own}
        name = 'root'
        while name in self.defs:
            name += '_'
        return {'$defs': {**defs, name: root}, '$ref': _DEFS + name}

    def _handle(self, schema: JsonSchema) -> JsonSchema:
        """A rewritten copy of a schema."""
        name = self._inlined(schema)
        if name is None:
            return self.transform(self._with_parts(schema))
        if name in self.refs_stack:
            self.recursive_refs.add(name)
            return self.transform(dict(schema))
        beside = {key: value for key, value in schema.items() if key != '$ref'}
        self.refs_stack.append(name)
        handled = self._handle({**self.defs[name], **beside})
        self.refs_stack.pop()
        return handled

    def _inlined(self, schema: JsonSchema) -> str | None:
        """The definition that takes the place of a schema, if it is a reference to one."""
        ref = schema.get('$ref')
        if ref is None or not self.prefer_inlined_defs:
            return None
        name = ref.removeprefix(_DEFS)
        return name if name in self.defs else None

    def _with_parts(self, schema: JsonSchema) -> JsonSchema:
        """A copy of a schema whose parts are rewritten."""
        result = dict(schema)
        for key in _ONE:
            if isinstance(result.get(key), dict):
                result[key] = self._handle(result[key])
        for key in _LISTS:
            if key in result:
                result[key] = [self._handle_any(each) for each in result[key]]
        for key in _MAPS:
            if key in result:
                result[key] = {name: self._handle_any(each) for name, each in result[key].items()}
        return self._with_simple_union(result)

    def _handle_any(self, schema: object) -> object:
        """A part of a schema, which may also be a boolean."""
        return self._handle(cast('JsonSchema', schema)) if isinstance(schema, dict) else schema

    def _with_simple_union(self, schema: JsonSchema) -> JsonSchema:
        """The schema without a union that has one member, or, if it is so wanted, one member beside null."""
        members: list[Any] = schema.get('anyOf', [])
        rest = {key: value for key, value in schema.items() if key != 'anyOf'}
        if len(members) == 1 and isinstance(members[0], dict):
            return {**members[0], **rest}
        others = [each for each in members if not _is_null(each)]
        if not self.simplify_nullable_unions or len(members) != 2 or len(others) != 1:
            return schema
        return {**others[0], **rest, 'nullable': True}


class InlineDefsJsonSchemaTransformer(JsonSchemaTransformer):
    """Puts definitions in the place of the references to them, for models that do not follow references."""

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict, prefer_inlined_defs=True)

    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Leave each schema as it is."""
        return schema


def _is_null(schema: object) -> bool:
    return isinstance(schema, dict) and cast('JsonSchema', schema).get('type') == 'null'
