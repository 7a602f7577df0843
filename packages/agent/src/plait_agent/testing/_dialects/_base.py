"""What an API must have to say an answer."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

if TYPE_CHECKING:
    from plait_agent.testing.answers import Answer, Call
    from plait_agent.testing.requests import ReceivedRequest

CREATED = 1_700_000_000
"""When all answers were made."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a stream."""

    data: Mapping[str, Any] | str
    name: str | None = None
    has_content: bool = False
    """Whether it has something that the model has said."""


class Dialect(ABC):
    """How an API says things."""

    name: ClassVar[str]
    request_id_header: ClassVar[str] = 'x-request-id'
    newline: ClassVar[Literal['\n', '\r\n']] = '\n'
    counting: ClassVar[str | None] = None
    """How the paths end at which tokens are counted and nothing is said; `None` if the API has none."""
    counted: ClassVar[str] = 'input_tokens'
    """Where the number is in the answer to that."""

    @abstractmethod
    def fits(self, path: str) -> bool:
        """Whether a path, without its query, belongs to the API."""

    def counts(self, path: str) -> bool:
        """Whether tokens are counted at a path."""
        return self.counting is not None and path.endswith(self.counting)

    def is_streamed(self, path: str, body: Any) -> bool:
        """Whether a request asks for a stream."""
        return isinstance(body, dict) and cast('dict[str, Any]', body).get('stream') is True

    @abstractmethod
    def body(self, answer: Answer, request: ReceivedRequest) -> dict[str, Any]:
        """The whole answer."""

    @abstractmethod
    def events(self, answer: Answer, request: ReceivedRequest) -> Iterable[Event]:
        """The answer as a stream."""

    @abstractmethod
    def error(self, status: int, message: str, request: ReceivedRequest) -> dict[str, Any]:
        """The body of an error."""

    @abstractmethod
    def error_event(self, status: int, message: str, request: ReceivedRequest) -> Event:
        """An error in a stream that has begun."""

    @abstractmethod
    def unknown_event(self) -> Event:
        """An event such as nobody knows yet."""


def asked_model(request: ReceivedRequest) -> str:
    """The model that a body asks for."""
    return str(request.find('model') or 'model')


def call_ids(answer: Answer, request: ReceivedRequest) -> list[tuple[str, Call]]:
    """The calls of an answer with their ids."""
    return [(call.id or f'call_{request.number}_{index}', call) for index, call in enumerate(answer.calls)]


def arguments_text(call: Call) -> str:
    """The arguments of a call as JSON, or as whatever they are."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def cut(text: str, size: int) -> Iterator[str]:
    """A text in pieces."""
    for start in range(0, len(text), size):
        yield text[start : start + size]
