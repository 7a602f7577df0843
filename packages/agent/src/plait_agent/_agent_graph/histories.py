"""The messages of a run as a whole: what processors make of them, and which tool calls in them have no answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from plait_agent._agent_graph.records import GraphAgentState
from plait_agent._agent_graph.step import AgentContext
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
)
from plait_agent.tools import RunContext

CANCELLED, FAILED = 'the run was cancelled', 'the run failed'
"""Why calls were not made."""


async def process_history(ctx: AgentContext, context: RunContext[Any]) -> None:
    """Let each processor give the history of the run a new form.

    Raises:
        UserError: Nothing is left, or what is left does not end with a request.
    """
    state, deps = ctx.state, ctx.deps
    messages: list[ModelMessage] = state.message_history[:]
    own = len(messages) - deps.new_message_index
    for processor in deps.history_processors:
        messages = await processor.call(context, messages)
    if not messages:
        raise UserError('Processed history cannot be empty.')
    if not isinstance(messages[-1], ModelRequest):
        raise UserError('Processed history must end with a `ModelRequest`.')
    state.message_history[:] = messages
    deps.new_message_index = max(0, len(messages) - own)


def note_request(state: GraphAgentState, request: ModelRequest) -> None:
    """Put a request into the history that is not sent by this run."""
    request.timestamp = datetime.now(tz=UTC)
    request.run_id = state.run_id
    state.message_history.append(request)


def unanswered(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    """The tool calls of the last response that nothing has answered. Looks no further back than that response."""
    place = next((at for at in reversed(range(len(messages))) if isinstance(messages[at], ModelResponse)), None)
    if place is None:
        return []
    response, answered = messages[place], answered_ids(messages[place + 1 :])
    calls = response.tool_calls if isinstance(response, ModelResponse) else []
    return [call for call in calls if call.tool_call_id not in answered]


def answered_ids(messages: Sequence[ModelMessage]) -> set[str]:
    """The ids of the tool calls that these messages answer."""
    return {
        part.tool_call_id
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart | RetryPromptPart)
    }


def answer_calls(state: GraphAgentState, reason: str) -> None:
    """Answer the calls of the last response without making them, so that the history can be sent again."""
    calls = unanswered(state.message_history)
    if calls:
        parts = [ToolReturnPart(call.tool_name, f'Tool not executed - {reason}.', call.tool_call_id) for call in calls]
        note_request(state, ModelRequest(parts))


def reason_of(error: BaseException) -> str:
    """Why calls were not made, if this has ended the run."""
    return FAILED if isinstance(error, Exception) else CANCELLED
