"""The state of a run, and the moves that everything else is made of.

Plain data and plain functions: no event loop, clock, thread or I/O. A value that moves is kept in `moves` until it
rests as a token: at a step, at a join, or, if the run is watched, at any node. Tokens that rest are counted; moves are
not, since all of them have come to rest before the token that caused them is taken away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from plait_graph import events
from plait_graph._compile.plan import Kind, Plan, PlanEdge, PlanNode
from plait_graph._run.commands import FOR_WORK_TO_COME, CancelTask, CloseSource
from plait_graph._run.counts import Counts
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.ledger import NONE, Ledger
from plait_graph._run.outcomes import Ended, Failed, Outcome
from plait_graph._run.tokens import Departure, Environment, Region, Task
from plait_graph.exceptions import GraphRuntimeError, LoopLimitReached
from plait_graph.id_types import TaskID

FAILED: Any = object()
"""Stands for the value of a function that raised."""


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


_NEVER_SHOWN: deque[Shown] = deque(maxlen=0)
"""Can hold nothing; stands for what is shown of runs that nobody watches."""


class Machine(Ledger):
    """The state of one run."""

    led_nowhere: bool = False
    """Whether a map without items is to be shown."""
    outcome: Outcome | None = None
    led: list[Task]
    """The tasks that the node which runs has led to so far, if the run is watched."""
    last_ends: Sequence[str] = ()
    """Where tokens ended lately without leading anywhere."""
    cause: TaskID | None = None
    """What leads to the tasks that are made now, if somebody listens."""
    stands_in: BaseException | None = None
    """The failure of the step that the task which is made now stands in for."""
    losses: Sequence[Loss] = ()
    """Failures of which it is not yet known what becomes of them."""
    causes: dict[int, TaskID | None] | None = None
    """The same for tasks at nodes other than steps, which are shown before they lead on."""

    def __init__(
        self,
        plan: Plan,
        evaluator: Evaluator,
        env: Environment,
        watched: bool = False,
        listener: Callable[[events.RunEvent], None] | None = None,
    ):
        self.next_id = 1
        self.ready = deque()
        self.running = {}
        self.commands = []
        self.plan = plan
        self.nodes = plan.nodes
        self.evaluator = evaluator
        self.listener: Callable[[events.RunEvent], None] | None = listener
        self.watched = watched
        self.is_careful = watched or listener is not None or plan.is_careful
        """Whether even a step from one node to the next has to be noted."""
        self.counts = Counts(plan.tracks_threads)
        self.sources: dict[int, Region] = {}
        """The asynchronous sources that are being read, by the region's id."""
        self.moves: deque[Move] = deque()
        self.shown: deque[Shown] = deque() if watched else _NEVER_SHOWN
        """What the one who watches has not seen yet."""
        self.errors: list[BaseException] = []
        if watched:
            self.led = []
        self.root = Region(0, plan.nodes[0], None, 0, 0, env)
        if plan.tracks_members:
            self.root.members, self.root.children = {}, {}

    # Regions

    def region(self, node: PlanNode, parent: Region | None, index: int, visit: int, env: Environment) -> Region:
        """Begin a run of a fork."""
        region = Region(self.new_id(), node, parent, index, visit, env)
        if self.plan.tracks_members:
            region.members, region.children = {}, {}
        if node.timed:
            self.await_joins(region)
            self.counts.agenda.outlived.append(region)  # it may stay empty
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

    # Tokens

    def rest(self, task: Task) -> None:
        """Let a task wait at its node."""
        self.counts.place(task.region, task.node.arriving, task.index)
        if task.region.members is not None:
            task.region.members[task] = None
        if self.listener is not None:
            self._tell_ready(task)
        if self.stands_in is not None and task.node.is_step:
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
        self.counts.remove(task.region, task.cls, task.index)

    def join_members(self, region: Region, member: Task) -> None:
        if region.members is not None:
            region.members[member] = None

    def leave_members(self, region: Region, member: Task) -> None:
        if region.members is not None:
            region.members.pop(member, None)

    # Values

    def pass_on(self, node: PlanNode, edge: PlanEdge, value: Any, region: Region, index: int, visit: int) -> None:
        """Send a value from a node along an edge."""
        for transform in edge.transforms:
            try:
                value = self.evaluator.apply(transform, region.env, value)
            except Exception as error:  # noqa: BLE001 # the user's own, handed on
                self._fail_behind(node, region, index, visit, error)
                return
        self.arrive(self.nodes[edge.target], value, region, index, visit)

    def _fail_behind(self, node: PlanNode, region: Region, index: int, visit: int, error: Exception) -> None:
        """Note that a transform on the way out of a node raised; of a subgraph, whoever made it knows its entry."""
        leaves_graph = node.kind is Kind.RETURN
        place = self.nodes[node.partner] if leaves_graph else node
        self.fail_at(place, region, index, visit, error, 'the transform after', departs=not leaves_graph)

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
        """How often a guarded step has been reached in a thread of a run, this time included."""
        if region.passes is None:
            region.passes = {}
        passes = region.passes.setdefault(node.index, {})
        before = passes[index] if index in passes else _passes_before(node, region, index)
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
        departs: bool = False,
    ) -> None:
        """Note that a node failed without being a step that runs, or that a whole run of a fork did."""
        kind = Departure if departs or node.kind is Kind.JOIN else Task
        task = kind(self.new_id(), node, None, region, index, visit)
        self.counts.place(region, task.cls, index)
        self.failed(task, error, what, broken)

    def failed(self, task: Task, error: BaseException, what: str = '', broken: Region | None = None) -> None:
        """Note a failure: of the run, or, if a join may take it, one that is looked at when all has come to rest."""
        _note(error, task, what, self.attempt_number(task))
        if self.plan.catches and isinstance(error, Exception):
            self.has_waited = True
            self.join_members(task.region, task)  # it can be cancelled with the rest before it is looked at
            self.losses = (*self.losses, Loss(task, error, broken))
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
        if self.ready:
            self.ready.clear()
        if self.moves:
            self.moves.clear()
        if self.has_waited:
            self._stop_waiting()
        if self.commands:  # what was cancelled before is still to be
            self.commands[:] = [command for command in self.commands if not isinstance(command, FOR_WORK_TO_COME)]
        if self.running or self.sources:
            self.commands.extend(CancelTask(task) for task in self.running.values())
            self.commands.extend(CloseSource(region) for region in self.sources.values())
        if type(outcome) is Ended:
            self.running.clear()  # what these still give is of no interest
            if self.listener is not None:
                self.listener(events.RunFinished(outcome.value, self.cause))

    def _stop_waiting(self) -> None:
        """Wait for no time, limit or place any more."""
        for timer in list(self.timers.values()):
            self.stop_timer(timer)
        self.losses, self.queues, self.places = (), NONE, NONE

    def note_end(self, text: str) -> None:
        """Remember where a token ended, for the message in case it was the last one."""
        self.last_ends = (*self.last_ends[-2:], text)

    def no_result(self, where: str = '') -> GraphRuntimeError:
        """What is said of a graph in which nothing is left that could lead to the end."""
        ends = '; '.join(self.last_ends) or 'every task was taken out of the run'
        return GraphRuntimeError(
            f'Graph run completed, but no result was produced{where}. The last tokens ended so: {ends}.'
        )

    def stall(self, where: str = '') -> None:
        """End a run in which nothing is left."""
        error = self.no_result(where)
        if self.watched:
            self.shown.append(Shown([], error=error))
            return
        self.errors.append(error)
        self.stop(Failed(self.errors))


def _passes_before(node: PlanNode, region: Region, index: int) -> int:
    """How often a guarded step had been reached before a thread came to it.

    What has left a join goes on from whatever came before it in its run, or else from the thread that began the run: a
    cycle that passes a fork and its join begins each run within the last one.
    """
    while index < 0 and region.parent is not None:
        passes = (region.passes or {}).get(node.index)
        if passes:
            return max(passes.values())
        region, index = region.parent, region.index
    passes = (region.passes or {}).get(node.index) or {}
    return passes.get(index, max(passes.values(), default=0) if index < 0 else 0)


def _note(error: BaseException, task: Task, what: str, attempt: int) -> None:
    """Say on the exception where it happened; the exception itself stays as it is."""
    kind = what or ('step' if task.node.is_step else 'node')
    note = f'in {kind} {task.node.id!r} ({place_of(task)}, attempt {attempt})'
    if note not in getattr(error, '__notes__', ()):
        error.add_note(note)


def place_of(task: Task) -> str:
    """A task, with the items of maps that it is in, as messages say it."""
    items: list[str] = []
    region, index = task.region, task.index
    while region.parent is not None:
        if region.node.kind is Kind.MAP and index >= 0:
            items.append(f'item {index} of map {region.node.id!r}')
        region, index = region.parent, region.index
    return ', '.join((task.task_id, *items))


def writer_of(task: Task) -> str:
    """Who changed the state, as messages say it."""
    return f'{task.node.id} ({place_of(task)})'
