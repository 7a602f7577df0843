"""A model that is asked by only so many at once, or only so often."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from plait_agent.exceptions import ModelHTTPError
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from plait_agent.models.wrapper import WrapperModel
from plait_graph import Limit

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName
    from plait_agent.settings import ModelSettings

__all__ = 'ConcurrencyLimitedModel', 'limit_model_concurrency'

_TOO_MUCH = 429, 503
"""The statuses with which a server says that it is asked too much."""
_numbers = count(1)
_LONGEST_PAUSE = 300.0
"""No server may stop a program for longer than that."""


class ConcurrencyLimitedModel(WrapperModel):
    """Holds a place of a limit during each request, for a stream until it is closed.

    The limit may be shared: with other models, and with everything else that names it. When a server answers that it
    is asked too much and says when to come again (Retry-After), nobody gets a place before that.

    Args:
        wrapped: The model, or its name.
        limiter: How many requests may be under way at once; or a limit, or the name of one that there is.

    Raises:
        GraphSetupError: The number is no number of places.
        GraphRuntimeError: There is no limit of that name.
    """

    def __init__(self, wrapped: Model | KnownModelName | str, limiter: int | str | Limit):
        super().__init__(wrapped)
        self.limit = _find_limit(self.wrapped.model_name, limiter)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Wait for a place, and ask the model."""
        async with self.limit.hold():
            with self._pausing():
                return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Wait for a place, and ask the model for a stream."""
        opened = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        async with self.limit.hold():
            with self._pausing():
                async with opened as stream:
                    yield stream

    @contextmanager
    def _pausing(self) -> Generator[None]:
        """Do as a server says that wants to be left alone."""
        try:
            yield
        except ModelHTTPError as error:
            seconds = find_retry_after(error) if error.status_code in _TOO_MUCH else None
            if seconds is not None:
                self.limit.pause(seconds)
            raise


def limit_model_concurrency(model: Model | KnownModelName | str, limiter: int | str | Limit | None) -> Model:
    """Give a model that only so many ask at once; with `None` it is the model itself."""
    return infer_model(model) if limiter is None else ConcurrencyLimitedModel(model, limiter)


def _find_limit(model_name: str, limiter: int | str | Limit) -> Limit:
    if isinstance(limiter, Limit):
        return limiter
    if isinstance(limiter, str):
        return Limit.named(limiter)
    # Nobody else is to find it, so the name is only for people and is given free again.
    name = f'requests to {model_name}, model {next(_numbers)}'
    limit = Limit(name, in_flight=limiter)
    Limit.forget(name)
    return limit


def find_retry_after(error: BaseException) -> float | None:
    """The seconds to wait that the answer behind an error says, within reason."""
    headers = getattr(getattr(error.__cause__, 'response', None), 'headers', None)
    value = None if headers is None else headers.get('retry-after')
    seconds = None if value is None else _read_retry_after(value)
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_PAUSE)


def _read_retry_after(value: str) -> float | None:
    """Seconds from a number or an HTTP date."""
    if value.isdecimal():
        return float(value)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        return (parsedate_to_datetime(value) - datetime.now(tz=UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
