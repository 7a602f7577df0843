"""Steering: look at a run node by node, take tasks out of it, and go on after an error."""

import asyncio

from plait_graph import EndMarker, GraphBuilder, GraphTaskRequest, StepContext, reduce_sum

g = GraphBuilder(input_type=list[str], output_type=int)


@g.step
async def parse(ctx: StepContext[None, None, str]) -> int:
    return int(ctx.inputs)


total = g.join(reduce_sum, initial=0, node_id='total')

g.add(
    g.edge_from(g.start_node).map(fork_id='each').to(parse),
    g.edge_from(parse).to(total),
    g.edge_from(total).to(g.end_node),
)
graph = g.build()


async def main() -> None:
    async with graph.iter(inputs=['1', '2', 'many', 'skip', '4']) as run:
        while True:
            try:
                event = await anext(run)
            except StopAsyncIteration:
                break
            except ValueError as error:
                # `run.next_task` is an ErrorMarker now. Hand a value to the join in the place of the one that failed.
                print('recovered from:', error)
                run.override_next([GraphTaskRequest(total.id, 100)])
                continue
            if isinstance(event, EndMarker):
                print('ended with', event.value)
            elif event[0].node_id == parse.id:
                # Tasks that were shown have not started. Leave one of them out.
                kept = [task for task in event if task.inputs != 'skip']
                print('about to parse', [task.inputs for task in kept])
                run.override_next(kept)
    print('output:', run.output)


if __name__ == '__main__':
    asyncio.run(main())

# Prints:
# about to parse ['1', '2', 'many', '4']
# recovered from: invalid literal for int() with base 10: 'many'
# ended with 107
# output: 107
