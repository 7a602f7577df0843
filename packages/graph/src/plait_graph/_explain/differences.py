"""In what two runs differ, and where it began.

Task ids depend on the order of work, so tasks are compared by place: the node, the threads of the forks that they are
in, and how many steps lie before them. The order of what happened is not compared.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from plait_graph._explain.history import FiredJoin, History, JoinedValue, ReachedStep, read_history
from plait_graph._explain.records import ForkPath, LoggedEvent, describe_path, path_of, shorten
from plait_graph.id_types import NodeID, TaskID

_MOST_LINES = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run has been: what stays the same whatever the order of work."""

    node_id: NodeID
    """The node; empty for the end of the run."""
    path: ForkPath = ()
    """The forks that it is in, outermost first, each with the thread."""
    visit: int = 0
    """How many steps lie before it on its way; for a join how often it has fired there before."""
    repeat: int = 0
    """Counts what is alike in all of this, as tasks that were put in by hand can be."""

    def __str__(self) -> str:
        if not self.node_id:
            return 'the end of the run'
        return f'{self.node_id!r}{describe_path(self.path)}, visit {self.visit}'


_END = Place(NodeID(''))


@dataclass(frozen=True, slots=True)
class Change:
    """Something that two runs did differently at one place."""

    what: str
    """`inputs`, `outcome`, `output`, `error` or `attempts` of a step, `output` or `values` of a join (those that
    the other one did not get), `result` of the run."""
    first: Any
    second: Any

    def __str__(self) -> str:
        return f'{self.what} {shorten(self.first)} and {shorten(self.second)}'


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two runs differ."""

    place: Place
    where: Literal['both', 'first', 'second']
    """Which of the runs were there."""
    first: TaskID | None
    """The task or firing in the first run; nothing for the end of the run, or if it never was there."""
    second: TaskID | None
    changes: tuple[Change, ...]
    """What is different, if both were there."""
    is_origin: bool
    """Whether all that directly led here is the same in both runs, so that the difference began here."""

    def __str__(self) -> str:
        if self.changes:
            return f'{self.place}: {"; ".join(map(str, self.changes))}'
        return f'{self.place}: only in the {self.where} run'


@dataclass(frozen=True, slots=True)
class RunDiff:
    """What two runs did differently: true if there is anything. As text, a line for each difference.

    The likeliest cause comes first: what gave something else for the same inputs, then what was reached in one run
    only, then what was stopped or tried more often, each in the order of the first run; at last all that follows
    directly from other differences.
    """

    differences: tuple[Difference, ...]

    def __bool__(self) -> bool:
        return bool(self.differences)

    def __len__(self) -> int:
        return len(self.differences)

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.differences)

    def __str__(self) -> str:
        if not self.differences:
            return 'The runs did the same.'
        lines = [f'{"" if each.is_origin else "follows: "}{each}' for each in self.differences[:_MOST_LINES]]
        more = len(self.differences) - _MOST_LINES
        return '\n'.join([*lines, f'... {more} more differences'] if more > 0 else lines)


class Recorded(Protocol):
    """A run that has a log."""

    @property
    def log(self) -> Iterable[LoggedEvent]: ...


def diff(first: Iterable[LoggedEvent] | Recorded, second: Iterable[LoggedEvent] | Recorded) -> RunDiff:
    """Compare what two runs of a graph did, whatever the order in which they did it.

    Tasks are matched by node, fork threads and visit. Cached values, times and emitted events are not compared, and of
    errors only type and message. A value counts as the same if it is the same JSON.

    Args:
        first: A run that was recorded, or its log.
        second: Another one.

    Raises:
        GraphRuntimeError: A run was not recorded.
    """
    a, b = (_doings(read_history(_log_of(each))) for each in (first, second))
    compared = {place: _compare(a.get(place), b.get(place)) for place in dict.fromkeys([*a, *b])}
    found = {place: changes for place, changes in compared.items() if changes is not None}
    upset = {place for place, changes in found.items() if [change.what for change in changes] != ['attempts']}
    ranked = [_judge(place, a.get(place), b.get(place), changes, upset) for place, changes in found.items()]
    ranked.sort(key=lambda each: each[:2])
    return RunDiff(tuple(difference for _, _, difference in ranked))


def _log_of(run: Iterable[LoggedEvent] | Recorded) -> Iterable[LoggedEvent]:
    return run if isinstance(run, Iterable) else run.log


def _judge(
    place: Place, first: _Doing | None, second: _Doing | None, changes: tuple[Change, ...], upset: set[Place]
) -> tuple[int, float, Difference]:
    """A difference behind what it is sorted by: its rank and its position in the log."""
    there = [doing for doing in (first, second) if doing is not None]
    rank = _rank(changes, is_led=any(not upset.isdisjoint(doing.causes) for doing in there))
    where = 'both' if len(there) == 2 else 'second' if first is None else 'first'
    difference = Difference(place, where, first and first.id, second and second.id, changes, is_origin=rank != _FOLLOWS)
    return rank, there[0].sequence, difference


# What a run did, by place


@dataclass(frozen=True, slots=True)
class _Doing:
    """What happened at a place."""

    id: TaskID | None
    sequence: float
    facts: Mapping[str, Any]
    """What is compared."""
    causes: Collection[Place]


def _doings(history: History) -> dict[Place, _Doing]:
    places = _places(history)
    doings: dict[Place, _Doing] = {}
    for id, place in places.items():
        cause = history.steps.get(id) or history.joins[id]
        facts = _facts_of_step(cause) if isinstance(cause, ReachedStep) else _facts_of_join(cause, history)
        doings[place] = _Doing(id, cause.sequence, facts, [places[each] for each in cause.causes if each in places])
    if history.end is not None:
        doings[_END] = _Doing(None, math.inf, {'result': history.end.output}, tuple(doings))
    return doings


def _places(history: History) -> dict[TaskID, Place]:
    """The place of each task and of each firing; a join that has not fired has none."""
    seen: Counter[Place] = Counter()
    places: dict[TaskID, Place] = {}
    for step in history.steps.values():
        place = Place(step.node_id, path_of(step.fork_stack), step.visit)
        places[step.task_id] = replace(place, repeat=seen[place])
        seen[place] += 1
    for join in history.joins.values():
        if join.has_fired:
            place = Place(join.join_id, path_of(join.fork_stack))
            places[join.firing_id] = replace(place, visit=seen[place])
            seen[place] += 1
    return places


def _facts_of_step(step: ReachedStep) -> dict[str, Any]:
    facts: dict[str, Any] = {'inputs': step.inputs, 'outcome': step.outcome}
    if step.outcome == 'finished':
        facts['output'] = step.output
    elif step.error is not None:
        facts['error'] = str(step.error)
    return {**facts, 'attempts': max(step.attempts, 1)}  # none if the value was cached


def _facts_of_join(join: FiredJoin, history: History) -> dict[str, Any]:
    values = [[_source(each, history), each.value] for each in join.values]
    return {'values': sorted(values, key=_canonical), 'output': join.output}


def _source(value: JoinedValue, history: History) -> str:
    """Where a value at a join came from, in words that do not depend on the order of work."""
    cause = None if value.cause is None else history.find(value.cause)
    node = '' if cause is None else cause.node_id if isinstance(cause, ReachedStep) else cause.join_id
    return f'{node}{describe_path(path_of(value.fork_stack))}'.strip()


# Comparing


def _compare(first: _Doing | None, second: _Doing | None) -> tuple[Change, ...] | None:
    """What is different at a place: `None` if nothing is, and no changes if one of the runs was never there."""
    if first is None or second is None:
        return ()
    changes: list[Change] = []
    for what in dict.fromkeys([*first.facts, *second.facts]):
        one: Any = first.facts.get(what)
        other: Any = second.facts.get(what)
        if _canonical(one) != _canonical(other):
            changes.append(Change(what, one, other) if what != 'values' else _change_of_values(one, other))
    return tuple(changes) or None


def _change_of_values(first: list[Any], second: list[Any]) -> Change:
    """The values that the other join has not; `first` and `second` are sorted."""
    one, other = Counter(map(_canonical, first)), Counter(map(_canonical, second))
    return Change('values', *([json.loads(text) for text in rest.elements()] for rest in (one - other, other - one)))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


_GIVEN = 'inputs', 'values', 'result'
"""The facts that come from what was before."""

_OWN, _ONE_SIDED, _STOPPED, _FOLLOWS = range(4)


def _rank(changes: tuple[Change, ...], *, is_led: bool) -> int:
    """How likely a difference is the cause of others; the lowest is the likeliest."""
    by_name = {change.what: change for change in changes}
    is_reached_alike = bool(changes) and by_name.keys().isdisjoint(_GIVEN)
    if is_led and not is_reached_alike:
        return _FOLLOWS
    if not changes:
        return _ONE_SIDED
    outcome = by_name.get('outcome')
    is_stopped = outcome is not None and not {'cancelled', 'unfinished'}.isdisjoint((outcome.first, outcome.second))
    return _STOPPED if is_stopped or by_name.keys() == {'attempts'} else _OWN
