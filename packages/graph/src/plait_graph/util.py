"""Type expressions, and the small words that the builder's signatures need."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, cast, get_args, get_origin

from typing_extensions import TypeAliasType, TypeVar

__all__ = 'Maybe', 'Some', 'TypeExpression', 'TypeOrTypeExpression', 'get_callable_name', 'unpack_type_expression'

T = TypeVar('T')
T_co = TypeVar('T_co', covariant=True)


class TypeExpression(Generic[T_co]):
    """Carries a type that is not a class, such as a union or a literal, where a class is asked for.

    Use it subscripted and never as an object: `g.match(TypeExpression[int | str])`.
    """


TypeOrTypeExpression = TypeAliasType('TypeOrTypeExpression', type[TypeExpression[T]] | type[T], type_params=(T,))
"""A class, or a `TypeExpression` around something that is not one."""


def unpack_type_expression(type_: TypeOrTypeExpression[T]) -> type[T]:
    """The type inside of a `TypeExpression`, or the argument itself when it is none."""
    if get_origin(type_) is TypeExpression:
        return cast('type[T]', get_args(type_)[0])
    return cast('type[T]', type_)


@dataclass(frozen=True, slots=True)
class Some(Generic[T_co]):
    """A value that is there, even if it is `None`."""

    value: T_co


Maybe: TypeAlias = Some[T] | None
"""`Some` value, or none."""


def get_callable_name(callable_: Any) -> str:
    """The name of a function, of the function in a partial, or of the class of a callable object."""
    while isinstance(callable_, functools.partial):
        callable_ = cast('functools.partial[Any]', callable_).func
    return str(getattr(callable_, '__name__', None) or str(callable_))
