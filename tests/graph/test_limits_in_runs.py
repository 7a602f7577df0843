"""Limits by name, as runs keep them: never exceeded, always used, and empty when a run has ended in whatever way."""

import random
import threading
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from plait_graph import (
    GraphBuilder,
    GraphRuntimeError,
    JoinPolicy,
    Limit,
    Retry,
    RunTimeout,
    StepContext,
    StepTimeout,
    events,
    reduce_list_append,
    reduce_null,
    reduce_sum,
)
from plait_graph.testing import TestClock


@pytest.fixture
def limits() -> Iterator[dict[str, int]]:
    """Frees the names of limits that a test has made."""
    yield
    for name in ('seven', 'one', 'few', 'rate', 'units'):
        Limit.forget(name)


pytestmark = pytest.mark.usefixtures('limits')


def over_items(call, **options):
    """Start -> map -> the step -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    step = g.step(call, node_id='work', **options)
    join = g.join(reduce_list_append, initial_factory=list[object])
    g.add(
        g.edge_from(g.start_node).map().to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


async def never(ctx):
    """A body that only a cancellation ends."""
    await anyio.Event().wait()


def state(limit):
    """How many hold a limit, and how many wait for it."""
    statistics = limit.statistics()
    return statistics.in_flight, statistics.waiting


# The bound, and its use


class Hall:
    """Bodies that wait in it until they are let out, so that it can be seen how many are there."""

    def __init__(self, places, tasks):
        self.places = places
        self.left = tasks
        self.inside = []
        self.most = 0

    async def visit(self, ctx):
        door = anyio.Event()
        self.inside.append(door)
        self.most = max(self.most, len(self.inside))
        await door.wait()

    async def conduct(self, limit, chance):
        """Let bodies out, some at a time, as soon as all places are used that there is work for."""
        while self.left:
            await self._wait_full(limit)
            assert state(limit)[0] == len(self.inside) == min(self.places, self.left)
            chance.shuffle(self.inside)
            for _ in range(chance.randint(1, len(self.inside))):
                self.inside.pop().set()
                self.left -= 1

    async def _wait_full(self, limit):
        """Give the loop some turns: those that were let out end, and others begin."""
        for _ in range(20):
            if state(limit)[0] == len(self.inside) == min(self.places, self.left):
                return
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize('seed', range(3))
async def test_a_limit_over_three_graphs_is_never_exceeded_and_always_used(seed):
    """Of 10,000 tasks of three graphs there are 7 at work, or all that are left, whoever ends in what order."""
    limit, hall = Limit('seven', in_flight=7), Hall(7, 10_000)
    chance = random.Random(seed)
    sizes = [5000, 3000, 2000]

    async with anyio.create_task_group() as group:
        for size in sizes:
            graph = over_items(hall.visit, limit='seven')
            group.start_soon(lambda graph=graph, size=size: graph.run(inputs=range(size)))
        await hall.conduct(limit, chance)

    assert hall.most == 7
    assert (limit.statistics().granted, *state(limit)) == (10_000, 0, 0)


async def test_a_limit_is_shared_by_the_steps_of_a_graph():
    """Two steps that name one limit share its places, each in the order in which its tasks became ready."""
    limit, inside, most = Limit('few', in_flight=2), [], []
    g = GraphBuilder(output_type=int)

    async def work(ctx: StepContext[None, None, int]) -> int:
        inside.append(ctx.node_id)
        most.append(len(inside))
        await anyio.lowlevel.checkpoint()
        inside.remove(ctx.node_id)
        return 1

    left, right = (g.step(work, node_id=name, limit=limit) for name in ('left', 'right'))
    join = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(left, right),
        g.edge_from(left, right).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=range(10)) == 20
    assert max(most) == 2


@pytest.mark.parametrize('places', [1, 3, 10])
@pytest.mark.parametrize(
    ('at_once', 'of_the_step'), [(None, None), (1, None), (2, None), (4, None), (None, 1), (None, 3), (4, 2)]
)
async def test_tasks_go_on_in_their_order(places, at_once, of_the_step):
    """Tasks start in the order in which they became ready, whatever they have to wait for."""
    Limit('few', in_flight=places)
    started = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        started.append(ctx.inputs)
        await anyio.lowlevel.checkpoint()

    graph = over_items(work, limit='few', max_concurrency=of_the_step)
    await graph.run(inputs=range(8), max_concurrency=at_once)

    assert started == list(range(8))


async def test_who_waits_for_a_limit_holds_no_place_in_the_run():
    """With `max_concurrency=1`, a task that waits for a limit lets others run."""
    limit = Limit('one', in_flight=1)
    ticket = limit.ask()
    g = GraphBuilder(output_type=list[str])

    @g.step(limit='one', max_concurrency=1)
    async def limited(ctx: StepContext[None, None, None]) -> str:
        return 'limited'

    @g.step
    async def free(ctx: StepContext[None, None, None]) -> str:
        ticket.release()
        return 'free'

    join = g.join(reduce_list_append, initial_factory=list[str], order='completion')
    g.add(
        g.edge_from(g.start_node).to(limited, free),
        g.edge_from(limited, free).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(max_concurrency=1) == ['free', 'limited']


async def test_each_attempt_asks_anew():
    """Between two attempts a step holds no permit, so that others can go on meanwhile."""
    clock, limit = TestClock(), Limit('one', in_flight=1)
    seen = []

    async def work(ctx: StepContext[None, None, int]) -> int:
        seen.append((ctx.inputs, clock.now()))
        if ctx.inputs == 0 and ctx.attempt == 1:
            raise LookupError
        return ctx.inputs

    async with clock.autojump():
        output = await over_items(work, limit='one', retry=Retry(2, wait=5)).run(inputs=[0, 1], clock=clock)

    assert output == [0, 1]
    assert seen == [(0, 0), (1, 0), (0, 5)]
    assert limit.statistics().granted == 3


async def test_a_body_keeps_its_permit_until_it_has_ended():
    """A permit is given back when the body of a timed-out attempt has ended, and not when its time is up."""
    clock, limit, may_end = TestClock(), Limit('one', in_flight=1), anyio.Event()

    async def work(ctx: StepContext[None, None, None]) -> None:
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await may_end.wait()

    async def run():
        with pytest.raises(StepTimeout):
            await over_items(work, limit='one', timeout=3).run(inputs=[0], clock=clock)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.wait_passed(10)
        assert state(limit) == (1, 0)
        may_end.set()

    assert state(limit) == (0, 0)


async def test_waiting_for_a_limit_takes_nothing_of_the_time():
    """The time-out of a step is counted from the start of its body, not from when it began to wait for a limit."""
    clock, limit = TestClock(), Limit('one', in_flight=1)
    ticket = limit.ask()

    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    async with anyio.create_task_group() as group:
        outputs = []

        async def run():
            outputs.append(await over_items(work, limit='one', timeout=3).run(inputs=[5], clock=clock))

        group.start_soon(run)
        await clock.wait_passed(100)
        ticket.release()

    assert outputs == [[5]]


# Rates and weights


async def test_a_rate_lets_tasks_begin_as_time_goes_by():
    """With `per_second`, the bodies begin at the times that the rate allows."""
    clock = TestClock()
    Limit('rate', per_second=2, clock=clock.now)
    began = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        began.append(clock.now())

    async with clock.autojump():
        await over_items(work, limit='rate').run(inputs=range(6), clock=clock)

    assert began == pytest.approx([0, 0, 0.5, 1, 1.5, 2])
    assert clock.pending == ()


async def test_two_runs_share_a_rate():
    """A rate is that of all runs together, and each of them wakes when its turn has come."""
    clock = TestClock()
    Limit('rate', per_second=1, clock=clock.now)
    began = []

    async def work(ctx: StepContext[None, None, str]) -> None:
        began.append((ctx.inputs, clock.now()))

    graph = over_items(work, limit='rate')
    async with clock.autojump(), anyio.create_task_group() as group:
        for name in 'ab':
            group.start_soon(lambda name=name: graph.run(inputs=[name] * 3, clock=clock))

    assert [now for _, now in began] == pytest.approx([0, 1, 2, 3, 4, 5])
    assert sorted(name for name, _ in began) == ['a', 'a', 'a', 'b', 'b', 'b']


async def test_calls_have_a_weight():
    """A weighed limit lets begin what its units allow; the weight is found from the context of the call."""
    clock = TestClock()
    limit = Limit('units', units_per_minute=60, clock=clock.now)
    began = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        began.append((ctx.inputs, clock.now()))

    graph = over_items(work, limit=limit.weighing(lambda ctx: ctx.inputs))
    async with clock.autojump():
        await graph.run(inputs=[60, 10, 20], clock=clock)

    assert began == [(60, 0), (10, pytest.approx(10)), (20, pytest.approx(30))]


async def test_a_paused_limit_lets_nobody_begin():
    """After `limit.pause(...)`, as after a Retry-After, tasks wait so long."""
    clock = TestClock()
    limit = Limit('few', in_flight=5, clock=clock.now)
    began = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        began.append(clock.now())
        if ctx.inputs == 0 and ctx.attempt == 1:
            limit.pause(30)
            raise ConnectionError('429')

    async with clock.autojump():
        await over_items(work, limit=limit, retry=2, max_concurrency=1).run(inputs=range(3), clock=clock)

    assert began == [0, 30, 30, 30]


# Bad limits


async def test_an_unknown_limit_fails_the_step():
    """The name of a limit that nobody has made is told by the run, with the step that asked for it."""
    with pytest.raises(GraphRuntimeError, match=r"No limit is named 'few'.*Make it first") as caught:
        await over_items(never, limit='few').run(inputs=[1])

    assert "'work'" in caught.value.__notes__[0]


async def test_a_weight_that_never_fits_fails_the_step():
    """A call that weighs more than the limit ever has at once fails instead of waiting for ever."""
    limit = Limit('units', units_per_minute=60)

    with pytest.raises(GraphRuntimeError, match=r"'units' was asked for weight=61 .* Divide the work"):
        await over_items(never, limit=limit.weighing(lambda ctx: ctx.inputs)).run(inputs=[61])

    assert state(limit) == (0, 0)


async def test_a_weight_that_raises_fails_the_step():
    """What the function of a weight raises is the failure of its step; the steps behind it are not weighed any more."""
    limit = Limit('units', units_per_minute=60, in_flight=1)
    weighed = []

    def weigh(ctx):
        weighed.append(ctx.inputs)
        if ctx.inputs:
            raise ZeroDivisionError('no weight')
        return 1

    async def work(ctx: StepContext[None, None, int]) -> None:
        await anyio.lowlevel.checkpoint()

    with pytest.raises(ZeroDivisionError, match='no weight'):
        await over_items(work, limit=limit.weighing(weigh)).run(inputs=[0, 1, 2, 3])

    assert weighed == [0, 1]
    assert state(limit) == (0, 0)


async def test_a_join_may_collect_what_a_limit_refuses():
    """A task that a limit will never let go on is a failed branch like any other."""
    limit, g = Limit('units', units_per_minute=60), GraphBuilder(output_type=list[object])

    @g.step(limit=limit.weighing(lambda ctx: ctx.inputs))
    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[object], policy=JoinPolicy(failures='collect'))
    g.add(
        g.edge_from(g.start_node).map().to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(g.end_node),
    )

    first, refused, last = await g.build().run(inputs=[10, 100, 20])

    assert (first, last) == (10, 20)
    assert isinstance(refused.error, GraphRuntimeError)


# What is left behind: nothing


async def let_wait(limit, graph, **options):
    """Run a graph until its tasks hold the limit and wait for it, then cancel the one who runs it."""
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: graph.run(inputs=range(5), **options))
        await anyio.wait_all_tasks_blocked()
        assert state(limit) == (1, 1)  # a run stands in the line once
        group.cancel_scope.cancel()


async def test_a_cancelled_caller_leaves_the_limit_empty():
    """When the one who awaits the run is cancelled, its permits are given back, and it stands in no line."""
    limit = Limit('one', in_flight=1)

    await let_wait(limit, over_items(never, limit='one'))

    assert state(limit) == (0, 0)


async def test_a_failed_run_leaves_the_limit_empty():
    """When a step fails, what waited for a limit waits no more."""
    limit = Limit('one', in_flight=1)

    async def work(ctx: StepContext[None, None, int]) -> None:
        await anyio.wait_all_tasks_blocked()
        raise LookupError

    with pytest.raises(LookupError):
        await over_items(work, limit='one').run(inputs=range(5))

    assert state(limit) == (0, 0)


async def test_a_run_that_has_its_value_leaves_the_limit_empty():
    """When the end is reached, tasks that hold the limit or wait for it are taken off."""
    limit, g = Limit('one', in_flight=1), GraphBuilder(output_type=object)
    slow = g.step(never, node_id='slow', limit='one')

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> str:
        await anyio.wait_all_tasks_blocked()
        assert state(limit) == (1, 1)
        return 'quick'

    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).map().to(slow),
        g.edge_from(g.start_node).to(quick),
        g.edge_from(slow).to(join),
        g.edge_from(quick, join).to(g.end_node),
    )

    assert await g.build().run(inputs=range(5)) == 'quick'
    assert state(limit) == (0, 0)


async def test_leaving_an_iteration_leaves_the_limit_empty():
    """Breaking off an iteration gives back what its tasks hold, and takes those that wait out of the line."""
    limit, g, seen = Limit('one', in_flight=1), GraphBuilder(output_type=object), []
    slow = g.step(never, node_id='slow', limit='one')

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> None:
        await anyio.wait_all_tasks_blocked()
        seen.append(state(limit))

    join = g.join(reduce_null, initial=None, node_id='all')
    g.add(
        g.edge_from(g.start_node).map().to(slow),
        g.edge_from(g.start_node).to(quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(g.end_node),
    )
    async with g.build().iter(inputs=range(5)) as run:
        async for event in run:
            if event and event[0].node_id == 'all':
                break

    assert seen == [(1, 1)]
    assert state(limit) == (0, 0)


async def test_losers_leave_the_line():
    """Tasks that wait for a limit are taken off when a join goes on without them, and the run goes on."""
    limit, g = Limit('one', in_flight=1), GraphBuilder(output_type=object)
    started = []

    @g.step(limit='one')
    async def work(ctx: StepContext[None, None, int]) -> int:
        started.append(ctx.inputs)
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[int], policy=JoinPolicy(need=2))

    @g.step(limit='one')
    async def after(ctx: StepContext[None, None, list[int]]) -> list[int]:
        assert state(limit) == (1, 0)
        return ctx.inputs

    g.add(
        g.edge_from(g.start_node).map().to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )

    assert await g.build().run(inputs=range(5)) == [0, 1]
    assert started == [0, 1]
    assert state(limit) == (0, 0)


@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_two_loops_in_two_threads_share_a_limit(backend):
    """Runs on event loops of different threads never exceed a limit together, and both come to their end."""
    limit, lock = Limit('few', in_flight=3), threading.Lock()
    inside, most, totals = [0], [0], []

    async def work(ctx: StepContext[None, None, int]) -> int:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        with lock:
            inside[0] -= 1
        return ctx.inputs

    graph = over_items(work, limit='few')

    async def run():
        totals.append(sum(await graph.run(inputs=range(200))))

    threads = [
        threading.Thread(target=anyio.run, args=[run], kwargs={'backend': each}) for each in (backend, 'asyncio')
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert totals == [sum(range(200))] * 2
    assert most[0] <= 3
    assert (limit.statistics().granted, *state(limit)) == (400, 0, 0)


async def test_a_run_that_waits_for_a_limit_has_its_deadline():
    """A run in which all wait for a limit that somebody else holds ends at its deadline, and leaves the line."""
    clock, limit = TestClock(), Limit('one', in_flight=1)
    ticket = limit.ask()

    async with clock.autojump():
        with pytest.raises(RunTimeout, match=r'the 9 s that its deadline allows. Nothing was at work'):
            await over_items(never, limit='one').run(inputs=range(3), clock=clock, deadline=9)

    assert state(limit) == (1, 0)
    ticket.release()


async def test_a_run_knows_how_many_wait():
    """`run.statistics()` counts those that wait for a limit, and those that a join has given up no more."""
    limit, g, counts = Limit('one', in_flight=1), GraphBuilder(output_type=object), []
    ticket = limit.ask()
    slow = g.step(never, node_id='slow', limit='one')

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> str:
        await anyio.wait_all_tasks_blocked()
        counts.append(run.statistics())
        return 'quick'

    @g.step
    async def after(ctx: StepContext[None, None, object]) -> object:
        counts.append(run.statistics())
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[object], policy=JoinPolicy(need=1), node_id='any')
    g.add(
        g.edge_from(g.start_node).map().to(slow),
        g.edge_from(g.start_node).to(quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )
    async with g.build().iter(inputs=range(3)) as run:
        async for _ in run:
            pass

    before, behind = counts
    assert (before.running, before.ready, before.waiting, before.open_joins) == (1, 0, 3, 0)
    assert (behind.running, behind.ready, behind.waiting, behind.open_joins) == (1, 0, 0, 0)
    ticket.release()


async def test_events_tell_when_a_task_got_on():
    """A task that waits for a limit is ready, and started only when the limit lets it go on."""
    limit, told = Limit('one', in_flight=1), []
    ticket = limit.ask()

    async def work(ctx: StepContext[None, None, int]) -> None:
        """Nothing to do."""

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: over_items(work, limit='one').run(inputs=[1], on_event=told.append))
        await anyio.wait_all_tasks_blocked()
        assert [type(event) for event in told] == [events.StepReady]
        ticket.release()

    assert [type(event) for event in told[:3]] == [events.StepReady, events.StepStarted, events.StepFinished]
