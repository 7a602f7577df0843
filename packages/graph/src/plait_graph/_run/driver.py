"""The driver: the one place that awaits.

It runs step bodies, tells the scheduler what came of them, and carries out the answers. As long as one task alone is
under way its body is awaited in place. Otherwise bodies go to workers, which take the oldest task that is ready when
they have finished one; new workers are started by those that start to work, so that their number doubles while bodies
wait for something, and stays small while they do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from contextvars import Context, copy_context
from threading import get_ident
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import anyio

from plait_graph import events
from plait_graph._calls import cancelled_from_within
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
from plait_graph._run.crew import CANCELLED, AnyioCrew, AsyncioCrew, make_crew
from plait_graph._run.failures import raise_failures
from plait_graph._run.informant import Informant
from plait_graph._run.isolation import as_coroutine, resume
from plait_graph._run.outcomes import Ended
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Task
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.run_options import ErrorMode
from plait_graph.step import AnyStep, StepContext, make_context

if TYPE_CHECKING:  # imported by the runs that need them
    from plait_graph._clock import Clock
    from plait_graph._run.bodies import Bodies
    from plait_graph._run.reading import Reading
    from plait_graph._run.surroundings import Surroundings
    from plait_graph._run.waiting import Waiting
    from plait_graph.executors import Executor

_COROUTINE: Any = CoroutineType


class Driver(Informant):
    """Runs one scheduler to its end."""

    _context: Context
    """Whose context variables the bodies see that do not run in place."""
    _thread: int
    """The thread that has the event loop."""
    _crew: AsyncioCrew | AnyioCrew | None = None
    _active: int = 0
    """Workers and readers that have not ended."""
    _unstarted: int = 0
    """Workers that have been started and have not begun yet."""
    _reading: Reading | None = None
    _bodies: Bodies | None = None
    _waiting: Waiting | None = None
    takes_short_road: bool = True
    """Whether a body that is alone is awaited in place; not if somebody is to see every body."""
    surroundings: Surroundings | None = None
    clock: Clock | None = None
    """What keeps timers, if it is not the event loop."""
    own_crew: Callable[[], AsyncioCrew | AnyioCrew] | None = None
    """Makes the crew, if it is not the one for the event loop; it is then given every body."""

    def __init__(
        self,
        scheduler: Scheduler,
        listener: Callable[[events.RunEvent], None] | None = None,
        run_id: str | None = None,
    ):
        self.scheduler = scheduler
        self.listener: Callable[[events.RunEvent], None] | None = listener
        self._run_id = run_id

    # The short road

    async def run(self, inputs: Any, errors: ErrorMode = 'group') -> Any:
        """Run to the end and give the value.

        If the caller is cancelled, all bodies are, and their clean-up is waited for.
        """
        scheduler = self.scheduler
        self._thread = get_ident()
        scheduler.begin(inputs)
        if self.takes_short_road:
            await self._run_alone()
        if scheduler.outcome is None:
            await self._run_together()
        outcome = scheduler.outcome
        if isinstance(outcome, Ended):
            return outcome.value
        return raise_failures(scheduler.errors, errors)

    async def _run_alone(self) -> None:
        """Await bodies in place as long as there is one task and no more."""
        scheduler = self.scheduler
        task = scheduler.take_alone()
        while task is not None:
            env, context = task.region.env, copy_context()
            try:
                state = env.state if env.isolated is None else self.state_of(task)
                body: Any = task.node.node.call(make_context(state, env.deps, task.inputs, task, self))
                if type(body) is not _COROUTINE:
                    body = as_coroutine(body)
                try:
                    waiting_for = context.run(body.send, None)
                except StopIteration as stop:
                    value = stop.value
                else:
                    value = await resume(context, body, waiting_for)
            except Exception as error:  # noqa: BLE001 # the user's own, handed on
                scheduler.fail(task, error)
                return
            except BaseException as error:
                if not _is_spontaneous(error):
                    raise
                scheduler.fail(task, cancelled_from_within(task.node.id, error))
                return
            task = scheduler.proceed(task, value)
            if task is None:
                task = scheduler.take_alone()
            elif task.node.node.kind != 'async':
                scheduler.give_back(task)
                return

    # Workers

    async def _run_together(self) -> None:
        """Let workers do what there is to do, and wait for them."""
        self._context = copy_context()
        async with (self.own_crew or make_crew)() as crew:
            self._crew = crew
            async with self.surroundings or nullcontext():
                await self._see_to_the_end()

    async def _see_to_the_end(self) -> None:
        try:
            await self.wait_idle()
        except GeneratorExit:  # closed by hand, without a loop that could be waited for
            raise
        except BaseException:
            await self.stop()
            raise
        finally:
            self._close()

    def _close(self) -> None:
        """Expect nothing more of clocks and limits."""
        if self._waiting is not None:
            self._waiting.close()

    async def _work(self) -> None:
        """Do one task after the other, until none is ready."""
        self._unstarted -= 1
        scheduler = self.scheduler
        is_first = True
        try:
            while (task := scheduler.take() or self._take_after_asking()) is not None:
                if scheduler.commands:
                    self._carry_out()
                if scheduler.ready and (is_first or not self._unstarted):
                    self._recruit(2)
                is_first = False
                await self._do(task)
                if scheduler.commands:
                    self._carry_out()
                if scheduler.shown:
                    self.notify()
        except BaseException as error:
            if self.crew.is_outer(error):
                raise
            self._crash(error)
        finally:
            self.end_activity()

    def _take_after_asking(self) -> Task | None:
        """The next task, once limits have been asked that tasks wait for."""
        task = None
        while task is None and self.scheduler.commands:
            self._carry_out()
            task = self.scheduler.take()
        return task

    def _crash(self, error: BaseException) -> None:
        """End the run by what came out of a listener, or of a function on an edge that asks to stop the program."""
        self.listener = None  # it has failed, or is not to be told half of what happened
        self.scheduler.crash(error)
        self._carry_out()
        self.notify()

    async def _do(self, task: Task) -> None:
        """Run the body of a task and report what came of it."""
        scheduler, crew = self.scheduler, self.crew
        step = task.node.node
        env = task.region.env
        try:
            state = env.state if env.isolated is None else self.state_of(task)
            context = make_context(state, env.deps, task.inputs, task, self)
            if step.policy is not None:
                await self.bodies.do_by_policy(task, step, step.policy, context)
                return
            if step.kind == 'async':
                value = await crew.run_body(task, self._context.copy(), self.body_of(task, step, context))
            else:
                value = await self.bodies.call(task, step, context)
        except BaseException as error:
            if crew.is_outer(error):
                raise
            if isinstance(error, asyncio.CancelledError):
                error = cancelled_from_within(task.node.id, error)
            scheduler.fail(task, error)
        else:
            if value is not CANCELLED:
                scheduler.finish(task, value)

    def state_of(self, task: Task) -> Any:
        """A task's own copy of the state."""
        return self.scheduler.views[task.id].view.state

    def body_of(self, task: Task, step: AnyStep, context: StepContext[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """The body of an asynchronous step."""
        body = as_coroutine(step.call(context))
        return body if self.surroundings is None else self.surroundings.watched(task, body)

    def new_context(self) -> Context:
        """A context for a body: what it does to context variables is seen by no other one."""
        return self._context.copy()

    @property
    def bodies(self) -> Bodies:
        if self._bodies is None:
            from plait_graph._run.bodies import Bodies

            self._bodies = Bodies(self)
        return self._bodies

    @property
    def executor(self) -> Executor:
        """Where bodies run that do not run here."""
        if self.surroundings is None:
            raise GraphRuntimeError('The run was made without an executor. Start it with graph.run or graph.iter.')
        return self.surroundings.executor

    def _recruit(self, most: int) -> None:
        """Start workers for tasks that are ready and have none to come."""
        count = min(most, self.scheduler.startable()) - self._unstarted
        for _ in range(count):
            self._unstarted += 1
            self.start(self._work)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task of the event loop, which is to call `end_activity` at last."""
        self._active += 1
        self.crew.start(work)

    def end_activity(self) -> None:
        """Note that a task has ended that was started."""
        self._active -= 1
        if not self._active:
            self.notify()

    def _carry_out(self) -> None:
        """Do what the scheduler asks for."""
        commands = self.scheduler.commands
        while commands:
            self._carry_out_one(commands.pop(0))
        if self.scheduler.ready and not self._unstarted:
            self._recruit(2)

    def _carry_out_one(self, command: Command) -> None:
        match command:
            case CancelTask():
                self.crew.cancel(command.task)
            case PullItem():
                self._get_reading().pull(command.region)
            case CloseSource():
                self.crew.cancel(command.region)
            case StartTimer():
                self._get_waiting().start(command.timer)
            case StopTimer():
                self._get_waiting().stop(command.timer)
            case AskPermit():
                self._get_waiting().permits.ask(command)
            case ReturnPermit():
                self._get_waiting().permits.withdraw(command.task)

    # Time and limits

    def see_to(self, event: Callable[[], None]) -> None:
        """Tell the scheduler of something that no worker did, and do what follows."""

        def tell() -> None:
            event()
            self.follow_up()

        self.guarded(tell)
        self.notify()

    def _get_reading(self) -> Reading:
        if self._reading is None:
            from plait_graph._run.reading import Reading

            self._reading = Reading(self)
        return self._reading

    def _get_waiting(self) -> Waiting:
        if self._waiting is None:
            from plait_graph._run.waiting import Waiting

            self._waiting = Waiting(self)
        return self._waiting

    @property
    def _is_waiting(self) -> bool:
        """Whether time or a limit will let something go on."""
        return self._waiting is not None and self.scheduler.outcome is None and self._waiting.is_waiting

    def give_back_permit(self, task: Task) -> None:
        """Let others have the permit of a task whose body has ended."""
        if self._waiting is not None:
            self._waiting.permits.release(task)

    def guarded(self, report: Callable[[], None]) -> None:
        """Tell the scheduler of something; what a listener raises then ends the run."""
        try:
            report()
        except BaseException as error:  # noqa: BLE001 # raised where the run is awaited
            self._crash(error)

    def follow_up(self) -> None:
        """See to what an event led to that no worker has told of."""
        if self.scheduler.commands:
            self._carry_out()
        if self.scheduler.ready:
            self._recruit(2)
        if self.scheduler.shown:
            self.notify()

    # A run that is watched

    @property
    def crew(self) -> AsyncioCrew | AnyioCrew:
        if self._crew is None:
            raise GraphRuntimeError('The run has not been entered. Use it inside of `async with graph.iter(...)`.')
        return self._crew

    async def enter(self) -> None:
        """Be ready to start workers."""
        self._thread, self._context = get_ident(), copy_context()
        self._crew = await (self.own_crew or make_crew)().__aenter__()
        try:
            if self.surroundings is not None:
                await self.surroundings.__aenter__()
        except BaseException:
            await self.crew.__aexit__(None, None, None)
            raise

    async def wait_shown(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Work until there is something to show, or the run has its outcome, or the caller has had enough."""
        scheduler = self.scheduler
        self._carry_out()
        self._recruit(2)
        while not scheduler.shown and scheduler.outcome is None and not is_enough():
            if not self._active and not scheduler.ready and not self._is_waiting:
                scheduler.stall('')
                return
            await self.crew.wait()

    async def wait_idle(self) -> None:
        """Work until every worker has ended."""
        self._carry_out()
        self._recruit(2)
        while self._active or self._is_waiting:
            await self.crew.wait()

    async def stop(self) -> None:
        """Cancel all bodies and wait for their clean-up, whatever happens to the caller meanwhile."""
        self.scheduler.cancel()
        self._carry_out()
        with anyio.CancelScope(shield=True):
            while self._active:
                try:
                    await self.crew.wait()
                except asyncio.CancelledError:
                    continue  # cancelled again; the first one is raised when the bodies have ended

    async def leave(self) -> None:
        """Stop, and give up the event loop."""
        await self.stop()
        self._close()
        try:
            if self.surroundings is not None:
                await self.surroundings.__aexit__(None, None, None)
        finally:  # also if the caller is cancelled meanwhile: what was entered is left, the inner one first
            await self.crew.__aexit__(None, None, None)

    def wake_from_thread(self, function: Callable[[], None]) -> None:
        """Call a function on the event loop and wake the one who waits; from any thread."""

        def call() -> None:
            function()
            self.notify()

        if get_ident() == self._thread:
            call()
        else:
            self.crew.notify_from_thread(call)

    def notify(self) -> None:
        """Wake the one who waits."""
        if self._crew is not None:
            self._crew.notify()

    # Events of steps

    def tell(self, event: events.RunEvent) -> None:
        """Tell whoever listens of an event that the scheduler knows nothing of."""
        if self.listener is not None:
            self.listener(event)

    def emit_from(self, task: Task, event: object) -> None:
        """Tell of an event that a body emitted, from whatever thread."""
        if self.listener is None and task.node.policy is None:
            return
        if get_ident() == self._thread:
            self._note_emitted(task, event)
        else:
            self.crew.notify_from_thread(lambda: self.guarded(lambda: self._note_emitted(task, event)))

    def _note_emitted(self, task: Task, event: object) -> None:
        if task.node.policy is not None:
            self.scheduler.emitted(task)
            self._carry_out()
        if self.listener is not None:
            self.listener(events.Emitted(task.node.id, task.task_id, task.fork_stack, event))


def _is_spontaneous(error: BaseException) -> bool:
    """Whether a cancellation came from within the body: nobody has cancelled the task that it runs in."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
