"""What stands in an `output_type`, one by one: types, functions and markers."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin

from typing_extensions import TypeAliasType

from plait_agent.exceptions import UserError
from plait_agent.output import NativeOutput, PromptedOutput, TextOutput, ToolOutput

TEXT_MARKERS: tuple[Any, ...] = NativeOutput, PromptedOutput
"""What asks for data as the text of an answer."""
MARKERS: tuple[Any, ...] = ToolOutput, *TEXT_MARKERS, TextOutput

# From Python 3.12 on there is one of the language, and one for those who write for older ones too.
_ALIASES = TypeAliasType, getattr(typing, 'TypeAliasType', TypeAliasType)
_OF_TYPES = 'typing', 'typing_extensions', 'types'


def flattened(output_type: Any) -> Iterator[Any]:
    """The single outputs of a type, a union, or a sequence of anything, however nested.

    Raises:
        UserError: Something in it is none.
    """
    if is_sequence(output_type):
        for each in output_type:
            yield from flattened(each)
        return
    members = union_members(output_type)
    for each in members:
        check_kind(each)
    yield from members


def is_sequence(output_type: Any) -> bool:
    """Whether there may be several outputs in it."""
    return isinstance(output_type, Sequence) and not isinstance(output_type, str | bytes)


def union_members(output_type: Any) -> Sequence[Any]:
    """The members of a union, also of one that a type alias stands for; anything else alone."""
    meaning = _aliased(output_type) if isinstance(output_type, _ALIASES) else output_type
    if get_origin(meaning) in {Union, UnionType}:
        return [member for each in get_args(meaning) for member in union_members(each)]
    if output_type is None:
        return [NoneType]
    # The name of an alias says something of a list, and nothing of a class.
    return [meaning if isinstance(meaning, type) else output_type]


def _aliased(alias: Any) -> Any:
    """What an alias stands for."""
    try:
        meaning = alias.__value__
    except NameError as error:
        raise UserError(
            f'Output type {alias} stands for something that is not defined: {error}. '
            f'Define it before the agent, where the alias can see it.'
        ) from error
    return _aliased(meaning) if isinstance(meaning, _ALIASES) else meaning


def is_function(output: Any) -> bool:
    """Whether an output is made by a function, or is the instance of a type."""
    return callable(output) and not _is_type(output)


def _is_type(output: Any) -> bool:
    # What typing makes can often be called too.
    return isinstance(output, type) or get_origin(output) is not None or type(output).__module__ in _OF_TYPES


def check_kind(output: Any) -> None:
    """Refuse what is neither a type nor a function nor a marker.

    Raises:
        UserError: It is none.
    """
    if isinstance(output, str | ForwardRef):
        raise UserError(
            f'Output type {shown(output)} is the name of a type, and nobody knows where to look for it. '
            f'Give the type itself, and define it before the agent.'
        )
    if not (output is None or isinstance(output, MARKERS) or _is_type(output) or callable(output)):
        raise UserError(
            f'Output type {shown(output)} is neither a type nor a function. '
            f'Give a type, a function, a marker such as `ToolOutput`, or a list of these.'
        )


def shown(output: Any) -> str:
    """An output as a message names it."""
    if isinstance(output, ForwardRef):
        return repr(output.__forward_arg__)
    if isinstance(output, type):
        return output.__qualname__
    return f'`{type(output).__name__}`' if isinstance(output, MARKERS) else repr(output)
