"""How a JSON object that a model gives becomes an output: one type or function at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pydantic_core import ValidationError, from_json

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from plait_agent._function_schema import FunctionSchema
    from plait_agent._run_context import RunContext

JsonObject: TypeAlias = dict[str, Any]

WRAPPED = 'response'
"""The property that holds what is no object itself."""


@dataclass(frozen=True, slots=True)
class Processor:
    """How a JSON object becomes an output."""

    name: str
    """What models know it by."""
    description: str | None
    json_schema: JsonObject
    """That of the object; not to be changed."""
    validator: SchemaValidator
    is_wrapped: bool = False
    """Whether the object holds the output as its `response`."""
    function: FunctionSchema | None = None
    """What makes the output, if a function does."""

    def validate(self, data: str | Mapping[str, Any], *, allow_partial: bool = False, context: Any = None) -> Any:
        """Check an object, and make of it what `call` takes.

        Args:
            data: The object, as JSON or in Python.
            allow_partial: Whether its end may be missing.
            context: What validators see as `info.context`.

        Raises:
            ValidationError: It is not what was asked for.
        """
        try:
            value = self._validated(data, allow_partial, context)
        except ValidationError:
            plain = _unquoted(data) if self.is_wrapped and not allow_partial else None
            if plain is None or (value := self._validated_or_none(plain, context)) is None:
                raise
        return value[WRAPPED] if self.is_wrapped else value

    async def call(self, value: Any, ctx: RunContext[Any]) -> Any:
        """Make the output of what was validated: run the output function, if it is one."""
        if self.function is None:
            return value
        work = self.function.call(value, ctx)
        if ctx.tracer is None or ctx.partial_output:
            return await work
        from plait_agent._tracing import traced_output

        return await traced_output(ctx, self.name, value, work)

    def _validated(self, data: str | Mapping[str, Any], allow_partial: bool, context: Any) -> Any:
        partial = 'trailing-strings' if allow_partial else 'off'
        if isinstance(data, str):
            return self.validator.validate_json(data, context=context, allow_partial=partial)
        return self.validator.validate_python(data, context=context, allow_partial=partial)

    def _validated_or_none(self, data: JsonObject, context: Any) -> JsonObject | None:
        try:
            return self._validated(data, False, context)
        except ValidationError:
            return None


def _unquoted(data: str | Mapping[str, Any]) -> JsonObject | None:
    """The object with what its response says as JSON, for models that write JSON within JSON."""
    try:
        found = cast('Mapping[str, Any]', from_json(data) if isinstance(data, str) else data)
        return {WRAPPED: from_json(found[WRAPPED])}
    except (ValueError, TypeError, KeyError):  # it is not JSON, no text, or not there
        return None
