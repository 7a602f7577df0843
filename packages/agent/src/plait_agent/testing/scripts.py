"""What the server does with which request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from plait_agent.exceptions import UserError
from plait_agent.testing._actions import Behavior
from plait_agent.testing.answers import HELLO, Answer, Framing
from plait_agent.testing.faults import (
    Cut,
    Disconnect,
    ErrorEvent,
    Garbled,
    HttpError,
    Newer,
    Noise,
    Raw,
    WrongType,
)
from plait_agent.testing.requests import ReceivedRequest

__all__ = 'FAULTS', 'Script', 'chaos'

Script: TypeAlias = Behavior | Iterable[Behavior] | Callable[[ReceivedRequest], Behavior]
"""One behaviour for all requests, one for each request in turn, or a function that finds it."""

FAULTS: tuple[Behavior, ...] = (
    Disconnect(),
    Disconnect(reset=True),
    Noise(),
    HttpError(400),
    HttpError(401),
    HttpError(429),
    HttpError(429, retry_after=1),
    HttpError(500),
    HttpError(502, form='html'),
    HttpError(503, retry_after=0.5, form='empty'),
    HttpError(529),
    Raw(),
    Raw(b'<html><body>Please log in.</body></html>', content_type='text/html'),
    Cut('start'),
    Cut('content'),
    Cut('middle', reset=True),
    Cut('end'),
    Cut('content', cleanly=True),
    Cut('middle', cleanly=True),
    ErrorEvent('start'),
    ErrorEvent('middle', status=500),
    Garbled('json'),
    Garbled('utf-8'),
    Garbled('line'),
    Newer(),
    WrongType(),
    Answer('Grüße aus Köln ☂', framing=Framing(packet=3, comments=True, newline='\r\n', bom=True)),
)
"""Faults that need no waiting, for `chaos`."""


def chaos(
    seed: int,
    answer: Behavior | Callable[[ReceivedRequest], Behavior] = HELLO,
    *,
    faults: Sequence[Behavior] = FAULTS,
    share: float = 0.5,
) -> Callable[[ReceivedRequest], Behavior]:
    """Give a script of good answers and faults by chance.

    The same seed gives the same row of draws. Requests take them in the order in which they come, so a program that
    asks one after the other meets the same faults each time.

    Args:
        seed: Says which row.
        answer: The good answer, or a function of the request that gives it.
        faults: What can go wrong, each as likely as the others.
        share: How many of all requests meet a fault, from 0 to 1.

    Raises:
        UserError: The share is no share, or there are no faults.
    """
    if not 0 <= share <= 1:
        raise UserError(f'chaos(share={share!r}): give a number from 0, for no faults, to 1, for nothing else.')
    if not faults:
        raise UserError('chaos(faults=()): there is nothing that can go wrong. Give faults, or leave them out.')
    from random import Random

    chance = Random(seed)

    def draw(request: ReceivedRequest) -> Behavior:
        # Both numbers are drawn each time, so that another share changes which requests fail and not how.
        is_fault, fault = chance.random() < share, chance.choice(faults)
        if is_fault:
            return fault
        return answer(request) if callable(answer) else answer

    return draw


def read_script(script: Script) -> Callable[[ReceivedRequest], Behavior | None]:
    """A script as a function; it gives `None` when nothing is left.

    Raises:
        UserError: Something in it is no behaviour.
    """
    if isinstance(script, Behavior):
        return lambda request: script
    if callable(script):
        return lambda request: _checked(script(request))
    given: Any = script
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UserError(_not_behavior(given))
    # A list is checked here, where it is written; what may have no end is checked as it comes.
    rest: Iterator[Behavior] = (
        iter(script) if isinstance(given, Iterator) else iter([_checked(each) for each in script])
    )
    return lambda request: _next(rest)


def _next(rest: Iterator[Behavior]) -> Behavior | None:
    behavior = next(rest, None)
    return None if behavior is None else _checked(behavior)


def _checked(behavior: object) -> Behavior:
    if not isinstance(behavior, Behavior):
        raise UserError(_not_behavior(behavior))
    return behavior


def _not_behavior(found: object) -> str:
    return (
        f'The script of a MisbehavingServer has {found!r}, which is no behaviour. '
        f"Give records such as Answer('Hello') or HttpError(503), or a function of the request that returns them."
    )
