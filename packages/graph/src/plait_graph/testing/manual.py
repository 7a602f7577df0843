"""A run without an event loop: the test says which step finishes next, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from plait_graph._clock import Cancellable
from plait_graph._run.commands import (
    AskPermit,
    CancelTask,
    CloseSource,
    Command,
    PullItem,
    ReturnPermit,
    StartTimer,
    StopTimer,
)
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.failures import raise_failures
from plait_graph._run.launch import make_environment
from plait_graph._run.outcomes import Ended
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Region, Task, Timer
from plait_graph._typevars import Deps, Input, Output, State
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.graph import Graph
from plait_graph.testing._places import items_of
from plait_graph.testing.clock import TestClock
from plait_graph.testing.recording import RecordedEvents

__all__ = 'ManualRun', 'ManualTask'


@dataclass(frozen=True)
class ManualTask:
    """A step that runs in a `ManualRun`, as far as the test is concerned."""

    step: str
    """The id of the step."""
    items: tuple[int, ...]
    """Its positions in the maps that it is in, outermost first."""
    inputs: Any
    """What it was given."""
    _task: Task = field(repr=False)

    def __repr__(self) -> str:
        return f'{self.step}{"".join(f"[{item}]" for item in self.items)}({self.inputs!r})'


class ManualRun(Generic[State, Output]):
    """A run of a graph whose bodies are the test's words.

    No body is called and nothing is awaited: the test says that a step finished or failed, and looks at what runs then.
    Functions on edges, such as transforms and reducers, are the real ones. Time passes when the test says so, caches
    are empty, and limits by name let everything go on.

    Args:
        graph: The graph.
        inputs: The inputs.
        state: The state.
        deps: The dependencies.
        max_concurrency: How many steps may run at once; the others are in `ready`.
    """

    def __init__(
        self,
        graph: Graph[State, Deps, Input, Output],
        *,
        inputs: Input | None = None,
        state: State | None = None,
        deps: Deps | None = None,
        max_concurrency: int | None = None,
    ):
        self.state = state
        self.events = RecordedEvents()
        """What happened so far."""
        self.cancelled: list[ManualTask] = []
        """Steps that were cancelled while they ran."""
        self._wanted: list[Region] = []
        self._clock = TestClock()
        self._timers: dict[int, Cancellable] = {}
        env = make_environment(graph.plan, state, deps, graph.state_type)
        self._scheduler = Scheduler(graph.plan, Evaluator(), env, listener=self.events)
        self._scheduler.max_concurrency = max_concurrency
        self._scheduler.begin(inputs)
        self._carry_out()

    # Looking

    @property
    def running(self) -> list[ManualTask]:
        """The steps that run, oldest first."""
        return [_shown(task) for task in self._scheduler.running.values()]

    @property
    def ready(self) -> list[ManualTask]:
        """The steps that wait until fewer run; there are some only under a `max_concurrency`."""
        waiting = [
            task for task in self._scheduler.ready if isinstance(task, Task)
        ]  # in batches only if nobody listens
        return [_shown(task) for task in waiting if task.id not in self._scheduler.cancelled]

    @property
    def wanted(self) -> list[str]:
        """The maps that wait for the next item of an asynchronous source; see `give` and `exhaust`."""
        return [region.node.id for region in self._wanted]

    @property
    def is_over(self) -> bool:
        """Whether the run has ended or failed."""
        return self._scheduler.outcome is not None

    @property
    def output(self) -> Output:
        """The output of the run.

        Raises:
            Exception: What the run failed with, as `Graph.run` would raise it.
            GraphRuntimeError: The run is not over.
        """
        outcome = self._scheduler.outcome
        if outcome is None:
            raise GraphRuntimeError(f'The run is not over. What runs: {self.running}. Finish that first.')
        if not isinstance(outcome, Ended):
            raise_failures(outcome.errors, 'group')
        return outcome.value

    def __repr__(self) -> str:
        outcome = self._scheduler.outcome
        return f'<ManualRun, {f"running {self.running}" if outcome is None else type(outcome).__name__.lower()}>'

    # Saying what happens

    def finish(self, step: str | ManualTask, value: Any = None, *, item: int | tuple[int, ...] | None = None) -> None:
        """A step gives a value.

        Args:
            step: Its id; or one of `running`, if neither id nor item tells it from another one.
            value: What it gives. A stream gives its items as a list.
            item: Its position in the map that it is in; a tuple for maps in maps.

        Raises:
            GraphRuntimeError: No such step runs, or several do.
        """
        self._scheduler.finish(self._find(step, item), value)
        self._carry_out()

    def fail(self, step: str | ManualTask, error: BaseException, *, item: int | tuple[int, ...] | None = None) -> None:
        """A step raises; see `finish`."""
        self._scheduler.fail(self._find(step, item), error)
        self._carry_out()

    def give(self, map_id: str, item: Any) -> None:
        """The asynchronous source of a map gives its next item.

        Raises:
            GraphRuntimeError: The map does not wait for one.
        """
        self._scheduler.pulled(self._take_wanted(map_id), item)
        self._carry_out()

    def exhaust(self, map_id: str) -> None:
        """The asynchronous source of a map has no more items; see `give`."""
        self._scheduler.exhausted(self._take_wanted(map_id))
        self._carry_out()

    def advance(self, seconds: float) -> None:
        """Let time pass: retries, time-outs and deadlines that become due happen, each at its own time."""
        self._clock.advance(seconds)

    # Within

    def _carry_out(self) -> None:
        """Do what a driver does: what the scheduler asks for, and start what can start."""
        scheduler = self._scheduler
        task = None
        while scheduler.commands or (task := scheduler.take()) is not None:
            if task is not None and scheduler.is_looking_up(task):
                scheduler.looked_up(task, None)
            elif task is not None:
                scheduler.begun(task)
            while scheduler.commands:
                self._carry_out_one(scheduler.commands.pop(0))

    def _carry_out_one(self, command: Command) -> None:
        match command:
            case CancelTask(task=task):
                self.cancelled.append(_shown(task))
                self._scheduler.stopped(task)
            case PullItem():
                self._wanted.append(command.region)
            case CloseSource():
                self._wanted = [region for region in self._wanted if region is not command.region]
            case StartTimer(timer=timer):
                self._timers[timer.id] = self._clock.call_later(timer.seconds, lambda: self._expire(timer))
            case StopTimer(timer=timer):
                self._timers.pop(timer.id).cancel()
            case AskPermit():
                self._scheduler.permitted(command.name)
            case ReturnPermit():
                pass

    def _expire(self, timer: Timer) -> None:
        del self._timers[timer.id]
        self._scheduler.expired(timer)
        self._carry_out()

    def _find(self, step: str | ManualTask, item: int | tuple[int, ...] | None) -> Task:
        if isinstance(step, ManualTask):
            found = [task for task in self.running if task._task is step._task]  # pyright: ignore[reportPrivateUsage]
        else:
            found = [task for task in self.running if task.step == step and _is_item(task, item)]
        if len(found) == 1:
            return found[0]._task  # pyright: ignore[reportPrivateUsage] # same room
        what = repr(step) if item is None else f'{step!r} at item {item}'
        if not found:
            raise GraphRuntimeError(f'{what} does not run. What runs: {self.running}.')
        raise GraphRuntimeError(
            f'{what} runs {len(found)} times: {found}. Say which with item=, or give one of `running`.'
        )

    def _take_wanted(self, map_id: str) -> Region:
        for region in self._wanted:
            if region.node.id == map_id:
                self._wanted.remove(region)
                return region
        raise GraphRuntimeError(f'Map {map_id!r} does not wait for an item. Those that do: {self.wanted}.')


def _shown(task: Task) -> ManualTask:
    return ManualTask(task.node.id, items_of(task), task.inputs, task)


def _is_item(task: ManualTask, item: int | tuple[int, ...] | None) -> bool:
    """Whether a task is at an item: a number is the position in the innermost map."""
    if item is None:
        return True
    wanted: Sequence[int] = item if isinstance(item, tuple) else (item,)
    return task.items[-len(wanted) :] == tuple(wanted)
