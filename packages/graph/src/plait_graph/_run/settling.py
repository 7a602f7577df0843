"""What follows from an event: everything comes to rest before the next one.

The order is fixed. First what moves arrives, then the token that caused it goes; then, one by one, failures find who
takes them, values are folded in their turn, maps pull items, and joins fire.
"""

from __future__ import annotations

from typing import Any

from plait_graph._run import branches, joins, routing, sources
from plait_graph._run.counts import Agenda
from plait_graph._run.evaluator import EXHAUSTED
from plait_graph._run.machine import FAILED, Loss, Machine, Shown
from plait_graph._run.tokens import OpenJoin, Region, Task


class Settling(Machine):
    """The state of one run, with what brings it to rest."""

    def settle(self, task: Task | None) -> None:
        """Bring everything to rest: all moves, then the token that caused them, then what that made possible."""
        if self.moves:
            self._move_all()
        if self.watched:
            self.show()
            if self.shown and self.shown[-1].holder is task:
                task = None  # it stays until it is known what becomes of it
        if task is not None:
            self.counts.remove(task.region, task.node.arriving, task.index)
        while self.outcome is None and self._see_to_next():
            pass
        if not self.root.present and self.outcome is None:
            self.note_empty(self.root)

    def _see_to_next(self) -> bool:
        """Do the next thing that what happened has made possible; tells whether there was one."""
        if self.losses:
            first, *self.losses = self.losses
            self._lose(first)
            return True
        return self.counts.has_agenda and self._see_to_agenda(self.counts.agenda)

    def _see_to_agenda(self, agenda: Agenda) -> bool:
        if agenda.emptied:  # before all else: what lies around an empty subgraph has failed with it
            self.note_empty(agenda.emptied.pop(0))  # graphs within others come first
        elif agenda.settled:
            self._note_settled(*agenda.settled.pop())
        elif agenda.outlived:
            self._forget_deadlines(agenda.outlived.pop())
        elif agenda.thirsty:
            self._feed(agenda.thirsty.popleft())
        elif agenda.due:
            self._fire(agenda.due.popleft())
        else:
            return False
        return True

    def _move_all(self) -> None:
        moves = self.moves
        while moves:
            routing.act(self, *moves.popleft())

    def show(self) -> None:
        """Show the tasks that a node led to, if somebody watches."""
        if self.watched and (self.led or self.led_nowhere):
            self.shown.append(Shown(self.led))
            self.led, self.led_nowhere = [], False

    def _lose(self, loss: Loss) -> None:
        task = loss.task
        if self.was_cancelled(task):
            branches.drop(self, loss)
            return
        self.leave_members(task.region, task)
        if not branches.lose(self, loss):
            self.give_up(task, loss.error)
            return
        self._move_all()
        self.show()
        self.counts.remove(task.region, task.cls, task.index)

    def _fire(self, join: OpenJoin) -> None:
        if joins.fire(self, join):
            self._move_all()
            self.show()
            joins.retire(self, join)

    def _note_settled(self, region: Region, index: int) -> None:
        """A thread has nothing left: what waited for it can be folded, and its place is free."""
        if self.plan.tracks_threads:
            joins.fold_in_order(self, region)
        sources.want_item(self, region)

    def _forget_deadlines(self, region: Region) -> None:
        """Stop the deadlines of joins that wait for a run in which no token is left."""
        if region.timers and not region.present:
            for timer in region.timers.values():
                self.stop_timer(timer)
            region.timers = None

    def note_empty(self, region: Region) -> None:
        """No token is left in a whole graph."""
        if region.present or region.closed or any(shown.end or shown.error for shown in self.shown):
            return
        if region.parent is None:
            self.stall('')
            return
        region.closed = True
        error = self.no_result(f' in subgraph {region.node.id!r}')
        self.fail_at(region.node, region.parent, region.index, region.visit, error, 'subgraph')

    # Maps

    def _feed(self, region: Region) -> None:
        """Pull items for a map as long as it has places for them."""
        source = region.source
        if source is None:
            return
        self.cause = region.cause
        agenda = self.counts.agenda
        while source.has_room and self.outcome is None and not (self.losses or agenda.settled or agenda.emptied):
            item = sources.pull(self, region)
            if item is EXHAUSTED:
                self.exhaust(region)
            elif item is FAILED:
                sources.close_source(self, region)
            else:
                self.deliver(region, item)
        self._move_all()
        self.show()
        source.requested = source.has_room and self.outcome is None
        if source.requested:  # what came of an item has to be seen to before the next one is pulled
            agenda.thirsty.appendleft(region)

    def deliver(self, region: Region, item: Any) -> None:
        """Let an item of a map go on; its place is kept until it has come to rest."""
        source = region.source
        if source is None:
            return
        index = source.pulled
        source.pulled += 1
        node = region.node
        self.counts.place(region, node.leaving, index)
        self.go_on(node, item, region, index, region.visit)
        self._move_all()
        self.counts.remove(region, node.leaving, index)
        settled = self.counts.agenda.settled
        if settled and settled[-1] == (region, index):
            settled.pop()
            if self.plan.tracks_threads:
                joins.fold_in_order(self, region)

    def exhaust(self, region: Region) -> None:
        """A map has had its last item."""
        if region.source is not None and not region.source.pulled:
            routing.finish_empty(self, region.node, region)
            self._move_all()
        sources.close_source(self, region)
        joins.note_total(self, region)
