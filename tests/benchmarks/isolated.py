"""What needs a fresh process each: the cost of imports, and memory at its highest.

Gives `Section`s that are ready to print, with their promises held against what was measured.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import Spread
from report import Check, Section, spread_text
from suite import Sizes

_BARE = 'pass'
_OURS = 'import plait_graph'
_REFERENCE = 'import anyio, pydantic'
_STATEMENTS = (
    _BARE,
    _OURS,
    # The engine is fetched by the first build, and asyncio with it.
    'import asyncio, anyio, pydantic',
    'import asyncio, plait_graph._compile.compile, plait_graph._run.launch',
    _REFERENCE,
    # pydantic fetches BaseModel on first use: the line above is not all that a model costs.
    'import anyio; from pydantic import BaseModel',
    'import pydantic_graph',
    'import langgraph.graph',
    'import networkx',
)
_AGENT_STATEMENTS = (
    _BARE,
    'import plait_agent',
    'from plait_agent import Agent',
    # What a program has loaded when it has an agent that can run.
    "from plait_agent import Agent; Agent('test').graph",
    'import pydantic_ai',
    "from pydantic_ai import Agent; Agent('test')",
)
_IMPORT_ALLOWANCE_MS = 40.0
_AGENT_IMPORT_SHARE = 1 / 4

Checks = Callable[[dict[str, list[float]], dict[str, bool]], list[Check]]
_MAP_GROWTH_MB = 20.0
_LOOP_GROWTH_MB = 5.0

# `time` is built in; json comes after the clock was read.
_IMPORT_PROBE = """
{statement}
import time
cpu = time.process_time()
import json, sys
print(json.dumps({{"cpu": cpu, "networkx": "networkx" in sys.modules}}))
"""


class _ProbeError(Exception):
    """Raised when a child process ends badly; carries the last line that it wrote."""


def imports(rounds: int) -> Section:
    """Measure imports of the engine and its peers."""
    return _imports('import', _STATEMENTS, rounds, _import_checks)


def agent_imports(rounds: int) -> Section:
    """Measure imports of the agent layer and its peer."""
    return _imports('agent-import', _AGENT_STATEMENTS, rounds, _agent_import_checks)


def _imports(name: str, statements: Sequence[str], rounds: int, check: Checks) -> Section:
    """Measure imports in processes of their own, in turn, with bytecode compiled beforehand."""
    samples: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    loads_networkx: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix='bench-bytecode-') as bytecode:
        for statement in statements:
            try:
                loads_networkx[statement] = _import(statement, bytecode)['networkx']
            except _ProbeError as error:
                failures[statement] = str(error)
        for _ in range(rounds):
            for statement in loads_networkx:
                samples.setdefault(statement, []).append(_import(statement, bytecode)['cpu'] * 1e3)
    return Section(
        name=name,
        title='import, CPU ms above bare Python',
        rows=[
            ('statement', 'median', 'range', 'networkx loaded'),
            *(_import_row(statement, samples, loads_networkx) for statement in samples if statement != _BARE),
        ],
        notes=[f'{statement}: {message}' for statement, message in failures.items()],
        checks=check(samples, loads_networkx),
        data={'cpu_ms': samples, 'networkx_loaded': loads_networkx, 'failures': failures},
    )


def _import(statement: str, bytecode: str) -> dict[str, Any]:
    environment = {**os.environ, 'PYTHONPYCACHEPREFIX': bytecode}
    environment.pop('PYTHONDONTWRITEBYTECODE', None)
    return _run(['-P', '-c', _IMPORT_PROBE.format(statement=statement)], environment)


def _import_row(statement: str, samples: dict[str, list[float]], loads_networkx: dict[str, bool]) -> tuple[str, ...]:
    spread = _difference(samples[statement], samples[_BARE])
    return (
        statement,
        f'{spread.median:.0f}',
        spread_text(spread),
        'yes' if loads_networkx[statement] else 'no',
    )


def _import_checks(samples: dict[str, list[float]], loads_networkx: dict[str, bool]) -> list[Check]:
    claim = f'import: plait_graph above `{_REFERENCE}`'
    lazy = 'import: networkx in sys.modules after plait_graph'
    bar = f'<= {_IMPORT_ALLOWANCE_MS:.0f} ms'
    if _OURS not in samples or _REFERENCE not in samples:
        return [Check.unmeasured(claim, bar), Check.unmeasured(lazy, 'no')]
    above = _difference(samples[_OURS], samples[_REFERENCE])
    measured = f'{above.median:+.0f} ms ({spread_text(above)})'
    loaded = loads_networkx[_OURS]
    return [
        Check(claim, measured, bar, above.median <= _IMPORT_ALLOWANCE_MS),
        Check(lazy, 'yes' if loaded else 'no', 'no', not loaded),
    ]


def _agent_import_checks(samples: dict[str, list[float]], _loads_networkx: dict[str, bool]) -> list[Check]:
    claim, bar = 'agent-import: plait_agent / pydantic_ai', f'<= {_AGENT_IMPORT_SHARE}'
    if 'pydantic_ai' not in ' '.join(samples):
        return [Check.unmeasured(claim, bar)]
    ours, peers = (
        [value - low for value, low in zip(samples[statement], samples[_BARE], strict=True)]
        for statement in ('from plait_agent import Agent', 'import pydantic_ai')
    )
    share = Spread.over([ours_ms / peers_ms for ours_ms, peers_ms in zip(ours, peers, strict=True)])
    measured = f'{share.median:.2f} ({share.low:.2f} .. {share.high:.2f})'
    return [Check(claim, measured, bar, share.median <= _AGENT_IMPORT_SHARE)]


def _difference(values: Sequence[float], base: Sequence[float]) -> Spread:
    return Spread.over([value - low for value, low in zip(values, base, strict=True)])


def map_memory(sizes: Sizes) -> Section:
    """Measure the growth of a process that maps over a long generator, 100 items in flight."""
    return _memory(
        'map',
        sizes.memory_items,
        'item',
        f'map(limit=100) over {sizes.memory_items:,}',
        _MAP_GROWTH_MB,
    )


def loop_memory(sizes: Sizes) -> Section:
    """Measure the growth of a process that turns a loop for long."""
    return _memory(
        'loop',
        sizes.memory_turns,
        'turn',
        f'a loop of {sizes.memory_turns:,} turns',
        _LOOP_GROWTH_MB,
    )


def _memory(kind: str, units: int, unit: str, title: str, at_most_mb: float) -> Section:
    name = f'{kind}-memory'
    claim = f'{name}: growth in {title}'
    bar = f'< {at_most_mb:.0f} MB'
    try:
        found = _run([str(Path(__file__).with_name('probe.py')), kind, str(units)], dict(os.environ))
    except _ProbeError as error:
        return Section(name, f'memory of {title}', [], [str(error)], [Check.unmeasured(claim, bar)], {})
    growth = found['growth_kib'] / 1024
    per_unit = found['cpu_seconds'] / units * 1e6
    row = (f'{found["start_kib"] / 1024:.1f}', f'{growth:.1f}', f'{per_unit:.2f}')
    return Section(
        name=name,
        title=f'memory of {title}',
        rows=[('MB at start', 'MB growth at peak', f'CPU us per {unit}'), row],
        checks=[Check(claim, f'{growth:.1f} MB', bar, growth < at_most_mb)],
        data=found,
    )


def _run(arguments: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run Python with these arguments and return the JSON object that it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise _ProbeError((done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1])
    return json.loads(done.stdout)
