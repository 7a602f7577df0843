"""What can be said about one run, whichever way it is started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from plait_graph._clock import Clock
from plait_graph.policies import Duration

if TYPE_CHECKING:
    from plait_graph import events
    from plait_graph.budget import Budget
    from plait_graph.executors import Executor
    from plait_graph.explain import EventLog

__all__ = 'Clock', 'IterOptions', 'RunOptions'

ErrorMode: TypeAlias = Literal['group', 'first']


class IterOptions(TypedDict, total=False):
    """The options of `Graph.iter`."""

    span: AbstractContextManager[Any] | None
    """A context manager that is entered around the run."""
    infer_name: bool
    """Whether a graph without a name takes that of the caller's variable; it does unless told otherwise."""
    on_event: Callable[[events.RunEvent], None] | None
    """Is called with each event of the run, on the event loop, and should be quick."""
    log: EventLog | None
    """Records the events of the run, for `run.why`, `run.statistics` and whatever else can be asked of it."""
    max_concurrency: int | None
    """How many step bodies may run at once; `None` for all that are ready."""
    run_id: str | None
    """An id of your own for the run; it goes into idempotency keys."""
    deadline: Duration | None
    """How long the whole run may take; a number means seconds. It then fails with `RunTimeout`."""
    budget: Budget | None
    """What the run may spend; steps have it as `ctx.budget`. Its time is a deadline as well."""
    executor: Executor | None
    """Where the bodies of steps with `worker='process'` run; a pool of processes if nothing else is said."""
    clock: Clock | None
    """What keeps the run's retries, time-outs and deadlines; the event loop, if nothing else is said."""
    debug: bool | float
    """Whether steps that block the event loop are reported; a number is for how many seconds they may."""


class RunOptions(IterOptions, total=False):
    """The options of `Graph.run` and `Graph.run_sync`."""

    errors: ErrorMode
    """What is raised if several steps fail: a `'group'` of all their exceptions, which is the default, or the `'first'`
    one with notes of the others."""
