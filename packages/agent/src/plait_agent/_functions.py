"""Functions of the user that may be synchronous or not, and may want a context or not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, final

from plait_agent.exceptions import UserError


@final
class Function:
    """A function that takes so many arguments, or a context before them.

    Args:
        function: The function; a synchronous one is called in a thread.
        arity: How many arguments it has beside the context.
        what: What it is, as messages say it.
    """

    __slots__ = 'function', 'is_async', 'takes_context'

    def __init__(self, function: Callable[..., Any], arity: int, what: str):
        self.function = function
        self.takes_context = _count(function, arity, what) > arity
        self.is_async = is_async(function)

    @property
    def name(self) -> str:
        """What it is called."""
        return name_of(self.function)

    async def call(self, ctx: Any, *args: Any) -> Any:
        """Call it; a synchronous one cannot be stopped, and is waited for if the caller is cancelled."""
        given = (ctx, *args) if self.takes_context else args
        if self.is_async:
            return await self.function(*given)
        from anyio.to_thread import run_sync

        result = await run_sync(partial(self.function, *given))
        return await result if inspect.isawaitable(result) else result

    async def text(self, ctx: Any) -> str | None:
        """Call one that takes nothing else and gives a text or `None`.

        Raises:
            UserError: It gives something else.
        """
        given = await self.call(ctx)
        if given is not None and not isinstance(given, str):
            raise UserError(f'Function {self.name!r} has given {given!r} for a prompt. Let it give a text, or None.')
        return given

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name})'


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling a function gives something to be awaited, as far as can be seen."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, '__call__', None))  # noqa: B004 # it is not called


def name_of(function: Callable[..., Any]) -> str:
    """A function's name; that of the wrapped one, or of the class, if it has none itself."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, '__name__', None) or type(function).__name__


def _count(function: Callable[..., Any], arity: int, what: str) -> int:
    """How many positional arguments a function is to be given."""
    if not callable(function):
        raise UserError(f'{what} {function!r} cannot be called. Give a function.')
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return arity
    kinds = inspect.Parameter
    positional = [each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    needed = sum(each.default is kinds.empty for each in positional)
    has_more = any(each.kind is kinds.VAR_POSITIONAL for each in parameters)
    if needed > arity + 1 or (len(positional) < arity and not has_more):
        raise UserError(
            f'{what} {name_of(function)!r} takes {needed} arguments. '
            f'Let it take {f"{arity}, or the RunContext before that" if arity else "none, or the RunContext"}.'
        )
    return min(len(positional), arity + 1) if not has_more else max(arity, min(len(positional), arity + 1))
