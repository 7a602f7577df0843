"""Steps with policies: who may start, for how long, and what follows when an attempt fails.

An attempt is begun and ended by events, as everything is; between two attempts a task is a token that waits. Knows
neither clock nor limits: timers are asked for, and whoever keeps the limits by name is asked for permits.
"""

from __future__ import annotations

from typing import Any

from plait_graph import events
from plait_graph._run.commands import AskPermit, CancelTask, ReturnPermit
from plait_graph._run.ledger import Queue
from plait_graph._run.machine import Machine
from plait_graph._run.tokens import Attempt, Task, Timer
from plait_graph.exceptions import StepTimeout
from plait_graph.policies import StepPolicy


def admit(machine: Machine, task: Task, policy: StepPolicy) -> bool:
    """Whether a task whose turn has come may start now; otherwise it waits where its turn will come again."""
    attempt = machine.attempt(task)
    if policy.cache is not None and not attempt.is_looked_up:
        return True  # asking the cache takes no place and no permit
    if not machine.take_place(task, attempt):
        return False
    if policy.limit is not None:
        if not attempt.has_permit:
            machine.queue(policy.limit_name).waiting.append(task)
            ask(machine, policy.limit_name)
            return False
        _ask_for_next(machine, policy.limit_name)
    _begin(machine, task, attempt, policy)
    return True


def _begin(machine: Machine, task: Task, attempt: Attempt, policy: StepPolicy) -> None:
    if attempt.began is None and policy.retry is not None and policy.retry.asks_for_time:
        attempt.began = machine.evaluator.now()
    if task.node.node.kind != 'process':  # there the time begins when a process has come to it
        start_times(machine, task, attempt, policy)


def start_times(machine: Machine, task: Task, attempt: Attempt, policy: StepPolicy) -> None:
    """Let the time of an attempt begin to count."""
    if attempt.timers:
        return
    if policy.timeout is not None:
        attempt.timers.append(machine.start_timer('timeout', policy.timeout, task=task))
    if policy.idle_timeout is not None:
        attempt.timers.append(machine.start_timer('idle', policy.idle_timeout, task=task))


def drop_unstarted(machine: Machine, task: Task) -> None:
    """Give up what a task held that was cancelled when it was about to start."""
    attempt, policy = machine.attempts.get(task.id), task.node.policy
    if attempt is not None and policy is not None and attempt.has_permit:
        machine.commands.append(ReturnPermit(task))
        _ask_for_next(machine, policy.limit_name)
    machine.forget_attempts(task)


# Permits


def ask(machine: Machine, name: str) -> None:
    """Ask for a permit for the oldest task that waits for a limit, unless that has been done."""
    queue = machine.queue(name)
    while queue.waiting and queue.asked_for is None and machine.outcome is None:
        task = queue.waiting[0]
        if machine.was_cancelled(task):
            queue.waiting.popleft()
            machine.forget_attempts(task)
            continue
        _ask_for(machine, queue, task, name)


def ask_again(machine: Machine) -> bool:
    """Ask for the permits that the run was too full to use; tells whether there were any."""
    given_back = [name for name, queue in machine.queues.items() if queue.waiting and queue.asked_for is None]
    for name in given_back:
        ask(machine, name)
    return bool(given_back)


def _ask_for_next(machine: Machine, name: str) -> None:
    """Let the next one ask, as a task that had a permit has begun or is not to begin: so all begin in their order."""
    machine.queue(name).asked_for = None
    ask(machine, name)


def _ask_for(machine: Machine, queue: Queue, task: Task, name: str) -> None:
    limit: Any = task.node.policy.limit if task.node.policy is not None else None
    try:
        weight = machine.evaluator.weigh(limit, task.region.env, task.inputs)
    except Exception as error:  # noqa: BLE001 # the user's own, handed on
        queue.waiting.popleft()
        machine.leave_members(task.region, task)
        machine.failed(task, error, 'the weight of step')
        return
    queue.asked_for = task
    machine.commands.append(AskPermit(name, limit, weight))


def use_permit(machine: Machine, name: str) -> Task | None:
    """A limit lets the task go on that was asked for; nothing if that was cancelled or the run is full now."""
    queue = machine.queue(name)
    task = queue.asked_for
    if machine.outcome is not None:
        return None
    if task is None or not queue.waiting or queue.waiting[0] is not task or task.id in machine.cancelled:
        _ask_for_next(machine, name)
        return None
    if machine.is_full:
        queue.asked_for = None
        return None  # it is asked for again when the run has room; meanwhile others may have the permit
    queue.waiting.popleft()
    machine.ready.appendleft(task)
    machine.attempt(task).has_permit = True
    return task


def fail_waiting(machine: Machine, name: str, error: BaseException) -> None:
    """A permit cannot be had: the task that it was asked for fails."""
    queue = machine.queue(name)
    task = queue.asked_for
    if task is not None and queue.waiting and queue.waiting[0] is task and task.id not in machine.cancelled:
        queue.waiting.popleft()
        machine.leave_members(task.region, task)
        machine.failed(task, error)
    _ask_for_next(machine, name)


# Time


def time_out(machine: Machine, task: Task, timer: Timer) -> None:
    """An attempt has no time left: ask its body to stop, and let it fail when that has ended."""
    attempt = machine.attempts.get(task.id)
    if attempt is None or machine.running.pop(task.id, None) is None:
        return
    attempt.overdue = _overdue(task, timer, attempt.number)
    if not isinstance(machine.ending, dict):
        machine.ending = {}
    machine.ending[task.id] = task
    machine.commands.append(CancelTask(task))


def _overdue(task: Task, timer: Timer, number: int) -> StepTimeout:
    if timer.kind == 'idle':
        return StepTimeout(
            f'Step {task.node.id!r} emitted nothing for {timer.seconds:g} s in attempt {number}. '
            f'Let it call ctx.emit(...) as it gets on, or give it a longer idle_timeout.'
        )
    return StepTimeout(
        f'Step {task.node.id!r} took longer than {timer.seconds:g} s in attempt {number}. '
        f'Give it a longer timeout, or let it do less at once.'
    )


def note_sign_of_life(machine: Machine, task: Task) -> None:
    """A body emitted something, so that it is not idle."""
    attempt = machine.attempts.get(task.id)
    if attempt is None or task.id not in machine.running:
        return
    for place, timer in enumerate(attempt.timers):
        if timer.kind == 'idle':
            machine.stop_timer(timer)
            attempt.timers[place] = machine.start_timer('idle', timer.seconds, task=task)


# After a failure


def try_again(machine: Machine, task: Task, policy: StepPolicy, error: BaseException) -> BaseException | None:
    """Let a task have another attempt after a failure, if its policy says so; else tells what it fails with."""
    attempt = machine.attempt(task)
    try:
        delay = None if policy.retry is None else machine.evaluator.delay(policy.retry, attempt, error)
    except Exception as fault:  # noqa: BLE001 # the strategy is the user's own
        fault.__cause__ = error
        return fault
    if delay is None:
        return error
    if machine.listener is not None:
        place = task.node.id, task.task_id, task.fork_stack
        machine.listener(events.StepRetried(*place, error, attempt.number, delay))
    attempt.number += 1
    attempt.cause = error
    if delay > 0:
        attempt.timers.append(machine.start_timer('retry', delay, task=task))
    else:
        machine.ready.append(task)
    return None


def fall_back(machine: Machine, task: Task, error: BaseException) -> bool:
    """Send what a failed step was given to its fallback; tells whether there is one."""
    edge = task.node.fallback
    if edge is None or not isinstance(error, Exception):
        return False
    target = machine.nodes[edge.target]
    if machine.listener is not None:
        place = task.node.id, task.task_id, task.fork_stack
        machine.listener(events.StepFellBack(*place, error, target.id))
        machine.cause = task.task_id
    machine.leave_members(task.region, task)
    machine.forget_attempts(task)
    machine.stands_in = error
    machine.arrive(target, task.inputs, task.region, task.index, task.visit)
    machine.stands_in = None
    return True
