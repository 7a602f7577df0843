"""Right: class nodes, alone and mixed with functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, assert_type

from plait_graph import (
    BaseNode,
    Edge,
    End,
    GraphBuilder,
    GraphRunContext,
    Join,
    JoinNode,
    StepContext,
    StepNode,
    reduce_sum,
)

g = GraphBuilder(state_type=list[str], deps_type=int, input_type=int, output_type=str)


@g.step
async def show(ctx: StepContext[list[str], int, int]) -> str:
    return str(ctx.inputs)


total: Join[list[str], int, int, int] = g.join(reduce_sum, initial=0)


@dataclass
class Begin(BaseNode[list[str], int, str]):
    number: int

    async def run(self, ctx: GraphRunContext[list[str], int]) -> Repeat | Annotated[End[str], Edge('large')]:
        ctx.state.append('begin')
        return Repeat(self.number) if self.number < ctx.deps else End('done')


@dataclass
class Repeat(BaseNode[list[str], int]):
    number: int

    async def run(
        self, ctx: GraphRunContext[list[str], int]
    ) -> Begin | Annotated[StepNode[list[str], int], show] | Annotated[JoinNode[list[str], int], total]:
        if self.number == 1:
            return show.as_node(self.number)
        if self.number == 2:
            return total.as_node(self.number)
        return Begin(self.number + 1)


@g.step
async def make(ctx: StepContext[list[str], int, int]) -> Begin:
    return Begin(ctx.inputs)


@g.step
async def choose(ctx: StepContext[list[str], int, int]) -> Begin | Repeat:
    return Begin(ctx.inputs) if ctx.inputs else Repeat(0)


g.add(
    g.node(Begin),
    g.node(Repeat),
    g.edge_from(g.start_node).to(make, choose),
    g.edge_from(choose).to(g.decision().branch(g.match_node(Begin)).branch(g.match_node(Repeat))),
    g.edge_from(show).to(g.end_node),
    g.edge_from(total).to(show),
)
assert_type(g.build().run_sync(state=[], deps=3, inputs=1), str)
