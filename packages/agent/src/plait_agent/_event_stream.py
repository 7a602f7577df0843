"""All events of a run, as they happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias

from plait_agent._agent_graph.telling import News, do_and_end
from plait_agent._sync import waiting
from plait_agent._typevars import OutputT
from plait_agent.run import AgentRunResult, AgentRunResultEvent
from plait_graph.events import StepStarted

if TYPE_CHECKING:
    from plait_agent.agent.options import EventStreamHandler
    from plait_agent.messages import AgentStreamEvent

_Run: TypeAlias = Callable[['EventStreamHandler[Any]'], Awaitable[AgentRunResult[OutputT]]]


class AgentEvents(AsyncIterator['AgentStreamEvent | AgentRunResultEvent[OutputT]'], Generic[OutputT]):
    """The events of one run, and at last its result.

    The run goes on beside the code that reads, and goes no further than to the next node before all events of the one
    before are read. Used with `async with`, it is stopped when the block is left, and a wait for the next event may be
    cancelled without harm to it.

    Without the block it is stopped when it is read to its end, when reading it is cancelled, and by `aclose`. If a loop
    over it is broken off, asyncio stops it as soon as nobody holds it any more. trio cannot do that: there, use the
    block, or read to the end.

    Args:
        run: Runs, given who is to be told of events.
    """

    def __init__(self, run: _Run[OutputT]):
        self._news = News[Any]()
        # The run does not hold these events, so that it can be seen that nobody does.
        self._run = _beside(partial(do_and_end, self._news, partial(_tell_all, run, self._news)))
        self._state = 'new'
        self._is_in_block = False

    async def __anext__(self) -> AgentStreamEvent | AgentRunResultEvent[OutputT]:
        try:
            if self._state == 'new':
                await self._begin()
            return await anext(self._news)
        except BaseException:
            if not self._is_in_block:
                await self.aclose()
            raise

    async def _begin(self) -> None:
        self._state = 'open'
        await self._run.__aenter__()

    async def aclose(self) -> None:
        """Stop the run, and wait for its clean-up."""
        was_open, self._state = self._state == 'open', 'closed'
        self._news.end()
        self._news.take()
        if was_open:
            await self._run.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        self._is_in_block = True
        if self._state == 'new':
            await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def _tell_all(run: _Run[Any], news: News[Any], tell: Callable[[Any], None]) -> None:
    """Run, and tell of all events and of the result."""

    async def hear(_: Any, events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            tell(event)
        await news.all_read()

    result = await run(hear)
    tell(AgentRunResultEvent(result))


@asynccontextmanager
async def _beside(work: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Do something beside a block, and stop it when the block is left.

    The graph engine does it: on asyncio its tasks do not stand in the scopes of the code around, so that the block can
    be left by whoever comes last.
    """
    async with waiting().iter(inputs=work) as run:
        async for event in run.events():
            if isinstance(event, StepStarted):
                break
        yield
