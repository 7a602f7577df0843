"""How a run can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(slots=True)
class Ended:
    """The run has a value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The run has failed, with all that failed before it stopped."""

    errors: list[BaseException]


Outcome: TypeAlias = Ended | Failed
