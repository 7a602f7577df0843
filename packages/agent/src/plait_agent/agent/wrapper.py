"""An agent around another one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from plait_agent._typevars import DepsT, OutputT
from plait_agent.agent.abstract import AbstractAgent
from plait_agent.agent.options import Changes, EventStreamHandler

if TYPE_CHECKING:
    from plait_agent.agent._start import Start
    from plait_agent.models import KnownModelName, Model
    from plait_agent.output import OutputSpec
    from plait_agent.toolsets import AbstractToolset

__all__ = ('WrapperAgent',)


class WrapperAgent(AbstractAgent[DepsT, OutputT]):
    """Does what another agent does; a base for agents that do some of it differently.

    Args:
        wrapped: The other agent.
    """

    def __init__(self, wrapped: AbstractAgent[DepsT, OutputT]):
        self.wrapped = wrapped

    @property
    def model(self) -> Model | KnownModelName | str | None:
        """The model of the wrapped agent."""
        return self.wrapped.model

    @property
    def name(self) -> str | None:
        """The name of the wrapped agent."""
        return self.wrapped.name

    @name.setter
    def name(self, value: str | None) -> None:
        self.wrapped.name = value

    @property
    def deps_type(self) -> type:
        """The type of the dependencies."""
        return self.wrapped.deps_type

    @property
    def output_type(self) -> OutputSpec[OutputT]:
        """What runs end with."""
        return self.wrapped.output_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[DepsT] | None:
        """Is given the events of each node of a run."""
        return self.wrapped.event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[DepsT]]:
        """The toolsets of the wrapped agent."""
        return self.wrapped.toolsets

    def _start(self, prompt: Any, output_type: Any, options: Any) -> Start:
        return self.wrapped._start(prompt, output_type, options)

    def override(self, **changes: Unpack[Changes[DepsT]]) -> AbstractContextManager[None]:
        """Let something stand for the wrapped agent's own within a block."""
        return self.wrapped.override(**changes)

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.wrapped.__aexit__(kind, error, traceback)
