"""Steps whose bodies follow a script, and graphs in which they stand for the real ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio

from plait_graph._compile.plan import PlanNode
from plait_graph._typevars import Deps, Input, Output, State
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.graph import Graph
from plait_graph.step import Step, StepContext

__all__ = 'FakeStep', 'Gate', 'replace_steps'


class Gate:
    """Where fake steps wait until a test lets them go on.

    Args:
        name: What to call it.
    """

    def __init__(self, name: str = 'gate'):
        self.name = name
        self.waiting = 0
        """How many wait."""
        self._opened = anyio.Event()
        self._reached = anyio.Event()

    def open(self) -> None:
        """Let all who wait go on, and those who come later pass."""
        self._opened.set()

    async def wait_reached(self) -> None:
        """Wait until somebody has come to the gate."""
        await self._reached.wait()

    async def wait_open(self) -> None:
        """Wait until the gate is open."""
        self.waiting += 1
        self._reached.set()
        try:
            await self._opened.wait()
        finally:
            self.waiting -= 1

    def __repr__(self) -> str:
        return f'<Gate {self.name!r}, {"open" if self._opened.is_set() else f"closed, {self.waiting} waiting"}>'


class FakeStep:
    """A body for a step that answers from a list.

    Give it to `GraphBuilder.step(..., node_id=...)`, or to `replace_steps`. Its script goes on from run to run, so for
    `any_order`, which runs a graph often, let one answer repeat.

    Args:
        answers: What each call gives, in turn: an exception is raised, any other value returned.
        repeats: Whether the last answer is given again to all further calls; otherwise they are refused.
        gate: Where each call waits first.
        name: What to call it in messages, and as a step.
    """

    def __init__(self, *answers: Any, repeats: bool = False, gate: Gate | None = None, name: str = 'fake'):
        if repeats and not answers:
            raise GraphSetupError(f'FakeStep {name!r} is to repeat its last answer, and has none. Give one.')
        self.__name__ = name
        self.answers = answers
        self.repeats = repeats
        self.gate = gate
        self.calls: list[Any] = []
        """The inputs of each call, in the order of the calls."""

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self.calls)

    async def __call__(self, ctx: StepContext[Any, Any, Any]) -> Any:
        """Note the call, wait at the gate, and give the next answer.

        Raises:
            Exception: The answer is one.
            GraphRuntimeError: No answer is left.
        """
        self.calls.append(ctx.inputs)
        number = self.count
        if self.gate is not None:
            await self.gate.wait_open()
        answer = self._answer(number)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _answer(self, number: int) -> Any:
        if number > len(self.answers) and not self.repeats:
            raise GraphRuntimeError(
                f'FakeStep {self.__name__!r} was called {number} times, the last time with {self.calls[number - 1]!r}, '
                f'and has {len(self.answers)} answers. Give it more, or repeats=True.'
            )
        return self.answers[min(number, len(self.answers)) - 1]

    def __repr__(self) -> str:
        return f'<FakeStep {self.__name__!r}, {self.count} calls, {len(self.answers)} answers>'


def replace_steps(
    graph: Graph[State, Deps, Input, Output], bodies: Mapping[str, Callable[[StepContext[Any, Any, Any]], Any]]
) -> Graph[State, Deps, Input, Output]:
    """A graph that is like another one, with other bodies in some of its steps; the other one stays as it is.

    The steps keep their policies, except that nothing is cached: what a fake gives is kept for nobody. For `run`,
    `run_sync` and `iter`, and for the tools of this package. `as_step` uses the real bodies.

    Args:
        graph: The graph.
        bodies: By the id of a step (`subgraph/step` within a subgraph), what is called instead: a `FakeStep`, or any
            function that a step can be made of. In the place of a stream, it gives the items as a list.

    Raises:
        GraphSetupError: The graph has no such step.
    """
    plan = graph.plan
    nodes = list(plan.nodes)
    for node_id, body in bodies.items():
        places = [place for place, node in enumerate(nodes) if node.id == node_id and node.is_step]
        if not places:
            steps = ', '.join(sorted(repr(str(node.id)) for node in nodes if node.is_step))
            raise GraphSetupError(f'There is no step {node_id!r} to replace in {graph!r}. Its steps are {steps}.')
        (place,) = places
        nodes[place] = _with_body(nodes[place], body)
    result = copy.copy(graph)
    result.plan = replace(plan, nodes=tuple(nodes))
    return result


def _with_body(node: PlanNode, body: Callable[[StepContext[Any, Any, Any]], Any]) -> PlanNode:
    policy = None if node.policy is None else replace(node.policy, cache=None)
    return replace(node, node=Step(node.id, body, label=node.node.label, policy=policy), policy=policy)
