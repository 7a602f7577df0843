"""Budgets in runs: one for all steps, in threads and subgraphs too, whose time is a deadline."""

import anyio
import pytest

from plait_graph import (
    Budget,
    BudgetExceeded,
    EventLog,
    GraphBuilder,
    GraphRuntimeError,
    JoinPolicy,
    Retry,
    RunTimeout,
    StepContext,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.testing import TestClock


def after_start(call, **options):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, node_id='work', **options)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


def over_items(call, policy=None, **options):
    """Start -> map -> the step -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    step = g.step(call, node_id='work', **options)
    join = g.join(reduce_list_append, initial_factory=list[object], policy=policy)
    g.add(
        g.edge_from(g.start_node).map().to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


async def spend_a_call(ctx):
    """Spend a call of the budget."""
    ctx.budget.spend(calls=1)
    return ctx.inputs


async def never(ctx):
    """A body that only a cancellation ends."""
    await anyio.Event().wait()


async def test_steps_spend_the_budget_of_their_run():
    """`ctx.budget` is the budget that the run was given."""
    budget = Budget(calls=10)

    await over_items(spend_a_call).run(inputs=range(4), budget=budget)

    assert (budget.spent.calls, budget.remaining.calls) == (4, 6)


async def test_a_run_without_a_budget_counts_all_the_same():
    """Without a budget, the steps of a run share one without bounds."""

    async def work(ctx: StepContext[None, None, int]) -> int:
        ctx.budget.spend(calls=1, tokens=10)
        return ctx.budget.spent.tokens

    assert await over_items(work).run(inputs=range(3), max_concurrency=1) == [10, 20, 30]
    assert await over_items(work).run(inputs=range(1)) == [10]


async def test_a_budget_that_is_used_up_fails_the_step():
    """The step that asks for more than is left fails with `BudgetExceeded`, as itself and with its note."""
    budget = Budget(calls=2, name='mine')

    with pytest.raises(BudgetExceeded, match='mine') as caught:
        await over_items(spend_a_call).run(inputs=range(3), budget=budget, max_concurrency=1)

    assert caught.value.leaf == 'calls'
    assert "item 2 of map 'map'" in caught.value.__notes__[0]


async def test_what_goes_over_is_a_failed_branch():
    """A join may ignore the branches that the budget did not allow."""

    async def work(ctx: StepContext[None, None, int]) -> int:
        with ctx.budget.reserve(calls=1) as reservation:
            reservation.spend(calls=1)
        return ctx.inputs

    graph = over_items(work, JoinPolicy(failures='ignore'))

    assert await graph.run(inputs=range(5), budget=Budget(calls=3)) == [0, 1, 2]


async def test_attempts_spend_what_they_spend():
    """A step that is tried again spends anew, and what the budget refuses can be left out of the retries."""
    budget = Budget(calls=2)

    async def work(ctx: StepContext[None, None, None]) -> None:
        ctx.budget.spend(calls=1)
        raise LookupError

    with pytest.raises(BudgetExceeded):
        await after_start(work, retry=Retry(9, on=LookupError)).run(budget=budget)

    assert budget.spent.calls == 3


async def test_a_thread_has_the_budget():
    """A step in a thread has the same budget."""
    budget = Budget(calls=10)

    def work(ctx: StepContext[None, None, int]) -> bool:
        ctx.budget.spend(calls=1)
        return ctx.budget is budget

    assert await over_items(work).run(inputs=range(4), budget=budget) == [True] * 4
    assert budget.spent.calls == 4


async def test_a_subgraph_has_the_budget_of_its_run():
    """Steps of a subgraph spend the budget of the run around."""
    budget, g = Budget(calls=10), GraphBuilder(output_type=int)
    inner = over_items(spend_a_call).as_step(node_id='inner')
    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(inner),
        g.edge_from(inner).map().to(total),
        g.edge_from(total).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 2, 3], budget=budget) == 6
    assert budget.spent.calls == 3


async def test_a_run_within_a_run_has_a_part_of_its_budget():
    """A run that a step starts with a child of its budget is bounded by both, and spends both."""
    budget, inner = Budget(calls=3), over_items(spend_a_call)

    async def work(ctx: StepContext[None, None, None]) -> None:
        await inner.run(inputs=range(2), budget=ctx.budget.child(name='part', calls=5))
        await inner.run(inputs=range(2), budget=ctx.budget.child(name='rest', calls=5))

    with pytest.raises(BudgetExceeded) as caught:
        await after_start(work).run(budget=budget)

    assert (caught.value.leaf, caught.value.budget) == ('calls', 'run')
    assert budget.spent.calls == 4


async def test_two_runs_share_a_budget():
    """What one run has spent is not there for the next one."""
    budget = Budget(calls=3)
    await over_items(spend_a_call).run(inputs=range(2), budget=budget)

    with pytest.raises(BudgetExceeded):
        await over_items(spend_a_call).run(inputs=range(2), budget=budget)


async def test_the_time_of_a_budget_is_a_deadline():
    """A run whose budget has so much time left ends when that is up, also if nothing asks the budget."""
    clock = TestClock()
    budget = Budget(seconds=10, clock=clock.now)
    budget.start()
    clock.advance(4)

    async with clock.autojump():
        with pytest.raises(RunTimeout):
            await after_start(never).run(budget=budget, clock=clock)

    assert clock.now() == 10


@pytest.mark.parametrize(('deadline', 'seconds', 'sooner'), [(3, 10, 'deadline'), (10, 3, 'budget')])
async def test_the_sooner_of_deadline_and_budget_counts(deadline, seconds, sooner):
    """With a deadline and a budget that has a time, the run has the shorter one, and the error says which it is."""
    clock = TestClock()

    async with clock.autojump():
        with pytest.raises(RunTimeout, match=f'3 s that its {sooner}'):
            await after_start(never).run(
                budget=Budget(seconds=seconds, clock=clock.now), deadline=deadline, clock=clock
            )

    assert clock.now() == 3


async def test_a_run_does_not_begin_without_time():
    """A budget whose time is up lets no run begin."""
    clock = TestClock()
    budget = Budget(seconds=5, clock=clock.now)
    budget.start()
    clock.advance(5)

    with pytest.raises(BudgetExceeded) as caught:
        await after_start(spend_a_call).run(budget=budget)

    assert caught.value.leaf == 'seconds'


async def test_a_watched_run_has_its_budget():
    """`graph.iter` takes a budget as `graph.run` does."""
    budget = Budget(calls=1)

    async with over_items(spend_a_call).iter(inputs=[7], budget=budget) as run:
        async for _ in run:
            pass

    assert run.output == [7]
    assert budget.spent.calls == 1


# Looking at a run


async def test_a_run_tells_why():
    """`run.why()` leads back from the output to the start, over retries and fallbacks."""
    log, g = EventLog(), GraphBuilder(input_type=int, output_type=int)

    @g.step
    async def other(ctx: StepContext[None, None, int]) -> int:
        return -ctx.inputs

    @g.step(retry=2, fallback=other)
    async def work(ctx: StepContext[None, None, int]) -> int:
        raise LookupError

    g.add(g.edge_from(g.start_node).to(work), g.edge_from(work).to(g.end_node))
    async with g.build().iter(inputs=7, log=log) as run:
        async for _ in run:
            pass
        _, first, second = str(run.why()).splitlines()

    assert "'work' with 7, from the start" in first
    assert 'fell back' in first
    assert "'other' with 7, from task" in second


async def test_a_run_counts_what_it_does():
    """`run.statistics()` has what runs now, and with a log what happened so far."""
    seen, log = [], EventLog()

    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.attempt == 1 and ctx.inputs == 0:
            raise LookupError
        seen.append(run.statistics())
        return ctx.inputs

    graph = over_items(work, retry=2)
    async with graph.iter(inputs=range(2), log=log, max_concurrency=1) as run:
        async for _ in run:
            pass
        end = run.statistics()

    first = seen[0]
    assert (first.running, first.waiting) == (1, 0)
    (node,) = [node for node in end.recorded.nodes if node.node_id == 'work']
    assert (node.started, node.finished, node.retried) == (3, 2, 1)
    assert (end.running, end.ready, end.waiting, end.open_joins) == (0, 0, 0, 0)


async def test_a_run_without_a_log_cannot_tell_why():
    """Without a log, `why` says that the run is not recorded and how to do that; statistics leave it out."""
    async with after_start(spend_a_call).iter() as run:
        assert run.statistics().recorded is None
        with pytest.raises(GraphRuntimeError, match=r'not recorded.*log=EventLog\(\)'):
            run.why()


async def test_sleeping_tasks_are_counted_as_waiting():
    """A task between two attempts waits."""
    clock, counts = TestClock(), []

    async def work(ctx: StepContext[None, None, None]) -> None:
        raise LookupError

    async with after_start(work, retry=Retry(2, wait=5)).iter(clock=clock) as run:

        async def look():
            await clock.wait_passed(1)
            counts.append(run.statistics())
            await clock.wait_passed(5)

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            with pytest.raises(LookupError):
                [_ async for _ in run]

    (count,) = counts
    assert (count.running, count.ready, count.waiting) == (0, 0, 1)
