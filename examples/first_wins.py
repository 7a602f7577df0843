"""First wins: the first answer is taken, and those who are still at work are cancelled."""

import asyncio

from plait_graph import GraphBuilder, ReduceFirstValue, StepContext

g = GraphBuilder(input_type=str, output_type=str)


@g.step
async def near_mirror(ctx: StepContext[None, None, str]) -> str:
    await asyncio.sleep(0.01)
    return f'{ctx.inputs} from the near mirror'


@g.step
async def far_mirror(ctx: StepContext[None, None, str]) -> str:
    try:
        await asyncio.sleep(3600)
        return f'{ctx.inputs} from the far mirror'
    finally:
        print('the far mirror was told to stop')


first = g.join(ReduceFirstValue[str](), initial='nothing', node_id='first')

g.add(
    g.edge_from(g.start_node).to(near_mirror, far_mirror),
    g.edge_from(near_mirror, far_mirror).to(first),
    g.edge_from(first).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    print(graph.run_sync(inputs='index.html'))

# Prints:
# the far mirror was told to stop
# index.html from the near mirror
