"""What the models of all providers have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plait_agent._stamps import now_utc
from plait_agent.models._base import Model
from plait_agent.models._ending import exhaust
from plait_agent.models._origin import Origin
from plait_agent.models._stream import StreamedResponse

if TYPE_CHECKING:
    from datetime import datetime

    from plait_agent.messages import ModelResponseStreamEvent
    from plait_agent.profiles import ModelProfileSpec
    from plait_agent.providers import Provider
    from plait_agent.settings import ModelSettings


class ProviderModel(Model):
    """A model that a provider serves.

    Args:
        model_name: The name of the model, as the provider calls it.
        provider: Who serves it, or the name of the provider, which is then made from the environment.
        profile: What the model can do, in place of what the provider knows of it.
        settings: What is asked of the model if nothing else is said.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[Any] | str,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        if isinstance(provider, str):
            from plait_agent.providers import infer_provider

            provider = infer_provider(provider)
        super().__init__(settings=settings, profile=profile or provider.model_profile)
        self._model_name = model_name
        self._provider = provider

    @property
    def client(self) -> Any:
        """The client of the provider's library."""
        return self._provider.client

    @property
    def provider(self) -> Provider[Any]:
        """Who serves the model."""
        return self._provider

    @property
    def model_name(self) -> str:
        """The name of the model, as the provider calls it."""
        return self._model_name

    @property
    def system(self) -> str:
        """The name of the provider."""
        return self._provider.name

    @property
    def base_url(self) -> str:
        """Where the provider is."""
        return self._provider.base_url

    @cached_property
    def _origin(self) -> Origin:
        return Origin(self.system, self._model_name, self.base_url, self._provider.secrets)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self._model_name!r}, provider={self._provider.name!r})'


@dataclass
class ProviderStream(StreamedResponse):
    """An answer that arrives as the chunks of a provider's library.

    A subclass says in `_take` what a chunk brings: a fold that awaits nothing, so that it can be tested without a
    network. Errors of the library become ours.
    """

    _origin: Origin
    _chunks: AsyncIterable[Any] = field(repr=False)
    _timestamp: datetime = field(default_factory=now_utc)
    _reading: AsyncIterator[Any] | None = field(default=None, init=False, repr=False)
    """The chunks, once they are being read."""

    @abstractmethod
    def _take(self, chunk: Any) -> Iterable[ModelResponseStreamEvent]:
        """What a chunk brings."""

    def _end(self) -> Iterable[ModelResponseStreamEvent]:
        """What the end of the stream brings; here an answer that is not complete is refused."""
        return ()

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        self._reading = aiter(self._chunks)
        with self._origin.translating():
            async for chunk in self._reading:
                for event in self._take(chunk):
                    yield event
            for event in self._end():
                yield event

    async def close_stream(self) -> None:
        """Close the connection to the provider."""
        close = getattr(self._chunks, 'close', None) or getattr(self._chunks, 'aclose', None)
        if close is not None:
            await close()
        if self._reading is not None:
            await exhaust(self._reading)

    @property
    def model_name(self) -> str:
        """The model that answers."""
        return self._origin.model_name

    @property
    def provider_name(self) -> str:
        """The provider."""
        return self._origin.provider_name

    @property
    def provider_url(self) -> str | None:
        """Where the provider is."""
        return self._origin.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp
