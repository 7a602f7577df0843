"""Output tools: tools whose call ends the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait_agent._output.names import unique_names
from plait_agent._output.processors import WRAPPED
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._output.processors import Processor
    from plait_agent._run_context import RunContext
    from plait_agent.output import ToolOutput
    from plait_agent.tools import ToolDefinition

_NAME = 'final_result'
_DESCRIPTION = 'The final response which ends this conversation'


@dataclass(frozen=True, slots=True)
class OutputTool:
    """A tool whose call ends the run."""

    tool_def: ToolDefinition
    max_retries: int | None
    """How often in a row the model may get its arguments wrong; None leaves it to the agent."""
    processor: Processor

    def validate(
        self, args: str | dict[str, Any] | None, *, allow_partial: bool = False, validation_context: Any = None
    ) -> Any:
        """Check the arguments of a call, and make of them what `call` takes.

        Args:
            args: The arguments; none at all are an empty object.
            allow_partial: Whether the model is still writing them.
            validation_context: What validators see as `info.context`.

        Raises:
            ValidationError: They are not what was asked for.
        """
        data = '{}' if args is None or args == '' else args
        return self.processor.validate(data, allow_partial=allow_partial, context=validation_context)

    async def call(self, value: Any, ctx: RunContext[Any]) -> Any:
        """Make the output of what was validated: run the output function, if it is one.

        Raises:
            ModelRetry: The function wants the model to try again.
        """
        return await self.processor.call(value, ctx)


@dataclass(frozen=True, slots=True)
class ToolDefaults:
    """What is said of all output tools that say nothing themselves."""

    name: str | None = None
    description: str | None = None
    strict: bool | None = None


def make_output_tools(
    outputs: Sequence[ToolOutput[Any]], processors: Sequence[Processor], defaults: ToolDefaults
) -> dict[str, OutputTool]:
    """Make a tool for each output.

    Raises:
        UserError: Two were given the same name.
    """
    names = _names(outputs, processors, defaults.name or _NAME)
    several = len(outputs) > 1
    return {
        name: _output_tool(name, output, processor, defaults, several)
        for name, output, processor in zip(names, outputs, processors, strict=True)
    }


def _output_tool(
    name: str, output: ToolOutput[Any], processor: Processor, defaults: ToolDefaults, several: bool
) -> OutputTool:
    from plait_agent.tools import ToolDefinition

    description = joined_description(output.description or defaults.description, processor.description)
    tool_def = ToolDefinition(
        name=name,
        description=description or (f'{processor.name}: {_DESCRIPTION}' if several else _DESCRIPTION),
        parameters_json_schema=processor.json_schema,
        outer_typed_dict_key=WRAPPED if processor.is_wrapped else None,
        strict=defaults.strict if output.strict is None else output.strict,
        kind='output',
    )
    return OutputTool(tool_def, output.max_retries, processor)


def joined_description(given: str | None, documented: str | None) -> str | None:
    """What was said of an output, before what its docstring says."""
    if given and documented:
        return f'{given.removesuffix(".")}. {documented}'
    return given or documented


def _names(outputs: Sequence[ToolOutput[Any]], processors: Sequence[Processor], base: str) -> list[str]:
    """The names of the tools: those that were given, and for the others made up ones that are free."""
    given = [output.name for output in outputs if output.name]
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f'Two output tools are called {twice!r}, and a call could mean either. '
            f'Give each `ToolOutput` a `name` of its own.'
        )
    made_up = [
        base if len(outputs) == 1 else _made_up(base, processor.name)
        for output, processor in zip(outputs, processors, strict=True)
        if not output.name
    ]
    free = iter(unique_names(made_up, taken=given))
    return [output.name or next(free) for output in outputs]


def _made_up(base: str, name: str) -> str:
    suffix = re.sub(r'[^a-zA-Z0-9_-]', '', name)  # what providers take
    return f'{base}_{suffix}' if suffix else base
