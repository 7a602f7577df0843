"""Plait, as its guides use it.

Graphs are built outside of the measured program (except in `build`) and have a name, so that no
run looks for one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from itertools import pairwise
from typing import Any

from plait_graph import GraphBuilder, StepContext, reduce_sum
from programs import SMALL_GRAPH_ITEMS, Contender, Done, Gate, Program


async def _increment(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs + 1


async def _same(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs


async def _same_later(ctx: StepContext[None, None, int]) -> int:
    await asyncio.sleep(0)
    return ctx.inputs


async def _as_list(ctx: StepContext[None, None, int]) -> list[int]:
    return [ctx.inputs]


def one_step() -> Program:
    """start -> step -> end."""
    return chain(1)


def chain(length: int) -> Program:
    """start -> step -> step -> ... -> end."""
    g = GraphBuilder(name='chain', input_type=int, output_type=int)
    steps = [g.step(_increment, node_id=f'step_{number}') for number in range(length)]
    g.add_edge(g.start_node, steps[0])
    for source, destination in pairwise(steps):
        g.add_edge(source, destination)
    g.add_edge(steps[-1], g.end_node)
    graph = g.build()

    async def program() -> int:
        return await graph.run(inputs=0)

    return program


def loop(turns: int) -> Program:
    """step <-> decision, until the step says stop."""
    g = GraphBuilder(name='loop', input_type=int, output_type=Done)

    @g.step
    async def turn(ctx: StepContext[None, None, int]) -> int | Done:
        return ctx.inputs + 1 if ctx.inputs + 1 < turns else Done(turns)

    g.add(
        g.edge_from(g.start_node).to(turn),
        g.edge_from(turn).to(g.decision().branch(g.match(int).to(turn)).branch(g.match(Done).to(g.end_node))),
    )
    graph = g.build()

    async def program() -> int:
        return (await graph.run(inputs=0)).turns

    return program


def _map(items: int, *, suspending: bool) -> Program:
    g = GraphBuilder(name='map', input_type=Iterable[int], output_type=int)
    body = g.step(_same_later if suspending else _same, node_id='body')
    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(body),
        g.edge_from(body).to(total),
        g.edge_from(total).to(g.end_node),
    )
    graph = g.build()

    async def program() -> int:
        return await graph.run(inputs=range(items))

    return program


def map_noop(items: int) -> Program:
    """start -> map -> step -> join -> end with a step that never waits."""
    return _map(items, suspending=False)


def map_suspending(items: int) -> Program:
    """start -> map -> step -> join -> end with a step that lets the event loop turn once."""
    return _map(items, suspending=True)


def broadcast(branches: int) -> Program:
    """start -> fork -> (step, step, ...) -> join -> end."""
    g = GraphBuilder(name='broadcast', input_type=int, output_type=int)
    steps = [g.step(_increment, node_id=f'step_{number}') for number in range(branches)]
    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(*steps),
        g.edge_from(*steps).to(total),
        g.edge_from(total).to(g.end_node),
    )
    graph = g.build()

    async def program() -> int:
        return await graph.run(inputs=0)

    return program


def many_runs(count: int) -> Program:
    """Many runs of start -> step -> map -> step -> join -> end, all open at the same time."""
    g = GraphBuilder(name='small', deps_type=Gate, output_type=int)

    @g.step
    async def arrive(ctx: StepContext[None, Gate, None]) -> tuple[int, ...]:
        await ctx.deps.wait_full()
        return SMALL_GRAPH_ITEMS

    @g.step
    async def body(ctx: StepContext[None, Gate, int]) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(arrive),
        g.edge_from(arrive).map().to(body),
        g.edge_from(body).to(total),
        g.edge_from(total).to(g.end_node),
    )
    graph = g.build()

    async def program() -> int:
        gate = Gate(count)
        return sum(await asyncio.gather(*(graph.run(deps=gate) for _ in range(count))))

    return program


def build(steps: int, joins: int) -> Program:
    """Declare and build `joins` stretches of step -> map -> chain -> join, one after the other."""
    chain_length = steps // joins - 1

    async def program() -> int:
        g = GraphBuilder(name='long', input_type=int, output_type=int)
        source = g.start_node
        for stretch in range(joins):
            head = g.step(_as_list, node_id=f'head_{stretch}')
            body = [g.step(_same, node_id=f'step_{stretch}_{number}') for number in range(chain_length)]
            total = g.join(reduce_sum, initial=0)
            g.add(g.edge_from(source).to(head), g.edge_from(head).map().to(body[0]))
            for before, after in pairwise(body):
                g.add(g.edge_from(before).to(after))
            g.add(g.edge_from(body[-1]).to(total))
            source = total
        g.add(g.edge_from(source).to(g.end_node))
        return len(g.build().nodes)

    return program


def isolated_state(fields: int) -> Callable[[int], Program]:
    """A chain of steps that each change one field of an isolated state; all fields hold lists."""

    def program_of(length: int) -> Program:
        async def append(ctx: StepContext[dict[str, list[int]], None, int]) -> int:
            ctx.state['touched'].append(ctx.inputs)
            ctx.state['touched'].pop()
            ctx.state['count'] = [ctx.inputs]
            return ctx.inputs + 1

        g = GraphBuilder(name='isolated', state_type=dict, input_type=int, output_type=int, isolated_state=True)
        steps = [g.step(append, node_id=f'step_{number}') for number in range(length)]
        g.add_edge(g.start_node, steps[0])
        for source, destination in pairwise(steps):
            g.add_edge(source, destination)
        g.add_edge(steps[-1], g.end_node)
        graph = g.build()
        state = {'touched': [1, 2, 3], 'count': [0]} | {f'field_{number}': [number] for number in range(fields)}

        async def program() -> int:
            return await graph.run(state=state, inputs=0)

        return program

    return program_of


def map_of_generator(limit: int) -> Callable[[int], Coroutine[Any, Any, int]]:
    """Map over a generator, with a limit, into a summing join; the number of items comes later."""
    g = GraphBuilder(name='flow', input_type=Iterable[int], output_type=int)
    body = g.step(_same, node_id='body')
    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map(limit=limit).to(body),
        g.edge_from(body).to(total),
        g.edge_from(total).to(g.end_node),
    )
    graph = g.build()

    async def run(items: int) -> int:
        return await graph.run(inputs=(item for item in range(items)))

    return run


CONTENDER = Contender(
    name='plait',
    distribution='plait-graph',
    one_step=one_step,
    chain=chain,
    loop=loop,
    map_noop=map_noop,
    map_suspending=map_suspending,
    broadcast=broadcast,
    many_runs=many_runs,
    build=build,
)
