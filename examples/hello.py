"""A chain: two steps, one after the other."""

from plait_graph import GraphBuilder, StepContext

g = GraphBuilder(input_type=str, output_type=str)


@g.step
async def greet(ctx: StepContext[None, None, str]) -> str:
    return f'hello, {ctx.inputs}'


@g.step
async def shout(ctx: StepContext[None, None, str]) -> str:
    return f'{ctx.inputs.upper()}!'


g.add(
    g.edge_from(g.start_node).to(greet),
    g.edge_from(greet).to(shout),
    g.edge_from(shout).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    print(graph.run_sync(inputs='Ada'))

# Prints:
# HELLO, ADA!
