"""Several kinds of data in one JSON object, which says of which kind it is.

A provider that holds a model to a schema takes one schema: `{"result": {"kind": "Foo", "data": {...}}}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import SchemaValidator, core_schema

from plait_agent._output.definitions import gathered
from plait_agent._output.names import unique_names
from plait_agent._output.processors import JsonObject, Processor

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

    from plait_agent._run_context import RunContext


class _Chosen(NamedTuple):
    """Data that was validated, with what makes the output of it."""

    processor: Processor
    value: Any


class _Terms(NamedTuple):
    """What the validator of the envelope passes on to that of the data in it."""

    allow_partial: bool
    context: Any


class Envelope:
    """How an object that says of which kind its data is becomes an output.

    It has no name and no description of its own.

    Args:
        processors: One for each kind.
    """

    name = None
    description = None

    def __init__(self, processors: Sequence[Processor]):
        kinds = unique_names(each.name for each in processors)
        self._processors = dict(zip(kinds, processors, strict=True))
        self._validator = SchemaValidator(self._core_schema(), core_schema.CoreConfig(title='Result'))
        self.json_schema = _envelope_schema(self._processors)

    def validate(self, data: str, *, allow_partial: bool = False, context: Any = None) -> Any:
        """Check an object in JSON, and make of it what `call` takes.

        Raises:
            ValidationError: The object or its data is not what was asked for.
        """
        partial = 'trailing-strings' if allow_partial else 'off'
        terms = _Terms(allow_partial, context)
        return self._validator.validate_json(data, context=terms, allow_partial=partial)['result']['data']

    async def call(self, value: _Chosen, ctx: RunContext[Any]) -> Any:
        """Make the output of what was validated: run the output function, if it is one."""
        return await value.processor.call(value.value, ctx)

    def _core_schema(self) -> CoreSchema:
        kind = core_schema.literal_schema(list(self._processors))
        data = core_schema.with_info_plain_validator_function(self._validated_data)
        result = {'kind': core_schema.typed_dict_field(kind), 'data': core_schema.typed_dict_field(data)}
        result_field = core_schema.typed_dict_field(core_schema.typed_dict_schema(result))
        return core_schema.typed_dict_schema({'result': result_field})

    def _validated_data(self, data: Any, info: core_schema.ValidationInfo[_Terms]) -> _Chosen | None:
        """Check the data by its kind; its errors get their place in the envelope from pydantic."""
        kind = info.data.get('kind')
        if kind is None:  # which is an error of its own
            return None
        processor = self._processors[kind]
        terms = info.context
        return _Chosen(processor, processor.validate(data, allow_partial=terms.allow_partial, context=terms.context))


def _envelope_schema(processors: Mapping[str, Processor]) -> JsonObject:
    schemas, definitions = gathered(each.json_schema for each in processors.values())
    kinds = [
        _kind_schema(kind, processor.description, schema)
        for (kind, processor), schema in zip(processors.items(), schemas, strict=True)
    ]
    envelope = _closed_object({'result': {'anyOf': kinds}})
    return envelope | {'$defs': definitions} if definitions else envelope


def _kind_schema(kind: str, description: str | None, schema: JsonObject) -> JsonObject:
    data = {key: value for key, value in schema.items() if key not in {'title', 'description'}}
    told = {'title': kind} | ({'description': description} if description else {})
    return _closed_object({'kind': {'type': 'string', 'const': kind}, 'data': data}) | told


def _closed_object(properties: JsonObject) -> JsonObject:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(properties),
        'additionalProperties': False,
    }
