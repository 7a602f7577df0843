"""A graph as a step: written once, used inside of another one, with inputs of its own."""

from plait_graph import GraphBuilder, StepContext, reduce_list_append, reduce_sum

# The inner graph: the sum of the squares of a list.
inner = GraphBuilder(name='sum of squares', input_type=list[int], output_type=int)


@inner.step
async def square(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs**2


total = inner.join(reduce_sum, initial=0)
inner.add(
    inner.edge_from(inner.start_node).map().to(square),
    inner.edge_from(square).to(total),
    inner.edge_from(total).to(inner.end_node),
)
sum_of_squares = inner.build()

# The outer graph runs it once for each number that it is given.
outer = GraphBuilder(input_type=list[int], output_type=list[int])
up_to = sum_of_squares.as_step(node_id='up_to', inputs=lambda ctx: list(range(1, ctx.inputs + 1)))
results = outer.join(reduce_list_append, initial_factory=list[int])
outer.add(
    outer.edge_from(outer.start_node).map().to(up_to),
    outer.edge_from(up_to).to(results),
    outer.edge_from(results).to(outer.end_node),
)
graph = outer.build()

if __name__ == '__main__':
    print(sum_of_squares.run_sync(inputs=[1, 2, 3]))
    print(graph.run_sync(inputs=[1, 2, 3, 4]))

# Prints:
# 14
# [1, 5, 14, 30]
