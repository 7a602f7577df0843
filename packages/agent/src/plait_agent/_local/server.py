"""The servers of this process: one for each file of weights, started when it is first needed.

A server is a process of its own, so that llama.cpp can crash without taking the program with it. It listens on a free
port of the loopback address, answers only those who know the key that was made for it, and ends with this process,
however that ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from plait_agent._local.folders import cache_folder
from plait_agent.exceptions import ModelAPIError, UserError

_START_SECONDS = 300
"""A large model on a slow disk takes its time."""
_STOP_SECONDS = 5
_TAIL_LINES = 12
_LOG_SECONDS = 7 * 24 * 3600
"""How long a log stays that nobody has taken away; those of servers that are stopped go at once."""
_MOST_THREADS = 8


_numbers = count(1)


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What a server is to run. Agents with the same plan share a server."""

    path: str
    n_ctx: int
    """How many tokens each conversation may have."""
    n_parallel: int
    """How many requests are answered at once; others wait."""
    threads: int
    chat_template: str | None = None
    n_gpu_layers: int = -1
    """How many layers go to a graphics card, if llama.cpp was built for one."""


class LocalServer:
    """A server, which may run or not.

    It may be asked from several threads.

    Args:
        name: What its model is called.
        plan: What it is to run.
    """

    def __init__(self, name: str, plan: ServerPlan):
        self.name = name
        self.plan = plan
        self.key = os.urandom(16).hex()
        """Who asks has to know it."""
        self.log_path = cache_folder() / 'logs' / f'{name}-{os.getpid()}-{next(_numbers)}.log'
        """Where llama.cpp says what it does."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._address: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has started, and not ended."""
        process = self._process
        return process is not None and self._address is not None and process.poll() is None

    @property
    def address(self) -> str | None:
        """Where it is, if it runs."""
        return self._address if self.is_running else None

    def start(self) -> str:
        """Start it if it does not run, wait until it answers, and give its address.

        Raises:
            ModelAPIError: It ends instead, or does not answer in time.
            UserError: llama.cpp is not installed.
        """
        with self._lock:
            if self._address is not None and self.is_running:
                return self._address
            self._clear()
            _check_installed()
            self._process = self._launch()
            try:
                self._address = self._wait_until_ready(self._process)
            except BaseException:
                self._process.kill()
                self._clear()
                raise
            return self._address

    def stop(self) -> None:
        """Stop it, with what it is doing."""
        process = self._process
        if process is not None:
            process.terminate()
            self._clear()
            self.log_path.unlink(missing_ok=True)

    def wait_crash(self, seconds: float) -> ModelAPIError | None:
        """The error for those whose answer a crash has cut off; nothing if it goes on running.

        Args:
            seconds: How long it may take to end after its connections have.
        """
        process = self._process
        if process is None:
            return None
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return self._error(f'has ended ({_ended_by(status)}) before it had answered. The next request starts it again.')

    def _clear(self) -> None:
        """Let go of the process, which has ended or is about to."""
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        _close(process.stdin)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process.stdout)

    def _launch(self) -> subprocess.Popen[str]:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        _remove_old_logs(self.log_path.parent)
        # By its path, and without the folder of the script among those that are searched: see `serve`.
        command = [sys.executable, '-P', str(Path(__file__).with_name('serve.py'))]
        with self.log_path.open('wb') as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding='utf-8'
            )
        told = json.dumps({**asdict(self.plan), 'key': self.key})
        with suppress(OSError):  # it has ended already, and the log says why
            _stream(process.stdin).write(f'{told}\n')
            _stream(process.stdin).flush()
        return process

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> str:
        too_long = threading.Timer(_START_SECONDS, process.kill)
        too_long.daemon = True
        too_long.start()
        try:
            line = _stream(process.stdout).readline()
        finally:
            too_long.cancel()
        if line:
            return json.loads(line)['address']
        raise self._error(f'could not start ({_ended_by(process.wait())}).')

    def _error(self, what: str) -> ModelAPIError:
        tail = '\n  '.join(self._log_tail())
        return ModelAPIError(
            self.name,
            f'The server of the local model {self.name!r} {what} Its log is {self.log_path}; it ends with:\n  {tail}',
        )

    def _log_tail(self) -> list[str]:
        try:
            lines = self.log_path.read_text(encoding='utf-8', errors='replace').splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip(' .')][-_TAIL_LINES:]


_servers: dict[ServerPlan, LocalServer] = {}
_servers_lock = threading.Lock()


def server_of(name: str, plan: ServerPlan) -> LocalServer:
    """Give the server that runs a plan; all who have the same plan share it."""
    with _servers_lock:
        server = _servers.get(plan)
        if server is None:
            if not _servers:
                _end_with_process()
            server = _servers[plan] = LocalServer(name, plan)
        return server


def stop_servers() -> None:
    """Stop all servers of this process. They start again when they are needed."""
    for server in list(_servers.values()):
        server.stop()


def default_threads() -> int:
    """How many threads compute: `PLAIT_LOCAL_THREADS`, or as many as there are processors that nobody else uses now.

    llama.cpp's threads wait for one another by turning in circles; one that has to share its processor holds up all of
    them, and two are then several times slower than one. Of more than four processors only half count, since mostly two
    of them share what computes, and more than eight threads gain nothing: small models wait for memory.

    Raises:
        UserError: The variable is no number.
    """
    said = os.environ.get('PLAIT_LOCAL_THREADS')
    if said:
        if not said.isdecimal() or int(said) < 1:
            raise UserError(f'PLAIT_LOCAL_THREADS is {said!r}, and no number of threads. Give a whole number above 0.')
        return int(said)
    available = _available_processors()
    useful = available if available <= 4 else min(available // 2, _MOST_THREADS)
    return max(1, min(useful, available - _used_processors()))


def _available_processors() -> int:
    affinity = getattr(os, 'sched_getaffinity', None)
    available = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:  # what a container may use
        quota, period = Path('/sys/fs/cgroup/cpu.max').read_text(encoding='ascii').split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):
        return max(1, available)


def _used_processors() -> int:
    """How many processors have been busy within the last minute."""
    try:
        return round(os.getloadavg()[0])
    except (AttributeError, OSError):  # Windows does not tell
        return 0


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec('xllamacpp') is None:
        raise UserError(
            'Local models need packages that are not installed (xllamacpp). '
            "Install them: pip install 'plait-agent[local]'"
        )
    if not sys.executable:
        raise UserError(
            'Local models are run by a process of this Python, and sys.executable does not say where it is.'
        )


def _end_with_process() -> None:
    """Let the servers end with this process, and leave those of a parent alone."""
    import atexit

    atexit.register(stop_servers)
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_forget_servers)


def _forget_servers() -> None:
    global _servers_lock  # noqa: PLW0603 # a thread that held it is not in the child
    _servers_lock = threading.Lock()
    _servers.clear()


def _remove_old_logs(folder: Path) -> None:
    """Take away the logs of programs that were killed, in time."""
    oldest = time.time() - _LOG_SECONDS
    for path in folder.glob('*.log'):
        with suppress(OSError):  # another program may be doing the same
            if path.stat().st_mtime < oldest:
                path.unlink()


def _ended_by(status: int) -> str:
    if status < 0:
        import signal

        return f'by signal {signal.Signals(-status).name}'
    return f'with status {status}'


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError('The process has no pipe.')
    return stream


def _close(stream: IO[Any] | None) -> None:
    if stream is not None:
        with suppress(OSError):  # what could not be written to a process that has ended
            stream.close()
