"""A reducer of one's own, with the context: take values as they come until there are enough, then stop the rest."""

import asyncio
from dataclasses import dataclass

from plait_graph import GraphBuilder, ReducerContext, StepContext


@dataclass
class Budget:
    pages: int
    """How many pages are wanted."""
    fetched: int = 0


g = GraphBuilder(state_type=Budget, input_type=list[int], output_type=list[str])


@g.step
async def fetch(ctx: StepContext[Budget, None, int]) -> str:
    await asyncio.sleep(ctx.inputs / 100)
    ctx.state.fetched += 1
    return f'page {ctx.inputs}'


def until_enough(ctx: ReducerContext[Budget, None], pages: list[str], page: str) -> list[str]:
    pages.append(page)
    if len(pages) == ctx.state.pages:
        ctx.cancel_sibling_tasks()
    return pages


enough = g.join(until_enough, initial_factory=list[str], node_id='enough')

g.add(
    g.edge_from(g.start_node).map().to(fetch),
    g.edge_from(fetch).to(enough),
    g.edge_from(enough).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    budget = Budget(pages=2)
    print(graph.run_sync(state=budget, inputs=[900, 2, 800, 0, 700]))
    print('fetched:', budget.fetched)

# Prints:
# ['page 0', 'page 2']
# fetched: 2
