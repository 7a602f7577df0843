"""Debug mode: who keeps the event loop waiting."""

import inspect
import threading
from contextvars import copy_context
from dataclasses import dataclass, field
from types import SimpleNamespace, coroutine

import anyio
import pytest

from plait_graph._run.blame import Blame, LoopBlocked, frames_within
from plait_graph._run.crew import make_crew
from plait_graph.exceptions import BlockingStepWarning
from plait_graph.id_types import NodeID, TaskID

TASK = SimpleNamespace(node=SimpleNamespace(id=NodeID('slow')), task_id=TaskID('task:1'), fork_stack=())


@coroutine
def pause():
    """Give the loop back once."""
    yield


@dataclass
class Jam:
    """Blocks the event loop until the watch has seen it, by a clock that stands still otherwise."""

    now: float = 0.0
    reports: list[LoopBlocked] = field(default_factory=list)
    seen: list[tuple[LoopBlocked, int]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def clock(self) -> float:
        return self.now

    def on_blocked(self, record: LoopBlocked) -> None:
        self.seen.append((record, threading.get_ident()))
        self.go_on.set()

    def block(self) -> None:
        self.now += 5
        self.go_on.wait()
        self.go_on.clear()
        self.now += 2

    def blame(self) -> Blame:
        return Blame(self.reports.append, threshold=0.1, clock=self.clock, on_blocked=self.on_blocked)

    async def run(self, body) -> object:
        """Run a body, watched, as a driver would."""
        async with make_crew() as crew:
            with self.blame() as blame:
                return await crew.run_body('key', copy_context(), blame.watch(TASK, body()))


async def test_a_body_that_blocks_is_reported_with_its_stack():
    """The report names the task, how long the loop was kept, and where, from the step's own function on."""
    jam = Jam()

    async def slow():
        jam.block()

    with pytest.warns(BlockingStepWarning):
        await jam.run(slow)

    (report,) = jam.reports
    assert (report.node_id, report.task_id, report.fork_stack, report.seconds) == ('slow', 'task:1', (), 7.0)
    lines = report.stack.splitlines()
    assert lines[0].endswith('in slow')
    assert lines[1].strip() == 'jam.block()'
    assert any(line.strip() == 'self.go_on.wait()' for line in lines)


async def test_the_warning_names_step_time_line_and_remedy():
    """The warning is shown at the step's own line, and tells what to do."""
    jam = Jam()

    async def slow():
        jam.block()

    with pytest.warns(BlockingStepWarning) as warned:
        await jam.run(slow)

    (warning,) = warned
    assert warning.filename == __file__
    for part in ("'slow'", '7.00 s', 'threading.py', 'plain `def`', 'process'):
        assert part in str(warning.message)


async def test_each_turn_is_reported_and_each_line_warned_of_once():
    """A body that blocks again after it has waited is reported again; a second line gets its own warning."""
    jam = Jam()

    async def slow():
        for _ in range(3):
            jam.block()
            await anyio.lowlevel.checkpoint()
        jam.block()

    with pytest.warns(BlockingStepWarning) as warned:
        await jam.run(slow)

    assert [report.seconds for report in jam.reports] == [7.0] * 4
    assert len(warned) == 2


async def test_a_body_is_noticed_while_it_still_blocks():
    """What blocks is told from another thread at once, once a turn, since a body may block for ever."""
    jam = Jam()

    async def slow():
        jam.block()

    with pytest.warns(BlockingStepWarning):
        await jam.run(slow)

    ((record, thread),) = jam.seen
    assert (record.node_id, record.seconds) == ('slow', 5.0)
    assert 'jam.block()' in record.stack
    assert thread != threading.get_ident()


async def test_waiting_is_not_blocking():
    """However long a body waits, it is not blamed as long as it leaves the loop to others."""
    jam = Jam()

    async def patient():
        await anyio.lowlevel.checkpoint()
        return 'value'

    def pass_time():
        jam.now += 10

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, pass_time)
        assert await jam.run(patient) == 'value'
    assert not jam.reports


async def test_clean_up_that_blocks_is_reported_too():
    """A body that is cancelled is watched until it has ended."""
    jam = Jam()
    waiting = anyio.Event()

    async def slow():
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            jam.block()

    async def cancel_when_waiting():
        async with anyio.create_task_group() as group:
            group.start_soon(jam.run, slow)
            await waiting.wait()
            group.cancel_scope.cancel()

    with pytest.warns(BlockingStepWarning):
        await cancel_when_waiting()

    assert 'jam.block()' in jam.reports[0].stack


async def test_an_error_passes_through():
    """Watching a body changes nothing about what it raises."""
    jam = Jam()

    async def fail():
        raise KeyError('own')

    with pytest.raises(KeyError, match='own'):
        await jam.run(fail)


def test_a_body_that_could_not_be_looked_at_is_reported_without_a_stack():
    """What holds the interpreter all the while cannot be seen, but the time that it took is."""
    jam = Jam()

    async def slow():
        jam.now += 5

    blame = jam.blame()  # not entered, so nobody looks
    message = r"'slow' kept the event loop waiting for 5.00 s\. Make"
    with pytest.warns(BlockingStepWarning, match=message), pytest.raises(StopIteration):
        blame.watch(TASK, slow()).send(None)

    assert jam.reports == [LoopBlocked(NodeID('slow'), TaskID('task:1'), (), 5.0, '')]


def test_a_body_that_is_closed_is_watched():
    """Clean-up that blocks is blamed as well if the body is closed and not resumed."""
    jam = Jam()

    async def slow():
        try:
            await pause()
        finally:
            jam.now += 5

    watched = jam.blame().watch(TASK, slow())
    watched.send(None)
    with pytest.warns(BlockingStepWarning):
        watched.close()

    assert [report.seconds for report in jam.reports] == [5.0]


def test_a_look_that_comes_too_late_sees_nothing():
    """Frames that no watched body is in are nobody's."""
    assert frames_within(inspect.currentframe()) == []


def test_the_watch_ends_with_its_block():
    """No thread is left when the watch is over, however often it is used."""
    before = threading.active_count()
    blame = Jam().blame()
    for _ in range(2):
        with blame:
            assert threading.active_count() == before + 1

    assert threading.active_count() == before


async def test_a_watched_body_cannot_be_awaited():
    """Awaiting a watched body, which would not be watched then, is a mistake that is raised."""

    async def body():
        raise AssertionError('it is not run')

    own = body()
    with pytest.raises(RuntimeError, match='not awaited'):
        await Jam().blame().watch(TASK, own)
    own.close()
