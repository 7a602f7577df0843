"""Races: several contenders' programs, measured in turn within one process.

The measure is CPU time of the process (`time.process_time`, all its threads) per unit of work.
The machine may slow down half-way, so only figures of the same round are compared: a ratio is
taken in each round, and the median of these ratios is what a bar is held against.
Knows nothing of graphs, and does not print.
"""

import gc
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from programs import Program

Key = tuple[str, int]
"""A lane's name: contender and number of units."""

# How often a sample repeats its program at most; the grain of the clock is no matter long before.
_MOST_REPEATS = 50_000


class WrongAnswerError(Exception):
    """Raised when a program gives another number than its units of work ask for."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One contender's program of one size in a race.

    `once` is for programs too slow to repeat: one run without a warm-up, compared with every round
    of the others.
    """

    contender: str
    units: int
    make: Callable[[], Program]
    expected: int
    once: bool = False

    @property
    def key(self) -> Key:
        """What bars call this lane."""
        return self.contender, self.units


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: a unit costs in one lane at most so many times what it costs in another."""

    of: Key
    over: Key
    at_most: float


@dataclass(frozen=True, slots=True)
class Race:
    """Lanes to be run in turn, and the promises about them.

    `unit` is the word for one unit of work; the lanes in `must_finish` promise no more than a
    right answer.
    """

    name: str
    title: str
    unit: str
    lanes: Sequence[Lane]
    bars: Sequence[Bar] = ()
    must_finish: Sequence[Key] = ()

    @property
    def units(self) -> str:
        """The word for several units."""
        return f'{self.unit}es' if self.unit.endswith('ch') else f'{self.unit}s'


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, lowest and highest of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> 'Spread':
        """Sum up at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class RaceResult:
    """CPU seconds per unit, lane by lane in the order of rounds; and why a lane has none."""

    race: Race
    samples: Mapping[Key, Sequence[float]]
    failures: Mapping[Key, str]

    def ratio(self, of: Key, over: Key) -> Spread | None:
        """Compare two lanes round by round; `None` if one of them was not measured."""
        above, below = self.samples.get(of, ()), self.samples.get(over, ())
        if not above or not below:
            return None
        rounds = max(len(above), len(below))
        pairs = itertools.islice(zip(itertools.cycle(above), itertools.cycle(below), strict=False), rounds)
        return Spread.over([a / b for a, b in pairs])


@dataclass(slots=True)
class _Runner:
    """A lane under way: its program and how often a sample repeats it."""

    lane: Lane
    program: Program
    repeats: int = 1
    samples: list[float] = field(default_factory=list[float])

    async def run(self) -> float:
        """Run the program `repeats` times and return the CPU seconds for one of them."""
        program, repeats = self.program, self.repeats
        gc.collect()
        answer = None
        begin = time.process_time()
        for _ in range(repeats):
            answer = await program()
        spent = time.process_time() - begin
        if answer != self.lane.expected:
            raise WrongAnswerError(f'{self.lane.key} gave {answer}, not {self.lane.expected}')
        return spent / repeats

    async def warm_up(self, sample_seconds: float) -> None:
        """Run the program until its caches are warm, then settle the repeats of a sample."""
        seconds = await self.run()
        if seconds < sample_seconds:
            seconds = await self.run()
        self.repeats = min(max(math.ceil(sample_seconds / max(seconds, 1e-9)), 1), _MOST_REPEATS)

    async def sample(self) -> None:
        """Add one sample."""
        self.samples.append(await self.run() / self.lane.units)


async def run_race(race: Race, *, rounds: int, sample_seconds: float) -> RaceResult:
    """Measure every lane once a round, in an order that changes from round to round.

    A lane whose program fails is taken out with its message; the others go on.
    """
    failures: dict[Key, str] = {}
    runners = [runner for lane in race.lanes if (runner := await _start(lane, sample_seconds, failures))]
    # Modules and built graphs belong to all contenders: no one's collections should walk them.
    gc.collect()
    gc.freeze()
    order = random.Random(race.name)  # the same order in each run of the suite
    for _ in range(rounds):
        order.shuffle(runners)
        for runner in runners:
            await _sample(runner, failures)
    gc.unfreeze()
    samples = {runner.lane.key: tuple(runner.samples) for runner in runners if runner.lane.key not in failures}
    return RaceResult(race, {lane.key: samples[lane.key] for lane in race.lanes if lane.key in samples}, failures)


async def _start(lane: Lane, sample_seconds: float, failures: dict[Key, str]) -> _Runner | None:
    try:
        runner = _Runner(lane, lane.make())
        if not lane.once:
            await runner.warm_up(sample_seconds)
    except Exception as error:  # noqa: BLE001 - whatever a contender raises is a result of the race
        failures[lane.key] = f'{type(error).__name__}: {error}'.splitlines()[0]
        return None
    return runner


async def _sample(runner: _Runner, failures: dict[Key, str]) -> None:
    lane = runner.lane
    if lane.key in failures or (lane.once and runner.samples):
        return
    try:
        await runner.sample()
    except Exception as error:  # noqa: BLE001 - whatever a contender raises is a result of the race
        failures[lane.key] = f'{type(error).__name__}: {error}'.splitlines()[0]
