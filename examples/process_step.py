"""Process step: work that keeps a processor busy runs in processes, and one that would never end is killed."""

import os

from plait_graph import GraphBuilder, JoinPolicy, StepContext, reduce_list_append

g = GraphBuilder(input_type=list[int], output_type=list[tuple[int, bool]])


@g.step(worker='process', timeout=3600)
def count_steps(ctx: StepContext[None, None, int]) -> tuple[int, int]:
    """How many steps lead from a number to 1, if it is halved when even, else tripled and one added."""
    number, steps = ctx.inputs, 0
    while number != 1:  # from 0 there is no way, so this would run for an hour
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps, os.getpid()


@g.step
async def compare(ctx: StepContext[None, None, tuple[int, int]]) -> tuple[int, bool]:
    steps, pid = ctx.inputs
    return steps, pid == os.getpid()


counts = g.join(
    reduce_list_append,
    initial_factory=list[tuple[int, bool]],
    node_id='counts',
    policy=JoinPolicy(need=2),  # then what has not ended is stopped
)

g.add(
    g.edge_from(g.start_node).map().to(count_steps),
    g.edge_from(count_steps).to(compare),
    g.edge_from(compare).to(counts),
    g.edge_from(counts).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    for steps, is_here in graph.run_sync(inputs=[6, 27, 0]):
        print(steps, 'steps, counted', 'here' if is_here else 'in another process')

# Prints:
# 8 steps, counted in another process
# 111 steps, counted in another process
