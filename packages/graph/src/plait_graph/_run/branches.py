"""Branches that fail: which join takes the failure, and what fails with it.

A failure goes outward as an exception does. It reaches the join that is next on its way. If that join raises failures,
its own run cannot be completed, so all that was on its way there is taken away, and the failure goes on from where the
join stands; a subgraph that a failure leaves has failed as a whole. The first join that collects or ignores failures
takes it. If there is none, nothing is taken away here: the run fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from plait_graph import events
from plait_graph._compile.plan import Kind, PlanNode
from plait_graph._run import joins
from plait_graph._run.machine import Loss, Machine
from plait_graph._run.tokens import Region, fork_stack
from plait_graph.join import BranchFailure


@dataclass(slots=True)
class _Way:
    """A failure's way outward: where it has come to, and what has failed with it."""

    region: Region
    cls: int
    place: tuple[Region, int]
    """Where the value would have come from that the failure stands for."""
    broken: list[tuple[Region, PlanNode | None]] = field(default_factory=list['tuple[Region, PlanNode | None]'])
    """Runs that cannot be completed: with the join that they lead to, or, of a subgraph or a map, as a whole."""


def lose(machine: Machine, loss: Loss) -> bool:
    """Let the join that takes a failure have it; tells whether anything but the run does.

    If the join that is next on the way has gone on already, the failure is dropped, as a value would be.
    The failure's own token stays for the caller to take away, when what this led to has come to rest.
    """
    task = loss.task
    node = task.node
    way = _Way(task.region, task.cls, (task.region, task.index))
    if loss.broken is not None:
        way.broken.append((loss.broken, None))
    if node.kind is Kind.JOIN and (node.needs is None or node.needs.rest == 'cancel'):
        way.broken.append((task.region, node))  # nobody wants what could still reach it
    join = _next_taker(machine, way)
    if join is None:
        return False
    taker = None if _has_gone_on(join, way.region) else join
    _tell(machine, loss, taker)
    if taker is not None:
        _hand_over(machine, taker, loss, way)
    for region, broken in way.broken:
        _break(machine, region, broken)
    return True


def drop(machine: Machine, loss: Loss) -> None:
    """Note a failure that changes nothing: what it belongs to was cancelled, or has gone on without it."""
    _tell(machine, loss, None)


def _tell(machine: Machine, loss: Loss, taker: PlanNode | None) -> None:
    task = loss.task
    if machine.listener is not None:
        number = machine.attempt_number(task)
        place = task.node.id, task.task_id, task.fork_stack
        machine.listener(events.StepFailed(*place, loss.error, taker is None, number, taker.id if taker else None))
        machine.cause = task.task_id
    machine.forget_attempts(task)


def _next_taker(machine: Machine, way: _Way) -> PlanNode | None:
    """The first join on the way that collects or ignores failures, or has gone on without what has failed."""
    while True:
        join = _next_join(machine, way.region, way.cls)
        if join is None:
            if not _go_outward(way):
                return None
            continue
        if _has_gone_on(join, way.region) or (join.needs is not None and join.needs.failures != 'raise'):
            return join
        way.broken.append((way.region, join))
        way.cls, way.place = join.leaving, (way.region, -1 - join.ordinal)


def _next_join(machine: Machine, region: Region, cls: int) -> PlanNode | None:
    """The join of a run that is reached first from where a token of a class stands."""
    for index in region.node.joins:
        if machine.nodes[index].blocking >> cls & 1:
            return machine.nodes[index]
    return None


def _has_gone_on(join: PlanNode, region: Region) -> bool:
    """Whether a join has fired, or takes no more values since it has what it needs."""
    if region.fired is not None and join.index in region.fired:
        return True
    waiting = (region.open or {}).get(join.index)
    return waiting is not None and waiting.closed


def _go_outward(way: _Way) -> bool:
    """Leave a run for the one around it; tells whether there is one."""
    region = way.region
    if region.parent is None:
        return False
    if region.node.partner >= 0:
        way.broken.append((region, None))
        way.cls, way.place = region.node.arriving, (region.parent, region.index)
    elif region.node.outward is not None:
        way.cls = region.node.outward[way.cls]
    way.region = region.parent
    return True


def _hand_over(machine: Machine, join: PlanNode, loss: Loss, way: _Way) -> None:
    """Give a failure to a join: as a value, or so that the join does not miss the branch."""
    (region, index), visit = way.place, loss.task.visit
    if join.needs is not None and join.needs.failures == 'collect':
        failure = BranchFailure(loss.error, loss.task.node.id, fork_stack(loss.task.region, loss.task.index))
        machine.arrive(join, failure, region, index, visit)
        return
    machine.led_nowhere = machine.watched and not loss.task.node.scope
    joins.ignore(machine, join, way.region, loss.error, visit)


def _break(machine: Machine, region: Region, join: PlanNode | None) -> None:
    """Take away what was on its way to a join that cannot be completed, or all of a run that has failed."""
    if join is None:
        joins.close_region(machine, region)
    else:
        joins.abandon(machine, join, region)
