"""What a model says, in no provider's words yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from plait_agent.exceptions import UserError
from plait_agent.testing._actions import Behavior

if TYPE_CHECKING:
    from plait_agent.testing._actions import Action
    from plait_agent.testing._exchange import Exchange

__all__ = 'Answer', 'Call', 'Finish', 'Framing'

Finish: TypeAlias = Literal['stop', 'length', 'content_filter', 'tool_call']
"""Why a model stopped."""


@dataclass(frozen=True)
class Call:
    """A tool that the model calls.

    Args:
        name: The tool.
        arguments: What it is called with. A text is sent as it is, so that it need not be JSON; Google's API has no
            place for such a text.
        id: The id of the call, and the same id twice if you like. `None`: one that no other call has.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str | None = None

    def __post_init__(self) -> None:
        try:
            json.dumps(self.arguments)
        except (TypeError, ValueError) as error:
            raise UserError(
                f'Call({self.name!r}) has arguments that are no JSON ({error}). Give what JSON can say, or a text.'
            ) from error


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How the events of a stream are written down. All of it is right by the standard, though few servers do it.

    Args:
        newline: What ends a line. `None`: what the provider uses.
        comments: Whether a comment stands before each event, as sent by proxies to keep a connection open.
        bom: Whether a byte order mark stands before everything.
        packet: How many bytes go out at once, so that events and characters are torn apart. `None`: an event at once.
    """

    newline: Literal['\n', '\r\n', '\r'] | None = None
    comments: bool = False
    bom: bool = False
    packet: int | None = None

    def __post_init__(self) -> None:
        _check_size('Framing', 'packet', 1 if self.packet is None else self.packet)


@dataclass(frozen=True)
class Answer(Behavior):
    """A good answer, said as the API says it that is asked, as a stream if a stream was asked for.

    Args:
        text: What the model says.
        thinking: What it thinks before.
        calls: The tools that it calls.
        finish: Why it stops. `None`: `tool_call` if it calls a tool, else `stop`.
        input_tokens: What the request has used.
        output_tokens: What the answer has used.
        delta: How many characters of texts and arguments an event of a stream has. Google's API sends a call whole.
        framing: How the events of a stream are written down.
    """

    text: str | None = None
    _: KW_ONLY
    thinking: str | None = None
    calls: Sequence[Call] = ()
    finish: Finish | None = None
    input_tokens: int = 10
    output_tokens: int = 5
    delta: int = 5
    framing: Framing = field(default_factory=Framing)

    def __post_init__(self) -> None:
        _check_size('Answer', 'delta', self.delta)
        calls: Any = self.calls
        if not isinstance(calls, Sequence) or not all(isinstance(each, Call) for each in cast('Sequence[Any]', calls)):
            raise UserError(f"Answer has calls={calls!r}. Give a row of them: calls=[Call('add', {{'a': 1}})].")

    @property
    def finished(self) -> Finish:
        """Why the model stops."""
        return self.finish or ('tool_call' if self.calls else 'stop')

    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """All of the answer."""
        said = exchange.say(self)
        yield said.head
        yield from said.send()


def _check_size(record: str, name: str, size: object) -> None:
    if not isinstance(size, int) or size < 1:
        raise UserError(f'{record} has {name}={size!r}. Give a whole number of 1 or more.')


HELLO = Answer('Hello from a server that misbehaves.')
"""What a fault breaks if nothing else is said."""
