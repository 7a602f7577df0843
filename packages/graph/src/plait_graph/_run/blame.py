"""Which body keeps the event loop waiting, and where.

A watched body notes when it gets the loop and when it gives it back. A thread looks on now and then; when a body has
had the loop for too long, it takes down where that body is. Nothing here is used unless somebody asks for it.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Generator
from traceback import FrameSummary, StackSummary, walk_stack
from types import FrameType, TracebackType
from typing import Any, Protocol

from plait_graph.events import LoopBlocked
from plait_graph.exceptions import BlockingStepWarning
from plait_graph.id_types import ForkStack, NodeID, TaskID

_LOOKS_A_THRESHOLD = 10


class _Node(Protocol):
    @property
    def id(self) -> NodeID: ...


class WatchedTask(Protocol):
    """What has to be known of a task to speak of it."""

    @property
    def node(self) -> _Node: ...
    @property
    def task_id(self) -> TaskID: ...
    @property
    def fork_stack(self) -> ForkStack: ...


class Blame:
    """Watches the bodies that run on the event loop of this thread, while it is entered.

    Args:
        report: Called on the event loop's thread when a body that had the loop for too long has given it back.
        threshold: From how many seconds on that is too long.
        clock: Tells the seconds.
        on_blocked: Called as soon as it is seen that a body has had the loop for too long, from another thread, since
            this one is blocked: by a body that never ends, nothing else is told.
    """

    def __init__(
        self,
        report: Callable[[LoopBlocked], None],
        threshold: float = 0.1,
        clock: Callable[[], float] = time.perf_counter,
        on_blocked: Callable[[LoopBlocked], None] | None = None,
    ):
        self.clock = clock
        self._report = report
        self._threshold = threshold
        self._on_blocked: Callable[[LoopBlocked], None] = on_blocked or (lambda record: None)
        self._current: _Turn | None = None
        self._warned: set[tuple[NodeID, str, int]] = set()
        self._is_over = threading.Event()

    def watch(self, task: WatchedTask, body: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """The same body, watched."""
        return _Watched(self, task, body)

    def __enter__(self) -> Blame:
        self._is_over.clear()
        self._watcher = threading.Thread(target=self._look_on, args=[threading.get_ident()], daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._watcher.join()

    def begin(self, turn: _Turn) -> None:
        """Note that a body has the loop."""
        self._current = turn

    def end(self, turn: _Turn) -> None:
        """Note that a body has given the loop back, and tell if that took too long."""
        self._current = None
        seconds = self.clock() - turn.since
        if seconds < self._threshold:
            return
        self._report(turn.record(seconds))
        self._warn(turn, seconds)

    def _warn(self, turn: _Turn, seconds: float) -> None:
        """Warn once for each line of a step that leads to what blocks."""
        node_id = turn.task.node.id
        file, line, where = str(node_id), 0, ''
        if turn.frames:
            own, blocking = turn.frames[0], turn.frames[-1]
            file, line = own.filename, own.lineno or 0
            where = f' at {blocking.filename}:{blocking.lineno} ({blocking.line})'
        if (node_id, file, line) in self._warned:
            return
        self._warned.add((node_id, file, line))
        message = (
            f'Step {node_id!r} kept the event loop waiting for {seconds:.2f} s{where}. '
            f'Make it a plain `def`, which runs in a thread, or let it run in a process.'
        )
        warnings.warn_explicit(message, BlockingStepWarning, file, line)

    def _look_on(self, thread: int) -> None:
        """Look now and then whether a body has had the loop for too long, once each time it has it."""
        while not self._is_over.wait(self._threshold / _LOOKS_A_THRESHOLD):
            turn = self._current
            if turn is not None and not turn.frames:
                self._look_at(turn, thread)

    def _look_at(self, turn: _Turn, thread: int) -> None:
        """Take down where a body is that has had the loop for too long."""
        seconds = self.clock() - turn.since
        frames = frames_within(sys._current_frames()[thread]) if seconds >= self._threshold else []  # pyright: ignore[reportPrivateUsage] # the documented way
        if not frames or self._current is not turn:  # what was seen then may belong to another body
            return
        turn.frames = frames
        self._on_blocked(turn.record(seconds))


class _Turn:
    """One time that a body has the loop."""

    __slots__ = 'frames', 'since', 'task'

    def __init__(self, task: WatchedTask, since: float):
        self.task = task
        self.since = since
        self.frames: list[FrameSummary] = []
        """Where the body was seen, its own function first."""

    def record(self, seconds: float) -> LoopBlocked:
        stack = ''.join(StackSummary.from_list(self.frames).format())
        return LoopBlocked(self.task.node.id, self.task.task_id, self.task.fork_stack, seconds, stack)


class _Watched(Coroutine[Any, Any, Any]):
    """A body that notes when it has the loop."""

    __slots__ = '_blame', '_body', '_task'

    def __init__(self, blame: Blame, task: WatchedTask, body: Coroutine[Any, Any, Any]):
        self._blame = blame
        self._task = task
        self._body = body

    def send(self, value: Any, /) -> Any:
        return self._take_turn(self._body.send, value)

    def throw(self, *error: Any) -> Any:
        return self._take_turn(self._body.throw, *error)

    def close(self) -> None:
        self._take_turn(self._body.close)

    def __await__(self) -> Generator[Any, Any, Any]:
        raise RuntimeError('a watched body is resumed by whoever runs it, and not awaited')

    def _take_turn(self, go_on: Callable[..., Any], *args: Any) -> Any:
        turn = _Turn(self._task, self._blame.clock())
        self._blame.begin(turn)
        try:
            return go_on(*args)
        finally:
            self._blame.end(turn)


_OWN_CODE = _Watched._take_turn.__code__  # pyright: ignore[reportPrivateUsage] # this module's


def frames_within(innermost: FrameType) -> list[FrameSummary]:
    """The frames below the one that gave a body the loop; none if it has just given it back."""
    frames: list[tuple[FrameType, int]] = []
    for frame, line in walk_stack(innermost):
        if frame.f_code is _OWN_CODE:
            frames.reverse()
            return list(StackSummary.extract(iter(frames)))
        frames.append((frame, line))
    return []
