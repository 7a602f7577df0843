"""Joins at work: opening, folding, folding in order, firing, and cancelling what has lost.

A join opens when the first value reaches it in a run of its parent fork, and fires when no other token of that run
stands where the join can still be reached.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

from plait_graph import events
from plait_graph._compile.plan import PlanNode
from plait_graph._run.commands import CancelTask
from plait_graph._run.counts import all_before_settled
from plait_graph._run.machine import FAILED, Machine, Move
from plait_graph._run.sources import close_source, want_item
from plait_graph._run.tokens import Contribution, OpenJoin, Position, Region, Task, fork_stack, position
from plait_graph.exceptions import GraphRuntimeError, JoinUnsatisfied
from plait_graph.join import BranchFailure
from plait_graph.policies import Share

_BEHIND_ITEMS = (True, 1 << 62)
"""A position behind all items, and all that left joins."""


def contribute(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    """Hand a value to a join."""
    home = home_of(node, region)
    if home is None:
        machine.fail_at(node, region, index, visit, _homeless(machine, node))
        return
    join = (home.open or {}).get(node.index)
    if join is None:
        if home.fired is not None and node.index in home.fired:
            _drop(machine, node, value, region, index)
            return
        join = open_join(machine, node, home, visit)
        if join is None:
            return
    if join.closed:
        _drop(machine, node, value, region, index)
        return
    if machine.listener is not None:
        place = fork_stack(region, index)
        machine.listener(events.ValueJoined(node.id, place, value, machine.cause, join.firing_id))
    join.received += 1
    if node.is_ordered:
        _keep(machine, join, value, region, index)
    else:
        _fold(machine, join, value)
    if node.needs is not None:
        _note_arrival(machine, join, value, region, index)


def _keep(machine: Machine, join: OpenJoin, value: Any, region: Region, index: int) -> None:
    """Keep a value until it can be folded in input order."""
    place = position_of(value, region, index, join.region)
    contribution: Contribution = (place, join.received, value, region, index)
    if not join.node.folds_in_turn:
        join.buffer.append(contribution)
        return
    heapq.heappush(join.buffer, contribution)
    machine.counts.hold(region, index, join.region)
    if index not in (region.threads or ()):
        machine.counts.agenda.settled.append((region, index))  # no token was there whose end would tell of it


def position_of(value: Any, region: Region, index: int, home: Region) -> Position:
    """Where a value stands among those that a join folds in input order."""
    place = position(region, index, home)
    # The failure of a map's source stands where the map does, and there may be items before it.
    return (*place, _BEHIND_ITEMS) if isinstance(value, BranchFailure) else place


def home_of(node: PlanNode, region: Region | None) -> Region | None:
    """The run of a join's parent fork that a place is in."""
    parent = node.parent
    while region is not None and region.node.index != parent:
        region = region.parent
    return region


def open_join(machine: Machine, node: PlanNode, home: Region, visit: int) -> OpenJoin | None:
    """Make a join a token of a run of its parent fork; nothing if it is open or has fired, or its factory raised."""
    if node.index in (home.open or ()) or node.index in (home.fired or ()):
        return None
    current = machine.evaluate(
        node, home, -1 - node.ordinal, visit, 'the initial value of join', machine.evaluator.initial, node.node
    )
    if current is FAILED:
        return None
    join = OpenJoin(node, home, current)
    if home.open is None:
        home.open = {}
    home.open[node.index] = join
    machine.counts.place(home, node.leaving, join.index)
    machine.counts.agenda.due.append(join)  # it may have nothing to wait for
    return join


def _drop(machine: Machine, node: PlanNode, value: Any, region: Region, index: int) -> None:
    """Note a value that comes too late."""
    machine.note_end(f'a value reached join {node.id!r}, which had fired')
    if machine.listener is not None:
        machine.listener(events.ValueDropped(node.id, fork_stack(region, index), value))


def _homeless(machine: Machine, node: PlanNode) -> GraphRuntimeError:
    return GraphRuntimeError(
        f'A value reached join {node.id!r} outside of any run of its parent fork '
        f'{machine.nodes[node.parent].id!r}. Give the task the fork_stack of a task inside of that fork.'
    )


# Folding


def _fold(machine: Machine, join: OpenJoin, value: Any) -> None:
    home = join.region
    result = machine.evaluate(
        join.node,
        home,
        join.index,
        home.visit,
        'the reducer of join',
        machine.evaluator.fold,
        join.node.node,
        home.env,
        join.current,
        value,
    )
    if result is FAILED:
        _withdraw(machine, join)
        return
    join.current, cancels = result
    if cancels:
        join.closed = True
        _discard_buffer(machine, join)
        _cancel_losers(machine, join.node, home)


def _withdraw(machine: Machine, join: OpenJoin) -> None:
    """Close a join whose reducer raised: it will pass nothing on."""
    join.closed = True
    _discard_buffer(machine, join)
    _mark_fired(machine, join.node, join.region)
    machine.counts.remove(join.region, join.node.leaving, join.index)


def _discard_buffer(machine: Machine, join: OpenJoin) -> None:
    waiting, join.buffer = join.buffer, []
    if join.node.folds_in_turn:
        for _, _, _, region, index in waiting:
            _release(machine, join, region, index)


def _release(machine: Machine, join: OpenJoin, region: Region, index: int) -> None:
    """Give the places free that a value kept while it waited, so that maps can go on."""
    for freed in machine.counts.release(region, index, join.region):
        want_item(machine, freed)


def _mark_fired(machine: Machine, node: PlanNode, home: Region) -> None:
    if home.open is not None:
        home.open.pop(node.index, None)
    if home.fired is None:
        home.fired = set()
    home.fired.add(node.index)
    if home.timers and node.index in home.timers:
        machine.stop_timer(home.timers.pop(node.index))


def _is_open(join: OpenJoin) -> bool:
    return join.region.open is not None and join.region.open.get(join.node.index) is join


def fold_in_order(machine: Machine, region: Region) -> None:
    """Fold what waited for a thread of this region to settle, at any join further out."""
    level: Region | None = region
    while level is not None:
        for join in list((level.open or {}).values()):
            if join.buffer and join.node.folds_in_turn:
                _fold_settled(machine, join)
        level = level.parent


def _fold_settled(machine: Machine, join: OpenJoin) -> None:
    while join.buffer:
        _, _, value, region, index = join.buffer[0]
        if not all_before_settled(region, index, join.region):
            return
        heapq.heappop(join.buffer)
        _fold(machine, join, value)
        _release(machine, join, region, index)


# Firing


def fire(machine: Machine, join: OpenJoin) -> bool:
    """Pass a join's value on, if it is open and nothing is left that it waits for.

    The join's own token stays until what it led to has come to rest; see `retire`.
    """
    home, node = join.region, join.node
    if home.closed or not _is_open(join) or (home.present & node.blocking and not join.is_enough):
        return False
    if node.needs is not None and not _is_met(join):
        _be_unsatisfied(machine, join, 'nothing is left that could bring another one')
        return False
    waiting, join.buffer = sorted(join.buffer), []
    if join.is_enough:
        join.closed = False  # it was for others than those that wait here
    for _, _, value, region, index in waiting:
        if node.folds_in_turn:
            _release(machine, join, region, index)
        if not join.closed:
            _fold(machine, join, value)
    if machine.outcome is not None or not _is_open(join):
        return False
    _mark_fired(machine, node, home)
    if machine.listener is not None:
        machine.listener(events.JoinFired(node.id, fork_stack(home, join.index), join.current, join.firing_id))
        machine.cause = join.firing_id
    machine.go_on(node, join.current, home, join.index, home.visit)
    return True


def retire(machine: Machine, join: OpenJoin) -> None:
    """Take away the token of a join that has fired."""
    machine.counts.remove(join.region, join.node.leaving, join.index)


# Needs


def _note_arrival(machine: Machine, join: OpenJoin, value: Any, region: Region, index: int) -> None:
    """Count what came, and let the join go on if that is all it needs."""
    if isinstance(value, BranchFailure):
        join.causes.append(value.error)
        return
    join.came += 1
    if join.node.needs is not None and isinstance(join.node.needs.need, Share):
        while region is not join.region and region.parent is not None:
            region, index = region.parent, region.index
        join.threads.add(index)
    note_enough(machine, join)


def note_enough(machine: Machine, join: OpenJoin) -> None:
    """Let a join go on without the rest, if it needs only so much and has it."""
    needs = join.node.needs
    if needs is not None and isinstance(needs.need, int | Share) and _is_open(join) and _is_met(join):
        _go_on_without_rest(machine, join)


def note_total(machine: Machine, region: Region) -> None:
    """No more items will come, so that a share of them is known: let those joins go on that have theirs."""
    for join in list((region.open or {}).values()):
        note_enough(machine, join)


def _go_on_without_rest(machine: Machine, join: OpenJoin) -> None:
    if join.is_enough:
        return
    join.is_enough = join.closed = True
    if join.node.needs is not None and join.node.needs.rest == 'cancel':
        _cancel_losers(machine, join.node, join.region)
    machine.counts.agenda.due.append(join)


def _is_met(join: OpenJoin) -> bool:
    """Whether a join has what it needs, as far as that is known."""
    match join.node.needs.need if join.node.needs is not None else 'all':
        case 'all' | 'arrived':
            return True
        case Share() as share:
            total = join.region.threads_in_all
            return total is not None and len(join.threads) >= share.of(total)
        case count:
            return join.came >= count


def expire(machine: Machine, region: Region, node: PlanNode) -> None:
    """A join's deadline has come: it goes on with what it has, or says that it cannot."""
    if region.timers is not None:
        region.timers.pop(node.index, None)
    if region.closed or not region.present or node.index in (region.fired or ()):
        return
    join = (region.open or {}).get(node.index) or open_join(machine, node, region, region.visit)
    if join is None or node.needs is None:
        return
    if node.needs.need == 'arrived':
        _go_on_without_rest(machine, join)
        return
    if node.needs.rest == 'cancel':
        _cancel_losers(machine, node, region)
    _be_unsatisfied(machine, join, f'its deadline of {node.needs.seconds:g} s has come')


def _be_unsatisfied(machine: Machine, join: OpenJoin, why: str) -> None:
    """Fail in the place of a join that does not get what it needs."""
    needs, region = join.node.needs, join.region
    failed = f', and branches failed: {len(join.causes)}' if join.causes else ''
    error = JoinUnsatisfied(
        f'Join {join.node.id!r} needs {needs.need_in_words if needs is not None else "all"}. '
        f'Values came: {join.came}{failed}; {why}. '
        f'Need less, give it more time, or let a join around it collect this failure.'
    )
    error.causes = tuple(join.causes)
    if join.causes:
        error.__cause__ = join.causes[0] if len(join.causes) == 1 else BaseExceptionGroup('branches', join.causes)
    machine.fail_at(join.node, region, join.index, region.visit, error, 'join')
    _withdraw(machine, join)


def ignore(machine: Machine, node: PlanNode, home: Region, error: BaseException, visit: int) -> None:
    """Note a failure of a branch that a join does without; it fires even if all of them fail."""
    join = (home.open or {}).get(node.index) or open_join(machine, node, home, visit)
    if join is not None:
        join.causes.append(error)


# Cancelling


def abandon(machine: Machine, node: PlanNode, home: Region) -> None:
    """Take away a join and all that could bring it a value: it cannot be completed, now or later."""
    join = (home.open or {}).get(node.index)
    _cancel_losers(machine, node, home)
    if join is not None and _is_open(join):
        _withdraw(machine, join)
    else:
        _mark_fired(machine, node, home)


def _cancel_losers(machine: Machine, node: PlanNode, home: Region) -> None:
    """Take away all tokens of a join's run from which the join can still be reached."""
    blocking = node.blocking
    regions = {**dict.fromkeys(_regions(home, without=node.parent)), **dict.fromkeys(_begun(machine, node, home))}
    _cancel_moves(machine, home, lambda move: bool(1 << move[0].arriving & blocking) and home_of(node, move[2]) is home)
    for region in regions:
        if region.node.partner >= 0 and region is not home and 1 << region.node.arriving & blocking:
            close_region(machine, region)  # a subgraph whose value is not wanted
        else:
            cancel_members(machine, region, blocking)


def _begun(machine: Machine, node: PlanNode, home: Region) -> Iterator[Region]:
    """The regions within a join's run that values are on their way in: nothing may have come to rest there so far."""
    for _, _, place, _, _ in machine.moves:
        region: Region | None = place if home_of(node, place) is home else None
        while region is not None and region is not home:
            yield region
            region = region.parent


def _cancel_moves(machine: Machine, outer: Region, is_lost: Callable[[Move], bool]) -> None:
    """Take away values that are on their way within a region.

    A subgraph that they were in may hold nothing else; it is closed, so that this is not taken for a failure of it.
    """
    moves = list(machine.moves)
    machine.moves.clear()
    for move in moves:
        if not is_lost(move):
            machine.moves.append(move)
            continue
        region: Region | None = move[2]
        while region is not None and region is not outer:
            region.closed = region.closed or region.node.partner >= 0
            region = region.parent


def cancel_members(machine: Machine, region: Region, classes: int) -> None:
    """Take away the tokens directly in a region that are of certain classes."""
    for task in list(region.members or ()):
        if 1 << task.cls & classes:
            _cancel(machine, task)
    closes_source = 1 << region.node.leaving & classes and region.source is not None and not region.source.exhausted
    if closes_source:
        close_source(machine, region)
    for join in list((region.open or {}).values()):
        if 1 << join.node.leaving & classes:
            _discard_buffer(machine, join)
            _mark_fired(machine, join.node, region)
            machine.counts.remove(region, join.node.leaving, join.index)
    for index in list(region.timers or ()):
        if 1 << machine.nodes[index].leaving & classes:
            _mark_fired(machine, machine.nodes[index], region)  # its deadline would make it a token
    if closes_source:
        note_total(machine, region)


def _cancel(machine: Machine, task: Task) -> None:
    machine.leave(task)
    machine.drop_view(task)
    if machine.running.pop(task.id, None) is not None:
        machine.commands.append(CancelTask(task))
        machine.forget_attempts(task)
    elif task.id in machine.ending or _is_between_attempts(machine, task):
        machine.stop_ending(task)
        machine.forget_attempts(task)
    else:
        machine.cancel_waiting(task)
    if machine.listener is not None and all(loss.task is not task for loss in machine.losses):
        machine.listener(events.StepCancelled(task.node.id, task.task_id, task.fork_stack))


def _is_between_attempts(machine: Machine, task: Task) -> bool:
    attempt = machine.attempts.get(task.id)
    return attempt is not None and any(timer.kind == 'retry' for timer in attempt.timers)


def _regions(region: Region, *, without: int = -1) -> list[Region]:
    """A region and all regions in it, but for the runs of one fork: what belongs to those stays there."""
    found = [region]
    for each in found:
        found.extend(child for child in each.children or () if child.node.index != without)
    return found


def close_region(machine: Machine, region: Region) -> None:
    """Take away everything in a region: a subgraph has its value."""
    _cancel_moves(machine, region, lambda move: _is_below(move[2], region))
    for each in _regions(region):
        each.closed = True
        cancel_members(machine, each, -1)


def _is_below(region: Region | None, outer: Region) -> bool:
    while region is not None and region is not outer:
        region = region.parent
    return region is not None
