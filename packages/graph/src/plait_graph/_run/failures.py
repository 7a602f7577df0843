"""What is raised when a run has failed: the user's own exceptions, none dropped."""

from __future__ import annotations

from typing import NoReturn

from plait_graph.exceptions import GraphRuntimeError
from plait_graph.run_options import ErrorMode


def raise_failures(errors: list[BaseException], mode: ErrorMode) -> NoReturn:
    """Raise one failure as itself, and several as a group or as the first one with notes of the others."""
    if not errors:
        raise GraphRuntimeError('The run was cancelled before it had a result.')
    first = next((error for error in errors if not isinstance(error, Exception)), errors[0])
    if mode == 'first' or not isinstance(first, Exception):  # KeyboardInterrupt and its like stay themselves
        for other in errors:
            if other is not first:
                first.add_note(f'another step failed as well: {other!r}')
        raise first
    if len(errors) == 1:
        raise first
    raise BaseExceptionGroup(f'{len(errors)} steps failed', errors)
