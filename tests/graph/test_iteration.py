"""Runs that are watched and steered node by node.

The graphs are small, and bodies that must not end wait for an event that never comes: time plays no part.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import pytest

from plait_graph import (
    BaseNode,
    End,
    EndMarker,
    ErrorMarker,
    GraphBuilder,
    GraphRunContext,
    GraphRuntimeError,
    GraphTask,
    GraphTaskRequest,
    JoinItem,
    NodeStep,
    ReduceFirstValue,
    RunCancelled,
    StepContext,
    reduce_list_append,
    reduce_sum,
)


def ids(event):
    """The nodes of an event's tasks; an end marker stands for itself."""
    return event if isinstance(event, EndMarker) else [task.node_id for task in event]


async def exhaust(run):
    """Iterate over the rest of a run."""
    async for _ in run:
        pass


async def forever(log):
    """Work that only a cancellation ends, with a clean-up that takes a turn of the loop."""
    try:
        await anyio.Event().wait()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        log.append('cleaned up')


def chain():
    """Start -> double -> increase -> end."""
    g = GraphBuilder(input_type=int, output_type=int)

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @g.step
    async def increase(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    g.add(
        g.edge_from(g.start_node).to(double),
        g.edge_from(double).to(increase),
        g.edge_from(increase).to(g.end_node),
    )
    return g.build()


def mapped(**options):
    """Start -> map `each` -> double -> join `total` -> end."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    total = g.join(reduce_sum, initial=0, node_id='total')
    g.add(
        g.edge_from(g.start_node).map(fork_id='each', **options).to(double),
        g.edge_from(double).to(total),
        g.edge_from(total).to(g.end_node),
    )
    return g.build()


def race(log):
    """`fast` leads to the end as soon as `slow` runs, and `slow` ends only when it is cancelled."""
    g = GraphBuilder(output_type=str)
    has_started = anyio.Event()

    @g.step
    async def fast(ctx: StepContext[None, None, None]) -> str:
        await has_started.wait()
        return 'fast'

    @g.step
    async def slow(ctx: StepContext[None, None, None]) -> str:
        has_started.set()
        await forever(log)
        return 'slow'

    g.add(g.edge_from(g.start_node).to(fast, slow), g.edge_from(fast, slow).to(g.end_node))
    return g.build()


def failing():
    """Start -> fail -> end, and a step `rescue` that another input leads to."""
    g = GraphBuilder(input_type=int, output_type=str)

    @g.step
    async def fail(ctx: StepContext[None, None, int]) -> str:
        raise KeyError(ctx.inputs)

    @g.step
    async def rescue(ctx: StepContext[None, None, int]) -> str:
        return f'rescued {ctx.inputs}'

    choice = g.decision(node_id='choice').branch(g.match(int, matches=lambda value: value > 0).to(fail))
    choice = choice.branch(g.match(int).to(rescue))
    g.add(g.edge_from(g.start_node).to(choice), g.edge_from(fail, rescue).to(g.end_node))
    return g.build()


# What is yielded


async def test_each_node_yields_what_it_leads_to_and_at_last_comes_the_end():
    """Iterating gives, after each node that ran, the tasks that it leads to, and at last an `EndMarker`."""
    async with chain().iter(inputs=5) as run:
        events = [ids(event) async for event in run]

    assert events == [['double'], ['increase'], ['__end__'], EndMarker(11)]


async def test_a_task_carries_its_inputs():
    """A yielded task shows the value that its node is about to get."""
    async with chain().iter(inputs=5) as run:
        inputs = [event[0].inputs async for event in run if not isinstance(event, EndMarker)]

    assert inputs == [5, 10, 11]


async def test_forks_and_joins_are_shown():
    """A map is shown, then one list of its items, then a task at the join for each value, then what follows it."""
    async with mapped().iter(inputs=[1, 2]) as run:
        events = [ids(event) async for event in run]

    assert events == [['each'], ['double', 'double'], ['total'], ['total'], ['__end__'], EndMarker(6)]


async def test_a_broadcast_is_shown():
    """A broadcast is shown as a node, and then one list of its branches in declared order."""
    async with race([]).iter() as run:
        events = [ids(event) async for event in run]

    assert events == [['broadcast'], ['fast', 'slow'], ['__end__'], EndMarker('fast')]


async def test_a_decision_is_shown():
    """A decision is shown before it decides."""
    async with failing().iter(inputs=-1) as run:
        events = [ids(event) async for event in run]

    assert events == [['choice'], ['rescue'], ['__end__'], EndMarker('rescued -1')]


async def test_an_empty_map_shows_an_empty_list():
    """A map without items yields an empty list, and then what its join leads to."""
    async with mapped().iter(inputs=[]) as run:
        events = [ids(event) async for event in run]

    assert events == [['each'], [], ['__end__'], EndMarker(0)]


async def test_tasks_carry_their_fork_stack():
    """The stack of a mapped task has the start's run outermost and the position of its item innermost."""
    async with mapped().iter(inputs=[7, 8, 9]) as run:
        await anext(run)
        items = await anext(run)

    assert [[level.fork_id for level in task.fork_stack] for task in items] == [['__start__', 'each']] * 3
    assert [task.fork_stack[-1].thread_index for task in items] == [0, 1, 2]
    assert len({task.fork_stack[-1].node_run_id for task in items}) == 1


async def test_what_leaves_a_join_has_left_its_map():
    """A value that leaves a join of the whole run carries the stack of the start and nothing of the map."""
    async with mapped().iter(inputs=[1]) as run:
        stacks = {event[0].node_id: event[0].fork_stack async for event in run if not isinstance(event, EndMarker)}

    assert [level.fork_id for level in stacks['__end__']] == ['__start__']
    assert [level.fork_id for level in stacks['total']] == ['__start__', 'each']


async def test_a_limited_map_yields_lists_as_places_come_free():
    """A map with a limit shows no more items than the limit, and the next one when one has been folded."""
    async with mapped(limit=2).iter(inputs=[1, 2, 3]) as run:
        events = [ids(event) async for event in run]

    assert events[:2] == [['each'], ['double', 'double']]
    assert events.count(['double']) == 1
    assert events.index(['total']) < events.index(['double'])
    assert events[-1] == EndMarker(12)


async def test_a_limited_map_reads_no_further_than_it_shows():
    """While the items of a limited map are held, no more than the limit has been pulled from its source."""
    pulled = []

    def numbers():
        for number in range(5):
            pulled.append(number)
            yield number

    async with mapped(limit=2).iter(inputs=numbers()) as run:
        await anext(run)
        await anext(run)
        await anyio.wait_all_tasks_blocked()

        assert pulled == [0, 1]


async def test_a_filtered_item_frees_its_place():
    """An item that is taken out of a limited map makes room for the next one."""
    seen = []
    async with mapped(limit=1).iter(inputs=[1, 2, 3, 4]) as run:
        async for event in run:
            if ids(event) == ['double']:
                seen.append(event[0].inputs)
                run.override_next([task for task in event if task.inputs % 2 == 0])

    assert seen == [1, 2, 3, 4]
    assert run.output == 12


async def test_an_async_source_yields_its_items_as_they_come():
    """The items of an asynchronous iterable are shown before it is exhausted."""
    shown = anyio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await shown.wait()
        yield 2

    async with mapped().iter(inputs=numbers()) as run:
        await anext(run)
        first = await anext(run)
        shown.set()
        rest = [ids(event) async for event in run]

    assert [task.inputs for task in first] == [1]
    assert ['double'] in rest
    assert run.output == 6


async def test_losers_are_not_shown():
    """Once a first-wins join has its value, the items that it cancelled are in no later event."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    first = g.join(ReduceFirstValue[int](), initial=0, node_id='first')
    g.add(
        g.edge_from(g.start_node).map().to(work),
        g.edge_from(work).to(first),
        g.edge_from(first).to(g.end_node),
    )
    async with g.build().iter(inputs=[1, 2, 3]) as run:
        events = [ids(event) async for event in run]

    assert events[:3] == [['map'], ['work', 'work', 'work'], ['first']]
    assert [event for event in events[3:] if event] == [['__end__'], run.next_task]


# When things start


async def test_a_yielded_task_has_not_started():
    """A task starts only when iteration goes on."""
    log = []
    g = GraphBuilder(output_type=int)

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> None:
        log.append('work')

    g.add(g.edge_from(g.start_node).to(work), g.edge_from(work).to(g.end_node))
    async with g.build().iter() as run:
        assert ids(await anext(run)) == ['work']
        await anyio.wait_all_tasks_blocked()
        assert log == []

        await anext(run)
        assert log == ['work']


async def test_started_tasks_run_on_while_an_event_is_held():
    """What had started before an event was yielded goes on while the caller holds the event."""
    g = GraphBuilder(output_type=str)
    is_held, has_ended = anyio.Event(), anyio.Event()

    @g.step
    async def quick(ctx: StepContext[None, None, None]) -> str:
        return 'quick'

    @g.step
    async def later(ctx: StepContext[None, None, None]) -> str:
        await is_held.wait()
        has_ended.set()
        return 'later'

    both = g.join(reduce_list_append, initial_factory=list[str], node_id='both')
    g.add(
        g.edge_from(g.start_node).to(quick, later),
        g.edge_from(quick, later).to(both),
        g.edge_from(both).to(g.end_node),
    )
    async with g.build().iter() as run:
        await anext(run)
        await anext(run)
        assert ids(await anext(run)) == ['both']
        is_held.set()
        await has_ended.wait()

        assert [ids(event) async for event in run][-1] == EndMarker(['quick', 'later'])


# next and next_task


async def test_next_task_of_a_new_run_is_the_start():
    """Before the first advance `next_task` is the task of the start node with the run's inputs."""
    async with chain().iter(inputs=5) as run:
        [task] = run.next_task

    assert isinstance(task, GraphTask)
    assert (task.node_id, task.inputs) == ('__start__', 5)


async def test_next_task_is_the_last_event():
    """`next_task` is what the last advance gave."""
    async with chain().iter(inputs=5) as run:
        async for event in run:
            assert run.next_task == event

    assert run.next_task == EndMarker(11)


async def test_first_next_passes_over_the_start():
    """The first `next()` answers with what the first node behind the start leads to."""
    async with chain().iter(inputs=5) as run:
        assert ids(await run.next()) == ['increase']
        assert ids(await run.next()) == ['__end__']
        assert await run.next() == EndMarker(11)


async def test_next_after_iterating_passes_over_nothing():
    """After an event was taken by iteration, `next()` advances by one."""
    async with chain().iter(inputs=5) as run:
        assert ids(await anext(run)) == ['double']
        assert ids(await run.next()) == ['increase']


async def test_next_with_tasks_on_a_new_run_replaces_what_the_start_leads_to():
    """`next(tasks)` on a new run puts the tasks in the place of those behind the start."""
    async with chain().iter(inputs=5) as run:
        event = await run.next([GraphTaskRequest('increase', 1)])

        assert ids(event) == ['__end__']
        assert await run.next() == EndMarker(2)


# Replacing


async def test_edited_inputs_are_used():
    """Inputs that are changed on a yielded task are what its node gets."""
    async with chain().iter(inputs=5) as run:
        [task] = await anext(run)
        task.inputs = 100
        last = [event async for event in run][-1]

    assert last == EndMarker(201)


async def test_tasks_that_are_left_out_never_start():
    """A join counts only the items that were kept."""
    async with mapped().iter(inputs=[1, 2, 3, 4]) as run:
        await anext(run)
        items = await anext(run)
        await run.next([task for task in items if task.inputs > 2])
        await exhaust(run)

    assert run.output == 14


async def test_filtering_all_items_fires_the_join_that_the_map_names():
    """A map that names its join has it fire with its initial value when every item is taken out."""
    async with mapped(downstream_join_id='total').iter(inputs=[1, 2]) as run:
        await anext(run)
        await anext(run)
        run.override_next([])
        await exhaust(run)

    assert run.output == 0


async def test_added_tasks_count_at_the_join():
    """A task that is added within a map's run is folded with the others."""
    async with mapped().iter(inputs=[1, 2]) as run:
        await anext(run)
        items = await anext(run)
        added = GraphTaskRequest('double', 50, fork_stack=items[0].fork_stack)
        await run.next([*items, added])
        await exhaust(run)

    assert run.output == 106


async def test_a_task_can_be_replaced_by_one_of_another_node():
    """A request for another node runs in the place of the task that was shown."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        assert ids(await run.next([GraphTaskRequest('increase', 5)])) == ['__end__']
        assert await run.next() == EndMarker(6)


async def test_a_value_for_a_join_can_be_handed_in():
    """A `JoinItem` hands a value to a join in the fork run that its stack names."""
    async with mapped().iter(inputs=[1, 2]) as run:
        await anext(run)
        first, second = await anext(run)
        await run.next([first, JoinItem('total', 1000, second.fork_stack)])
        await exhaust(run)

    assert run.output == 1002


async def test_override_next_waits_for_the_next_advance():
    """`override_next` only stores what comes next: `next_task` shows it, and the next advance uses it."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        replacement = [GraphTaskRequest('increase', 0)]
        run.override_next(replacement)

        assert run.next_task == replacement
        assert [ids(event) async for event in run] == [['__end__'], EndMarker(1)]


async def test_the_last_override_counts():
    """A second override takes the place of the first one."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        run.override_next([GraphTaskRequest('increase', 0)])
        run.override_next([GraphTaskRequest('increase', 7)])
        await exhaust(run)

    assert run.output == 8


async def test_an_empty_stack_is_the_run_itself():
    """A task without a fork stack runs in the start's run, outside of all maps."""
    async with mapped().iter(inputs=[1]) as run:
        await anext(run)
        await anext(run)
        event = await run.next([GraphTaskRequest('__end__', 9, fork_stack=())])

    assert event == EndMarker(9)


async def test_a_decision_can_be_passed_over():
    """A decision that was shown can be replaced by the branch that the caller wants."""
    async with failing().iter(inputs=1) as run:
        assert ids(await anext(run)) == ['choice']
        run.override_next([GraphTaskRequest('rescue', 1)])
        await exhaust(run)

    assert run.output == 'rescued 1'


async def test_an_unknown_node_is_refused_with_the_known_ones():
    """A request for a node that is not in the graph is refused at once, and the nodes that are there are named."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        with pytest.raises(GraphRuntimeError, match=r"'dubble'.*double.*increase"):
            run.override_next([GraphTaskRequest('dubble', 1)])

        assert [event async for event in run][-1] == EndMarker(11)


async def test_a_stack_of_another_run_is_refused():
    """A request in a fork run that this run does not have is refused with what to use instead."""
    async with mapped().iter(inputs=[1]) as other:
        await anext(other)
        items = await anext(other)
    async with chain().iter(inputs=5) as run:
        await anext(run)
        with pytest.raises(GraphRuntimeError, match='fork_stack'):
            await run.next([GraphTaskRequest('double', 1, fork_stack=items[0].fork_stack)])


# Ends


async def test_tasks_in_place_of_the_end_go_on():
    """After an `EndMarker` the run goes on if tasks are given instead."""
    async with chain().iter(inputs=5) as run:
        async for event in run:
            if event == EndMarker(11):
                run.override_next([GraphTaskRequest('double', 100)])

    assert run.output == 201


async def test_next_with_tasks_after_the_end_goes_on():
    """`next(tasks)` after an `EndMarker` answers with what those tasks lead to."""
    async with chain().iter(inputs=5) as run:
        while not isinstance(await run.next(), EndMarker):
            pass

        assert ids(await run.next([GraphTaskRequest('increase', 1)])) == ['__end__']
        assert await run.next() == EndMarker(2)


async def test_other_tasks_live_on_if_the_end_is_replaced():
    """What ran beside the token that reached the end is not cancelled when tasks are put in the end's place."""
    log = []
    async with race(log).iter() as run:
        async for event in run:
            if event == EndMarker('fast'):
                assert log == []
                run.override_next([GraphTaskRequest('__end__', 'again')])

    assert run.output == 'again'


async def test_an_end_in_place_of_tasks_ends_the_run():
    """`next(EndMarker)` ends the run: `StopAsyncIteration`, and the value is its output."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        with pytest.raises(StopAsyncIteration):
            await run.next(EndMarker(42))

        assert run.output == 42


async def test_an_end_by_override_ends_the_loop():
    """A loop ends without another event when an `EndMarker` was put in the place of tasks."""
    events = []
    async with chain().iter(inputs=5) as run:
        async for event in run:
            events.append(ids(event))
            run.override_next(EndMarker(42))

    assert events == [['double']]
    assert run.output == 42


async def test_an_end_in_place_of_tasks_cancels_what_runs():
    """When the caller ends the run, the bodies that run have cleaned up before the advance returns."""
    log = []
    async with race(log).iter() as run:
        await anext(run)
        await anext(run)
        await anext(run)
        with pytest.raises(StopAsyncIteration):
            await run.next(EndMarker('mine'))

        assert log == ['cleaned up']


async def test_after_the_end_every_advance_says_so():
    """After the end each advance raises `StopAsyncIteration` with a message."""
    async with chain().iter(inputs=5) as run:
        await exhaust(run)
        for _ in range(2):
            with pytest.raises(StopAsyncIteration, match='ended'):
                await anext(run)
            with pytest.raises(StopAsyncIteration, match='ended'):
                await run.next()

        assert run.output == 11


async def test_output_is_there_after_the_block():
    """`output` is `None` until the run has ended, and can be read after the block."""
    async with chain().iter(inputs=5) as run:
        async for event in run:
            assert (run.output is None) == (not isinstance(event, EndMarker))

    assert run.output == 11


async def test_the_callers_code_goes_on_after_the_end():
    """After the end the code in the block can await, though other branches were cancelled."""
    log = []
    async with race(log).iter() as run:
        async for _ in run:
            await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        log.append('block goes on')
    await anyio.lowlevel.checkpoint()

    assert sorted(log) == ['block goes on', 'cleaned up']


# Errors


async def test_a_failure_is_raised_and_marked():
    """A step's exception comes out of the advance as itself, and `next_task` is an `ErrorMarker` with it."""
    async with failing().iter(inputs=3) as run:
        await anext(run)
        await anext(run)
        with pytest.raises(KeyError) as caught:
            await anext(run)

        assert isinstance(run.next_task, ErrorMarker)
        assert run.next_task.error is caught.value
        assert caught.value.args == (3,)


async def test_a_failure_can_be_recovered_from():
    """After an error `override_next` puts other tasks in the place of what the node should have led to."""
    async with failing().iter(inputs=3) as run:
        with pytest.raises(KeyError):
            await exhaust(run)
        run.override_next([GraphTaskRequest('rescue', 3)])

        assert [ids(event) async for event in run] == [['__end__'], EndMarker('rescued 3')]


async def test_a_failure_can_be_turned_into_an_end():
    """After an error an `EndMarker` ends the run with a value."""
    async with failing().iter(inputs=3) as run:
        with pytest.raises(KeyError):
            await exhaust(run)
        run.override_next(EndMarker('gave up'))
        with pytest.raises(StopAsyncIteration):
            await anext(run)

    assert run.output == 'gave up'


async def test_going_on_without_an_override_raises_again():
    """An error that nothing is put in place of is raised again, and the run is over."""
    async with failing().iter(inputs=3) as run:
        with pytest.raises(KeyError) as first:
            await exhaust(run)
        for _ in range(2):
            with pytest.raises(KeyError) as again:
                await anext(run)
            assert again.value is first.value


async def test_a_failed_item_can_be_replaced_within_its_map():
    """A failed item of a map is recovered in its place, and the join loses nothing."""
    g = GraphBuilder(output_type=list[int])

    @g.step
    async def invert(ctx: StepContext[None, None, int]) -> int:
        return 12 // ctx.inputs

    results = g.join(reduce_list_append, initial_factory=list[int], node_id='results')
    g.add(
        g.edge_from(g.start_node).map().to(invert),
        g.edge_from(invert).to(results),
        g.edge_from(results).to(g.end_node),
    )
    async with g.build().iter(inputs=[1, 0, 3]) as run:
        await anext(run)
        items = await anext(run)
        with pytest.raises(ZeroDivisionError):
            await exhaust(run)
        run.override_next([JoinItem('results', -1, items[1].fork_stack)])
        await exhaust(run)

    assert run.output == [12, -1, 4]


async def test_each_failure_is_an_event_of_its_own():
    """Two failures are raised by two advances, and each can be recovered."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def fail(ctx: StepContext[None, None, int]) -> int:
        raise KeyError(ctx.inputs)

    total = g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).map().to(fail), g.edge_from(fail).to(total), g.edge_from(total).to(g.end_node))
    failures = set()
    async with g.build().iter(inputs=[1, 2]) as run:
        await anext(run)
        items = await anext(run)
        for _ in items:
            with pytest.raises(KeyError) as caught:
                await exhaust(run)
            failures.add(caught.value.args[0])
            run.override_next([JoinItem('total', 10, items[caught.value.args[0] - 1].fork_stack)])
        await exhaust(run)

    assert failures == {1, 2}
    assert run.output == 20


async def test_other_tasks_go_on_beside_a_failure():
    """While an error is held, the other branches run on and are not cancelled."""
    g = GraphBuilder(output_type=str)
    is_held, log = anyio.Event(), []

    @g.step
    async def fail(ctx: StepContext[None, None, None]) -> str:
        raise KeyError('fail')

    @g.step
    async def other(ctx: StepContext[None, None, None]) -> str:
        await is_held.wait()
        log.append('other')
        return 'other'

    g.add(g.edge_from(g.start_node).to(other, fail), g.edge_from(other, fail).to(g.end_node))
    async with g.build().iter() as run:
        with pytest.raises(KeyError):
            await exhaust(run)
        is_held.set()
        await anyio.wait_all_tasks_blocked()
        assert log == ['other']
        run.override_next([])
        await exhaust(run)

    assert run.output == 'other'


async def test_a_failing_reducer_can_be_recovered_from():
    """A reducer's exception is a failure of its join like any other, shown and recoverable."""
    g = GraphBuilder(output_type=str)

    def refuse(current: int, value: int) -> int:
        raise ValueError('no folding today')

    join = g.join(refuse, initial=0, node_id='join')
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))
    async with g.build().iter(inputs=[1]) as run:
        with pytest.raises(ValueError, match='no folding today'):
            await exhaust(run)
        assert isinstance(run.next_task, ErrorMarker)
        run.override_next([GraphTaskRequest('__end__', 'recovered')])
        await exhaust(run)

    assert run.output == 'recovered'


async def test_the_callers_code_goes_on_after_a_failure():
    """After an error was raised by an advance, the code in the block is not cancelled."""
    async with failing().iter(inputs=3) as run:
        with pytest.raises(KeyError):
            await exhaust(run)
        with pytest.raises(KeyError):
            await anext(run)
        await anyio.lowlevel.checkpoint()
        with anyio.CancelScope() as scope:
            await anyio.lowlevel.checkpoint()

    assert not scope.cancelled_caught


# Leaving early


async def test_break_stops_all_tasks():
    """Leaving the loop and the block cancels the bodies and waits for their clean-up."""
    log = []
    async with race(log).iter() as run:
        async for event in run:
            if ids(event) == ['__end__']:
                break
        assert log == []

    assert log == ['cleaned up']


async def test_an_exception_in_the_block_stops_all_tasks_and_stays_itself():
    """An exception of the caller's own leaves the block as itself, after the clean-up of the bodies."""
    log = []

    async def fail_in_the_block():
        async with race(log).iter() as run:
            for _ in range(3):
                await anext(run)
            raise LookupError('mine')

    with pytest.raises(LookupError, match='mine'):
        await fail_in_the_block()

    assert log == ['cleaned up']


async def test_return_from_the_block_stops_all_tasks():
    """A return in the block gives its value after the clean-up of the bodies."""
    log = []

    async def first_three():
        async with race(log).iter() as run:
            return [ids(await anext(run)) for _ in range(3)]

    assert await first_three() == [['broadcast'], ['fast', 'slow'], ['__end__']]
    assert log == ['cleaned up']


async def test_an_async_generator_around_a_run_can_be_closed():
    """A run inside of an asynchronous generator is stopped when that is closed, and clean-up has been waited for."""
    log = []

    async def events() -> AsyncIterator[Sequence[GraphTask]]:
        async with race(log).iter() as run:
            async for event in run:
                yield event

    async with aclosing(events()) as stream:
        async for event in stream:
            if ids(event) == ['__end__']:
                break

    assert log == ['cleaned up']


async def test_a_block_without_any_advance_does_nothing():
    """A run that is entered and left runs no step and has no output."""
    async with chain().iter(inputs=5) as run:
        pass

    assert run.output is None


# Misuse


@pytest.mark.parametrize('advance', [anext, lambda run: run.next()])
async def test_advancing_before_the_block_is_refused(advance):
    """A run that was not entered says how to use it."""
    run = chain().iter(inputs=5)

    with pytest.raises(GraphRuntimeError, match='async with'):
        await advance(run)


@pytest.mark.parametrize('advance', [anext, lambda run: run.next()])
async def test_advancing_after_the_block_is_refused(advance):
    """A run whose block was left says how to use it."""
    async with chain().iter(inputs=5) as run:
        await anext(run)

    with pytest.raises(GraphRuntimeError, match='async with'):
        await advance(run)


async def test_a_run_is_entered_once():
    """A second block on the same run is refused."""
    run = chain().iter(inputs=5)
    async with run:
        pass

    with pytest.raises(GraphRuntimeError, match='once'):
        async with run:
            pass


async def test_two_advances_at_once_are_refused():
    """A second task that advances a run while the first one waits gets an error, and the first one is not disturbed."""
    g = GraphBuilder(output_type=str)
    go = anyio.Event()

    @g.step
    async def wait(ctx: StepContext[None, None, None]) -> str:
        await go.wait()
        return 'done'

    g.add(g.edge_from(g.start_node).to(wait), g.edge_from(wait).to(g.end_node))
    async with g.build().iter() as run, anyio.create_task_group() as group:
        await anext(run)
        group.start_soon(run.next)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(GraphRuntimeError, match='another task'):
            await anext(run)
        go.set()
        await anyio.wait_all_tasks_blocked()

        assert ids(run.next_task) == ['__end__']


# Cancelling


async def test_cancel_from_another_task():
    """`cancel(reason)` makes the advance that waits raise `RunCancelled` with the reason."""
    log = []
    async with race(log).iter() as run, anyio.create_task_group() as group:
        for _ in range(3):
            await anext(run)
        run.override_next([])  # `slow` alone is left, so the advance waits
        group.start_soon(cancel_when_blocked, run)
        with pytest.raises(RunCancelled, match='enough of it'):
            await anext(run)

    assert log == ['cleaned up']


async def cancel_when_blocked(run):
    """Cancel a run as soon as all other tasks wait."""
    await anyio.wait_all_tasks_blocked()
    run.cancel('enough of it')


async def test_cancel_from_a_thread():
    """`cancel` may be called from a thread that is not the event loop's."""
    log = []
    async with race(log).iter() as run, anyio.create_task_group() as group:
        for _ in range(3):
            await anext(run)
        run.override_next([])
        group.start_soon(anyio.to_thread.run_sync, run.cancel, 'from a thread')
        with pytest.raises(RunCancelled, match='from a thread'):
            await anext(run)

    assert log == ['cleaned up']


@pytest.mark.parametrize('count', [1, 3])
async def test_cancel_from_a_step_of_the_run(count):
    """A step may cancel its own run, before it has ever suspended, alone and beside others."""
    g = GraphBuilder(deps_type=list, output_type=list[None])

    @g.step
    async def give_up(ctx: StepContext[None, list, int]) -> None:
        if ctx.inputs == count:
            ctx.deps[0].cancel('a step gave up')
        await anyio.Event().wait()

    join = g.join(reduce_list_append, initial_factory=list[None])
    g.add(g.edge_from(g.start_node).map().to(give_up), g.edge_from(give_up).to(join))
    g.add(g.edge_from(join).to(g.end_node))
    deps = []
    async with g.build().iter(deps=deps, inputs=range(1, count + 1)) as run:
        deps.append(run)
        with pytest.raises(RunCancelled, match='a step gave up'):
            await exhaust(run)


async def test_cancel_between_advances():
    """After `cancel` the next advance raises, and so does each one after it."""
    async with chain().iter(inputs=5) as run:
        await anext(run)
        run.cancel('changed my mind')
        for _ in range(2):
            with pytest.raises(RunCancelled, match='changed my mind'):
                await anext(run)

        assert run.output is None


async def test_cancel_after_the_end_changes_nothing():
    """A run that has ended keeps its output when it is cancelled."""
    async with chain().iter(inputs=5) as run:
        await exhaust(run)
        run.cancel('too late')

    assert run.output == 11


async def test_the_callers_code_goes_on_after_cancel():
    """The code in the block can await after the run was cancelled."""
    async with chain().iter(inputs=5) as run:
        run.cancel('now')
        with pytest.raises(RunCancelled):
            await anext(run)
        await anyio.lowlevel.checkpoint()


async def test_cancelling_the_caller_cancels_the_bodies():
    """A cancel scope around the caller stops all bodies, and clean-up has been waited for."""
    log = []
    with anyio.CancelScope() as scope:
        async with race(log).iter() as run:
            for _ in range(3):
                await anext(run)
            run.override_next([])
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_when_blocked, scope_as_run(scope))
                await anext(run)

    assert scope.cancelled_caught
    assert log == ['cleaned up']


def scope_as_run(scope):
    """Something whose `cancel` takes a reason."""

    class _Scope:
        def cancel(self, reason: str) -> None:
            scope.cancel()

    return _Scope()


async def test_a_cancelled_advance_is_over():
    """A run whose advance was cancelled cannot be advanced further: its bodies were stopped."""
    log = []
    async with race(log).iter() as run:
        for _ in range(3):
            await anext(run)
        run.override_next([])
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(run)
        with pytest.raises(RunCancelled):
            await anext(run)

    assert log == ['cleaned up']


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_cancelling_the_callers_asyncio_task():
    """`task.cancel()` on the caller ends its task as cancelled, after the clean-up of the bodies."""
    log = []
    is_waiting = asyncio.Event()

    async def watch():
        async with race(log).iter() as run:
            for _ in range(3):
                await anext(run)
            run.override_next([])
            is_waiting.set()
            await anext(run)

    task = asyncio.create_task(watch())
    await is_waiting.wait()
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert log == ['cleaned up']


async def test_a_time_limit_around_an_advance_is_only_that():
    """Code behind a time limit that cancelled an advance runs on uncancelled, inside and after the block."""
    log = []
    async with race(log).iter() as run:
        for _ in range(3):
            await anext(run)
        run.override_next([])
        with anyio.move_on_after(0):
            await anext(run)
        await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()

    assert log == ['cleaned up']


async def test_a_span_is_open_as_long_as_the_block():
    """The context manager given as `span` is entered with the block and left with it."""
    log = []

    @contextmanager
    def span():
        log.append('in')
        yield
        log.append('out')

    async with chain().iter(inputs=5, span=span()) as run:
        log.append('block')
        await exhaust(run)

    assert log == ['in', 'block', 'out']


# The consumer that has to fit: an agent run over class nodes


@dataclass
class Prompt(BaseNode[list[str], None, str]):
    """The first node of an agent."""

    text: str

    async def run(self, ctx: GraphRunContext[list[str]]) -> 'Model':
        """Ask the model."""
        ctx.state.append(f'prompt {self.text}')
        return Model(self.text.upper())


@dataclass
class Model(BaseNode[list[str], None, str]):
    """The model answers, or asks again."""

    question: str
    tries: int = field(default=0)

    async def run(self, ctx: GraphRunContext[list[str]]) -> 'Model | End[str]':
        """Answer at the second try."""
        ctx.state.append(f'model {self.question} {self.tries}')
        return End(self.question) if self.tries else Model(self.question, self.tries + 1)


class AgentRun:
    """Turns a graph run's tasks into nodes and nodes into tasks, as agents do."""

    def __init__(self, graph_run):
        self.graph_run = graph_run

    @property
    def next_node(self):
        return self._task_to_node(self.graph_run.next_task)

    async def __anext__(self):
        return self._task_to_node(await anext(self.graph_run))

    def __aiter__(self):
        return self

    async def next(self, node):
        return self._task_to_node(await self.graph_run.next([self._node_to_task(node)]))

    def _task_to_node(self, task):
        if isinstance(task, Sequence) and len(task) == 1 and isinstance(task[0].inputs, BaseNode):
            return task[0].inputs
        if isinstance(task, EndMarker):
            return End(task.value)
        raise AssertionError(f'Unexpected node: {task}')

    def _node_to_task(self, node):
        return GraphTaskRequest(NodeStep(type(node)).id, inputs=node, fork_stack=())


def agent():
    """Start -> Prompt -> Model -> ... -> end."""
    g = GraphBuilder(state_type=list[str], input_type=Prompt, output_type=str)
    g.add(g.edge_from(g.start_node).to(Prompt), g.node(Prompt), g.node(Model))
    return g.build()


async def test_an_agent_sees_one_node_after_the_other():
    """Each event of a run over class nodes is one task with a node as its inputs, and at last the end."""
    async with agent().iter(state=[], inputs=Prompt('hi')) as graph_run:
        run = AgentRun(graph_run)
        nodes = [node async for node in run]

    assert nodes == [Prompt('hi'), Model('HI'), Model('HI', 1), End('HI')]


async def test_an_agent_drives_its_run_with_next():
    """Handing each node back to `next` runs it, from the first node to the end."""
    state = []
    async with agent().iter(state=state, inputs=Prompt('hi')) as graph_run:
        run = AgentRun(graph_run)
        node = run.next_node
        nodes = [node]
        while not isinstance(node, End):
            node = await run.next(node)
            nodes.append(node)

    assert nodes == [Prompt('hi'), Model('HI'), Model('HI', 1), End('HI')]
    assert state == ['prompt hi', 'model HI 0', 'model HI 1']


async def test_an_agent_can_change_the_node_that_runs_next():
    """The node that is handed to `next` runs, and not the one that was shown."""
    async with agent().iter(state=[], inputs=Prompt('hi')) as graph_run:
        run = AgentRun(graph_run)
        await run.next(Prompt('other'))
        assert await run.next(Model('mine', 1)) == End('mine')

    assert graph_run.output == 'mine'


async def test_an_agent_can_go_on_after_its_end():
    """A node handed to `next` in the place of the end runs the graph further."""
    async with agent().iter(state=[], inputs=Prompt('hi')) as graph_run:
        run = AgentRun(graph_run)
        while not isinstance(await anext(run), End):
            pass
        assert await run.next(Model('more')) == Model('more', 1)
