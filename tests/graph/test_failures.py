"""What is raised when something in a run fails, and what is left behind: nothing.

Where several failures must meet, events make them meet; time plays no part.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from plait_graph import (
    GraphBuilder,
    GraphRuntimeError,
    StepContext,
    reduce_list_append,
    reduce_null,
    reduce_sum,
)


def notes(error):
    """The notes of an exception."""
    return getattr(error, '__notes__', [])


def after_start(call, **options):
    """Start -> the step -> end."""
    g = GraphBuilder(output_type=object)
    step = g.step(call, **options)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


def side_by_side(*calls):
    """Start -> all of the steps -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    steps = [g.step(call) for call in calls]
    join = g.join(reduce_list_append, initial_factory=list[object], node_id='both')
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(join), g.edge_from(join).to(g.end_node))
    return g.build()


def over_items(call, **options):
    """Start -> map `each` -> the step -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    step = g.step(call)
    join = g.join(reduce_list_append, initial_factory=list[object], node_id='all')
    g.add(
        g.edge_from(g.start_node).map(fork_id='each', **options).to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


async def forever(log, name='other'):
    """Work that only a cancellation ends, with a clean-up that takes a turn of the loop."""
    try:
        await anyio.Event().wait()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        log.append(f'{name} cleaned up')


# One failure


async def test_a_failure_is_itself():
    """A step's exception reaches the caller as the same object, not wrapped."""
    error = LookupError('gone')

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        await after_start(fail).run()

    assert caught.value is error


async def test_a_failure_has_one_note_with_node_and_task():
    """The exception has one note, which names node, task and attempt."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError(ctx.task_id)

    with pytest.raises(LookupError) as caught:
        await after_start(fail).run()

    [note] = notes(caught.value)
    assert "'fail'" in note
    assert caught.value.args[0] in note
    assert 'attempt 1' in note


async def test_a_failure_in_a_map_names_its_item():
    """The note of a failure within a map names the position of the item and the map."""

    async def invert(ctx: StepContext[None, None, int]) -> float:
        return 1 / ctx.inputs

    with pytest.raises(ZeroDivisionError) as caught:
        await over_items(invert).run(inputs=[1, 2, 0, 4])

    [note] = notes(caught.value)
    assert "'invert'" in note
    assert "item 2 of map 'each'" in note


async def test_a_failure_in_nested_maps_names_both_items():
    """The note of a failure within two maps names the item of each."""
    g = GraphBuilder(output_type=None)

    @g.step
    async def invert(ctx: StepContext[None, None, int]) -> float:
        return 1 / ctx.inputs

    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).map(fork_id='rows').map(fork_id='cells').to(invert),
        g.edge_from(invert).to(join),
        g.edge_from(join).to(g.end_node),
    )
    with pytest.raises(ZeroDivisionError) as caught:
        await g.build().run(inputs=[[1], [2, 3, 0]])

    [note] = notes(caught.value)
    assert "item 1 of map 'rows'" in note
    assert "item 2 of map 'cells'" in note


async def test_a_failure_is_noted_once_when_steps_share_the_exception():
    """An exception object that two runs raise has one note a place, and no duplicates of it."""
    error = LookupError('gone')

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise error

    graph = after_start(fail)
    for _ in range(3):
        with pytest.raises(LookupError):
            await graph.run()

    assert len(notes(error)) == len(set(notes(error)))


async def test_a_failure_while_iterating_has_the_note_too():
    """An exception that an advance raises has the same one note."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError('gone')

    async with after_start(fail).iter() as run:
        with pytest.raises(LookupError) as caught:
            async for _ in run:
                pass

    [note] = notes(caught.value)
    assert "'fail'" in note


async def test_the_traceback_leads_to_the_users_line():
    """The innermost frame of the traceback is the line in the step that raised."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError('gone')

    with pytest.raises(LookupError) as caught:
        await after_start(fail).run()

    assert caught.traceback[-1].name == 'fail'
    assert caught.value.__context__ is None


async def test_a_failure_in_a_thread_is_itself():
    """The exception of a plain function reaches the caller as itself, with the note."""

    def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError('in a thread')

    with pytest.raises(LookupError, match='in a thread') as caught:
        await after_start(fail).run()

    [note] = notes(caught.value)
    assert "'fail'" in note


async def test_stop_iteration_from_a_step_is_an_error():
    """A plain function that raises `StopIteration` fails with an error that names the step."""

    def fail(ctx: StepContext[None, None, None]) -> None:
        next(iter([]))

    with pytest.raises(RuntimeError, match='StopIteration') as caught:
        await after_start(fail).run()

    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_single_failure_of_a_group_is_the_group():
    """A step that raises an exception group of its own gets it through unchanged."""
    group = ExceptionGroup('mine', [ValueError('a'), ValueError('b')])

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise group

    with pytest.raises(ExceptionGroup) as caught:
        await after_start(fail).run()

    assert caught.value is group


# Several failures


def two_that_fail_together():
    """Two steps side by side that both run when the first one raises, the second one when it is cancelled."""
    has_started = anyio.Event()

    async def first(ctx: StepContext[None, None, None]) -> None:
        await has_started.wait()
        raise KeyError('first')

    async def second(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        try:
            await anyio.Event().wait()
        finally:
            raise ValueError('second, while it was stopped')

    return side_by_side(first, second)


async def test_the_first_failure_cancels_the_rest():
    """When a step fails, the bodies that run are cancelled, and their clean-up has been waited for."""
    log, has_started = [], anyio.Event()

    async def fail(ctx: StepContext[None, None, None]) -> None:
        await has_started.wait()
        raise KeyError('fail')

    async def other(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        await forever(log)

    with pytest.raises(KeyError):
        await side_by_side(fail, other).run()

    assert log == ['other cleaned up']


async def test_nothing_starts_after_a_failure():
    """Items that had not started when a step failed never start."""
    started = []

    async def work(ctx: StepContext[None, None, int]) -> None:
        started.append(ctx.inputs)
        if ctx.inputs == 2:
            raise KeyError('two')

    with pytest.raises(KeyError):
        await over_items(work).run(inputs=range(10), max_concurrency=1)

    assert started == [0, 1, 2]


async def test_failures_that_come_while_stopping_are_not_lost():
    """What fails before the cancellation took effect comes out with the first failure in one group, in that order."""
    with pytest.raises(ExceptionGroup) as caught:
        await two_that_fail_together().run()

    first, second = caught.value.exceptions
    assert isinstance(first, KeyError)
    assert isinstance(second, ValueError)


async def test_each_failure_of_a_group_has_its_note():
    """Every exception in a group has one note that names its own step."""
    with pytest.raises(ExceptionGroup) as caught:
        await two_that_fail_together().run()

    first, second = caught.value.exceptions
    assert ["'first'" in note for note in notes(first)] == [True]
    assert ["'second'" in note for note in notes(second)] == [True]


async def test_the_group_message_says_how_many():
    """The group's message counts the failures."""
    with pytest.raises(ExceptionGroup, match='2 steps failed'):
        await two_that_fail_together().run()


async def test_errors_first_raises_only_the_first():
    """With `errors='first'` the first failure is raised as itself, and the others are notes on it."""
    with pytest.raises(KeyError, match='first') as caught:
        await two_that_fail_together().run(errors='first')

    assert any('second, while it was stopped' in note for note in notes(caught.value))


async def test_errors_first_changes_nothing_for_one_failure():
    """With `errors='first'` a single failure is raised with its own note alone."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError('gone')

    with pytest.raises(LookupError) as caught:
        await after_start(fail).run(errors='first')

    assert len(notes(caught.value)) == 1


async def test_a_failure_after_the_end_is_no_failure():
    """A body that raises while it is cancelled since the run has its value does not spoil the run."""
    has_started = anyio.Event()
    g = GraphBuilder(output_type=str)

    @g.step
    async def winner(ctx: StepContext[None, None, None]) -> str:
        await has_started.wait()
        return 'won'

    @g.step
    async def loser(ctx: StepContext[None, None, None]) -> str:
        has_started.set()
        try:
            await anyio.Event().wait()
        finally:
            raise ValueError('sore loser')

    g.add(g.edge_from(g.start_node).to(winner, loser), g.edge_from(winner, loser).to(g.end_node))

    assert await g.build().run() == 'won'


async def test_a_value_given_while_stopping_is_dropped():
    """A body that swallows its cancellation and returns does not turn a failed run into a success."""
    has_started = anyio.Event()
    g = GraphBuilder(output_type=str)

    @g.step
    async def fail(ctx: StepContext[None, None, None]) -> str:
        await has_started.wait()
        raise KeyError('fail')

    @g.step
    async def stubborn(ctx: StepContext[None, None, None]) -> str:
        has_started.set()
        try:
            await anyio.Event().wait()
        except anyio.get_cancelled_exc_class():
            return 'still here'

    g.add(g.edge_from(g.start_node).to(fail, stubborn), g.edge_from(fail, stubborn).to(g.end_node))

    with pytest.raises(KeyError):
        await g.build().run()


# Functions on edges


async def test_a_failing_transform_is_a_failure_of_its_node():
    """A transform's exception reaches the caller as itself, with a note that names the node before it."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def give(ctx: StepContext[None, None, None]) -> int:
        return 0

    def invert(ctx):
        return 1 // ctx.inputs

    g.add(g.edge_from(g.start_node).to(give), g.edge_from(give).transform(invert).to(g.end_node))
    with pytest.raises(ZeroDivisionError) as caught:
        await g.build().run()

    [note] = notes(caught.value)
    assert 'transform' in note
    assert "'give'" in note


async def test_a_failing_predicate_is_a_failure_of_its_decision():
    """A predicate's exception reaches the caller as itself, with a note that names the decision."""
    g = GraphBuilder(output_type=int)
    choice = g.decision(node_id='choice').branch(g.match(int, matches=lambda value: 1 // value > 0).to(g.end_node))
    g.add(g.edge_from(g.start_node).to(choice))

    with pytest.raises(ZeroDivisionError) as caught:
        await g.build().run(inputs=0)

    [note] = notes(caught.value)
    assert "'choice'" in note


async def test_a_failing_reducer_is_a_failure_of_its_join():
    """A reducer's exception reaches the caller as itself, with a note that names the join."""
    g = GraphBuilder(output_type=int)

    def divide(current: int, value: int) -> int:
        return current // value

    join = g.join(divide, initial=1, node_id='quotient')
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))
    with pytest.raises(ZeroDivisionError) as caught:
        await g.build().run(inputs=[1, 0])

    [note] = notes(caught.value)
    assert "'quotient'" in note


async def test_a_failing_initial_factory_is_a_failure_of_its_join():
    """An exception of an `initial_factory` reaches the caller as itself, with a note that names the join."""
    g = GraphBuilder(output_type=list[int])

    def refuse() -> list[int]:
        raise LookupError('no list today')

    join = g.join(reduce_list_append, initial_factory=refuse, node_id='items')
    g.add(g.edge_from(g.start_node).map().to(join), g.edge_from(join).to(g.end_node))
    with pytest.raises(LookupError, match='no list today') as caught:
        await g.build().run(inputs=[1])

    assert any("'items'" in note for note in notes(caught.value))


@pytest.mark.parametrize('limit', [None, 1])
async def test_a_failing_iterator_is_a_failure_of_its_map(limit):
    """An exception of the iterator that is mapped reaches the caller as itself, with a note that names the map."""

    def numbers():
        yield 1
        raise LookupError('no more')

    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    with pytest.raises(LookupError, match='no more') as caught:
        await over_items(work, limit=limit).run(inputs=numbers())

    [note] = notes(caught.value)
    assert "'each'" in note


@pytest.mark.parametrize('limit', [None, 1])
async def test_a_failing_async_iterator_is_a_failure_of_its_map(limit):
    """An exception of an asynchronous iterator reaches the caller as itself, with a note that names the map."""

    async def numbers() -> AsyncIterator[int]:
        yield 1
        raise LookupError('no more')

    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    with pytest.raises(LookupError, match='no more') as caught:
        await over_items(work, limit=limit).run(inputs=numbers())

    [note] = notes(caught.value)
    assert "'each'" in note


async def test_a_failing_iter_method_is_a_failure_of_its_map():
    """An exception of `__aiter__` reaches the caller as itself, with a note that names the map."""

    class Broken:
        def __aiter__(self):
            raise LookupError('cannot begin')

    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    with pytest.raises(LookupError, match='cannot begin') as caught:
        await over_items(work).run(inputs=Broken())

    assert any("'each'" in note for note in notes(caught.value))


async def test_a_failing_stream_is_a_failure_of_the_map_behind_it():
    """An exception in an `@g.stream` reaches the caller as itself, with a note, after the items before it ran."""
    g = GraphBuilder(output_type=None)
    seen = []

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]):
        yield 1
        await anyio.wait_all_tasks_blocked()
        raise LookupError('no more')

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> None:
        seen.append(ctx.inputs)

    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).to(numbers),
        g.edge_from(numbers).map().to(work),
        g.edge_from(work).to(join),
        g.edge_from(join).to(g.end_node),
    )
    with pytest.raises(LookupError, match='no more') as caught:
        await g.build().run()

    assert seen == [1]
    assert len(notes(caught.value)) == 1


async def test_an_async_source_is_closed_when_a_step_fails():
    """The generator that a map reads is closed, clean-up awaited, when one of its items fails."""
    log = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            log.append('closed')

    async def work(ctx: StepContext[None, None, int]) -> int:
        raise KeyError('work')

    with pytest.raises(KeyError):
        await over_items(work).run(inputs=numbers())

    assert log == ['closed']


async def test_an_async_source_that_waits_for_a_place_is_closed():
    """A generator that is not asked for items, as the limit is reached, is closed when the run fails."""
    log, is_full = [], anyio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
        finally:
            log.append('closed')

    async def work(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs == 0:
            await is_full.wait()
            raise KeyError('work')
        is_full.set()
        return await anyio.Event().wait()

    with pytest.raises(KeyError):
        await over_items(work, limit=2).run(inputs=numbers())

    assert log == ['closed']


async def test_a_failing_listener_does_not_go_unseen():
    """An exception of `on_event` reaches the caller as itself."""

    async def work(ctx: StepContext[None, None, None]) -> int:
        return 1

    def listen(event):
        raise LookupError('cannot listen')

    with pytest.raises(LookupError, match='cannot listen'):
        await after_start(work).run(on_event=listen)


async def test_a_failing_listener_stops_parallel_work():
    """An exception of `on_event` beside parallel steps reaches the caller as itself, and nothing is left running."""
    log = []
    has_started = anyio.Event()

    async def quick(ctx: StepContext[None, None, None]) -> int:
        await has_started.wait()
        return 1

    async def other(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        await forever(log)

    def listen(event):
        if type(event).__name__ == 'StepFinished':
            raise LookupError('cannot listen')

    with pytest.raises(LookupError, match='cannot listen'):
        await side_by_side(quick, other).run(on_event=listen)

    assert log == ['other cleaned up']


async def test_a_failing_mapping_into_a_subgraph_is_a_failure_of_its_step():
    """An exception of `as_step(inputs=...)` reaches the caller as itself, with a note that names the step."""

    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    g = GraphBuilder(output_type=int)
    inner = after_start(work).as_step(node_id='inner', inputs=lambda ctx: 1 // ctx.inputs)
    g.add(g.edge_from(g.start_node).to(inner), g.edge_from(inner).to(g.end_node))
    with pytest.raises(ZeroDivisionError) as caught:
        await g.build().run(inputs=0)

    [note] = notes(caught.value)
    assert "'inner'" in note


async def test_a_failure_in_a_subgraph_names_the_path():
    """The note of a failure inside of a subgraph has the path of the node."""

    async def fail(ctx: StepContext[None, None, None]) -> None:
        raise LookupError('gone')

    middle = GraphBuilder(output_type=object)
    inner = after_start(fail).as_step(node_id='inner')
    middle.add(middle.edge_from(middle.start_node).to(inner), middle.edge_from(inner).to(middle.end_node))
    g = GraphBuilder(output_type=object)
    outer = middle.build().as_step(node_id='outer')
    g.add(g.edge_from(g.start_node).to(outer), g.edge_from(outer).to(g.end_node))
    with pytest.raises(LookupError) as caught:
        await g.build().run()

    [note] = notes(caught.value)
    assert "'outer/inner/fail'" in note


# KeyboardInterrupt, SystemExit


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_an_interruption_of_a_lone_step_is_not_swallowed(kind, backend):
    """`KeyboardInterrupt` and `SystemExit` from a step come out of the run as themselves."""

    async def interrupt(ctx: StepContext[None, None, None]) -> None:
        raise kind

    with pytest.raises(kind):
        anyio.run(after_start(interrupt).run, backend=backend)


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_an_interruption_beside_other_steps_is_not_swallowed(kind, backend):
    """`KeyboardInterrupt` and `SystemExit` beside parallel steps come out as themselves, after the others' clean-up."""
    log = []
    has_started = anyio.Event()

    async def interrupt(ctx: StepContext[None, None, None]) -> None:
        await has_started.wait()
        raise kind

    async def other(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        await forever(log)

    with pytest.raises(kind):
        anyio.run(side_by_side(interrupt, other).run, backend=backend)

    assert log == ['other cleaned up']


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_an_interruption_while_iterating_is_not_swallowed(kind, backend):
    """`KeyboardInterrupt` and `SystemExit` from a step of a watched run come out as themselves."""

    async def interrupt(ctx: StepContext[None, None, None]) -> None:
        raise kind

    async def main():
        async with after_start(interrupt).iter() as run:
            async for _ in run:
                pass

    with pytest.raises(kind):
        anyio.run(main, backend=backend)


@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_an_interruption_hides_no_other_failure(backend):
    """An interruption beside another failure comes out as itself, with the other failure as a note."""
    has_started = anyio.Event()

    async def interrupt(ctx: StepContext[None, None, None]) -> None:
        await has_started.wait()
        raise KeyboardInterrupt

    async def other(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        try:
            await anyio.Event().wait()
        finally:
            raise ValueError('as well')

    with pytest.raises(KeyboardInterrupt) as caught:
        anyio.run(side_by_side(interrupt, other).run, backend=backend)

    assert any('as well' in note for note in notes(caught.value))


# Cancelling the caller


async def test_cancelling_the_caller_waits_for_clean_up():
    """Cancelling the caller cancels every body, and the run returns only after their clean-up."""
    log = []

    async def other(ctx: StepContext[None, None, int]) -> None:
        await forever(log, str(ctx.inputs))

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_blocked, scope)
            await over_items(other).run(inputs=[1, 2, 3])

    assert scope.cancelled_caught
    assert sorted(log) == ['1 cleaned up', '2 cleaned up', '3 cleaned up']


async def cancel_when_blocked(scope):
    """Cancel a scope as soon as all other tasks wait."""
    await anyio.wait_all_tasks_blocked()
    scope.cancel()


async def test_cancelling_the_caller_of_a_lone_step_waits_for_clean_up():
    """A step that runs alone is cancelled with its caller, and its clean-up is waited for."""
    log = []

    async def other(ctx: StepContext[None, None, None]) -> None:
        await forever(log)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_blocked, scope)
            await after_start(other).run()

    assert scope.cancelled_caught
    assert log == ['other cleaned up']


async def test_a_failure_in_clean_up_after_the_caller_was_cancelled():
    """A caller that is cancelled stays cancelled, whatever the bodies raise in their clean-up."""

    async def other(ctx: StepContext[None, None, int]) -> None:
        try:
            await anyio.Event().wait()
        finally:
            raise ValueError('in clean-up')

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_blocked, scope)
            await over_items(other).run(inputs=[1, 2])

    assert scope.cancelled_caught


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_cancelling_the_callers_asyncio_task_waits_for_clean_up():
    """`task.cancel()` on the caller ends its task as cancelled, after the clean-up of all bodies."""
    log = []

    async def other(ctx: StepContext[None, None, int]) -> None:
        await forever(log, str(ctx.inputs))

    task = asyncio.create_task(over_items(other).run(inputs=[1, 2]))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert sorted(log) == ['1 cleaned up', '2 cleaned up']


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_a_second_cancel_does_not_cut_clean_up_short():
    """Cancelling the caller again while bodies clean up waits for them all the same."""
    log, go_on = [], asyncio.Event()

    async def other(ctx: StepContext[None, None, int]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await go_on.wait()
            log.append('cleaned up')

    task = asyncio.create_task(over_items(other).run(inputs=[1, 2]))
    for _ in range(2):
        await anyio.wait_all_tasks_blocked()
        task.cancel()
    await anyio.wait_all_tasks_blocked()
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ['cleaned up', 'cleaned up']


async def test_a_thread_is_waited_for():
    """A cancelled run returns only when the function in its thread has ended, and drops the result."""
    log, go_on, has_begun = [], threading.Event(), anyio.Event()

    def work(ctx: StepContext[None, None, None]) -> None:
        anyio.from_thread.run_sync(has_begun.set)
        go_on.wait(10)
        log.append('thread ended')

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_and_let_go, scope, has_begun, go_on, log)
            await after_start(work).run()
        log.append('run ended')

    assert scope.cancelled_caught
    assert log == ['cancelled', 'thread ended', 'run ended']


async def cancel_and_let_go(scope, has_begun, go_on, log):
    """Cancel a scope when a thread has begun, and let the thread end when nothing else can happen."""
    await has_begun.wait()
    scope.cancel()
    await anyio.wait_all_tasks_blocked()
    log.append('cancelled')
    go_on.set()


async def test_an_abandoned_thread_is_left_behind():
    """With `abandon=True` a cancelled run returns although the function in its thread has not."""
    go_on, has_begun, has_ended = threading.Event(), anyio.Event(), threading.Event()

    def work(ctx: StepContext[None, None, None]) -> None:
        anyio.from_thread.run_sync(has_begun.set)
        go_on.wait(10)
        has_ended.set()

    async def cancel(scope):
        await has_begun.wait()
        scope.cancel()

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel, scope)
            await after_start(work, abandon=True).run()
        assert not has_ended.is_set()
        go_on.set()
        assert await anyio.to_thread.run_sync(has_ended.wait, 10)

    assert scope.cancelled_caught


async def test_a_failure_waits_for_threads():
    """A run that fails returns only when the functions in its threads have ended."""
    log, go_on, has_begun = [], threading.Event(), anyio.Event()

    async def fail(ctx: StepContext[None, None, None]) -> None:
        await has_begun.wait()
        raise KeyError('fail')

    def work(ctx: StepContext[None, None, None]) -> None:
        anyio.from_thread.run_sync(has_begun.set)
        go_on.wait(10)
        log.append('thread ended')

    async def let_go():
        await has_begun.wait()
        await anyio.wait_all_tasks_blocked()
        go_on.set()

    async with anyio.create_task_group() as group:
        group.start_soon(let_go)
        with pytest.raises(KeyError):
            await side_by_side(fail, work).run()
        assert log == ['thread ended']


# Cancellation from within


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_a_lone_step_that_awaits_something_cancelled_has_failed():
    """A step that lets a foreign cancellation through fails with an error, and the caller is not cancelled."""

    async def work(ctx: StepContext[None, None, None]) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(GraphRuntimeError, match=r"'work'.*cancel") as caught:
        await after_start(work).run()
    await anyio.lowlevel.checkpoint()

    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
async def test_a_parallel_step_that_awaits_something_cancelled_has_failed():
    """A parallel step that lets a foreign cancellation through fails with an error, and stops the others."""
    log, has_started = [], anyio.Event()

    async def work(ctx: StepContext[None, None, None]) -> None:
        await has_started.wait()
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def other(ctx: StepContext[None, None, None]) -> None:
        has_started.set()
        await forever(log)

    with pytest.raises(GraphRuntimeError, match=r"'work'.*cancel"):
        await side_by_side(work, other).run()

    assert log == ['other cleaned up']


async def test_a_step_that_cancels_a_scope_of_its_own_goes_on():
    """A body may cancel a scope that it opened itself, alone and in parallel."""

    async def work(ctx: StepContext[None, None, int]) -> int:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        return ctx.inputs if scope.cancelled_caught else -1

    assert await over_items(work).run(inputs=[1]) == [1]
    assert await over_items(work).run(inputs=[1, 2, 3]) == [1, 2, 3]
    assert await after_start(work).run(inputs=7) == 7


async def test_a_step_that_cancels_its_caller_is_cancelled_too():
    """A body that cancels a scope around the run is cancelled with all the others, and no error comes out."""
    log = []
    with anyio.CancelScope() as scope:

        async def work(ctx: StepContext[None, None, int]) -> None:
            if ctx.inputs == 2:
                scope.cancel()
            await forever(log, str(ctx.inputs))

        await over_items(work).run(inputs=[1, 2])

    assert scope.cancelled_caught
    assert sorted(log) == ['1 cleaned up', '2 cleaned up']


# Runs that lead nowhere


async def test_a_run_that_leads_nowhere_says_where_it_ended():
    """If nothing is left that could reach the end, the error names the node at which the last token ended."""
    g = GraphBuilder(output_type=None)

    @g.step
    async def last_one(ctx: StepContext[None, None, None]) -> None:
        return None

    g.add(g.edge_from(g.start_node).to(last_one))
    with pytest.raises(GraphRuntimeError, match=r"no result was produced.*'last_one'"):
        await g.build(validate_graph_structure=False).run()


async def test_an_empty_map_without_a_join_names_the_remedy():
    """An empty map without a join ends in an error that names the map and `downstream_join_id=`."""
    g = GraphBuilder(output_type=int)

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    g.add(g.edge_from(g.start_node).map(fork_id='each').to(work), g.edge_from(work).to(g.end_node))
    with pytest.raises(GraphRuntimeError, match=r"'each'.*downstream_join_id="):
        await g.build().run(inputs=[])


async def test_an_empty_map_before_two_joins_names_the_remedy():
    """An empty map that could fire either of two joins ends in an error that names `downstream_join_id=`."""
    g = GraphBuilder(output_type=int)
    small = g.join(reduce_sum, initial=0, node_id='small', preferred_parent_fork='closest')
    large = g.join(reduce_sum, initial=0, node_id='large', preferred_parent_fork='closest')
    choice = g.decision(node_id='choice').branch(g.match(int, matches=lambda value: value < 10).to(small))
    choice = choice.branch(g.match(int).to(large))
    g.add(
        g.edge_from(g.start_node).map(fork_id='each').to(choice),
        g.edge_from(small, large).to(g.end_node),
    )
    with pytest.raises(GraphRuntimeError, match=r"'each'.*downstream_join_id="):
        await g.build().run(inputs=[])


async def test_taking_out_the_last_task_says_so():
    """A watched run whose only task is taken out fails with an error that names the task's node."""

    async def work(ctx: StepContext[None, None, None]) -> None:
        return None

    async with after_start(work).iter() as run:
        await anext(run)
        with pytest.raises(GraphRuntimeError, match=r"no result was produced.*'work'"):
            await run.next([])


async def test_a_subgraph_that_leads_nowhere_is_named():
    """The error of a subgraph in which nothing is left names the path of the subgraph."""
    inner = GraphBuilder(output_type=int)

    @inner.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs

    inner.add(inner.edge_from(inner.start_node).map().to(work), inner.edge_from(work).to(inner.end_node))
    g = GraphBuilder(output_type=int)
    nested = inner.build().as_step(node_id='nested')
    g.add(g.edge_from(g.start_node).to(nested), g.edge_from(nested).to(g.end_node))
    with pytest.raises(GraphRuntimeError, match="'nested"):
        await g.build().run(inputs=[])


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_an_interruption_in_a_reducer_is_not_swallowed(kind, backend):
    """`KeyboardInterrupt` and `SystemExit` from a function on an edge come out as themselves, after clean-up."""
    log, has_started = [], anyio.Event()
    g = GraphBuilder(output_type=int)

    def interrupt(current: int, value: int) -> int:
        raise kind

    @g.step
    async def quick(ctx: StepContext[None, None, None]) -> int:
        await has_started.wait()
        return 1

    @g.step
    async def other(ctx: StepContext[None, None, None]) -> int:
        has_started.set()
        await forever(log)
        return 2

    join = g.join(interrupt, initial=0, order='completion')
    g.add(g.edge_from(g.start_node).to(quick, other), g.edge_from(quick, other).to(join))
    g.add(g.edge_from(join).to(g.end_node))
    with pytest.raises(kind):
        anyio.run(g.build().run, backend=backend)

    assert log == ['other cleaned up']
