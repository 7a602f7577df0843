"""The other end of a process executor: runs the bodies that it is sent, one after the other.

A frame is its length in eight bytes, and that many bytes. The first frame tells how the process that asks was started,
each further one is a packed body. The answers are frames as well.
"""

from __future__ import annotations

import os
import pickle
import signal
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import BinaryIO

is_importing_main = False
"""Whether the program's main module is being run here, so that what it defines can be found."""


def main() -> None:
    """Work until nobody is left to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the asking process's to answer; it ends this one
    source, sink = _take_over_streams()
    fault = _prepare(_read(source))

    # Here and not above, since the main module may change what an import finds.
    from plait_graph import _portable

    requests: SimpleQueue[bytes] = SimpleQueue()
    is_busy = Event()
    Thread(target=_listen, args=(source, requests, is_busy), daemon=True).start()
    tell = partial(_write, sink, Lock())
    while request := requests.get():
        if fault is None:
            reply = _portable.perform(request, tell)
        else:
            reply = _portable.refuse(request, 'the main module of the program cannot be imported by a worker', fault)
        is_busy.clear()
        tell(reply)


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for the talk with the asking process; what bodies print goes where its errors go."""
    source, sink = os.fdopen(os.dup(0), 'rb'), os.fdopen(os.dup(1), 'wb')
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _prepare(data: bytes) -> BaseException | None:
    """Make this process like the asking one, with its main module under another name; gives what went wrong."""
    global is_importing_main  # noqa: PLW0603 # the process is what is in that state
    from multiprocessing.spawn import prepare

    is_importing_main = True
    try:
        prepare(pickle.loads(data))
    except BaseException as error:  # noqa: BLE001 # SystemExit too
        return error
    finally:
        is_importing_main = False
    return None


def _listen(source: BinaryIO, requests: SimpleQueue[bytes], is_busy: Event) -> None:
    """Take in what is asked. When the asking process has gone, a body that nobody waits for ends here."""
    while request := _read(source):
        is_busy.set()
        requests.put(request)
    if is_busy.is_set():
        os._exit(1)
    requests.put(b'')


def _read(source: BinaryIO) -> bytes:
    """The next frame; empty if there is none."""
    return source.read(int.from_bytes(source.read(8), 'big'))


def _write(sink: BinaryIO, lock: Lock, data: bytes) -> None:
    with lock:
        sink.write(len(data).to_bytes(8, 'big'))
        sink.write(data)
        sink.flush()
