"""Map-reduce over a stream: three items are in flight at most, and the stream waits for a free place."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from plait_graph import GraphBuilder, StepContext, reduce_sum


@dataclass
class Gauge:
    """Counts what is under way."""

    produced: int = 0
    finished: int = 0
    most_in_flight: int = 0


g = GraphBuilder(state_type=Gauge, input_type=int, output_type=int)


@g.stream
async def numbers(ctx: StepContext[Gauge, None, int]) -> AsyncIterator[int]:
    gauge = ctx.state
    for number in range(ctx.inputs):
        gauge.produced += 1
        gauge.most_in_flight = max(gauge.most_in_flight, gauge.produced - gauge.finished)
        yield number


@g.step
async def square(ctx: StepContext[Gauge, None, int]) -> int:
    await asyncio.sleep(0)  # real work would wait for something here
    ctx.state.finished += 1
    return ctx.inputs**2


total = g.join(reduce_sum, initial=0)

g.add(
    g.edge_from(g.start_node).to(numbers),
    g.edge_from(numbers).map(limit=3).to(square),
    g.edge_from(square).to(total),
    g.edge_from(total).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    gauge = Gauge()
    print('sum of squares:', graph.run_sync(state=gauge, inputs=100))
    print('most in flight:', gauge.most_in_flight)

# Prints:
# sum of squares: 328350
# most in flight: 3
