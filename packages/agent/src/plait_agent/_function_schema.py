"""The schema of a function: what a model is told to send, what is made of it, and how the function is called with it.

It is made where a tool is registered, so that a function that cannot be a tool is refused there. With this room
pydantic's schemas are imported, so it waits for the first tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import Parameter, isawaitable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaValidator, core_schema

from plait_agent._argument_schema import ArgumentSchema, refuse
from plait_agent._docstrings import DocstringFormat, read_docstring
from plait_agent._functions import is_async
from plait_agent._json_schema import GenerateToolJsonSchema, with_root_inlined
from plait_agent._run_context import RunContext
from plait_agent._tool_signature import AnyFunction, ToolParameter, read_signature

__all__ = 'FunctionSchema', 'any_arguments', 'function_schema', 'schema_by_hand'


@dataclass
class FunctionSchema:
    """How a function is described to a model, and called with what the model sends."""

    function: AnyFunction
    description: str | None
    """What the docstring says that it does."""
    validator: SchemaValidator
    """Turns what the model sends into the arguments by name."""
    json_schema: dict[str, Any]
    """What the model is told to send; not to be changed."""
    takes_ctx: bool
    is_async: bool
    single_arg_name: str | None = None
    """The only parameter, if its fields are what the model sends."""
    positional_fields: list[str] = field(default_factory=list[str])
    """Arguments that are given by position."""
    var_positional_field: str | None = None
    """The argument that is given as `*args`."""

    async def call(self, args_dict: dict[str, Any], ctx: RunContext[Any], *, abandon: bool = False) -> Any:
        """Call the function with validated arguments; one that is not async in a thread.

        Args:
            args_dict: The arguments by name.
            ctx: Given to a function that takes it.
            abandon: Whether a cancelled call leaves its thread behind instead of waiting for it.
        """
        args: list[Any] = [ctx] if self.takes_ctx else []
        if self.positional_fields or self.var_positional_field:
            args_dict = self._moved_to(args, args_dict)
        if self.is_async:
            return await self.function(*args, **args_dict)
        return await _call_in_thread(partial(self.function, *args, **args_dict), abandon)

    def _moved_to(self, args: list[Any], args_dict: dict[str, Any]) -> dict[str, Any]:
        """Add what is given by position, and give what is left."""
        left = dict(args_dict)
        args += [left.pop(name) for name in self.positional_fields]
        if self.var_positional_field:
            args += left.pop(self.var_positional_field)
        return left


async def _call_in_thread(call: partial[Any], abandon: bool) -> Any:
    from anyio.to_thread import run_sync

    # A decorator that is not async itself may hide a function that is; trio takes a bare coroutine for a mistake.
    (result,) = await run_sync(_wrapped, call, abandon_on_cancel=abandon)
    return await result if isawaitable(result) else result


def _wrapped(call: partial[Any]) -> tuple[Any]:
    return (call(),)


def function_schema(
    function: AnyFunction,
    schema_generator: type[GenerateJsonSchema] | None = None,
    *,
    takes_ctx: bool | None = None,
    docstring_format: DocstringFormat = 'auto',
    require_parameter_descriptions: bool = False,
) -> FunctionSchema:
    """Make the schema of a function from its signature and its docstring.

    If the only parameter is a model, a dataclass or a TypedDict, its fields are what the model sends.

    Args:
        function: The function.
        schema_generator: Writes the JSON schema; by default `GenerateToolJsonSchema`.
        takes_ctx: Whether its first parameter is the `RunContext`; `None` to see that from the annotation.
        docstring_format: How the docstring is written.
        require_parameter_descriptions: Whether a parameter that nothing describes is an error.

    Raises:
        UserError: The function cannot be a tool. Each reason has a line.
    """
    signature = read_signature(function, takes_ctx)
    refuse(signature.name, signature.problems)
    documented = read_docstring(signature.docstring, docstring_format)
    arguments = ArgumentSchema(signature.name, signature.parameters, documented.parameters)
    if require_parameter_descriptions and (missing := arguments.undescribed()):
        refuse(signature.name, [f'Missing parameter descriptions for {", ".join(missing)}'])
    core = arguments.core_schema()
    json_schema = with_root_inlined(arguments.json_schema(core, schema_generator or GenerateToolJsonSchema))
    description = documented.description
    if arguments.is_flat and not description:
        description = json_schema.pop('description', None)
    return FunctionSchema(
        function=function,
        description=description,
        validator=SchemaValidator(core, core_schema.CoreConfig(title=signature.name)),
        json_schema=json_schema,
        takes_ctx=signature.takes_ctx,
        is_async=is_async(function),
        single_arg_name=signature.parameters[0].name if arguments.is_flat else None,
        positional_fields=_given_by_position(signature.parameters),
        var_positional_field=_collects_positions(signature.parameters),
    )


def schema_by_hand(
    function: AnyFunction, description: str | None, json_schema: dict[str, Any], *, takes_ctx: bool
) -> FunctionSchema:
    """Take a JSON schema at its word: any object is accepted, and its values are given by name."""
    return FunctionSchema(
        function=function,
        description=description,
        validator=any_arguments(),
        json_schema=json_schema,
        takes_ctx=takes_ctx,
        is_async=is_async(function),
    )


@cache
def any_arguments() -> SchemaValidator:
    """Accepts any JSON object."""
    return SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


def _given_by_position(parameters: Sequence[ToolParameter]) -> list[str]:
    """Those that cannot be given by name, which is all of them in front of `*args`."""
    kinds = {Parameter.POSITIONAL_ONLY}
    if _collects_positions(parameters):
        kinds.add(Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in kinds]


def _collects_positions(parameters: Sequence[ToolParameter]) -> str | None:
    return next((each.name for each in parameters if each.kind is Parameter.VAR_POSITIONAL), None)
