"""Joins that say what they need, by when, and what becomes of the rest and of failures.

Branches end at times of a test clock. What should come of a combination is worked out by a plain function, which knows
only when each branch ends and how.
"""

import math
from itertools import product

import anyio
import anyio.lowlevel
import pytest

from plait_graph import (
    BranchFailure,
    GraphBuilder,
    GraphTaskRequest,
    JoinItem,
    JoinPolicy,
    JoinUnsatisfied,
    ReduceFirstValue,
    ReducerContext,
    Share,
    StepContext,
    events,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.testing import FakeStep, TestClock

ALL_ENDED = 100
"""A time at which every branch has ended that was let run."""


class Race:
    """Branches that end at different times, with their number or with an error, and the graphs that they are in."""

    def __init__(self, policy, branches):
        self.policy = policy
        self.branches = branches
        self.clock = TestClock()
        self.ended = []

    async def work(self, ctx):
        time, fails = self.branches[ctx.inputs]
        await self.wait_until(time)
        self.ended.append(ctx.inputs)
        if fails:
            raise LookupError(ctx.inputs)
        return ctx.inputs

    async def wait_until(self, time):
        event = anyio.Event()
        self.clock.call_later(time - self.clock.now(), event.set)
        await event.wait()

    async def note(self, ctx):
        """Note when the join went on, and hold the run open until the rest has ended."""
        fired_at = self.clock.now()
        await self.wait_until(ALL_ENDED)
        return fired_at, [each.error.args[0] * 1j if isinstance(each, BranchFailure) else each for each in ctx.inputs]

    def builder(self, **options):
        """A builder with the steps and the join that all the graphs have."""
        g = GraphBuilder(output_type=object)
        join = g.join(reduce_list_append, initial_factory=list[object], node_id='need', policy=self.policy, **options)
        note = g.step(self.note, node_id='note')
        g.add(g.edge_from(join).to(note))
        return g, join, note

    def broadcast(self):
        """Start -> one step for each branch -> the join."""
        g, join, note = self.builder()
        steps = [g.step(self.work, node_id=f'work {number}') for number in range(len(self.branches))]
        g.add(
            g.edge_from(g.start_node).broadcast(
                lambda path: [path.transform(lambda ctx, n=n: n).to(work) for n, work in enumerate(steps)]
            ),
            g.edge_from(*steps).to(join),
            g.edge_from(note).to(g.end_node),
        )
        return g.build()

    def map(self):
        """Start -> map over the branches -> the join."""
        g, join, note = self.builder()
        work = g.step(self.work, node_id='work')
        g.add(
            g.edge_from(g.start_node).transform(lambda ctx: range(len(self.branches))).map(fork_id='fork').to(work),
            g.edge_from(work).to(join),
            g.edge_from(note).to(g.end_node),
        )
        return g.build()

    def stream(self):
        """Start -> a stream of the branches -> map -> the join."""
        g, join, note = self.builder()
        work = g.step(self.work, node_id='work')

        @g.stream
        async def items(ctx: StepContext[None, None, None]):
            for number in range(len(self.branches)):
                await anyio.lowlevel.checkpoint()
                yield number

        g.add(
            g.edge_from(g.start_node).to(items),
            g.edge_from(items).map(fork_id='fork').to(work),
            g.edge_from(work).to(join),
            g.edge_from(note).to(g.end_node),
        )
        return g.build()

    def nested(self):
        """Start -> map over two rows -> map over the branches -> the join of a row -> a join of the rows."""
        g, join, note = self.builder(parent_fork_id='fork')
        work = g.step(self.work, node_id='work')
        rows = g.join(_if_same, initial=None, node_id='rows')
        g.add(
            g.edge_from(g.start_node)
            .transform(lambda ctx: [range(len(self.branches))] * 2)
            .map(fork_id='row')
            .map(fork_id='fork')
            .to(work),
            g.edge_from(work).to(join),
            g.edge_from(note).to(rows),
            g.edge_from(rows).to(g.end_node),
        )
        return g.build()

    async def come_out(self, graph, *, iterates=False):
        """What the race came to: an output or an error, and the branches that ended."""
        async with self.clock.autojump():
            try:
                result = await (_iterate(graph, self.clock) if iterates else graph.run(clock=self.clock))
            except (LookupError, JoinUnsatisfied) as error:
                result = type(error), len(getattr(error, 'causes', ()))
        return result, sorted(set(self.ended))


def _if_same(current, value):
    """Keep what both rows came to."""
    if current not in (None, value):
        raise AssertionError(f'one row came to {current}, the other one to {value}')
    return value


async def _iterate(graph, clock):
    async with graph.iter(clock=clock) as run:
        async for _ in run:
            pass
    return run.output


def expected(policy, branches):
    """What a race should come to, worked out from the policy and the times at which the branches end."""
    came, lost = [], []
    enough = {'all': math.inf, 'arrived': math.inf}.get(policy.need, policy.need)
    if isinstance(enough, Share):
        enough = math.ceil(enough.part * len(branches))
    deadline = math.inf if policy.deadline is None else policy.deadline
    for time, number, fails in sorted((time, number, fails) for number, (time, fails) in enumerate(branches)):
        if time > deadline:
            return came_out(policy, branches, deadline, came, lost, is_met=policy.need == 'arrived')
        if fails and policy.failures == 'raise':
            return (LookupError, 0), ended_by(branches, time)
        (lost if fails else came).append(number)
        if len(came) >= enough:
            return came_out(policy, branches, time, came, lost, is_met=True)
    return came_out(policy, branches, max(time for time, _ in branches), came, lost, is_met=math.isinf(enough))


def came_out(policy, branches, time, came, lost, *, is_met):
    """What a race comes to that its join decides at a time."""
    if not is_met:
        return (JoinUnsatisfied, len(lost)), ended_by(branches, time)
    folded = [(number, number) for number in came]
    if policy.failures == 'collect':
        folded += [(number, number * 1j) for number in lost]
    return (time, [value for _, value in sorted(folded)]), ended_by(
        branches, ALL_ENDED if policy.rest == 'keep' else time
    )


def ended_by(branches, time):
    """The branches that have ended at a time."""
    return [number for number, (at, _) in enumerate(branches) if at <= time]


NEEDS = ['all', 1, 2, 3, 5, Share(0.5), Share(1), 'arrived']
RACES = [
    [(3, False), (1, False), (2, False), (4, False)],
    [(3, False), (1, True), (2, False), (4, False)],
    [(3, True), (1, False), (2, True), (4, True)],
    [(3, True), (1, True), (2, True), (4, True)],
]


def policies(need):
    """All policies with a need that make sense."""
    for deadline, rest, failures in product([None, 2.5, 50], ['cancel', 'keep'], ['raise', 'collect', 'ignore']):
        makes_no_sense = deadline is None and (need == 'arrived' or (need == 'all' and rest == 'keep'))
        if not makes_no_sense:
            yield JoinPolicy(need=need, deadline=deadline, rest=rest, failures=failures)


@pytest.mark.parametrize('need', NEEDS, ids=repr)
@pytest.mark.parametrize('fork', ['broadcast', 'map', 'stream', 'nested'])
async def test_every_combination_comes_to_what_it_should(need, fork):
    """All policies give what the times of the branches say, whatever kind of fork they are at."""
    for policy, branches in product(policies(need), RACES):
        race = Race(policy, branches)

        assert await race.come_out(getattr(race, fork)()) == expected(policy, branches), (policy, branches)


@pytest.mark.parametrize('need', NEEDS, ids=repr)
async def test_every_combination_comes_to_the_same_when_it_is_watched(need):
    """A run that is iterated over comes to the same under all policies."""
    for policy, branches in product(policies(need), RACES):
        race = Race(policy, branches)

        assert await race.come_out(race.map(), iterates=True) == expected(policy, branches), (policy, branches)


# Empty maps


@pytest.mark.parametrize(
    ('policy', 'output'),
    [
        (JoinPolicy(failures='ignore'), []),
        (JoinPolicy(need='arrived', deadline=5), []),
        (JoinPolicy(need=Share(0.5)), []),
        (JoinPolicy(need=1), None),
        (JoinPolicy(need=1, deadline=5, failures='collect'), None),
    ],
    ids=repr,
)
@pytest.mark.parametrize('fork', ['map', 'stream', 'limited'])
async def test_an_empty_map(fork, policy, output):
    """Without items a join has all and any share of them; a number of values it can not have."""
    g = GraphBuilder(output_type=list[int])
    join = g.join(reduce_list_append, initial_factory=list[int], policy=policy)

    @g.stream
    async def nothing(ctx: StepContext[None, None, None]):
        for item in ():
            yield item

    path = g.edge_from(g.start_node)
    if fork == 'stream':
        g.add(path.to(nothing))
        path = g.edge_from(nothing)
    g.add(path.map(limit=2 if fork == 'limited' else None).to(join), g.edge_from(join).to(g.end_node))
    run = g.build().run(inputs=[], clock=TestClock())

    if output is not None:
        assert await run == output
        return
    with pytest.raises(JoinUnsatisfied, match=r'needs any 1\. Values came: 0; nothing is left'):
        await run


# Maps with a limit


async def test_a_share_is_of_all_items_of_the_source():
    """A share of a map with a limit is met only when its source has told how many items there are."""
    clock, started = TestClock(), []
    g = GraphBuilder(output_type=list[int])

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        started.append(ctx.inputs)
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[int], policy=JoinPolicy(need=Share(0.3)))
    g.add(
        g.edge_from(g.start_node).map(limit=1).to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=iter(range(10)), clock=clock) == list(range(10))
    assert started == list(range(10))


async def test_enough_values_stop_a_source():
    """When a join has the number that it needs, an endless stream is closed, and no more items are begun."""
    log, g = [], GraphBuilder(output_type=list[int])

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]):
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            log.append('closed')

    work = g.step(FakeStep(*range(10)), node_id='work')
    join = g.join(reduce_list_append, initial_factory=list[int], policy=JoinPolicy(need=3))
    after = g.step(lambda ctx: (list(log), ctx.inputs), node_id='after')
    g.add(
        g.edge_from(g.start_node).to(numbers),
        g.edge_from(numbers).map(limit=2).to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )

    assert await g.build().run() == (['closed'], [0, 1, 2])


async def test_a_source_that_fails_is_a_failed_branch():
    """A stream that raises fails its whole map: the join around that ignores failures goes on without it."""
    g = GraphBuilder(output_type=list[str])

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]):
        yield 1
        raise LookupError('source')

    never = g.step(_never, node_id='never')
    other = g.step(FakeStep('other'), node_id='other')
    join = g.join(reduce_list_append, initial_factory=list[str], policy=JoinPolicy(failures='ignore'))
    g.add(
        g.edge_from(g.start_node).to(numbers, other),
        g.edge_from(numbers).map().to(never),
        g.edge_from(never, other).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run() == ['other']


async def _never(ctx):
    await anyio.Event().wait()


# Failures on their way outward


def rows(inner, outer, bodies):
    """Start -> map over rows -> map over their items -> a join of each row -> a join of all rows -> end."""
    g = GraphBuilder(output_type=list[object])
    work = g.step(bodies, node_id='work')
    row = g.join(reduce_sum, initial=0, node_id='row', parent_fork_id='items', policy=inner)
    everything = g.join(reduce_list_append, initial_factory=list[object], node_id='everything', policy=outer)
    g.add(
        g.edge_from(g.start_node).map(fork_id='rows').map(fork_id='items').to(work),
        g.edge_from(work).to(row),
        g.edge_from(row).to(everything),
        g.edge_from(everything).to(g.end_node),
    )
    return g.build()


async def negative_fails(ctx):
    """Hand a number on if it is positive."""
    if ctx.inputs < 0:
        raise LookupError(ctx.inputs)
    return ctx.inputs


async def test_a_failure_takes_the_row_with_it():
    """A failure that an inner join raises is taken by the join around, in the place of the whole row."""
    ended = []

    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 5:
            try:
                await anyio.Event().wait()
            finally:
                ended.append(5)
        return await negative_fails(ctx)

    graph = rows(None, JoinPolicy(failures='collect'), work)

    first, failure, last = await graph.run(inputs=[[1, 2], [5, -7], [3]])

    assert (first, last) == (3, 3)
    assert isinstance(failure, BranchFailure)
    assert (type(failure.error), failure.node_id) == (LookupError, 'work')
    assert [(item.fork_id, item.thread_index) for item in failure.fork_stack] == [
        ('__start__', 0),
        ('rows', 1),
        ('items', 1),
    ]
    assert ended == [5]


async def test_the_inner_join_comes_first():
    """A failure goes to the join that is next on its way; the one around does not hear of it."""
    graph = rows(JoinPolicy(failures='ignore'), JoinPolicy(failures='collect'), negative_fails)

    assert await graph.run(inputs=[[1, -1], [-2], [3]]) == [1, 0, 3]


async def test_a_need_that_is_not_met_is_a_failure_for_the_join_around():
    """A join around collects the `JoinUnsatisfied` of a row, with the failures that led to it."""
    graph = rows(JoinPolicy(need=2, failures='ignore'), JoinPolicy(failures='collect'), negative_fails)

    first, failure = await graph.run(inputs=[[1, 2], [3, -4]])

    assert first == 3
    assert (type(failure.error), failure.node_id) == (JoinUnsatisfied, 'row')
    assert [type(cause) for cause in failure.error.causes] == [LookupError]
    assert isinstance(failure.error.__cause__, LookupError)


async def test_a_subgraph_fails_as_a_whole():
    """A failure in a subgraph that nobody takes there is one of the step that it is."""
    inner = GraphBuilder(output_type=int)
    bad, slow = inner.step(FakeStep(LookupError()), node_id='bad'), inner.step(_never, node_id='slow')
    inner.add(inner.edge_from(inner.start_node).to(bad, slow), inner.edge_from(bad, slow).to(inner.end_node))
    g = GraphBuilder(output_type=list[object])
    part = inner.build().as_step(node_id='part')
    other = g.step(FakeStep('other'), node_id='other')
    join = g.join(reduce_list_append, initial_factory=list[object], policy=JoinPolicy(failures='collect'))
    g.add(
        g.edge_from(g.start_node).to(part, other),
        g.edge_from(part, other).to(join),
        g.edge_from(join).to(g.end_node),
    )

    failure, value = await g.build().run()

    assert (failure.node_id, value) == ('part/bad', 'other')


async def test_a_loser_that_was_kept_may_fail_late():
    """With `rest='keep'`, a branch that fails after the join went on without it does not fail the run."""
    told, g = [], GraphBuilder(output_type=list[str])
    may_fail = anyio.Event()

    @g.step
    async def slow(ctx: StepContext[None, None, None]) -> str:
        await may_fail.wait()
        raise LookupError('late')

    @g.step
    async def after(ctx: StepContext[None, None, list[str]]) -> list[str]:
        may_fail.set()
        await anyio.wait_all_tasks_blocked()
        return ctx.inputs

    quick = g.step(FakeStep('quick'), node_id='quick')
    join = g.join(reduce_list_append, initial_factory=list[str], policy=JoinPolicy(need=1, rest='keep'))
    g.add(
        g.edge_from(g.start_node).to(slow, quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )

    assert await g.build().run(on_event=told.append) == ['quick']
    (failed,) = [event for event in told if isinstance(event, events.StepFailed)]
    assert (failed.node_id, failed.is_dropped, failed.handled_by) == ('slow', True, None)


async def test_a_late_value_is_dropped_and_told():
    """With `rest='keep'`, a value that comes after the join went on is told as dropped."""
    race, told = Race(JoinPolicy(need=1, rest='keep'), RACES[0]), []

    async with race.clock.autojump():
        await race.map().run(clock=race.clock, on_event=told.append)

    assert [event.value for event in told if isinstance(event, events.ValueDropped)] == [2, 0, 3]


async def test_events_tell_which_join_took_a_failure():
    """A failure that a join takes is told with the join; one that it collects is told as joined as well."""
    told = []
    g = GraphBuilder(output_type=list[object])
    bad = g.step(FakeStep(LookupError(), LookupError()), node_id='bad', retry=2)
    join = g.join(
        reduce_list_append, initial_factory=list[object], policy=JoinPolicy(failures='collect'), node_id='all'
    )
    g.add(g.edge_from(g.start_node).to(bad), g.edge_from(bad).to(join), g.edge_from(join).to(g.end_node))

    await g.build().run(on_event=told.append)

    (failed,) = [event for event in told if isinstance(event, events.StepFailed)]
    (joined,) = [event for event in told if isinstance(event, events.ValueJoined)]
    assert (failed.node_id, failed.is_dropped, failed.attempt, failed.handled_by) == ('bad', False, 2, 'all')
    assert isinstance(joined.value, BranchFailure)
    assert joined.cause == failed.task_id


async def test_functions_on_edges_fail_as_branches_do():
    """A transform that raises is a failed branch."""
    g = GraphBuilder(output_type=list[object])
    join = g.join(reduce_list_append, initial_factory=list[object], policy=JoinPolicy(failures='ignore'))
    g.add(
        g.edge_from(g.start_node).map().transform(lambda ctx: 10 // ctx.inputs).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 0, 5]) == [10, 2]


async def test_a_request_to_stop_the_program_is_no_failed_branch():
    """`KeyboardInterrupt` ends the run, whatever joins ignore."""
    g = GraphBuilder(output_type=list[object])
    bad = g.step(FakeStep(KeyboardInterrupt()), node_id='bad')
    join = g.join(reduce_list_append, initial_factory=list[object], policy=JoinPolicy(failures='ignore'))
    g.add(g.edge_from(g.start_node).to(bad), g.edge_from(bad).to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(KeyboardInterrupt):
        await g.build().run()


# Reducers


async def test_the_first_value_wins_over_failures():
    """`ReduceFirstValue` with ignored failures is the first branch that succeeds."""
    g = GraphBuilder(output_type=object)
    steps = [g.step(FakeStep(answer), node_id=f'{answer!r}') for answer in (LookupError(), ValueError(), 'third')]
    slow = g.step(_never, node_id='slow')
    join = g.join(ReduceFirstValue[object](), initial='none', policy=JoinPolicy(failures='ignore'))
    g.add(
        g.edge_from(g.start_node).to(*steps, slow),
        g.edge_from(*steps, slow).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run() == 'third'


async def test_a_reducer_may_stop_before_there_is_enough():
    """A reducer that cancels its siblings before the need is met makes the join fail, as nothing more can come."""
    g = GraphBuilder(output_type=object)

    def stop(ctx: ReducerContext[None, None], current: int, value: int) -> int:
        ctx.cancel_sibling_tasks()
        return current + value

    join = g.join(stop, initial=0, policy=JoinPolicy(need=2))
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(JoinUnsatisfied, match='Values came: 1'):
        await g.build().run(inputs=[1, 2, 3])


async def test_completion_order_is_that_of_the_times():
    """With `order='completion'` what has come is folded as it came."""
    race = Race(JoinPolicy(need=3), RACES[0])
    race.builder = lambda make=race.builder: make(order='completion')

    async with race.clock.autojump():
        assert await race.map().run(clock=race.clock) == (3, [1, 2, 0])


# Deadlines


async def test_a_deadline_counts_from_the_run_of_its_fork():
    """Each row has its own time, from when its map began."""
    clock, g = TestClock(), GraphBuilder(output_type=list[object])

    async def wait(ctx: StepContext[None, None, float]) -> float:
        event = anyio.Event()
        clock.call_later(ctx.inputs, event.set)
        await event.wait()
        return ctx.inputs

    async def begin(ctx: StepContext[None, None, list[float]]) -> list[float]:
        await wait(StepContext(state=None, deps=None, inputs=ctx.inputs[0]))
        return ctx.inputs[1:]

    first, work = g.step(begin), g.step(wait)
    policy = JoinPolicy(need='arrived', deadline=4)
    row = g.join(reduce_list_append, initial_factory=list[float], parent_fork_id='items', policy=policy)
    everything = g.join(reduce_list_append, initial_factory=list[object], order='completion')

    @g.step
    async def stamp(ctx: StepContext[None, None, list[float]]) -> tuple[float, list[float]]:
        return clock.now(), ctx.inputs

    g.add(
        g.edge_from(g.start_node).map().to(first),
        g.edge_from(first).map(fork_id='items').to(work),
        g.edge_from(work).to(row),
        g.edge_from(row).to(stamp),
        g.edge_from(stamp).to(everything),
        g.edge_from(everything).to(g.end_node),
    )

    async with clock.autojump():
        output = await g.build().run(inputs=[[0, 1, 9], [20, 3, 2], [20.5, 30]], clock=clock)

    assert output == [(4, [1]), (23, [3, 2]), (24.5, [])]


async def test_a_deadline_is_taken_off_the_clock():
    """A join that fired in time, or whose run is over, leaves no timer."""
    race = Race(JoinPolicy(deadline=50), RACES[0])

    async with race.clock.autojump():
        await race.map().run(clock=race.clock)

    assert race.clock.pending == ()


async def test_a_missed_deadline_says_what_was_missed():
    """The error names the join, what it needs, what came and the time, and what to do."""
    race = Race(JoinPolicy(need=Share(0.75), deadline=2.5, failures='ignore'), RACES[1])

    async with race.clock.autojump():
        with pytest.raises(JoinUnsatisfied) as caught:
            await race.map().run(clock=race.clock)

    assert caught.value.message == (
        "Join 'need' needs 75% of the branches. Values came: 1, and branches failed: 1; "
        'its deadline of 2.5 s has come. Need less, give it more time, or let a join around it collect this failure.'
    )


# Watched runs


def watched(policy):
    """Start -> map -> work, in which negative numbers fail -> a join with a policy -> end."""
    g = GraphBuilder(output_type=list[object])
    work = g.step(negative_fails, node_id='work')
    join = g.join(reduce_list_append, initial_factory=list[object], policy=policy, node_id='all')
    g.add(
        g.edge_from(g.start_node).map().to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


def at_join(event):
    """The task of an event that is shown at the join, if it has one."""
    return next((task for task in event or () if task.node_id == 'all'), None)


async def test_a_collected_failure_is_shown_at_the_join():
    """While iterating, a failed branch is shown as a task at the join, whose input is the `BranchFailure`."""
    async with watched(JoinPolicy(failures='collect')).iter(inputs=[-1]) as run:
        shown = [event async for event in run]

    (failure,) = [task.inputs for event in shown[:-1] if (task := at_join(event))]
    assert isinstance(failure, BranchFailure)
    assert run.output == [failure]


async def test_a_collected_failure_can_be_replaced():
    """What is shown at the join can be overridden by a value of one's own, which then counts for the need."""
    async with watched(JoinPolicy(need=2, failures='collect')).iter(inputs=[-1, 5]) as run:
        async for event in run:
            task = at_join(event) if isinstance(event, list) else None
            if task is not None and isinstance(task.inputs, BranchFailure):
                run.override_next([JoinItem('all', 'mended', task.fork_stack)])

    assert run.output == ['mended', 5]


async def test_an_ignored_branch_is_shown_as_nothing():
    """While iterating, a failed branch that is ignored leads to nothing, and is shown so."""
    async with watched(JoinPolicy(failures='ignore')).iter(inputs=[-1, 5]) as run:
        shown = [event async for event in run]

    assert shown.count([]) == 1
    assert run.output == [5]


async def until_items_are_shown(run):
    """Advance until the tasks of the two items are shown."""
    event = await run.next()
    while len(event) < 2:
        event = await run.next()
    return event


async def test_a_task_that_was_taken_out_cannot_count():
    """Tasks that are left out by an override bring no value, so that a number may become out of reach."""
    async with watched(JoinPolicy(need=2)).iter(inputs=[1, 2]) as run:
        event = await until_items_are_shown(run)
        run.override_next(event[:1])
        with pytest.raises(JoinUnsatisfied):
            [_ async for _ in run]


async def test_values_that_are_put_in_count():
    """Tasks that are added by an override bring values like others."""
    async with watched(JoinPolicy(need=3)).iter(inputs=[1, 2]) as run:
        event = await until_items_are_shown(run)
        run.override_next([*event, GraphTaskRequest('work', 3, event[0].fork_stack)])
        async for _ in run:
            pass

    assert sorted(run.output) == [1, 2, 3]


async def test_an_unmet_need_can_be_recovered_from():
    """`JoinUnsatisfied` is shown as any other error, and something else can be put in its place."""
    async with watched(JoinPolicy(need=2, failures='ignore')).iter(inputs=[1, -2]) as run:
        with pytest.raises(JoinUnsatisfied):
            [_ async for _ in run]
        run.override_next([GraphTaskRequest('__end__', ['instead'])])
        async for _ in run:
            pass

    assert run.output == ['instead']


# The picture


def test_the_picture_shows_the_policy():
    """The picture has a note beside a join with what it needs, by when, and what it does about the rest."""
    text = watched(JoinPolicy(need=Share(0.5), deadline=30, rest='keep', failures='collect')).render()

    note = text.partition('note right of all\n')[2].partition('  end note')[0]
    assert [line.strip() for line in note.splitlines()] == [
        '50% of the branches',
        'within 30 s',
        'the rest goes on',
        'collect failures',
    ]


def test_a_policy_that_changes_nothing_is_not_shown():
    """`JoinPolicy()` is what joins do without one."""
    assert watched(JoinPolicy()).render() == watched(None).render()
