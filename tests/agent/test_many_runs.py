"""A thousand runs in one loop, and the limits that they share."""

from typing import Any

import anyio
import pytest

from plait_agent import Agent
from plait_agent.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from plait_agent.models.concurrency import ConcurrencyLimitedModel
from plait_agent.models.function import FunctionModel
from plait_agent.tools import Tool
from plait_graph import Limit

RUNS = 1000
MOST = 7


class Gauge:
    """Counts what is in flight, and lets go on only when as many are as there may be, or all the rest."""

    def __init__(self, work: int):
        self.left = work
        self.now = 0
        self.seen: list[int] = []
        """How many there were each time that one came to its end."""
        self._full = anyio.Event()

    async def pass_through(self) -> None:
        self.now += 1
        if self.now == min(MOST, self.left):
            self._full.set()
        await self._full.wait()
        await anyio.lowlevel.checkpoint()
        self.seen.append(self.now)
        self.now -= 1
        self.left -= 1
        if self.now < min(MOST, self.left):
            self._full = anyio.Event()

    def was_full_to_the_end(self) -> bool:
        """Whether there were never more than there may be, and as many as that while there was work."""
        return max(self.seen) == MOST and not self.left


async def all_at_once(agent: Agent[Any, Any]) -> list[Any]:
    """The outputs of all runs, begun at the same time."""
    outputs: list[Any] = [None] * RUNS

    async def run(number: int) -> None:
        outputs[number] = (await agent.run(str(number))).output

    async with anyio.create_task_group() as tasks:
        for number in range(RUNS):
            tasks.start_soon(run, number)
    return outputs


def echo(messages: Any, _info: Any) -> ModelResponse:
    """Call the tool with the prompt, and say what it has given."""
    part = messages[-1].parts[-1]
    if isinstance(part, ToolReturnPart):
        return ModelResponse([TextPart(str(part.content))])
    return ModelResponse([ToolCallPart('work', {'number': int(part.content)})])


EXPECTED = [str(2 * number) for number in range(RUNS)]


async def test_a_thousand_runs_do_not_mix():
    """Each run has its own messages and tools' results."""

    async def work(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 2 * number

    assert await all_at_once(Agent(FunctionModel(echo), tools=[work])) == EXPECTED


@pytest.mark.parametrize('where', ['tool', 'model', 'agent'])
async def test_a_limit_is_held_and_used(where):
    """However many runs there are, as many are in flight as a limit lets, and not one more."""
    gauge = Gauge(RUNS)

    async def work(number: int) -> int:
        if where != 'model':
            await gauge.pass_through()
        return 2 * number

    async def answer(messages: Any, info: Any) -> ModelResponse:
        if where == 'model' and len(messages) == 1:
            await gauge.pass_through()
        return echo(messages, info)

    limit = Limit(f'many runs: {where}', in_flight=MOST)
    model: Any = FunctionModel(answer)
    agent = Agent(
        ConcurrencyLimitedModel(model, limit) if where == 'model' else model,
        tools=[Tool(work, limit=limit if where == 'tool' else None)],
        max_concurrency=limit if where == 'agent' else None,
    )
    assert await all_at_once(agent) == EXPECTED
    assert gauge.was_full_to_the_end()


async def test_agents_share_a_limit_by_its_name():
    """Two agents whose tools name the same limit have it together."""
    gauge = Gauge(2 * RUNS)

    async def work(number: int) -> int:
        await gauge.pass_through()
        return 2 * number

    agents = [
        Agent(FunctionModel(echo), tools=[Tool(work, limit=Limit('many runs: shared', in_flight=MOST))])
        for _ in range(2)
    ]
    async with anyio.create_task_group() as tasks:
        for agent in agents:
            tasks.start_soon(all_at_once, agent)
    assert gauge.was_full_to_the_end()
