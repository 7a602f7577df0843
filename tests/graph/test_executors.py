"""Executors: all go through the suite that is offered to users; besides, what each one promises on its own."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from plait_graph.exceptions import GraphRuntimeError, WorkerDied
from plait_graph.executors import InProcessExecutor, Outcome
from plait_graph.process_executor import ProcessExecutor
from plait_graph.step import Step
from plait_graph.testing.executor_suite import (
    Collector,
    DistantExecutorSuite,
    ExecutorSuite,
    Post,
    double,
    envelope,
    hold,
    hold_thread,
)

visible: ContextVar[str] = ContextVar('visible', default='as it was')


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Functions that a worker process can import."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module('executor_bodies')


async def items(ctx):
    """What a stream step is made of."""
    yield ctx.inputs


async def await_cancelled(ctx):
    """Await what somebody has cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


class TestInProcessExecutor(ExecutorSuite):
    def make(self) -> InProcessExecutor:
        return InProcessExecutor()

    async def test_max_concurrency_bounds_the_bodies_that_run(self):
        """A body beyond the limit waits until another one has ended."""
        told = Collector()
        async with Post() as post, InProcessExecutor(max_concurrency=1) as executor:
            executor.submit([envelope('one', hold, post.port), envelope('two', double, 1)], told)
            line = await post.wait_begun()
            await anyio.wait_all_tasks_blocked()
            assert not told.outcomes
            await line.release()
            assert (await told.wait('two')).value == 2

    async def test_a_body_that_waits_for_a_place_never_starts_when_it_is_cancelled(self):
        """Cancelling a body that is beyond the limit takes effect at once, and it is the next one's turn."""
        told, started = Collector(), []

        async def start(ctx):
            started.append(ctx.inputs)

        async with Post() as post, InProcessExecutor(max_concurrency=1) as executor:
            executor.submit([envelope('hold', hold, post.port)], told)
            line = await post.wait_begun()
            executor.submit([envelope(str(n), start, n) for n in range(5)], told)
            executor.cancel(['1', '3'])
            assert await told.wait('3') == Outcome('3', 'cancelled')
            await line.release()
            await told.wait('4')

        assert started == [0, 2, 4]

    async def test_what_waits_for_a_place_is_cancelled_when_the_executor_is_left(self):
        """Bodies beyond the limit are told to be cancelled like those that run."""
        told = Collector()
        async with Post() as post, InProcessExecutor(max_concurrency=1) as executor:
            executor.submit([envelope(str(n), hold, post.port) for n in range(3)], told)

        assert told.outcomes == {key: Outcome(key, 'cancelled') for key in ('0', '1', '2')}

    async def test_a_cancelled_body_in_a_thread_is_waited_for(self):
        """A thread cannot be stopped, so its outcome comes when it has ended, and is what came first."""
        told = Collector()
        async with Post() as post, self.make() as executor:
            executor.submit([envelope('one', hold_thread, post.port)], told)
            line = await post.wait_begun()
            executor.cancel(['one'])
            await anyio.wait_all_tasks_blocked()
            assert not told.outcomes
            await line.release()
            assert (await told.wait('one')).value == 'released'

    async def test_a_thread_that_may_be_abandoned_is_left_and_no_longer_heard(self):
        """A step with abandon=True is cancelled at once, and what its thread emits later goes nowhere."""
        told, ended = Collector(), anyio.Event()
        go_on = threading.Event()

        def wait_and_emit(ctx):
            go_on.wait()
            ctx.emit('late')
            anyio.from_thread.run_sync(ended.set)

        async with self.make() as executor:
            executor.submit([envelope('one', Step('body', wait_and_emit, abandon=True))], told)
            await anyio.wait_all_tasks_blocked()
            executor.cancel(['one'])
            assert await told.wait('one') == Outcome('one', 'cancelled')
            go_on.set()
            await ended.wait()

        assert not told.events

    async def test_any_thread_may_emit(self):
        """A thread that a body has started itself emits on the event loop too."""

        def emit_from_thread(ctx):
            thread = threading.Thread(target=ctx.emit, args=['from there'])
            thread.start()
            thread.join()

        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', emit_from_thread)], told)
            await told.wait('one')

        assert told.events == {'one': ['from there']}

    async def test_context_variables_are_changed_for_the_body_alone(self):
        """What a body does to a context variable is seen neither by the next body nor by the caller."""

        async def change(ctx):
            before = visible.get()
            visible.set('changed')
            return before

        assert (await self.outcome_of(change)).value == 'as it was'
        assert (await self.outcome_of(change)).value == 'as it was'
        assert visible.get() == 'as it was'

    async def test_a_stream_gives_its_items_unread(self):
        """The value of a stream step is what its items are read from."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', Step('items', items, kind='stream'), 'item')], told)
            outcome = await told.wait('one')

        assert [item async for item in outcome.value] == ['item']

    async def test_stop_iteration_comes_out_as_a_runtime_error(self):
        """StopIteration, which no coroutine can pass on, is told as the cause of a RuntimeError."""

        def stop(ctx):
            raise StopIteration

        error = (await self.outcome_of(stop)).error

        assert isinstance(error, RuntimeError)
        assert isinstance(error.__cause__, StopIteration)

    async def test_an_exit_is_told_and_not_swallowed(self):
        """SystemExit is the body's error like any other; the run decides what it means."""

        async def leave(ctx):
            raise SystemExit(3)

        assert isinstance((await self.outcome_of(leave)).error, SystemExit)

    def test_a_cancellation_that_nobody_asked_for_is_an_error(self):
        """A body that awaits something which was cancelled has failed."""
        error = asyncio.run(self.outcome_of(await_cancelled)).error

        assert isinstance(error, GraphRuntimeError)
        assert 'nobody asked for' in error.message

    async def test_entering_twice_is_refused(self):
        """An executor serves one `async with` at a time."""
        async with self.make() as executor:
            with pytest.raises(GraphRuntimeError, match='entered already'):
                await executor.__aenter__()

    def test_a_limit_below_one_is_refused(self):
        """No executor runs nothing."""
        with pytest.raises(GraphRuntimeError, match='at least 1'):
            InProcessExecutor(max_concurrency=0)
        with pytest.raises(GraphRuntimeError, match='at least 1'):
            ProcessExecutor(max_workers=0)


class Stammering(InProcessExecutor):
    """Says everything twice, as a cluster may."""

    def submit(self, envelopes, deliver):
        super().submit(envelopes, lambda outcome: (deliver(outcome), deliver(outcome)))

    async def reattach(self, keys, deliver):
        return await super().reattach(keys, lambda outcome: (deliver(outcome), deliver(outcome)))


class TestSuiteWithDoubledOutcomes(ExecutorSuite):
    """The suite has nothing against an executor that says everything twice."""

    def make(self) -> Stammering:
        return Stammering()


class Wrong(InProcessExecutor):
    """Changes what it tells, forgets what errors say, and takes bodies that it will never run."""

    def submit(self, envelopes, deliver):
        if self._group is not None:
            super().submit(envelopes, deliver)

    async def run_body(self, envelope, start, emit):
        try:
            outcome = await super().run_body(envelope, start, emit)
        except LookupError as error:
            raise LookupError(*error.args) from None
        return Outcome(outcome.key, 'value', outcome.value + 1)


@pytest.mark.parametrize(
    'promise',
    [
        'test_a_plain_body_gives_its_value',
        'test_an_error_comes_out_as_itself',
        'test_bodies_before_the_executor_is_entered_are_refused',
    ],
)
async def test_the_suite_finds_a_wrong_executor(promise):
    """The suite fails an executor that breaks a promise."""

    class Suite(ExecutorSuite):
        def make(self) -> Wrong:
            return Wrong()

    with pytest.raises(AssertionError, match='expected'):
        await getattr(Suite(), promise)()


def test_the_suite_asks_for_an_executor():
    """A suite that was not told how to make an executor says what is missing."""
    with pytest.raises(NotImplementedError, match='make'):
        ExecutorSuite().make()


class TestProcessExecutor(DistantExecutorSuite):
    def make(self) -> ProcessExecutor:
        return ProcessExecutor(max_workers=2)

    async def test_the_function_of_a_decorated_step_crosses(self, bodies):
        """A function is found though its name in the module means the step that was made of it."""
        assert (await self.outcome_of(bodies.triple.call, 2)).value == 6

    async def test_a_cancelled_body_is_dead(self, bodies):
        """A body that never gives up the processor is killed, and its process is gone when that is told."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', bodies.spin)], told)
            pid = await told.wait_event('one')
            executor.cancel(['one'])
            assert await told.wait('one') == Outcome('one', 'cancelled')
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    @pytest.mark.parametrize(
        ('body', 'inputs', 'what'),
        [
            pytest.param('leave', 3, "step 'body' .* ended with exit code 3", id='exit'),
            pytest.param('be_killed', None, "step 'body' .* was killed by signal 9 ", id='killed'),
        ],
    )
    async def test_a_worker_that_dies_is_replaced(self, bodies, body, inputs, what):
        """The death of a worker is the error of its body, and the next body runs in a new one."""
        told = Collector()
        async with ProcessExecutor(max_workers=1) as executor:
            executor.submit([envelope('one', getattr(bodies, body), inputs), envelope('two', double, 1)], told)
            error = (await told.wait('one')).error
            assert (await told.wait('two')).value == 2

        assert isinstance(error, WorkerDied)
        with pytest.raises(WorkerDied, match=f'(?i){what}'):
            raise error

    async def test_a_worker_that_died_while_idle_is_replaced(self, bodies):
        """A body is not given to a worker that died after the one before."""
        told = Collector()
        async with ProcessExecutor(max_workers=1) as executor:
            executor.submit([envelope('one', bodies.pid)], told)
            os.kill((await told.wait('one')).value, signal.SIGKILL)
            (worker,) = executor._idle
            assert await worker.wait_dead() == f'was killed by signal 9 ({signal.strsignal(9)})'
            executor.submit([envelope('two', double, 1)], told)
            assert (await told.wait('two')).value == 2

    async def test_a_worker_that_cannot_be_started_is_an_error(self, monkeypatch):
        """What keeps a process from being started is the error of the body that it was for."""
        monkeypatch.setattr(sys, 'executable', '/no/such/python')

        assert isinstance((await self.outcome_of(double, 1)).error, FileNotFoundError)

    @pytest.mark.parametrize(
        ('body', 'part'),
        [
            pytest.param('give_at_home', 'result', id='result'),
            pytest.param('raise_at_home', 'exception', id='exception'),
        ],
    )
    async def test_what_cannot_be_rebuilt_here_is_named(self, bodies, body, part):
        """What crosses and cannot be rebuilt on this side is the error of the step."""
        error = (await self.outcome_of(getattr(bodies, body))).error

        with pytest.raises(GraphRuntimeError, match=f"The {part} of step 'body' .* cannot be rebuilt.*not at home"):
            raise error

    async def test_a_worker_does_one_body_after_the_other(self, bodies):
        """With one worker, all bodies run in one process, which has ended when the executor is left."""
        told = Collector()
        async with ProcessExecutor(max_workers=1) as executor:
            executor.submit([envelope(str(n), bodies.pid) for n in range(3)], told)
            pids = {(await told.wait(str(n))).value for n in range(3)}

        (pid,) = pids
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    async def test_workers_end_by_themselves(self, bodies, tmp_path):
        """What a body registers with atexit is done when the executor is left."""
        await self.outcome_of(bodies.write_at_exit, tmp_path / 'end')

        assert (tmp_path / 'end').read_text() == 'ended'

    async def test_what_bodies_print_goes_to_standard_error(self, bodies, capfd):
        """Bodies may print, and read nothing, without disturbing the talk with their worker."""
        assert (await self.outcome_of(bodies.speak)).value is True

        printed = capfd.readouterr()
        assert printed.out == ''
        assert 'from Python' in printed.err
        assert 'from below' in printed.err

    async def test_an_exit_is_told_and_not_swallowed(self, bodies):
        """SystemExit in a body ends no worker; it is the body's error, and the run decides what it means."""
        error = (await self.outcome_of(bodies.exit_program, 3)).error

        assert isinstance(error, SystemExit)
        assert error.code == 3

    async def test_a_cancellation_that_nobody_asked_for_is_an_error(self, bodies):
        """A body that awaits something which was cancelled has failed, and cancels nothing here."""
        error = (await self.outcome_of(bodies.await_cancelled)).error

        assert isinstance(error, GraphRuntimeError)
        assert 'nobody asked for' in error.message

    async def test_a_thread_left_behind_is_not_heard(self, bodies):
        """What a thread of an ended body emits is not taken for an event of the next body."""
        told = Collector()
        async with ProcessExecutor(max_workers=1) as executor:
            executor.submit([envelope('one', bodies.leave_thread)], told)
            await told.wait('one')
            executor.submit([envelope('two', bodies.wait_for_thread)], told)
            assert (await told.wait('two')).value == 'after'

        assert told.events == {'two': ['before']}

    async def test_a_stream_is_refused(self):
        """A stream gives items one by one and cannot run in another process."""
        told = Collector()
        async with self.make() as executor:
            executor.submit([envelope('one', Step('items', items, kind='stream'), 'item')], told)
            error = (await told.wait('one')).error

        with pytest.raises(GraphRuntimeError, match="Stream 'body' cannot run in another process"):
            raise error


SCRIPT = """
import os
import anyio
from plait_graph.process_executor import ProcessExecutor
from plait_graph.testing.executor_suite import Collector, envelope


def body(ctx):
    ctx.emit('begun')
    while ctx.inputs == 'spin':
        pass
    return 'own function'


async def main(inputs):
    told = Collector()
    async with ProcessExecutor(max_workers=1) as executor:
        executor.submit([envelope('one', body, inputs)], told)
        if inputs == 'spin':
            await told.wait_event('one')
            print('begun', flush=True)
        outcome = await told.wait('one')
    print(outcome.value, outcome.error)

"""


def script(tmp_path: Path, end: str) -> list[str]:
    """The command that runs a program, as its users would write it."""
    path = tmp_path / 'program.py'
    path.write_text(SCRIPT + end)
    return [sys.executable, str(path)]


def test_a_script_uses_its_own_functions(tmp_path):
    """What the main module of a program defines is found by its workers."""
    command = script(tmp_path, "if __name__ == '__main__':\n    anyio.run(main, 'go')\n")

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == 'own function None\n'


def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    """A main module that starts the program whenever it is imported gets the remedy, and no swarm of processes."""
    printed = subprocess.run(script(tmp_path, "anyio.run(main, 'go')\n"), capture_output=True, text=True, check=True)

    assert "step 'body' was not run" in printed.stdout.lower()
    assert "if __name__ == '__main__':" in printed.stdout


def test_bodies_end_with_the_program_that_asked_for_them(tmp_path):
    """If the program is killed, its workers end too, though one is in the middle of a body."""
    command = script(tmp_path, "if __name__ == '__main__':\n    anyio.run(main, 'spin')\n")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == 'begun\n'
        program.kill()
        program.stderr.read()  # comes to an end when the worker, which has it too, is gone

    assert program.returncode < 0
