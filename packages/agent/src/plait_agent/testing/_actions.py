"""What a server does with a request, as data.

Whoever decides knows no socket, and whoever has the socket decides nothing.
A reply is a row of these. When the row has ended, the answer ends as HTTP wants it to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from plait_agent.testing._exchange import Exchange


@dataclass(frozen=True, slots=True)
class Head:
    """The status and the headers. Without a length the body is sent in chunks."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Some of the body, as a packet of its own."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Bytes that are no HTTP."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for so many seconds; `None` is until the client goes or the server closes."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Drop:
    """The end of the connection, whatever is missing."""

    reset: bool = False
    """Whether the client is told at once (RST) that what it has not read is lost."""


Action: TypeAlias = Head | Send | SendRaw | Pause | Drop


class Behavior(ABC):
    """Something that a server can do when a request comes; a record of what is to happen, used as often as you like."""

    @abstractmethod
    def actions(self, exchange: Exchange, /) -> Iterable[Action]:
        """What is done, in order."""
