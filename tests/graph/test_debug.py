"""Debug mode in runs: the step that blocks the event loop is named.

That something takes long cannot be shown by a clock of tests, as it is the loop itself that stands still: these tests
block it for some hundredths of a second.
"""

import threading
import warnings

import anyio.lowlevel
import pytest

from plait_graph import GraphBuilder, StepContext, events, reduce_list_append
from plait_graph.exceptions import BlockingStepWarning

THRESHOLD = 0.01


def hold_up():
    """Block the loop for as long as it takes to be seen."""
    threading.Event().wait(10 * THRESHOLD)


def two_steps(*calls, **options):
    """Start -> both of the steps -> a join -> end."""
    g = GraphBuilder(output_type=list[object])
    steps = [g.step(call, **options) for call in calls]
    join = g.join(reduce_list_append, initial_factory=list[object])
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(join), g.edge_from(join).to(g.end_node))
    return g.build()


async def blocks(ctx: StepContext[None, None, None]) -> str:
    """A step that keeps the loop for itself."""
    await anyio.lowlevel.checkpoint()
    hold_up()
    return 'blocked'


async def yields(ctx: StepContext[None, None, None]) -> str:
    """A step that lets others run."""
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    return 'yielded'


def in_thread(ctx: StepContext[None, None, None]) -> str:
    """A step that blocks a thread only."""
    hold_up()
    return 'in a thread'


def blocked(told):
    """The steps that were reported."""
    return [event.node_id for event in told if isinstance(event, events.LoopBlocked)]


async def test_the_step_that_blocks_is_named():
    """With `debug`, a step that keeps the loop from others is told as an event and as a warning, with its stack."""
    told = []

    with pytest.warns(BlockingStepWarning, match=r"Step 'blocks' kept the event loop waiting.*plain `def`"):
        output = await two_steps(blocks, yields).run(debug=THRESHOLD, on_event=told.append)

    assert output == ['blocked', 'yielded']
    (event,) = [event for event in told if isinstance(event, events.LoopBlocked)]
    assert event.node_id == 'blocks'
    assert event.task_id.startswith('task:')
    assert event.seconds >= THRESHOLD
    assert 'hold_up()' in event.stack


async def test_a_step_alone_is_watched_too():
    """A run in which one task alone is under way, and nobody listens, warns all the same."""
    g = GraphBuilder(output_type=str)
    step = g.step(blocks)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))

    with pytest.warns(BlockingStepWarning, match="'blocks'"):
        assert await g.build().run(debug=THRESHOLD) == 'blocked'


async def test_steps_in_threads_block_nobody():
    """A plain function may take its time."""
    told = []

    assert await two_steps(in_thread, yields).run(debug=THRESHOLD, on_event=told.append) == ['in a thread', 'yielded']

    assert blocked(told) == []


async def test_policies_and_debug_go_together():
    """A step with policies is watched in each of its attempts."""
    told = []

    async def again(ctx: StepContext[None, None, None]) -> int:
        hold_up()
        if ctx.attempt == 1:
            raise LookupError
        return ctx.attempt

    with pytest.warns(BlockingStepWarning, match="'again'"):
        assert await two_steps(again, retry=2, timeout=60).run(debug=THRESHOLD, on_event=told.append) == [2]

    assert blocked(told) == ['again', 'again']


async def test_a_watched_run_is_debugged_too():
    """`graph.iter` takes `debug` as `graph.run` does, and its thread ends with the block."""
    told, before = [], threading.active_count()

    async with two_steps(blocks).iter(debug=THRESHOLD, on_event=told.append) as run:
        with pytest.warns(BlockingStepWarning, match="'blocks'"):
            [_ async for _ in run]

    assert run.output == ['blocked']
    assert blocked(told) == ['blocks']
    assert threading.active_count() <= before


async def test_nobody_is_watched_without_debug():
    """Without debug mode a step may block, and no thread looks on."""
    told = []

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        await two_steps(blocks, yields).run(on_event=told.append)

    assert blocked(told) == []


async def test_debug_true_allows_a_tenth_of_a_second():
    """With `debug=True`, steps that take less than a tenth of a second are nobody's business."""
    told = []

    await two_steps(yields).run(debug=True, on_event=told.append)

    assert blocked(told) == []
