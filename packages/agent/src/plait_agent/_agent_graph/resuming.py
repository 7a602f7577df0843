"""Which calls of an earlier run wait for results, and what was decided about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait_agent._agent_graph.calls import SKIP
from plait_agent._agent_graph.histories import answered_ids
from plait_agent.exceptions import UserError
from plait_agent.messages import ModelMessage, ModelResponse
from plait_agent.tools import ToolApproved, ToolDenied

if TYPE_CHECKING:
    from plait_agent.tools import DeferredToolResults


@dataclass(frozen=True, slots=True)
class Resumed:
    """A response whose calls can be answered now."""

    response: ModelResponse
    results: dict[str, Any]
    metadata: dict[str, dict[str, Any]]


def given_results(messages: Sequence[ModelMessage], given: DeferredToolResults) -> Resumed:
    """Put results to the calls that wait for them.

    Raises:
        UserError: The history has no such calls, or not exactly these.
    """
    if not messages:
        raise UserError('Tool call results were provided, but the message history is empty.')
    place = next((at for at in reversed(range(len(messages))) if isinstance(messages[at], ModelResponse)), None)
    if place is None:
        raise UserError('Tool call results were provided, but the message history does not contain a `ModelResponse`.')
    response = messages[place]
    waiting = response.tool_calls if isinstance(response, ModelResponse) else []
    if not waiting or not isinstance(response, ModelResponse):
        raise UserError(
            'Tool call results were provided, but the message history does not contain any unprocessed tool calls.'
        )
    results = {call_id: _approval(call_id, value) for call_id, value in given.approvals.items()} | dict(given.calls)
    answered = answered_ids(messages[place + 1 :])
    for call_id in results:
        if call_id in answered:
            raise UserError(f'Tool call {call_id!r} was already executed and its result cannot be overridden.')
    expected, got = {call.tool_call_id for call in waiting}, {*results, *answered}
    if expected != got:
        raise UserError(
            f'Tool call results need to be provided for all deferred tool calls. '
            f'Expected: {_shown(expected)}, got: {_shown(got)}'
        )
    return Resumed(response, results | dict.fromkeys(answered, SKIP), dict(given.metadata))


def _approval(call_id: str, value: Any) -> ToolApproved | ToolDenied:
    if isinstance(value, bool):
        return ToolApproved() if value else ToolDenied()
    if not isinstance(value, ToolApproved | ToolDenied):
        raise UserError(
            f'approvals[{call_id!r}] is {value!r}, which does not say whether the call may be made. '
            f'Give True, False, ToolApproved or ToolDenied there, and results of calls in `calls`.'
        )
    return value


def _shown(ids: set[str]) -> str:
    """A set in the same order each time."""
    return f'{{{", ".join(map(repr, sorted(ids)))}}}'
