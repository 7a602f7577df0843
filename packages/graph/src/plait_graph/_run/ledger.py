"""What a run keeps account of beside its tokens: ids, who is ready, who runs, who waits for what.

Knows nothing of how values move.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from plait_graph._compile.plan import PlanNode
from plait_graph._run.commands import Command, StartTimer, StopTimer
from plait_graph._run.tokens import Attempt, Batch, Region, Task, Timer, TimerKind

if TYPE_CHECKING:  # imported by the runs that need it
    from plait_graph._isolated_state import Changes, IsolatedState


class Queue:
    """Tasks that wait for a limit by name to let them go on."""

    __slots__ = 'asked_for', 'waiting'

    def __init__(self) -> None:
        self.waiting: deque[Task] = deque()
        self.asked_for: Task | None = None
        """The task that a permit was asked for, until it has begun."""


class Places:
    """How many bodies of a step run that allows only so many at once, and the tasks that wait for a place."""

    __slots__ = 'most', 'taken', 'waiting'

    def __init__(self, most: int):
        self.most = most
        self.taken = 0
        self.waiting: deque[Task] = deque()

    @property
    def is_full(self) -> bool:
        return self.taken >= self.most


NONE: Mapping[Any, Any] = MappingProxyType({})
"""Stands for records that most runs never make."""


class HeldView:
    """What a body sees of the state, if each one works on a private copy."""

    __slots__ = 'changes', 'keeper', 'view'

    def __init__(self, keeper: IsolatedState):
        self.keeper = keeper
        self.view = keeper.begin()
        self.changes: Changes | None = None
        """What the body did to a copy elsewhere."""

    def commit(self, writer: str) -> None:
        """Put the changes into the state, all or none."""
        if self.changes is None:
            self.keeper.commit(self.view, writer)
        else:
            self.keeper.commit_changes(self.view, self.changes, writer)

    def renew(self) -> None:
        """Begin it anew, if the body has not begun yet."""
        self.keeper.renew(self.view)

    def drop(self) -> None:
        """Forget the changes; nothing happens if they were committed."""
        self.keeper.drop(self.view)


class Ledger:
    """The tasks of one run by what they do, their attempts, and the timers that are set."""

    max_concurrency: int | None = None
    """How many step bodies may run at once."""
    cancelled: set[int] | frozenset[int] = frozenset()
    """Tasks that were cancelled before they started."""
    limit: str = ''
    """What says how long the whole run may take."""
    attempts: Mapping[int, Attempt] = NONE
    """What is known of tasks whose steps have policies, by the task's id."""
    ending: Mapping[int, Task] = NONE
    """Tasks whose bodies were asked to stop because their time is up, and have not ended."""
    timers: Mapping[int, Timer] = NONE
    has_waited: bool = False
    """Whether there has been a timer, a queue or a failure to be looked at, which the end of the run ends."""
    queues: Mapping[str, Queue] = NONE
    """What waits for a limit, by its name."""
    places: Mapping[int, Places] = NONE
    """The places at steps that have only so many, by the node's number."""
    views: Mapping[int, HeldView] = NONE
    """The private copies of the state that bodies at work have, by the task's id."""

    # Made by the machine, at once with all that it has: a run of one short step costs little more than that.
    next_id: int
    ready: deque[Task | Batch]
    running: dict[int, Task]
    commands: list[Command]

    def new_id(self) -> int:
        """A number that no task and no region has."""
        self.next_id += 1
        return self.next_id - 1

    @property
    def is_full(self) -> bool:
        """Whether no more bodies may run at once."""
        return self.max_concurrency is not None and len(self.running) + len(self.ending) >= self.max_concurrency

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

    # The state

    def begin_view(self, task: Task) -> None:
        """Give a body its own copy of the state, if the state is isolated."""
        keeper = task.region.env.isolated
        if keeper is not None:
            if not isinstance(self.views, dict):
                self.views = {}
            self.views[task.id] = HeldView(keeper)

    def renew_view(self, task: object) -> None:
        """Let a body that begins only now see what is committed now."""
        held = self.views.get(task.id) if isinstance(task, Task) else None
        if held is not None:
            held.renew()

    def drop_view(self, task: Task) -> None:
        """Forget what a body did to its copy of the state."""
        held = self.hand_over_view(task)
        if held is not None:
            held.drop()

    def commit_view(self, task: Task, writer: str) -> None:
        """Put what a body did to its copy into the state.

        Raises:
            StateConflict: Another one changed the same field meanwhile.
        """
        held = self.hand_over_view(task)
        if held is not None:
            held.commit(writer)

    def hand_over_view(self, task: Task) -> HeldView | None:
        """Let go of a body's copy of the state; who is given it has to commit or drop it."""
        return self.views.pop(task.id, None) if isinstance(self.views, dict) else None

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
        self.has_waited = True
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
        places = self.places_at(task.node)
        if places is not None and attempt.has_place:
            attempt.has_place = False
            places.taken -= 1
            self.let_next_in(places)

    def forget_attempts(self, task: Task) -> None:
        """Note that a task is done."""
        self.end_attempt(task)
        if isinstance(self.attempts, dict):
            self.attempts.pop(task.id, None)

    def stop_ending(self, task: Task) -> bool:
        """Expect no more of a task that was asked to stop; tells whether it had not ended."""
        return isinstance(self.ending, dict) and self.ending.pop(task.id, None) is not None

    def places_at(self, node: PlanNode) -> Places | None:
        """The places at a step, if it has only so many."""
        if node.policy is None or node.policy.max_concurrency is None:
            return None
        self.has_waited = True
        if not isinstance(self.places, dict):
            self.places = {}
        return self.places.setdefault(node.index, Places(node.policy.max_concurrency))

    def take_place(self, task: Task, attempt: Attempt) -> bool:
        """Give a task a place at its step, if it needs one; tells whether it has to wait no longer."""
        places = self.places_at(task.node)
        if places is None or attempt.has_place:
            return True
        if places.is_full:
            places.waiting.append(task)
            return False
        places.taken += 1
        attempt.has_place = True
        return True

    def let_next_in(self, places: Places) -> None:
        """Give the free place at a step to the oldest task that waits for it, before all that are ready."""
        while places.waiting and not places.is_full:
            task = places.waiting.popleft()
            if self.was_cancelled(task):
                self.forget_attempts(task)
                continue
            places.taken += 1
            self.attempt(task).has_place = True
            self.ready.appendleft(task)

    def queue(self, name: str) -> Queue:
        """The queue of a limit."""
        self.has_waited = True
        if not isinstance(self.queues, dict):
            self.queues = {}
        return self.queues.setdefault(name, Queue())
