"""Thousands of requests against a server that misbehaves by chance, and a count of how the runs ended.

`python tests/agent/providers/soak.py --requests 100000 --seed 7 --backend trio` runs longer than a test may.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
from real_models import KINDS, Kind, make_client, problems

from plait_agent import Agent
from plait_agent.exceptions import ModelAPIError, UnexpectedModelBehavior
from plait_agent.models import Model
from plait_agent.testing import FAULTS, Answer, Behavior, Call, MisbehavingServer, ReceivedRequest, chaos

TEXT = 'Grüße aus Köln: ☂ and 𝄞'
GOOD = Answer(TEXT, delta=12)
CALL = Answer(calls=(Call('double', {'number': 21}),))


@dataclass
class Report:
    """How a soak went."""

    requests: int = 0
    """What the server has received."""
    right: int = 0
    """Runs that ended in the right result."""
    named: Counter[str] = field(default_factory=Counter[str])
    """Runs that ended in an error which says what went wrong where, by its class."""
    wrong: list[str] = field(default_factory=list[str])
    """What should not have been: other results, and errors that lack something."""
    objects: int = 0
    """What there was in memory afterwards."""
    tasks: int = 0
    """Tasks that were still there."""
    connections: int = 0
    """Connections that were still open."""


def faults() -> list[Behavior]:
    """All quick faults, with the answer that is right where they have one."""
    return [replace(fault, answer=GOOD) if hasattr(fault, 'answer') else fault for fault in FAULTS[:-1]]


def good_answer(request: ReceivedRequest) -> Behavior:
    """A call of a tool now and then, and the text else."""
    asks_first = 'forty-two' not in str(request.json)
    return CALL if asks_first and request.number % 3 == 0 else GOOD


async def soak(seed: int, requests: int, *, at_once: int = 20, kinds: Sequence[Kind] = KINDS) -> Report:
    """Ask in many runs at once until so many requests have come."""
    report = Report()
    before = {task.id for task in anyio.get_running_tasks()}
    script = chaos(seed, good_answer, faults=faults(), share=0.4)
    async with MisbehavingServer(script, keep=0) as server:
        async with make_client(attempts=3) as client, anyio.create_task_group() as group:
            agents = [(kind, _make_agent(kind.make(server.url, client))) for kind in kinds]
            for number in range(at_once):
                group.start_soon(_work, report, server, requests, agents, Random(seed * 1000 + number))
        report.requests = server.received
        report.connections = await _count_connections(server)
    report.tasks = sum(task.id not in before for task in anyio.get_running_tasks())
    gc.collect()
    report.objects = len(gc.get_objects())
    return report


def _make_agent(model: Model) -> Agent[None, str]:
    agent = Agent(model, retries=1)

    @agent.tool_plain
    def double(number: int) -> str:
        """Double a number."""
        return 'forty-two' if number == 21 else 'something else'

    return agent


async def _work(
    report: Report,
    server: MisbehavingServer,
    requests: int,
    agents: Sequence[tuple[Kind, Agent[None, str]]],
    chance: Random,
) -> None:
    """One run after another."""
    while server.received < requests:
        kind, agent = chance.choice(agents)
        try:
            output = await _run(agent, streamed=chance.random() < 0.5)
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            report.named[type(error).__name__] += 1
            lacking = problems(error, kind, None)
            report.wrong += [f'{kind.api}: {error!r} lacks {lacking}'] if lacking else []
        except Exception as error:  # noqa: BLE001 # any other is what the soak looks for
            report.wrong.append(f'{kind.api}: {error!r}')
        else:
            # Google's library puts a sign in the place of bytes that are no text.
            is_right = output.replace('\ufffd', '') == TEXT
            report.right += is_right
            report.wrong += [] if is_right else [f'{kind.api}: {output!r}']


async def _run(agent: Agent[None, str], *, streamed: bool) -> str:
    if not streamed:
        return (await agent.run('Double it.')).output
    async with agent.run_stream('Double it.') as result:
        return await result.get_output()


async def _count_connections(server: MisbehavingServer) -> int:
    """The connections that are open when the server has had the time to see which are not."""
    with anyio.move_on_after(5):
        while server.open_connections:
            await anyio.lowlevel.checkpoint()
    return server.open_connections


def main() -> None:
    """Soak for as long as the command line says."""
    from argparse import ArgumentParser
    from time import process_time

    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--requests', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--backend', choices=['asyncio', 'trio'], default='asyncio')
    given: Any = parser.parse_args()
    began = process_time()
    report = anyio.run(soak, given.seed, given.requests, backend=given.backend)
    print(report, f'{process_time() - began:.1f} s CPU', sep='\n')  # noqa: T201 # for whoever has started it


if __name__ == '__main__':
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent))
    main()
