"""Bodies for tests of processes. A module of its own, since a worker process cannot import a test module."""

import atexit
import os
import signal
import sys
import threading
from pathlib import Path

from plait_graph import GraphBuilder, StepContext

g = GraphBuilder(input_type=int, output_type=int)
_go_on = threading.Event()
_thread: threading.Thread


@g.step
def triple(ctx: StepContext[None, None, int]) -> int:
    """A step under the name that its function had."""
    return ctx.inputs * 3


def pid(ctx):
    """Tell which process this is."""
    return os.getpid()


def spin(ctx):
    """Tell which process this is, and never give up the processor."""
    ctx.emit(os.getpid())
    while True:
        pass


def leave(ctx):
    """End the process."""
    os._exit(ctx.inputs)


def be_killed(ctx):
    """Die as one does for whom there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def exit_program(ctx):
    """Ask to end the program."""
    raise SystemExit(ctx.inputs)


def speak(ctx):
    """Print, also past Python's own streams."""
    sys.stdout.write('from Python')
    sys.stdout.flush()
    os.write(1, b'from below\n')
    return os.read(0, 1) == b''


def write_at_exit(ctx):
    """Write a file when the process ends by itself."""
    atexit.register(Path(ctx.inputs).write_text, 'ended')


def leave_thread(ctx):
    """Leave a thread behind that will emit something."""
    global _thread

    def emit_late():
        _go_on.wait()
        ctx.emit('late')

    _thread = threading.Thread(target=emit_late)
    _thread.start()


def wait_for_thread(ctx):
    """Let the thread go on that another body has left."""
    ctx.emit('before')
    _go_on.set()
    _thread.join()
    return 'after'


async def await_cancelled(ctx):
    """Await what somebody has cancelled."""
    import asyncio

    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def rebuild(home):
    """Be rebuilt in one process only."""
    if os.getpid() != home:
        raise LookupError('not at home')
    return AtHome()


class AtHome(Exception):
    """Can be pickled everywhere, and rebuilt only in the process that it comes from."""

    def __reduce__(self):
        return rebuild, (os.getpid(),)


def give_at_home(ctx):
    """Give what cannot be rebuilt elsewhere."""
    return AtHome()


def raise_at_home(ctx):
    """Raise what cannot be rebuilt elsewhere."""
    raise AtHome
