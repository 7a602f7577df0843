"""What every executor must do, as tests that any executor can be put through.

Derive a class from a suite in a test module, and say how an executor is made:

    class TestMyExecutor(ExecutorSuite):
        def make(self) -> Executor:
            return MyExecutor(places=2)

The tests are asynchronous: they need anyio's pytest plugin in its auto mode, or `pytest.mark.anyio` on the class. An
executor whose bodies leave the process takes `DistantExecutorSuite`, which asks for more.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream

from plait_graph.exceptions import GraphRuntimeError
from plait_graph.executors import Envelope, Executor, Outcome, TaskInfo
from plait_graph.id_types import NodeID, TaskID
from plait_graph.step import AnyStep, Step, StepContext

__all__ = 'Collector', 'DistantExecutorSuite', 'ExecutorSuite', 'Post', 'double', 'envelope', 'hold', 'hold_thread'

Context = StepContext[Any, Any, Any]


# The client


class Collector:
    """Takes what an executor tells, as a run does: of several final outcomes under one key the first one counts."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.events: dict[str, list[Any]] = {}
        self._news = anyio.Event()

    def __call__(self, outcome: Outcome) -> None:
        """Take an outcome; this is what is given to an executor as `deliver`."""
        if outcome.kind == 'started':
            self.started.append(outcome.key)
        elif outcome.kind == 'emitted':
            self.events.setdefault(outcome.key, []).append(outcome.value)
        else:
            self.outcomes.setdefault(outcome.key, outcome)
        self._news.set()

    async def wait(self, key: str) -> Outcome:
        """Wait for the final outcome of a body."""
        await self._wait_until(lambda: key in self.outcomes)
        return self.outcomes[key]

    async def wait_event(self, key: str) -> Any:
        """Wait for the first event that a body emits."""
        await self._wait_until(lambda: key in self.events)
        return self.events[key][0]

    async def _wait_until(self, is_there: Callable[[], bool]) -> None:
        while not is_there():
            await self._news.wait()
            self._news = anyio.Event()


def envelope(key: str, body: Callable[[Context], Any] | AnyStep, inputs: Any = None, **parts: Any) -> Envelope:
    """A body to run, at the node `body`."""
    step: AnyStep = cast('AnyStep', body) if isinstance(body, Step) else Step('body', body)
    task = TaskInfo(NodeID('body'), TaskID('task:7'), (), attempt=2, idempotency_key='run/body#1')
    return Envelope(key, step, task, inputs, **parts)


class Post:
    """Where bodies that are held report: when they begin, and, by hanging up, when they end."""

    async def __aenter__(self) -> Post:
        """Be there for reports, at a port of its own."""
        self.lines: list[Line] = []
        self._listeners = await anyio.create_tcp_listener(local_host='127.0.0.1')
        self.port: int = self._listeners.extra(SocketAttribute.local_port)
        return self

    async def __aexit__(self, *_: object) -> None:
        for line in self.lines:
            await line.hang_up()
        await self._listeners.aclose()

    async def wait_begun(self) -> Line:
        """Wait until a body has begun."""
        listener = cast('SocketListener', self._listeners.listeners[0])  # what listens to one port
        line = Line(await listener.accept())
        self.lines.append(line)
        await line.wait_begun()
        return line


class Line:
    """The line to a body that is held."""

    def __init__(self, stream: SocketStream):
        self._stream = stream

    async def wait_begun(self) -> None:
        """Wait for the body's report."""
        await self._stream.receive(1)

    async def release(self) -> None:
        """Let the body go on."""
        await self._stream.send(b'!')

    async def wait_ended(self) -> None:
        """Wait until the body has ended, in whatever way."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await self._stream.receive()

    async def hang_up(self) -> None:
        """Give up the line, which releases the body too."""
        await self._stream.aclose()


# Bodies


async def hold(ctx: Context) -> str:
    """Report to a port, and wait until it is released."""
    async with await anyio.connect_tcp('127.0.0.1', ctx.inputs) as line:
        await line.send(b'!')
        await line.receive(1)
    return 'released'


def hold_thread(ctx: Context) -> str:
    """The same as a plain function, which cannot be cancelled within its thread."""
    with socket.create_connection(('127.0.0.1', ctx.inputs)) as line:
        line.sendall(b'!')
        line.recv(1)
    return 'released'


def double(ctx: Context) -> int:
    """Give twice the input."""
    return ctx.inputs * 2


async def double_async(ctx: Context) -> int:
    """Give twice the input, as a coroutine."""
    return ctx.inputs * 2


def double_later(ctx: Context) -> Any:
    """Give something that can be awaited."""
    return double_async(ctx)


def fail(ctx: Context) -> None:
    """Raise an error that has a note."""
    error = LookupError('lost', ctx.inputs)
    error.add_note('looked everywhere')
    raise error


def describe(ctx: Context) -> tuple[Any, ...]:
    """Give all that the context tells."""
    return ctx.inputs, ctx.deps, ctx.node_id, ctx.task_id, ctx.attempt, ctx.idempotency_key


def emit_all(ctx: Context) -> str:
    """Emit each of the inputs."""
    for event in ctx.inputs:
        ctx.emit(event)
    return 'told'


def append(ctx: Context) -> None:
    """Put the input into the state."""
    ctx.state.append(ctx.inputs)


def read_state(ctx: Context) -> Any:
    """Give the state."""
    return ctx.state


def read_deps(ctx: Context) -> bool:
    """Tell whether the dependencies are one object."""
    return ctx.deps is ctx.deps


def give_lock(ctx: Context) -> Any:
    """Give what pickle cannot carry."""
    return threading.Lock()


def emit_lock(ctx: Context) -> None:
    """Emit what pickle cannot carry."""
    ctx.emit(threading.Lock())


class StubbornError(Exception):
    """An error that pickle cannot rebuild, as it takes two arguments and hands one on."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


def fail_stubbornly(ctx: Context) -> None:
    """Raise an error that cannot be rebuilt elsewhere."""
    raise StubbornError(7, 'no way')


@dataclass
class ListParcel:
    """Isolated state that is a list, and tells what was appended."""

    state: list[Any]
    length_before: int

    def changes(self) -> list[Any]:
        """What was appended."""
        return self.state[self.length_before :]


# The promises


class ExecutorSuite:
    """What every executor must do."""

    def make(self) -> Executor:
        """A new executor that can run at least two bodies at once. Say here how it is made."""
        raise NotImplementedError('Say in make() how your executor is made.')

    async def outcome_of(self, body: Callable[[Context], Any], inputs: Any = None, **parts: Any) -> Outcome:
        """What comes of one body."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', body, inputs, **parts)], told)
            return await told.wait('one')

    async def test_a_plain_body_gives_its_value(self) -> None:
        """The value of a plain function is delivered under the key of its envelope."""
        _expect(await self.outcome_of(double, 21), Outcome('one', 'value', 42))

    async def test_an_async_body_gives_its_value(self) -> None:
        """The value of a coroutine function is delivered."""
        _expect(await self.outcome_of(double_async, 21), Outcome('one', 'value', 42))

    async def test_what_a_plain_body_gives_is_awaited_if_it_can_be(self) -> None:
        """A plain function that gives a coroutine has the coroutine's value."""
        _expect(await self.outcome_of(double_later, 21), Outcome('one', 'value', 42))

    async def test_an_error_comes_out_as_itself(self) -> None:
        """What a body raises is delivered with its type, its arguments and its notes."""
        outcome = await self.outcome_of(fail, 'key')

        error = outcome.error
        _expect((outcome.kind, type(error), getattr(error, 'args', ())), ('error', LookupError, ('lost', 'key')))
        _expect_within('looked everywhere', str(getattr(error, '__notes__', ())))

    async def test_the_context_tells_of_inputs_deps_and_task(self) -> None:
        """A body has its inputs, its dependencies and what belongs to its task."""
        outcome = await self.outcome_of(describe, 'in', deps={'on': 1})

        _expect(outcome.value, ('in', {'on': 1}, 'body', 'task:7', 2, 'run/body#1'))

    async def test_isolated_state_is_seen_and_its_changes_are_told(self) -> None:
        """A body sees the state of its parcel, and the outcome carries what the parcel tells."""
        outcome = await self.outcome_of(append, 'new', state='not used', parcel=ListParcel(['old'], 1))

        _expect((outcome.kind, outcome.state_changes), ('value', ['new']))

    async def test_events_come_in_order_before_the_outcome(self) -> None:
        """That a body starts is delivered first, then what it emits, in order, and the final outcome at last."""
        told: list[Outcome] = []
        collector = Collector()

        def deliver(outcome: Outcome) -> None:
            told.append(outcome)
            collector(outcome)

        async with self.make() as executor:
            executor.submit([envelope('one', emit_all, ['a', 'b', 'c'])], deliver)
            await collector.wait('one')

        before = told[: told.index(collector.outcomes['one'])]
        news = list(dict.fromkeys((outcome.kind, outcome.value) for outcome in before))
        _expect(news, [('started', None), ('emitted', 'a'), ('emitted', 'b'), ('emitted', 'c')])

    async def test_many_bodies_at_once_all_come_to_an_end(self) -> None:
        """A thousand bodies that are given at once are all run."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope(str(n), double, n) for n in range(1000)], told)
            values = [(await told.wait(str(n))).value for n in range(1000)]

        _expect(values, [2 * n for n in range(1000)])

    async def test_a_slow_body_does_not_delay_another(self) -> None:
        """A body that was given later may end earlier."""
        told = Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('slow', hold, post.port), envelope('quick', double, 1)], told)
            await told.wait('quick')
            _expect(list(told.outcomes), ['quick'])
            await (await post.wait_begun()).release()
            _expect((await told.wait('slow')).value, 'released')

    async def test_a_key_in_use_is_refused(self) -> None:
        """Two bodies under one key at the same time are a mistake that is raised at once."""
        told = Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('one', hold, post.port)], told)
            _expect_refusal('one', lambda: executor.submit([envelope('one', double, 1)], told))

    async def test_bodies_before_the_executor_is_entered_are_refused(self) -> None:
        """An executor that has not been entered says so."""
        executor = self.make()
        _expect_refusal('async with', lambda: executor.submit([envelope('one', double, 1)], Collector()))

    async def test_a_body_that_is_cancelled_at_once_does_not_go_on(self) -> None:
        """A body can be cancelled before it has started."""
        told = Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('one', hold, post.port)], told)
            executor.cancel(['one'])
            _expect(await told.wait('one'), Outcome('one', 'cancelled'))

    async def test_a_body_that_runs_is_cancelled(self) -> None:
        """The outcome of a body that was cancelled comes when it has ended; other bodies go on."""
        told = Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('one', hold, post.port)], told)
            line = await post.wait_begun()
            executor.submit([envelope('two', hold, post.port)], told)
            other = await post.wait_begun()
            executor.cancel(['one'])
            _expect(await told.wait('one'), Outcome('one', 'cancelled'))
            await line.wait_ended()
            await other.release()
            _expect((await told.wait('two')).value, 'released')

    async def test_cancelling_what_has_ended_changes_nothing(self) -> None:
        """Keys of bodies that have ended, and keys that never were, are passed over."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', double, 1)], told)
            await told.wait('one')
            executor.cancel(['one', 'never'])
            executor.submit([envelope('two', double, 2)], told)
            await told.wait('two')

        _expect(told.outcomes, {'one': Outcome('one', 'value', 2), 'two': Outcome('two', 'value', 4)})

    async def test_a_client_that_comes_back_gets_the_outcome(self) -> None:
        """After `reattach`, which tells what is known, outcomes go to the new client alone."""
        before, after = Collector(), Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('one', hold, post.port)], before)
            line = await post.wait_begun()
            _expect(list(await executor.reattach(['one', 'never'], after)), ['one'])
            await line.release()
            await after.wait('one')

        _expect(after.outcomes, {'one': Outcome('one', 'value', 'released')})
        _expect(list(before.outcomes), [])

    async def test_leaving_ends_what_still_runs(self) -> None:
        """Leaving the executor cancels bodies, waits for their end, and hands on the error that it was left with."""
        told = Collector()
        caught = None
        async with Post() as post:
            try:
                async with self.make() as executor:
                    executor.submit([envelope('one', hold, post.port)], told)
                    await post.wait_begun()
                    raise KeyError('left')
            except KeyError as error:
                caught = error
            _expect(told.outcomes, {'one': Outcome('one', 'cancelled')})
            await post.lines[0].wait_ended()
        _expect(repr(caught), "KeyError('left')")

    async def test_cancelling_the_one_who_uses_it_ends_what_still_runs(self) -> None:
        """If the task that entered the executor is cancelled, so are the bodies."""
        told = Collector()
        async with Post() as post:
            with anyio.CancelScope() as scope:
                async with self.make() as executor:
                    executor.submit([envelope('one', hold, post.port)], told)
                    await post.wait_begun()
                    scope.cancel()
                    await anyio.sleep_forever()
            _expect(told.outcomes, {'one': Outcome('one', 'cancelled')})
            await post.lines[0].wait_ended()


class DistantExecutorSuite(ExecutorSuite):
    """What an executor must do besides if its bodies leave the process."""

    async def test_an_error_carries_its_traceback_from_there(self) -> None:
        """A note tells where in the other process an error was raised."""
        error = (await self.outcome_of(fail, 'key')).error

        _expect_within('in fail', str(getattr(error, '__notes__', ())))

    async def test_an_error_that_cannot_cross_is_stood_in_for(self) -> None:
        """An exception that cannot be rebuilt is named by one that can, with its traceback."""
        error = (await self.outcome_of(fail_stubbornly)).error

        _expect(type(error), GraphRuntimeError)
        _expect_within('StubbornError', str(error))
        _expect_within('no way', str(getattr(error, '__notes__', ())))

    async def test_a_function_that_cannot_cross_is_named(self) -> None:
        """A lambda is refused with the remedy."""
        _expect_fault(await self.outcome_of(lambda _: 1), 'function', '<lambda>', 'top of a module')

    async def test_inputs_that_cannot_cross_are_named(self) -> None:
        """Inputs that pickle cannot carry are refused, and the part of them that is to blame is named."""
        _expect_fault(await self.outcome_of(double, {'deep': [threading.Lock()]}), 'inputs', '_thread.lock')

    async def test_a_result_that_cannot_cross_is_named(self) -> None:
        """A result that pickle cannot carry is the error of the step."""
        _expect_fault(await self.outcome_of(give_lock), 'result', '_thread.lock')

    async def test_an_event_that_cannot_cross_is_named(self) -> None:
        """Emitting what pickle cannot carry raises in the body."""
        _expect_fault(await self.outcome_of(emit_lock), 'event', '_thread.lock')

    async def test_shared_state_is_not_there(self) -> None:
        """A body that asks for the shared state is told what to do instead; one that does not runs."""
        _expect_fault(await self.outcome_of(read_state, state=['shared']), 'ctx.state', 'inputs', 'isolated state')
        _expect(await self.outcome_of(double, 1, state=threading.Lock()), Outcome('one', 'value', 2))

    async def test_no_state_is_none(self) -> None:
        """In a graph without state, `ctx.state` is None there too."""
        _expect(await self.outcome_of(read_state), Outcome('one', 'value', None))

    async def test_deps_that_cannot_cross_are_missed_only_when_asked_for(self) -> None:
        """Dependencies that pickle cannot carry concern only the bodies that use them."""
        _expect_fault(await self.outcome_of(read_deps, deps=threading.Lock()), 'deps', '_thread.lock')
        _expect(await self.outcome_of(double, 1, deps=threading.Lock()), Outcome('one', 'value', 2))

    async def test_deps_are_rebuilt_once(self) -> None:
        """A body that asks for its dependencies twice has the same object twice."""
        _expect((await self.outcome_of(read_deps, deps={'on': 1})).value, True)


# Checks, since `assert` tells nothing outside of a test module


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f'expected {wanted!r}, found {found!r}')


def _expect_within(part: str, text: str) -> None:
    if part not in text:
        raise AssertionError(f'expected {part!r} in {text!r}')


def _expect_refusal(part: str, function: Callable[[], object]) -> None:
    try:
        function()
    except GraphRuntimeError as error:
        _expect_within(part, error.message)
    else:
        raise AssertionError('expected a GraphRuntimeError')


def _expect_fault(outcome: Outcome, *parts: str) -> None:
    _expect((outcome.kind, type(outcome.error)), ('error', GraphRuntimeError))
    for part in ("step 'body'", *parts):
        _expect_within(part.lower(), str(outcome.error).lower())
