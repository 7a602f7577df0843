"""`run_sync` where an event loop runs already, as in a notebook: the run goes to a thread of its own."""

import asyncio
import threading

from plait_graph import GraphBuilder, StepContext

g = GraphBuilder(input_type=int, output_type=int)
threads: set[str] = set()


@g.step
async def double(ctx: StepContext[None, None, int]) -> int:
    threads.add(threading.current_thread().name)
    return ctx.inputs * 2


g.add(
    g.edge_from(g.start_node).to(double),
    g.edge_from(double).to(g.end_node),
)
graph = g.build()


async def cell_of_a_notebook() -> None:
    print(graph.run_sync(inputs=21))  # waits, and blocks this loop meanwhile
    print('in another thread:', 'MainThread' not in threads)
    print(await graph.run(inputs=4))  # better, where one can await


if __name__ == '__main__':
    asyncio.run(cell_of_a_notebook())

# Prints:
# 42
# in another thread: True
# 8
