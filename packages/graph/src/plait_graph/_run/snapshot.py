"""A run as plain data, and back.

A snapshot is taken between two events. It is made of dictionaries, lists, strings and numbers, and of copies of the
user's values; it shares nothing with the run. What can be worked out from the tokens, the counts above all, is not in
it.

A map that pulls from an iterator is kept as what it was given and how many items it has pulled. An iterator or an
asynchronous source cannot be copied: it is given again when the run is restored.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from plait_graph._compile.plan import Plan
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.machine import Ended, Failed, Shown
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.sources import SOURCE_THREAD
from plait_graph._run.tokens import Batch, Environment, OpenJoin, Region, Source, Task, position
from plait_graph.exceptions import GraphRuntimeError

VERSION = 1

Data = dict[str, Any]
Reopen = Callable[[str, int], Any]
"""Gives the source of a map again: told the map's id and the number of items that were pulled from it already."""


def snapshot(scheduler: Scheduler) -> Data:
    """The state of a run as plain data.

    Tasks that run are among it: who restores it decides whether they are still running (`restore`) or are to be run
    again (`restore` and then `requeue`).

    Raises:
        GraphRuntimeError: A user's value cannot be copied.
    """
    regions = _regions(scheduler)
    data: Data = {
        'version': VERSION,
        'next_id': scheduler.next_id,
        'watched': scheduler.watched,
        'max_concurrency': scheduler.max_concurrency,
        'regions': [_region(scheduler, region) for region in regions],
        'ready': [_batch(each) if isinstance(each, Batch) else _task(each) for each in scheduler.ready],
        'running': [_task(task) for task in scheduler.running.values()],
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


def restore(
    plan: Plan, data: Data, evaluator: Evaluator, env: Environment, *, reopen: Reopen | None = None
) -> Scheduler:
    """A run from its plain data; it shares nothing with the data.

    Args:
        plan: The plan of the graph that the snapshot is of.
        data: The snapshot.
        evaluator: As for a new run.
        env: As for a new run; subgraphs' own states are in the snapshot.
        reopen: Gives sources again that could not be copied; what was pulled from them already is skipped.

    Raises:
        GraphRuntimeError: The data is of another version, names nodes that the plan does not have, or has a source that
            could not be copied and there is no `reopen`.
    """
    if data.get('version') != VERSION:
        raise GraphRuntimeError(f'The snapshot is of version {data.get("version")!r}, and this is version {VERSION}.')
    return _Restoring(plan, copy.deepcopy(data), evaluator, env, reopen).run()


# To data


def _regions(scheduler: Scheduler) -> list[Region]:
    """All regions that hold a token, those further out first."""
    found: dict[int, Region] = {}
    holders = [scheduler.root]
    holders += [each.region for each in scheduler.ready]
    holders += [task.region for task in scheduler.running.values()]
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
    has_own = parent is not None and region.env is not parent.env
    return {
        'id': region.id,
        'node': region.node.id,
        'parent': None if parent is None else parent.id,
        'index': region.index,
        'visit': region.visit,
        'env': [region.env.state, region.env.deps] if has_own else None,
        'closed': region.closed,
        'fired': sorted(scheduler.nodes[index].id for index in region.fired or ()),
        'source': None if region.source is None else _source(region.source),
        'open': [_join(join) for join in (region.open or {}).values()],
    }


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


# From data


class _Restoring:
    def __init__(self, plan: Plan, data: Data, evaluator: Evaluator, env: Environment, reopen: Reopen | None):
        self._plan = plan
        self._data = data
        self._reopen = reopen
        self._scheduler = Scheduler(plan, evaluator, env, data['watched'])
        self._regions: dict[int, Region] = {0: self._scheduler.root}

    def run(self) -> Scheduler:
        scheduler, data = self._scheduler, self._data
        scheduler.next_id = data['next_id']
        scheduler.max_concurrency = data['max_concurrency']
        for each in data['regions']:
            self._region(each)
        for each in data['regions']:
            self._joins(each)
        scheduler.ready.extend(self._batch(each) if 'items' in each else self._task(each) for each in data['ready'])
        scheduler.running = {each['id']: self._task(each) for each in data['running']}
        scheduler.shown.extend(self._shown(each) for each in data['shown'])
        scheduler.cancelled = set(data['cancelled'])
        scheduler.sources = {id: self._regions[id] for id in data['sources']}
        scheduler.last_ends = data['last_ends']
        self._outcome(data['outcome'])
        for pending in (scheduler.counts.due, scheduler.counts.settled, scheduler.counts.emptied):
            pending.clear()  # the snapshot was taken at rest
        return scheduler

    def _node(self, node_id: str) -> Any:
        index = self._plan.by_path.get(node_id)  # pyright: ignore[reportArgumentType] # ids are strings in data
        if index is None:
            raise GraphRuntimeError(
                f'The snapshot has node {node_id!r}, which is not in the graph. '
                f'Restore it with the graph that it was made of.'
            )
        return self._plan.nodes[index]

    def _region(self, data: Data) -> None:
        scheduler = self._scheduler
        if data['parent'] is None:
            region = scheduler.root
        else:
            parent = self._regions[data['parent']]
            env = parent.env if data['env'] is None else Environment(*data['env'])
            region = Region(data['id'], self._node(data['node']), parent, data['index'], data['visit'], env)
            if self._plan.tracks_members:
                region.members, region.children = {}, {}
            self._regions[region.id] = region
        region.closed = data['closed']
        if data['fired']:
            region.fired = {self._node(each).index for each in data['fired']}
        if data['source'] is not None:
            self._source(region, data['source'])

    def _source(self, region: Region, data: Data) -> None:
        """A map's source, at the item where it was."""
        source = Source(None, data['limit'], is_async=data['is_async'])
        source.pulled = data['pulled']
        source.exhausted = data['exhausted']
        source.requested = data['requested']
        region.source = source
        if source.exhausted:
            return
        source.value = data['value'][0] if data['value'] is not None else self._open_again(region, source)
        if not source.is_async:
            skipped = 0 if data['value'] is None else source.pulled
            iterator: Iterator[Any] = iter(source.value)
            next(islice(iterator, skipped, skipped), None)
            source.iterator = iterator
        self._scheduler.counts.place(region, region.node.leaving, SOURCE_THREAD)

    def _open_again(self, region: Region, source: Source) -> Any:
        if self._reopen is None:
            raise GraphRuntimeError(
                f'Map {region.node.id!r} was reading an iterator, which a snapshot cannot keep. '
                f'Give reopen= to go on behind its first {source.pulled} items, or map a list.'
            )
        value: Any = self._reopen(region.node.id, source.pulled)
        return _skip(value, source.pulled) if source.is_async else islice(value, source.pulled, None)

    def _joins(self, data: Data) -> None:
        region = self._regions[data['id']]
        for each in data['open']:
            join = OpenJoin(self._node(each['node']), region, each['current'])
            join.received = each['received']
            join.closed = each['closed']
            if region.open is None:
                region.open = {}
            region.open[join.node.index] = join
            self._scheduler.counts.place(region, join.node.leaving, join.index)
            for arrival, value, place, index in each['buffer']:
                self._buffer(join, arrival, value, self._regions[place], index)

    def _buffer(self, join: OpenJoin, arrival: int, value: Any, place: Region, index: int) -> None:
        join.buffer.append((position(place, index, join.region), arrival, value, place, index))
        if self._plan.tracks_threads:
            self._scheduler.counts.hold(place, index, join.region)

    def _task(self, data: Data) -> Task:
        region = self._regions[data['region']]
        task = Task(data['id'], self._node(data['node']), data['inputs'], region, data['index'], data['visit'])
        if task.id not in self._data['cancelled']:
            self._scheduler.counts.place(region, task.node.arriving, task.index)
            self._scheduler.join_members(region, task)
        return task

    def _batch(self, data: Data) -> Batch:
        region = self._regions[data['region']]
        batch = Batch(self._node(data['node']), data['items'], region)
        batch.next = data['next']
        if batch.next < len(batch.items):
            self._scheduler.counts.place(region, region.node.leaving, 0, len(batch.items) - batch.next)
        return batch

    def _shown(self, data: Data) -> Shown:
        return Shown(
            [self._task(each) for each in data['tasks']],
            end=None if data['end'] is None else Ended(data['end'][0]),
            error=data['error'],
            holder=None if data['holder'] is None else self._task(data['holder']),
        )

    def _outcome(self, data: Data | None) -> None:
        if data is None:
            return
        if 'ended' in data:
            self._scheduler.outcome = Ended(data['ended'])
        else:
            self._scheduler.errors = data['failed']
            self._scheduler.outcome = Failed(self._scheduler.errors)


async def _skip(value: AsyncIterable[Any], count: int) -> AsyncIterator[Any]:
    """An asynchronous source without its first items."""
    async for item in value:
        if count:
            count -= 1
        else:
            yield item
