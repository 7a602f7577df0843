"""Run the benchmarks: `python tests/benchmarks/run.py --help`.

README.md beside this file says what is measured, how, and what is not.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import agents
import isolated
import suite
from harness import run_race
from report import Section, machine, race_section, section_lines, verdict_lines

Experiment = Callable[[], Section]

_NAMES = (*suite.RACES, *agents.RACES, 'import', 'agent-import', 'map-memory', 'loop-memory')
_DISTRIBUTIONS = (
    'plait-graph',
    'plait-agent',
    'pydantic-graph',
    'pydantic-ai-slim',
    'langgraph',
    'anyio',
    'pydantic',
    'networkx',
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    options = _options(arguments)
    rounds: int = options.rounds or (3 if options.quick else 7)
    facts = machine(_DISTRIBUTIONS)
    _show(f'{name}: {value}' for name, value in facts.items())
    contenders, missing = suite.load_contenders()
    _show([*(f'left out: {name} ({why})' for name, why in missing.items()), ''])

    experiments = _experiments(contenders, rounds, quick=options.quick)
    sections: list[Section] = []
    for name in options.only or _NAMES:
        section = experiments[name]()
        sections.append(section)
        _show(section_lines(section))

    checks = [check for section in sections for check in section.checks]
    _show(verdict_lines(checks))
    if options.quick:
        _show(['Smaller sizes and fewer rounds: an indication, not a verdict.'])
    if options.json:
        document = {**facts, 'rounds': rounds, 'quick': options.quick, 'missing': missing}
        document['sections'] = [asdict(section) for section in sections]
        options.json.write_text(json.dumps(document, indent=2) + '\n')
    return int(options.strict and not all(check.passed for check in checks))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compare Plait with asyncio by hand, pydantic-graph, LangGraph and pydantic-ai.'
    )
    parser.add_argument('--quick', action='store_true', help='smaller sizes and 3 rounds: half a minute')
    parser.add_argument(
        '--only',
        action='append',
        choices=_NAMES,
        metavar='NAME',
        help=f'one of {", ".join(_NAMES)}',
    )
    parser.add_argument('--rounds', type=_at_least_one, metavar='N', help='rounds of each race (7; with --quick 3)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write everything measured to a file')
    parser.add_argument('--strict', action='store_true', help='exit with 1 unless every promise was kept')
    return parser.parse_args(arguments)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{value} is not a number of rounds: give 1 or more')
    return value


def _experiments(contenders: suite.Contenders, rounds: int, *, quick: bool) -> Mapping[str, Experiment]:
    """Name every experiment, in the order of the report."""
    sizes = suite.QUICK if quick else suite.FULL
    sample_seconds = 0.03 if quick else 0.1

    def race(make: Callable[[suite.Contenders, suite.Sizes], suite.Race]) -> Section:
        running = run_race(make(contenders, sizes), rounds=rounds, sample_seconds=sample_seconds)
        return race_section(asyncio.run(running), floor=suite.FLOOR, ours=suite.OURS)

    def agent_race(make: Callable[[], suite.Race]) -> Section:
        return race(lambda _contenders, _sizes: make())

    return {
        **{name: partial(race, make) for name, make in suite.RACES.items()},
        **{name: partial(agent_race, make) for name, make in agents.RACES.items()},
        'import': partial(isolated.imports, rounds),
        'agent-import': partial(isolated.agent_imports, rounds),
        'map-memory': partial(isolated.map_memory, sizes),
        'loop-memory': partial(isolated.loop_memory, sizes),
    }


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
