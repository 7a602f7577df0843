"""Shared limit: two graphs that run at the same time call one server, and never more than three at once."""

import asyncio

from plait_graph import Graph, GraphBuilder, Limit, StepContext, reduce_sum

server = Limit('server', in_flight=3)


class Gauge:
    """Counts who is at the server."""

    now = 0
    most = 0

    async def call(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1


def build(name: str) -> Graph[None, Gauge, int, int]:
    g = GraphBuilder(name=name, deps_type=Gauge, input_type=int, output_type=int)

    @g.step(limit=server)
    async def ask(ctx: StepContext[None, Gauge, int]) -> int:
        await ctx.deps.call()
        return 1

    answers = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).transform(lambda ctx: range(ctx.inputs)).map().to(ask),
        g.edge_from(ask).to(answers),
        g.edge_from(answers).to(g.end_node),
    )
    return g.build()


async def main() -> None:
    gauge = Gauge()
    catalogue, checkout = build('catalogue'), build('checkout')
    answers = await asyncio.gather(catalogue.run(deps=gauge, inputs=50), checkout.run(deps=gauge, inputs=20))
    print('answers:', answers)
    print('at once:', gauge.most)
    print('in all:', server.statistics().granted)


if __name__ == '__main__':
    asyncio.run(main())

# Prints:
# answers: [50, 20]
# at once: 3
# in all: 70
