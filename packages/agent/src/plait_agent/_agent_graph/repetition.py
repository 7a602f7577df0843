"""Calls that bring nothing new: the same tool with the same arguments gave the same result, round after round.

Knows what the calls of a round were and gave, and how often that was so before. What follows is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from plait_agent.messages import ToolCallPart, ToolReturnPart


@dataclass(frozen=True, slots=True)
class Repetition:
    """A call that has given the same result in so many rounds, one after the other."""

    call: ToolCallPart
    rounds: int

    def __str__(self) -> str:
        arguments = self.call.args_as_json_str()
        return (
            f'Tool {self.call.tool_name!r} was called {self.rounds} times in a row with the arguments {arguments}, '
            f'and gave the same result each time.'
        )

    @property
    def note(self) -> str:
        """What the model is told."""
        return f'{self} Do not make this call again. Answer with what is known, or do something else.'


def count_round(
    before: Mapping[str, int], answered: Iterable[tuple[ToolCallPart, ToolReturnPart]]
) -> tuple[dict[str, int], Repetition | None]:
    """Count the calls of a round.

    Args:
        before: How many rounds in a row each call of the round before has given the same result.
        answered: The calls of this round with what they gave.

    Returns:
        The same counts for this round, and the call whose count is highest.
    """
    counts: dict[str, int] = {}
    most: Repetition | None = None
    for call, part in answered:
        key = _key(call, part)
        counts[key] = before.get(key, 0) + 1  # a call that is made twice in a round is counted once
        if most is None or counts[key] > most.rounds:
            most = Repetition(call, counts[key])
    return counts, most


def _key(call: ToolCallPart, part: ToolReturnPart) -> str:
    """The same text for the same call with the same result; short, since it is a part of the state of the run."""
    told = json.dumps([call.tool_name, call.args_as_dict(), part.model_response_str()], sort_keys=True, default=str)
    return sha256(told.encode()).hexdigest()
