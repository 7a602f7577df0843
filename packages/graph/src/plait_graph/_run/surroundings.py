"""What some runs need around them: processes for bodies, and a watch on who blocks the event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from plait_graph import events
from plait_graph._run.tokens import Task
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.executors import Executor

if TYPE_CHECKING:
    from plait_graph._run.blame import Blame


class Surroundings:
    """Entered before a run's bodies start, and left when all of them have ended.

    Args:
        uses_processes: Whether steps run in processes.
        executor: Where they do; a pool of processes for this run alone if nothing is given.
        threshold: For how many seconds a step may have the event loop for itself; `None` if nobody is to watch.
        tell: Is told of steps that had it for longer.
    """

    def __init__(
        self,
        uses_processes: bool,
        executor: Executor | None,
        threshold: float | None,
        tell: Callable[[events.LoopBlocked], None],
    ):
        self._uses_processes = uses_processes
        self._executor = executor
        self._threshold = threshold
        self._tell = tell
        self._blame: Blame | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Surroundings:
        await self._stack.__aenter__()
        if self._threshold is not None:
            from plait_graph._run.blame import Blame

            self._blame = self._stack.enter_context(Blame(self._tell, self._threshold))
        if self._uses_processes and self._executor is None:
            from plait_graph.process_executor import ProcessExecutor

            self._executor = await self._stack.enter_async_context(ProcessExecutor())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(None, None, None)

    @property
    def executor(self) -> Executor:
        """Where bodies run that do not run here."""
        if self._executor is None:
            raise GraphRuntimeError('The run has no executor, and a step is to run in one. Give it executor=.')
        return self._executor

    def watched(self, task: Task, body: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """A body, watched if somebody is to watch."""
        return body if self._blame is None else self._blame.watch(task, body)
