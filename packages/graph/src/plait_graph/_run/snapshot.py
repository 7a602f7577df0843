"""A run as plain data, and back.

A snapshot is taken between two events. It is made of dictionaries, lists, strings and numbers, and of copies of the
user's values; it shares nothing with the run. What can be worked out from the tokens, the counts above all, is not in
it.

A map that pulls from an iterator is kept as what it was given and how many items it has pulled.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from plait_graph._run.machine import Shown
from plait_graph._run.outcomes import Ended, Failed
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import (
    Attempt,
    Batch,
    Environment,
    OpenJoin,
    Region,
    Source,
    Task,
    Timer,
)
from plait_graph.exceptions import GraphRuntimeError

VERSION = 3

Data = dict[str, Any]


def snapshot(scheduler: Scheduler) -> Data:
    """The state of a run as plain data.

    Tasks that run are among it: who restores it decides whether they are still running (`restore`) or are to be run
    again (`restore` and then `requeue`).

    Raises:
        GraphRuntimeError: A user's value cannot be copied.
    """
    regions = live_regions(scheduler)
    data: Data = {
        'version': VERSION,
        'next_id': scheduler.next_id,
        'watched': scheduler.watched,
        'max_concurrency': scheduler.max_concurrency,
        'regions': [_region(scheduler, region) for region in regions],
        'ready': [_batch(each) if isinstance(each, Batch) else _task(each) for each in scheduler.ready],
        'running': [_task(task) for task in scheduler.running.values()],
        'ending': [_task(task) for task in scheduler.ending.values()],
        'sleeping': [_task(task) for task in _sleeping(scheduler)],
        'queues': {name: _tasks(queue.waiting) for name, queue in scheduler.queues.items() if queue.waiting},
        'places': [_tasks(places.waiting) for places in scheduler.places.values() if places.waiting],
        'attempts': {task_id: _attempt(attempt) for task_id, attempt in scheduler.attempts.items()},
        'timers': [_timer(timer) for timer in scheduler.timers.values()],
        'shown': [_shown(each) for each in scheduler.shown],
        'cancelled': sorted(scheduler.cancelled),
        'sources': sorted(scheduler.sources),
        'last_ends': list(scheduler.last_ends),
        'outcome': _outcome(scheduler),
    }
    try:
        return copy.deepcopy(data)
    except Exception as error:
        raise GraphRuntimeError(
            f'A value of the run cannot be copied for a snapshot: {error}. Keep what cannot be copied in deps.'
        ) from error


def live_regions(scheduler: Scheduler) -> list[Region]:
    """All regions that hold a token, those further out first."""
    found: dict[int, Region] = {}
    holders = [scheduler.root]
    holders += [each.region for each in scheduler.ready]
    holders += [task.region for task in (*scheduler.running.values(), *scheduler.ending.values())]
    holders += [task.region for task in _sleeping(scheduler)]
    holders += [task.region for task in scheduler.tasks_waiting()]
    holders += [timer.region for timer in scheduler.timers.values() if timer.region is not None]
    holders += [task.region for shown in scheduler.shown for task in shown.tasks]
    holders += [shown.holder.region for shown in scheduler.shown if shown.holder is not None]
    holders += scheduler.sources.values()
    while holders:
        region = holders.pop()
        if region.id in found:
            continue
        found[region.id] = region
        if region.parent is not None:
            holders.append(region.parent)
        for join in (region.open or {}).values():
            holders.extend(place for _, _, _, place, _ in join.buffer)
    return sorted(found.values(), key=lambda region: region.id)


def _region(scheduler: Scheduler, region: Region) -> Data:
    parent = region.parent
    return {
        'id': region.id,
        'node': region.node.id,
        'parent': None if parent is None else parent.id,
        'index': region.index,
        'visit': region.visit,
        'env': None if parent is None else _own(region.env, parent.env),
        'closed': region.closed,
        'total': region.total,
        'passes': {scheduler.nodes[step].id: dict(passes) for step, passes in (region.passes or {}).items()},
        'fired': sorted(scheduler.nodes[index].id for index in region.fired or ()),
        'source': None if region.source is None else _source(region.source),
        'open': [_join(join) for join in (region.open or {}).values()],
    }


def _own(env: Environment, around: Environment) -> Data:
    """What a subgraph has for itself; the rest is that of the run around it, and not copied."""
    parts = ('state', env.state, around.state), ('deps', env.deps, around.deps)
    return {name: value for name, value, shared in parts if value is not shared}


def _source(source: Source) -> Data:
    value: Any = source.value
    is_copyable = not source.is_async and not isinstance(value, Iterator)
    return {
        'value': [value] if is_copyable and not source.exhausted else None,
        'is_async': source.is_async,
        'limit': source.limit,
        'pulled': source.pulled,
        'exhausted': source.exhausted,
        'requested': source.requested,
    }


def _join(join: OpenJoin) -> Data:
    return {
        'node': join.node.id,
        'current': join.current,
        'received': join.received,
        'closed': join.closed,
        'came': join.came,
        'threads': sorted(join.threads),
        'causes': list(join.causes),
        'is_enough': join.is_enough,
        'buffer': [[arrival, value, place.id, index] for _, arrival, value, place, index in join.buffer],
    }


def _task(task: Task) -> Data:
    return {
        'id': task.id,
        'node': task.node.id,
        'inputs': task.inputs,
        'region': task.region.id,
        'index': task.index,
        'visit': task.visit,
    }


def _sleeping(scheduler: Scheduler) -> list[Task]:
    """The tasks that wait for the time of their next attempt."""
    return [timer.task for timer in scheduler.timers.values() if timer.kind == 'retry' and timer.task is not None]


def _tasks(tasks: Iterable[Task]) -> list[Data]:
    return [_task(task) for task in tasks]


def _attempt(attempt: Attempt) -> Data:
    return {
        'number': attempt.number,
        'cause': attempt.cause,
        'began': attempt.began,
        'has_place': attempt.has_place,
        'is_looked_up': attempt.is_looked_up,
        'is_cached': attempt.is_cached,
        'key': attempt.key,
        'overdue': attempt.overdue,
    }


def _timer(timer: Timer) -> Data:
    return {
        'id': timer.id,
        'kind': timer.kind,
        'seconds': timer.seconds,
        'task': None if timer.task is None else timer.task.id,
        'region': None if timer.region is None else timer.region.id,
        'node': None if timer.node is None else timer.node.id,
    }


def _batch(batch: Batch) -> Data:
    return {'node': batch.node.id, 'items': list(batch.items), 'next': batch.next, 'region': batch.region.id}


def _shown(shown: Shown) -> Data:
    return {
        'tasks': [_task(task) for task in shown.tasks],
        'end': None if shown.end is None else [shown.end.value],
        'error': shown.error,
        'holder': None if shown.holder is None else _task(shown.holder),
    }


def _outcome(scheduler: Scheduler) -> Data | None:
    match scheduler.outcome:
        case Ended(value):
            return {'ended': value}
        case Failed(errors):
            return {'failed': list(errors)}
        case None:
            return None
