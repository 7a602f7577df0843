"""Makes processors: of functions here, and of types where pydantic is at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait_agent._functions import name_of
from plait_agent._output.members import is_function
from plait_agent._output.processors import Processor


def make_processor(output: Any) -> Processor:
    """Make the processor of a type or a function.

    Raises:
        UserError: Models cannot be asked for it.
    """
    if is_function(output):
        return _function_processor(output)
    from plait_agent._output.type_processors import make_type_processor

    return make_type_processor(output)


def _function_processor(function: Callable[..., Any]) -> Processor:
    from plait_agent._function_schema import function_schema

    schema = function_schema(function)
    # A schema that is that of the only parameter would go on describing it.
    json_schema = {key: value for key, value in schema.json_schema.items() if key != 'description'}
    return Processor(name_of(function), schema.description, json_schema, schema.validator, function=schema)
