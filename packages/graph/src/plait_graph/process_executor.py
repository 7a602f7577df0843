"""Bodies in processes of their own, for work that keeps a processor busy.

anyio has a pool of processes too. This one is not built on it, because a call that is cancelled while anyio starts a
worker leaves that process behind, a worker that dies leaves no exit code, and what bodies print is lost.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from plait_graph import _portable, _worker
from plait_graph.exceptions import GraphRuntimeError, WorkerDied
from plait_graph.executors import AttendedExecutor, Envelope, Outcome

__all__ = ('ProcessExecutor',)

_BROKEN = anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead, ConnectionError
_SECONDS_TO_EXIT = 5
_BOOT = 'import sys; sys.path[:] = sys.argv[1:]; from plait_graph._worker import main; main()'


class ProcessExecutor(AttendedExecutor):
    """Runs bodies in worker processes, each of which does one after the other.

    Workers are started as they are needed, and kept until the executor is left. A body that is cancelled is killed
    with its process. Functions, inputs, isolated state and results are pickled; functions are found again by name,
    so they stand at the top of a module, and a program that is run as a script starts under
    `if __name__ == '__main__':`. `ctx.deps` is there if it can be pickled, shared state never is. What bodies print
    goes to standard error.

    Args:
        max_workers: How many processes there may be at once. `None` stands for one a processor.
    """

    def __init__(self, max_workers: int | None = None):
        super().__init__(os.cpu_count() or 1 if max_workers is None else max_workers)
        self._idle: list[_Worker] = []

    async def run_body(self, envelope: Envelope, start: Callable[[], None], emit: Callable[[object], None]) -> Outcome:
        """Run one body in a process that is free, or in a new one."""
        request = _portable.pack(envelope)
        worker = await self._take_worker()
        try:
            outcome = await worker.run(request, envelope.key, start, emit)
        except _BROKEN as error:
            raise WorkerDied(
                f'Step {envelope.task.node_id!r} did not end: its process {await worker.wait_dead()}. '
                f'Look for os._exit, a crash of compiled code, or too little memory.'
            ) from error
        except BaseException:
            await worker.kill()
            raise
        self._idle.append(worker)
        return outcome

    async def _take_worker(self) -> _Worker:
        """The process that was busy last, or one that is yet to be started."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await worker.kill()
        return _Worker()

    async def __aenter__(self) -> ProcessExecutor:
        if _worker.is_importing_main:
            raise GraphRuntimeError(
                'A worker process imports the main module of the program, and that starts the program again. '
                "Start it under `if __name__ == '__main__':`."
            )
        await super().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            async with anyio.create_task_group() as group:
                while self._idle:
                    group.start_soon(self._idle.pop().end)


class _Worker:
    """A process that runs bodies, and the talk with it. It is started for its first body."""

    _process: Process | None = None
    _sink: ByteSendStream
    _source: BufferedByteReceiveStream

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def run(self, request: bytes, key: str, start: Callable[[], None], emit: Callable[[object], None]) -> Outcome:
        """Have one body run, pass on that it started and what it emits, and give what came of it."""
        if self._process is None:
            await self._start()
            await self._send(_preparation())
        await self._send(request)
        while True:
            outcome = _portable.unpack(await self._receive())
            if outcome.key != key:
                continue  # a thread that an earlier body left behind still talks
            match outcome.kind:
                case 'started':
                    start()
                case 'emitted':
                    emit(outcome.value)
                case _:
                    return outcome

    async def _start(self) -> None:
        with anyio.CancelScope(shield=True):  # a process that was started is always known, and so it is ended
            self._process = process = await anyio.open_process(
                [sys.executable, '-c', _BOOT, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None
            )
            self._sink = cast('ByteSendStream', process.stdin)  # pipes were asked for
            self._source = BufferedByteReceiveStream(cast('ByteReceiveStream', process.stdout))

    async def _send(self, data: bytes) -> None:
        await self._sink.send(len(data).to_bytes(8, 'big'))
        await self._sink.send(data)

    async def _receive(self) -> bytes:
        size = int.from_bytes(await self._source.receive_exactly(8), 'big')
        return await self._source.receive_exactly(size)

    async def wait_dead(self) -> str:
        """Wait until the process has gone; tells how it went."""
        try:
            code = await cast('Process', self._process).wait()
        finally:
            await self.kill()
        if code >= 0:
            return f'ended with exit code {code}'
        return f'was killed by signal {-code} ({signal.strsignal(-code)})'

    async def end(self) -> None:
        """Let the process come to its end by itself, so that its atexit functions are called; then kill it."""
        with anyio.CancelScope(shield=True):
            await self._sink.aclose()
            with anyio.move_on_after(_SECONDS_TO_EXIT):
                await cast('Process', self._process).wait()
            await self.kill()

    async def kill(self) -> None:
        """Kill the process and wait until it has gone."""
        if self._process is None:
            return
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.aclose()


def _preparation() -> bytes:
    """What a new process needs to know of this one."""
    from multiprocessing.spawn import get_preparation_data

    data: dict[str, Any] = get_preparation_data('plait worker')
    del data['authkey'], data['start_method']  # a secret, and a setting that is of no use there
    return pickle.dumps(data)
