"""Right: decisions that handle all that can reach them."""

from typing import Literal

from plait_graph import GraphBuilder, StepContext, TypeExpression

g = GraphBuilder(input_type=TypeExpression[int | str | list[int]], output_type=str)


@g.step
async def classify(ctx: StepContext[None, None, int | str | list[int]]) -> int | str | list[int]:
    return ctx.inputs


@g.step
async def take_int(ctx: StepContext[None, None, int]) -> str:
    return str(ctx.inputs)


@g.step
async def take_str(ctx: StepContext[None, None, str]) -> Literal['yes', 'no']:
    return 'yes' if ctx.inputs else 'no'


@g.step
async def take_any(ctx: StepContext[None, None, object]) -> str:
    return repr(ctx.inputs)


@g.step
async def take_yes(ctx: StepContext[None, None, Literal['yes']]) -> str:
    return ctx.inputs


by_type = (
    g.decision(note='by type')
    .branch(g.match(int).to(take_int))
    .branch(g.match(str).label('text').to(take_str))
    .branch(g.match(TypeExpression[list[int]], matches=lambda value: isinstance(value, list)).map().to(take_int))
)
by_word = (
    g.decision()
    .branch(g.match(TypeExpression[Literal['yes']]).to(take_yes))
    .branch(g.match(TypeExpression[Literal['no']]).transform(lambda ctx: len(ctx.inputs)).to(take_int))
)
catch_all = g.decision().branch(g.match(int, matches=lambda value: value > 3).to(take_int))
catch_all = catch_all.branch(g.match(object).to(take_any))

g.add(
    g.edge_from(g.start_node).to(classify),
    g.edge_from(classify).to(by_type),
    g.edge_from(take_str).to(by_word),
    g.edge_from(take_int).to(catch_all),
    g.edge_from(take_any, take_yes).to(g.end_node),
)
graph = g.build()
