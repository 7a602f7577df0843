"""Output validators: functions that look at an output before the run ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from plait_agent._functions import Function
from plait_agent._typevars import OutputT

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.output import OutputValidatorFunc


class OutputValidator(Generic[OutputT]):
    """A function that looks at an output and gives it back, changed perhaps.

    Args:
        function: Takes the output, or the context and the output; one that is not async runs in a thread.

    Raises:
        UserError: It takes something else.
    """

    __slots__ = ('_function',)

    def __init__(self, function: OutputValidatorFunc[OutputT]):
        self._function = Function(function, 1, 'Output validator')

    @property
    def function(self) -> OutputValidatorFunc[OutputT]:
        """The function."""
        return self._function.function

    async def validate(self, output: OutputT, ctx: RunContext[Any]) -> OutputT:
        """Give the output to the function.

        Raises:
            ModelRetry: The function wants the model to try again.
        """
        return await self._function.call(ctx, output)
