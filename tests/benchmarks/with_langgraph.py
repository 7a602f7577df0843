"""LangGraph's StateGraph, as its guides use it: no checkpointer, no tracing.

It has no join that folds values; a channel with `operator.add` as its reducer stands in for one.
It has no analysis of forks and joins at build time either, hence no `build` to compare with.
"""

import asyncio
import operator
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from programs import Contender, Program

# Nothing must leave the machine, and nobody is to be measured with tracing.
os.environ['LANGSMITH_TRACING'] = os.environ['LANGCHAIN_TRACING_V2'] = 'false'

# A turn of a loop is a superstep there; no program may end for having had too many of them.
_NO_LIMIT: Any = {'recursion_limit': 1_000_000}


class _Value(TypedDict):
    value: int


class _Total(TypedDict):
    items: range
    total: Annotated[int, operator.add]


class _Item(TypedDict):
    value: int


async def _increment(state: _Value) -> _Value:
    return {'value': state['value'] + 1}


async def _add(state: _Item) -> dict[str, int]:
    return {'total': state['value']}


async def _add_later(state: _Item) -> dict[str, int]:
    await asyncio.sleep(0)
    return {'total': state['value']}


async def _add_one(state: _Total) -> dict[str, int]:
    return {'total': 1}


def one_step() -> Program:
    """START -> node -> END."""
    return chain(1)


def chain(length: int) -> Program:
    """START -> node -> node -> ... -> END."""
    g: Any = StateGraph(_Value)
    names = [f'step_{number}' for number in range(length)]
    for name in names:
        g.add_node(name, _increment)
    for source, destination in zip([START, *names], [*names, END], strict=True):
        g.add_edge(source, destination)
    graph = g.compile()

    async def program() -> int:
        return (await graph.ainvoke({'value': 0}, _NO_LIMIT))['value']

    return program


def loop(turns: int) -> Program:
    """node <-> conditional edge, until the counter is up."""

    def again(state: _Value) -> str:
        return 'turn' if state['value'] < turns else END

    g: Any = StateGraph(_Value)
    g.add_node('turn', _increment)
    g.add_edge(START, 'turn')
    g.add_conditional_edges('turn', again, ['turn', END])
    graph = g.compile()

    async def program() -> int:
        return (await graph.ainvoke({'value': 0}, _NO_LIMIT))['value']

    return program


def _map(items: int, body: Callable[[_Item], Awaitable[dict[str, int]]]) -> Program:
    def spread(state: _Total) -> list[Send]:
        return [Send('body', {'value': value}) for value in state['items']]

    g: Any = StateGraph(_Total)
    g.add_node('body', body)
    g.add_conditional_edges(START, spread, ['body'])
    g.add_edge('body', END)
    graph = g.compile()

    async def program() -> int:
        return (await graph.ainvoke({'items': range(items), 'total': 0}, _NO_LIMIT))['total']

    return program


def map_noop(items: int) -> Program:
    """START -> one Send an item -> node -> summing channel; the node never waits."""
    return _map(items, _add)


def map_suspending(items: int) -> Program:
    """START -> one Send an item -> node -> summing channel; the node lets the loop turn once."""
    return _map(items, _add_later)


def broadcast(branches: int) -> Program:
    """START -> (node, node, ...) -> summing channel."""
    g: Any = StateGraph(_Total)
    for number in range(branches):
        g.add_node(f'step_{number}', _add_one)
        g.add_edge(START, f'step_{number}')
        g.add_edge(f'step_{number}', END)
    graph = g.compile()

    async def program() -> int:
        return (await graph.ainvoke({'total': 0}, _NO_LIMIT))['total']

    return program


CONTENDER = Contender(
    name='langgraph',
    distribution='langgraph',
    one_step=one_step,
    chain=chain,
    loop=loop,
    map_noop=map_noop,
    map_suspending=map_suspending,
    broadcast=broadcast,
)
