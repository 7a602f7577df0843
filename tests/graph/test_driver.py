"""What a driver keeps while it works."""

from plait_graph import GraphBuilder, StepContext, reduce_sum
from plait_graph._run.driver import Driver
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment


async def test_nothing_is_kept_of_a_source_that_was_read():
    """A driver forgets an async source when it has been read, so that a loop over streams runs in flat memory."""
    g = GraphBuilder(input_type=int, output_type=int)

    @g.stream
    async def items(ctx: StepContext[None, None, int]):
        yield ctx.inputs
        yield ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(items),
        g.edge_from(items).map().to(total),
        g.edge_from(total).to(g.end_node),
    )
    driver = Driver(Scheduler(g.build().plan, Evaluator(), Environment(None, None)))

    assert await driver.run(2) == 4
    assert driver._reading is not None
    assert not driver._reading._readers
