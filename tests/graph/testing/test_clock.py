"""The clock of tests."""

import anyio
import pytest

from plait_graph import GraphRuntimeError
from plait_graph.testing import TestClock


def test_the_clock_moves_only_when_it_is_told_to():
    """Time stands still, and then is what it was moved to."""
    clock = TestClock(start=100)

    clock.advance(2.5)

    assert clock.now() == 102.5


def test_timers_are_called_in_order_and_at_their_own_time():
    """What is due is called, the earliest first, and those of one time in the order in which they were set."""
    clock = TestClock()
    called = []
    for seconds, name in ((2, 'b'), (1, 'a'), (2, 'c'), (5, 'later')):
        clock.call_later(seconds, lambda name=name: called.append((name, clock.now())))

    clock.advance(3)

    assert called == [('a', 1), ('b', 2), ('c', 2)]
    assert clock.now() == 3


def test_a_timer_that_a_timer_sets_is_called_in_its_turn():
    """What a callback sets within the same move is called in it, at its own time."""
    clock = TestClock()
    called = []

    def tick():
        called.append(clock.now())
        clock.call_later(2, tick)

    clock.call_later(1, tick)
    clock.advance(6)

    assert called == [1, 3, 5]


def test_a_cancelled_timer_is_not_called():
    """A timer that was cancelled is gone, and may be cancelled again."""
    clock = TestClock()
    called = []
    timer = clock.call_later(1, lambda: called.append(1))

    timer.cancel()
    timer.cancel()
    clock.advance(2)

    assert called == []


def test_the_clock_shows_what_waits():
    """What is pending can be asked for, and stands in the message of a failed assertion."""
    clock = TestClock()
    late, soon = clock.call_later(9, print), clock.call_later(0.5, print)

    assert clock.pending == (soon, late)
    assert repr(clock) == '<TestClock at 0, pending: <Timer at 0.5: print>, <Timer at 9: print>>'
    late.cancel()
    soon.cancel()
    assert repr(clock) == '<TestClock at 0, pending: nothing>'


def test_what_is_due_at_once_waits_for_the_next_move():
    """A timer of no or negative length is called by the next move, and not from within the one who sets it."""
    clock = TestClock()
    called = []

    clock.call_later(-1, lambda: called.append(clock.now()))

    assert called == []
    clock.advance(0)
    assert called == [0]


def test_time_does_not_go_back():
    """A negative move is refused."""
    with pytest.raises(GraphRuntimeError, match='move by -1 seconds'):
        TestClock().advance(-1)


async def sleep(clock, seconds):
    """Wait for a timer."""
    event = anyio.Event()
    clock.call_later(seconds, event.set)
    await event.wait()


async def test_tasks_go_on_while_time_passes():
    """A task that sets its next timer when it was woken by the one before sets it at the right time."""
    clock = TestClock()
    woken = []

    async def wake_thrice():
        for _ in range(3):
            await sleep(clock, 2)
            woken.append(clock.now())

    async with anyio.create_task_group() as group:
        group.start_soon(wake_thrice)
        await clock.wait_passed(4)
        assert woken == [2, 4]
        await clock.wait_passed(10)

    assert woken == [2, 4, 6]
    assert clock.now() == 14


async def test_autojump_passes_over_all_waiting():
    """Within the block an hour passes at once when all tasks wait, and tasks are woken in order."""
    clock = TestClock()
    woken = []

    async def wake(seconds):
        await sleep(clock, seconds)
        woken.append(clock.now())
        await sleep(clock, 1)

    async with clock.autojump(), anyio.create_task_group() as group:
        group.start_soon(wake, 3600)
        group.start_soon(wake, 60)

    assert woken == [60, 3600]
    assert clock.now() == 3601
