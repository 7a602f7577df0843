"""Runs for callers that do not await."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar, cast

from plait_graph import Graph, GraphBuilder, StepContext

T = TypeVar('T')


def run_sync(start: Callable[[], Awaitable[T]]) -> T:
    """Await something from synchronous code, on the event loop of the thread, which is kept.

    Where a loop runs already, as in a notebook, it goes to a thread of its own. Ctrl-C cancels it, and its clean-up is
    waited for. The graph engine has all of this: what is awaited becomes its only step.
    """
    failures: list[Exception] = []

    async def work() -> T | None:
        try:
            return await start()
        except Exception as error:  # noqa: BLE001 # raised below, so that it says nothing of the step that has waited
            failures.append(error)
            return None

    value = waiting().run_sync(inputs=work)
    if failures:
        raise failures[0]
    return cast('T', value)


@cache
def waiting() -> Graph[None, None, Any, Any]:
    """A graph that awaits what it is given."""
    g = GraphBuilder(name='waiting', input_type=object, output_type=object)

    @g.step
    async def wait(ctx: StepContext[None, None, object]) -> object:
        return await cast('Callable[[], Awaitable[object]]', ctx.inputs)()

    g.add(g.edge_from(g.start_node).to(wait), g.edge_from(wait).to(g.end_node))
    return g.build()
