"""Steps whose bodies run in processes: really stopped, tried again, and told about what cannot cross."""

import importlib
import os
from pathlib import Path
from types import ModuleType

import anyio
import anyio.lowlevel
import pytest

from plait_graph import (
    BranchFailure,
    Cache,
    GraphBuilder,
    GraphRuntimeError,
    GraphTaskRequest,
    InProcessExecutor,
    JoinPolicy,
    ProcessExecutor,
    RunTimeout,
    StepContext,
    StepTimeout,
    events,
    reduce_list_append,
)
from plait_graph.exceptions import WorkerDied
from plait_graph.testing import FakeStep, TestClock


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Functions that a worker process can import."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module('process_bodies')


def after_start(call, **options):
    """Start -> the step, in a process -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, node_id='work', worker='process', **options)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


def over_items(call, policy=None, **options):
    """Start -> map -> the step, in processes -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    step = g.step(call, node_id='work', worker='process', **options)
    join = g.join(reduce_list_append, initial_factory=list[object], policy=policy, node_id='all')
    g.add(
        g.edge_from(g.start_node).map().to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


def is_alive(pid):
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Watch:
    """Hears what bodies emit: the numbers of their processes."""

    def __init__(self, on_pid=lambda: None):
        self.pids = []
        self.on_pid = on_pid

    def __call__(self, event):
        if isinstance(event, events.Emitted):
            self.pids.append(event.event)
            self.on_pid()


# Running


async def test_a_body_runs_in_another_process(bodies):
    """With `worker='process'` a plain function runs in a process that is not ours, which ends with the run."""
    pid = await after_start(bodies.pid).run()

    assert pid != os.getpid()
    assert not is_alive(pid)


async def test_a_body_elsewhere_knows_its_task(bodies):
    """Inputs, dependencies, attempt, ids and emitted events cross as they are."""
    watch = Watch()

    ((inputs, deps, attempt, node_id, key),) = await over_items(bodies.describe).run(
        inputs=[{'a': 1}], deps=(1, 2), on_event=watch, run_id='mine'
    )

    assert (inputs, deps, attempt, node_id) == ({'a': 1}, (1, 2), 1, 'work')
    assert key.startswith('mine/map#0[0]/work')
    assert watch.pids == [{'a': 1}]


async def test_an_executor_of_ones_own_is_used_and_left_open(bodies):
    """Runs share the processes of an executor that they are given, and do not end it."""
    graph = after_start(bodies.pid)

    async with ProcessExecutor(max_workers=1) as executor:
        first, second = [await graph.run(executor=executor) for _ in range(2)]
        assert first == second
        assert is_alive(first)

    assert not is_alive(first)


async def test_another_executor_may_stand_in():
    """The bodies of steps in processes run wherever the executor that was given runs them."""
    async with InProcessExecutor() as executor:
        assert await after_start(lambda ctx: os.getpid()).run(executor=executor) == os.getpid()


async def test_an_executor_that_was_not_entered_is_told():
    """A run that is given an executor outside of its block says so."""
    with pytest.raises(GraphRuntimeError, match='InProcessExecutor has not been entered'):
        await after_start(len).run(executor=InProcessExecutor())


async def test_a_step_of_a_subgraph_runs_in_a_process(bodies):
    """A step in a process may be within a subgraph."""
    g = GraphBuilder(output_type=object)
    inner = after_start(bodies.pid).as_step(node_id='inner')
    g.add(g.edge_from(g.start_node).to(inner), g.edge_from(inner).to(g.end_node))

    assert await g.build().run() != os.getpid()


def test_a_process_without_a_loop(bodies, thread_loop):
    """`run_sync` lets steps work in processes too."""
    assert after_start(bodies.pid).run_sync() != os.getpid()


async def test_a_cached_result_starts_no_process(bodies):
    """A result that was kept is found without a process."""
    graph = after_start(bodies.pid, cache=Cache())

    first = await graph.run()

    assert await graph.run() == first
    assert not is_alive(first)


async def test_tasks_that_were_put_in_may_be_alike(bodies):
    """Two tasks at one place, put in by an override, run side by side in processes."""
    async with InProcessExecutor() as executor:
        g = GraphBuilder(output_type=list[object])
        step = g.step(lambda ctx: ctx.inputs, node_id='work', worker='process')
        join = g.join(reduce_list_append, initial_factory=list[object])
        g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(join), g.edge_from(join).to(g.end_node))
        async with g.build().iter(inputs=1, executor=executor) as run:
            await anext(run)
            run.override_next([GraphTaskRequest('work', number) for number in (1, 2)])
            async for _ in run:
                pass

    assert sorted(run.output) == [1, 2]


# Stopping


async def test_a_body_is_dead_after_its_time_out_and_the_run_goes_on(bodies):
    """A body that never gives up the processor is killed when its time is up; the fallback then runs."""
    clock = TestClock()
    watch = Watch(lambda: clock.advance(3))
    dead = []

    async def other(ctx: StepContext[None, None, str]) -> str:
        dead.extend(not is_alive(pid) for pid in watch.pids)
        return f'{ctx.inputs}, after {type(ctx.failure).__name__}'

    g = GraphBuilder(output_type=str)
    fallback = g.step(other)
    work = g.step(bodies.spin, node_id='work', worker='process', timeout=3, fallback=fallback)
    g.add(g.edge_from(g.start_node).to(work), g.edge_from(work).to(g.end_node))

    assert await g.build().run(inputs='went on', clock=clock, on_event=watch) == 'went on, after StepTimeout'

    assert dead == [True]


async def test_the_next_attempt_runs_in_a_new_process(bodies):
    """After a time-out the next attempt has a process of its own, and the same idempotency key."""
    clock, keys = TestClock(), []
    watch = Watch(lambda: clock.advance(3) if len(watch.pids) == 1 else keys.append(is_alive(watch.pids[0])))

    attempt, key = await after_start(bodies.spin_once, timeout=3, retry=2).run(
        clock=clock, on_event=watch, run_id='run'
    )

    first, second = watch.pids
    assert first != second
    assert keys == [False]
    assert attempt == 2
    assert key.startswith('run/')


async def test_a_cancelled_run_leaves_no_process(bodies):
    """When the one who awaits a run is cancelled, its processes are dead before it goes on."""
    is_running = anyio.Event()
    watch = Watch(is_running.set)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: after_start(bodies.spin).run(on_event=watch))
        await is_running.wait()
        group.cancel_scope.cancel()

    assert [is_alive(pid) for pid in watch.pids] == [False]


async def test_leaving_an_iteration_leaves_no_process(bodies):
    """Breaking off an iteration kills what works in processes."""
    watch = Watch()

    async with after_start(bodies.spin).iter(on_event=watch) as run:
        async for event in run.events():
            if isinstance(event, events.Emitted):
                break

    assert [is_alive(pid) for pid in watch.pids] == [False]


async def test_a_cancelled_iteration_leaves_no_process(bodies):
    """When the one who advances a run is cancelled, block and processes are left in good order."""
    is_running = anyio.Event()
    watch, log = Watch(is_running.set), []

    async def iterate():
        try:
            async with after_start(bodies.spin).iter(on_event=watch) as run:
                async for _ in run:
                    pass
        finally:
            log.extend(is_alive(pid) for pid in watch.pids)

    async with anyio.create_task_group() as group:
        group.start_soon(iterate)
        await is_running.wait()
        group.cancel_scope.cancel()

    assert log == [False]


async def test_a_loser_in_a_process_is_dead(bodies):
    """A body in a process that a join goes on without is killed, and the run goes on."""
    is_running, dead = anyio.Event(), []
    watch = Watch(is_running.set)
    g = GraphBuilder(output_type=list[str])
    slow = g.step(bodies.spin, node_id='slow', worker='process')

    @g.step
    async def quick(ctx: StepContext[None, None, None]) -> str:
        await is_running.wait()
        return 'quick'

    @g.step
    async def after(ctx: StepContext[None, None, list[str]]) -> list[str]:
        with anyio.fail_after(30):
            while is_alive(watch.pids[0]):
                await anyio.lowlevel.checkpoint()
        dead.append(True)
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[str], policy=JoinPolicy(need=1))
    g.add(
        g.edge_from(g.start_node).to(slow, quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )

    assert await g.build().run(on_event=watch) == ['quick']
    assert dead == [True]


async def test_the_deadline_of_a_run_kills_its_processes(bodies):
    """When the deadline of the run has come its processes are killed."""
    clock = TestClock()
    watch = Watch(lambda: clock.advance(9))

    with pytest.raises(RunTimeout):
        await after_start(bodies.spin).run(clock=clock, deadline=9, on_event=watch)

    assert [is_alive(pid) for pid in watch.pids] == [False]


# Failures


async def test_failures_elsewhere_are_failures_here(bodies):
    """What a body raises in a process is raised here, collected by joins, and tried again."""
    first, failure = await over_items(bodies.fail_at_odd, JoinPolicy(failures='collect'), retry=2).run(inputs=[2, 3])

    assert first == 2
    assert isinstance(failure, BranchFailure)
    assert isinstance(failure.error, ValueError)
    assert failure.error.args == (3,)
    assert 'attempt 2' in failure.error.__notes__[-1]


async def test_a_process_that_dies_fails_its_step(bodies):
    """A body whose process ends before it does fails with `WorkerDied`."""
    with pytest.raises(WorkerDied, match=r"Step 'work' did not end: its process ended with exit code 3"):
        await after_start(bodies.leave).run()


async def test_a_lambda_cannot_cross():
    """A function that no other process can find is told by name, with the remedy, and no process is started."""
    with pytest.raises(GraphRuntimeError, match=r"The function of step 'work' cannot cross.*<lambda>.*top of a module"):
        await after_start(lambda ctx: 1).run()


async def test_inputs_that_cannot_cross(bodies):
    """Inputs that cannot be pickled are told, with what is in them."""
    with pytest.raises(GraphRuntimeError, match=r"The inputs of step 'work' cannot cross .* Send plain data"):
        await after_start(bodies.pid).run(inputs={'lock': __import__('threading').Lock()})


async def test_a_result_that_cannot_cross(bodies):
    """A result that cannot be pickled is told by the run, and names the step."""
    with pytest.raises(GraphRuntimeError, match=r"The result of step 'work' cannot cross"):
        await after_start(bodies.give_function).run()


@pytest.mark.parametrize(
    ('member', 'message'),
    [
        ('state', r"'work' uses ctx\.state, which another process does not share"),
        ('budget', r"StepContext\.budget is not known to step 'work'"),
        ('failure', r"StepContext\.failure is not known to step 'work'"),
    ],
)
async def test_what_does_not_cross_is_told_when_it_is_asked_for(bodies, member, message):
    """A body in a process that asks for what stays here is told so, and what to do."""
    g = GraphBuilder(state_type=list[int], output_type=object)
    step = g.step(bodies.ask, node_id='work', worker='process')
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))

    with pytest.raises(GraphRuntimeError, match=message):
        await g.build().run(state=[1], inputs=member)


async def test_a_time_out_is_told_as_for_others(bodies):
    """Without a fallback, a body that was killed fails its step with `StepTimeout`."""
    clock = TestClock()
    watch = Watch(lambda: clock.advance(3))

    with pytest.raises(StepTimeout, match="'work' took longer than 3 s"):
        await after_start(bodies.spin, timeout=3).run(clock=clock, on_event=watch)


async def test_a_graph_without_processes_needs_no_executor():
    """An executor that is given to a graph without steps in processes is not used."""
    g = GraphBuilder(output_type=object)
    step = g.step(FakeStep('here'), node_id='work')
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))

    assert await g.build().run(executor=InProcessExecutor()) == 'here'
