"""Where the bodies of steps run.

An executor is given bodies and tells what came of them, and no more: order, joins, commits, retries and time limits
stay with the run. So it may answer in any order, late or twice, which is all that a cluster can promise. This room has
the protocol, its records, and the executor that stays in the process.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from plait_graph._calls import call_plain, cancelled_from_within
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.id_types import ForkStack, NodeID, TaskID
from plait_graph.step import AnyStep, make_context

__all__ = 'Deliver', 'Envelope', 'Executor', 'InProcessExecutor', 'Outcome', 'Parcel', 'TaskInfo'


class Parcel(Protocol):
    """Isolated state for one body: what it sees, and what it has changed."""

    @property
    def state(self) -> Any:
        """What the body has as `ctx.state`."""
        ...

    def changes(self) -> Any:
        """What the body did to it; asked for when the body has ended."""
        ...


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a body may ask about its task."""

    node_id: NodeID
    task_id: TaskID
    fork_stack: ForkStack
    attempt: int
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One body to run."""

    key: str
    """Names this attempt. No other envelope has it."""
    step: AnyStep
    task: TaskInfo
    inputs: Any
    state: Any = None
    """The state that all steps share. It never leaves the process."""
    deps: Any = None
    parcel: Parcel | None = None
    """The body's own state, if the graph isolates it; `state` is then not used."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a body, or what is told of it on the way: that it has started, and what it emitted."""

    key: str
    kind: Literal['started', 'emitted', 'value', 'error', 'cancelled']
    value: Any = None
    """The value of the body, or the event."""
    error: BaseException | None = None
    state_changes: Any = None
    """What the parcel told, if there was one and the body gave a value."""


Deliver: TypeAlias = Callable[[Outcome], None]
"""Takes what an executor tells. Must not raise."""


class Executor(Protocol):
    """Runs the bodies of steps, wherever that is.

    Each envelope leads to `started` when its body is called, which is when its time begins to count, to its `emitted`
    outcomes, in order, and then to one of another kind, which is final. Outcomes of different envelopes come in any
    order, and each may come twice.
    """

    def submit(self, envelopes: Sequence[Envelope], deliver: Deliver) -> None:
        """Take bodies to run, and return at once.

        `deliver` is called on the event loop that entered the executor. What keeps a body from being run is
        delivered as its error.

        Raises:
            GraphRuntimeError: The executor has not been entered, or a key is in use.
        """
        ...

    def cancel(self, keys: Collection[str]) -> None:
        """Stop bodies, or do not start them.

        The outcome, `cancelled` or what came first, is delivered once a body has really ended. Keys that are not known,
        or no more, are passed over.
        """
        ...

    async def reattach(self, keys: Collection[str], deliver: Deliver) -> Collection[str]:
        """Tell which of these bodies are still under way here; their outcomes go to this `deliver` from now on."""
        ...

    async def __aenter__(self) -> Executor:
        """Be ready to run bodies."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what still runs, and wait for its end."""
        ...


class AttendedExecutor(ABC):
    """An executor that attends each body that runs with a task of the event loop; how it is run is left to say."""

    def __init__(self, limit: int | None):
        if limit is not None and limit < 1:
            raise GraphRuntimeError(
                f'{type(self).__name__} cannot run {limit} bodies at once. Give a number of at least 1, or None.'
            )
        self._limit = limit or math.inf
        self._group: TaskGroup | None = None
        self._known: dict[str, _Attendance] = {}
        self._waiting: OrderedDict[str, _Attendance] = OrderedDict()
        self._running: set[str] = set()

    @abstractmethod
    async def run_body(self, envelope: Envelope, start: Callable[[], None], emit: Callable[[object], None]) -> Outcome:
        """Run one body, telling when it is called. What this raises is its error; if this is cancelled, so is it."""

    def submit(self, envelopes: Sequence[Envelope], deliver: Deliver) -> None:
        """Start as many bodies as there are places for, in this order. See `Executor.submit`."""
        group = self._require_group()
        for envelope in envelopes:
            if envelope.key in self._known:
                raise GraphRuntimeError(
                    f'{type(self).__name__} already has a body under the key {envelope.key!r}. '
                    f'Give each attempt of each task a key of its own.'
                )
            self._known[envelope.key] = self._waiting[envelope.key] = _Attendance(envelope, deliver)
            self._start_waiting(group)

    def cancel(self, keys: Collection[str]) -> None:
        """Cancel the tasks of bodies. See `Executor.cancel`."""
        for key in keys:
            if key not in self._known:
                continue
            self._known[key].scope.cancel()
            attendance = self._waiting.pop(key, None)
            if attendance is not None:  # it needs no place to tell that it was cancelled
                self._require_group().start_soon(self._attend, attendance)

    async def reattach(self, keys: Collection[str], deliver: Deliver) -> Collection[str]:
        """Hand the outcomes of bodies to another `deliver`. See `Executor.reattach`."""
        known = [key for key in keys if key in self._known]
        for key in known:
            self._known[key].deliver = deliver
        return known

    def _require_group(self) -> TaskGroup:
        if self._group is None:
            raise GraphRuntimeError(f'{type(self).__name__} has not been entered. Use it inside of `async with`.')
        return self._group

    def _start_waiting(self, group: TaskGroup) -> None:
        """Start bodies in the order in which they came, as long as there are places."""
        while self._waiting and len(self._running) < self._limit:
            key, attendance = self._waiting.popitem(last=False)
            self._running.add(key)
            group.start_soon(self._attend, attendance)

    async def _attend(self, attendance: _Attendance) -> None:
        """Run a body that was not cancelled, deliver what came of it, and give its place to the next one."""
        key = attendance.envelope.key
        outcome = Outcome(key, 'cancelled')
        try:
            with attendance.scope:
                if not attendance.scope.cancel_called:
                    outcome = await self._outcome_of(attendance)
        finally:
            del self._known[key]
            self._running.discard(key)
            attendance.deliver(outcome)
            self._start_waiting(self._require_group())

    async def _outcome_of(self, attendance: _Attendance) -> Outcome:
        envelope = attendance.envelope

        def deliver(event: object) -> None:
            if self._known.get(envelope.key) is attendance:  # else a thread that was left behind still talks
                attendance.deliver(Outcome(envelope.key, 'emitted', event))

        def start() -> None:
            attendance.deliver(Outcome(envelope.key, 'started'))

        def emit(event: object) -> None:
            if get_ident() == self._thread:
                deliver(event)
            else:
                anyio.from_thread.run_sync(deliver, event, token=self._token)

        try:
            return await self.run_body(envelope, start, emit)
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -math.inf:  # somebody has cancelled the task
                raise
            return Outcome(envelope.key, 'error', error=cancelled_from_within(envelope.task.node_id, error))
        except BaseException as error:  # noqa: BLE001 # the user's own, handed on
            return Outcome(envelope.key, 'error', error=error)

    async def __aenter__(self) -> AttendedExecutor:
        if self._group is not None:
            raise GraphRuntimeError(f'{type(self).__name__} has been entered already. Make another one.')
        self._thread = get_ident()
        self._token = anyio.lowlevel.current_token()
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group = self._require_group()
        self.cancel(list(self._known))
        group.cancel_scope.cancel()
        try:
            # The group is told of no error, as it would wrap it in a group of exceptions.
            await group.__aexit__(None, None, None)
        finally:
            self._group = None


class _Attendance:
    """A body that is to be run, to whom its outcome goes, and how it is stopped."""

    __slots__ = 'deliver', 'envelope', 'scope'

    def __init__(self, envelope: Envelope, deliver: Deliver):
        self.envelope = envelope
        self.deliver = deliver
        self.scope = anyio.CancelScope()


class InProcessExecutor(AttendedExecutor):
    """Runs bodies in this process: asynchronous ones on the event loop, plain ones in threads.

    A body in a thread cannot be stopped. When it is cancelled it is waited for, unless its step says `abandon=True`.

    Args:
        max_concurrency: How many bodies may run at once. With `None` each one starts at once, except that anyio
            limits the threads of an event loop.
    """

    def __init__(self, max_concurrency: int | None = None):
        super().__init__(max_concurrency)

    async def run_body(self, envelope: Envelope, start: Callable[[], None], emit: Callable[[object], None]) -> Outcome:
        """Run one body on the loop or in a thread."""
        start()
        step, parcel = envelope.step, envelope.parcel
        state = envelope.state if parcel is None else parcel.state
        context = make_context(state, envelope.deps, envelope.inputs, envelope.task, EnvelopeRun(emit))
        if step.kind == 'sync':
            (value,) = await anyio.to_thread.run_sync(call_plain, step, context, abandon_on_cancel=step.abandon)
        else:
            value = step.call(context)
        if step.kind != 'stream' and inspect.isawaitable(value):
            value = await value
        return Outcome(envelope.key, 'value', value, state_changes=None if parcel is None else parcel.changes())


class EnvelopeRun:
    """What a context knows of its run when its body came in an envelope."""

    __slots__ = ('_emit',)

    def __init__(self, emit: Callable[[object], None]):
        self._emit = emit

    def node_id_of(self, task: TaskInfo) -> NodeID:
        """The id of the node."""
        return task.node_id

    def task_id_of(self, task: TaskInfo) -> TaskID:
        """The id of the task."""
        return task.task_id

    def attempt_of(self, task: TaskInfo) -> int:
        """Which attempt this is."""
        return task.attempt

    def failure_of(self, task: TaskInfo) -> BaseException | None:
        """Not known: errors are not sent along."""
        raise _unknown_elsewhere(task, 'failure')

    def budget_of(self, task: TaskInfo) -> Any:
        """Not known: a budget is one object that all bodies share."""
        raise _unknown_elsewhere(task, 'budget')

    def idempotency_key_of(self, task: TaskInfo) -> str:
        """The key for receivers of side effects."""
        return task.idempotency_key

    def emit_from(self, task: TaskInfo, event: object) -> None:
        """Pass an event on."""
        self._emit(event)


def _unknown_elsewhere(task: TaskInfo, member: str) -> GraphRuntimeError:
    return GraphRuntimeError(
        f'StepContext.{member} is not known to step {task.node_id!r}, whose body an executor runs. '
        f'Pass on what it needs of it as inputs.'
    )
