"""What a step may ask about its task while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Task
from plait_graph.id_types import NodeID, TaskID

if TYPE_CHECKING:
    from plait_graph.budget import Budget


class Informant:
    """Answers for the tasks of one run."""

    scheduler: Scheduler
    budget: Budget | None = None
    """What the run may spend."""
    _run_id: str | None = None

    @property
    def run_id(self) -> str:
        """The id of the run; made when it is first asked for."""
        if self._run_id is None:
            import uuid

            self._run_id = uuid.uuid4().hex
        return self._run_id

    def budget_of(self, task: Task) -> Budget:
        """The run's budget; one without bounds if none was given."""
        if self.budget is None:
            from plait_graph.budget import Budget

            self.budget = Budget()
        return self.budget

    def node_id_of(self, task: Task) -> NodeID:
        return task.node.id

    def task_id_of(self, task: Task) -> TaskID:
        return task.task_id

    def attempt_of(self, task: Task) -> int:
        return self.scheduler.attempt_number(task)

    def failure_of(self, task: Task) -> BaseException | None:
        attempt = self.scheduler.attempts.get(task.id)
        return None if attempt is None else attempt.cause

    def idempotency_key_of(self, task: Task) -> str:
        forks: list[str] = []
        region, index = task.region, task.index
        while region.parent is not None:
            forks.append(f'{region.node.id}#{region.visit}[{index}]')
            region, index = region.parent, region.index
        return '/'.join((self.run_id, *reversed(forks), f'{task.node.id}#{task.visit}'))
