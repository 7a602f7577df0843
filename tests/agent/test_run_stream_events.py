"""`run_stream_events`: all events of a run, and what becomes of the run when nobody reads on."""

from typing import Any

import anyio
import pytest

from plait_agent import Agent, AgentRunResultEvent
from plait_agent.models.function import DeltaToolCall, FunctionModel


class Watched:
    """A model and a tool that say when they are stopped."""

    def __init__(self, *, hangs_in: str = 'nothing'):
        self.hangs_in = hangs_in
        self.goes_on = anyio.Event()
        self.stopped: list[str] = []
        self.started: list[str] = []
        self.agent = Agent(FunctionModel(stream_function=self.stream), tools=[self.work])

    async def stream(self, messages: Any, _info: Any) -> Any:
        if len(messages) > 1:
            yield 'done'
            return
        try:
            yield {0: DeltaToolCall('work', '{}')}
            await self._hang('model')
        finally:
            self.stopped.append('model')

    async def work(self) -> str:
        """Work."""
        self.started.append('tool')
        try:
            await self._hang('tool')
        finally:
            self.stopped.append('tool')
        return 'worked'

    async def _hang(self, place: str) -> None:
        if self.hangs_in == place:
            await self.goes_on.wait()


async def read_until(events: Any, kind: str) -> None:
    """Read up to the first event of a kind."""
    async for event in events:
        if event.event_kind == kind:
            return


async def test_the_result_comes_last():
    """The last event has the result of the run."""
    events = [event async for event in Watched().agent.run_stream_events('x')]
    assert isinstance(events[-1], AgentRunResultEvent)
    assert events[-1].result.output == 'done'


@pytest.mark.parametrize('place', ['model', 'tool'])
async def test_leaving_the_block_stops_the_run(place):
    """Whatever the run is at, it is cancelled and its clean-up is waited for when the block is left."""
    watched = Watched(hangs_in=place)
    async with watched.agent.run_stream_events('x') as events:
        await read_until(events, 'part_start' if place == 'model' else 'function_tool_call')
    assert watched.stopped[-1] == place


async def test_a_block_may_be_left_from_within_other_scopes():
    """Scopes that the reader opens and leaves while it reads do the run no harm."""
    watched = Watched()
    async with watched.agent.run_stream_events('x') as events:
        with anyio.move_on_after(60):
            await read_until(events, 'function_tool_call')
        rest = [event async for event in events]
    assert isinstance(rest[-1], AgentRunResultEvent)


async def test_a_wait_in_a_block_may_be_given_up():
    """A wait for the next event that is cancelled leaves the run as it is."""
    watched = Watched(hangs_in='tool')
    async with watched.agent.run_stream_events('x') as events:
        await read_until(events, 'function_tool_call')
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(events)
        watched.goes_on.set()
        seen = [event.event_kind async for event in events]
    assert (seen[0], seen[-1]) == ('function_tool_result', 'agent_run_result')


async def test_the_run_waits_for_its_reader():
    """A tool is not called before the events of the response that calls it are read."""
    watched = Watched()
    async with watched.agent.run_stream_events('x') as events:
        await read_until(events, 'part_end')
        await anyio.wait_all_tasks_blocked()
        assert watched.started == []


async def test_cancelling_a_reader_without_a_block_stops_the_run():
    """A loop over the events that is cancelled takes the run with it."""
    watched = Watched(hangs_in='tool')
    with anyio.CancelScope() as scope:
        async for event in watched.agent.run_stream_events('x'):
            if event.event_kind == 'function_tool_call':
                scope.cancel()
    assert watched.stopped == ['model', 'tool']


async def test_closing_stops_the_run():
    """`aclose` ends the run and the events."""
    watched = Watched(hangs_in='tool')
    events = watched.agent.run_stream_events('x')
    await read_until(events, 'function_tool_call')
    await events.aclose()
    assert watched.stopped == ['model', 'tool']
    assert [event async for event in events] == []


async def test_an_error_comes_behind_the_events_that_led_to_it():
    """What a model raises comes out of the events when those before it have been read."""

    async def stream(_messages: Any, _info: Any) -> Any:
        yield 'a'
        raise LookupError('broken')

    async with Agent(FunctionModel(stream_function=stream)).run_stream_events('x') as events:
        seen = [(await anext(events)).event_kind for _ in range(2)]
        with pytest.raises(LookupError, match='broken'):
            await anext(events)
    assert seen == ['part_start', 'final_result']


@pytest.mark.parametrize('anyio_backend', ['asyncio'], indirect=True)
async def test_on_asyncio_a_loop_that_is_broken_off_stops_the_run(anyio_backend):
    """When nobody holds the events any more, the run is cancelled."""
    watched = Watched(hangs_in='tool')
    async for event in watched.agent.run_stream_events('x'):
        if event.event_kind == 'function_tool_call':
            break
    await anyio.wait_all_tasks_blocked()
    assert watched.stopped == ['model', 'tool']


async def test_events_that_nobody_reads_start_nothing():
    """Without a reader there is no run."""
    watched = Watched()
    events = watched.agent.run_stream_events('x')
    await events.aclose()
    assert watched.stopped == []
