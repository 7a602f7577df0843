"""The permits that the bodies of one run hold, and the tickets that wait for one.

Stands between a scheduler, which only says who may go on next, and limits that many runs share.
"""

from __future__ import annotations

from collections.abc import Callable

from plait_graph._clock import Cancellable
from plait_graph._run.commands import AskPermit
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Task
from plait_graph.limits import Limit, Ticket, WeighedLimit


class Permits:
    """Asks limits for a run.

    Args:
        scheduler: The run's.
        on_loop: Calls a function on the run's event loop, from any thread, and sees to what follows.
        call_later: Calls a function on the event loop when a time is up.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        on_loop: Callable[[Callable[[], None]], None],
        call_later: Callable[[float, Callable[[], None]], Cancellable],
    ):
        self._scheduler = scheduler
        self._on_loop = on_loop
        self._call_later = call_later
        self._held: dict[int, Ticket] = {}
        self._waiting: dict[str, Ticket] = {}
        self._polls: dict[str, Cancellable] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether something will go on when a limit lets it."""
        return bool(self._waiting)

    def ask(self, command: AskPermit) -> None:
        """Get a permit for the task that waits for a limit, or a place in the limit's queue."""
        name = command.name
        try:
            limit = _limit_of(command.limit)
            ticket = limit.ask(command.weight, lambda: self._on_loop(lambda: self._look_again(name, limit)))
        except Exception as error:  # noqa: BLE001 # an unknown name, a weight that never fits
            self._scheduler.refused(name, error)
            return
        if ticket.is_granted:
            self._use(name, ticket)
            return
        self._waiting[name] = ticket
        self._look_again(name, limit)

    def _use(self, name: str, ticket: Ticket) -> None:
        task = self._scheduler.permitted(name)
        if task is None:
            ticket.withdraw()
        else:
            self._held[task.id] = ticket

    def _look_again(self, name: str, limit: Limit) -> None:
        """Go on with what a limit grants, or look again when time alone may have brought that about."""
        self._stop_polling(name)
        ticket = self._waiting.get(name)
        if ticket is None:
            return
        if ticket.is_granted:
            del self._waiting[name]
            self._use(name, ticket)
            return
        delay = ticket.delay()
        if delay is not None:
            self._polls[name] = self._call_later(delay, lambda: self._poll(name, limit))

    def _poll(self, name: str, limit: Limit) -> None:
        limit.poll()
        self._on_loop(lambda: self._look_again(name, limit))

    def _stop_polling(self, name: str) -> None:
        timer = self._polls.pop(name, None)
        if timer is not None:
            timer.cancel()

    def release(self, task: Task) -> None:
        """Give a permit back whose body has ended."""
        ticket = self._held.pop(task.id, None)
        if ticket is not None:
            ticket.release()

    def withdraw(self, task: Task) -> None:
        """Give a permit back that no body has used."""
        ticket = self._held.pop(task.id, None)
        if ticket is not None:
            ticket.withdraw()

    def close(self) -> None:
        """Wait for nothing any more."""
        for name in list(self._polls):
            self._stop_polling(name)
        waiting, self._waiting = self._waiting, {}
        held, self._held = self._held, {}
        for ticket in (*waiting.values(), *held.values()):
            ticket.withdraw()


def _limit_of(said: Limit | WeighedLimit | str) -> Limit:
    if isinstance(said, str):
        return Limit.named(said)
    return said.limit if isinstance(said, WeighedLimit) else said
