"""Broadcast and join: one value goes to three steps at once, and their answers come together in order."""

from plait_graph import GraphBuilder, StepContext, reduce_list_append

g = GraphBuilder(input_type=str, output_type=list[str])


@g.step
async def count(ctx: StepContext[None, None, str]) -> str:
    return f'{len(ctx.inputs.split())} words'


@g.step
async def longest(ctx: StepContext[None, None, str]) -> str:
    return f'longest: {max(ctx.inputs.split(), key=len)}'


@g.step
def initials(ctx: StepContext[None, None, str]) -> str:  # a plain function runs in a thread
    return 'initials: ' + ''.join(word[0] for word in ctx.inputs.split())


answers = g.join(reduce_list_append, initial_factory=list[str])

g.add(
    g.edge_from(g.start_node).to(count, longest, initials),
    g.edge_from(count, longest, initials).to(answers),
    g.edge_from(answers).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    # In the order in which the branches were written, whichever of them is done first.
    print(graph.run_sync(inputs='many hands make light work'))

# Prints:
# ['5 words', 'longest: hands', 'initials: mhmlw']
