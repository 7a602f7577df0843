"""What the signature of a function says of the tool that it becomes.

Functions, methods, `functools.partial`, classes and objects that can be called are all read into one record. Knows
nothing of pydantic: annotations are passed on as they are.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction, isroutine, signature, unwrap
from typing import Any, NotRequired, Required, TypeAlias, cast, get_args, get_origin

import typing_extensions

from plait_agent._annotations import Unresolved, read_annotations
from plait_agent._functions import name_of
from plait_agent._run_context import RunContext
from plait_agent.exceptions import UserError

AnyFunction: TypeAlias = Callable[..., Any]
_UNPACK = typing.Unpack, typing_extensions.Unpack  # two different things in Python 3.11


@dataclass(frozen=True, slots=True)
class ToolParameter:
    """A parameter of a function that becomes a tool."""

    name: str
    kind: Any
    """One of the kinds of `inspect.Parameter`."""
    annotation: Any
    default: Any = Parameter.empty
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """What can be said of a tool before its types are looked at."""

    name: str
    docstring: str | None
    parameters: tuple[ToolParameter, ...]
    """What the model fills in: all but the context."""
    takes_ctx: bool
    problems: tuple[str, ...]
    """What keeps the function from being a tool."""


def read_signature(function: AnyFunction, takes_ctx: bool | None) -> ToolSignature:
    """Read the signature of a function that becomes a tool.

    Args:
        function: What can be called.
        takes_ctx: Whether its first parameter is the `RunContext`; `None` to see that from the annotation.

    Raises:
        UserError: It cannot be called, or has no signature.
    """
    if not callable(function):
        raise UserError(f'{function!r} cannot be a tool, since it cannot be called. Give a function.')
    declared = _declared(function)
    parameters = tuple(_parameters(function, declared))
    if takes_ctx is None:
        takes_ctx = bool(parameters) and _is_context(parameters[0])
    return ToolSignature(
        name=name_of(function),
        docstring=_docstring(declared),
        parameters=tuple(_with_unpacked(parameters[1:] if takes_ctx else parameters)),
        takes_ctx=takes_ctx,
        problems=(*_context_problems(parameters, takes_ctx), *_name_problems(parameters), *_body_problems(function)),
    )


# ------------------------------------------------------------------------------------- what it is


def _declared(function: AnyFunction) -> Any:
    """Where a programmer has written the parameters: behind partials and decorators."""
    function = unwrap(function)
    return _declared(function.func) if isinstance(function, partial) else function


def _annotated(declared: Any) -> Any:
    """What carries its annotations."""
    if isinstance(declared, type):
        return declared.__init__
    return declared if isroutine(declared) else declared.__call__


def _docstring(declared: Any) -> str | None:
    """Its docstring; for an object that of its call, then that of its class."""
    own = declared.__doc__
    return own if isroutine(declared) or isinstance(declared, type) else declared.__call__.__doc__ or own


def _body_problems(function: AnyFunction) -> Iterator[str]:
    bodies = (function, type(function).__call__)
    if any(isgeneratorfunction(each) or isasyncgenfunction(each) for each in bodies):
        yield 'A tool answers once, and this is a generator. Collect the items in a list and return that.'


# ------------------------------------------------------------------------------------- parameters


def _parameters(function: Any, declared: Any) -> Iterator[ToolParameter]:
    # What a partial has bound by name is settled, and may be a secret; inspect goes on listing it with its value.
    bound = cast('partial[Any]', function).keywords if isinstance(function, partial) else {}
    listed = {name: each for name, each in _listed(function).items() if name not in bound}
    annotations = read_annotations(_annotated(declared), {name: each.annotation for name, each in listed.items()})
    for name, each in listed.items():
        yield ToolParameter(name, each.kind, annotations[name], each.default, each.default is Parameter.empty)


def _listed(function: Any) -> Mapping[str, Parameter]:
    if isinstance(function, partial):
        # One that poses as the function in it (functools.update_wrapper) would list what it has bound.
        given = cast('partial[Any]', function)
        function = partial(given.func, *given.args, **given.keywords)
    try:
        return signature(function).parameters
    except ValueError as error:
        raise UserError(f'Error generating schema for {name_of(function)}:\n  {error}') from error


def _with_unpacked(parameters: Iterable[ToolParameter]) -> Iterator[ToolParameter]:
    """The parameters, with `**kwargs: Unpack[...]` taken apart."""
    for each in parameters:
        if each.kind is Parameter.VAR_KEYWORD and get_origin(each.annotation) in _UNPACK:
            yield from _keys(get_args(each.annotation)[0])
        else:
            yield each


def _keys(typed_dict: Any) -> Iterator[ToolParameter]:
    """The keys of a TypedDict as parameters."""
    annotations = read_annotations(typed_dict, typed_dict.__annotations__)
    for name, annotation in annotations.items():
        mark = get_origin(annotation)
        plain = get_args(annotation)[0] if mark in {Required, NotRequired} else annotation
        # Where annotations are texts, the class itself does not see the marks.
        is_required = mark is Required or (mark is not NotRequired and name in typed_dict.__required_keys__)
        yield ToolParameter(name, Parameter.KEYWORD_ONLY, plain, is_required=is_required)


# ------------------------------------------------------------------------------------- problems


def _is_context(parameter: ToolParameter) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, Unresolved):
        # Types of dependencies are often imported for type checkers alone, and nothing here needs them.
        return annotation.text.partition('[')[0].rpartition('.')[2] == RunContext.__name__
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, RunContext)


def _context_problems(parameters: Sequence[ToolParameter], takes_ctx: bool) -> Iterator[str]:
    if takes_ctx and not _may_be_context(parameters):
        yield 'First parameter of tools that take context must be annotated with RunContext[...]'
    if takes_ctx and parameters and parameters[0].kind is Parameter.KEYWORD_ONLY:
        yield f'The context is given by position, and {parameters[0].name!r} can only be given by name. Move the `*`.'
    if not takes_ctx and any(map(_is_context, parameters)):
        yield 'RunContext annotations can only be used with tools that take context'
    if takes_ctx and any(map(_is_context, parameters[1:])):
        yield 'RunContext annotations can only be used as the first argument'


def _may_be_context(parameters: Sequence[ToolParameter]) -> bool:
    return bool(parameters) and (_is_context(parameters[0]) or parameters[0].annotation is Parameter.empty)


def _name_problems(parameters: Iterable[ToolParameter]) -> Iterator[str]:
    for each in parameters:
        if isinstance(each.annotation, Unresolved) and not _is_context(each):
            yield (
                f'Parameter {each.name!r} is annotated with {each.annotation.text!r}, but {each.annotation.reason}. '
                f'Let it name a type that the function can see at run time.'
            )
