"""What models have in common that hold a place of a limit while they are asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from plait_agent._retry_after import find_retry_after
from plait_agent.exceptions import ModelHTTPError
from plait_agent.models.wrapper import WrapperModel

if TYPE_CHECKING:
    from plait_agent._run_context import RunContext
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RequestUsage
    from plait_graph import Limit

_TOO_MUCH = 429, 503, 529
"""The statuses with which a server says that it is asked too much."""


class LimitedModel(WrapperModel):
    """Holds a place of a limit during each request, for a stream until it is closed.

    When a server answers that it is asked too much and says when to come again (Retry-After), nobody gets a place
    before that. A subclass says what a request weighs.

    Args:
        wrapped: The model, or its name.
        limit: The limit.
    """

    def __init__(self, wrapped: Model | KnownModelName | str, limit: Limit):
        super().__init__(wrapped)
        self.limit = limit

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Wait for a place, and ask the model."""
        async with self.limit.hold(self._weigh(messages, model_settings)) as ticket:
            with self._pausing():
                response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            ticket.release(self._used(response.usage))
            return response

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
        async with self.limit.hold(self._weigh(messages, model_settings)) as ticket:
            with self._pausing():
                async with opened as stream:
                    yield stream
            ticket.release(self._used(stream.usage()))

    def _weigh(self, messages: list[ModelMessage], model_settings: ModelSettings | None) -> float:
        """How many units of the limit a request will use."""
        return 1

    def _used(self, usage: RequestUsage) -> float | None:
        """How many it has used; `None` if that is as it was said before."""
        return None

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
