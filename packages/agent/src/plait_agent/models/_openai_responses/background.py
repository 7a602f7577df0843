"""Answers that are made in the background: asked for until they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import move_on_after, sleep

from plait_agent.models._json_events import read_json
from plait_agent.models._openai_responses.decode import UNFINISHED

if TYPE_CHECKING:
    from plait_agent.models._openai_responses.builtin_tools import Item
    from plait_agent.models._origin import Origin

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 10.0
_TIME_TO_CANCEL = 5.0
"""Seconds that a caller who is cancelled waits for the answer to be cancelled too."""


async def wait_until_done(responses: Any, response: Item, origin: Origin, *, first_wait: float = _FIRST_WAIT) -> Item:
    """Ask for a response until it is no longer being made. If the caller is cancelled, the response is too.

    Args:
        responses: The part of OpenAI's library that asks for responses and gives them as they came.
        response: What there is of the response.
        origin: Who makes it.
        first_wait: Seconds before it is asked for; each time it takes longer to be asked for again.
    """
    wait = first_wait
    try:
        while response.get('status') in UNFINISHED and response.get('id'):
            await sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)
            received = await responses.retrieve(response['id'])
            response = read_json(received.content, origin, received.request_id)
    except BaseException:
        # Nobody would ever fetch the answer, and it goes on costing.
        with move_on_after(_TIME_TO_CANCEL, shield=True):
            await _cancel(responses, response['id'])
        raise
    return response


async def _cancel(responses: Any, response_id: str) -> None:
    """Cancel a response; that it cannot be is no news beside what has happened."""
    from openai import OpenAIError

    try:
        await responses.cancel(response_id)
    except OpenAIError:
        return
