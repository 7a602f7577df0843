"""Runs whose steps finish when the test says so."""

from collections.abc import AsyncIterable

import pytest

from plait_graph import GraphBuilder, GraphRuntimeError, ReduceFirstValue, StepContext, reduce_list_append
from plait_graph.events import StepFinished
from plait_graph.testing import ManualRun


async def unused(ctx: StepContext[object, object, object]) -> object:
    """A body that no test calls."""
    raise AssertionError('a body was called')


def steps_of(g, *names):
    """Steps with these ids."""
    return [g.step(unused, node_id=name) for name in names]


def over_items(**options):
    """Start -> map `each` -> `fetch` -> `show` -> a join -> end."""
    g = GraphBuilder(input_type=object, output_type=list[object])
    fetch, show = steps_of(g, 'fetch', 'show')
    join = g.join(reduce_list_append, initial_factory=list[object], node_id='all')
    g.add(
        g.edge_from(g.start_node).map(fork_id='each', **options).to(fetch),
        g.edge_from(fetch).to(show),
        g.edge_from(show).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


def race():
    """Start -> `fast` and `slow` -> the first one -> end."""
    g = GraphBuilder(output_type=object)
    steps = steps_of(g, 'fast', 'slow')
    first = g.join(ReduceFirstValue[object](), initial=None, node_id='first')
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(first), g.edge_from(first).to(g.end_node))
    return g.build()


def test_steps_finish_in_the_order_of_the_test():
    """The test chooses who finishes, by step and item, and sees what runs then."""
    run = ManualRun(over_items(), inputs=['a', 'b'])
    assert repr(run.running) == "[fetch[0]('a'), fetch[1]('b')]"

    run.finish('fetch', 'B', item=1)
    run.finish('show', 'B!')
    assert repr(run.running) == "[fetch[0]('a')]"
    run.finish('fetch', 'A')
    run.finish('show', 'A!')

    assert run.is_over
    assert run.output == ['A!', 'B!']


def test_a_failure_fails_the_run():
    """An error that the test gives comes out of `output` as itself, and what ran is cancelled."""
    run = ManualRun(over_items(), inputs=['a', 'b'])

    run.fail('fetch', ValueError('down'), item=0)

    assert repr(run.cancelled) == "[fetch[1]('b')]"
    with pytest.raises(ValueError, match='down'):
        _ = run.output


def test_losers_are_cancelled():
    """When the first answer is in, the test sees who was cancelled."""
    run = ManualRun(race())

    run.finish('fast', 1)

    assert run.output == 1
    assert [task.step for task in run.cancelled] == ['slow']
    assert repr(run) == '<ManualRun, ended>'


def test_what_waits_under_a_limit_is_ready():
    """With a limit on the run, the others wait, and one starts when another one finishes."""
    run = ManualRun(over_items(), inputs=['a', 'b', 'c'], max_concurrency=1)
    assert repr(run.ready) == "[fetch[1]('b'), fetch[2]('c')]"

    run.finish('fetch', 'A')

    assert repr(run.running) == "[fetch[1]('b')]"
    assert repr(run.ready) == "[fetch[2]('c'), show[0]('A')]"


def test_events_are_recorded():
    """What happened can be asked for at any time."""
    run = ManualRun(race())

    run.finish('slow', 7)

    assert [event.output for event in run.events.of(StepFinished)] == [7]
    assert run.events.is_before('slow finished', 'first fired')


def test_items_of_nested_maps_are_told_apart():
    """A number is the position in the innermost map, a tuple the way through all of them."""
    g = GraphBuilder(input_type=list[list[str]], output_type=list[object])
    (fetch,) = steps_of(g, 'fetch')
    join = g.join(reduce_list_append, initial_factory=list[object])
    g.add(
        g.edge_from(g.start_node).map().map().to(fetch),
        g.edge_from(fetch).to(join),
        g.edge_from(join).to(g.end_node),
    )
    run = ManualRun(g.build(), inputs=[['a', 'b'], ['c']])

    run.finish('fetch', 'B', item=1)
    run.finish('fetch', 'C', item=(1, 0))
    run.finish(run.running[0], 'A')

    assert run.output == ['A', 'B', 'C']


def test_a_source_gives_items_when_the_test_says_so():
    """An asynchronous source is asked for items as places are free, and the test gives them."""

    class Source(AsyncIterable[str]):
        def __aiter__(self):
            raise AssertionError('the source was read')

    run = ManualRun(over_items(limit=1), inputs=Source())
    assert run.wanted == ['each']

    run.give('each', 'a')
    assert run.wanted == []
    run.finish('fetch', 'A')
    run.finish('show', 'A!')
    run.exhaust('each')

    assert run.output == ['A!']


@pytest.mark.parametrize(
    ('act', 'message'),
    [
        (lambda run: run.finish('show'), r"'show' does not run. What runs: \[fetch\[0\]"),
        (lambda run: run.finish('fetch', item=5), "'fetch' at item 5 does not run"),
        (lambda run: run.finish('fetch'), r"'fetch' runs 2 times: .* Say which with item="),
        (lambda run: run.give('each', 1), "Map 'each' does not wait for an item"),
        (lambda run: run.output, 'The run is not over'),
    ],
    ids=['other-step', 'other-item', 'several', 'source', 'output'],
)
def test_what_cannot_happen_is_refused(act, message):
    """A step that does not run cannot finish; the message says what runs."""
    run = ManualRun(over_items(), inputs=['a', 'b'])

    with pytest.raises(GraphRuntimeError, match=message):
        act(run)


def test_a_finished_task_does_not_run_any_more():
    """A task of `running` that has finished meanwhile cannot finish again."""
    run = ManualRun(over_items(), inputs=['a', 'b'])
    task = run.running[0]
    run.finish(task, 'A')

    with pytest.raises(GraphRuntimeError, match='does not run'):
        run.finish(task, 'A')
