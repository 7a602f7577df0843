"""Right: what joins need, what becomes of steps that fail, limits, caches, budgets, processes, options of a run."""

from datetime import timedelta
from typing import assert_type

from plait_graph import (
    BranchFailure,
    Budget,
    Cache,
    EventLog,
    GraphBuilder,
    Join,
    JoinPolicy,
    Limit,
    LoopGuard,
    MemoryCache,
    ProcessExecutor,
    Retry,
    Share,
    Step,
    StepContext,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.policies import AttemptState
from plait_graph.testing import TestClock

g = GraphBuilder(state_type=str, input_type=list[int], output_type=int)
model = Limit('model', in_flight=7, per_second=2.5, units_per_minute=90_000)


def is_transient(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


def longer(state: AttemptState) -> float:
    return 2.0 * state.attempt_number


def weight(ctx: StepContext[str, None, int]) -> float:
    return len(ctx.state) + ctx.inputs


def key(ctx: StepContext[str, None, int]) -> tuple[str, int]:
    return ctx.state, ctx.inputs


@g.step(max_concurrency=3, idle_timeout=2)
async def other(ctx: StepContext[str, None, int]) -> int:
    assert_type(ctx.attempt, int)
    assert_type(ctx.failure, BaseException | None)
    assert_type(ctx.budget, Budget)
    with ctx.budget.reserve(tokens=100) as reservation:
        reservation.spend(tokens=ctx.inputs)
    return ctx.inputs


@g.step(retry=3, timeout=timedelta(seconds=5), fallback=other, limit=model, cache=Cache(ttl=60), loop_guard=5)
async def work(ctx: StepContext[str, None, int]) -> int:
    return ctx.inputs


@g.step(worker='process', timeout=2.5, retry=Retry(2, on=(OSError, ValueError), wait=longer))
def heavy(ctx: StepContext[str, None, int]) -> int:
    return ctx.inputs**2


@g.step(abandon=True, timeout=1, limit=model.weighing(weight), cache=Cache(key=key, store=MemoryCache(10)))
def careless(ctx: StepContext[str, None, int]) -> int:
    return ctx.inputs


@g.step(retry=Retry.exponential(5, on=is_transient), limit='model', loop_guard=LoopGuard(3, then=other))
async def patient(ctx: StepContext[str, None, int]) -> int:
    return ctx.inputs


assert_type(work, Step[str, None, int, int])
assert_type(heavy, Step[str, None, int, int])
assert_type(careless, Step[str, None, int, int])

collected = g.join(
    reduce_list_append, initial_factory=list[int | BranchFailure], policy=JoinPolicy(failures='collect', need=3)
)
half = g.join(reduce_sum, initial=0, policy=JoinPolicy(need=Share(0.5), deadline=timedelta(minutes=1), rest='keep'))
arrived = g.join(reduce_sum, initial=0, policy=JoinPolicy(need='arrived', deadline=30, failures='ignore'))
assert_type(collected, Join[str, None, int | BranchFailure, list[int | BranchFailure]])
assert_type(half, Join[str, None, int, int])


@g.step
async def count(ctx: StepContext[str, None, list[int | BranchFailure]]) -> int:
    return sum(isinstance(each, BranchFailure) for each in ctx.inputs)


g.add(
    g.edge_from(g.start_node).map().to(work, heavy, careless, patient),
    g.edge_from(work, heavy, careless, patient).to(collected, half, arrived),
    g.edge_from(collected).to(count),
    g.edge_from(count, half, arrived).to(g.end_node),
)
graph = g.build()


async def run() -> None:
    log, clock = EventLog(), TestClock()
    budget = Budget(seconds=60, tokens=1000, calls=20, money='1.50')
    async with ProcessExecutor(max_workers=2) as executor:
        output = await graph.run(
            state='s',
            inputs=[1],
            deadline=timedelta(hours=1),
            budget=budget,
            executor=executor,
            clock=clock,
            log=log,
            debug=0.5,
            errors='first',
        )
        assert_type(output, int)
    async with graph.iter(state='s', inputs=[1], deadline=5, log=log, debug=True) as watched:
        assert_type(watched.statistics().waiting, int)
        print(watched.why())
    async with model.hold(3) as ticket:
        assert_type(ticket.is_granted, bool)


assert_type(graph.run_sync(state='s', inputs=[1], budget=Budget(calls=3), max_concurrency=5), int)
