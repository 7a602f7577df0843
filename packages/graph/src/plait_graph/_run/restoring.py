"""A run from its plain data.

An iterator or an asynchronous source cannot be copied: it is given again when the run is restored. Timers begin anew
then, and limits by name are asked again.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from plait_graph._compile.plan import Plan
from plait_graph._run.attempts import ask
from plait_graph._run.commands import StartTimer
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.joins import position_of
from plait_graph._run.machine import Shown
from plait_graph._run.outcomes import Ended, Failed
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.snapshot import VERSION, Data
from plait_graph._run.sources import SOURCE_THREAD
from plait_graph._run.tokens import Attempt, Batch, Environment, OpenJoin, Region, Source, Task, Timer
from plait_graph.exceptions import GraphRuntimeError

Reopen = Callable[[str, int], Any]
"""Gives the source of a map again: told the map's id and the number of items that were pulled from it already."""


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


class _Restoring:
    def __init__(self, plan: Plan, data: Data, evaluator: Evaluator, env: Environment, reopen: Reopen | None):
        self._plan = plan
        self._data = data
        self._reopen = reopen
        self._scheduler = Scheduler(plan, evaluator, env, data['watched'])
        self._regions: dict[int, Region] = {0: self._scheduler.root}
        self._tasks: dict[int, Task] = {}

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
        self._policies(data)
        scheduler.shown.extend(self._shown(each) for each in data['shown'])
        scheduler.cancelled = set(data['cancelled'])
        scheduler.sources = {id: self._regions[id] for id in data['sources']}
        scheduler.last_ends = data['last_ends']
        self._outcome(data['outcome'])
        for name in scheduler.queues:
            ask(scheduler, name)
        agenda = scheduler.counts.agenda
        for pending in (agenda.due, agenda.settled, agenda.emptied):
            pending.clear()  # the snapshot was taken at rest
        return scheduler

    def _policies(self, data: Data) -> None:
        """Tasks that wait for their step, a limit or a time, and what is known of their attempts."""
        scheduler = self._scheduler
        if data['ending']:
            scheduler.ending = {each['id']: self._task(each) for each in data['ending']}
        for each in data['sleeping']:
            self._task(each)
        for name, waiting in data['queues'].items():
            scheduler.queue(name).waiting.extend(self._task(each) for each in waiting)
        for waiting in data['places']:
            for each in waiting:
                self._wait_for_place(self._task(each))
        if data['attempts']:
            scheduler.attempts = {task_id: self._attempt(task_id, each) for task_id, each in data['attempts'].items()}
        if data['timers']:
            scheduler.has_waited = True
            scheduler.timers = {each['id']: self._timer(each) for each in data['timers']}

    def _wait_for_place(self, task: Task) -> None:
        places = self._scheduler.places_at(task.node)
        if places is not None:
            places.waiting.append(task)

    def _attempt(self, task_id: int, data: Data) -> Attempt:
        attempt = Attempt(data['cause'])
        attempt.number = data['number']
        attempt.began = data['began']
        attempt.is_looked_up = data['is_looked_up']
        attempt.is_cached = data['is_cached']
        attempt.key = data['key']
        attempt.overdue = data['overdue']
        if data['has_place']:
            attempt.has_place = True
            places = self._scheduler.places_at(self._tasks[task_id].node)
            if places is not None:
                places.taken += 1
        return attempt

    def _timer(self, data: Data) -> Timer:
        timer = Timer(data['id'], data['kind'], data['seconds'])
        if data['task'] is not None:
            timer.task = self._tasks[data['task']]
            self._scheduler.attempts[data['task']].timers.append(timer)
        if data['region'] is not None:
            timer.region, timer.node = region, node = self._regions[data['region']], self._node(data['node'])
            region.timers = {**(region.timers or {}), node.index: timer}
        self._scheduler.commands.append(StartTimer(timer))
        return timer

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
            env = self._environment(data, parent.env)
            region = Region(data['id'], self._node(data['node']), parent, data['index'], data['visit'], env)
            if self._plan.tracks_members:
                region.members, region.children = {}, {}
            self._regions[region.id] = region
        region.closed = data['closed']
        region.total = data['total']
        if data['passes']:
            region.passes = {self._node(step).index: passes for step, passes in data['passes'].items()}
        if data['fired']:
            region.fired = {self._node(each).index for each in data['fired']}
        if data['source'] is not None:
            self._source(region, data['source'])

    def _environment(self, data: Data, around: Environment) -> Environment:
        """What the steps of a subgraph see, which may have state and dependencies of its own."""
        own = data['env']
        deps = own.get('deps', around.deps)
        if 'state' not in own:
            return Environment(around.state, deps, around.isolated) if own else around
        if not self._plan.isolates_state:
            return Environment(own['state'], deps)
        return self._scheduler.evaluator.environment(own['state'], deps, self._node(data['node']).node.graph.state_type)

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
            join.came = each['came']
            join.threads = set(each['threads'])
            join.causes = each['causes']
            join.is_enough = each['is_enough']
            if region.open is None:
                region.open = {}
            region.open[join.node.index] = join
            self._scheduler.counts.place(region, join.node.leaving, join.index)
            for arrival, value, place, index in each['buffer']:
                self._buffer(join, arrival, value, self._regions[place], index)

    def _buffer(self, join: OpenJoin, arrival: int, value: Any, place: Region, index: int) -> None:
        join.buffer.append((position_of(value, place, index, join.region), arrival, value, place, index))
        if join.node.folds_in_turn:
            self._scheduler.counts.hold(place, index, join.region)

    def _task(self, data: Data) -> Task:
        region = self._regions[data['region']]
        task = Task(data['id'], self._node(data['node']), data['inputs'], region, data['index'], data['visit'])
        self._tasks[task.id] = task
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
