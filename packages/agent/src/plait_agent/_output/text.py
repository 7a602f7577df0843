"""How the text of an answer becomes an output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import Parameter
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from plait_agent._functions import Function
from plait_agent._output.fences import without_fences
from plait_agent._tool_signature import read_signature
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from plait_agent._output.envelope import Envelope
    from plait_agent._output.processors import Processor
    from plait_agent._run_context import RunContext


class TextProcessor(ABC):
    """How a text becomes an output: it is validated first, and what comes of that is called."""

    __slots__ = ()

    is_plain = False
    """Whether the text is the output."""

    @abstractmethod
    def validate(self, text: str, *, allow_partial: bool = False, validation_context: Any = None) -> Any:
        """Check a text, and make of it what `call` takes.

        Args:
            text: What the model said.
            allow_partial: Whether the model is still speaking.
            validation_context: What validators see as `info.context`.

        Raises:
            ValidationError: The text is not what was asked for.
        """

    @abstractmethod
    async def call(self, value: Any, ctx: RunContext[Any]) -> Any:
        """Make the output of what was validated: run the output function, if there is one.

        Raises:
            ModelRetry: The function wants the model to try again.
        """


class PlainText(TextProcessor):
    """The text is the output."""

    __slots__ = ()

    is_plain = True

    def validate(self, text: str, *, allow_partial: bool = False, validation_context: Any = None) -> str:
        """The text."""
        return text

    async def call(self, value: str, ctx: RunContext[Any]) -> str:
        """The text."""
        return value


class TextFunction(TextProcessor):
    """A function makes the output of the text.

    Args:
        function: Takes the text, or the context and the text.

    Raises:
        UserError: It takes something else.
    """

    __slots__ = ('_function',)

    def __init__(self, function: Callable[..., Any]):
        if not callable(function) or not _takes_one_text(function):
            raise UserError('TextOutput must take a function taking a single `str` argument')
        self._function = Function(function, 1, 'TextOutput function')

    def validate(self, text: str, *, allow_partial: bool = False, validation_context: Any = None) -> str:
        """The text, which the function judges."""
        return text

    async def call(self, value: str, ctx: RunContext[Any]) -> Any:
        """Run the function."""
        work = self._function.call(ctx, value)
        if ctx.tracer is None or ctx.partial_output:
            return await work
        from plait_agent._tracing import traced_output

        return await traced_output(ctx, self._function.name, {'text': value}, work)


class JsonText(TextProcessor):
    """The text is JSON.

    Args:
        data: How the object in it becomes the output.
    """

    __slots__ = ('_data',)

    def __init__(self, data: Processor | Envelope):
        self._data = data

    def validate(self, text: str, *, allow_partial: bool = False, validation_context: Any = None) -> Any:
        """Check the JSON; the fences and words around it are left out."""
        return self._data.validate(without_fences(text), allow_partial=allow_partial, context=validation_context)

    async def call(self, value: Any, ctx: RunContext[Any]) -> Any:
        """Make the output of it."""
        return await self._data.call(value, ctx)


def _takes_one_text(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with a text, or with the context and a text."""
    signature = read_signature(function, takes_ctx=None)
    parameters = list(signature.parameters)
    if not signature.takes_ctx and len(parameters) > 1 and parameters[0].annotation is Parameter.empty:
        del parameters[0]  # the context
    rest = [each for each in parameters if each.kind is not Parameter.KEYWORD_ONLY or each.is_required]
    return len(rest) == 1 and rest[0].kind is not Parameter.KEYWORD_ONLY and _takes_text(rest[0].annotation)


def _takes_text(annotation: Any) -> bool:
    """Whether a parameter can be text; one that is not annotated can."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _takes_text(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return any(map(_takes_text, get_args(annotation)))
    return annotation in (Parameter.empty, str, Any, object)  # no set: not all annotations can be hashed
