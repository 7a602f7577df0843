"""An answer of Google that arrives in chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from plait_agent.models._google.decode import Answer
from plait_agent.models._provider_model import ProviderStream

if TYPE_CHECKING:
    from plait_agent.messages import ModelResponse, ModelResponseStreamEvent


@dataclass
class GeminiStreamedResponse(ProviderStream):
    """An answer of Google that arrives in chunks."""

    _answer: Answer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._answer = Answer(self._parts_manager, self._usage, self._origin.provider_name)

    def _take(self, chunk: Any) -> Iterable[ModelResponseStreamEvent]:
        answer = self._answer
        events = answer.take(chunk)
        self.provider_response_id = answer.response_id
        self.provider_details = answer.details or None
        self.finish_reason = answer.finish_reason
        return events

    def _end(self) -> Iterable[ModelResponseStreamEvent]:
        if not self._answer.is_complete:
            raise self._origin.failure('The stream has ended without a finish reason, so the answer is not complete')
        return self._answer.finish()

    def get(self) -> ModelResponse:
        """What has come so far, as a response."""
        response = super().get()
        response.parts = self._answer.parts
        return response

    @property
    def model_name(self) -> str:
        """The model that answers, by the name that Google has told."""
        return self._answer.model_name or super().model_name

    @property
    def timestamp(self) -> datetime:
        """When Google says that the answer was made, or else when it began to arrive."""
        return self._answer.timestamp or super().timestamp
