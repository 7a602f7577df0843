"""Right: maps over lists, generators and streams, all reducers, reducers of one's own."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import assert_type

from plait_graph import (
    GraphBuilder,
    Join,
    ReduceFirstValue,
    ReducerContext,
    Step,
    StepContext,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)

g = GraphBuilder(state_type=list[str], input_type=list[str], output_type=int)


@g.step
async def measure(ctx: StepContext[list[str], None, str]) -> int:
    return len(ctx.inputs)


@g.step
async def split(ctx: StepContext[list[str], None, str]) -> list[int]:
    return [ord(letter) for letter in ctx.inputs]


@g.step
async def total(ctx: StepContext[list[str], None, list[int]]) -> int:
    return sum(ctx.inputs)


@g.stream
async def words(ctx: StepContext[list[str], None, list[str]]) -> AsyncIterator[str]:
    for word in ctx.inputs:
        yield word


@g.stream(node_id='upper')
async def upper_words(ctx: StepContext[list[str], None, list[str]]) -> AsyncIterator[str]:
    for word in ctx.inputs:
        yield word.upper()


assert_type(words, Step[list[str], None, list[str], AsyncIterable[str]])
assert_type(upper_words, Step[list[str], None, list[str], AsyncIterable[str]])

numbers = g.join(reduce_list_append, initial_factory=list[int])
more_numbers = g.join(reduce_list_extend, initial_factory=list[int], preferred_parent_fork='closest')
by_name = g.join(reduce_dict_update, initial_factory=dict[str, int], order='input')
summed = g.join(reduce_sum, initial=0)
nothing = g.join(reduce_null, initial=None)
first = g.join(ReduceFirstValue[int](), initial=0)


def longest(current: str, value: str) -> str:
    return max(current, value, key=len)


def until_hundred(ctx: ReducerContext[list[str], None], current: int, value: int) -> int:
    ctx.state.append(str(value))
    if current + value >= 100:
        ctx.cancel_sibling_tasks()
    return current + value


def count(ctx: ReducerContext[object, object], current: int, value: object) -> int:
    return current + 1


assert_type(g.join(longest, initial=''), Join[list[str], None, str, str])
until = g.join(until_hundred, initial=0)
counted = g.join(count, initial=0)
assert_type(until, Join[list[str], None, int, int])

g.add(
    g.edge_from(g.start_node).map(limit=8).to(measure),
    g.edge_from(g.start_node).map(fork_id='each').label('word').to(split),
    g.edge_from(g.start_node).to(words, upper_words),
    g.edge_from(words).map().to(measure),
    g.edge_from(upper_words).map(downstream_join_id='count').to(counted),
    g.edge_from(measure).to(numbers, summed, nothing, first, until, counted),
    g.edge_from(split).to(more_numbers),
    g.edge_from(split).map().to(summed),
    g.edge_from(numbers, more_numbers).to(total),
    g.edge_from(total, summed, first, until, counted).to(g.end_node),
)
g.add_mapping_edge(g.start_node, measure, pre_map_label='words', post_map_label='word')

nested = GraphBuilder(input_type=list[list[int]], output_type=int)


@nested.step
async def double(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs * 2


everything = nested.join(reduce_sum, initial=0)
nested.add(
    nested.edge_from(nested.start_node).map().map().to(double),
    nested.edge_from(double).to(everything),
    nested.edge_from(everything).to(nested.end_node),
)
assert_type(nested.build().run_sync(inputs=[[1, 2], [3]]), int)
