"""A model that is left alone for a while when its server fails."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, final

from plait_agent.exceptions import CircuitOpen, ModelAPIError, ModelHTTPError, UserError
from plait_agent.models._circuit import Circuit, Figures, Passage, State
from plait_agent.models.wrapper import WrapperModel

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
    from plait_agent.settings import ModelSettings

__all__ = 'CircuitBreaker', 'CircuitBreakerModel', 'is_failure_of_server'

_circuits: dict[str, Circuit] = {}
"""All breakers of the process. They stay, since their users come and go and the server behind one does not."""
_circuits_lock = Lock()
_BLAMELESS = 408, 429
"""Statuses below 500 that say something of the server and not of the request."""


def is_failure_of_server(error: Exception) -> bool:
    """Whether an error says that a server is in trouble: it cannot be reached, breaks off, is busy, or has failed."""
    if isinstance(error, ModelHTTPError):
        return error.status_code >= 500 or error.status_code in _BLAMELESS
    return isinstance(error, ModelAPIError) and not isinstance(error, CircuitOpen)


@final
class CircuitBreaker:
    """Lets nobody through to a server that has failed too often, until one who tries it again succeeds.

    It is `closed` at first. After so many failures within a window it is `open`, and whoever comes gets `CircuitOpen`
    at once. When it has rested it is `half-open`: one is let through to see how it is, while the others are still
    refused. If that one succeeds it is closed; if not, it is open again. One who is cancelled, or fails for a reason of
    its own, says nothing of the server, and another may try.

    The name stands for one breaker in the whole process, whatever threads and event loops its users are in: another
    `CircuitBreaker` of the same name must have the same figures, is equal and shares everything.

    Args:
        name: What fails, as in `'openai'`.
        failures: How many failures open it.
        window: Within how many seconds.
        rest: How many seconds it stays open before somebody may try.
        clock: Gives the seconds of a clock that never goes back. With the default a breaker that is there keeps its
            own.

    Raises:
        UserError: A figure makes no sense; or the name has other figures or another clock.
    """

    __slots__ = ('_circuit',)

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        window: float = 60.0,
        rest: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        figures = Figures(failures, window, rest)
        _check_figures(name, figures)
        with _circuits_lock:
            circuit = _circuits.get(name)
            if circuit is None:
                circuit = _circuits[name] = Circuit(name, figures, clock)
        _check_same(circuit, figures, clock)
        self._circuit = circuit

    @classmethod
    def named(cls, name: str) -> CircuitBreaker:
        """Give the breaker that was made under a name.

        Raises:
            UserError: There is none.
        """
        with _circuits_lock:
            circuit = _circuits.get(name)
            known = list(_circuits)
        if circuit is None:
            raise UserError(
                f'No circuit breaker is named {name!r}; there are {known}. Make it first: CircuitBreaker({name!r}).'
            )
        breaker = cls.__new__(cls)
        breaker._circuit = circuit
        return breaker

    @classmethod
    def forget(cls, name: str) -> None:
        """Free a name for a new breaker, if there is one of it. Who has the old one goes on with that."""
        with _circuits_lock:
            _circuits.pop(name, None)

    @property
    def name(self) -> str:
        """What fails."""
        return self._circuit.name

    @property
    def state(self) -> State:
        """What the next one will meet: `closed`, `open` or `half-open`."""
        return self._circuit.state()

    @contextmanager
    def guard(self, asked: str, is_failure: Callable[[Exception], bool] = is_failure_of_server) -> Generator[None]:
        """Let the block ask the server, and learn from how it ends.

        An HTTP error that is no failure shows that the server answers, and counts as success.

        Args:
            asked: What is asked, for the error.
            is_failure: Which errors are failures of the server.

        Raises:
            CircuitOpen: The server is to be left alone; the block has not begun.
        """
        passage = self._circuit.enter()
        if not isinstance(passage, Passage):
            raise CircuitOpen(asked, self.name, passage)
        try:
            yield
        except Exception as error:
            if is_failure(error):
                self._circuit.fail(passage)
            elif isinstance(error, ModelHTTPError):
                self._circuit.succeed(passage)
            raise
        else:
            self._circuit.succeed(passage)
        finally:
            # Only if nothing has been said above.
            self._circuit.withdraw(passage)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same breaker, and not only of one name."""
        return isinstance(other, CircuitBreaker) and self._circuit is other._circuit

    def __hash__(self) -> int:
        return hash(self._circuit)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy goes by the name: it is this breaker here, and the one of that name in another process."""
        figures = self._circuit.figures
        same = partial(CircuitBreaker, failures=figures.failures, window=figures.window, rest=figures.rest)
        return same, (self.name,)

    def __repr__(self) -> str:
        return f'CircuitBreaker({self.name!r}, {self._circuit.figures}: {self.state})'


class CircuitBreakerModel(WrapperModel):
    """Asks a model through a circuit breaker.

    While the breaker is open a request fails at once with `CircuitOpen`, which is a `ModelAPIError`: a `FallbackModel`
    around it goes on to its next model without waiting for a server that is known to be down. A stream counts when it
    is closed.

    Args:
        wrapped: The model, or its name.
        breaker: The breaker, or the name of one that there is. Models of one server share one.
        is_failure: Which errors are failures of the server.

    Raises:
        UserError: There is no breaker of that name.
    """

    def __init__(
        self,
        wrapped: Model | KnownModelName | str,
        breaker: CircuitBreaker | str,
        *,
        is_failure: Callable[[Exception], bool] = is_failure_of_server,
    ):
        super().__init__(wrapped)
        self.breaker = CircuitBreaker.named(breaker) if isinstance(breaker, str) else breaker
        self._is_failure = is_failure

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, unless its server is to be left alone.

        Raises:
            CircuitOpen: It is.
        """
        with self.breaker.guard(self.model_name, self._is_failure):
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model for a stream, unless its server is to be left alone.

        Raises:
            CircuitOpen: It is.
        """
        opened = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        with self.breaker.guard(self.model_name, self._is_failure):
            async with opened as stream:
                yield stream


def _check_figures(name: object, figures: Figures) -> None:
    if not isinstance(name, str) or not name:
        raise UserError(f'A circuit breaker is named {name!r}. Give a text that is not empty.')
    number: Any = figures.failures
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UserError(f'CircuitBreaker({name!r}) has failures={number!r}. Give a whole number of 1 or more.')
    given: dict[str, object] = {'window': figures.window, 'rest': figures.rest}
    for word, figure in given.items():
        if not isinstance(figure, (int, float)) or not 0 < figure < math.inf:
            raise UserError(f'CircuitBreaker({name!r}) has {word}={figure!r}. Give seconds above 0.')


def _check_same(circuit: Circuit, figures: Figures, clock: Callable[[], float]) -> None:
    if circuit.figures != figures:
        raise UserError(
            f'CircuitBreaker({circuit.name!r}) was made with {circuit.figures} and is asked for with {figures}. '
            f'Use the same figures, another name, or CircuitBreaker.named({circuit.name!r}).'
        )
    if clock not in (circuit.clock, time.monotonic):
        raise UserError(
            f'CircuitBreaker({circuit.name!r}) was made with clock={circuit.clock!r} and is asked for with '
            f'clock={clock!r}. Leave the clock out, or call CircuitBreaker.forget({circuit.name!r}) before.'
        )
