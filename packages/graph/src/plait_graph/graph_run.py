"""A run in the hands of a user: watched node by node, and steered.

What the driver and the scheduler do is said here in public words; nothing is decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, Unpack, cast

from plait_graph._graph_task import (
    EndMarker,
    ErrorMarker,
    GraphTask,
    GraphTaskRequest,
    JoinItem,
    Request,
    RunCounts,
)
from plait_graph._run.failures import raise_failures
from plait_graph._run.outcomes import Ended
from plait_graph._typevars import Deps, OutputOut, State
from plait_graph.exceptions import GraphRuntimeError, RunCancelled
from plait_graph.id_types import ForkStack, NodeID, NodeRunID, TaskID
from plait_graph.node import StartNode
from plait_graph.run_options import IterOptions

if TYPE_CHECKING:
    from plait_graph import events
    from plait_graph._run.machine import Shown
    from plait_graph._run.tokens import Region, Task
    from plait_graph.explain import EventLog, Explanation
    from plait_graph.graph import Graph

__all__ = 'EndMarker', 'ErrorMarker', 'GraphRun', 'GraphTask', 'GraphTaskRequest', 'JoinItem', 'RunCounts'


class GraphRun(Generic[State, Deps, OutputOut]):
    """A run of a graph that advances only when it is asked to.

    Made by `Graph.iter`. Iterating yields, after each node that ran, the list of tasks that it leads to, and at last an
    `EndMarker`. A task that was yielded has not started; it starts when iteration goes on. What had started before runs
    on meanwhile.

    Leaving the block stops all tasks and waits for their clean-up. The code in the block is never cancelled by the run.

    Raises:
        GraphRuntimeError: It is advanced outside of its `async with`, or while another advance waits.
    """

    def __init__(
        self,
        graph: Graph[State, Deps, Any, OutputOut],
        *,
        state: State,
        deps: Deps,
        inputs: Any,
        **options: Unpack[IterOptions],
    ):
        from plait_graph._run.launch import listener_of, make_driver

        self.graph = graph
        self.state = state
        self.deps = deps
        self.inputs = inputs
        self._listener = listener_of(options)
        self._log = options.get('log')
        self._span = options.get('span')
        self._stack = ExitStack()
        listener = None if self._listener is None else self._tell
        self._driver = make_driver(graph.plan, state, deps, options, graph.state_type, watched=True, listener=listener)
        self._scheduler = self._driver.scheduler
        self._phase = 'new'
        self._is_shown = False
        """Whether the first of what the scheduler shows has been given to the user."""
        self._next: EndMarker[OutputOut] | ErrorMarker | Sequence[GraphTask] = [
            GraphTask(StartNode.id, inputs, (), TaskID('task:1'))
        ]
        self._override: EndMarker[OutputOut] | Sequence[Request] | None = None
        self._is_advancing = False
        self._cancelled: str | None = None

    # The block

    async def __aenter__(self) -> Self:
        if self._phase != 'new':
            raise GraphRuntimeError('A run can be entered once. Call graph.iter(...) again for another one.')
        if self._span is not None:
            self._stack.enter_context(self._span)
        await self._driver.enter()
        self._phase = 'open'
        self._scheduler.begin(self.inputs)
        self._driver.follow_up()  # its time begins
        self._show()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._phase = 'closed'
        try:
            await self._driver.leave()
        finally:
            self._stack.__exit__(kind, error, traceback)

    # Looking

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._driver.run_id

    @property
    def next_task(self) -> EndMarker[OutputOut] | ErrorMarker | Sequence[GraphTask]:
        """What the next advance begins with: the last event, or what was put in its place."""
        if self._override is None:
            return self._next
        return cast('EndMarker[OutputOut] | Sequence[GraphTask]', self._override)

    @property
    def output(self) -> OutputOut | None:
        """The output of the run if it has ended, also after the block; otherwise `None`."""
        return self._next.value if isinstance(self._next, EndMarker) else None

    def why(self, task_id: str | None = None) -> Explanation:
        """What led to a task, or, without one, to the output of the run: the values and branches back to the start.

        Raises:
            GraphRuntimeError: The run is not recorded, or has no such task.
        """
        return self.log.why(task_id)

    def statistics(self) -> RunCounts:
        """How many tasks the run has now, by what they do, and what a log says of those it had."""
        from plait_graph._run.snapshot import live_regions  # nothing else here asks for it

        scheduler, log = self._scheduler, self._log
        return RunCounts(
            running=len(scheduler.running) + len(scheduler.ending),
            ready=scheduler.count_ready(),
            waiting=scheduler.count_waiting(),
            open_joins=sum(len(region.open or ()) for region in live_regions(scheduler)),
            recorded=None if log is None else log.statistics(),
        )

    @property
    def log(self) -> EventLog:
        """The log that the run was given.

        Raises:
            GraphRuntimeError: It was given none.
        """
        if self._log is None:
            raise GraphRuntimeError(
                'What happened in this run is not recorded. Give it a log: graph.iter(..., log=EventLog()).'
            )
        return self._log

    def __repr__(self) -> str:
        return f'<{type(self).__name__} of {self.graph.name or "a graph"}, next: {self.next_task!r}>'

    # Advancing

    def __aiter__(self) -> AsyncIterator[EndMarker[OutputOut] | Sequence[GraphTask]]:
        return self

    async def __anext__(self) -> EndMarker[OutputOut] | Sequence[GraphTask]:
        """Advance by one event.

        Raises:
            StopAsyncIteration: The run has ended.
            RunCancelled: `cancel` was called.
        """
        await self._advance()
        return cast('EndMarker[OutputOut] | Sequence[GraphTask]', self._next)  # an error would have been raised

    async def next(
        self, value: EndMarker[OutputOut] | Sequence[Request] | None = None
    ) -> EndMarker[OutputOut] | Sequence[GraphTask]:
        """Advance by one event, after putting something else in the place of the last one.

        On a new run the event of the start node is passed over first.

        Args:
            value: Tasks to start instead of those of the last event (those left out never start), or an `EndMarker` to
                end the run. `None` to go on as shown.

        Raises:
            StopAsyncIteration: The run has ended, or was ended by this.
            RunCancelled: `cancel` was called.
            GraphRuntimeError: A task names a node or a fork run that there is not.
        """
        self._check_open()
        if self._is_at_start():
            await self.__anext__()
        if value is not None:
            self.override_next(value)
        return await self.__anext__()

    def override_next(self, value: EndMarker[OutputOut] | Sequence[Request]) -> None:
        """Put something in the place of the last event; the next advance begins with it.

        After an error this is the way to recover; after the end, to go on.

        Raises:
            GraphRuntimeError: A task names a node that there is not.
        """
        if not isinstance(value, EndMarker):
            for request in value:
                self._node_index(request)
        self._override = value

    def cancel(self, reason: str = 'cancel() was called') -> None:
        """Stop all tasks, and make the advance that waits, or the next one, raise `RunCancelled`.

        May be called from any task and any thread.
        """

        def stop() -> None:
            if self._cancelled is None and not isinstance(self._scheduler.outcome, Ended):
                self._cancelled = reason
                self._scheduler.cancel()

        if self._phase == 'open':
            self._driver.wake_from_thread(stop)
        elif self._phase == 'new':
            self._cancelled = reason

    def events(self) -> AsyncIterator[events.RunEvent]:
        """Run to the end, and give all events on the way as they come, those that steps emit among them.

        Takes the place of iterating node by node; `output` has the result afterwards. What a step raises is raised
        behind the events that led to it.
        """
        return _Events(self)

    # Within

    def _listen(self, hear: Callable[[events.RunEvent], None]) -> None:
        """Tell one more listener what happens, and let it end the wait of an advance."""
        listener = self._listener

        def tell(event: events.RunEvent) -> None:
            if listener is not None:
                listener(event)
            hear(event)
            self._driver.notify()

        self._listener = tell
        self._scheduler.listener = self._tell
        self._driver.listener = self._tell

    def _tell(self, event: events.RunEvent) -> None:
        if self._listener is not None:
            self._listener(event)

    def _check_open(self) -> None:
        if self._phase != 'open':
            raise GraphRuntimeError(
                'The run is used outside of its block. Advance it inside of `async with graph.iter(...) as run:`.'
            )
        if self._is_advancing:
            raise GraphRuntimeError('The run is being advanced by another task. Await one advance at a time.')

    def _is_at_start(self) -> bool:
        tasks = self._scheduler.shown[0].tasks if self._is_shown else ()
        return bool(tasks) and tasks[0].node.index == 0

    async def _advance(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Let the last event take effect, and work until there is another one, or the caller has had enough."""
        self._check_open()
        self._is_advancing = True
        try:
            self._check_cancelled()
            if self._is_shown:
                self._commit(self._scheduler.shown[0])
                self._is_shown = False
            await self._driver.wait_shown(is_enough)
            self._check_cancelled()
            await self._take_in(is_enough)
        except (Exception, GeneratorExit):
            raise
        except BaseException:  # the caller was cancelled: so is the run
            self._cancelled = self._cancelled or 'the code that advanced the run was cancelled'
            await self._driver.stop()
            raise
        finally:
            self._is_advancing = False

    async def _take_in(self, is_enough: Callable[[], bool]) -> None:
        """See what the work has led to."""
        if self._scheduler.shown:
            self._show()
            if isinstance(self._next, ErrorMarker):
                raise self._next.error
        elif self._scheduler.outcome is not None and not is_enough():
            await self._finish()

    def _check_cancelled(self) -> None:
        if self._cancelled is not None:
            raise RunCancelled(f'The run was cancelled: {self._cancelled}.')

    async def _finish(self) -> NoReturn:
        """Wait until all bodies have ended, and raise what an ended run raises."""
        await self._driver.stop()
        if isinstance(self._scheduler.outcome, Ended):
            raise StopAsyncIteration('The run has ended; `output` has its value.')
        raise_failures(self._scheduler.errors, 'group')

    def _show(self) -> None:
        """Take the next event in, so that the user can see it."""
        shown = self._scheduler.shown[0]
        self._is_shown = True
        if shown.end is not None:
            self._next = EndMarker(shown.end.value)
        elif shown.error is not None:
            self._next = ErrorMarker(shown.error)
        else:
            self._next = [
                GraphTask(task.node.id, task.inputs, task.fork_stack, task.task_id)
                for task in shown.tasks
                if task.id not in self._scheduler.cancelled
            ]

    def _commit(self, shown: Shown) -> None:
        """Let the last event take effect, or what was put in its place."""
        override, self._override = self._override, None
        if isinstance(override, EndMarker):
            self._next = override
            self._scheduler.stop(Ended(override.value))
            self._scheduler.shown.clear()
        elif override is not None:
            self._replace(shown, override)
        elif isinstance(self._next, EndMarker | ErrorMarker):
            self._scheduler.accept()
            self._scheduler.shown.clear()
        else:
            self._replace(shown, self._next)

    def _replace(self, shown: Shown, requests: Sequence[Request]) -> None:
        """Start what is asked for: tasks that were shown go on, with their inputs as they are now; others are made."""
        mine = {task.task_id: task for task in shown.tasks}
        tasks: list[Task] = []
        for request in requests:
            task = mine.get(request.task_id) if isinstance(request, GraphTask) else None
            if task is None or not _is_at(task, request):
                task = self._place(request, shown)
            task.inputs = request.inputs
            tasks.append(task)
        self._scheduler.replace(tasks)

    def _place(self, request: Request, shown: Shown) -> Task:
        node = self._scheduler.nodes[self._node_index(request)]
        region, index = self._find_region(request.fork_stack, shown)
        return self._scheduler.place(node, request.inputs, region, index)

    def _node_index(self, request: Request) -> int:
        node_id = request.join_id if isinstance(request, JoinItem) else request.node_id
        index = self.graph.plan.by_path.get(NodeID(node_id))
        if index is None:
            raise GraphRuntimeError(
                f'Node {node_id!r} is not in the graph, which has {", ".join(sorted(self.graph.plan.by_path))}.'
            )
        return index

    def _find_region(self, stack: ForkStack, shown: Shown) -> tuple[Region, int]:
        """The fork run that a stack ends in."""
        if not stack:
            return self._scheduler.root, 0
        last = stack[-1]
        holders = [*shown.tasks, *([shown.holder] if shown.holder is not None else [])]
        for task in (*holders, *self._scheduler.tasks()):
            region: Region | None = task.region
            while region is not None:
                if region.run_id == last.node_run_id:
                    return region, last.thread_index
                region = region.parent
        raise GraphRuntimeError(
            f'Run {NodeRunID(last.node_run_id)!r} of fork {last.fork_id!r} is over or never was. '
            f'Use the fork_stack of a task that was shown, or () for the run itself.'
        )


def _is_at(task: Task, request: Request) -> bool:
    """Whether a task is still where a request wants it."""
    return isinstance(request, GraphTask) and (task.node.id, task.fork_stack) == (request.node_id, request.fork_stack)


class _Events:
    """The events of a run, which goes on as they are asked for; no generator, so that it can be left at any point."""

    def __init__(self, run: GraphRun[Any, Any, Any]):
        self._run = run
        self._told: deque[events.RunEvent] = deque()
        self._end: Exception | None = None
        run._listen(self._told.append)  # pyright: ignore[reportPrivateUsage] # same room

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> events.RunEvent:
        while not self._told:
            if self._end is not None:
                raise self._end
            try:
                await self._run._advance(lambda: bool(self._told))  # pyright: ignore[reportPrivateUsage]
            except Exception as error:  # noqa: BLE001 # raised above, behind the events that led to it
                self._end = error
        return self._told.popleft()
