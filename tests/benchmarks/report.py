"""Turns what was measured into tables, verdicts and JSON.

Knows nothing of how it was measured, and prints nothing itself.
"""

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import Bar, Key, RaceResult, Spread


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, what was found, and whether it holds.

    `passed` is `None` where nothing could be measured.
    """

    claim: str
    measured: str
    bar: str
    passed: bool | None

    @classmethod
    def unmeasured(cls, claim: str, bar: str) -> 'Check':
        """Say that a promise was left unchecked."""
        return cls(claim, '-', bar, None)

    @property
    def verdict(self) -> str:
        """The verdict in a word or two."""
        return {True: 'pass', False: 'FAIL', None: 'not measured'}[self.passed]


@dataclass(frozen=True, slots=True)
class Section:
    """One experiment, ready to print: the first row is the head of its table."""

    name: str
    title: str
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str] = ()
    checks: Sequence[Check] = ()
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


def race_section(result: RaceResult, *, floor: str, ours: str) -> Section:
    """Make the table of a race; the ratios compare cost per unit with the floor's and with ours."""
    race = result.race
    head = ('contender', race.units, 'median', 'range', f'/ {floor}', f'/ {ours}')
    return Section(
        name=race.name,
        title=f'{race.title}, CPU us per {race.unit}',
        rows=[head, *(_race_row(result, key, floor, ours) for key in result.samples)],
        notes=[f'{contender}, {units:,}: {why}' for (contender, units), why in result.failures.items()],
        checks=[
            *(_ratio_check(result, bar) for bar in race.bars),
            *(_finish_check(result, key) for key in race.must_finish),
        ],
        data={
            'unit': race.unit,
            'cpu_us_per_unit': {_lane(key): [s * 1e6 for s in found] for key, found in result.samples.items()},
            'failures': {_lane(key): why for key, why in result.failures.items()},
        },
    )


def _race_row(result: RaceResult, key: Key, floor: str, ours: str) -> tuple[str, ...]:
    contender, units = key
    micros = [seconds * 1e6 for seconds in result.samples[key]]
    spread = Spread.over(micros)
    comparisons = (_compare(result, key, other) for other in (floor, ours))
    return contender, f'{units:,}', number_text(spread.median), spread_text(spread), *comparisons


def _compare(result: RaceResult, key: Key, contender: str) -> str:
    """Compare a lane with another contender's of the same size, or else with its first."""
    sizes = [units for name, units in result.samples if name == contender]
    if not sizes or contender == key[0]:
        return ''
    ratio = result.ratio(key, (contender, key[1] if key[1] in sizes else sizes[0]))
    return ratio_text(ratio.median) if ratio else ''


def _ratio_check(result: RaceResult, bar: Bar) -> Check:
    claim = f'{result.race.name}: {_lane(bar.of)} / {_lane(bar.over)}'
    limit = f'<= {ratio_text(bar.at_most)}'
    if bar.of in result.failures:
        return Check(claim, 'failed', limit, passed=False)
    ratio = result.ratio(bar.of, bar.over)
    if ratio is None:
        return Check.unmeasured(claim, limit)
    measured = f'{ratio_text(ratio.median)} ({ratio_text(ratio.low)} .. {ratio_text(ratio.high)})'
    return Check(claim, measured, limit, ratio.median <= bar.at_most)


def _finish_check(result: RaceResult, key: Key) -> Check:
    claim = f'{result.race.name}: {_lane(key)}'
    if key in result.failures:
        return Check(claim, 'failed', 'all finish', passed=False)
    if key not in result.samples:
        return Check.unmeasured(claim, 'all finish')
    return Check(claim, 'all finished', 'all finish', passed=True)


def _lane(key: Key) -> str:
    return f'{key[0]} {key[1]:,}'


def ratio_text(ratio: float) -> str:
    """Write small ratios as fractions: `1/340`, `0.82x`, `1.71x`, `950x`."""
    if ratio < 0.2:
        return f'1/{1 / ratio:,.0f}'
    return f'{ratio:.2f}x' if ratio < 10 else f'{ratio:,.0f}x'


def number_text(value: float) -> str:
    """Write a figure with three places at least: `0.123`, `12.3`, `1,234`."""
    if abs(value) >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if abs(value) >= 10 else f'{value:.3f}'


def spread_text(spread: Spread) -> str:
    """Write the range of a spread."""
    return f'{number_text(spread.low)} .. {number_text(spread.high)}'


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(_aligned(row, widths)).rstrip() for row in rows]


def _aligned(row: tuple[str, ...], widths: Sequence[int]) -> Iterable[str]:
    yield row[0].ljust(widths[0])
    for cell, width in zip(row[1:], widths[1:], strict=True):
        yield cell.rjust(width)


def section_lines(section: Section) -> list[str]:
    """Write an experiment with its heading."""
    return [
        f'{section.name}: {section.title}',
        *_indented(table(section.rows)),
        *_indented(section.notes),
        '',
    ]


def verdict_lines(checks: Sequence[Check]) -> list[str]:
    """Write the table of promises."""
    rows = [('promise', 'measured: median (range)', 'bar', 'verdict')]
    rows += [(check.claim, check.measured, check.bar, check.verdict) for check in checks]
    counts = ', '.join(
        f'{sum(check.verdict == verdict for check in checks)} {verdict}' for verdict in ('pass', 'FAIL', 'not measured')
    )
    return ['promises', *_indented(table(rows)), '', counts]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f'  {line}' for line in lines]


def machine(distributions: Iterable[str]) -> dict[str, str]:
    """Describe where and when this runs, and against which versions."""
    system = f'{platform.system()} {platform.release()}'
    load = ', '.join(f'{value:.2f}' for value in os.getloadavg())
    versions = {name: _version(name) for name in distributions}
    return {
        'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        'machine': f'{_processor()}, {os.cpu_count()} CPUs, {system}',
        'python': f'{platform.python_implementation()} {platform.python_version()}',
        'load': f'{load} at the start',
        'versions': ', '.join(f'{name} {version}' for name, version in versions.items() if version),
    }


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
