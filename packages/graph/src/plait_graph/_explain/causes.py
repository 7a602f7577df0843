"""What led to a task, and what did not lead to a node."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from plait_graph._explain.history import Cause, FiredJoin, History, ReachedStep
from plait_graph._explain.records import describe_path, path_of, shorten, shorten_text
from plait_graph.events import ValueDropped
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.id_types import NodeID, TaskID

_MOST_VALUES = 8
"""How many values of a join are followed in a text."""
_FIRST_LINES, _LAST_LINES = 10, 50


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that led to a task or to the firing of a join. As text, a line for each step and each value of a join."""

    target: ReachedStep | FiredJoin
    """What is explained."""
    way: tuple[ReachedStep | FiredJoin, ...]
    """The steps and joins that led there, each behind its own causes, and the target as the last one."""
    missing: tuple[TaskID, ...]
    """What led there and is not in the log."""

    def __str__(self) -> str:
        shown = _walk({cause.id: cause for cause in self.way}, self.target, most=_MOST_VALUES)
        lines = [line for cause in _in_order(shown) for line in _lines_of(cause)]
        if len(lines) > _FIRST_LINES + _LAST_LINES:
            between = len(lines) - _FIRST_LINES - _LAST_LINES
            lines[_FIRST_LINES:-_LAST_LINES] = [f'... {between} more lines ...']
        lost = [f'The way to {id} is not in the log.' for id in self.missing[:_MOST_VALUES]]
        return '\n'.join([f'What led to {_name(self.target)}:', *(f'  {line}' for line in lines), *lost])


def explain(history: History, id: str) -> Explanation:
    """Walk from a task or a firing back to the start.

    Raises:
        GraphRuntimeError: The log has no such task or firing.
    """
    known = {**history.steps, **history.joins}
    target = known.get(TaskID(id))
    if target is None:
        raise GraphRuntimeError(_unknown(history, id))
    found = _walk(known, target)
    wanted = [cause for each in found for cause in each.causes if cause not in known]
    unled = [each.id for each in found if isinstance(each, ReachedStep) and not each.is_cause_known]
    return Explanation(target, _in_order(found), tuple(dict.fromkeys([*wanted, *unled])))


def _walk(known: dict[TaskID, Cause], target: Cause, most: int | None = None) -> list[Cause]:
    """All that can be reached back from a target; of a join, what led to its first values only."""
    found: dict[TaskID, Cause] = {}
    ahead = [target]
    while ahead:
        each = ahead.pop()
        if each.id not in found:
            found[each.id] = each
            ahead.extend(known[cause] for cause in each.causes[:most] if cause in known)
    return list(found.values())


def _in_order(causes: Collection[Cause]) -> tuple[Cause, ...]:
    """By position in the log, where whatever leads to something stands before it."""
    return tuple(sorted(causes, key=lambda cause: cause.sequence))


def _unknown(history: History, id: str) -> str:
    at_node = [each.id for each in (*history.steps.values(), *history.joins.values()) if _node_of(each) == id]
    if at_node:
        return f'{id!r} is a node, not a task. It was reached as {_some(at_node)}; give one of these.'
    ids = [*history.steps, *history.joins]
    return (
        f'The log has no task or firing {id!r}. It has {_some(ids) if ids else "none; give it to on_event= of a run"}.'
    )


def _some(ids: list[TaskID]) -> str:
    more = len(ids) - _MOST_VALUES
    return ', '.join(ids[:_MOST_VALUES]) + (f' and {more} more' if more > 0 else '')


# Words


def _node_of(cause: Cause) -> NodeID:
    return cause.node_id if isinstance(cause, ReachedStep) else cause.join_id


def _name(cause: Cause) -> str:
    return f'{cause.id} at {_node_of(cause)!r}{describe_path(path_of(cause.fork_stack))}'


def _lines_of(cause: Cause) -> list[str]:
    if isinstance(cause, ReachedStep):
        return [_line_of_step(cause)]
    what = f'gave {shorten(cause.output)}' if cause.has_fired else 'has not fired'
    values = [f'  {shorten(each.value)} from {each.cause or "the start"}' for each in cause.values[:_MOST_VALUES]]
    more = len(cause.values) - _MOST_VALUES
    rest = [f'  and {more} more values'] if more > 0 else []
    return [f'{_name(cause)} {what}{", made of" if values else ", without any value"}', *values, *rest]


def _line_of_step(step: ReachedStep) -> str:
    words = [f'{_name(step)} with {shorten(step.inputs)}']
    if step.is_cause_known:
        words.append(f'from {step.cause or "the start"}')
    if step.attempts > 1:
        words.append(f'{step.attempts} attempts')
    if step.is_cached:
        words.append('from the cache')
    if step.error is not None:
        words.append(f'{"failed with" if step.outcome == "failed" else "after"} {shorten_text(str(step.error))}')
    if step.outcome not in ('finished', 'failed'):
        words.append(step.outcome)
    return ', '.join(words)


# What did not happen


@dataclass(frozen=True, slots=True)
class DeadEnds:
    """Where values ended on other ways than a node's. As text, a line for each."""

    node_id: NodeID
    reached: tuple[TaskID, ...]
    """The tasks or firings at the node."""
    steps: tuple[ReachedStep, ...]
    """Steps that failed, were cancelled, have not finished, or finished and led to no step and no join."""
    waiting: tuple[FiredJoin, ...]
    """Joins that were reached and have not fired."""
    dropped: tuple[ValueDropped, ...]
    """Values that reached a join which had fired."""

    def __str__(self) -> str:
        times = f'was reached as {_some(list(self.reached))}' if self.reached else 'was not reached'
        lines = [*map(_line_of_end, self.steps), *(f'{_name(join)} has not fired' for join in self.waiting)]
        for event in self.dropped:
            place = describe_path(path_of(event.fork_stack))
            lines.append(f'{shorten(event.value)}{place} was dropped at {event.join_id!r}, which had fired')
        return '\n'.join([f'{self.node_id!r} {times}. What ended elsewhere:', *(f'  {line}' for line in lines)])


def find_dead_ends(history: History, node_id: str) -> DeadEnds:
    """Gather what ended without leading anywhere, and not at a node."""
    everything = (*history.steps.values(), *history.joins.values())
    led = {cause for each in everything for cause in each.causes}
    return DeadEnds(
        NodeID(node_id),
        tuple(each.id for each in everything if _node_of(each) == node_id),
        tuple(each for each in history.steps.values() if each.id not in led and each.node_id != node_id),
        tuple(each for each in history.joins.values() if not each.has_fired and each.join_id != node_id),
        history.dropped,
    )


def _line_of_end(step: ReachedStep) -> str:
    if step.outcome == 'finished':
        return f'{_name(step)} gave {shorten(step.output)}, which led to no step and no join'
    error = f' with {shorten_text(str(step.error))}' if step.outcome == 'failed' else ''
    return f'{_name(step)} {"has not finished" if step.outcome == "unfinished" else step.outcome}{error}'
