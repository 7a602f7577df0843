"""The races: who runs which program in which size, and the promises that Plait makes about them.

The one place to look up or change a size or a bar of a race. Imports and memory have theirs in
`isolated`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness import Bar, Lane, Race
from programs import SMALL_GRAPH_ITEMS, Contender, Program

FLOOR = 'asyncio'
OURS = 'plait'
PEER = 'pydantic-graph'
OTHER_PEER = 'langgraph'

# Module of each contender; the ones that cannot be imported are left out of all races and reported.
MODULES = {
    FLOOR: 'asyncio_floor',
    OURS: 'with_plait',
    PEER: 'with_pydantic_graph',
    OTHER_PEER: 'with_langgraph',
}

Contenders = Mapping[str, Contender]

_FEW_FIELDS, _MANY_FIELDS = 10, 100_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much work the races ask for. Peers get less of it where it would take minutes."""

    chain: int = 100
    loop: int = 10_000
    peer_loop: int = 500
    maps: tuple[int, ...] = (1_000, 10_000, 100_000)
    peer_map: int = 1_000
    branches: int = 100
    runs: int = 10_000
    peer_runs: int = 500
    build: tuple[int, int] = (1_000, 20)
    memory_items: int = 1_000_000
    memory_turns: int = 1_000_000


FULL = Sizes()
QUICK = Sizes(
    loop=2_000,
    peer_loop=200,
    maps=(1_000, 10_000),
    runs=1_000,
    peer_runs=100,
    build=(250, 5),
    memory_items=100_000,
    memory_turns=100_000,
)


def load_contenders() -> tuple[dict[str, Contender], dict[str, str]]:
    """Import the contenders; return those that are there, and why the others are not."""
    found: dict[str, Contender] = {}
    missing: dict[str, str] = {}
    for name, module in MODULES.items():
        try:
            found[name] = importlib.import_module(module).CONTENDER
        except Exception as error:  # noqa: BLE001 - a half-written engine may fail in any way
            missing[name] = f'{type(error).__name__}: {error}'
    return found, missing


def one_step(contenders: Contenders, _sizes: Sizes) -> Race:
    """A run of a single step."""
    lanes = _lanes(contenders, dict.fromkeys(MODULES, (1,)), lambda c: lambda _: c.one_step(), lambda _: 1)
    return Race(
        'one-step',
        'one run of start -> step -> end',
        'run',
        lanes,
        [Bar((OURS, 1), (PEER, 1), 1 / 50)],
    )


def chain(contenders: Contenders, sizes: Sizes) -> Race:
    """Steps one after the other."""
    length = sizes.chain
    lanes = _lanes(contenders, dict.fromkeys(MODULES, (length,)), lambda c: c.chain, lambda units: units)
    bars = [Bar((OURS, length), (PEER, length), 1 / 50)]
    return Race('chain', f'chain of {length} steps', 'step', lanes, bars)


def loop(contenders: Contenders, sizes: Sizes) -> Race:
    """A step and a decision that leads back to it."""
    turns, few = sizes.loop, sizes.peer_loop
    units = {FLOOR: (turns,), OURS: (turns,), PEER: (few,), OTHER_PEER: (few,)}
    lanes = _lanes(contenders, units, lambda c: c.loop, lambda units: units)
    return Race('loop', 'loop step <-> decision', 'turn', lanes, [Bar((OURS, turns), (PEER, few), 1 / 50)])


def map_noop(contenders: Contenders, sizes: Sizes) -> Race:
    """A map whose steps never wait; also how the cost of an item grows with their number."""
    smallest, largest = min(sizes.maps), max(sizes.maps)
    bars = [
        Bar((OURS, sizes.peer_map), (PEER, sizes.peer_map), 1 / 25),
        *_at_most_twice_the_floor(sizes.maps),
        Bar((OURS, largest), (OURS, smallest), 1.3),
    ]
    lanes = _lanes(contenders, _map_units(sizes), lambda c: c.map_noop, _sum_below)
    return Race('map', 'map -> step -> join, no-op steps', 'item', lanes, bars)


def map_suspending(contenders: Contenders, sizes: Sizes) -> Race:
    """A map whose steps are all suspended at the same time."""
    lanes = _lanes(contenders, _map_units(sizes), lambda c: c.map_suspending, _sum_below)
    bars = _at_most_twice_the_floor(sizes.maps)
    return Race('map-suspending', 'map -> step -> join, each step awaits sleep(0)', 'item', lanes, bars)


def broadcast(contenders: Contenders, sizes: Sizes) -> Race:
    """A fork into many different steps."""
    branches = sizes.branches
    lanes = _lanes(contenders, dict.fromkeys(MODULES, (branches,)), lambda c: c.broadcast, lambda units: units)
    return Race('broadcast', f'broadcast to {branches} steps -> join', 'branch', lanes)


def many_runs(contenders: Contenders, sizes: Sizes) -> Race:
    """Runs that are all open at the same time; that they finish is part of the program's answer."""
    units = {FLOOR: (sizes.runs,), OURS: (sizes.runs,), PEER: (sizes.peer_runs,)}
    lanes = _lanes(contenders, units, lambda c: c.many_runs, lambda runs: runs * sum(SMALL_GRAPH_ITEMS))
    title = f'{sizes.runs:,} concurrent runs of step -> map({len(SMALL_GRAPH_ITEMS)}) -> step -> join'
    return Race('many-runs', title, 'run', lanes, must_finish=[(OURS, sizes.runs)])


def build(contenders: Contenders, sizes: Sizes) -> Race:
    """Declaring and building a long graph."""
    steps, joins = sizes.build
    lanes = _lanes(
        contenders,
        {OURS: (steps,), PEER: (steps,)},
        lambda c: (lambda units, make=c.build: make(units, joins)) if c.build else None,
        lambda units: units + 2 * joins + 2,  # a map for each join, the start, the end
        once=(PEER,),
        before=lambda: importlib.import_module('networkx'),  # its import is measured elsewhere
    )
    title = f'declare and build {steps:,} steps with {joins} joins'
    return Race('build', title, 'step', lanes, [Bar((OURS, steps), (PEER, steps), 1 / 100)])


def isolated_state(contenders: Contenders, sizes: Sizes) -> Race:
    """Steps with isolated state that each touch two fields, of few or of many."""
    if OURS not in contenders:
        return Race('isolated-state', 'isolated state', 'step', [])
    make: Callable[[int], Callable[[int], Program]] = importlib.import_module(MODULES[OURS]).isolated_state
    length = sizes.chain
    few, many = (f'{fields:,} fields' for fields in (_FEW_FIELDS, _MANY_FIELDS))
    lanes = [
        Lane(name, length, partial(make(fields), length), length)
        for name, fields in ((few, _FEW_FIELDS), (many, _MANY_FIELDS))
    ]
    title = f'chain of {length} steps that touch two fields of an isolated state'
    return Race('isolated-state', title, 'step', lanes, [Bar((many, length), (few, length), 1.5)])


RACES: Mapping[str, Callable[[Contenders, Sizes], Race]] = {
    'one-step': one_step,
    'chain': chain,
    'loop': loop,
    'map': map_noop,
    'map-suspending': map_suspending,
    'broadcast': broadcast,
    'many-runs': many_runs,
    'build': build,
    'isolated-state': isolated_state,
}


def _lanes(
    contenders: Contenders,
    units: Mapping[str, Sequence[int]],
    program: Callable[[Contender], Callable[[int], Program] | None],
    expected: Callable[[int], int],
    *,
    once: Sequence[str] = (),
    before: Callable[[], object] = lambda: None,
) -> list[Lane]:
    """Make a lane for each contender that is there, has the program, and each size asked of it."""

    def make(factory: Callable[[int], Program], size: int) -> Callable[[], Program]:
        def prepared() -> Program:
            before()
            return factory(size)

        return prepared

    return [
        Lane(name, size, make(factory, size), expected(size), once=name in once)
        for name, sizes in units.items()
        if (contender := contenders.get(name)) and (factory := program(contender))
        for size in sizes
    ]


def _map_units(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    few = (sizes.peer_map,)
    return {FLOOR: sizes.maps, OURS: sizes.maps, PEER: few, OTHER_PEER: few}


def _at_most_twice_the_floor(sizes: Sequence[int]) -> list[Bar]:
    return [Bar((OURS, size), (FLOOR, size), 2) for size in sizes]


def _sum_below(items: int) -> int:
    return items * (items - 1) // 2
