"""Steps that fail, take long or run often, and what their policies make of that.

Time is that of a test clock: nothing waits for real, and nothing goes on before the clock has moved.
"""

import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest

from plait_graph import (
    EndMarker,
    GraphBuilder,
    GraphRuntimeError,
    GraphTaskRequest,
    LoopGuard,
    LoopLimitReached,
    Retry,
    StepContext,
    StepTimeout,
    events,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.testing import FakeStep, TestClock


def after_start(call, **policy):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, node_id='work', **policy)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


def over_items(call, reducer=reduce_list_append, **policy):
    """Start -> map -> the step -> a join in its default order -> end."""
    g = GraphBuilder(output_type=list[object])
    step = g.step(call, node_id='work', **policy)
    join = g.join(reducer, initial_factory=list[object], node_id='all')
    g.add(
        g.edge_from(g.start_node).map(fork_id='each').to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


@asynccontextmanager
async def running(graph, **options):
    """A run beside the test, and a list that its output or its error is put into when it has ended."""
    ended = []

    async def run():
        try:
            ended.append(await graph.run(**options))
        except Exception as error:  # noqa: BLE001 # looked at by the test
            ended.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        yield ended
        group.cancel_scope.cancel()


async def never(ctx):
    """A body that only a cancellation ends."""
    await anyio.Event().wait()


def of(kind, told):
    """The events of one kind."""
    return [event for event in told if isinstance(event, kind)]


# Retry


async def test_a_step_is_tried_again_until_it_gives_a_value():
    """A failed attempt is followed by another one with the same inputs."""
    work = FakeStep(LookupError(1), LookupError(2), 'third')

    assert await after_start(work, retry=3).run(inputs='in') == 'third'

    assert work.calls == ['in', 'in', 'in']


async def test_the_last_failure_is_that_of_the_step():
    """When no attempt is left, the run raises the last error itself, and its note names the attempt."""
    errors = [LookupError(1), LookupError(2)]

    with pytest.raises(LookupError) as caught:
        await after_start(FakeStep(*errors), retry=2).run()

    assert caught.value is errors[1]
    (note,) = caught.value.__notes__
    assert "'work'" in note
    assert 'attempt 2' in note


@pytest.mark.parametrize(
    'on',
    [LookupError, (OSError, LookupError), lambda error: 'again' in str(error)],
    ids=['class', 'tuple', 'predicate'],
)
async def test_only_the_errors_that_were_named_are_tried_again(on):
    """An error that `on` does not fit fails the step at once."""
    work = FakeStep(LookupError('again'), ValueError('no more'), 'never')

    with pytest.raises(ValueError, match='no more'):
        await after_start(work, retry=Retry(5, on=on)).run()

    assert work.count == 2


async def test_a_step_waits_before_the_next_attempt():
    """With `wait`, the next attempt begins when so much time has passed, and not before."""
    clock, work = TestClock(), FakeStep(LookupError(), LookupError(), 'third')

    async with running(after_start(work, retry=Retry(3, wait=2)), clock=clock) as ended:
        await clock.wait_passed(1.9)
        assert work.count == 1
        await clock.wait_passed(0.2)
        assert work.count == 2
        await clock.wait_passed(2)
        assert ended == ['third']


async def test_a_strategy_says_how_long_to_wait():
    """A strategy is told of the attempt that failed, and its answer is the delay of the event."""
    clock, told, seen = TestClock(), [], []

    def wait(state):
        seen.append((state.attempt_number, str(state.outcome.exception())))
        return 10 * state.attempt_number

    graph = after_start(FakeStep(LookupError('a'), LookupError('b'), 'third'), retry=Retry(3, wait=wait))
    async with clock.autojump():
        await graph.run(clock=clock, on_event=told.append)

    assert seen == [(1, 'a'), (2, 'b')]
    assert [(event.attempt, event.delay) for event in of(events.StepRetried, told)] == [(1, 10), (2, 20)]
    assert clock.now() == 30


async def test_strategies_of_tenacity_are_understood():
    """Tenacity's strategies for waiting and for stopping can be given as they are."""
    tenacity = pytest.importorskip('tenacity')
    clock, work = TestClock(), FakeStep(*map(LookupError, 'abcdef'))
    retry = Retry(9, wait=tenacity.wait_incrementing(1, 1), stop=tenacity.stop_after_attempt(4))

    async with clock.autojump():
        with pytest.raises(LookupError, match='d'):
            await after_start(work, retry=retry).run(clock=clock)

    assert work.count == 4
    assert clock.now() == 1 + 2 + 3


async def test_exponential_waits_grow_up_to_a_bound():
    """`Retry.exponential` waits twice as long each time, up to its maximum."""
    pytest.importorskip('tenacity')
    clock, told = TestClock(), []
    retry = Retry.exponential(5, initial=1, maximum=5, jitter=0)

    async with clock.autojump():
        await after_start(FakeStep(*map(LookupError, 'abcd'), 'e'), retry=retry).run(clock=clock, on_event=told.append)

    assert [event.delay for event in of(events.StepRetried, told)] == [1, 2, 4, 5]


async def test_a_strategy_that_fails_is_the_failure():
    """What a strategy raises fails the step, with the error of the attempt as its cause."""
    error = LookupError('work')

    def wait(state):
        raise ZeroDivisionError('wait')

    with pytest.raises(ZeroDivisionError, match='wait') as caught:
        await after_start(FakeStep(error), retry=Retry(wait=wait)).run()

    assert caught.value.__cause__ is error


async def test_a_step_knows_its_attempt_and_the_failure_before():
    """`ctx.attempt` counts up and `ctx.failure` is what the attempt before raised; the rest stays the same."""
    errors, seen = [LookupError(1), LookupError(2)], []

    async def work(ctx: StepContext[None, None, None]) -> str:
        seen.append((ctx.attempt, ctx.failure, ctx.task_id, ctx.idempotency_key))
        if ctx.attempt < 3:
            raise errors[ctx.attempt - 1]
        return 'done'

    await after_start(work, retry=3).run()

    assert [each[:2] for each in seen] == [(1, None), (2, errors[0]), (3, errors[1])]
    assert len({each[2:] for each in seen}) == 1


async def test_items_that_are_tried_again_keep_their_key_and_place():
    """An item that comes last because it was tried again stands where it belongs in an input-ordered join."""
    keys = {}

    async def work(ctx: StepContext[None, None, int]) -> int:
        keys.setdefault(ctx.inputs, []).append(ctx.idempotency_key)
        if ctx.inputs < 2 and ctx.attempt < 3:
            raise LookupError
        return ctx.inputs

    assert await over_items(work, retry=3).run(inputs=range(4)) == [0, 1, 2, 3]

    assert {item: len(each) for item, each in keys.items()} == {0: 3, 1: 3, 2: 1, 3: 1}
    assert [len(set(each)) for each in keys.values()] == [1, 1, 1, 1]


async def test_another_attempt_queues_behind_what_is_ready():
    """A step that is tried again at once does not push ahead of tasks that were ready before."""
    started = []

    async def work(ctx: StepContext[None, None, int]) -> int:
        started.append(ctx.inputs)
        if ctx.attempt == 1 and ctx.inputs == 0:
            raise LookupError
        return ctx.inputs

    await over_items(work, retry=2).run(inputs=range(3), max_concurrency=1)

    assert started == [0, 1, 2, 0]


async def test_a_waiting_attempt_holds_no_place():
    """While a step waits for its next attempt, others may use its place in the run and at the step."""
    clock, started = TestClock(), []

    async def work(ctx: StepContext[None, None, int]) -> int:
        started.append((ctx.inputs, clock.now()))
        if ctx.attempt == 1 and ctx.inputs == 0:
            raise LookupError
        return ctx.inputs

    graph = over_items(work, retry=Retry(2, wait=5), max_concurrency=1)
    async with clock.autojump():
        await graph.run(inputs=range(3), clock=clock, max_concurrency=1)

    assert started == [(0, 0), (1, 0), (2, 0), (0, 5)]


async def test_a_plain_function_is_tried_again():
    """Steps in threads are retried as others are."""
    attempts = []

    def work(ctx: StepContext[None, None, None]) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise LookupError
        return threading.current_thread().name

    assert await after_start(work, retry=3).run() != threading.current_thread().name
    assert attempts == [1, 2, 3]


async def test_a_request_to_stop_the_program_is_not_tried_again():
    """`SystemExit` ends the run whatever the policy says."""
    work = FakeStep(SystemExit(3), 'never')

    with pytest.raises(SystemExit):
        await after_start(work, retry=5, fallback=None).run()

    assert work.count == 1


# Time-outs


async def test_a_step_that_takes_too_long_fails():
    """When its time is up the step fails with `StepTimeout`, which names step, time and attempt."""
    clock = TestClock()

    async with clock.autojump():
        with pytest.raises(StepTimeout, match=r"'work' took longer than 3 s in attempt 1") as caught:
            await after_start(never, timeout=timedelta(seconds=3)).run(clock=clock)

    assert clock.now() == 3
    assert isinstance(caught.value, TimeoutError)


async def test_a_step_in_time_leaves_no_timer():
    """A step that ends in time gives its value, and its timer is taken off the clock."""
    clock = TestClock()

    assert await after_start(FakeStep('done'), timeout=3).run(clock=clock) == 'done'

    assert clock.pending == ()


async def test_the_body_has_ended_before_the_next_attempt_begins():
    """An attempt whose time is up is cancelled, and the next one waits for the end of its clean-up."""
    clock, log, may_end = TestClock(), [], anyio.Event()

    async def work(ctx: StepContext[None, None, None]) -> str:
        log.append(f'begin {ctx.attempt}')
        if ctx.attempt == 2:
            return 'second'
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await may_end.wait()
            log.append(f'end {ctx.attempt}')

    async with running(after_start(work, timeout=3, retry=2), clock=clock) as ended:
        await clock.wait_passed(100)
        assert log == ['begin 1']
        may_end.set()
        await clock.wait_passed(0)
        assert ended == ['second']

    assert log == ['begin 1', 'end 1', 'begin 2']


async def test_each_attempt_has_the_whole_time():
    """The time-out is counted from the start of each attempt."""
    clock = TestClock()

    async with clock.autojump():
        with pytest.raises(StepTimeout, match='in attempt 3'):
            await after_start(never, timeout=3, retry=Retry(3, wait=1)).run(clock=clock)

    assert clock.now() == 3 + 1 + 3 + 1 + 3


async def test_a_value_after_the_time_is_of_no_use():
    """A body that swallows its cancellation and returns has timed out all the same."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> str:
        try:
            await anyio.Event().wait()
        except anyio.get_cancelled_exc_class():
            return 'too late'
        return 'never'

    async with clock.autojump():
        with pytest.raises(StepTimeout):
            await after_start(work, timeout=3).run(clock=clock)


async def test_an_error_after_the_time_is_kept_as_context():
    """What a body raises when it is stopped because its time is up is the context of the `StepTimeout`."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        try:
            await anyio.Event().wait()
        finally:
            raise LookupError('in the clean-up')

    async with clock.autojump():
        with pytest.raises(StepTimeout) as caught:
            await after_start(work, timeout=3).run(clock=clock)

    assert isinstance(caught.value.__context__, LookupError)


async def test_the_time_of_a_body_that_moves_the_clock_itself():
    """A time-out that goes off before the body has waited for the first time stops it where it then waits."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        clock.advance(5)
        await anyio.Event().wait()

    with pytest.raises(StepTimeout):
        await after_start(work, timeout=3).run(clock=clock)


async def test_a_thread_that_may_be_left_behind_times_out():
    """A plain function with `abandon=True` is left behind when its time is up, and what it then gives is dropped."""
    clock, go_on, has_started, has_ended = TestClock(), threading.Event(), anyio.Event(), anyio.Event()
    wake = _waker(has_started)
    wake_at_end = _waker(has_ended)

    def work(ctx: StepContext[None, None, None]) -> str:
        wake()
        go_on.wait()
        wake_at_end()
        return 'too late'

    async with running(after_start(work, timeout=3, abandon=True), clock=clock) as ended:
        await has_started.wait()
        clock.advance(3)
        while not ended:
            await anyio.lowlevel.checkpoint()
        (error,) = ended
        assert isinstance(error, StepTimeout)
        go_on.set()
        await has_ended.wait()


def _waker(event):
    """A function that sets an event of the event loop that runs now, from any thread."""
    native = anyio.lowlevel.current_token().native_token
    post = getattr(native, 'call_soon_threadsafe', None) or native.run_sync_soon
    return lambda: post(event.set)


async def test_an_abandoned_function_may_give_something_to_await():
    """What a plain function with `abandon=True` returns is awaited on the loop, as for others."""

    async def later():
        await anyio.lowlevel.checkpoint()
        return 'awaited'

    def work(ctx: StepContext[None, None, None]):
        return later()

    assert await after_start(work, abandon=True).run() == 'awaited'


# Idle time-outs


async def test_a_silent_step_fails():
    """A step that emits nothing for so long fails with a `StepTimeout` that says so."""
    clock = TestClock()

    async with clock.autojump():
        with pytest.raises(StepTimeout, match=r"'work' emitted nothing for 2 s.*ctx\.emit"):
            await after_start(never, idle_timeout=2).run(clock=clock)

    assert clock.now() == 2


async def test_a_sign_of_life_gives_more_time():
    """Each `ctx.emit` starts the idle time again, also if nobody listens."""
    clock, beats = TestClock(), anyio.create_memory_object_stream[str](10)
    send, receive = beats

    async def work(ctx: StepContext[None, None, None]) -> None:
        async for beat in receive:
            ctx.emit(beat)

    async with running(after_start(work, idle_timeout=2), clock=clock) as ended, send, receive:
        for _ in range(5):
            await clock.wait_passed(1.5)
            send.send_nowait('beat')
        await clock.wait_passed(1.9)
        assert ended == []
        await clock.wait_passed(0.2)
        assert isinstance(ended[0], StepTimeout)

    assert clock.now() == pytest.approx(5 * 1.5 + 2.1)


async def test_signs_of_life_do_not_lengthen_the_time_of_the_attempt():
    """A step that emits all the time still has no more than its `timeout`."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        while True:
            clock.call_later(1, (event := anyio.Event()).set)
            await event.wait()
            ctx.emit('beat')

    async with clock.autojump():
        with pytest.raises(StepTimeout, match='took longer than 7 s'):
            await after_start(work, timeout=7, idle_timeout=2).run(clock=clock)

    assert clock.now() == 7


async def test_a_thread_gives_signs_of_life():
    """`ctx.emit` from a thread starts the idle time again."""
    clock, may_go_on, told = TestClock(), threading.Semaphore(0), []

    def work(ctx: StepContext[None, None, None]) -> str:
        for beat in range(3):
            may_go_on.acquire()
            ctx.emit(beat)
        may_go_on.acquire()
        return 'done'

    graph = after_start(work, idle_timeout=2, abandon=True)
    async with running(graph, clock=clock, on_event=told.append) as ended:
        for beat in range(3):
            clock.advance(1.5)
            may_go_on.release()
            while len(of(events.Emitted, told)) == beat:
                await anyio.lowlevel.checkpoint()
        clock.advance(1.5)
        may_go_on.release()
        while not ended:
            await anyio.lowlevel.checkpoint()

    assert ended == ['done']


# Fallback


def with_fallback(call, *others, **policy):
    """Start -> the step, with each of the others standing in for the one before -> end."""
    g = GraphBuilder(output_type=object)
    fallback = None
    for number, other in reversed(list(enumerate(others))):
        fallback = g.step(other, node_id=f'other {number}', fallback=fallback)
    step = g.step(call, node_id='work', fallback=fallback, **policy)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


async def test_a_fallback_gets_the_inputs_and_leads_where_the_step_leads():
    """A step without edges of its own that stands in for another one takes its inputs and goes on in its place."""
    other = FakeStep('stood in')

    assert await with_fallback(FakeStep(LookupError()), other).run(inputs='in') == 'stood in'

    assert other.calls == ['in']


async def test_a_fallback_is_not_asked_before_the_last_attempt():
    """The inputs go to the fallback when no attempt is left, and the events tell of both."""
    told, errors = [], [LookupError(1), LookupError(2)]

    await with_fallback(FakeStep(*errors), FakeStep('stood in'), retry=2).run(on_event=told.append)

    (retried,), (fell_back,) = of(events.StepRetried, told), of(events.StepFellBack, told)
    assert (retried.node_id, retried.error, retried.attempt, retried.delay) == ('work', errors[0], 1, 0)
    assert (fell_back.node_id, fell_back.error, fell_back.fallback_id) == ('work', errors[1], 'other 0')
    assert retried.task_id == fell_back.task_id
    assert of(events.StepFailed, told) == []
    (ready,) = [event for event in of(events.StepReady, told) if event.node_id == 'other 0']
    assert ready.cause == fell_back.task_id


async def test_a_fallback_knows_the_failure():
    """`ctx.failure` of the step that stands in is the error of the last attempt, and its own attempts count anew."""
    seen, error = [], LookupError('work')

    async def other(ctx: StepContext[None, None, None]) -> str:
        seen.append((ctx.attempt, ctx.failure))
        return 'stood in'

    await with_fallback(FakeStep(ValueError(), error), other, retry=2).run()

    assert seen == [(1, error)]


async def test_fallbacks_may_have_fallbacks():
    """If the one that stands in fails too, the next one takes the same inputs."""
    first, second = FakeStep(ValueError()), FakeStep('at last')

    assert await with_fallback(FakeStep(LookupError()), first, second).run(inputs='in') == 'at last'

    assert first.calls == second.calls == ['in']


async def test_a_fallback_that_fails_is_the_failure():
    """If nothing stands in for the one that stands in, its error is that of the run."""
    with pytest.raises(ValueError, match='other'):
        await with_fallback(FakeStep(LookupError()), FakeStep(ValueError('other'))).run()


async def test_a_fallback_after_a_time_out():
    """A step whose time is up falls back like one that raised."""
    clock, seen = TestClock(), []

    async def other(ctx: StepContext[None, None, None]) -> str:
        seen.append(type(ctx.failure))
        return 'stood in'

    async with clock.autojump():
        assert await with_fallback(never, other, timeout=3).run(clock=clock) == 'stood in'

    assert seen == [StepTimeout]


async def test_a_fallback_keeps_the_place_of_its_item():
    """In a map, what stands in for an item is folded where the item belongs."""
    g = GraphBuilder(output_type=list[object])
    other = g.step(lambda ctx: -ctx.inputs, node_id='other')

    @g.step(fallback=other)
    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs % 2:
            raise LookupError
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    join = g.join(reduce_list_append, initial_factory=list[object])
    g.add(
        g.edge_from(g.start_node).map().to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=range(6)) == [0, -1, 2, -3, 4, -5]


async def test_a_fallback_with_edges_goes_its_own_way():
    """A step with edges of its own leads where these lead, and may be used without a failure as well."""
    g = GraphBuilder(output_type=object)
    repair = g.step(FakeStep('repaired'), node_id='repair')
    work = g.step(FakeStep(LookupError()), node_id='work', fallback=repair)
    check = g.step(FakeStep('checked'), node_id='check')
    g.add(
        g.edge_from(g.start_node).to(work),
        g.edge_from(work, check).to(g.end_node),
        g.edge_from(repair).to(check),
    )

    assert await g.build().run() == 'checked'


async def test_a_fallback_to_the_end_gives_the_inputs():
    """Another node than a step can stand in: the end node makes the inputs the output of the run."""
    g = GraphBuilder(output_type=object)
    work = g.step(FakeStep(LookupError()), node_id='work', fallback=g.end_node)
    g.add(g.edge_from(g.start_node).to(work), g.edge_from(work).to(g.end_node))

    assert await g.build().run(inputs='in') == 'in'


async def test_a_watched_run_shows_the_task_that_stands_in():
    """While iterating, the failure is not shown as an error: the next event is the task at the fallback."""
    graph = with_fallback(FakeStep(LookupError()), FakeStep('stood in'))

    async with graph.iter(inputs='in') as run:
        shown = [event async for event in run]

    assert [[(task.node_id, task.inputs) for task in event] for event in shown[:-1]] == [
        [('work', 'in')],
        [('other 0', 'in')],
        [('__end__', 'stood in')],
    ]
    assert run.output == 'stood in'


async def test_a_fallback_can_be_overridden():
    """What is shown of a fallback can be replaced as everything else."""
    other = FakeStep('stood in')
    graph = with_fallback(FakeStep(LookupError(), 'second time'), other)

    async with graph.iter(inputs='in') as run:
        while run.next_task == [] or run.next_task[0].node_id != 'other 0':
            await run.next()
        run.override_next([GraphTaskRequest('work', 'other input')])
        async for _ in run:
            pass

    assert run.output == 'second time'
    assert other.count == 0


async def test_a_retried_step_is_shown_once():
    """While iterating, attempts are no events of their own: a step is shown before its first one."""
    async with after_start(FakeStep(LookupError(), 'second'), retry=2).iter() as run:
        shown = [event async for event in run]

    assert [[task.node_id for task in event] for event in shown[:-1]] == [['work'], ['__end__']]
    assert isinstance(shown[-1], EndMarker)


# Concurrency


async def test_a_step_runs_so_many_bodies_at_once():
    """With `max_concurrency`, other items wait; when a body ends the one that has waited longest takes its place."""
    gates, started = [anyio.Event() for _ in range(6)], []

    async def work(ctx: StepContext[None, None, int]) -> int:
        started.append(ctx.inputs)
        await gates[ctx.inputs].wait()
        return ctx.inputs

    async with running(over_items(work, max_concurrency=2), inputs=range(6)) as ended:
        for item, expected in ((1, [0, 1, 2]), (0, [0, 1, 2, 3]), (3, [0, 1, 2, 3, 4])):
            await anyio.wait_all_tasks_blocked()
            gates[item].set()
            await anyio.wait_all_tasks_blocked()
            assert started == expected
        for gate in gates:
            gate.set()
        await anyio.wait_all_tasks_blocked()

    assert ended == [[0, 1, 2, 3, 4, 5]]


async def test_a_full_step_does_not_keep_others_from_running():
    """Tasks of another step pass those that wait for a place at their own one."""
    log, g = [], GraphBuilder(output_type=int)
    gate = anyio.Event()

    @g.step(max_concurrency=1)
    async def slow(ctx: StepContext[None, None, int]) -> int:
        log.append(f'slow {ctx.inputs}')
        await gate.wait()
        return 1

    @g.step
    async def quick(ctx: StepContext[None, None, int]) -> int:
        log.append(f'quick {ctx.inputs}')
        if ctx.inputs == 2:
            gate.set()
        return 1

    join = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(slow, quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 2, 3], max_concurrency=2) == 6
    assert log.index('quick 2') < log.index('slow 2')


# Loop guards


def counting(guard, *, leads_to_way_out=False):
    """Start -> count -> count ... for ever; `rescue` is what a guard may lead to."""
    g = GraphBuilder(input_type=int, output_type=object)
    rescue = g.step(lambda ctx: ('rescued', ctx.inputs), node_id='rescue')
    limit = LoopGuard(guard, then=rescue) if leads_to_way_out else guard
    count = g.step(lambda ctx: ctx.inputs + 1, node_id='count', loop_guard=limit)
    decision = g.decision().branch(g.match(int).to(count)).branch(g.match(object).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(count), g.edge_from(count).to(decision))
    if leads_to_way_out:
        g.add(g.edge_from(rescue).to(g.end_node))
    return g.build()


async def test_a_cycle_ends_by_its_guard():
    """A step that was reached as often as its guard allows fails the next time, with its name and the bound."""
    with pytest.raises(LoopLimitReached, match=r"'count' has been reached 5 times.*LoopGuard\(5, then="):
        await counting(5).run(inputs=0)


async def test_a_guard_may_lead_out_of_the_cycle():
    """With `then`, the value that comes once too often goes there instead."""
    assert await counting(5, leads_to_way_out=True).run(inputs=0) == ('rescued', 5)


async def test_each_item_has_its_own_turns():
    """In a map, each item may reach the step as often as the guard allows."""
    g = GraphBuilder(output_type=list[object])

    @g.step
    async def out(ctx: StepContext[None, None, int]) -> str:
        return f'out at {ctx.inputs}'

    @g.step(loop_guard=LoopGuard(3, then=out))
    async def up(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 10

    join = g.join(reduce_list_append, initial_factory=list[object])
    g.add(
        g.edge_from(g.start_node).map().to(up),
        g.edge_from(up).to(g.decision().branch(g.match(int).to(up)).branch(g.match(str).to(g.end_node))),
        g.edge_from(out).to(join),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 2]) == ['out at 31', 'out at 32']


async def test_attempts_are_no_turns():
    """A step that is tried again has been reached once."""
    work = FakeStep(LookupError(), LookupError(), 'third')

    assert await after_start(work, retry=3, loop_guard=1).run() == 'third'


async def test_a_guard_counts_each_run_anew():
    """A graph that is run again has all its turns again."""
    graph = counting(5, leads_to_way_out=True)

    assert [await graph.run(inputs=number) for number in (0, 7)] == [('rescued', 5), ('rescued', 12)]


# Several at once, and what is shown


def test_policies_work_without_a_loop(thread_loop):
    """`run_sync` keeps time, attempts and fallbacks as `run` does."""
    clock = TestClock()

    async def work(ctx: StepContext[None, None, None]) -> None:
        clock.advance(3)
        await anyio.Event().wait()

    assert with_fallback(work, FakeStep('stood in'), timeout=2, retry=2).run_sync(clock=clock) == 'stood in'


async def test_policies_work_in_a_notebook():
    """Where a loop runs already, `run_sync` keeps retries and limits of time in a thread of its own."""
    work = FakeStep(LookupError(), 'second')

    assert after_start(work, retry=Retry(2, wait=0.001), timeout=60).run_sync() == 'second'


async def test_policies_work_in_subgraphs():
    """A step with policies in a subgraph is tried again and falls back within the run around."""
    inner = with_fallback(FakeStep(LookupError(), LookupError()), FakeStep('stood in'), retry=2)
    told, g = [], GraphBuilder(output_type=object)
    step = inner.as_step(node_id='inner')
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))

    assert await g.build().run(on_event=told.append) == 'stood in'

    assert [event.node_id for event in of((events.StepRetried, events.StepFellBack), told)] == ['inner/work'] * 2


def test_the_picture_shows_the_policies():
    """The picture has a note for a step's policies, and edges to its fallback and out of its guard."""
    g = GraphBuilder(output_type=object)
    out, other = g.step(FakeStep(1), node_id='out'), g.step(FakeStep(1), node_id='other')
    policy = {'retry': 3, 'timeout': 30, 'idle_timeout': 5, 'limit': 'model', 'max_concurrency': 2}
    work = g.step(FakeStep(1), node_id='work', fallback=other, loop_guard=LoopGuard(7, then=out), **policy)
    g.add(g.edge_from(g.start_node).to(work), g.edge_from(work, out).to(g.end_node))

    picture = g.build().render()

    _, _, note = picture.partition('note right of work\n')
    assert [line.strip() for line in note.partition('  end note')[0].splitlines()] == [
        'up to 3 attempts',
        'within 30 s',
        'silent for 5 s at most',
        'limit model',
        '2 at once',
        '7 times at most',
    ]
    assert 'work --> other: on failure' in picture
    assert 'work --> out: when reached too often' in picture


async def test_a_policy_that_says_nothing_changes_nothing():
    """Options that are `None` leave a step without a policy."""
    graph = after_start(FakeStep('done'), retry=None, timeout=None, cache=None, limit=None)

    assert graph.nodes['work'].policy is None
    assert await graph.run() == 'done'


async def test_a_hand_made_context_has_no_attempt():
    """`ctx.attempt` and `ctx.failure` of a context that no run has made say so."""
    ctx = StepContext(state=None, deps=None, inputs=None)

    for member in ('attempt', 'failure', 'budget'):
        with pytest.raises(GraphRuntimeError, match=rf'StepContext\.{member} is known only inside of a run'):
            getattr(ctx, member)
