"""Bodies that are not simply awaited: in threads, in processes, behind a cache, with a permit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, Any

import anyio

from plait_graph._calls import call_plain
from plait_graph._run.crew import CANCELLED
from plait_graph._run.isolation import as_coroutine
from plait_graph._run.ledger import HeldView
from plait_graph._run.machine import writer_of
from plait_graph._run.tokens import Task
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.executors import Envelope, Executor, Outcome, TaskInfo
from plait_graph.policies import StepPolicy
from plait_graph.step import AnyStep, StepContext, make_context

if TYPE_CHECKING:
    from plait_graph._run.driver import Driver
    from plait_graph.cache import Cache

AnyContext = StepContext[Any, Any, Any]


class Bodies:
    """Calls the steps of one run, each in the way that its kind and its policy ask for."""

    def __init__(self, driver: Driver):
        self._driver = driver

    async def do_by_policy(self, task: Task, step: AnyStep, policy: StepPolicy, context: AnyContext) -> None:
        """Run the body of a step with a policy, or ask its cache first, and report what came of it."""
        driver, cache = self._driver, policy.cache
        if cache is not None and driver.scheduler.is_looking_up(task):
            look = self._look_up(cache, task)
            found = await driver.crew.run_body(task, driver.new_context(), look)
            if found is not CANCELLED:
                driver.scheduler.looked_up(task, found)
            return
        try:
            value = await self.call(task, step, context)
            if cache is not None and value is not CANCELLED and driver.scheduler.is_wanted(task):
                kept = await driver.crew.run_body(task, driver.new_context(), self._keep(cache, task, value))
                value = CANCELLED if kept is CANCELLED else value
        finally:
            driver.give_back_permit(task)
        if value is CANCELLED:
            driver.scheduler.stopped(task)
        else:
            driver.scheduler.finish(task, value)

    async def _look_up(self, cache: Cache, task: Task) -> Any:
        """Ask a cache, by a key that is made once: bodies may change what it is made of."""
        step, env = task.node.node, task.region.env
        context = make_context(env.readable, env.deps, task.inputs, task, self._driver)
        key = cache.key_of(step.id, step.call, context)
        self._driver.scheduler.attempt(task).key = key
        return await cache.find(key)

    async def _keep(self, cache: Cache, task: Task, value: Any) -> None:
        key = self._driver.scheduler.attempt(task).key
        if key is not None:
            await cache.keep(key, value)

    async def call(self, task: Task, step: AnyStep, context: AnyContext) -> Any:
        """Run a body; gives its value, or `CANCELLED` if it ended because it was asked to."""
        driver = self._driver
        match step.kind:
            case 'stream':
                return self._stream(task, step.call(context))
            case 'async':
                return await driver.crew.run_body(task, driver.new_context(), driver.body_of(task, step, context))
            case 'process':
                return await driver.crew.run_body(task, driver.new_context(), self._elsewhere(task, step))
            case 'sync':
                return await self._in_thread(task, step, context)

    def _stream(self, task: Task, items: AsyncIterable[Any]) -> AsyncIterable[Any]:
        """The items of a stream. It works on while they flow, and so its copy of the state is not yet committed."""
        held = self._driver.scheduler.hand_over_view(task)
        return items if held is None else _committed_at_the_end(items, held, writer_of(task))

    async def _in_thread(self, task: Task, step: AnyStep, context: AnyContext) -> Any:
        """Call a plain function in a worker thread, and await on the loop what it gives if that can be awaited."""
        crew, own = self._driver.crew, self._driver.new_context()
        call: Any = crew.call_plain(task, lambda: own.run(call_plain, step, context), step.abandon)
        result = await (crew.run_body(task, self._driver.new_context(), call) if step.abandon else call)
        if result is CANCELLED:
            return CANCELLED
        (value,) = result
        if not inspect.isawaitable(value):
            return value
        body = as_coroutine(value)
        if not self._driver.scheduler.is_wanted(task):  # nobody could tell the thread
            body.close()
            return CANCELLED
        return await crew.run_body(task, own, body)

    async def _elsewhere(self, task: Task, step: AnyStep) -> Any:
        """Let an executor run a body, and take over what the body did to its state."""
        driver, env = self._driver, task.region.env
        key = driver.idempotency_key_of(task)
        info = TaskInfo(task.node.id, task.task_id, task.fork_stack, driver.attempt_of(task), key)
        held = driver.scheduler.views.get(task.id)
        parcel = None if held is None else held.keeper.pack(held.view)
        name = f'{key}/{info.task_id}@{info.attempt}'  # whoever iterates may put in two tasks at one place
        envelope = Envelope(name, step, info, task.inputs, env.state, env.deps, parcel)
        outcome = await self._outcome_of(envelope, task)
        if held is not None:
            held.changes = outcome.state_changes
        if outcome.kind == 'error' and outcome.error is not None:
            raise outcome.error
        if outcome.kind == 'cancelled':
            raise GraphRuntimeError(
                f'Step {task.node.id!r} was cancelled by its executor, and nobody had asked for that. '
                f'See whether the executor was left before the run had ended.'
            )
        return outcome.value

    async def _outcome_of(self, envelope: Envelope, task: Task) -> Outcome:
        """Wait for what comes of a body; if this is cancelled, so is the body, and its end is waited for."""
        executor = self._driver.executor
        final: list[Outcome] = []
        done = anyio.Event()

        def deliver(outcome: Outcome) -> None:
            if outcome.kind == 'started':
                self._driver.see_to(lambda: self._driver.scheduler.begun(task))
            elif outcome.kind == 'emitted':
                self._driver.emit_from(task, outcome.value)
            elif not final:  # it may come twice
                final.append(outcome)
                done.set()

        executor.submit([envelope], deliver)
        try:
            await done.wait()
        except BaseException:
            await _stop(executor, envelope.key, done)
            raise
        return final[0]


async def _committed_at_the_end(items: AsyncIterable[Any], held: HeldView, writer: str) -> AsyncGenerator[Any]:
    """The items of a stream; behind the last one what it did to the state is committed, and otherwise dropped."""
    iterator = aiter(items)
    try:
        async for item in iterator:
            yield item
        held.commit(writer)
    finally:
        held.drop()
        close = getattr(iterator, 'aclose', None)
        if close is not None:
            await close()


async def _stop(executor: Executor, key: str, done: anyio.Event) -> None:
    executor.cancel([key])
    with anyio.CancelScope(shield=True):
        while not done.is_set():
            try:
                await done.wait()
            except asyncio.CancelledError:
                continue  # cancelled again; the first one is raised when the body has ended
