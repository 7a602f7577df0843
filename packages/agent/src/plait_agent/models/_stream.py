"""An answer that is still arriving: the provider's events, and what has come so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from plait_agent.messages import (
    FilePart,
    FinalResultEvent,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from plait_agent._parts_manager import ModelResponsePartsManager
    from plait_agent.messages import FinishReason, ModelResponsePart, ModelResponseStreamEvent
    from plait_agent.models._parameters import ModelRequestParameters


def _new_parts_manager() -> ModelResponsePartsManager:
    from plait_agent._parts_manager import ModelResponsePartsManager

    return ModelResponsePartsManager()


@dataclass
class StreamedResponse(ABC):
    """An answer that is still arriving.

    It is iterated once: a second loop goes on where the first one was left. `get` gives what has come so far, at any
    time. A subclass yields the provider's events from `_get_event_iterator`, made by its `_parts_manager`, and counts
    into `_usage`; which event shows the final result, and where parts end, is found here.

    Whoever opens a stream closes it, with `async with` or `aclose`, so that the provider's connection is not left open.
    """

    model_request_parameters: ModelRequestParameters
    """What was asked for."""
    final_result_event: FinalResultEvent | None = field(default=None, init=False)
    """The event that has shown the final result, once it has."""
    provider_response_id: str | None = field(default=None, init=False)
    """The id that the provider has given to the answer."""
    provider_details: dict[str, Any] | None = field(default=None, init=False)
    """What else the provider has told."""
    finish_reason: FinishReason | None = field(default=None, init=False)
    """Why the model stopped."""

    _parts_manager: ModelResponsePartsManager = field(default_factory=_new_parts_manager, init=False)
    _usage: RequestUsage = field(default_factory=RequestUsage, init=False)
    _event_iterator: AsyncIterator[ModelResponseStreamEvent] | None = field(default=None, init=False)
    _provider_iterator: AsyncIterator[ModelResponseStreamEvent] | None = field(default=None, init=False)
    _waiting_events: list[ModelResponseStreamEvent] = field(
        default_factory=list['ModelResponseStreamEvent'], init=False
    )
    """The events that have come and that nobody has iterated over."""
    _open_part: PartStartEvent | None = field(default=None, init=False)
    """The start of the part that has not ended."""

    @abstractmethod
    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """The provider's events: starts and deltas of parts."""

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The model that answers."""

    @property
    @abstractmethod
    def provider_name(self) -> str | None:
        """The provider."""

    @property
    @abstractmethod
    def provider_url(self) -> str | None:
        """Where the provider is."""

    @property
    @abstractmethod
    def timestamp(self) -> datetime:
        """When the answer began."""

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        if self._event_iterator is None:
            self._event_iterator = self._follow(self._begun())
        return self._event_iterator

    async def wait_first_event(self) -> None:
        """Wait until the provider has sent something, or nothing at all, and leave it for whoever iterates.

        A provider that refuses a request says so here. Does nothing if the stream is iterated already.
        """
        await self._wait_until(lambda event: True)

    async def wait_first_content(self) -> None:
        """Wait until the model has said something, or the stream has ended, and leave it all for whoever iterates.

        A provider that fails before the model has said anything does so here. Parts that begin empty say nothing yet.
        Does nothing if the stream is iterated already.
        """
        await self._wait_until(_says_something)

    async def _wait_until(self, is_enough: Callable[[ModelResponseStreamEvent], bool]) -> None:
        """Take events from the provider until there is one of a kind."""
        if self._event_iterator is not None or any(map(is_enough, self._waiting_events)):
            return
        async for event in self._begun():
            self._waiting_events.append(event)
            if is_enough(event):
                return

    def _begun(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """The provider's events that are still to come."""
        if self._provider_iterator is None:
            self._provider_iterator = aiter(self._get_event_iterator())
        return self._provider_iterator

    def get(self) -> ModelResponse:
        """What has come so far, as a response."""
        return ModelResponse(
            self._parts_manager.get_parts(),
            usage=self.usage(),
            model_name=self.model_name,
            timestamp=self.timestamp,
            provider_name=self.provider_name,
            provider_url=self.provider_url,
            provider_details=self.provider_details,
            provider_response_id=self.provider_response_id,
            finish_reason=self.finish_reason,
        )

    def usage(self) -> RequestUsage:
        """What has been used so far; the record itself, which goes on counting."""
        return self._usage

    async def close_stream(self) -> None:
        """Close the connection to the provider; for subclasses that hold one."""
        return

    async def aclose(self) -> None:
        """Stop: close the provider's events and its connection. What has come so far stays."""
        try:
            await _close(self._event_iterator)
            # The outer iterator closes the inner one only if it has begun.
            await _close(self._provider_iterator)
        finally:
            await self.close_stream()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _follow(
        self, source: AsyncIterator[ModelResponseStreamEvent]
    ) -> AsyncGenerator[ModelResponseStreamEvent]:
        """The provider's events with final result and ends of parts among them, after those that have come before."""
        try:
            for event in self._waiting_events:
                for each in self._with_marks(event):
                    yield each
            async for event in source:
                # Nearly all events are deltas, which pass as they are.
                if type(event) is PartDeltaEvent:
                    yield event
                    continue
                for each in self._with_marks(event):
                    yield each
            for event in self._parts_manager.handle_end():
                for each in self._with_marks(event):
                    yield each
            for event in self._end_of_part(None):
                yield event
        finally:
            await _close(source)

    def _with_marks(self, event: ModelResponseStreamEvent) -> Iterator[ModelResponseStreamEvent]:
        """An event with the end of the part before it, and the final result if this is it."""
        if not isinstance(event, PartStartEvent):
            yield event
            return
        if self._open_part is not None:
            event.previous_part_kind = self._open_part.part.part_kind
        yield from self._end_of_part(event.part.part_kind)
        self._open_part = event
        yield event
        if self.final_result_event is None:
            self.final_result_event = find_final_result(event.part, self.model_request_parameters)
            if self.final_result_event is not None:
                yield self.final_result_event

    def _end_of_part(self, next_part_kind: Any) -> Iterator[PartEndEvent]:
        """The end of the part that is open; what a built-in tool returned has none."""
        started = self._open_part
        if started is not None and started.part.part_kind != 'builtin-tool-return':
            yield PartEndEvent(index=started.index, part=self._part_at(started.index), next_part_kind=next_part_kind)

    def _part_at(self, index: int) -> ModelResponsePart:
        """A part as far as it has come."""
        return self._parts_manager.get_part(index)


@dataclass
class CompletedStreamedResponse(StreamedResponse):
    """A response that was there at once, told as a stream: each part starts with all that it has, and ends."""

    response: ModelResponse
    """The response."""

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.response.parts):
            yield PartStartEvent(index=index, part=part)

    def _part_at(self, index: int) -> ModelResponsePart:
        return self.response.parts[index]

    def get(self) -> ModelResponse:
        """The response."""
        return self.response

    def usage(self) -> RequestUsage:
        """What the request has used."""
        return self.response.usage

    @property
    def model_name(self) -> str:
        """The model that answered."""
        return self.response.model_name or ''

    @property
    def provider_name(self) -> str | None:
        """The provider."""
        return self.response.provider_name

    @property
    def provider_url(self) -> str | None:
        """Where the provider is."""
        return self.response.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the answer was made."""
        return self.response.timestamp


def find_final_result(part: ModelResponsePart, parameters: ModelRequestParameters) -> FinalResultEvent | None:
    """What a part says of the final result, if it is one: text, an image, an output tool, or a deferred call."""
    if isinstance(part, TextPart):
        return FinalResultEvent(tool_name=None, tool_call_id=None) if parameters.allow_text_output else None
    if isinstance(part, FilePart):
        is_result = parameters.allow_image_output and part.content.is_image
        return FinalResultEvent(tool_name=None, tool_call_id=None) if is_result else None
    if not isinstance(part, ToolCallPart):
        return None
    tool = parameters.tool_defs.get(part.tool_name)
    if tool is None:
        return None
    if tool.kind == 'output':
        return FinalResultEvent(tool_name=part.tool_name, tool_call_id=part.tool_call_id)
    return FinalResultEvent(tool_name=None, tool_call_id=None) if tool.defer else None


def _says_something(event: ModelResponseStreamEvent) -> bool:
    """Whether an event has anything of what the model says; a part that begins empty has not."""
    if isinstance(event, PartStartEvent):
        return not isinstance(event.part, (TextPart, ThinkingPart)) or event.part.has_content()
    return isinstance(event, PartDeltaEvent)


async def _close(iterator: AsyncIterator[Any] | None) -> None:
    """Close an iterator that can be closed."""
    close = getattr(iterator, 'aclose', None)
    if close is not None:
        await close()
