"""Right: chains, plain and async steps, transforms, labels, broadcasts, decorators with and without arguments."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, assert_type

from plait_graph import Graph, GraphBuilder, Step, StepContext, TypeExpression


@dataclass
class Basket:
    items: list[str]


@dataclass
class Prices:
    apple: float


g = GraphBuilder(state_type=Basket, deps_type=Prices, input_type=str, output_type=float)


@g.step
async def pick(ctx: StepContext[Basket, Prices, str]) -> int:
    ctx.state.items.append(ctx.inputs)
    return len(ctx.state.items)


@g.step(node_id='weigh', label='Weigh it')
def weigh(ctx: StepContext[Basket, Prices, int]) -> float:
    return ctx.inputs * ctx.deps.apple


@g.step
async def round_up(ctx: StepContext[Basket, Prices, float]) -> float:
    return ctx.inputs + 1


async def cheap(ctx: StepContext[Basket, Prices, int]) -> float:
    return 0.5


cheap_step = g.step(cheap, node_id='cheap')


def later(ctx: StepContext[Basket, Prices, int]) -> Awaitable[float]:
    return cheap(ctx)


later_step = g.step(later)

assert_type(pick, Step[Basket, Prices, str, int])
assert_type(weigh, Step[Basket, Prices, int, float])
assert_type(cheap_step, Step[Basket, Prices, int, float])
assert_type(later_step, Step[Basket, Prices, int, float])


# A step may say less of what it needs than the graph has to give.
@g.step
async def log(ctx: StepContext[object, Any, object]) -> None:
    print(ctx.inputs)


def to_float(ctx: StepContext[Basket, Prices, int]) -> float:
    return float(ctx.inputs)


g.add(
    g.edge_from(g.start_node).to(pick),
    g.edge_from(pick).label('number').to(weigh, cheap_step, later_step, log),
    g.edge_from(pick).transform(to_float).to(round_up),
    g.edge_from(pick).broadcast(lambda path: [path.to(weigh), path.transform(to_float).to(round_up)]),
    g.edge_from(weigh, cheap_step).to(round_up),
    g.edge_from(round_up).to(g.end_node),
)
g.add_edge(weigh, round_up, label='again')

graph = g.build()
assert_type(graph, Graph[Basket, Prices, str, float])


async def main() -> None:
    output = await graph.run(state=Basket([]), deps=Prices(1.0), inputs='apple')
    assert_type(output, float)
    assert_type(graph.run_sync(state=Basket([]), deps=Prices(1.0), inputs='apple', max_concurrency=2), float)


# A graph without state, dependencies and inputs.
bare = GraphBuilder(output_type=str)


@bare.step
async def hello(ctx: StepContext[None, None, None]) -> str:
    return 'hello'


bare.add(bare.edge_from(bare.start_node).to(hello), bare.edge_from(hello).to(bare.end_node))
assert_type(bare.build().run_sync(), str)

# Types that are no classes.
either = GraphBuilder(input_type=TypeExpression[int | str], output_type=TypeExpression[str | None])


@either.step
async def show(ctx: StepContext[None, None, int | str]) -> str | None:
    return str(ctx.inputs) or None


either.add(either.edge_from(either.start_node).to(show), either.edge_from(show).to(either.end_node))
assert_type(either.build().run_sync(inputs=1), str | None)
assert_type(either.build().run_sync(inputs='a'), str | None)

# A subgraph is a step.
outer = GraphBuilder(input_type=str, output_type=float)
inner = graph.as_step(node_id='inner', state=lambda ctx: Basket([]), deps=lambda ctx: Prices(2.0))
outer.add(outer.edge_from(outer.start_node).to(inner), outer.edge_from(inner).to(outer.end_node))
assert_type(outer.build().run_sync(inputs='pear'), float)
