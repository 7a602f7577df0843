"""Asking the user about calls that wait: whether they may be made, or what came of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plait_agent._chat.wording import call_text, one_line_of
from plait_agent.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

if TYPE_CHECKING:
    from plait_agent._chat.reader import Reader
    from plait_agent._chat.screen import Screen
    from plait_agent.messages import ToolCallPart
    from plait_agent.tools import DeferredToolApprovalResult

_YES, _NO = ('y', 'yes'), ('n', 'no')


async def decide(requests: DeferredToolRequests, reader: Reader, screen: Screen) -> DeferredToolResults | None:
    """Ask the user about each call; `None` if there is no answer but Ctrl-C or Ctrl-D."""
    results = DeferredToolResults()
    for call in requests.approvals:
        decision = await _decide(call, requests.metadata, reader, screen)
        if decision is None:
            return None
        results.approvals[call.tool_call_id] = decision
    for call in requests.calls:
        screen.show_note(f'{call_text(call)} waits for its result.', 'yellow')
        answer = await reader.question('Its result, as text or JSON: ')
        if answer is None:
            return None
        results.calls[call.tool_call_id] = _as_value(answer)
    return results


async def _decide(
    call: ToolCallPart, metadata: dict[str, dict[str, Any]], reader: Reader, screen: Screen
) -> DeferredToolApprovalResult | None:
    """Ask whether a call may be made, until the answer says so."""
    about = metadata.get(call.tool_call_id)
    screen.show_note(f'{call_text(call)} asks for approval.{f" {one_line_of(str(about))}" if about else ""}', 'yellow')
    while True:
        answer = await reader.question('May it be made? [y]es, [n]o, or no with words for the model: ')
        if answer is None:
            return None
        words = answer.strip()
        if words.lower() in _YES:
            return ToolApproved()
        if words.lower() in _NO:
            return ToolDenied()
        if words:
            first, blank, rest = words.partition(' ')
            return ToolDenied(rest if blank and first.lower().rstrip(',:') in _NO else words)


def _as_value(answer: str) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer
