"""What every contender can be asked to run, in words that no contender owns.

A program is an `async` function without arguments; awaiting it does a known number of units of
work and gives an `int` that is known beforehand, so that nobody is fast by doing less.
Knows nothing of clocks, bars or graph libraries.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Program = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One library, or asyncio by hand, with the programs written the way its guides write.

    `None` stands for a program that the library has no honest counterpart for.
    """

    name: str
    distribution: str | None
    one_step: Callable[[], Program]
    chain: Callable[[int], Program]
    loop: Callable[[int], Program]
    map_noop: Callable[[int], Program]
    map_suspending: Callable[[int], Program]
    broadcast: Callable[[int], Program]
    many_runs: Callable[[int], Program] | None = None
    build: Callable[[int, int], Program] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What the step of a loop returns in place of a number when it has turned often enough."""

    turns: int


class Gate:
    """Lets nobody through before everybody has come: proof that runs are open together."""

    def __init__(self, places: int) -> None:
        self._missing = places
        self._open = asyncio.Event()

    async def wait_full(self) -> None:
        """Wait until all places are taken."""
        self._missing -= 1
        if self._missing == 0:
            self._open.set()
        await self._open.wait()


# What a run of the small graph in `many_runs` adds up.
SMALL_GRAPH_ITEMS = (0, 1, 2)
