"""Limits by name: who may go on, when, and who is told."""

import copy
import heapq
import logging
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_graph import GraphRuntimeError, GraphSetupError, StepContext, limits
from plait_graph.limits import Limit, Ticket, WeighedLimit


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bell:
    """Something that can be woken, and can be looked for afterwards."""

    def ring(self) -> None:
        pass


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    """Let each test have the names for itself."""
    yield
    limits._lines.clear()


def granted(tickets: list[Ticket]) -> list[int]:
    """The numbers of those that hold a place."""
    return [number for number, ticket in enumerate(tickets) if ticket.is_granted]


# Names


def test_a_name_stands_for_one_limit():
    """Two limits of one name and the same figures are equal and share their places."""
    one, other = Limit('model', in_flight=1), Limit('model', in_flight=1)

    assert one == other == Limit.named('model')
    assert len({one, other}) == 1
    assert one.ask().is_granted
    assert not other.ask().is_granted


def test_other_figures_under_a_name_are_refused():
    """A second limit with other figures is an error that names both."""
    Limit('model', in_flight=2)

    with pytest.raises(GraphSetupError, match=r"'model' was made with in_flight=2 and is asked for with in_flight=3\."):
        Limit('model', in_flight=3)


def test_a_limit_keeps_its_clock(clock: Clock):
    """Without a clock the one of the limit that is there counts; another clock is refused."""
    limit = Limit('model', per_second=1, clock=clock)

    assert Limit('model', per_second=1) == limit
    with pytest.raises(GraphSetupError, match='Leave the clock out'):
        Limit('model', per_second=1, clock=Clock())


@pytest.mark.parametrize(
    ('known', 'hint'),
    [([], r"'modle'\. Make it first"), (['model'], "is 'model' meant"), (['disk'], r"there are \['disk'\]")],
    ids=['none', 'near', 'far'],
)
def test_an_unknown_name_is_an_error_with_a_hint(known: list[str], hint: str):
    """`named` says what there is when nothing has the name."""
    for name in known:
        Limit(name, in_flight=1)

    with pytest.raises(GraphRuntimeError, match=hint):
        Limit.named('modle')


def test_a_forgotten_name_is_free():
    """After `forget` the name has a new limit, and the old one goes on for those who hold it."""
    old = Limit('model', in_flight=1)
    ticket = old.ask()
    Limit.forget('model')
    Limit.forget('never made')

    new = Limit('model', in_flight=5)
    assert new != old
    assert new.statistics().in_flight == 0
    ticket.release()
    assert old.statistics().in_flight == 0


def test_a_copy_goes_by_the_name(clock: Clock):
    """A limit that is copied or pickled stays the limit of its name."""
    limit = Limit('model', in_flight=2, units_per_minute=5, clock=clock)

    assert copy.deepcopy([limit]) == [limit] == pickle.loads(pickle.dumps([limit]))


@pytest.mark.parametrize(
    ('name', 'figures', 'message'),
    [
        ('', {'in_flight': 1}, 'Give a text that is not empty'),
        (None, {'in_flight': 1}, 'named None'),
        ('model', {}, "'model' limits nothing"),
        ('model', {'in_flight': 0}, 'in_flight=0'),
        ('model', {'in_flight': 1.5}, r'in_flight=1\.5.* whole number'),
        ('model', {'in_flight': True}, 'in_flight=True'),
        ('model', {'per_second': 0}, 'per_second=0'),
        ('model', {'per_second': 'x'}, "per_second='x'"),
        ('model', {'units_per_minute': -1}, 'units_per_minute=-1'),
        ('model', {'units_per_minute': float('nan')}, 'units_per_minute=nan'),
        ('model', {'per_second': float('inf')}, 'per_second=inf'),
    ],
    ids=str,
)
def test_figures_that_cannot_be_are_refused(name: str, figures: dict[str, float], message: str):
    """A figure must be positive and finite, and there must be one; a refused limit leaves no name behind."""
    with pytest.raises(GraphSetupError, match=message):
        Limit(name, **figures)

    assert not limits._lines


@pytest.mark.parametrize('amount', [-1, float('nan'), float('inf'), '1', True, None], ids=repr)
def test_amounts_that_are_none_are_refused(amount: float):
    """A weight, units that were used and a pause are finite numbers that are not negative."""
    limit = Limit('model', in_flight=1)

    with pytest.raises(GraphRuntimeError, match="'model' was given weight="):
        limit.ask(amount)
    with pytest.raises(GraphRuntimeError, match="'model' was given seconds="):
        limit.pause(amount)
    ticket = limit.ask()
    if amount is not None:
        with pytest.raises(GraphRuntimeError, match="'model' was given units="):
            ticket.release(amount)
    assert ticket.is_granted


def test_a_weight_that_can_never_be_had_is_refused():
    """More than a full bucket is an error at once and not a wait for ever."""
    limit = Limit('model', units_per_minute=60)

    assert limit.ask(60).is_granted
    with pytest.raises(GraphRuntimeError, match=r'weight=60\.5 and never has more than 60 units at once'):
        limit.ask(60.5)


def test_a_weighed_limit_is_a_record():
    """`weighing` keeps a function of the context beside the limit, and refuses what cannot be called."""
    limit = Limit('model', units_per_minute=60)

    def weight(ctx: StepContext[None, None, str]) -> float:
        return len(ctx.inputs)

    assert limit.weighing(weight) == WeighedLimit(limit, weight)
    with pytest.raises(GraphSetupError, match="'model' is weighed by 3"):
        limit.weighing(3)


# Places


def test_places_are_given_in_the_order_of_asking():
    """A ticket is granted at once as long as there is room, and then as places are released, first come first."""
    limit = Limit('model', in_flight=2)
    tickets = [limit.ask() for _ in range(5)]

    assert granted(tickets) == [0, 1]
    tickets[1].release()
    assert granted(tickets) == [0, 2]
    tickets[0].release()
    assert granted(tickets) == [2, 3]
    assert limit.delay() is None


def test_a_ticket_is_given_back_once():
    """To release or withdraw again does nothing; to release what was not granted is an error."""
    limit = Limit('model', in_flight=1)
    first, second, third = (limit.ask() for _ in range(3))

    with pytest.raises(GraphRuntimeError, match='Withdraw it instead'):
        second.release()
    for give_back in (first.release, first.release, first.withdraw):
        give_back()
    assert second.is_granted
    assert not third.is_granted
    assert limit.statistics().in_flight == 1


def test_who_withdraws_makes_room_for_the_next(clock: Clock):
    """A withdrawn head lets those behind it go on, whether it waited or had its place."""
    limit = Limit('model', in_flight=2, units_per_minute=60, clock=clock)
    waiting = limit.ask(30), limit.ask(40)
    behind = limit.ask(10)

    assert limit.ask(0).is_granted is False
    waiting[1].withdraw()
    assert behind.is_granted
    waiting[0].withdraw()
    assert limit.statistics().waiting == 0
    assert limit.statistics().units_left == 50


def test_an_owner_is_woken_when_its_ticket_is_granted():
    """`wake` is called once for a ticket that had to wait, and not for one that is granted at once."""
    limit = Limit('model', in_flight=1)
    woken: list[str] = []
    first = limit.ask(wake=lambda: woken.append('first'))
    second = limit.ask(wake=lambda: woken.append('second'))

    assert woken == []
    first.release()
    assert woken == ['second']
    second.release()
    assert woken == ['second']


def test_an_owner_that_comes_back_from_its_wake_goes_no_deeper():
    """A hundred thousand owners that let each other go on from within their wakes are woken one after the other."""
    limit = Limit('model', in_flight=1)
    tickets: list[Ticket] = []

    def release(number: int) -> None:
        tickets[number].release()

    tickets.extend(limit.ask(wake=partial(release, number)) for number in range(100_000))
    for ticket in tickets[1::2]:
        ticket.withdraw()

    tickets[0].release()
    assert limit.statistics().granted == 50_000
    assert limit.statistics().waiting == 0


def test_a_wake_that_fails_holds_up_nobody(caplog: pytest.LogCaptureFixture):
    """The ticket of an owner that cannot be woken goes to the next; its error is logged and not the releaser's."""
    limit = Limit('model', in_flight=1)

    def fail() -> None:
        raise OSError('nobody there')

    first, lost, next_ = limit.ask(), limit.ask(wake=fail), limit.ask()
    with caplog.at_level(logging.ERROR):
        first.release()

    assert not lost.is_granted
    assert next_.is_granted
    assert 'nobody there' in caplog.text


def test_places_are_never_exceeded_by_threads():
    """Threads that ask and release at the same time all get their turn, and never more at once than allowed."""
    limit = Limit('model', in_flight=3)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(50):
            bell = threading.Event()
            ticket = limit.ask(wake=bell.set)
            while not ticket.is_granted:
                bell.wait()
            inside.append(1)
            most.append(len(inside))
            inside.pop()
            ticket.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) <= 3
    assert limit.statistics().granted == 400
    assert limit.statistics().in_flight == 0


# Time


def test_a_rate_lets_a_second_worth_begin_and_then_one_by_one(clock: Clock):
    """With two starts per second two begin at once, and another one each half second, whatever was released."""
    limit = Limit('model', per_second=2, clock=clock)
    tickets = [limit.ask() for _ in range(4)]

    assert granted(tickets) == [0, 1]
    tickets[0].release()
    assert limit.poll() == 0.5
    clock.now += 0.5
    assert limit.poll() == 0.5
    assert granted(tickets) == [1, 2]


def test_a_slow_rate_still_lets_one_begin(clock: Clock):
    """A rate below one per second holds one start, and the next comes when its time has come."""
    limit = Limit('model', per_second=0.1, clock=clock)

    assert limit.ask().is_granted
    waiting = limit.ask()
    assert limit.delay() == waiting.delay() == 10
    clock.now += 10
    assert limit.delay() == 0
    assert limit.poll() is None
    assert waiting.is_granted


def test_units_are_corrected_by_what_was_really_used(clock: Clock):
    """What was not used is credited, up to a full bucket; what was used beyond the weight is a debt."""
    limit = Limit('model', units_per_minute=60, clock=clock)

    limit.ask(60).release(20)
    assert limit.statistics().units_left == 40
    limit.ask(10).release(70)
    assert limit.statistics().units_left == -30
    assert limit.ask(5).delay() == 35
    clock.now += 1000
    limit.poll()
    limit.ask(50).release(0)
    assert limit.statistics().units_left == 55


def test_a_withdrawn_ticket_gives_its_start_back(clock: Clock):
    """What was granted and not used counts for no rate."""
    limit = Limit('model', per_second=1, units_per_minute=60, clock=clock)

    limit.ask(60).withdraw()

    assert limit.statistics().starts_left == 1
    assert limit.ask(60).is_granted


def test_a_pause_holds_all_until_its_later_end(clock: Clock):
    """Nothing is granted before the longer of two pauses is over, released places or not."""
    limit = Limit('model', in_flight=2, clock=clock)
    limit.pause(10)
    limit.pause(3)
    ticket = limit.ask()

    assert ticket.delay() == limit.statistics().paused_for == 10
    clock.now += 9
    assert limit.poll() == 1
    clock.now += 1
    assert limit.poll() is None
    assert ticket.is_granted


def test_only_the_head_is_told_that_it_is_a_matter_of_time(clock: Clock):
    """The owner of the head is woken when a release leaves only time in its way, and when it becomes the head."""
    limit = Limit('model', in_flight=1, per_second=1, clock=clock)
    woken: list[str] = []
    first = limit.ask()
    head = limit.ask(wake=lambda: woken.append('head'))
    behind = limit.ask(wake=lambda: woken.append('behind'))

    assert head.delay() is None
    first.release()
    assert woken == ['head']
    assert (head.delay(), behind.delay()) == (1, None)
    head.withdraw()
    assert woken == ['head', 'behind']
    assert behind.delay() == 1


def test_the_head_is_told_when_its_time_comes_sooner(clock: Clock):
    """A credit that shortens the wait of the head wakes its owner; a charge that lengthens it does not."""
    limit = Limit('model', units_per_minute=60, clock=clock)
    woken: list[float | None] = []
    first, second = limit.ask(30), limit.ask(30)
    head = limit.ask(20, wake=lambda: woken.append(limit.delay()))

    assert head.delay() == 20
    first.release(20)
    assert woken == [10]
    second.release(45)
    assert woken == [10]
    assert head.delay() == 25


def test_a_rate_never_waits_in_vain(clock: Clock):
    """Who comes after exactly the delay that was given goes on, for rates and times that floats cannot say exactly."""
    clock.now = 0.0
    limit = Limit('model', per_second=1.1, clock=clock)
    for _ in range(200):
        clock.now += 0.1
        ticket = limit.ask()
        clock.now += ticket.delay() or 0.0
        limit.poll()
        assert ticket.is_granted


def test_nothing_is_kept_of_those_who_have_gone(clock: Clock):
    """A limit, which lives as long as the process, keeps no hold on the owners of tickets that were given back."""
    limit = Limit('model', per_second=1, clock=clock)

    def ask_and_release() -> weakref.ref[Bell]:
        bell = Bell()
        tickets = limit.ask(wake=bell.ring), limit.ask(wake=bell.ring)
        clock.now += 1
        limit.poll()
        for ticket in tickets:
            ticket.release()
        return weakref.ref(bell)

    assert ask_and_release()() is None


def test_statistics_and_reprs_are_short():
    """What a limit is doing can be read at a glance."""
    limit = Limit('model', in_flight=1, per_second=2.5)
    tickets = limit.ask(), limit.ask()

    assert repr(limit) == "Limit('model', in_flight=1, per_second=2.5: 1 in flight, 1 waiting)"
    assert repr(tickets) == "(Ticket('model', granted), Ticket('model', waiting))"
    statistics = limit.statistics()
    assert (statistics.name, statistics.granted, statistics.units_left) == ('model', 1, None)


# Against a simpler model


class Reference:
    """What a limit must do, with buckets that are filled and a line that is searched."""

    def __init__(self) -> None:
        self.buckets = {'starts': 2.0, 'units': 60.0}
        self.waiting: dict[int, float] = {}
        self.held: dict[int, float] = {}
        self.paused_for = 0.0

    def fill(self, starts: float, units: float) -> None:
        self.buckets['starts'] = min(2.0, self.buckets['starts'] + starts)
        self.buckets['units'] = min(60.0, self.buckets['units'] + units)

    def pass_time(self, seconds: float) -> None:
        self.fill(2 * seconds, seconds)
        self.paused_for = max(0.0, self.paused_for - seconds)

    def give_back(self, number: int, starts: float, units: float) -> None:
        if self.waiting.pop(number, None) is None and self.held.pop(number, None) is not None:
            self.fill(starts, units)

    def poll(self) -> None:
        for number, weight in list(self.waiting.items()):
            starts, units = self.buckets.values()
            if len(self.held) == 3 or starts < 1 or units < weight or self.paused_for:
                return
            self.held[number] = self.waiting.pop(number)
            self.fill(-1, -weight)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(['ask', 'ask', 'release', 'withdraw', 'go_on', 'go_on', 'pause']),
        st.integers(0, 7),
        st.integers(0, 60),
    ),
    max_size=60,
)


@dataclass
class Both:
    """A limit and the reference, to which the same things happen."""

    clock: Clock
    limit: Limit
    reference: Reference
    tickets: list[Ticket] = field(default_factory=list)

    def ask(self, number: int, weight: int) -> None:
        self.reference.waiting[len(self.tickets)] = weight
        self.tickets.append(self.limit.ask(weight))

    def go_on(self, number: int, quarters: int) -> None:
        self.clock.now += quarters / 4
        self.reference.pass_time(quarters / 4)

    def pause(self, number: int, quarters: int) -> None:
        self.limit.pause(quarters / 4)
        self.reference.paused_for = max(self.reference.paused_for, quarters / 4)

    def release(self, number: int, units: int) -> None:
        if number >= 0 and self.tickets[number].is_granted:
            self.reference.give_back(number, 0, self.tickets[number].weight - units)
            self.tickets[number].release(units)

    def withdraw(self, number: int, amount: int) -> None:
        if number >= 0:
            self.reference.give_back(number, 1, self.tickets[number].weight)
            self.tickets[number].withdraw()


@given(MOVES)
def test_a_limit_does_what_the_simple_model_does(moves: list[tuple[str, int, int]]):
    """Whatever is asked, released, withdrawn and paused in whatever order, the right tickets are granted.

    All times and units are such that floats say them exactly.
    """
    limits._lines.clear()
    clock = Clock()
    limit = Limit('model', in_flight=3, per_second=2, units_per_minute=60, clock=clock)
    both = Both(clock, limit, Reference())
    for move, back, amount in moves:
        getattr(both, move)(len(both.tickets) - 1 - back, amount)
        limit.poll()
        both.reference.poll()

        assert granted(both.tickets) == sorted(both.reference.held)
        statistics = limit.statistics()
        assert (statistics.starts_left, statistics.units_left) == tuple(both.reference.buckets.values())


@dataclass
class Job:
    """Something that arrives, waits for its ticket, works and releases it; or loses patience."""

    arrives: float
    weight: int
    works: float
    patience: float


JOBS = st.lists(
    st.builds(
        Job,
        arrives=st.integers(0, 40).map(lambda quarters: quarters / 4),
        weight=st.integers(0, 60),
        works=st.integers(0, 40).map(lambda quarters: quarters / 4),
        patience=st.sampled_from([1.0, 7.0, 10_000.0]),
    ),
    max_size=12,
)


@dataclass
class Owners:
    """Owners that do no more than they are told: they set a timer by `Ticket.delay` when they ask and are woken."""

    limit: Limit
    clock: Clock
    polled: bool
    granted_at: dict[int, float] = field(default_factory=dict)
    timers: list[tuple[float, int, object]] = field(default_factory=list)
    count: int = 0

    def at(self, time: float, do: object) -> None:
        self.count += 1
        heapq.heappush(self.timers, (time, self.count, do))

    def arrive(self, number: int, job: Job) -> None:
        ticket: list[Ticket] = []

        def look() -> None:
            if ticket and number not in self.granted_at and (delay := ticket[0].delay()) is not None:
                self.at(self.clock.now + delay, poll)
            if ticket and ticket[0].is_granted and number not in self.granted_at:
                self.granted_at[number] = self.clock.now
                self.at(self.clock.now + job.works, ticket[0].release)

        def poll() -> None:
            self.limit.poll()
            look()

        ticket.append(self.limit.ask(job.weight, look))
        look()
        self.at(self.clock.now + job.patience, lambda: number in self.granted_at or ticket[0].withdraw())

    def run(self, jobs: list[Job]) -> dict[int, float]:
        for number, job in enumerate(jobs):
            self.at(self.clock.now + job.arrives, partial(self.arrive, number, job))
        while self.timers:
            self.clock.now, _, do = heapq.heappop(self.timers)
            do()
            if self.polled and (delay := self.limit.poll()) is not None:
                self.at(self.clock.now + delay, self.limit.poll)
        return self.granted_at


@given(JOBS)
def test_owners_that_do_what_they_are_told_never_wait_too_long(jobs: list[Job]):
    """Who looks at its delay when it asks and when it is woken goes on as early as if the limit was always polled."""
    times: list[dict[int, float]] = []
    for polled in (True, False):
        limits._lines.clear()
        clock = Clock()
        limit = Limit('model', in_flight=2, per_second=2, units_per_minute=60, clock=clock)
        times.append(Owners(limit, clock, polled).run(jobs))
        assert limit.statistics().waiting == limit.statistics().in_flight == 0

    assert times[0] == times[1]


# Waiting for a place


async def test_hold_lets_no_more_in_than_allowed():
    """Blocks that hold a place run as many at a time as there are places, and all get their turn."""
    limit = Limit('model', in_flight=3)
    inside: list[int] = []
    most: list[int] = []

    async def work() -> None:
        async with limit.hold():
            inside.append(1)
            most.append(len(inside))
            await anyio.lowlevel.checkpoint()
            inside.pop()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)

    assert max(most) == 3
    assert len(most) == 20


async def test_hold_waits_for_time_by_itself():
    """Where only time is in the way, blocks go on without anybody who polls, each as the last one has left."""
    limit = Limit('model', in_flight=1, per_second=1000)
    done: list[int] = []

    async def work(number: int) -> None:
        async with limit.hold():
            limit.pause(1e-4)
            done.append(number)

    limit.pause(1e-4)
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(work, number)

    assert sorted(done) == list(range(10))


async def test_hold_gives_back_what_is_said_within():
    """A block that releases its ticket with the units it used is not charged again at its end."""
    limit = Limit('model', units_per_minute=60, clock=Clock())

    async def work() -> None:
        async with limit.hold(weight=60) as ticket:
            ticket.release(units=25)
            raise OSError('broken')

    with pytest.raises(OSError, match='broken'):
        await work()
    assert limit.statistics().units_left == 35
    assert limit.statistics().in_flight == 0


async def test_who_is_cancelled_while_it_waits_leaves_the_line():
    """A cancelled waiter takes no place, and the next one goes on."""
    limit = Limit('model', in_flight=1)
    held = limit.ask()
    scope = anyio.CancelScope()
    entered: list[str] = []

    async def wait(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with limit.hold():
                entered.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(wait, 'cancelled', scope)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait, 'next', anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert limit.statistics().waiting == 1
        held.release()

    assert entered == ['next']
    assert limit.statistics().in_flight == 0


async def test_a_grant_that_crosses_a_cancellation_is_given_back():
    """A waiter that is granted its place and cancelled in the same moment gives it to the next."""
    limit = Limit('model', in_flight=1)
    held = limit.ask()

    async with anyio.create_task_group() as group:
        group.start_soon(limit.hold().__aenter__)
        await anyio.wait_all_tasks_blocked()
        held.release()
        group.cancel_scope.cancel()

    assert limit.statistics().in_flight == 0
    assert limit.statistics().granted == 2


@pytest.mark.parametrize('other_backend', ['asyncio', 'trio'])
async def test_a_release_reaches_the_event_loop_of_another_thread(other_backend: str):
    """Who waits on one loop goes on when a place is released on another one."""
    limit = Limit('model', in_flight=1)
    entered: list[str] = []

    async def wait() -> None:
        async with limit.hold():
            entered.append(other_backend)

    async def release_when_awaited() -> None:
        async with limit.hold():
            group.start_soon(anyio.to_thread.run_sync, partial(anyio.run, wait, backend=other_backend))
            while not limit.statistics().waiting:
                await anyio.lowlevel.checkpoint()
            assert entered == []

    async with anyio.create_task_group() as group:
        await release_when_awaited()

    assert entered == [other_backend]


def test_the_clock_is_the_monotonic_one():
    """Without another clock a limit counts seconds that never go back."""
    before = time.monotonic()
    limit = Limit('model', per_second=0.001)
    limit.ask()
    limit.ask()

    assert 0 < (limit.delay() or 0) <= 1000 + time.monotonic() - before
