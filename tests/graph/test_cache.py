"""Results of steps that are kept: what is found, for how long, and under which key."""

from dataclasses import dataclass, field
from functools import partial
from threading import Lock

import anyio
import pytest

from plait_graph import (
    Cache,
    GraphBuilder,
    GraphRuntimeError,
    JoinPolicy,
    Limit,
    MemoryCache,
    StepContext,
    events,
    reduce_list_append,
)
from plait_graph.testing import FakeStep, TestClock
from plait_graph.util import Some


def after_start(call, **policy):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, node_id='work', **policy)
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


async def run_all(graph, inputs, **options):
    """The outputs of a graph for several inputs, one run after the other."""
    return [await graph.run(inputs=each, **options) for each in inputs]


async def test_a_result_that_is_kept_runs_no_body():
    """The second run with the same inputs has the value of the first one, and other inputs have their own."""
    work = FakeStep('one', 'two', 'three')

    assert await run_all(after_start(work, cache=Cache()), [1, 2, 1, 2, 1]) == ['one', 'two', 'one', 'two', 'one']
    assert work.calls == [1, 2]


async def test_a_result_is_kept_within_a_run_too():
    """An item whose inputs had their turn before takes what is kept."""
    work = FakeStep('one', 'two')

    assert await over_items(work, cache=Cache()).run(inputs=[1, 2, 1, 1], max_concurrency=1) == [
        'one',
        'two',
        'one',
        'one',
    ]
    assert work.count == 2


async def test_a_found_result_is_told_as_such():
    """A value from the cache is told as finished and cached, and as started by nobody."""
    graph, told = after_start(FakeStep('value'), cache=Cache()), []
    await graph.run()

    await graph.run(on_event=told.append)

    assert [type(event) for event in told] == [events.StepReady, events.StepFinished, events.RunFinished]
    assert (told[1].output, told[1].is_cached) == ('value', True)


async def test_what_was_not_found_starts_once():
    """A step whose cache has nothing is told as started once, when its body begins."""
    told = []

    await after_start(FakeStep('value'), cache=Cache()).run(on_event=told.append)

    assert [type(event) for event in told] == [
        events.StepReady,
        events.StepStarted,
        events.StepFinished,
        events.RunFinished,
    ]
    assert not told[2].is_cached


async def test_a_found_result_asks_no_limit_and_takes_no_place():
    """While a limit and the step's places are taken, a kept result is found all the same."""
    limit = Limit('taken', in_flight=1)
    is_in, may_go = anyio.Event(), anyio.Event()

    async def work(ctx: StepContext[None, None, str]) -> str:
        if ctx.inputs == 'slow':
            is_in.set()
            await may_go.wait()
        return ctx.inputs

    graph = after_start(work, cache=Cache(), limit=limit, max_concurrency=1)
    await graph.run(inputs='kept')
    granted = limit.statistics().granted

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: graph.run(inputs='slow'))
        await is_in.wait()
        assert await graph.run(inputs='kept') == 'kept'
        may_go.set()

    assert limit.statistics().granted == granted + 1
    Limit.forget('taken')


async def test_a_result_is_good_for_its_time():
    """After its time to live a result is found no more, and the next one is kept anew."""
    clock, work = TestClock(), FakeStep(1, 2, 3)
    graph = after_start(work, cache=Cache(ttl=10, store=MemoryCache(clock=clock.now)))
    seen = []

    for seconds in (0, 9, 1, 9, 1):
        clock.advance(seconds)
        seen.append(await graph.run())

    assert seen == [1, 1, 2, 2, 3]


async def test_a_key_of_ones_own():
    """With `key`, calls with one key share a result, whatever their inputs; the context is there to make it of."""
    work = FakeStep('even', 'odd')
    graph = after_start(work, cache=Cache(key=lambda ctx: (ctx.inputs + ctx.deps) % 2))

    assert await run_all(graph, [0, 2, 3, 4, 5], deps=0) == ['even', 'even', 'odd', 'even', 'odd']
    assert await graph.run(inputs=3, deps=1) == 'even'


async def test_inputs_that_only_look_alike_are_not_the_same():
    """Values of different types that are equal in Python or alike in JSON have results of their own."""
    inputs = [1, True, 1.0, '1', [1], (1,), None, 'null']
    graph = after_start(lambda ctx: repr(ctx.inputs), cache=Cache())

    await run_all(graph, inputs)

    assert await run_all(graph, inputs) == list(map(repr, inputs))


@dataclass
class Power:
    """A callable object."""

    exponent: int

    async def __call__(self, ctx):
        return ctx.inputs**self.exponent


async def power(ctx, exponent):
    """What a step is made of in part."""
    return ctx.inputs**exponent


@pytest.mark.parametrize(
    ('square', 'cube'),
    [(Power(2), Power(3)), (partial(power, exponent=2), partial(power, exponent=3))],
    ids=['objects', 'partials'],
)
async def test_steps_that_share_a_store_keep_apart(square, cube):
    """Two steps of a graph that keep their results in one store never find each other's."""
    store, g = MemoryCache(), GraphBuilder(output_type=list[int])
    steps = [g.step(call, node_id=id, cache=Cache(store=store)) for call, id in ((square, 'square'), (cube, 'cube'))]
    join = g.join(reduce_list_append, initial_factory=list[int])
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(join), g.edge_from(join).to(g.end_node))

    assert await run_all(g.build(), [2, 2]) == [[4, 8], [4, 8]]
    assert len(store) == 2


async def test_what_is_kept_cannot_be_changed():
    """Who changes a value that came from a step or from its cache changes nothing for others."""
    graph = after_start(lambda ctx: {'list': [1]}, cache=Cache())

    for _ in range(3):
        value = await graph.run()
        assert value == {'list': [1]}
        value['list'].append(2)


async def test_inputs_that_a_step_changes_are_kept_under_what_they_were():
    """A body that changes its inputs has its result under the inputs that it was given."""
    calls = []

    async def work(ctx: StepContext[None, None, list[int]]) -> int:
        calls.append(list(ctx.inputs))
        ctx.inputs.append(100)
        return sum(ctx.inputs)

    assert await run_all(after_start(work, cache=Cache()), [[1], [1], [1, 100]]) == [101, 101, 201]
    assert calls == [[1], [1, 100]]


async def test_a_failure_is_not_kept():
    """A step that raised runs again the next time."""
    graph = after_start(FakeStep(LookupError(), 'value'), cache=Cache())

    with pytest.raises(LookupError):
        await graph.run()

    assert await run_all(graph, [None, None]) == ['value', 'value']


async def test_an_attempt_that_succeeds_is_kept():
    """With retries, the value of the attempt that gave one is kept."""
    work = FakeStep(LookupError(), 'value')

    assert await run_all(after_start(work, cache=Cache(), retry=2), [1, 1]) == ['value', 'value']


async def test_the_latest_results_are_kept():
    """A store that is full forgets what was used the longest time ago."""
    work = FakeStep('one', 'two', 'three', 'two again')
    graph = after_start(work, cache=Cache(store=MemoryCache(2)))

    await run_all(graph, [1, 2, 1, 3])

    assert work.calls == [1, 2, 3]
    assert await run_all(graph, [1, 2]) == ['one', 'two again']


async def test_a_plain_function_may_be_cached():
    """Steps in threads have caches as others have."""
    calls = []
    graph = after_start(lambda ctx: calls.append(ctx.inputs) or 'value', cache=Cache())

    assert await run_all(graph, [1, 1]) == ['value', 'value']
    assert calls == [1]


# Stores of one's own


@dataclass
class Store:
    """A store that writes down what it is asked for, and fails when it is told to."""

    fails_at: str = ''
    values: dict[str, object] = field(default_factory=dict)
    ttls: list[object] = field(default_factory=list)

    async def get(self, key):
        if self.fails_at == 'get':
            raise ConnectionError('get')
        return Some(self.values[key]) if key in self.values else None

    async def set(self, key, value, ttl):
        if self.fails_at == 'set':
            raise ConnectionError('set')
        self.values[key] = value
        self.ttls.append(ttl)


async def test_a_store_of_ones_own():
    """Any object with `get` and `set` keeps results; it is told the seconds, and `None` is a value like any other."""
    store, work = Store(), FakeStep(None)

    assert await run_all(after_start(work, cache=Cache(ttl=60, store=store)), [1, 1]) == [None, None]
    assert store.ttls == [60]


@pytest.mark.parametrize('fails_at', ['get', 'set'])
async def test_a_store_that_fails_fails_the_step(fails_at):
    """What a store raises is the failure of the step, and the note names it."""
    with pytest.raises(ConnectionError, match=fails_at) as caught:
        await after_start(FakeStep('value'), cache=Cache(store=Store(fails_at))).run()

    assert "'work'" in caught.value.__notes__[0]


@pytest.mark.parametrize('fails_at', ['get', 'set'])
async def test_a_store_that_fails_is_tried_again(fails_at):
    """The failure of a store counts as that of an attempt."""
    store, retried = Store(fails_at), []

    def mend(event):
        if isinstance(event, events.StepRetried):
            retried.append(event.attempt)
            store.fails_at = ''

    graph = after_start(FakeStep('value', repeats=True), cache=Cache(store=store), retry=2)

    assert await graph.run(on_event=mend) == 'value'
    assert retried == [1]


class SlowStore(Store):
    """A store that never answers."""

    async def get(self, key):
        await anyio.Event().wait()


async def test_a_loser_asks_its_store_no_more():
    """A task that is cancelled while its store looks for a result is gone."""
    g, cancelled = GraphBuilder(output_type=list[str]), []
    slow = g.step(FakeStep('slow'), node_id='slow', cache=Cache(store=SlowStore()))
    quick = g.step(FakeStep('quick'), node_id='quick')
    join = g.join(reduce_list_append, initial_factory=list[str], policy=JoinPolicy(need=1))
    after = g.step(lambda ctx: ctx.inputs, node_id='after')
    g.add(
        g.edge_from(g.start_node).to(slow, quick),
        g.edge_from(slow, quick).to(join),
        g.edge_from(join).to(after),
        g.edge_from(after).to(g.end_node),
    )

    assert await g.build().run(on_event=cancelled.append) == ['quick']
    assert [event.node_id for event in cancelled if isinstance(event, events.StepCancelled)] == ['slow']


# Bad input


async def test_inputs_that_are_no_key_are_told():
    """Inputs that JSON cannot say fail the step, with their type and how to give a key."""
    with pytest.raises(GraphRuntimeError, match=r"'work' is cached, and its inputs of type object .* Cache\(key="):
        await after_start(FakeStep('value'), cache=Cache()).run(inputs=object())


async def test_a_bad_key_is_told():
    """A key that JSON cannot say fails the step, and it is said that it is the key."""
    with pytest.raises(GraphRuntimeError, match="'work' is cached, and its key of type object"):
        await after_start(FakeStep('value'), cache=Cache(key=lambda ctx: object())).run()


async def test_a_key_that_raises_fails_the_step():
    """What the function of a key raises is the failure of the step."""
    with pytest.raises(ZeroDivisionError):
        await after_start(FakeStep('value'), cache=Cache(key=lambda ctx: 1 / 0)).run()


async def test_a_value_that_cannot_be_copied_is_told():
    """A store in memory copies values; one that cannot be copied fails the step with its type and what to do."""
    with pytest.raises(GraphRuntimeError, match=r'A value of type lock cannot be copied .*plain data'):
        await after_start(lambda ctx: Lock(), cache=Cache()).run()
