"""What the annotations of a function mean, also where they are texts that name something from a local scope."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

_FAILURES = NameError, AttributeError, TypeError, SyntaxError
"""What Python raises for a text that does not stand for a type."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation that stands for no type."""

    text: str
    reason: str
    """What Python says of it."""


def read_annotations(owner: Any, listed: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve annotations.

    Names are looked for where the owner was defined, then among the variables of the code that uses this package. An
    annotation that cannot be resolved is `Unresolved`, and the others are not touched by that.

    Args:
        owner: The function or class that carries them.
        listed: Those that are asked for, as they are written.
    """
    try:
        hints = get_type_hints(owner, include_extras=True)
    except _FAILURES:
        hints = _one_by_one(owner, listed)
    return {name: hints.get(name, annotation) for name, annotation in listed.items()}


def _one_by_one(owner: Any, listed: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = getattr(owner, '__globals__', {})  # compiled functions have none
    local = _callers_variables()
    return {name: _resolved(annotation, known, local) for name, annotation in listed.items()}


def _resolved(annotation: Any, known: dict[str, Any], local: dict[str, Any]) -> Any:
    holder = SimpleNamespace(__annotations__={'it': annotation})
    try:
        return get_type_hints(holder, known, local, include_extras=True)['it']
    except _FAILURES as error:
        return Unresolved(str(annotation), str(error))


def _callers_variables() -> dict[str, Any]:
    """The variables of the code that called into this package."""
    own = f'{__package__}.'
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] # inspect.stack reads all sources on its way
    while frame.f_back is not None and f'{frame.f_globals.get("__name__", "")}.'.startswith(own):
        frame = frame.f_back
    return dict(frame.f_locals)
