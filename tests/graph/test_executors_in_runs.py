"""Runs whose bodies an executor runs: what stays with the run."""

import pytest

from plait_graph import GraphBuilder, InProcessExecutor, StepTimeout, reduce_list_append
from plait_graph.testing import TestClock


def over_items(body, **policy):
    """Start -> map -> a step whose bodies an executor runs -> a join -> end."""
    g = GraphBuilder(input_type=list, output_type=list)
    step = g.step(body, node_id='work', worker='process', **policy)
    join = g.join(reduce_list_append, initial_factory=list)
    g.add(g.edge_from(g.start_node).map().to(step), g.edge_from(step).to(join), g.edge_from(join).to(g.end_node))
    return g.build()


async def test_the_time_of_a_body_counts_from_when_it_is_called():
    """A body that waits until the executor has a place for it has all of its time left then."""
    clock = TestClock()

    async def work(ctx):
        await clock.wait_passed(6)
        return ctx.inputs

    async with InProcessExecutor(max_concurrency=1) as executor:
        graph = over_items(work, timeout=10)
        assert await graph.run(inputs=[1, 2, 3], executor=executor, clock=clock) == [1, 2, 3]

    assert clock.now() == 18


async def test_a_body_that_takes_too_long_is_stopped():
    """Its time-out is kept by the run, wherever it runs."""
    clock = TestClock()

    async def work(ctx):
        await clock.wait_passed(11)

    async with InProcessExecutor() as executor:
        with pytest.raises(StepTimeout, match=r"Step 'work' took longer than 10 s"):
            await over_items(work, timeout=10).run(inputs=[1], executor=executor, clock=clock)
