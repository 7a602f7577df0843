"""Find the race: two steps read, wait and write the same number, and `any_order` shows how a sale gets lost."""

from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from plait_graph import GraphBuilder, StepContext, reduce_null
from plait_graph.testing import OrderDependence, any_order


@dataclass
class Stock:
    sold: int = 0


g = GraphBuilder(name='shop', state_type=Stock)


@g.step
async def web_shop(ctx: StepContext[Stock, None, None]) -> None:
    sold = ctx.state.sold
    await checkpoint()  # asks the bank
    ctx.state.sold = sold + 1


@g.step
async def counter(ctx: StepContext[Stock, None, None]) -> None:
    sold = ctx.state.sold
    await checkpoint()  # prints a receipt
    ctx.state.sold = sold + 1


closed = g.join(reduce_null, initial=None, node_id='closed')

g.add(
    g.edge_from(g.start_node).to(web_shop, counter),
    g.edge_from(web_shop, counter).to(closed),
    g.edge_from(closed).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    try:
        any_order(graph, state=Stock())
    except OrderDependence as error:
        print(error)

# Prints:
# The outcome of graph 'shop' depends on the order of its steps.
#
# state.sold is 1, and 2 in the plain order
#
# In this order, the shortest found (by few switches):
#   1. step 'web_shop' began, and ran until it waited at find_the_race.py:22: await checkpoint()  # asks the bank
#   2. step 'counter' began, and ran until it ended
#   3. step 'web_shop' went on until it ended
#   and so: output None, state Stock(sold=1)
#
# In the plain order:
#   1. step 'web_shop' began, and ran until it ended
#   2. step 'counter' began, and ran until it ended
#   and so: output None, state Stock(sold=2)
#
# Repeat it with any_order(..., order=[0, 1]).
