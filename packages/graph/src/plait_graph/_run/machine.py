"""The state of a run, and the moves that everything else is made of.

Plain data and plain functions: no event loop, clock, thread or I/O. A value that moves is kept in `moves` until it
rests as a token: at a step, at a join, or, if the run is watched, at any node. Tokens that rest are counted; moves are
not, since all of them have come to rest before the token that caused them is taken away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from plait_graph import events
from plait_graph._compile.plan import Kind, Plan, PlanEdge, PlanNode
from plait_graph._run.counts import Counts
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.tokens import Attempt, Batch, Environment, Region, Task, Timer, TimerKind
from plait_graph.exceptions import GraphRuntimeError, LoopLimitReached
from plait_graph.id_types import TaskID

FAILED: Any = object()
"""Stands for the value of a function that raised."""


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Stop the body of a task that runs; whatever it still gives is dropped."""

    task: Task


@dataclass(frozen=True, slots=True)
class PullItem:
    """Get the next item of an asynchronous source."""

    region: Region


@dataclass(frozen=True, slots=True)
class CloseSource:
    """Stop reading an asynchronous source."""

    region: Region


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Tell of a timer when its time is up."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class AskPermit:
    """Ask a limit by name to let the next task go on that waits for it."""

    name: str
    limit: Any
    weight: float


@dataclass(frozen=True, slots=True)
class ReturnPermit:
    """Give a permit back that no body has used."""

    task: Task


Command: TypeAlias = CancelTask | PullItem | CloseSource | StartTimer | StopTimer | AskPermit | ReturnPermit

_FOR_WORK_TO_COME = PullItem, StartTimer, AskPermit
"""What is not to be done any more once the run has stopped."""


@dataclass(slots=True)
class Ended:
    """The run has a value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The run has failed, with all that failed before it stopped."""

    errors: list[BaseException]


Outcome: TypeAlias = Ended | Failed


@dataclass(slots=True)
class Shown:
    """What a watched run shows after a node ran: the tasks that it leads to, the end, or an error.

    The holder is the token that led here and stays until it is known what becomes of it.
    """

    tasks: list[Task]
    end: Ended | None = None
    error: BaseException | None = None
    holder: Task | None = None


Move: TypeAlias = tuple[PlanNode, Any, Region, int, int]
"""A value on its way: the node that it reaches, the value, region, thread and visit."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A failure that a join further on may collect or ignore; its token stands until that is decided."""

    task: Task
    error: BaseException
    broken: Region | None
    """The fork's run that has failed as a whole, if it is one."""


class Queue:
    """Tasks that wait for their step, or for a limit by name, to let them go on."""

    __slots__ = 'asked_for', 'waiting'

    def __init__(self) -> None:
        self.waiting: deque[Task] = deque()
        self.asked_for: Task | None = None
        """The task that a permit was asked for."""


_NONE: Mapping[Any, Any] = MappingProxyType({})
"""Stands for records that most runs never make."""

_NEVER_SHOWN: deque[Shown] = deque(maxlen=0)
"""Can hold nothing; stands for what is shown of runs that nobody watches."""


class Machine:
    """The state of one run."""

    max_concurrency: int | None = None
    """How many step bodies may run at once."""
    led_nowhere: bool = False
    """Whether a map without items is to be shown."""
    outcome: Outcome | None = None
    cancelled: set[int] | frozenset[int] = frozenset()
    """Tasks that were cancelled before they started."""
    led: list[Task]
    """The tasks that the node which runs has led to so far, if the run is watched."""
    last_ends: Sequence[str] = ()
    """Where tokens ended lately without leading anywhere."""
    cause: TaskID | None = None
    """What leads to the tasks that are made now, if somebody listens."""
    stands_in: BaseException | None = None
    """The failure of the step that the task which is made now stands in for."""
    causes: dict[int, TaskID | None] | None = None
    """The same for tasks at nodes other than steps, which are shown before they lead on."""
    attempts: Mapping[int, Attempt] = _NONE
    """What is known of tasks whose steps have policies, by the task's id."""
    ending: Mapping[int, Task] = _NONE
    """Tasks whose bodies were asked to stop because their time is up, and have not ended."""
    timers: Mapping[int, Timer] = _NONE
    queues: Mapping[str, Queue] = _NONE
    """What waits for a limit by name, or for a place at a step, by the name of the limit or the id of the step."""
    busy: Mapping[int, int] = _NONE
    """How many bodies run of each step that allows only so many at once."""

    def __init__(
        self,
        plan: Plan,
        evaluator: Evaluator,
        env: Environment,
        watched: bool = False,
        listener: Callable[[events.RunEvent], None] | None = None,
    ):
        self.plan = plan
        self.nodes = plan.nodes
        self.evaluator = evaluator
        self.listener: Callable[[events.RunEvent], None] | None = listener
        self.watched = watched
        self.is_careful = watched or listener is not None or plan.tracks_members
        """Whether even a step from one node to the next has to be noted."""
        self.counts = Counts(plan.tracks_threads)
        self.next_id: int = 1
        self.ready: deque[Task | Batch] = deque()
        self.running: dict[int, Task] = {}
        self.sources: dict[int, Region] = {}
        """The asynchronous sources that are being read, by the region's id."""
        self.commands: list[Command] = []
        self.moves: deque[Move] = deque()
        self.thirsty: deque[Region] = deque()
        """Maps over plain iterables that have places for further items."""
        self.shown: deque[Shown] = deque() if watched else _NEVER_SHOWN
        """What the one who watches has not seen yet."""
        self.errors: list[BaseException] = []
        self.losses: deque[Loss] = deque()
        """Failures of which it is not yet known what becomes of them."""
        if watched:
            self.led = []
        self.root = Region(0, plan.nodes[0], None, 0, 0, env)
        if plan.tracks_members:
            self.root.members, self.root.children = {}, {}

    def new_id(self) -> int:
        """A number that no task and no region has."""
        self.next_id += 1
        return self.next_id - 1

    @property
    def is_full(self) -> bool:
        """Whether no more bodies may run at once."""
        return self.max_concurrency is not None and len(self.running) + len(self.ending) >= self.max_concurrency

    # Regions

    def region(self, node: PlanNode, parent: Region | None, index: int, visit: int, env: Environment) -> Region:
        """Begin a run of a fork."""
        region = Region(self.new_id(), node, parent, index, visit, env)
        if self.plan.tracks_members:
            region.members, region.children = {}, {}
        if node.timed:
            self.await_joins(region)
        if self.listener is not None:
            region.cause = self.cause
        return region

    def await_joins(self, region: Region) -> None:
        """Start the deadlines of the joins that wait for a run of a fork."""
        region.timers = {}
        for index in region.node.timed:
            join = self.nodes[index]
            if join.needs is not None and join.needs.seconds is not None:
                region.timers[index] = self.start_timer('join', join.needs.seconds, region=region, node=join)

    # Timers and attempts

    def start_timer(
        self,
        kind: TimerKind,
        seconds: float,
        *,
        task: Task | None = None,
        region: Region | None = None,
        node: PlanNode | None = None,
    ) -> Timer:
        """Ask to be told when a time is up."""
        timer = Timer(self.new_id(), kind, seconds, task, region, node)
        if not isinstance(self.timers, dict):
            self.timers = {}
        self.timers[timer.id] = timer
        self.commands.append(StartTimer(timer))
        return timer

    def stop_timer(self, timer: Timer) -> None:
        """Forget a timer, if its time is not up."""
        if isinstance(self.timers, dict) and self.timers.pop(timer.id, None) is not None:
            self.commands.append(StopTimer(timer))

    def attempt(self, task: Task, cause: BaseException | None = None) -> Attempt:
        """What is known of a task's attempts; begins the first one."""
        attempt = self.attempts.get(task.id)
        if attempt is None:
            if not isinstance(self.attempts, dict):
                self.attempts = {}
            attempt = self.attempts[task.id] = Attempt(cause)
        return attempt

    def attempt_number(self, task: Task) -> int:
        """Which attempt of a task this is."""
        attempt = self.attempts.get(task.id)
        return 1 if attempt is None else attempt.number

    def end_attempt(self, task: Task) -> None:
        """Note that no body works on a task any more: its timers stop, and its place at its step is free."""
        attempt = self.attempts.get(task.id)
        if attempt is None:
            return
        for timer in attempt.timers:
            self.stop_timer(timer)
        attempt.timers.clear()
        attempt.has_permit = False
        if attempt.is_started:
            attempt.is_started = False
            self._leave_place(task.node)

    def forget_attempts(self, task: Task) -> None:
        """Note that a task is done."""
        self.end_attempt(task)
        if isinstance(self.attempts, dict):
            self.attempts.pop(task.id, None)

    def stop_ending(self, task: Task) -> bool:
        """Expect no more of a task that was asked to stop; tells whether it had not ended."""
        return isinstance(self.ending, dict) and self.ending.pop(task.id, None) is not None

    def has_place(self, node: PlanNode) -> bool:
        """Whether a step may have one more body at once."""
        if node.policy is None or node.policy.max_concurrency is None:
            return True
        return self.busy.get(node.index, 0) < node.policy.max_concurrency

    def take_place(self, node: PlanNode) -> None:
        """Count a body of a step that allows only so many at once."""
        if node.policy is not None and node.policy.max_concurrency is not None:
            if not isinstance(self.busy, dict):
                self.busy = {}
            self.busy[node.index] = self.busy.get(node.index, 0) + 1

    def _leave_place(self, node: PlanNode) -> None:
        if isinstance(self.busy, dict) and node.index in self.busy:
            self.busy[node.index] -= 1
            self.let_next_in(node)

    def let_next_in(self, node: PlanNode) -> None:
        """Let the oldest task that waits for a place at its step try again, before all others."""
        queue = self.queues.get(node.id)
        while queue is not None and queue.waiting and self.has_place(node):
            task = queue.waiting.popleft()
            if not self.was_cancelled(task):
                self.ready.appendleft(task)
                return

    def queue(self, name: str) -> Queue:
        """The queue of a limit or a step."""
        if not isinstance(self.queues, dict):
            self.queues = {}
        return self.queues.setdefault(name, Queue())

    # Tokens

    def rest(self, task: Task) -> None:
        """Let a task wait at its node."""
        self.counts.place(task.region, task.node.arriving, task.index)
        if task.region.members is not None:
            task.region.members[task] = None
        if self.listener is not None:
            self._tell_ready(task)
        if self.stands_in is not None:
            self.attempt(task, self.stands_in)
        if self.watched and not task.node.scope:
            self.led.append(task)
        else:
            self.ready.append(task)

    def _tell_ready(self, task: Task) -> None:
        if self.listener is None:
            return
        if task.node.is_step:
            place = task.node.id, task.task_id, task.fork_stack
            self.listener(events.StepReady(*place, task.inputs, self.cause, task.visit))
        else:
            self.causes = self.causes or {}
            self.causes[task.id] = self.cause

    def leave(self, task: Task) -> None:
        """Take a task away from its node."""
        self.leave_members(task.region, task)
        self.counts.remove(task.region, task.node.arriving, task.index)

    def join_members(self, region: Region, member: Task) -> None:
        if region.members is not None:
            region.members[member] = None

    def leave_members(self, region: Region, member: Task) -> None:
        if region.members is not None:
            region.members.pop(member, None)

    def cancel_waiting(self, task: Task) -> None:
        """Remember that a task is not to start when its turn comes."""
        if not isinstance(self.cancelled, set):
            self.cancelled = set()
        self.cancelled.add(task.id)

    def was_cancelled(self, task: Task) -> bool:
        """Whether a task is not to start; asked once, when its turn has come."""
        if not isinstance(self.cancelled, set) or task.id not in self.cancelled:
            return False
        self.cancelled.discard(task.id)
        return True

    # Values

    def pass_on(self, node: PlanNode, edge: PlanEdge, value: Any, region: Region, index: int, visit: int) -> None:
        """Send a value from a node along an edge."""
        for transform in edge.transforms:
            value = self.evaluate(
                node, region, index, visit, 'the transform after', self.evaluator.apply, transform, region.env, value
            )
            if value is FAILED:
                return
        self.arrive(self.nodes[edge.target], value, region, index, visit)

    def go_on(self, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
        """Send a value along the only edge of a node, if it has one."""
        if node.edges:
            self.pass_on(node, node.edges[0], value, region, index, visit)
        else:
            self.note_end(f'{node.id!r} has no outgoing edge')

    def arrive(self, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
        """Let a value reach a node: it waits there for a step, and acts in its turn otherwise."""
        if self.outcome is not None:
            return  # what led here had not heard yet that the run has stopped
        if node.policy is not None and node.policy.loop_guard is not None:
            guard = node.policy.loop_guard
            if self._passes(node, region, index) > guard.limit:
                self._turn_away(node, guard.limit, value, region, index, visit)
                return
        if node.is_step or (self.watched and not node.scope):
            self.rest(Task(self.new_id(), node, value, region, index, visit + 1))
        else:
            self.moves.append((node, value, region, index, visit))

    def _passes(self, node: PlanNode, region: Region, index: int) -> int:
        """How often a guarded step has been reached in a thread of a run, this time included.

        What has left a join goes on from where any of the threads before it was.
        """
        if region.passes is None:
            region.passes = {}
        passes = region.passes.setdefault(node.index, {})
        before = passes.get(index)
        if before is None:
            before = max(passes.values(), default=0) if index < 0 else 0
        passes[index] = before + 1
        return before + 1

    def _turn_away(self, node: PlanNode, limit: int, value: Any, region: Region, index: int, visit: int) -> None:
        """Send a value elsewhere that has reached a guarded step too often."""
        if node.guard is not None:
            self.pass_on(node, node.guard, value, region, index, visit)
            return
        fault = LoopLimitReached(
            f'Step {node.id!r} has been reached {limit} times in a cycle, which is all that its loop_guard allows. '
            f'Let the cycle end earlier, or name a way out: LoopGuard({limit}, then=...).'
        )
        self.fail_at(node, region, index, visit, fault)

    # Failures

    def evaluate(
        self,
        node: PlanNode,
        region: Region,
        index: int,
        visit: int,
        what: str,
        function: Callable[..., Any],
        *args: Any,
    ) -> Any:
        """Call a user's function; what it raises is a failure of the node, and the result then `FAILED`."""
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001 # the user's own, handed on
            self.fail_at(node, region, index, visit, error, what)
            return FAILED

    def fail_at(
        self,
        node: PlanNode,
        region: Region,
        index: int,
        visit: int,
        error: BaseException,
        what: str = '',
        broken: Region | None = None,
    ) -> None:
        """Note that a node failed without being a step that runs, or that a whole run of a fork did."""
        task = Task(self.new_id(), node, None, region, index, visit)
        self.counts.place(region, node.arriving, index)
        self.failed(task, error, what, broken)

    def failed(self, task: Task, error: BaseException, what: str = '', broken: Region | None = None) -> None:
        """Note a failure: of the run, or, if a join may take it, one that is looked at when all has come to rest."""
        _note(error, task, what, self.attempt_number(task))
        if self.plan.catches and isinstance(error, Exception):
            self.losses.append(Loss(task, error, broken))
        else:
            self.give_up(task, error)

    def give_up(self, task: Task, error: BaseException) -> None:
        """Show a failure to the one who watches, or end the run."""
        if self.listener is not None:
            self.listener(
                events.StepFailed(task.node.id, task.task_id, task.fork_stack, error, False, self.attempt_number(task))
            )
        self.forget_attempts(task)
        if self.watched and not isinstance(self.outcome, Failed):
            self.shown.append(Shown([], error=error, holder=task))
            return
        self.errors.append(error)
        self.stop(Failed(self.errors))

    def stop(self, outcome: Outcome) -> None:
        """End the run: nothing starts any more, and what runs is cancelled."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        for waiting in (self.ready, self.moves, self.thirsty, self.losses):
            if waiting:
                waiting.clear()
        if self.commands:  # what was cancelled before is still to be
            self.commands[:] = [command for command in self.commands if not isinstance(command, _FOR_WORK_TO_COME)]
        for timer in list(self.timers.values()):
            self.stop_timer(timer)
        if self.running or self.sources:
            self.commands.extend(CancelTask(task) for task in self.running.values())
            self.commands.extend(CloseSource(region) for region in self.sources.values())
        if type(outcome) is Ended:
            self.running.clear()  # what these still give is of no interest
            if self.listener is not None:
                self.listener(events.RunFinished(outcome.value))

    def note_end(self, text: str) -> None:
        """Remember where a token ended, for the message in case it was the last one."""
        self.last_ends = (*self.last_ends[-2:], text)

    def stall(self, where: str) -> None:
        """End a run in which nothing is left that could lead to the end."""
        ends = '; '.join(self.last_ends) or 'every task was taken out of the run'
        error = GraphRuntimeError(
            f'Graph run completed, but no result was produced{where}. The last tokens ended so: {ends}.'
        )
        if self.watched:
            self.shown.append(Shown([], error=error))
            return
        self.errors.append(error)
        self.stop(Failed(self.errors))


def _note(error: BaseException, task: Task, what: str, attempt: int) -> None:
    """Say on the exception where it happened; the exception itself stays as it is."""
    kind = what or ('step' if task.node.is_step else 'node')
    items: list[str] = []
    region, index = task.region, task.index
    while region.parent is not None:
        if region.node.kind is Kind.MAP and index >= 0:
            items.append(f'item {index} of map {region.node.id!r}')
        region, index = region.parent, region.index
    place = ''.join(f', {item}' for item in items)
    note = f'in {kind} {task.node.id!r} ({task.task_id}{place}, attempt {attempt})'
    if note not in getattr(error, '__notes__', ()):
        error.add_note(note)
