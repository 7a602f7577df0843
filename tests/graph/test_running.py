"""What a graph does when it is run to its end.

Bodies meet, wait for one another and finish in a given order by events alone; time plays no part.
"""

import asyncio
import contextvars
import functools
import itertools
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import anyio
import anyio.from_thread
import pytest

from plait_graph import (
    Fork,
    GraphBuilder,
    GraphRuntimeError,
    JoinPolicy,
    ReduceFirstValue,
    ReducerContext,
    StepContext,
    TypeExpression,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from plait_graph.events import (
    Emitted,
    JoinFired,
    RunFinished,
    StepFinished,
    StepReady,
    StepStarted,
    ValueDropped,
    ValueJoined,
)


def connect(g, *nodes):
    """Add a plain edge from each node to the next one."""
    g.add(*(g.edge_from(source).to(target) for source, target in pairwise(nodes)))


def after_start(call, **options):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    connect(g, g.start_node, g.step(call, **options), g.end_node)
    return g.build()


def over_items(call, join=None, **options):
    """Start -> map `each` -> the step -> a join (of all results in a list) -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call)
    join = join or g.join(reduce_list_append, initial_factory=list[object], node_id='all')
    g.add(g.edge_from(g.start_node).map(fork_id='each', **options).to(step))
    connect(g, step, join, g.end_node)
    return g.build()


async def forever(log, name):
    """Work that only a cancellation ends, with a clean-up that takes a turn of the loop."""
    try:
        await anyio.Event().wait()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        log.append(f'{name} cleaned up')


async def same(ctx: StepContext[Any, Any, Any]) -> Any:
    """Hand the inputs on."""
    return ctx.inputs


# Chains and loops


async def test_a_value_goes_through_a_chain():
    """The output of each step is the input of the next one, and the last output is that of the run."""
    g = GraphBuilder(input_type=int, output_type=str)

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @g.step
    async def show(ctx: StepContext[None, None, int]) -> str:
        return f'<{ctx.inputs}>'

    connect(g, g.start_node, double, show, g.end_node)

    assert await g.build().run(inputs=21) == '<42>'


async def test_inputs_of_a_run_can_go_straight_to_the_end():
    """A graph without steps gives its inputs."""
    g = GraphBuilder(input_type=int, output_type=int)
    connect(g, g.start_node, g.end_node)

    assert await g.build().run(inputs=5) == 5


async def test_a_run_without_inputs_passes_none():
    """The first step of a run without inputs gets `None`."""
    assert await after_start(same).run() is None


def counting(limit):
    """Start -> increase <-> decision -> end, until the limit is reached."""
    g = GraphBuilder(input_type=int, output_type=int)

    @g.step
    async def increase(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    choice = g.decision().branch(g.match(int, matches=lambda value: value < limit).to(increase))
    choice = choice.branch(g.match(int).to(g.end_node))
    connect(g, g.start_node, increase, choice)
    return g.build()


async def test_a_loop_of_100000_turns():
    """A loop of a step and a decision takes 100,000 turns and ends."""
    assert await counting(100_000).run(inputs=0) == 100_000


async def test_10000_runs_at_once():
    """Ten thousand runs of one graph, all under way at the same time in one loop, each give their own value."""
    results, is_open, waiting = {}, anyio.Event(), []

    async def work(ctx: StepContext[None, None, int]) -> int:
        waiting.append(ctx.inputs)
        if len(waiting) == 10_000:
            is_open.set()
        await is_open.wait()
        return -ctx.inputs

    graph = after_start(work)

    async def run(number):
        results[number] = await graph.run(inputs=number)

    async with anyio.create_task_group() as group:
        for number in range(10_000):
            group.start_soon(run, number)

    assert results == {number: -number for number in range(10_000)}


async def test_a_graph_can_be_run_again():
    """A second run of a graph knows nothing of the first one."""
    graph = over_items(same)

    assert await graph.run(inputs=[1, 2]) == [1, 2]
    assert await graph.run(inputs=[3]) == [3]


def test_building_twice_gives_equal_plans():
    """`build()` changes nothing in its builder: doing it again gives an equal plan and the same nodes."""
    g = GraphBuilder(output_type=list[int])
    step = g.step(same)
    g.add(g.edge_from(g.start_node).map().to(step))
    connect(g, step, g.join(reduce_list_append, initial_factory=list[int]), g.end_node)
    first, second = g.build(), g.build()

    assert first.plan == second.plan
    assert list(first.nodes) == list(second.nodes)


# Decisions


def deciding(*branches):
    """Start -> a decision with a branch for each source and its options -> a step that names the branch -> end."""
    g = GraphBuilder(output_type=object)
    decision = g.decision(node_id='choice')
    for number, (source, options) in enumerate(branches):

        async def name(ctx: StepContext[None, None, Any], number: int = number) -> tuple[int, Any]:
            return number, ctx.inputs

        step = g.step(name, node_id=f'branch {number}')
        decision = decision.branch(g.match(source, **options).to(step))
        g.add(g.edge_from(step).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(decision))
    return g.build()


class Animal:
    """A base class."""


class Dog(Animal):
    """A subclass."""


@pytest.mark.parametrize(
    ('sources', 'value', 'taken'),
    [
        pytest.param([int, str], 'a', 1, id='type'),
        pytest.param([str, int, object], 1.5, 2, id='object-catches-all'),
        pytest.param([str, Any], None, 1, id='any-catches-all'),
        pytest.param([int, int], 1, 0, id='first-match'),
        pytest.param([object, int], 1, 0, id='order'),
        pytest.param([Animal, Dog], Dog(), 0, id='subclass'),
        pytest.param([Dog, Animal], Dog(), 0, id='subclass-first'),
        pytest.param([int], True, 0, id='bool-is-int'),
        pytest.param([TypeExpression[int | str], float], 'a', 0, id='union'),
        pytest.param([TypeExpression[int | str], float], 1.5, 1, id='not-in-union'),
        pytest.param([TypeExpression[Literal['a', 'b']], str], 'b', 0, id='literal'),
        pytest.param([TypeExpression[Literal['a', 'b']], str], 'c', 1, id='not-in-literal'),
        pytest.param([TypeExpression[Literal[None, 0]], object], None, 0, id='literal-none'),
        pytest.param([type(None), int], None, 0, id='none'),
    ],
)
async def test_the_first_branch_that_matches_is_taken(sources, value, taken):
    """Branches are tried in order, and the first one whose type fits gets the unchanged value."""
    graph = deciding(*((source, {}) for source in sources))

    assert await graph.run(inputs=value) == (taken, value)


async def test_only_the_predicate_counts():
    """Where a branch has a predicate, its type is not looked at."""
    graph = deciding((str, {'matches': lambda value: value > 10}), (int, {'matches': lambda value: True}))

    assert await graph.run(inputs=11) == (0, 11)
    assert await graph.run(inputs=1) == (1, 1)


async def test_a_predicate_makes_sense_of_types_that_cannot_be_asked():
    """A branch for `list[int]` works with a predicate."""
    graph = deciding((list[int], {'matches': lambda value: isinstance(value, list)}))

    assert await graph.run(inputs=[1]) == (0, [1])


async def test_later_branches_are_not_asked():
    """A predicate behind the branch that was taken is not called."""
    asked = []
    graph = deciding((int, {}), (int, {'matches': asked.append}))
    await graph.run(inputs=1)

    assert asked == []


async def test_adding_a_branch_leaves_the_decision_as_it_was():
    """`branch` gives a new decision with the same id, and the old one keeps its branches."""
    g = GraphBuilder(output_type=int)
    old = g.decision(node_id='choice').branch(g.match(int).to(g.end_node))
    new = old.branch(g.match(str).to(g.end_node))

    assert (old.id, len(old.branches)) == ('choice', 1)
    assert (new.id, len(new.branches)) == ('choice', 2)


async def test_a_branch_can_transform_map_and_broadcast():
    """The path of a branch has all that the path of an edge has."""
    g = GraphBuilder(output_type=list[int])
    work = g.step(same, node_id='work')
    join = g.join(reduce_list_append, initial_factory=list[int])
    branch = g.match(str).transform(lambda ctx: ctx.inputs.split(',')).label('parts').map()
    g.add(g.edge_from(g.start_node).to(g.decision().branch(branch.transform(lambda ctx: int(ctx.inputs)).to(work))))
    connect(g, work, join, g.end_node)

    assert await g.build().run(inputs='1,2,3') == [1, 2, 3]


async def test_a_branch_can_lead_to_another_decision():
    """Decisions can follow each other, also in a circle."""
    g = GraphBuilder(output_type=str)
    name = g.step(same, node_id='name')
    inner = g.decision(node_id='inner').branch(g.match(int, matches=lambda value: value > 0).transform(plus).to(name))
    inner = inner.branch(g.match(int).transform(minus).to(name))
    outer = g.decision(node_id='outer').branch(g.match(str).to(g.end_node)).branch(g.match(int).to(inner))
    connect(g, g.start_node, outer)
    connect(g, name, outer)
    graph = g.build()

    assert await graph.run(inputs=3) == 'plus'
    assert await graph.run(inputs=-3) == 'minus'


def plus(ctx: StepContext[Any, Any, Any]) -> str:
    """The word for numbers above zero."""
    return 'plus'


def minus(ctx: StepContext[Any, Any, Any]) -> str:
    """The word for the other ones."""
    return 'minus'


async def test_each_item_of_a_map_is_decided_on_its_own():
    """A decision behind a map sends each item its own way."""
    g = GraphBuilder(output_type=dict[str, int])
    even = g.step(lambda ctx: {'even': ctx.inputs}, node_id='even')
    odd = g.step(lambda ctx: {'odd': ctx.inputs}, node_id='odd')
    join = g.join(reduce_dict_update, initial_factory=dict[str, int])
    choice = g.decision().branch(g.match(int, matches=lambda value: value % 2 == 0).to(even))
    g.add(g.edge_from(g.start_node).map().to(choice.branch(g.match(int).to(odd))))
    g.add(g.edge_from(even, odd).to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=[1, 2]) == {'odd': 1, 'even': 2}


async def test_a_branch_that_is_not_taken_does_not_starve_a_join():
    """A join behind a broadcast fires although one branch was decided away from it."""
    g = GraphBuilder(output_type=list[int])
    taken, skipped = g.step(same, node_id='taken'), g.step(same, node_id='skipped')
    join = g.join(reduce_list_append, initial_factory=list[int])
    elsewhere = g.join(reduce_null, initial=None, node_id='elsewhere')
    choice = g.decision().branch(g.match(int, matches=lambda value: value < 0).to(skipped))
    choice = choice.branch(g.match(int).to(elsewhere))
    g.add(g.edge_from(g.start_node).to(taken, choice))
    g.add(g.edge_from(taken, skipped).to(join), g.edge_from(join).to(g.end_node))
    nothing = g.step(same, node_id='nothing')
    connect(g, elsewhere, nothing)
    graph = g.build(skip=['dead-end'])

    assert await graph.run(inputs=5) == [5]
    assert await graph.run(inputs=-5) == [-5, -5]


# Transforms and labels


async def test_transforms_replace_the_value_in_turn():
    """Transforms along an edge run one after the other, labels between them change nothing."""
    g = GraphBuilder(output_type=str)
    path = (
        g.edge_from(g.start_node)
        .transform(lambda ctx: ctx.inputs + 1)
        .label('text')
        .transform(lambda ctx: ctx.inputs * 10)
    )
    g.add(path.to(g.end_node))

    assert await g.build().run(inputs=1) == 20


async def test_transforms_see_state_and_deps():
    """A transform's context has the run's state and dependencies, and may change the state."""
    g = GraphBuilder(state_type=list[int], deps_type=int, output_type=int)

    def note(ctx: StepContext[list[int], int, int]) -> int:
        ctx.state.append(ctx.inputs)
        return ctx.inputs * ctx.deps

    g.add(g.edge_from(g.start_node).transform(note).to(g.end_node))
    state = []

    assert await g.build().run(state=state, deps=7, inputs=6) == 42
    assert state == [6]


async def test_transforms_stand_before_and_after_a_map():
    """A transform before a map sees the whole, one behind it each item."""
    g = GraphBuilder(output_type=list[int])
    path = g.edge_from(g.start_node).transform(lambda ctx: range(ctx.inputs)).map().transform(lambda ctx: ctx.inputs**2)
    join = g.join(reduce_list_append, initial_factory=list[int])
    g.add(path.to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=4) == [0, 1, 4, 9]


async def test_a_path_builder_stays_usable():
    """Each path method gives a new builder, so that two paths can begin alike."""
    g = GraphBuilder(output_type=list[int])
    begin = g.edge_from(g.start_node).transform(lambda ctx: ctx.inputs + 1)
    join = g.join(reduce_list_append, initial_factory=list[int])
    g.add(begin.transform(lambda ctx: ctx.inputs * 10).to(join), begin.to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=1) == [20, 2]


# Broadcasts


def to_several(g, source, targets):
    """`.to(a, b)`."""
    g.add(g.edge_from(source).to(*targets))


def several_edges(g, source, targets):
    """One edge a target."""
    for target in targets:
        g.add(g.edge_from(source).to(target))


def broadcast(g, source, targets):
    """`.broadcast(...)`."""
    g.add(g.edge_from(source).broadcast(lambda path: [path.to(target) for target in targets]))


@pytest.mark.parametrize('fork', [to_several, several_edges, broadcast])
async def test_every_form_of_broadcast_runs_all_branches(fork):
    """Each way to say a broadcast gives the value to all branches, and a join has their results in declared order."""
    g = GraphBuilder(output_type=list[int])
    branches = [
        g.step(lambda ctx, factor=factor: ctx.inputs * factor, node_id=f'times {factor}') for factor in (1, 2, 3)
    ]
    join = g.join(reduce_list_append, initial_factory=list[int])
    fork(g, g.start_node, branches)
    g.add(g.edge_from(*branches).to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=5) == [5, 10, 15]


async def test_branches_of_a_broadcast_have_paths_of_their_own():
    """Each branch of `.broadcast` can transform and map on its own."""
    g = GraphBuilder(output_type=list[int])
    join = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).broadcast(
            lambda path: [path.transform(lambda ctx: -1).to(join), path.map().to(join)]
        ),
        g.edge_from(join).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 2]) == [-1, 1, 2]


async def test_all_branches_are_under_way_together():
    """Branches that wait for each other finish: all have started."""
    g = GraphBuilder(output_type=None)
    one, two = anyio.Event(), anyio.Event()

    @g.step
    async def first(ctx: StepContext[None, None, None]) -> None:
        one.set()
        await two.wait()

    @g.step
    async def second(ctx: StepContext[None, None, None]) -> None:
        two.set()
        await one.wait()

    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).to(first, second), g.edge_from(first, second).to(join))
    connect(g, join, g.end_node)

    assert await g.build().run() is None


async def test_two_branches_into_one_step_run_it_twice():
    """A step that two branches reach without a join runs for each of them."""
    g = GraphBuilder(output_type=int)
    seen = []

    @g.step
    async def note(ctx: StepContext[None, None, str]) -> str:
        seen.append(ctx.inputs)
        return ctx.inputs

    a, b = g.step(lambda ctx: 'a', node_id='a'), g.step(lambda ctx: 'b', node_id='b')
    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).to(a, b), g.edge_from(a, b).to(note))
    connect(g, note, join, g.end_node)
    await g.build().run()

    assert sorted(seen) == ['a', 'b']


# Maps


@pytest.mark.parametrize('limit', [None, 2])
@pytest.mark.parametrize('kind', [list, tuple, iter, dict.fromkeys], ids=['list', 'tuple', 'iterator', 'keys'])
async def test_a_map_runs_once_for_each_item(kind, limit):
    """A map over any iterable runs the step for each item, and a list join has the results in input order."""
    items = kind([3, 1, 2])
    items = items.keys() if isinstance(items, dict) else items

    assert await over_items(same, limit=limit).run(inputs=items) == [3, 1, 2]


async def test_nested_maps_run_for_each_inner_item():
    """Two maps in a row make a task for each item of each item, and the default join folds all of them once."""
    g = GraphBuilder(output_type=list[int])
    work = g.step(same, node_id='work')
    g.add(g.edge_from(g.start_node).map().map().to(work))
    connect(g, work, g.join(reduce_list_append, initial_factory=list[int]), g.end_node)

    assert await g.build().run(inputs=[[1, 2], [], [3]]) == [1, 2, 3]


async def test_a_closest_join_fires_once_for_each_outer_item():
    """A join that belongs to the inner map gives one result for each run of it."""
    g = GraphBuilder(output_type=list[int])
    work = g.step(same, node_id='work')
    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_list_append, initial_factory=list[int], node_id='outer')
    g.add(g.edge_from(g.start_node).map().map().to(work))
    connect(g, work, inner, outer, g.end_node)

    assert await g.build().run(inputs=[[1, 2], [3, 4], [5]]) == [3, 7, 5]


async def test_maps_in_sequence():
    """What a join collected can be mapped again."""
    g = GraphBuilder(output_type=list[int])
    first, second = (
        g.step(lambda ctx: ctx.inputs + 1, node_id='first'),
        g.step(lambda ctx: ctx.inputs * 10, node_id='second'),
    )
    collect = g.join(reduce_list_append, initial_factory=list[int], node_id='collect')
    results = g.join(reduce_list_append, initial_factory=list[int], node_id='results')
    g.add(g.edge_from(g.start_node).map().to(first), g.edge_from(first).to(collect))
    g.add(g.edge_from(collect).map().to(second))
    connect(g, second, results, g.end_node)

    assert await g.build().run(inputs=[1, 2, 3]) == [20, 30, 40]


async def test_add_mapping_edge_maps():
    """`add_mapping_edge` is an edge with a map in it."""
    g = GraphBuilder(output_type=list[int])
    work = g.step(same, node_id='work')
    g.add_mapping_edge(g.start_node, work, pre_map_label='all', post_map_label='each', fork_id='each')
    join = g.join(reduce_list_append, initial_factory=list[int])
    g.add_edge(work, join, label='results')
    g.add_edge(join, g.end_node)
    graph = g.build()

    assert isinstance(graph.nodes['each'], Fork)
    assert await graph.run(inputs=[1, 2]) == [1, 2]


async def test_items_of_an_async_source_start_while_it_produces():
    """Work on the first item of an asynchronous iterable has finished before the second item is produced."""
    log, is_done = [], anyio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await is_done.wait()
        log.append('second')
        yield 2

    async def work(ctx: StepContext[None, None, int]) -> int:
        log.append(f'work on {ctx.inputs}')
        is_done.set()
        return ctx.inputs

    assert await over_items(work).run(inputs=numbers()) == [1, 2]
    assert log == ['work on 1', 'second', 'work on 2']


async def test_a_class_with_aiter_can_be_mapped():
    """Any asynchronous iterable can be mapped, not only generators."""

    class Numbers:
        def __init__(self) -> None:
            self.rest = [3, 2, 1]

        def __aiter__(self):
            return self

        async def __anext__(self) -> int:
            if not self.rest:
                raise StopAsyncIteration
            return self.rest.pop()

    assert await over_items(same).run(inputs=Numbers()) == [1, 2, 3]


async def test_an_empty_async_source_fires_its_join():
    """An asynchronous iterable without items fires the join with its initial value."""

    async def nothing() -> AsyncIterator[int]:
        for number in ():
            yield number

    assert await over_items(same).run(inputs=nothing()) == []


@pytest.mark.parametrize('limit', [None, 1])
async def test_an_empty_map_fires_its_join(limit):
    """A map without items fires the only join behind it with its initial value."""
    assert await over_items(same, limit=limit).run(inputs=[]) == []


async def test_an_empty_map_fires_the_join_it_names():
    """A map without items fires the join that `downstream_join_id` names, where there are several."""
    g = GraphBuilder(output_type=str)
    small = g.join(reduce_list_append, initial_factory=list[int], node_id='small', preferred_parent_fork='closest')
    large = g.join(reduce_list_append, initial_factory=list[int], node_id='large', preferred_parent_fork='closest')
    choice = (
        g.decision().branch(g.match(int, matches=lambda value: value < 10).to(small)).branch(g.match(int).to(large))
    )
    g.add(
        g.edge_from(g.start_node).map(downstream_join_id='large').to(choice),
        g.edge_from(small).transform(lambda ctx: ('small', ctx.inputs)).to(g.end_node),
        g.edge_from(large).transform(lambda ctx: ('large', ctx.inputs)).to(g.end_node),
    )

    assert await g.build().run(inputs=[]) == ('large', [])


async def test_a_named_join_fires_once_if_items_come():
    """A join that a map names fires once, whether or not there are items."""
    g = GraphBuilder(output_type=list[int])
    fired = []
    join = g.join(reduce_list_append, initial_factory=list[int], node_id='all')
    g.add(g.edge_from(g.start_node).map(downstream_join_id='all').to(join), g.edge_from(join).to(g.end_node))
    await g.build().run(
        inputs=[1, 2], on_event=lambda event: fired.append(event) if isinstance(event, JoinFired) else None
    )

    assert [event.output for event in fired] == [[1, 2]]


async def test_an_empty_inner_map_fires_its_join_in_each_run():
    """An empty inner map gives its join's initial value, beside inner maps that have items."""
    g = GraphBuilder(output_type=list[int])
    work = g.step(same, node_id='work')
    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_list_append, initial_factory=list[int], node_id='outer')
    g.add(g.edge_from(g.start_node).map().map().to(work))
    connect(g, work, inner, outer, g.end_node)

    assert await g.build().run(inputs=[[], [1], []]) == [0, 1, 0]


# Joins and reducers


@pytest.mark.parametrize(
    ('reducer', 'initial', 'items', 'expected'),
    [
        pytest.param(reduce_null, lambda: None, [1, 2], None, id='null'),
        pytest.param(reduce_sum, lambda: 10, [1, 2], 13, id='sum'),
        pytest.param(reduce_list_append, list, [1, 2], [1, 2], id='append'),
        pytest.param(reduce_list_append, lambda: [0], [1, 2], [0, 1, 2], id='append-to'),
        pytest.param(reduce_list_extend, list, [[1], [], [2, 3]], [1, 2, 3], id='extend'),
        pytest.param(reduce_dict_update, dict, [{'a': 1, 'b': 1}, {'b': 2}], {'a': 1, 'b': 2}, id='update'),
        pytest.param(lambda current, value: current * value, lambda: 1, [2, 3, 7], 42, id='own'),
        pytest.param(lambda ctx, current, value: current - value, lambda: 0, [1, 2], -3, id='own-with-context'),
        pytest.param(functools.partial(lambda factor, c, v: c + factor * v, 2), lambda: 0, [1, 2], 6, id='partial'),
    ],
)
async def test_reducers_fold(reducer, initial, items, expected):
    """Each reducer folds the values of a map into what it says."""
    g = GraphBuilder(output_type=object)
    join = g.join(reducer, initial_factory=initial, node_id='join')
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=items) == expected


async def test_a_reducer_may_be_an_object():
    """An object with `__call__` is a reducer, with or without a context."""

    class Longest:
        def __call__(self, current: str, value: str) -> str:
            return max(current, value, key=len)

    g = GraphBuilder(output_type=str)
    join = g.join(Longest(), initial='', node_id='longest')
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))

    assert await g.build().run(inputs=['a', 'ccc', 'bb']) == 'ccc'


async def test_a_reducers_context_has_state_and_deps():
    """A reducer that asks for a context sees the run's dependencies and may change its state."""
    g = GraphBuilder(state_type=list[int], deps_type=int, output_type=int)

    def scale(ctx: ReducerContext[list[int], int], current: int, value: int) -> int:
        ctx.state.append(value)
        return current + ctx.deps * value

    join = g.join(scale, initial=0)
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))
    state = []

    assert await g.build().run(state=state, deps=10, inputs=[1, 2]) == 30
    assert sorted(state) == [1, 2]


async def test_a_factory_makes_a_value_for_each_run():
    """`initial_factory` is called for each run of the parent fork, so that no run sees what another one left."""
    made = []

    def factory() -> list[int]:
        made.append(len(made))
        return []

    g = GraphBuilder(output_type=list[list[int]])
    inner = g.join(reduce_list_append, initial_factory=factory, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_list_append, initial_factory=list[list[int]], node_id='outer')
    g.add(g.edge_from(g.start_node).map().map().to(inner))
    connect(g, inner, outer, g.end_node)

    assert await g.build().run(inputs=[[1], [2, 3]]) == [[1], [2, 3]]
    assert len(made) == 2


async def test_a_join_without_a_fork_takes_its_one_value():
    """A join that a single value reaches, with the start as its parent, folds it and goes on."""
    g = GraphBuilder(output_type=list[int])
    connect(g, g.start_node, g.join(reduce_list_append, initial_factory=list[int]), g.end_node)

    assert await g.build().run(inputs=5) == [5]


def nested_joins(turns):
    """Broadcast to {map -> inner join -> step, slow step} -> outer join; bodies finish as their turns come."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def item(ctx: StepContext[None, None, int]) -> int:
        await turns(ctx.inputs)
        return ctx.inputs

    @g.step
    async def slow(ctx: StepContext[None, None, Any]) -> int:
        await turns(100)
        return 100

    after = g.step(same, node_id='after')
    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_sum, initial=0, node_id='outer')
    g.add(g.edge_from(g.start_node).broadcast(lambda path: [path.map().to(item), path.to(slow)]))
    connect(g, item, inner, after, outer)
    connect(g, slow, outer, g.end_node)
    return g.build()


@pytest.mark.parametrize('order', list(itertools.permutations([1, 2, 3, 100])), ids=str)
async def test_nested_joins_lose_nothing(order):
    """Whatever the order in which the branches finish, the outer join has the values of all of them."""
    gates = {value: anyio.Event() for value in order}
    following = dict(pairwise(order))
    gates[order[0]].set()

    def listen(event):
        if isinstance(event, StepFinished) and event.node_id != 'after' and event.output in following:
            gates[following[event.output]].set()

    async def turn(value):
        await gates[value].wait()

    assert await nested_joins(turn).run(inputs=[1, 2, 3], on_event=listen) == 106


async def test_an_inner_join_does_not_wait_for_a_slow_sibling():
    """An inner join fires while a branch that cannot reach it still runs."""
    log = []
    inner_has_fired = anyio.Event()

    async def turn(value):
        if value == 100:
            await inner_has_fired.wait()

    def listen(event):
        if isinstance(event, JoinFired):
            log.append(event.join_id)
            inner_has_fired.set()
        elif isinstance(event, StepFinished) and event.node_id == 'slow':
            log.append('slow')

    assert await nested_joins(turn).run(inputs=[1, 2, 3], on_event=listen) == 106
    assert log == ['inner', 'slow', 'outer']


async def test_a_join_in_a_loop_fires_in_each_turn():
    """A map and its join inside of a loop begin anew in each turn."""
    g = GraphBuilder(output_type=int)
    spread = g.step(lambda ctx: [ctx.inputs, ctx.inputs], node_id='spread')
    join = g.join(reduce_sum, initial=0, node_id='sum', preferred_parent_fork='closest')
    choice = (
        g.decision()
        .branch(g.match(int, matches=lambda value: value < 100).to(spread))
        .branch(g.match(int).to(g.end_node))
    )
    connect(g, g.start_node, spread)
    g.add(g.edge_from(spread).map().to(join), g.edge_from(join).to(choice))

    assert await g.build().run(inputs=1) == 128


# First wins


def first_wins(log):
    """A map whose item 2 wins when all run, and a branch beside it that the join cannot cancel."""
    g = GraphBuilder(output_type=list[object])
    others, has_won = Counter(), anyio.Event()

    @g.step
    async def racer(ctx: StepContext[None, None, int]) -> int:
        others['running'] += 1
        if ctx.inputs != 2:
            await forever(log, f'item {ctx.inputs}')
        while others['running'] < 3:
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    @g.step
    async def beside(ctx: StepContext[None, None, Any]) -> str:
        await has_won.wait()
        log.append('beside goes on')
        return 'beside'

    @g.step
    async def winner(ctx: StepContext[None, None, int]) -> int:
        has_won.set()
        return ctx.inputs

    first = g.join(ReduceFirstValue[int](), initial=0, node_id='first', preferred_parent_fork='closest')
    both = g.join(reduce_list_append, initial_factory=list[object], node_id='both')
    g.add(g.edge_from(g.start_node).broadcast(lambda path: [path.map().to(racer), path.to(beside)]))
    connect(g, racer, first, winner, both)
    connect(g, beside, both, g.end_node)
    return g.build()


async def test_the_first_value_wins():
    """A first-wins join passes the first value on, and branches that cannot reach it go on."""
    log = []

    assert await first_wins(log).run(inputs=[1, 2, 3]) == [2, 'beside']
    assert 'beside goes on' in log


async def test_losers_are_cancelled_and_clean_up():
    """The other items of a first-wins map are cancelled, and their clean-up has run when the run ends."""
    log = []
    await first_wins(log).run(inputs=[1, 2, 3])

    assert {'item 1 cleaned up', 'item 3 cleaned up'} < set(log)


async def test_items_that_had_not_started_lose_as_well():
    """Items that were still waiting when another one won never start."""
    started = []

    async def racer(ctx: StepContext[None, None, int]) -> int:
        started.append(ctx.inputs)
        return ctx.inputs

    g = GraphBuilder(output_type=int)
    graph = over_items(racer, g.join(ReduceFirstValue[int](), initial=0))

    assert await graph.run(inputs=[1, 2, 3], max_concurrency=1) == 1
    assert started == [1]


async def test_a_source_that_lost_is_closed():
    """An asynchronous source whose join has its first value is closed before the run ends."""
    log = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.Event().wait()
        finally:
            log.append('closed')

    g = GraphBuilder(output_type=int)

    assert await over_items(same, g.join(ReduceFirstValue[int](), initial=0)).run(inputs=numbers()) == 1
    assert log == ['closed']


async def test_a_loser_in_a_thread_is_waited_for_by_the_run_and_not_by_its_join():
    """A first-wins join goes on while the function of a loser still blocks its thread; the run waits for the thread."""
    log, go_on, has_begun = [], threading.Event(), anyio.Event()
    g = GraphBuilder(output_type=str)

    @g.step
    def blocks(ctx: StepContext[None, None, None]) -> str:
        anyio.from_thread.run_sync(has_begun.set)
        go_on.wait(10)
        log.append('thread ended')
        return 'loser'

    @g.step
    async def wins(ctx: StepContext[None, None, None]) -> str:
        await has_begun.wait()
        return 'winner'

    @g.step
    async def follows(ctx: StepContext[None, None, str]) -> str:
        log.append('join went on')
        go_on.set()
        return ctx.inputs

    first = g.join(ReduceFirstValue[str](), initial='')
    g.add(g.edge_from(g.start_node).to(blocks, wins), g.edge_from(blocks, wins).to(first))
    connect(g, first, follows, g.end_node)

    assert await g.build().run() == 'winner'
    assert log == ['join went on', 'thread ended']


async def test_what_follows_a_race_is_not_cancelled_with_the_losers():
    """Bodies that run after losers were cancelled, where these ran before, are not cancelled themselves."""

    async def race(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs > 1:
            await anyio.Event().wait()
        await anyio.lowlevel.checkpoint()
        return ctx.inputs

    async def follow(ctx: StepContext[None, None, int]) -> int:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    g = GraphBuilder(output_type=list[int])
    racer, follower = g.step(race), g.step(follow)
    first = g.join(ReduceFirstValue[int](), initial=0)
    results = g.join(reduce_list_append, initial_factory=list[int])
    g.add(g.edge_from(g.start_node).map().to(racer), g.edge_from(racer).to(first))
    g.add(g.edge_from(first).transform(lambda ctx: [1, 2, 3]).map().to(follower))
    connect(g, follower, results, g.end_node)

    assert await g.build().run(inputs=[1, 2, 3], max_concurrency=3) == [1, 2, 3]


async def test_a_reducer_cancels_siblings_on_a_condition():
    """A reducer that cancels its siblings sees values as they come, and goes on with what it has."""
    g = GraphBuilder(output_type=int)
    log = []

    def until_ten(ctx: ReducerContext[object, object], current: int, value: int) -> int:
        if current + value >= 10:
            ctx.cancel_sibling_tasks()
        return current + value

    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 0:
            await forever(log, 'zero')
        return ctx.inputs

    assert await over_items(work, g.join(until_ten, initial=0)).run(inputs=[0, 4, 6]) == 10
    assert log == ['zero cleaned up']


async def test_an_initial_value_is_the_answer_of_a_race_without_racers():
    """A first-wins join behind an empty map gives its initial value."""
    g = GraphBuilder(output_type=int)

    assert await over_items(same, g.join(ReduceFirstValue[int](), initial=-1)).run(inputs=[]) == -1


async def test_the_first_value_at_the_end_ends_the_run():
    """The first value at the end node is the output; what runs beside is cancelled, open joins are dropped."""
    log, has_started = [], anyio.Event()
    g = GraphBuilder(output_type=str)

    @g.step
    async def quick(ctx: StepContext[None, None, None]) -> str:
        await has_started.wait()
        return 'quick'

    @g.step
    async def slow(ctx: StepContext[None, None, None]) -> str:
        has_started.set()
        await forever(log, 'slow')
        return 'slow'

    other = g.step(same, node_id='other')
    join = g.join(reduce_list_append, initial_factory=list[str])
    g.add(g.edge_from(g.start_node).to(other, slow, quick), g.edge_from(other, slow).to(join))
    g.add(g.edge_from(quick, join).to(g.end_node))

    assert await g.build().run() == 'quick'
    assert log == ['slow cleaned up']


# Order


async def test_tasks_start_in_the_order_in_which_they_became_ready():
    """A worker that finishes takes the oldest ready task and not the successor of its own."""
    log = []

    def note(name):
        async def step(ctx: StepContext[None, None, int]) -> int:
            log.append(f'{name}{ctx.inputs}')
            return ctx.inputs

        return step

    g = GraphBuilder(output_type=list[int])
    first, second = g.step(note('a'), node_id='a'), g.step(note('b'), node_id='b')
    g.add(g.edge_from(g.start_node).map().to(first))
    connect(g, first, second, g.join(reduce_null, initial=None), g.end_node)
    await g.build().run(inputs=[1, 2, 3], max_concurrency=1)

    assert log == ['a1', 'a2', 'a3', 'b1', 'b2', 'b3']


async def test_branches_start_in_declared_order():
    """The branches of a broadcast start in the order in which they were said."""
    log = []
    g = GraphBuilder(output_type=None)

    def note(name):
        async def step(ctx: StepContext[None, None, None]) -> None:
            log.append(name)

        return g.step(step, node_id=name)

    branches = [note(name) for name in 'cab']
    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).to(*branches), g.edge_from(*branches).to(join), g.edge_from(join).to(g.end_node))
    await g.build().run()

    assert log == ['c', 'a', 'b']


def backwards(reducer, initial_factory, **options):
    """A map whose items finish from the last to the first."""
    gates = {}

    async def work(ctx: StepContext[None, None, int]) -> int:
        gates.setdefault(ctx.inputs, anyio.Event())
        if ctx.inputs < 3:
            await gates[ctx.inputs].wait()
        return ctx.inputs

    def listen(event):
        if isinstance(event, StepFinished) and event.output > 0:
            gates.setdefault(event.output - 1, anyio.Event()).set()

    g = GraphBuilder(output_type=object)
    return over_items(work, g.join(reducer, initial_factory=initial_factory, **options)), listen


def append(current, value):
    """A reducer of one's own, without a context."""
    return [*current, value]


def append_with_context(ctx, current, value):
    """A reducer of one's own, with a context."""
    return [*current, value]


@pytest.mark.parametrize(
    ('reducer', 'options', 'expected'),
    [
        pytest.param(reduce_list_append, {}, [0, 1, 2, 3], id='append'),
        pytest.param(reduce_list_append, {'order': 'completion'}, [3, 2, 1, 0], id='append-completion'),
        pytest.param(append, {}, [0, 1, 2, 3], id='own'),
        pytest.param(append, {'order': 'completion'}, [3, 2, 1, 0], id='own-completion'),
        pytest.param(append_with_context, {}, [3, 2, 1, 0], id='context'),
        pytest.param(append_with_context, {'order': 'input'}, [0, 1, 2, 3], id='context-input'),
    ],
)
async def test_joins_fold_in_the_order_that_they_promise(reducer, options, expected):
    """Reducers without a context fold by position, those with one as values come, and `order=` decides otherwise."""
    graph, listen = backwards(reducer, list, **options)

    assert await graph.run(inputs=[0, 1, 2, 3], on_event=listen) == expected


async def test_later_keys_win_by_position():
    """`reduce_dict_update` lets the last item win, whichever finished last."""
    graph, listen = backwards(lambda current, value: {**current, 'key': value}, dict)

    assert await graph.run(inputs=[0, 1, 2, 3], on_event=listen) == {'key': 3}


async def test_nested_positions_order_outermost_first():
    """Values of nested maps are folded by the outer position first, whatever the order of completion."""
    g = GraphBuilder(output_type=list[int])
    gates = {value: anyio.Event() for value in (1, 2, 3)}

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs < 4:
            await gates[ctx.inputs].wait()
        return ctx.inputs

    def listen(event):
        if isinstance(event, StepFinished) and event.output > 1:
            gates[event.output - 1].set()

    g.add(g.edge_from(g.start_node).map().map().to(work))
    connect(g, work, g.join(reduce_list_append, initial_factory=list[int]), g.end_node)

    assert await g.build().run(inputs=[[1, 2], [3, 4]], on_event=listen) == [1, 2, 3, 4]


# Limits


class Load:
    """Counts how much is going on, and what was the most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    @contextmanager
    def one(self):
        """One more for the time of a block."""
        self.now += 1
        self.most = max(self.most, self.now)
        yield
        self.now -= 1


@pytest.mark.parametrize('is_async', [False, True], ids=['sync', 'async'])
async def test_a_limited_map_never_pulls_more_than_the_limit(is_async):
    """A map with `limit=3` never holds more than three items that were pulled and not yet folded."""
    held = Load()

    def pull(number):
        held.now += 1
        held.most = max(held.most, held.now)
        return number

    def numbers():
        return (pull(number) for number in range(20))

    async def async_numbers() -> AsyncIterator[int]:
        for number in range(20):
            yield pull(number)

    def fold(current: int, value: int) -> int:
        held.now -= 1
        return current + value

    async def work(ctx: StepContext[None, None, int]) -> int:
        for _ in range(ctx.inputs % 4):
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    g = GraphBuilder(output_type=int)
    graph = over_items(work, g.join(fold, initial=0, order='completion'), limit=3)

    assert await graph.run(inputs=async_numbers() if is_async else numbers()) == sum(range(20))
    assert held.most == 3
    assert held.now == 0


async def test_a_limited_map_in_input_order_bounds_its_buffer():
    """Under a limit an item that waits to be folded in order keeps its place, so that no more are pulled."""
    pulled, is_full = [], anyio.Event()

    def numbers():
        for number in range(6):
            pulled.append(number)
            yield number

    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 0:
            await anyio.wait_all_tasks_blocked()
            is_full.set()
            assert pulled == [0, 1, 2]
        return ctx.inputs

    assert await over_items(work, limit=3).run(inputs=numbers()) == [0, 1, 2, 3, 4, 5]
    assert is_full.is_set()


async def test_items_that_lead_nowhere_free_their_places():
    """Under a limit an item that ends without reaching a join makes room for the next one."""
    g = GraphBuilder(output_type=int)
    seen = []

    @g.step
    async def lost(ctx: StepContext[None, None, int]) -> None:
        seen.append(ctx.inputs)

    total = g.join(reduce_sum, initial=0, node_id='total')
    choice = (
        g.decision().branch(g.match(int, matches=lambda value: value % 2 == 0).to(total)).branch(g.match(int).to(lost))
    )
    g.add(g.edge_from(g.start_node).map(limit=1).to(choice), g.edge_from(total).to(g.end_node))

    assert await g.build(skip=['dead-end']).run(inputs=range(6)) == 6
    assert seen == [1, 3, 5]


@pytest.mark.parametrize('limit', [1, 2, 3])
async def test_nested_limited_maps_finish(limit):
    """Limits on nested maps and on the whole run cannot lock each other up."""
    g = GraphBuilder(output_type=int)
    work = g.step(same, node_id='work')
    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_sum, initial=0, node_id='outer')
    g.add(g.edge_from(g.start_node).map(limit=limit).map(limit=limit).to(work))
    connect(g, work, inner, outer, g.end_node)

    assert await g.build().run(inputs=[[1, 2, 3], [4, 5], [6]], max_concurrency=1) == 21


@pytest.mark.parametrize('limit', [1, 3])
async def test_max_concurrency_bounds_running_bodies(limit):
    """No more step bodies run at once than `max_concurrency` says, and that many do."""
    load = Load()

    async def work(ctx: StepContext[None, None, int]) -> int:
        with load.one():
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
        return ctx.inputs

    assert await over_items(work).run(inputs=range(20), max_concurrency=limit) == list(range(20))
    assert load.most == limit


async def test_max_concurrency_counts_threads_too():
    """Functions in threads count among the bodies that `max_concurrency` bounds."""
    load, lock = Load(), threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def work(ctx: StepContext[None, None, int]) -> int:
        with lock:
            load.now += 1
            load.most = max(load.most, load.now)
        both.wait()
        with lock:
            load.now -= 1
        return ctx.inputs

    assert await over_items(work).run(inputs=range(4), max_concurrency=2) == [0, 1, 2, 3]
    assert load.most == 2


async def test_without_a_limit_every_body_starts():
    """By default all items of a map are under way together."""
    everyone, waiting = anyio.Event(), []

    async def work(ctx: StepContext[None, None, int]) -> int:
        waiting.append(ctx.inputs)
        if len(waiting) == 500:
            everyone.set()
        await everyone.wait()
        return 1

    assert sum(await over_items(work).run(inputs=range(500))) == 500


# Plain functions


async def test_a_plain_function_runs_in_another_thread():
    """A `def` step runs in a worker thread, an `async def` step in the loop's own."""
    g = GraphBuilder(output_type=list[int])

    @g.step
    def plain(ctx: StepContext[None, None, None]) -> int:
        return threading.get_ident()

    @g.step
    async def other(ctx: StepContext[None, None, int]) -> list[int]:
        return [ctx.inputs, threading.get_ident()]

    connect(g, g.start_node, plain, other, g.end_node)
    in_plain, in_other = await g.build().run()

    assert in_plain != threading.get_ident()
    assert in_other == threading.get_ident()


async def test_a_plain_function_does_not_block_the_loop():
    """A `def` step that blocks until another step has run lets that step run."""
    is_open = threading.Event()
    g = GraphBuilder(output_type=list[bool])

    @g.step
    def block(ctx: StepContext[None, None, None]) -> bool:
        return is_open.wait(10)

    @g.step
    async def release(ctx: StepContext[None, None, None]) -> bool:
        is_open.set()
        return True

    join = g.join(reduce_list_append, initial_factory=list[bool])
    g.add(g.edge_from(g.start_node).to(block, release), g.edge_from(block, release).to(join))
    connect(g, join, g.end_node)

    assert await g.build().run() == [True, True]


async def test_an_awaitable_of_a_plain_function_is_awaited_on_the_loop():
    """If a plain callable gives an awaitable, that is awaited in the loop's thread."""

    async def later() -> int:
        await anyio.lowlevel.checkpoint()
        return threading.get_ident()

    def plain(ctx: StepContext[None, None, None]) -> Any:
        return later()

    assert await after_start(plain).run() == threading.get_ident()


async def test_a_partial_and_a_callable_object_are_steps():
    """A partial of an `async def` and an object with an async `__call__` run on the loop."""

    async def add(number: int, ctx: StepContext[None, None, int]) -> tuple[int, int]:
        return ctx.inputs + number, threading.get_ident()

    class Doubler:
        async def __call__(self, ctx: StepContext[None, None, tuple[int, int]]) -> tuple[int, int]:
            return ctx.inputs[0] * 2, threading.get_ident()

    g = GraphBuilder(output_type=object)
    connect(g, g.start_node, g.step(functools.partial(add, 1)), g.step(Doubler(), node_id='double'), g.end_node)

    assert await g.build().run(inputs=20) == (42, threading.get_ident())


# Streams


async def test_a_stream_flows_into_a_map():
    """The items of an `@g.stream` are worked on while it is still producing."""
    g = GraphBuilder(output_type=list[str])
    log, is_done = [], anyio.Event()

    @g.stream
    async def words(ctx: StepContext[None, None, str]) -> AsyncIterator[str]:
        first, second = ctx.inputs.split()
        yield first
        await is_done.wait()
        log.append('second')
        yield second

    @g.step
    async def upper(ctx: StepContext[None, None, str]) -> str:
        log.append(ctx.inputs)
        is_done.set()
        return ctx.inputs.upper()

    g.add(g.edge_from(g.start_node).to(words), g.edge_from(words).map().to(upper))
    connect(g, upper, g.join(reduce_list_append, initial_factory=list[str]), g.end_node)

    assert await g.build().run(inputs='to be') == ['TO', 'BE']
    assert log == ['to', 'second', 'be']


async def test_a_stream_is_held_back_by_a_limit():
    """A stream behind which a limited map is full is asked for no more items."""
    g = GraphBuilder(output_type=int)
    given = []

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        for number in range(10):
            given.append(number)
            yield number

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 0:
            await anyio.wait_all_tasks_blocked()
            assert given == [0, 1]
        return ctx.inputs

    g.add(g.edge_from(g.start_node).to(numbers), g.edge_from(numbers).map(limit=2).to(work))
    connect(g, work, g.join(append, initial_factory=list[int]), g.end_node)

    assert await g.build().run() == list(range(10))


async def test_a_stream_gives_an_async_iterable_to_a_step():
    """Without a map, what leaves a stream is one asynchronous iterable."""
    g = GraphBuilder(output_type=list[int])

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
        yield 1
        yield 2

    @g.step
    async def read(ctx: StepContext[None, None, AsyncIterable[int]]) -> list[int]:
        return [number async for number in ctx.inputs]

    connect(g, g.start_node, numbers, read, g.end_node)

    assert await g.build().run() == [1, 2]


# Subgraphs


def doubled(**options):
    """A graph that maps, doubles and sums, as a step."""
    return over_items(lambda ctx: ctx.inputs * 2, GraphBuilder().join(reduce_sum, initial=0)).as_step(**options)


async def test_a_graph_is_a_step():
    """A graph used as a step takes the value that reaches it and gives its output."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, doubled(node_id='inner'), g.step(lambda ctx: ctx.inputs + 1, node_id='next'), g.end_node)

    assert await g.build().run(inputs=[1, 2]) == 7


@dataclass
class Shop:
    """A state with a part that is somebody's state too."""

    sold: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


def selling(**options):
    """A graph that sells its input, as a step."""
    g = GraphBuilder(state_type=list[str], deps_type=str, input_type=str, output_type=str)

    @g.step
    async def sell(ctx: StepContext[list[str], str, str]) -> str:
        ctx.state.append(ctx.inputs)
        return f'{ctx.inputs} for {ctx.deps}'

    connect(g, g.start_node, sell, g.end_node)
    return g.build().as_step(node_id='shop', **options)


async def test_state_deps_and_inputs_of_a_subgraph_are_mapped():
    """`as_step(state=, deps=, inputs=)` make the subgraph's values from the context of the step."""
    g = GraphBuilder(state_type=Shop, deps_type=int, input_type=int, output_type=str)
    step = selling(
        state=lambda ctx: ctx.state.sold, deps=lambda ctx: f'{ctx.deps} euro', inputs=lambda ctx: f'{ctx.inputs} apples'
    )
    connect(g, g.start_node, step, g.end_node)
    shop = Shop()

    assert await g.build().run(state=shop, deps=5, inputs=3) == '3 apples for 5 euro'
    assert shop.sold == ['3 apples']


async def test_state_deps_and_inputs_of_a_subgraph_are_passed_on():
    """Without mappings a subgraph has the state, dependencies and value of its step."""
    g = GraphBuilder(state_type=list[str], deps_type=str, input_type=str, output_type=str)
    connect(g, g.start_node, selling(), g.end_node)
    state = []

    assert await g.build().run(state=state, deps='free', inputs='pear') == 'pear for free'
    assert state == ['pear']


async def test_subgraphs_nest():
    """A subgraph may have subgraphs of its own, each mapping what it is given."""
    innermost = after_start(lambda ctx: ctx.inputs + 1).as_step(node_id='innermost', inputs=lambda ctx: ctx.inputs * 10)
    middle = GraphBuilder(output_type=int)
    connect(middle, middle.start_node, innermost, middle.end_node)
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, middle.build().as_step(node_id='middle', inputs=lambda ctx: ctx.inputs * 2), g.end_node)

    assert await g.build().run(inputs=3) == 61


async def test_a_subgraph_runs_for_each_item():
    """A subgraph below a map runs for each item, each run with joins of its own."""
    g = GraphBuilder(output_type=list[int])
    inner = doubled(node_id='inner')
    g.add(g.edge_from(g.start_node).map().to(inner))
    connect(g, inner, g.join(reduce_list_append, initial_factory=list[int], node_id='all'), g.end_node)

    assert await g.build().run(inputs=[[1, 2], [], [3]]) == [6, 0, 6]


async def test_a_subgraph_in_a_loop_begins_anew():
    """A subgraph in a loop runs in each turn as if it were the first time."""
    g = GraphBuilder(output_type=int)
    inner = doubled(node_id='inner', inputs=lambda ctx: [ctx.inputs])
    choice = (
        g.decision()
        .branch(g.match(int, matches=lambda value: value < 100).to(inner))
        .branch(g.match(int).to(g.end_node))
    )
    connect(g, g.start_node, inner, choice)

    assert await g.build().run(inputs=1) == 128


async def test_an_early_end_inside_of_a_subgraph_is_its_own():
    """The first value at a subgraph's end cancels what else runs in it, and nothing outside of it."""
    log, has_started = [], anyio.Event()
    inner = GraphBuilder(output_type=str)

    @inner.step
    async def quick(ctx: StepContext[None, None, None]) -> str:
        await has_started.wait()
        return 'quick'

    @inner.step
    async def slow(ctx: StepContext[None, None, None]) -> str:
        has_started.set()
        await forever(log, 'slow')
        return 'slow'

    inner.add(inner.edge_from(inner.start_node).to(quick, slow), inner.edge_from(quick, slow).to(inner.end_node))
    g = GraphBuilder(output_type=list[str])
    nested = inner.build().as_step(node_id='nested')
    after, beside, may_end = g.step(same, node_id='after'), g.step(same, node_id='beside'), anyio.Event()

    @g.step
    async def wait(ctx: StepContext[None, None, None]) -> str:
        await may_end.wait()
        return 'beside'

    def listen(event):
        if isinstance(event, StepFinished) and event.node_id == 'after':
            may_end.set()

    join = g.join(reduce_list_append, initial_factory=list[str])
    g.add(g.edge_from(g.start_node).to(nested, wait))
    connect(g, nested, after, join)
    connect(g, wait, beside, join, g.end_node)

    assert await g.build().run(on_event=listen) == ['quick', 'beside']
    assert log == ['slow cleaned up']


async def test_a_subgraph_is_one_step_of_an_iteration():
    """Iterating over a graph shows a subgraph as one task, and then what it leads to."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, doubled(node_id='inner'), g.end_node)
    async with g.build().iter(inputs=[1, 2]) as run:
        events = [[task.node_id for task in event] async for event in run if isinstance(event, list)]

    assert events == [['inner'], ['__end__']]
    assert run.output == 6


async def test_a_subgraphs_events_have_its_path():
    """The events of a subgraph's steps are in the run's stream, under the path of the step."""
    seen = []
    g = GraphBuilder(output_type=object)
    connect(g, g.start_node, after_start(same, node_id='work').as_step(node_id='inner'), g.end_node)
    await g.build().run(on_event=seen.append)

    assert 'inner/work' in [event.node_id for event in seen if isinstance(event, StepStarted)]


async def test_max_concurrency_bounds_a_subgraphs_bodies():
    """The run's limit counts the bodies in subgraphs, and a subgraph that waits for its steps takes no place itself."""
    load = Load()

    async def work(ctx: StepContext[None, None, int]) -> int:
        with load.one():
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    g = GraphBuilder(output_type=list[list[int]])
    inner = over_items(work).as_step(node_id='inner')
    g.add(g.edge_from(g.start_node).map().to(inner))
    connect(g, inner, g.join(reduce_list_append, initial_factory=list[list[int]], node_id='all'), g.end_node)

    assert await g.build().run(inputs=[[1, 2], [3, 4]], max_concurrency=1) == [[1, 2], [3, 4]]
    assert load.most == 1


async def test_a_subgraphs_step_can_be_called_by_hand():
    """The function of a subgraph's step runs the graph, for a test that calls it."""
    step = doubled(node_id='inner')

    assert await step.call(StepContext(state=None, deps=None, inputs=[1, 2])) == 6


# Events


def emitting(call):
    """Start -> the step -> end, run with a listener; gives what was emitted."""

    async def run():
        seen = []
        await after_start(call).run(on_event=seen.append)
        return [event for event in seen if isinstance(event, Emitted)]

    return run()


async def test_emit_from_a_coroutine():
    """`ctx.emit` puts the user's event into the stream, with the node that emitted it."""

    async def work(ctx: StepContext[None, None, None]) -> None:
        ctx.emit('hello')

    [event] = await emitting(work)

    assert (event.node_id, event.event) == ('work', 'hello')


async def test_emit_from_a_thread_reaches_the_listener_on_the_loop():
    """An event that is emitted in a worker thread is given to the listener in the loop's thread."""
    threads, seen = set(), []

    def work(ctx: StepContext[None, None, None]) -> int:
        ctx.emit('hello')
        return threading.get_ident()

    def listen(event):
        threads.add(threading.get_ident())
        if isinstance(event, Emitted):
            seen.append(event.event)

    await after_start(work).run(on_event=listen)

    assert seen == ['hello']
    assert threads == {threading.get_ident()}


async def test_emit_without_a_listener_does_nothing():
    """A step may emit although nobody listens."""

    async def work(ctx: StepContext[None, None, None]) -> str:
        ctx.emit('hello')
        return 'done'

    assert await after_start(work).run() == 'done'


async def test_events_come_in_the_order_in_which_things_happen():
    """A step's start, its own events and its value come in that order, then what follows, and the run's end last."""
    seen = []

    async def work(ctx: StepContext[None, None, int]) -> int:
        ctx.emit('working')
        return ctx.inputs

    await over_items(work).run(inputs=[1], on_event=seen.append)

    assert [type(event) for event in seen] == [
        StepReady,
        StepStarted,
        Emitted,
        StepFinished,
        ValueJoined,
        JoinFired,
        RunFinished,
    ]
    assert seen[-1] == RunFinished([1], seen[-2].firing_id)


async def test_events_name_task_and_stack():
    """The events of one task agree in its id and fork stack, and tell its inputs and output."""
    seen = []
    await over_items(lambda ctx: -ctx.inputs).run(inputs=[5], on_event=seen.append)
    ready, started, finished = seen[:3]

    assert (ready.task_id, ready.fork_stack) == (started.task_id, started.fork_stack)
    assert (started.task_id, started.fork_stack) == (finished.task_id, finished.fork_stack)
    assert [level.fork_id for level in started.fork_stack] == ['__start__', 'each']
    assert (started.inputs, finished.output) == (5, -5)


async def test_a_cancelled_loser_is_told_of():
    """The stream has an event for each task that a first-wins join cancelled."""
    g = GraphBuilder(output_type=int)
    seen = []
    graph = over_items(same, g.join(ReduceFirstValue[int](), initial=0, node_id='first'))
    await graph.run(inputs=[1, 2, 3], max_concurrency=1, on_event=seen.append)

    assert [event.inputs for event in seen if isinstance(event, StepStarted)] == [1]
    assert [event.output for event in seen if isinstance(event, JoinFired)] == [1]


async def test_a_value_that_comes_too_late_is_told_of():
    """A value for a join that has fired is dropped, and the stream has an event for it."""
    g = GraphBuilder(output_type=int)
    seen, fired = [], anyio.Event()

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 2:
            await fired.wait()
        return ctx.inputs

    @g.step
    async def after(ctx: StepContext[None, None, int]) -> int:
        fired.set()
        while not any(isinstance(event, ValueDropped) for event in seen):
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    first = g.join(reduce_sum, initial=0, node_id='first', policy=JoinPolicy(need=1, rest='keep'))
    g.add(g.edge_from(g.start_node).map().to(work))
    connect(g, work, first, after, g.end_node)
    await g.build().run(inputs=[1, 2], on_event=seen.append)

    assert [event.output for event in seen if isinstance(event, JoinFired)] == [1]
    assert [event.value for event in seen if isinstance(event, ValueDropped)] == [2]


async def test_run_events_gives_the_stream():
    """`run.events()` runs to the end, gives the events that steps emit among the others, and leaves the output."""

    async def work(ctx: StepContext[None, None, int]) -> int:
        ctx.emit('half way')
        return ctx.inputs * 2

    async with after_start(work).iter(inputs=21) as run:
        events = [event async for event in run.events()]

    assert [event.event for event in events if isinstance(event, Emitted)] == ['half way']
    assert events[-1] == RunFinished(42, events[0].task_id)
    assert run.output == 42


async def test_run_events_gives_an_event_while_its_step_still_runs():
    """An emitted event can be seen before the step that emitted it has finished."""
    seen = anyio.Event()

    async def work(ctx: StepContext[None, None, None]) -> str:
        ctx.emit('started')
        await seen.wait()
        return 'done'

    async with after_start(work).iter() as run:
        async for event in run.events():
            if isinstance(event, Emitted):
                seen.set()

    assert run.output == 'done'


async def test_run_events_raises_what_a_step_raises():
    """A failure comes out of the stream of events as itself, after the events before it."""
    seen = []

    async def work(ctx: StepContext[None, None, None]) -> None:
        ctx.emit('about to fail')
        raise LookupError('gone')

    async def listen():
        async with after_start(work).iter() as run:
            async for event in run.events():
                seen.append(event)  # noqa: PERF401 # what came before the failure has to stay

    with pytest.raises(LookupError, match='gone'):
        await listen()

    assert [event.event for event in seen if isinstance(event, Emitted)] == ['about to fail']


async def test_run_events_can_be_left_early():
    """Leaving the stream of events and the block stops what runs, like leaving any iteration."""
    log = []

    async def work(ctx: StepContext[None, None, None]) -> None:
        ctx.emit('first')
        await forever(log, 'step')

    async with after_start(work).iter() as run:
        async for event in run.events():
            if isinstance(event, Emitted):
                break

    assert log == ['step cleaned up']


# What a step knows of its task


async def keys_of(graph, *, run_id='run', **options):
    """The idempotency keys that the steps of a run emit, by their inputs."""
    keys = []
    await graph.run(
        run_id=run_id,
        on_event=lambda event: keys.append(event.event) if isinstance(event, Emitted) else None,
        **options,
    )
    return keys


async def test_keys_are_the_same_for_any_order_of_completion():
    """A task's idempotency key does not depend on the order in which tasks finish."""

    def graph(order):
        gates = {value: anyio.Event() for value in order}
        gates[order[0]].set()
        g = GraphBuilder(output_type=None)

        @g.step
        async def work(ctx: StepContext[None, None, int]) -> int:
            await gates[ctx.inputs].wait()
            position = order.index(ctx.inputs)
            if position + 1 < len(order):
                gates[order[position + 1]].set()
            ctx.emit((ctx.inputs, ctx.idempotency_key))
            return ctx.inputs

        @g.step
        async def follow(ctx: StepContext[None, None, int]) -> None:
            ctx.emit((-ctx.inputs, ctx.idempotency_key))

        g.add(g.edge_from(g.start_node).map().to(work))
        connect(g, work, follow, g.join(reduce_null, initial=None), g.end_node)
        return g.build()

    forth = await keys_of(graph([1, 2, 3]), inputs=[1, 2, 3])
    back = await keys_of(graph([3, 2, 1]), inputs=[1, 2, 3])

    assert [key for key, _ in forth] != [key for key, _ in back]
    assert dict(forth) == dict(back)


async def test_keys_differ_for_each_item_visit_and_run():
    """Each item, each turn of a loop and each run has a key of its own."""

    async def note(ctx: StepContext[None, None, int]) -> int:
        ctx.emit(ctx.idempotency_key)
        return ctx.inputs + 1

    g = GraphBuilder(output_type=list[int])
    work = g.step(note)
    join = g.join(reduce_list_append, initial_factory=list[int])
    choice = g.decision().branch(g.match(int, matches=lambda value: value < 5).to(work)).branch(g.match(int).to(join))
    g.add(g.edge_from(g.start_node).map().to(work))
    connect(g, work, choice)
    connect(g, join, g.end_node)
    graph = g.build()
    keys = [
        *await keys_of(graph, run_id='a', inputs=[1, 1, 3]),
        *await keys_of(graph, run_id='b', inputs=[1, 1, 3]),
    ]

    assert len(keys) == 2 * (4 + 4 + 2)
    assert len(set(keys)) == len(keys)


async def test_a_run_without_an_id_gets_one():
    """Two runs without an id of the user's have different keys."""

    async def note(ctx: StepContext[None, None, None]) -> None:
        ctx.emit(ctx.idempotency_key)

    graph = after_start(note)
    keys = [*await keys_of(graph, run_id=None), *await keys_of(graph, run_id=None)]

    assert len(set(keys)) == 2


async def test_a_context_knows_its_task():
    """`task_id` is different for each task of a run, `attempt` begins at 1."""
    seen = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        seen.append((ctx.task_id, ctx.attempt))

    await over_items(work).run(inputs=[1, 2, 3])

    assert len({task_id for task_id, _ in seen}) == 3
    assert {attempt for _, attempt in seen} == {1}


async def test_a_context_made_by_hand():
    """A user may make a `StepContext` to call a step's function in a test."""
    g = GraphBuilder(state_type=list[int], deps_type=int, output_type=int)

    @g.step
    async def work(ctx: StepContext[list[int], int, int]) -> int:
        ctx.state.append(ctx.inputs)
        return ctx.deps * ctx.inputs

    ctx = StepContext(state=[1], deps=6, inputs=7)

    assert await work.call(ctx) == 42
    assert ctx.state == [1, 7]
    assert repr(ctx) == 'StepContext(state=[1, 7], deps=6, inputs=7)'


@pytest.mark.parametrize(
    'use',
    [
        lambda ctx: ctx.task_id,
        lambda ctx: ctx.attempt,
        lambda ctx: ctx.idempotency_key,
        lambda ctx: ctx.emit('event'),
    ],
    ids=['task_id', 'attempt', 'idempotency_key', 'emit'],
)
def test_a_context_made_by_hand_has_no_run(use):
    """The members that need a run raise when they are used on a context that was made by hand."""
    with pytest.raises(GraphRuntimeError, match='made by hand'):
        use(StepContext(state=None, deps=None, inputs=None))


def test_a_reducer_context_made_by_hand():
    """A user may make a `ReducerContext` to call a reducer in a test."""
    ctx = ReducerContext(state=[1], deps=2)

    assert ReduceFirstValue[int]()(ctx, 0, 5) == 5
    assert (ctx.state, ctx.deps) == ([1], 2)


# State, deps and context variables


async def test_state_is_one_shared_object():
    """All steps of a run see the same state, and the caller sees what they did to it."""
    g = GraphBuilder(state_type=list[str], output_type=list[str])

    @g.step
    async def write(ctx: StepContext[list[str], None, str]) -> None:
        ctx.state.append(ctx.inputs)

    @g.step
    async def read(ctx: StepContext[list[str], None, None]) -> list[str]:
        return ctx.state

    g.add(g.edge_from(g.start_node).map().to(write))
    connect(g, write, g.join(reduce_null, initial=None), read, g.end_node)
    state = ['before']

    assert await g.build().run(state=state, inputs=['a', 'b']) is state
    assert state == ['before', 'a', 'b']


async def test_deps_are_passed_on_as_they_are():
    """Each step gets the very object that was given as `deps`."""
    deps = object()

    async def work(ctx: StepContext[None, object, None]) -> object:
        return ctx.deps

    assert await after_start(work).run(deps=deps) is deps


variable = contextvars.ContextVar('variable', default='unset')


async def look(ctx: StepContext[None, None, Any]) -> str:
    """What a step sees in the variable."""
    return variable.get()


@pytest.mark.parametrize('suspends', [False, True])
async def test_a_variable_set_in_a_step_is_seen_by_no_other(suspends):
    """What a body does to a context variable is seen neither by the next step nor by the caller."""

    async def change(ctx: StepContext[None, None, None]) -> None:
        variable.set('changed')
        if suspends:
            await anyio.lowlevel.checkpoint()
            variable.set('changed again')

    g = GraphBuilder(output_type=str)
    connect(g, g.start_node, g.step(change), g.step(look), g.end_node)

    assert await g.build().run() == 'unset'
    assert variable.get() == 'unset'


async def test_parallel_steps_have_variables_of_their_own():
    """Parallel bodies that suspend keep what they set, each for itself, and a later step sees none of it."""
    everyone, waiting = anyio.Event(), []

    async def work(ctx: StepContext[None, None, int]) -> str:
        before = variable.get()
        variable.set(f'item {ctx.inputs}')
        waiting.append(ctx.inputs)
        if len(waiting) == 3:
            everyone.set()
        await everyone.wait()
        await anyio.lowlevel.checkpoint()
        return f'{before} -> {variable.get()}'

    results = await over_items(work).run(inputs=[1, 2, 3])

    assert results == ['unset -> item 1', 'unset -> item 2', 'unset -> item 3']
    assert variable.get() == 'unset'


async def test_a_variable_of_the_caller_is_seen_by_all_steps():
    """Steps, alone and parallel, on the loop and in threads, see the variables as they were when the run began."""

    async def caller():
        variable.set('from the caller')
        alone = await after_start(look).run()
        in_thread = await after_start(lambda ctx: variable.get()).run()
        return [alone, in_thread, *await over_items(look).run(inputs=[1, 2])]

    async with anyio.create_task_group() as group:
        results = []

        async def run():
            results.extend(await caller())

        group.start_soon(run)

    assert results == ['from the caller'] * 4


async def test_a_variable_set_in_a_thread_stays_there():
    """What a plain function does to a context variable is seen by nobody else."""

    def change(ctx: StepContext[None, None, None]) -> None:
        variable.set('changed')

    g = GraphBuilder(output_type=str)
    connect(g, g.start_node, g.step(change), g.step(look), g.end_node)

    assert await g.build().run() == 'unset'
    assert variable.get() == 'unset'


async def test_a_variable_set_in_a_source_is_seen_by_no_step():
    """What an asynchronous source does to a context variable is seen neither by the items' steps nor by the caller."""

    async def numbers() -> AsyncIterator[int]:
        variable.set('changed')
        yield 1
        await anyio.lowlevel.checkpoint()
        yield 2

    assert await over_items(look).run(inputs=numbers()) == ['unset', 'unset']
    assert variable.get() == 'unset'


async def test_a_variable_set_while_iterating_stays_in_its_step():
    """What a body of a watched run does to a context variable is not seen by the code in the block."""

    async def change(ctx: StepContext[None, None, None]) -> None:
        variable.set('changed')
        await anyio.lowlevel.checkpoint()

    async with after_start(change).iter() as run:
        async for _ in run:
            assert variable.get() == 'unset'


# A body lives its whole life in one task


@pytest.mark.parametrize('graph', [after_start, over_items])
async def test_move_on_after_works_in_a_body(graph):
    """`anyio.move_on_after` around something that never ends gives the body back its control."""

    async def work(ctx: StepContext[None, None, Any]) -> bool:
        with anyio.move_on_after(0) as scope:
            await anyio.Event().wait()
        await anyio.lowlevel.checkpoint()
        return scope.cancelled_caught

    result = await graph(work).run(inputs=[1, 2])

    assert result in (True, [True, True])


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
@pytest.mark.parametrize('graph', [after_start, over_items])
async def test_asyncio_timeout_works_in_a_body(graph):
    """`asyncio.timeout` in a body raises `TimeoutError` there, and the body goes on."""

    async def work(ctx: StepContext[None, None, Any]) -> str:
        await anyio.lowlevel.checkpoint()
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            await anyio.lowlevel.checkpoint()
            return 'timed out'
        return 'not reached'

    result = await graph(work).run(inputs=[1, 2])

    assert result in ('timed out', ['timed out', 'timed out'])


@pytest.mark.parametrize('graph', [after_start, over_items])
async def test_task_groups_work_in_a_body(graph):
    """A body may open a task group, and its children run beside it."""

    async def work(ctx: StepContext[None, None, Any]) -> int:
        results = []

        async def child(number):
            await anyio.lowlevel.checkpoint()
            results.append(number)

        async with anyio.create_task_group() as group:
            group.start_soon(child, 1)
            group.start_soon(child, 2)
        return sum(results)

    result = await graph(work).run(inputs=[1, 2])

    assert result in (3, [3, 3])


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_a_body_is_in_one_task_from_beginning_to_end():
    """`asyncio.current_task()` is the same before and after a body suspends, alone and in parallel."""

    async def work(ctx: StepContext[None, None, Any]) -> bool:
        task = asyncio.current_task()
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return asyncio.current_task() is task

    assert await after_start(work).run() is True
    assert await over_items(work).run(inputs=[1, 2, 3]) == [True, True, True]


async def test_a_body_may_run_another_graph():
    """A step may run a graph by itself, alone and in parallel."""
    inner = over_items(same)

    async def work(ctx: StepContext[None, None, Any]) -> Any:
        return await inner.run(inputs=[1, 2])

    assert await after_start(work).run() == [1, 2]
    assert await over_items(work).run(inputs=[0, 0]) == [[1, 2], [1, 2]]


# run_sync


async def current_loop(ctx: StepContext[None, None, None]) -> object:
    """The loop that a step runs on."""
    await anyio.lowlevel.checkpoint()
    return asyncio.get_running_loop()


def test_run_sync_uses_and_keeps_the_threads_loop(thread_loop):
    """`run_sync` runs on the loop of its thread and leaves it open, as often as it is called."""
    graph = after_start(current_loop)

    assert graph.run_sync() is thread_loop
    assert graph.run_sync() is thread_loop
    assert not thread_loop.is_closed()


def test_run_sync_replaces_a_closed_loop(thread_loop):
    """`run_sync` makes a new loop where the thread's one is closed, and keeps that."""
    thread_loop.close()
    graph = after_start(current_loop)
    made = graph.run_sync()

    assert made is not thread_loop
    assert graph.run_sync() is made


def test_run_sync_makes_a_loop_where_there_is_none(thread_loop):
    """`run_sync` makes a loop for a thread that has none, and keeps that."""
    results = []

    def work():
        graph = after_start(current_loop)
        results.extend([graph.run_sync(), graph.run_sync()])
        results[0].close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    first, second = results

    assert first is second
    assert first is not thread_loop


async def test_run_sync_inside_of_a_running_loop():
    """`run_sync` works where a loop runs already, on a loop of another thread."""

    async def work(ctx: StepContext[None, None, int]) -> tuple[int, int]:
        await anyio.lowlevel.checkpoint()
        return ctx.inputs, threading.get_ident()

    value, thread = after_start(work).run_sync(inputs=5)

    assert value == 5
    assert thread != threading.get_ident()


def test_run_sync_takes_what_run_takes(thread_loop):
    """`run_sync` hands state, deps, inputs and listener on."""
    seen = []
    g = GraphBuilder(state_type=list[int], deps_type=int, input_type=int, output_type=int)

    @g.step
    async def work(ctx: StepContext[list[int], int, int]) -> int:
        ctx.state.append(ctx.deps)
        return ctx.inputs

    connect(g, g.start_node, work, g.end_node)
    state = []

    assert g.build().run_sync(state=state, deps=6, inputs=7, on_event=seen.append) == 7
    assert state == [6]
    assert seen[-1] == RunFinished(7, seen[0].task_id)


def test_run_sync_raises_what_run_raises(thread_loop):
    """A step's exception comes out of `run_sync` as itself, and the loop stays usable."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError('gone')

    with pytest.raises(LookupError, match='gone'):
        after_start(fail).run_sync()

    assert after_start(current_loop).run_sync() is thread_loop


def test_ctrl_c_in_run_sync_cleans_up(thread_loop):
    """Ctrl-C in `run_sync` cancels the run and waits for clean-up, then raises `KeyboardInterrupt`."""
    log = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        if ctx.inputs == 2:
            thread_loop.call_soon(signal.raise_signal, signal.SIGINT)
        await forever(log, f'item {ctx.inputs}')

    with pytest.raises(KeyboardInterrupt):
        over_items(work).run_sync(inputs=[1, 2])

    assert sorted(log) == ['item 1 cleaned up', 'item 2 cleaned up']
    assert after_start(current_loop).run_sync() is thread_loop


def test_ctrl_c_twice_leaves_no_thread_behind(thread_loop: asyncio.AbstractEventLoop):
    """Who presses it again interrupts the loop itself; threads in which steps have run end all the same.

    Python waits for threads that are left when it exits.
    """
    g = GraphBuilder(input_type=None, output_type=int)
    threads: list[threading.Thread] = []

    @g.step
    def in_thread(ctx: StepContext[None, None, None]) -> int:
        threads.append(threading.current_thread())
        return 1

    @g.step
    async def waiting(ctx: StepContext[None, None, int]) -> int:
        thread_loop.call_soon(signal.raise_signal, signal.SIGINT)
        thread_loop.call_soon(signal.raise_signal, signal.SIGINT)
        await anyio.sleep_forever()
        return 1

    g.add(
        g.edge_from(g.start_node).to(in_thread), g.edge_from(in_thread).to(waiting), g.edge_from(waiting).to(g.end_node)
    )
    with pytest.raises(KeyboardInterrupt):
        g.build().run_sync(inputs=None)

    threads[0].join(timeout=30)
    assert not threads[0].is_alive()


# Names


async def test_a_graph_takes_the_name_of_the_callers_variable():
    """The first run of a graph without a name finds it in the caller's variable."""
    my_graph = after_start(same)
    await my_graph.run()

    assert my_graph.name == 'my_graph'


async def test_iter_finds_the_name_too():
    """`iter` finds the name as `run` does."""
    my_graph = after_start(same)
    async with my_graph.iter():
        pass

    assert my_graph.name == 'my_graph'


def test_run_sync_finds_the_name_too(thread_loop):
    """`run_sync` finds the name as `run` does."""
    my_graph = after_start(same)
    my_graph.run_sync()

    assert my_graph.name == 'my_graph'


async def test_a_name_is_found_once_and_stays():
    """A name that was given or found is never overwritten."""
    first = after_start(same)
    await first.run()
    second = first
    del first
    await second.run()

    assert second.name == 'first'


async def test_a_given_name_stays():
    """The builder's name is the graph's."""
    g = GraphBuilder(name='given', output_type=int)
    connect(g, g.start_node, g.end_node)
    graph = g.build()
    await graph.run()

    assert graph.name == 'given'


async def test_no_name_is_looked_for_if_it_is_not_wanted():
    """With `infer_name=False`, and where no variable holds the graph, there is no name."""
    graph = after_start(same)
    await graph.run(infer_name=False)
    holder = [after_start(same)]
    await holder[0].run()

    assert graph.name is None
    assert holder[0].name is None


async def test_a_span_is_open_as_long_as_the_run():
    """The context manager given as `span` is entered around the run."""
    log = []

    @contextmanager
    def span():
        log.append('in')
        yield
        log.append('out')

    async def work(ctx: StepContext[None, None, None]) -> None:
        log.append('step')

    await after_start(work).run(span=span())

    assert log == ['in', 'step', 'out']


@pytest.mark.parametrize('is_parallel', [False, True])
async def test_steps_see_the_context_variables_of_the_span(is_parallel: bool):
    """What the context manager given as `span` sets is seen by the steps, alone and side by side."""
    place = contextvars.ContextVar('place', default='outside')

    @contextmanager
    def span():
        token = place.set('in the span')
        yield
        place.reset(token)

    async def work(ctx: StepContext[None, None, int]) -> str:
        return place.get()

    graph = over_items(work) if is_parallel else after_start(work)
    seen = await graph.run(inputs=[1, 2] if is_parallel else 1, span=span())

    assert seen == (['in the span'] * 2 if is_parallel else 'in the span')
