"""Child process that runs one program of Plait and prints how far its memory grew.

Run as `python probe.py map ITEMS` or `python probe.py loop TURNS`; prints one JSON object.
A process of its own, as the peak of a process that has run other things says nothing.
"""

import asyncio
import contextlib
import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import with_plait

_STATUS = Path('/proc/self/status')
_CLEAR_REFS = Path('/proc/self/clear_refs')
_LIMIT = 100
_WARM_UP = 10_000

Sized = Callable[[int], Coroutine[Any, Any, int]]


async def _loop(turns: int) -> int:
    return await with_plait.loop(turns)()


def _resident_kib() -> int:
    """What the process holds now; its peak so far where the system does not tell."""
    return _status_kib('VmRSS')


def _peak_kib() -> int:
    return _status_kib('VmHWM')


def _status_kib(field: str) -> int:
    if not _STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == 'darwin' else peak
    # Not ru_maxrss here: Linux hands the peak of the parent down to a child that it starts.
    lines = dict(line.split(':', 1) for line in _STATUS.read_text().splitlines())
    return int(lines[field].split()[0])


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # no such file, or not ours to write
        _CLEAR_REFS.write_text('5')


async def _measure(program: Sized, units: int, expected: int) -> dict[str, float | int]:
    """Warm up, then run and compare the peak with what was held before."""
    await program(_WARM_UP)
    gc.collect()
    _forget_peak()
    start = _resident_kib()
    begin = time.process_time()
    answer = await program(units)
    spent = time.process_time() - begin
    if answer != expected:
        raise SystemExit(f'got {answer}, not {expected}')
    return {'start_kib': start, 'growth_kib': max(_peak_kib() - start, 0), 'cpu_seconds': spent}


def main() -> None:
    """Run what the command line asks for."""
    kind, units = sys.argv[1], int(sys.argv[2])
    if kind == 'map':
        measured = _measure(with_plait.map_of_generator(_LIMIT), units, units * (units - 1) // 2)
    else:
        measured = _measure(_loop, units, units)
    print(json.dumps(asyncio.run(measured)))


if __name__ == '__main__':
    main()
