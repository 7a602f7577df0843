"""What a log answers of runs that took place."""

import anyio
import pytest

from plait_graph import GraphBuilder, StepContext, reduce_list_append, reduce_sum
from plait_graph.events import StepFinished, StepReady, StepStarted, ValueJoined
from plait_graph.explain import EventLog, diff


def sums(waits=(), broken=None):
    """Split a text, work on each number of it, sum up, report; an item ends when the one that it waits for has."""
    g = GraphBuilder(input_type=str, output_type=str)
    ended = {number: anyio.Event() for number in range(10)}

    @g.step
    async def split(ctx: StepContext[None, None, str]) -> list[int]:
        return [int(word) for word in ctx.inputs.split()]

    @g.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        for number, awaited in waits:
            if number == ctx.inputs:
                await ended[awaited].wait()
        if ctx.inputs == broken:
            raise ValueError('boom')
        ended[ctx.inputs].set()
        return ctx.inputs * 10

    @g.step
    async def report(ctx: StepContext[None, None, int]) -> str:
        return f'{ctx.inputs} in all'

    total = g.join(reduce_sum, initial=0, node_id='total')
    g.add(
        g.edge_from(g.start_node).to(split),
        g.edge_from(split).map(fork_id='each').to(work),
        g.edge_from(work).to(total),
        g.edge_from(total).to(report),
        g.edge_from(report).to(g.end_node),
    )
    return g.build()


async def logged(graph, inputs, **options):
    """The log of a run."""
    log = EventLog()
    await graph.run(inputs=inputs, on_event=log, **options)
    return log


async def test_the_last_step_is_led_back_to_the_start():
    """Why the report was made: the sum, the items that it was made of, and the split that they came from."""
    log = await logged(sums(), '1 2 3')

    (report,) = [each.event.task_id for each in log.of(StepReady) if each.event.node_id == 'report']
    first, *items, join, last = log.why(report).way
    assert (first.node_id, first.cause, first.inputs) == ('split', None, '1 2 3')
    assert sorted((each.node_id, each.cause, each.inputs) for each in items) == [
        ('work', first.task_id, number) for number in (1, 2, 3)
    ]
    assert {value.cause: value.value for value in join.values} == {each.task_id: each.output for each in items}
    assert (join.output, join.causes) == (60, tuple(value.cause for value in join.values))
    assert (last.task_id, last.causes, last.output) == (report, (join.firing_id,), '60 in all')
    assert log.why(report).missing == ()


async def test_an_item_is_not_led_to_by_others():
    """What led to an item is what gave it, and not the items beside it."""
    log = await logged(sums(), '1 2 3')

    item = next(each.event.task_id for each in log.of(StepReady) if each.event.inputs == 2)
    assert [cause.node_id for cause in log.why(item).way] == ['split', 'work']


async def test_every_task_and_firing_has_a_way_back():
    """With nested maps, a broadcast and joins within joins, everything is led back to the start."""
    g = GraphBuilder(input_type=list[list[int]], output_type=list[int])

    @g.step
    async def rows(ctx: StepContext[None, None, list[list[int]]]) -> list[list[int]]:
        return ctx.inputs

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs * 2

    @g.step
    async def negate(ctx: StepContext[None, None, int]) -> int:
        return -ctx.inputs

    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_list_append, initial_factory=list[int], node_id='outer')
    g.add(
        g.edge_from(g.start_node).to(rows),
        g.edge_from(rows).map(fork_id='row').map(fork_id='cell').to(double, negate, fork_id='both'),
        g.edge_from(double, negate).to(inner),
        g.edge_from(inner).to(outer),
        g.edge_from(outer).to(g.end_node),
    )
    log = await logged(g.build(), [[1, 2], [3]])

    ids = [each.event.task_id for each in log.of(StepReady)] + [each.event.firing_id for each in log.of(ValueJoined)]
    for id in ids:
        explanation = log.why(id)
        assert explanation.missing == ()
        assert explanation.way[0].node_id == 'rows'


async def test_a_loop_is_led_back_turn_by_turn():
    """Each turn of a loop is led to by the one before it, and has a visit of its own."""
    g = GraphBuilder(input_type=int, output_type=int)

    @g.step
    async def turn(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    g.add(
        g.edge_from(g.start_node).to(turn),
        g.edge_from(turn).to(
            g.decision()
            .branch(g.match(int, matches=lambda number: number < 4).to(turn))
            .branch(g.match(int).to(g.end_node))
        ),
    )
    log = await logged(g.build(), 0)

    way = log.why(log.of(StepFinished)[-1].event.task_id).way
    assert [each.inputs for each in way] == [0, 1, 2, 3]
    assert len({each.visit for each in way}) == 4


async def test_runs_in_another_order_do_the_same():
    """Two runs whose items finish in opposite orders do not differ."""
    forward = await logged(sums(waits=[(2, 1), (3, 2)]), '1 2 3')
    backward = await logged(sums(waits=[(1, 2), (2, 3)]), '1 2 3')

    joined = [[each.event.value for each in log.of(ValueJoined)] for log in (forward, backward)]
    assert joined == [[10, 20, 30], [30, 20, 10]]
    assert not diff(forward, backward)


async def test_limits_do_not_make_runs_differ():
    """A run with one body at a time and one with all at once do the same."""
    assert not diff(await logged(sums(), '1 2 3', max_concurrency=1), await logged(sums(), '1 2 3'))


async def test_other_inputs_are_where_runs_part():
    """Of runs with other inputs the first step is named first, and all else follows."""
    first, *others = diff(await logged(sums(), '1 2'), await logged(sums(), '1 2 3'))

    assert (first.place.node_id, first.is_origin) == ('split', True)
    assert {(each.place.node_id, each.is_origin) for each in others} == {
        ('work', False),
        ('total', False),
        ('report', False),
        ('', False),
    }


async def test_a_failure_is_where_runs_part():
    """Of a good run and one that failed, the step that failed is named first."""
    failed = EventLog()
    with pytest.raises(ValueError, match='boom'):
        await sums(broken=2).run(inputs='1 2 3', on_event=failed)

    first = next(iter(diff(await logged(sums(), '1 2 3'), failed)))

    assert (first.place.node_id, first.place.path) == ('work', (('each', 1),))
    assert 'outcome' in [change.what for change in first.changes]


async def test_a_saved_run_is_the_same_run(tmp_path):
    """A log that was saved and loaded answers as the one of the run."""
    log = await logged(sums(), '1 2 3')
    log.save(tmp_path / 'log')
    loaded = EventLog.load(tmp_path / 'log')

    last = log.of(StepReady)[-1].event.task_id
    assert str(loaded.why(last)) == str(log.why(last))
    assert str(loaded.statistics()) == str(log.statistics())
    assert not diff(loaded, log)


async def test_statistics_count_what_the_run_did():
    """Each step, each value at the join, and bodies that ran at once are counted."""
    statistics = (await logged(sums(waits=[(1, 3), (2, 3)]), '1 2 3')).statistics()

    nodes = {node.node_id: node for node in statistics.nodes}
    assert (nodes['work'].started, nodes['work'].finished) == (3, 3)
    assert (nodes['total'].joined, nodes['total'].fired) == (3, 1)
    assert (statistics.joined, statistics.most_at_once) == (3, 3)


async def test_every_step_that_starts_was_ready():
    """A run tells of each task that a value reached it before it tells that the task began."""
    log = await logged(sums(), '1 2 3')

    ready = {each.event.task_id: each.sequence for each in log.of(StepReady)}
    assert all(ready[each.event.task_id] < each.sequence for each in log.of(StepStarted))
