"""What an agent says to its model before anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from plait_agent._functions import Function
from plait_agent.agent.options import Instructions


@dataclass(slots=True)
class Prompting:
    """Instructions and system prompts of an agent."""

    literals: list[str] = field(default_factory=list[str])
    """Instructions as texts."""
    functions: list[Function] = field(default_factory=list[Function])
    """Instructions as functions."""
    system_prompts: tuple[str, ...] = ()
    system_functions: list[Function] = field(default_factory=list[Function])
    dynamic: dict[str, Function] = field(default_factory=dict[str, Function])
    """System prompt functions that are asked anew, by their names."""

    def with_instructions(self, more: Instructions) -> tuple[str | None, list[Function]]:
        """The instructions of a run: all texts joined, and all functions."""
        if not more:
            return '\n'.join(self.literals) or None, self.functions
        literals, functions = read_instructions(more)
        return '\n'.join([*self.literals, *literals]) or None, [*self.functions, *functions]


def read_instructions(given: Instructions) -> tuple[list[str], list[Function]]:
    """Tell texts from functions."""
    if given is None:
        return [], []
    is_one = not isinstance(given, list | tuple)
    each = cast('Sequence[str | Callable[..., Any]]', [given] if is_one else given)
    literals = [item for item in each if isinstance(item, str)]
    functions = [Function(item, 0, 'Instructions function') for item in each if not isinstance(item, str)]
    return literals, functions
