"""What is different about an agent within a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNSET: Any = object()
"""Stands for what is not overridden."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What stands for the agent's own, and for what runs say."""

    name: Any = UNSET
    deps: Any = UNSET
    model: Any = UNSET
    toolsets: Any = UNSET
    tools: Any = UNSET
    instructions: Any = UNSET
    metadata: Any = UNSET


NONE = Overrides()
