"""The scheduler: it is told what happened, and answers what to do next.

A synchronous state machine. What is to be started waits in `ready` (see `take`), what else is to be done is appended to
`commands`, the result is in `outcome`. Every method is one event; between two events the whole state is at rest and can
be taken as plain data (see `snapshot`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait_graph import events
from plait_graph._compile.plan import Kind, PlanNode
from plait_graph._run import attempts, joins, routing, sources
from plait_graph._run.machine import Shown, writer_of
from plait_graph._run.outcomes import Ended, Failed
from plait_graph._run.settling import Settling
from plait_graph._run.tokens import Batch, Region, Task, Timer
from plait_graph.exceptions import RunTimeout
from plait_graph.util import Some

_DECISION, _END = Kind.DECISION, Kind.END  # members of an enumeration are slow to get


class Scheduler(Settling):
    """The state of one run, and the events that change it.

    Args:
        plan: What is run.
        evaluator: Calls the functions that stand on edges.
        env: State and dependencies, handed to the evaluator and to nothing else.
        watched: Whether every node's tasks wait to be seen (`shown`) and agreed to (`accept`).
        listener: Is told what happens.
    """

    # Events

    def begin(self, inputs: Any) -> None:
        """The run starts."""
        start, root = self.nodes[0], self.root
        if start.timed:
            self.await_joins(root)
        if self.watched:
            self.shown.append(Shown([self.place(start, inputs, root, 0)]))
            return
        if start.is_plain and not self.is_careful:
            first = self.nodes[start.edges[0].target]
            self.counts.place(root, first.arriving, 0)
            self.ready.append(Task(self.new_id(), first, inputs, root, 0, 1))
            return
        self.go_on(start, inputs, root, 0, 0)
        self.settle(None)

    def take(self) -> Task | None:
        """A worker is free: the oldest task that is ready, or nothing if there is none or no more may run at once."""
        ready = self.ready
        if self.max_concurrency is not None and self.queues and not self.is_full and attempts.ask_again(self):
            return None  # it may be granted at once
        while ready and not (self.max_concurrency is not None and self.is_full):
            head = ready[0]
            task = self._take_from(head) if isinstance(head, Batch) else self._take_first(head)
            if task is None:
                continue
            self.running[task.id] = task
            if self.plan.isolates_state:
                self.begin_view(task)
            if self.listener is not None and not self.is_looking_up(task):
                number = self.attempt_number(task)
                self.listener(events.StepStarted(task.node.id, task.task_id, task.fork_stack, task.inputs, number))
            return task
        if self.losses:
            self.settle(None)
        return None

    def _take_first(self, task: Task) -> Task | None:
        """The first task that is ready, unless it was cancelled, or its policy does not let it start yet."""
        self.ready.popleft()
        policy = task.node.policy
        if self.cancelled and self.was_cancelled(task):
            if policy is not None:
                attempts.drop_unstarted(self, task)
            return None
        return task if policy is None or attempts.admit(self, task, policy) else None

    def _take_from(self, batch: Batch) -> Task | None:
        """The next item of a map as a task of its own."""
        position = batch.next
        if position + 1 >= len(batch.items):
            self.ready.popleft()
        if position >= len(batch.items):
            return None
        batch.next = position + 1
        region = batch.region
        self.next_id += 1
        return Task(self.next_id - 1, batch.node, batch.items[position], region, position, region.visit + 1)

    def finish(self, task: Task, value: Any) -> None:
        """A step gave a value."""
        if self.running.pop(task.id, None) is None or self.outcome is not None:
            self._note_stopped(task)  # its time was up, or it was cancelled, or the run has stopped
            return
        if self.plan.isolates_state and not self._commit(task):
            return
        if self.is_careful or task.node.policy is not None:
            self._leave_step(task, value)
            return
        successor = self._step_on(task, value)
        if successor is not None:
            self.ready.append(successor)

    def _commit(self, task: Task) -> bool:
        """Take over what a step did to its copy of the state; if that cannot be, the attempt has failed."""
        try:
            self.commit_view(task, writer_of(task))
        except Exception as error:  # noqa: BLE001 # a conflict, or what the user's own merging raised
            self._fail_attempt(task, error)
            return False
        return True

    def take_alone(self) -> Task | None:
        """The only task there is, if nothing else is under way and its body can be awaited in place."""
        if len(self.ready) != 1 or self.commands or self.sources or self.running:
            return None
        task = self.ready[0]
        if isinstance(task, Batch) or task.node.node.kind != 'async' or task.node.policy is not None:
            return None
        if self.is_careful:
            return self.take()
        self.ready.clear()
        self.running[task.id] = task
        return task

    def proceed(self, task: Task, value: Any) -> Task | None:
        """The only task there is gave a value: the task that it leads to, if there is one and can start at once.

        The same as `finish` and `take`, for the case that nothing else is under way.
        """
        if self.is_careful or self.ready or self.outcome is not None:
            self.finish(task, value)
            return None
        del self.running[task.id]
        successor = self._step_on(task, value)
        if successor is not None:
            self.running[successor.id] = successor
        return successor

    def give_back(self, task: Task) -> None:
        """A task that was taken cannot be done by the one who took it."""
        del self.running[task.id]
        self.ready.appendleft(task)

    def _step_on(self, task: Task, value: Any) -> Task | None:
        """Let a step's value go where it goes; gives the next step's task if no count changes on the way."""
        node = task.node
        if node.straight >= 0:
            target = self.nodes[node.straight]
        elif node.is_last:
            self._end(task, value)
            return None
        else:
            target = self._go_past_decisions(task, value)
            if target is None:
                return None
        self.next_id += 1
        return Task(self.next_id - 1, target, value, task.region, task.index, task.visit + 1)

    def _go_past_decisions(self, task: Task, value: Any) -> PlanNode | None:
        """Let a step's value take decisions at once; gives the step that it reaches so, if no count changes by it."""
        node = task.node
        if node.routes or not node.edges:
            self._leave_step(task, value)
            return None
        edge = node.edges[0]
        target = self.nodes[edge.target]
        while target.kind is _DECISION and not edge.transforms:
            node = target
            chosen = routing.choose(self, node, value, task.region, task.index, task.visit)
            if chosen is None:
                self.settle(task)
                return None
            edge, target = chosen, self.nodes[chosen.target]
        if target.is_step and not edge.transforms and target.arriving == task.node.arriving and target.policy is None:
            return target
        if target.kind is _END and not edge.transforms:
            self._end(task, value)
            return None
        self.pass_on(node, edge, value, task.region, task.index, task.visit)
        self.settle(task)
        return None

    def _end(self, task: Task, value: Any) -> None:
        """Let a step's value be that of the run."""
        self.stop(Ended(value))
        self.counts.remove(task.region, task.node.arriving, task.index)

    def _leave_step(self, task: Task, value: Any) -> None:
        """Let a step's value go where it goes."""
        node = task.node
        if self.listener is not None:
            is_cached = task.id in self.attempts and self.attempts[task.id].is_cached
            self.listener(events.StepFinished(node.id, task.task_id, task.fork_stack, value, is_cached))
            self.cause = task.task_id
        if self.attempts:
            self.forget_attempts(task)
        self.leave_members(task.region, task)
        if node.routes:
            routing.route(self, task, value)
        else:
            self.go_on(node, value, task.region, task.index, task.visit)
        self.settle(task)

    def fail(self, task: Task, error: BaseException) -> None:
        """A step raised."""
        if self.running.pop(task.id, None) is None:
            if self._note_stopped(task, error):
                return
            if self.listener is not None:
                self.listener(events.StepFailed(task.node.id, task.task_id, task.fork_stack, error, is_dropped=True))
            return
        self._fail_attempt(task, error)

    def stopped(self, task: Task) -> None:
        """A body has ended that was asked to stop."""
        self._note_stopped(task)

    def _note_stopped(self, task: Task, error: BaseException | None = None) -> bool:
        """Let an attempt fail whose time was up, now that its body has ended; tells whether it was one."""
        if not self.stop_ending(task) or self.outcome is not None:
            return False
        attempt = self.attempt(task)
        overdue, attempt.overdue = attempt.overdue, None
        if overdue is None:
            return False
        if error is not None and overdue.__context__ is None:
            overdue.__context__ = error  # what the body raised when it was stopped
        self._fail_attempt(task, overdue)
        return True

    def _fail_attempt(self, task: Task, error: BaseException) -> None:
        """Let a failed task try again, or send its inputs to its fallback, or fail."""
        self.drop_view(task)
        policy = task.node.policy
        if policy is not None and self.outcome is None:
            self.end_attempt(task)
            fault = attempts.try_again(self, task, policy, error)
            if fault is None:
                return
            error = fault
            if attempts.fall_back(self, task, error):
                self.settle(task)
                return
        self.leave_members(task.region, task)
        self.failed(task, error)
        if self.losses:
            self.settle(None)

    def begun(self, task: Task) -> None:
        """An executor has called the body of a task."""
        attempt, policy = self.attempts.get(task.id), task.node.policy
        if attempt is not None and policy is not None and task.id in self.running:
            attempts.start_times(self, task, attempt, policy)

    def is_wanted(self, task: Task) -> bool:
        """Whether the body of a task is to go on."""
        return self.outcome is None and task.id in self.running

    def is_looking_up(self, task: Task) -> bool:
        """Whether a task is to ask its step's cache, and not to run its body yet."""
        policy = task.node.policy
        return policy is not None and policy.cache is not None and not self.attempt(task).is_looked_up

    def looked_up(self, task: Task, found: Some[Any] | None) -> None:
        """A step's cache has answered: with the step's value, or with nothing, so that the body has to run."""
        attempt = self.attempt(task)
        attempt.is_looked_up = True
        if found is not None:
            attempt.is_cached = True
            self.finish(task, found.value)
        elif self.running.pop(task.id, None) is not None:
            self.drop_view(task)
            self.ready.appendleft(task)

    def permitted(self, name: str) -> Task | None:
        """A limit by name lets the task go on that was asked for; nothing if that has no use for it now."""
        task = attempts.use_permit(self, name)
        if self.losses:
            self.settle(None)
        return task

    def refused(self, name: str, error: BaseException) -> None:
        """A limit by name will never let the task go on that was asked for."""
        attempts.fail_waiting(self, name, error)
        if self.losses:
            self.settle(None)

    def emitted(self, task: Task) -> None:
        """A body emitted something."""
        if self.attempts:
            attempts.note_sign_of_life(self, task)

    def allow(self, seconds: float, limit: str = 'deadline') -> None:
        """Give the whole run so much time, counted from now; its deadline or its budget says so."""
        self.limit = limit
        self.start_timer('run', seconds)

    def expired(self, timer: Timer) -> None:
        """The time of a timer is up."""
        if not isinstance(self.timers, dict) or self.timers.pop(timer.id, None) is None or self.outcome is not None:
            return
        if timer.kind == 'join' and timer.region is not None and timer.node is not None:
            joins.expire(self, timer.region, timer.node)
            self.settle(None)
        elif timer.kind == 'run':
            self._run_out_of_time(timer.seconds)
        elif timer.task is not None and timer.kind == 'retry':
            self.attempt(timer.task).timers.remove(timer)
            self.ready.append(timer.task)
        elif timer.task is not None:
            attempts.time_out(self, timer.task, timer)

    def _run_out_of_time(self, seconds: float) -> None:
        if any(shown.end is not None for shown in self.shown):
            return  # it has ended in time, and whoever watches takes a while to look at that
        at_work = ', '.join(sorted({repr(task.node.id) for task in self.running.values()}))
        error = RunTimeout(
            f'The run took longer than the {seconds:.3g} s that its {self.limit} allows. '
            f'{f"At work were {at_work}" if at_work else "Nothing was at work"}. Give it more time, or less to do.'
        )
        self.errors.append(error)
        self.stop(Failed(self.errors))

    def pulled(self, region: Region, item: Any) -> None:
        """An asynchronous source gave an item."""
        source = region.source
        if source is None or source.exhausted or self.outcome is not None:
            return
        source.requested = False
        self.cause = region.cause
        self.deliver(region, item)
        self.settle(None)
        sources.want_item(self, region)

    def exhausted(self, region: Region) -> None:
        """An asynchronous source has no more items."""
        if region.source is not None and not region.source.exhausted and self.outcome is None:
            self.cause = region.cause
            self.exhaust(region)
            self.settle(None)

    def broken(self, region: Region, error: BaseException) -> None:
        """An asynchronous source raised."""
        if region.source is None or region.source.exhausted:
            return
        self.sources.pop(region.id, None)
        sources.fail_source(self, region, error)
        if self.outcome is None:
            sources.close_source(self, region)
            self.settle(None)

    def cancel(self) -> None:
        """Whoever waits for the run does so no longer."""
        self.stop(Failed(self.errors))

    def crash(self, error: BaseException) -> None:
        """Something outside of all nodes raised while it was told of an event: the run fails, even if it had ended."""
        self.listener = None
        self.errors.append(error)
        self.outcome = None
        self.stop(Failed(self.errors))

    def requeue(self) -> None:
        """The run was restored elsewhere: what ran is to be run again, before all else."""
        for task in reversed([*self.running.values(), *self.ending.values()]):
            self.end_attempt(task)
            self.stop_ending(task)
            self.ready.appendleft(task)
        self.running.clear()

    def startable(self) -> int:
        """About how many tasks could start now, if there were a worker for each."""
        ready = self.ready
        if not ready:
            return 0
        head = ready[0]
        count = len(ready) + (len(head.items) - head.next - 1 if isinstance(head, Batch) else 0)
        if self.max_concurrency is None:
            return count
        return min(count, self.max_concurrency - len(self.running) - len(self.ending))

    def count_ready(self) -> int:
        """How many tasks wait for nothing but their turn."""
        return sum(
            len(each.items) - each.next if isinstance(each, Batch) else each.id not in self.cancelled
            for each in self.ready
        )

    def count_waiting(self) -> int:
        """How many tasks wait for a limit, for a place at their step, or for the time of their next attempt."""
        sleeping = sum(timer.kind == 'retry' for timer in self.timers.values())
        return sleeping + sum(task.id not in self.cancelled for task in self.tasks_waiting())

    def tasks_waiting(self) -> list[Task]:
        """The tasks that wait for a limit, or for a place at their step."""
        lines = (*self.queues.values(), *self.places.values())
        return [task for line in lines for task in line.waiting]

    def tasks(self) -> list[Task]:
        """All tasks that wait or run, but for the items of a map that wait in a batch."""
        ready = [task for task in self.ready if isinstance(task, Task)]
        shown = [task for each in self.shown for task in each.tasks]
        sleeping = [timer.task for timer in self.timers.values() if timer.kind == 'retry' and timer.task is not None]
        return [*self.running.values(), *self.ending.values(), *ready, *sleeping, *self.tasks_waiting(), *shown]

    # A run that is watched

    def accept(self) -> None:
        """What is shown is agreed to: tasks start, an end ends the run, an error fails it."""
        shown = self.shown.popleft()
        if shown.end is not None:
            self.stop(shown.end)
        elif shown.error is not None:
            self.errors.append(shown.error)
            self.stop(Failed(self.errors))
        for task in shown.tasks:
            self.start(task)

    def replace(self, tasks: Sequence[Task]) -> None:
        """Other tasks start than are shown; the caller has placed those that are new."""
        shown = self.shown.popleft()
        for task in tasks:
            self.start(task)
        kept = {task.id for task in tasks}
        for task in shown.tasks:
            if task.id not in kept and task.id not in self.cancelled:
                self.note_end(f'a task at {task.node.id!r} was taken out')
                self.leave(task)
        if shown.holder is not None:
            self.leave(shown.holder)
        self.settle(None)

    def place(self, node: PlanNode, inputs: Any, region: Region, index: int) -> Task:
        """Make a task that no node led to."""
        task = Task(self.new_id(), node, inputs, region, index, region.visit)
        self.counts.place(region, node.arriving, index)
        self.join_members(region, task)
        return task

    def start(self, task: Task) -> None:
        """Let a task that was shown go on."""
        if self.outcome is not None or self.was_cancelled(task):
            return
        if task.node.is_step:
            self.ready.append(task)
        else:
            self.perform(task)

    def perform(self, task: Task) -> None:
        """Let a token that stands at a node other than a step go on."""
        self.leave_members(task.region, task)
        if self.causes is not None:
            self.cause = self.causes.pop(task.id, None)
        if self.watched and task.node.kind is Kind.END:
            self.show()
            routing.finish_graph(self, task.inputs, task.region, task)
            return
        routing.act(self, task.node, task.inputs, task.region, task.index, task.visit)
        self.settle(task)


__all__ = 'Ended', 'Failed', 'Scheduler'
