"""A loop: a decision sends the value back to the step until it is right."""

from dataclasses import dataclass

from plait_graph import GraphBuilder, StepContext


@dataclass
class Log:
    """The state: one object that all steps of a run share."""

    seen: list[int]


g = GraphBuilder(state_type=Log, input_type=int, output_type=int)


@g.step
async def collatz(ctx: StepContext[Log, None, int]) -> int:
    ctx.state.seen.append(ctx.inputs)
    return ctx.inputs // 2 if ctx.inputs % 2 == 0 else 3 * ctx.inputs + 1


is_one = (
    g.decision(node_id='is_one')
    .branch(g.match(int, matches=lambda value: value == 1).label('yes').to(g.end_node))
    .branch(g.match(int).label('not yet').to(collatz))
)

g.add(
    g.edge_from(g.start_node).to(collatz),
    g.edge_from(collatz).to(is_one),
)
graph = g.build()

if __name__ == '__main__':
    log = Log([])
    print(graph.run_sync(state=log, inputs=6), 'after', log.seen)

# Prints:
# 1 after [6, 3, 10, 5, 16, 8, 4, 2]
