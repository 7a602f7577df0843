"""Class nodes: what `run` returns says where to go; they mix with function steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from plait_graph import BaseNode, Edge, End, GraphBuilder, GraphRunContext, StepContext


@dataclass
class Stock:
    coins: int = 0


@dataclass
class Insert(BaseNode[Stock, None, str]):
    """A node is its own input: its fields are what comes in."""

    coins: int

    async def run(self, ctx: GraphRunContext[Stock]) -> Vend | Annotated[Refuse, Edge('too little')]:
        ctx.state.coins += self.coins
        return Vend() if ctx.state.coins >= 3 else Refuse(missing=3 - ctx.state.coins)


@dataclass
class Refuse(BaseNode[Stock, None, str]):
    missing: int

    async def run(self, ctx: GraphRunContext[Stock]) -> Insert:
        print(f'{self.missing} more, please')
        return Insert(self.missing)


@dataclass
class Vend(BaseNode[Stock, None, str]):
    async def run(self, ctx: GraphRunContext[Stock]) -> End[str]:
        return End('a cup of tea')


g = GraphBuilder(state_type=Stock, input_type=int, output_type=str)


@g.step
async def take_coins(ctx: StepContext[Stock, None, int]) -> Insert:
    """A function step whose hint names a class node needs no edge of its own."""
    return Insert(ctx.inputs)


g.add(
    g.edge_from(g.start_node).to(take_coins),
    g.node(Insert),
    g.node(Refuse),
    g.node(Vend),
)
graph = g.build()

if __name__ == '__main__':
    print(graph.run_sync(state=Stock(), inputs=1))
    print(graph)

# Prints:
# 2 more, please
# a cup of tea
# stateDiagram-v2
#   take_coins
#   Insert
#   state decision <<choice>>
#   Refuse
#   Vend
#
#   [*] --> take_coins
#   take_coins --> Insert
#   Insert --> decision
#   decision --> Refuse: too little
#   decision --> Vend
#   Refuse --> Insert
#   Vend --> [*]
