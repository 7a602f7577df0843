"""The deadline of a whole run: it ends everything, whatever the run waits for."""

import threading
from collections.abc import Awaitable
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest

from plait_graph import (
    EndMarker,
    GraphBuilder,
    JoinPolicy,
    Limit,
    Retry,
    RunTimeout,
    StepContext,
    events,
    reduce_list_append,
)
from plait_graph.testing import FakeStep, TestClock


def after_start(call, **options):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, node_id='work', **options)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


async def never(ctx):
    """A body that only a cancellation ends."""
    await anyio.Event().wait()


async def test_a_run_that_takes_too_long_fails():
    """When its deadline has passed the run fails with `RunTimeout`, which says how long and what was at work."""
    clock = TestClock()

    async with clock.autojump():
        with pytest.raises(RunTimeout, match=r"the 5 s that its deadline allows\. At work were 'work'\.") as caught:
            await after_start(never).run(deadline=5, clock=clock)

    assert clock.now() == 5
    assert isinstance(caught.value, TimeoutError)


async def test_bodies_have_ended_when_the_deadline_is_raised():
    """What runs at the deadline is cancelled, and its clean-up waited for."""
    clock, log = TestClock(), []

    async def work(ctx: StepContext[None, None, None]) -> None:
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            log.append('cleaned up')

    async with clock.autojump():
        with pytest.raises(RunTimeout):
            await after_start(work, retry=5).run(deadline=5, clock=clock)

    assert log == ['cleaned up']


async def test_a_run_in_time_leaves_no_timer():
    """A run that ends in time gives its value, and its timer is taken off the clock."""
    clock = TestClock()

    assert await after_start(FakeStep('done')).run(deadline=timedelta(minutes=1), clock=clock) == 'done'

    assert clock.pending == ()


async def test_the_deadline_ends_a_wait_for_the_next_attempt():
    """A run in which all wait for their next attempts ends at its deadline."""
    clock, work = TestClock(), FakeStep(LookupError(), repeats=True)

    async with clock.autojump():
        with pytest.raises(RunTimeout, match='Nothing was at work'):
            await after_start(work, retry=Retry(9, wait=4)).run(deadline=10, clock=clock)

    assert work.count == 3
    assert clock.now() == 10
    assert clock.pending == ()


async def test_the_deadline_ends_a_wait_for_a_limit():
    """A run in which all wait for a limit ends at its deadline, and waits in no line any more."""
    clock, limit = TestClock(), Limit('held by another one', in_flight=1)
    ticket = limit.ask()

    async with clock.autojump():
        with pytest.raises(RunTimeout):
            await after_start(never, limit=limit).run(deadline=10, clock=clock)

    assert limit.statistics().waiting == 0
    ticket.release()
    Limit.forget(limit.name)


async def test_the_deadline_is_no_failed_branch():
    """No join takes the deadline of the run for a failure that it could ignore."""
    clock, g = TestClock(), GraphBuilder(output_type=list[object])
    step = g.step(never, node_id='work')
    policy = JoinPolicy(failures='ignore', need='arrived', deadline=100)
    join = g.join(reduce_list_append, initial_factory=list[object], policy=policy)
    g.add(
        g.edge_from(g.start_node).map().to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )

    async with clock.autojump():
        with pytest.raises(RunTimeout):
            await g.build().run(inputs=[1, 2], deadline=5, clock=clock)


async def test_failures_while_stopping_come_with_the_deadline():
    """What a body raises when the deadline stops it comes out with the `RunTimeout` in one group."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        try:
            await anyio.Event().wait()
        finally:
            raise LookupError('in the clean-up')

    async with clock.autojump():
        with pytest.raises(ExceptionGroup) as caught:
            await after_start(work).run(deadline=5, clock=clock)

    assert [type(error) for error in caught.value.exceptions] == [RunTimeout, LookupError]


async def test_a_thread_at_the_deadline_is_waited_for():
    """A plain function that runs at the deadline is waited for; what it gives is not awaited, and nothing starts."""
    clock, go_on, started = TestClock(), threading.Event(), anyio.Event()
    native = anyio.lowlevel.current_token().native_token
    post = getattr(native, 'call_soon_threadsafe', None) or native.run_sync_soon
    log = []

    def work(ctx: StepContext[None, None, None]) -> Awaitable[None]:
        post(started.set)
        go_on.wait()
        log.append('ended')
        return never(ctx)

    async def run():
        with pytest.raises(RunTimeout):
            await after_start(work).run(deadline=5, clock=clock)
        log.append('raised')

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await started.wait()
        clock.advance(5)
        go_on.set()

    assert log == ['ended', 'raised']


def test_a_deadline_without_a_loop(thread_loop):
    """`run_sync` keeps the deadline as `run` does."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        clock.advance(5)
        await anyio.Event().wait()

    with pytest.raises(RunTimeout):
        after_start(work).run_sync(deadline=5, clock=clock)


async def test_the_loop_keeps_the_time_by_itself():
    """Without a clock of one's own, the event loop keeps deadlines, waits and time-outs."""
    with pytest.raises(RunTimeout):
        await after_start(never, retry=Retry(10_000, wait=0.001), timeout=0.001).run(deadline=0.02)


# While iterating


async def test_the_deadline_ends_an_advance():
    """An advance that waits when the deadline comes raises `RunTimeout`."""
    clock = TestClock()

    async with clock.autojump(), after_start(never).iter(deadline=5, clock=clock) as run:
        await anext(run)
        with pytest.raises(RunTimeout):
            await anext(run)
        with pytest.raises(RunTimeout):
            await anext(run)


async def test_the_deadline_passes_between_two_advances():
    """If the deadline comes while the user's own code runs, that goes on, and the next advance raises `RunTimeout`."""
    clock, work = TestClock(), FakeStep('done')

    async with after_start(work).iter(deadline=5, clock=clock) as run:
        await anext(run)
        await clock.wait_passed(5)
        with pytest.raises(RunTimeout):
            await anext(run)

    assert work.count == 0


async def test_the_time_begins_when_the_block_is_entered():
    """The time of a run that is iterated over begins with its block, not with the first advance."""
    clock = TestClock()

    async with after_start(FakeStep('done')).iter(deadline=5, clock=clock) as run:
        await clock.wait_passed(5)
        with pytest.raises(RunTimeout):
            await anext(run)


async def test_an_end_that_was_shown_in_time_stays():
    """A run whose end was shown before the deadline has ended, however long it takes to look at that."""
    clock = TestClock()

    async with after_start(FakeStep('done')).iter(deadline=5, clock=clock) as run:
        async for event in run:
            if isinstance(event, EndMarker):
                await clock.wait_passed(50)

    assert run.output == 'done'


async def test_leaving_the_block_takes_the_deadline_off_the_clock():
    """After the block nothing is left on the clock, however it was left."""
    clock = TestClock()

    async with after_start(never, timeout=3).iter(deadline=5, clock=clock) as run:
        await anext(run)

    assert clock.pending == ()


async def test_events_of_a_run_that_runs_out_of_time():
    """`run.events()` gives what happened, and then raises `RunTimeout`."""
    clock, told = TestClock(), []

    async with clock.autojump(), after_start(never).iter(deadline=5, clock=clock) as run:
        with pytest.raises(RunTimeout):
            told.extend([event async for event in run.events()])
        assert run.output is None

    assert not any(isinstance(event, events.RunFinished) for event in told)
