"""The floor: each program as a person would write it with asyncio and nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from programs import SMALL_GRAPH_ITEMS, Contender, Done, Gate, Program


async def _increment(value: int) -> int:
    return value + 1


async def _same(value: int) -> int:
    return value


async def _same_later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def _sum_of(body: Callable[[int], Coroutine[Any, Any, int]], values: range | tuple[int, ...]) -> int:
    """Run one task for each value and add up what they give."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(body(value)) for value in values]
    return sum(task.result() for task in tasks)


def one_step() -> Program:
    """Await one function."""

    async def program() -> int:
        return await _increment(0)

    return program


def chain(length: int) -> Program:
    """Await functions one after the other, each with the value of the one before."""
    steps = [_increment] * length

    async def program() -> int:
        value = 0
        for step in steps:
            value = await step(value)
        return value

    return program


def loop(turns: int) -> Program:
    """Await a function until what it returns says stop."""

    async def turn(value: int) -> int | Done:
        return value + 1 if value + 1 < turns else Done(turns)

    async def program() -> int:
        value: int | Done = 0
        while isinstance(value, int):
            value = await turn(value)
        return value.turns

    return program


def map_noop(items: int) -> Program:
    """A task for each item, none of which ever waits."""

    async def program() -> int:
        return await _sum_of(_same, range(items))

    return program


def map_suspending(items: int) -> Program:
    """A task for each item, each of which lets the event loop turn once."""

    async def program() -> int:
        return await _sum_of(_same_later, range(items))

    return program


def broadcast(branches: int) -> Program:
    """A task for each of several functions, all with the same value."""
    steps = [_increment] * branches

    async def program() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step(0)) for step in steps]
        return sum(task.result() for task in tasks)

    return program


def many_runs(count: int) -> Program:
    """Many small fork-and-joins in one event loop, all open at the same time."""

    async def run(gate: Gate) -> int:
        await gate.wait_full()
        return await _sum_of(_same, SMALL_GRAPH_ITEMS)

    async def program() -> int:
        gate = Gate(count)
        return sum(await asyncio.gather(*(run(gate) for _ in range(count))))

    return program


CONTENDER = Contender(
    name='asyncio',
    distribution=None,
    one_step=one_step,
    chain=chain,
    loop=loop,
    map_noop=map_noop,
    map_suspending=map_suspending,
    broadcast=broadcast,
    many_runs=many_runs,
)
