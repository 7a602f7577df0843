"""`any_order`: what it finds, how it says so, and what it leaves alone."""

import asyncio
import gc
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import get_ident

import anyio
import anyio.to_thread
import pytest

from plait_graph import GraphBuilder, GraphSetupError, StepContext, reduce_list_append, reduce_null, reduce_sum
from plait_graph.testing import Deadlock, EndlessRun, OrderDependence, any_order


@dataclass
class Counter:
    n: int = 0


Ctx = StepContext[Counter, None, object]


async def left(ctx: Ctx) -> None:
    """Add one, slowly."""
    n = ctx.state.n
    await anyio.lowlevel.checkpoint()
    ctx.state.n = n + 1


async def right(ctx: Ctx) -> None:
    """Do the same."""
    await left(ctx)


async def add_at_once(ctx: Ctx) -> int:
    """Add one, without a pause between reading and writing."""
    await anyio.lowlevel.checkpoint()
    ctx.state.n += 1
    await anyio.lowlevel.checkpoint()
    return 1


def side_by_side(*calls, state_type=Counter):
    """Start -> all of the steps -> a join -> end."""
    g = GraphBuilder(state_type=state_type, output_type=list[object])
    steps = [g.step(call, node_id=f'{call.__name__}_{place}') for place, call in enumerate(calls)]
    join = g.join(reduce_list_append, initial_factory=list[object], node_id='all')
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(join), g.edge_from(join).to(g.end_node))
    return g.build()


def over_items(call, reducer=reduce_sum, **options):
    """Start -> map `each` -> the step -> a join -> end."""
    g = GraphBuilder(state_type=Counter, input_type=list[int], output_type=int)
    step = g.step(call, node_id='work')
    join = g.join(reducer, initial=0, node_id='all')
    g.add(
        g.edge_from(g.start_node).map(fork_id='each', **options).to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    return g.build()


# What is found


def test_a_lost_update_is_found():
    """Two branches that read, wait and write are found to depend on their order."""
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(left, right), state=Counter())

    assert caught.value.plain.state.n == 2
    assert caught.value.result.state.n == 1


def test_the_order_that_is_shown_is_as_short_as_can_be():
    """For the lost update that is one switch after one turn: the left branch begins, and the right one takes over."""
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(left, right), state=Counter())

    assert caught.value.order == (0, 1)


def test_a_long_random_order_is_made_short():
    """An order that a seed has drawn is shortened to the same two choices."""
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(left, right, add_at_once, add_at_once), state=Counter(), seeds=range(20))

    assert caught.value.seed is not None
    assert caught.value.order == (0, 1)


def test_the_message_tells_the_story():
    """The message says which step went on until where, what came of it, and how to repeat it."""
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(left, right), state=Counter())

    text = str(caught.value)
    assert "1. step 'left_0' began, and ran until it waited at test_any_order.py:" in text
    assert ': await anyio.lowlevel.checkpoint()' in text
    assert "2. step 'right_1' began, and ran until it ended" in text
    assert "3. step 'left_0' went on until it ended" in text
    assert 'and so: output [None, None], state Counter(n=1)' in text
    assert 'and so: output [None, None], state Counter(n=2)' in text
    assert 'any_order(..., order=[0, 1])' in text


def test_items_of_a_map_are_told_apart():
    """In the story the steps of a map carry the item that they work on."""
    with pytest.raises(OrderDependence) as caught:
        any_order(over_items(left, reduce_null), state=Counter(), inputs=[5, 6, 7])

    assert "step 'work', item 0 of 'each' began" in str(caught.value)


def test_a_race_that_needs_two_switches_is_found():
    """A fault that only a switch to another step and one back shows is found."""

    async def count_to_three(ctx: Ctx) -> bool:
        for n in (1, 2, 3):
            ctx.state.n = n
            await anyio.lowlevel.checkpoint()
        return False

    async def look_twice(ctx: Ctx) -> bool:
        before = ctx.state.n
        await anyio.lowlevel.checkpoint()
        return before == 1 and ctx.state.n == 3

    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(count_to_three, look_twice), state=Counter(), check=nobody_saw_it)

    assert caught.value.order == (0, 1, 1)


def nobody_saw_it(result):
    """No step has given True."""
    assert not any(result.output)


def test_an_exception_that_comes_in_some_orders_is_found():
    """A run that raises in one order only depends on its order, and the exception is the cause."""

    async def pop(ctx: StepContext[list[int], None, None]) -> int:
        return ctx.state.pop() if ctx.state else 0

    async def pop_if_any(ctx: StepContext[list[int], None, None]) -> int:
        if not ctx.state:
            return 0
        await anyio.lowlevel.checkpoint()
        return ctx.state.pop()

    with pytest.raises(OrderDependence, match='IndexError: pop from empty list') as caught:
        any_order(side_by_side(pop_if_any, pop, state_type=list[int]), state=[1], check=lambda result: result.output)

    assert isinstance(caught.value.__cause__, IndexError)


def test_a_deadlock_is_found_and_names_who_waits_where():
    """Two steps that take two locks in opposite orders hang in some order; both are named, with their lines."""

    @dataclass
    class Locks:
        a: anyio.Lock = field(default_factory=anyio.Lock)
        b: anyio.Lock = field(default_factory=anyio.Lock)

    async def a_then_b(ctx: StepContext[Locks, None, None]) -> int:
        async with ctx.state.a, ctx.state.b:
            return 1

    async def b_then_a(ctx: StepContext[Locks, None, None]) -> int:
        async with ctx.state.b, ctx.state.a:
            return 2

    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(a_then_b, b_then_a, state_type=Locks), make_state=Locks)

    assert isinstance(caught.value.__cause__, Deadlock)
    assert "step 'a_then_b_0', branch 0 of" in str(caught.value)
    assert ': async with ctx.state.b, ctx.state.a:' in str(caught.value)


def test_a_deadlock_in_the_plain_order_is_raised_as_itself():
    """A graph that hangs in any case is said to hang, and not to depend on its order."""

    async def wait_forever(ctx: Ctx) -> None:
        await anyio.Event().wait()

    with pytest.raises(Deadlock, match=r'wait_forever_0.* waits at test_any_order\.py:\d+: await anyio\.Event'):
        any_order(side_by_side(wait_forever), state=Counter())


def test_a_step_that_goes_on_waiting_while_it_is_cancelled_does_not_hang_the_search(caplog):
    """A body that cannot be got rid of is left behind, and asyncio does not complain of it."""

    async def stubborn(ctx: Ctx) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await anyio.Event().wait()

    with pytest.raises(Deadlock):
        any_order(side_by_side(stubborn), state=Counter())
    gc.collect()

    assert caplog.records == []


def test_a_run_without_end_is_stopped():
    """A run that goes on forever is given up after `max_turns`."""

    async def poll(ctx: Ctx) -> None:
        while not ctx.state.n:
            await anyio.lowlevel.checkpoint()

    with pytest.raises(EndlessRun, match='has had 500 turns and goes on'):
        any_order(side_by_side(poll), state=Counter(), max_turns=500)


def test_a_run_that_goes_on_in_some_orders_only_is_found():
    """A loop that does not end in one order is a fault of that order."""

    async def poll(ctx: Ctx) -> None:
        while ctx.state.n == 1:
            await anyio.lowlevel.checkpoint()

    async def pass_by(ctx: Ctx) -> None:
        ctx.state.n = 1
        ctx.state.n += await two(ctx)

    async def two(ctx: Ctx) -> int:
        await anyio.lowlevel.checkpoint()
        return 0

    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(poll, pass_by), state=Counter(), max_turns=300)

    assert isinstance(caught.value.__cause__, EndlessRun)
    assert caught.value.order == (1,)


def test_a_long_order_is_not_printed_in_full():
    """An order of hundreds of numbers is left to the attribute of the error."""

    async def count(ctx: Ctx) -> None:
        for _ in range(200):
            await anyio.lowlevel.checkpoint()
            ctx.state.n += 1

    def fail_later(result):
        assert len(result.order) < 150

    with pytest.raises(OrderDependence, match=r'and the 150 numbers that are in `order`'):
        any_order(
            side_by_side(count, count), state=Counter(), check=fail_later, first=[[0] * 160 + [1]], seeds=range(0)
        )


def test_a_source_that_hangs_is_named():
    """A stream that waits forever is named by the map that reads it."""
    g = GraphBuilder(output_type=int)

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]):
        await anyio.Event().wait()
        yield 1

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(numbers),
        g.edge_from(numbers).map(fork_id='each').to(total),
        g.edge_from(total).to(g.end_node),
    )

    with pytest.raises(Deadlock, match="the source of map 'each' waits\n"):
        any_order(g.build())


async def spin(ctx: Ctx) -> None:
    """Give way until the counter says that it is time."""
    while not ctx.state.n:
        await anyio.lowlevel.checkpoint()


def test_a_task_of_a_body_that_only_gives_way_lets_time_pass():
    """A body may have a task that polls until a time-out; the time comes."""

    async def poll_until_timeout(ctx: Ctx) -> bool:
        with anyio.move_on_after(3600) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(spin, ctx)
        return scope.cancelled_caught

    assert any_order(side_by_side(poll_until_timeout), state=Counter()).output == [True]


def test_a_task_of_a_body_that_gives_way_forever_is_a_deadlock():
    """If only such a task is left, the run hangs."""

    async def poll_forever(ctx: Ctx) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(spin, ctx)

    with pytest.raises(Deadlock, match='poll_forever'):
        any_order(side_by_side(poll_forever), state=Counter())


def test_a_task_that_a_body_leaves_behind_does_no_harm(caplog):
    """A task that a body started itself and that cannot be got rid of is left, and asyncio does not complain of it."""

    async def never_end() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await anyio.Event().wait()

    async def leave_behind(ctx: Ctx) -> None:
        task = asyncio.create_task(never_end())
        await anyio.lowlevel.checkpoint()
        assert not task.done()

    assert any_order(side_by_side(leave_behind), state=Counter()).is_complete
    gc.collect()
    assert caplog.records == []


# What is not


def test_a_graph_without_races_comes_to_the_same_in_all_orders():
    """Steps that do not disturb each other pass, and the report says that there are no other orders."""
    report = any_order(side_by_side(add_at_once, add_at_once), state=Counter())

    assert report.output == [1, 1]
    assert report.plain.state.n == 2
    assert repr(report) == '<OrdersReport: 20 orders, all there are; output [1, 1], state Counter(n=2)>'
    assert report.orders == 20  # two bodies of three turns each: 6! / (3! * 3!)


def test_as_many_orders_are_tried_as_were_asked_for():
    """Where there are more orders than that, no more are tried, and the report says that there are more."""
    report = any_order(over_items(add_at_once), state=Counter(), inputs=[1, 2, 3, 4, 5], seeds=60)

    assert not report.is_complete
    assert 50 < report.orders <= 60


def test_a_run_that_raises_the_same_in_all_orders_raises_it():
    """An error that has nothing to do with the order is raised as itself, with a note."""

    async def fail(ctx: Ctx) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError('always')

    with pytest.raises(ValueError, match='always') as caught:
        any_order(side_by_side(fail, fail), state=Counter())

    assert any('orders that were tried' in note for note in caught.value.__notes__)


def test_a_check_decides_alone():
    """With a check, other differences are fine."""

    async def count(ctx: Ctx) -> int:
        ctx.state.n += 1
        return ctx.state.n

    def each_got_its_own(result):
        assert sorted(result.output) == [1, 2, 3]

    report = any_order(side_by_side(count, count, count), state=Counter(), check=each_got_its_own)

    assert report.orders == 6


def test_a_check_that_fails_in_the_plain_order_is_raised_as_itself():
    """A wrong expectation is no race."""

    def expect_three(result):
        assert result.state.n == 3

    with pytest.raises(AssertionError) as caught:
        any_order(side_by_side(left, right), state=Counter(), check=expect_three)

    assert not isinstance(caught.value, OrderDependence)


def test_states_without_equality_are_compared_by_their_attributes():
    """A state of a plain class is the same in two runs if its attributes are."""

    class Box:
        def __init__(self):
            self.items = {'n': 0.0}
            self.lock = anyio.Lock()

    async def put(ctx: StepContext[Box, None, None]) -> Box:
        async with ctx.state.lock:
            ctx.state.items['n'] = float('nan')
        return ctx.state

    assert any_order(side_by_side(put, put, state_type=Box), make_state=Box).orders > 1


# Repeating


def failing(**options):
    """The error of a search."""
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(left, right, add_at_once), state=Counter(), **options)
    return caught.value


def test_an_order_can_be_repeated():
    """The order of the message, given to `order`, does the same again."""
    found = failing()
    again = failing(order=found.order)

    assert (again.order, again.result.state) == (found.order, found.result.state)


def test_a_seed_can_be_repeated():
    """A seed that failed fails again, to the letter."""
    found = failing(seeds=range(30))

    assert str(failing(seed=found.seed)) == str(found)


def test_known_orders_are_tried_first():
    """An order that failed once can stay in the test: it is tried though there are no seeds."""
    assert failing(first=[[0, 1]], seeds=range(0)).order == (0, 1)


def test_random_draws_the_same_in_each_run():
    """`random` gives each run the same numbers, and goes on afterwards as if nothing had been."""

    async def draw(ctx: Ctx) -> float:
        await anyio.lowlevel.checkpoint()
        return random.random()

    random.seed(7)
    expected = random.Random(7).random()

    assert any_order(side_by_side(draw, add_at_once), state=Counter()).orders > 1
    assert random.random() == expected


# Bodies


def test_sleeping_takes_no_time():
    """An hour passes at once, on the loop's own clock, and in the right order."""

    async def sleep(ctx: Ctx) -> float:
        await anyio.sleep(3600)
        await asyncio.sleep(24 * 3600 * 3)
        return anyio.current_time()

    before = time.monotonic()
    report = any_order(side_by_side(sleep, sleep), state=Counter())

    assert report.output == [3600 * 73.0] * 2
    assert time.monotonic() - before < 30


def test_timeouts_work_in_bodies():
    """Time-outs of asyncio and anyio around a wait end it, though bodies are held up."""

    async def time_out(ctx: Ctx) -> bool:
        with anyio.move_on_after(5) as scope:
            await anyio.sleep(10)
        try:
            async with asyncio.timeout(1):
                await anyio.sleep(10)
        except TimeoutError:
            return scope.cancelled_caught
        return False

    assert any_order(side_by_side(time_out, time_out), state=Counter()).output == [True, True]


def test_a_poll_lets_others_work_and_time_pass():
    """A body that asks again and again, and only gives way, starves neither the others nor the clock."""

    async def poll(ctx: Ctx) -> int:
        while not ctx.state.n:
            await anyio.lowlevel.checkpoint()
        return 1

    async def sleep_and_set(ctx: Ctx) -> int:
        await anyio.sleep(60)
        ctx.state.n = 1
        return 2

    assert any_order(side_by_side(poll, sleep_and_set), state=Counter(), seeds=20).output == [1, 2]


def test_steps_that_may_be_abandoned_take_their_turn_too():
    """A plain step that a cancelled run may leave behind is ordered like the others."""
    g = GraphBuilder(state_type=Counter)
    one = g.step(lambda ctx: setattr(ctx.state, 'n', 1), node_id='one', abandon=True)
    two = g.step(lambda ctx: setattr(ctx.state, 'n', 2), node_id='two')
    both = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).to(one, two), g.edge_from(one, two).to(both), g.edge_from(both).to(g.end_node))

    with pytest.raises(OrderDependence, match=r'state\.n is 1, and 2 in the plain order'):
        any_order(g.build(), state=Counter())


def test_plain_functions_take_their_turn_in_the_same_thread():
    """A plain step is one turn, in the thread of the run, so that it can be ordered too."""

    def plain(ctx: Ctx) -> int:
        ctx.state.n = ctx.state.n * 2 + 1
        return get_ident()

    def other(ctx: Ctx) -> int:
        ctx.state.n += 1
        return get_ident()

    assert any_order(side_by_side(plain), state=Counter()).output == [get_ident()]
    with pytest.raises(OrderDependence) as caught:
        any_order(side_by_side(plain, other), state=Counter())
    assert caught.value.order == (1,)


def test_threads_of_a_body_are_waited_for():
    """What a body does in threads itself comes back, and its time-out does not strike meanwhile."""

    async def in_threads(ctx: Ctx) -> int:
        with anyio.fail_after(60):
            first = await anyio.to_thread.run_sync(lambda: 1)
            return first + await asyncio.to_thread(lambda: 2)

    assert any_order(side_by_side(in_threads), state=Counter()).output == [3]


def test_streams_and_limits_work():
    """A source that waits between its items, under a limit, gives the same in all orders."""
    g = GraphBuilder(output_type=int)

    @g.stream
    async def numbers(ctx: StepContext[None, None, None]):
        for number in (1, 2, 3):
            await anyio.sleep(1)
            yield number

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        await anyio.sleep(10 - ctx.inputs)
        return ctx.inputs * 2

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(numbers),
        g.edge_from(numbers).map(limit=2).to(double),
        g.edge_from(double).to(total),
        g.edge_from(total).to(g.end_node),
    )

    assert any_order(g.build(), seeds=50).output == 12


def test_cancelled_bodies_clean_up_in_every_order():
    """When one branch fails, what another one does on its way out is waited for."""
    began, cleaned = [], []

    async def fail(ctx: Ctx) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError('no')

    async def clean_up(ctx: Ctx) -> None:
        began.append(ctx.state)
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            cleaned.append(ctx.state)

    with pytest.raises(ValueError, match='no'):
        any_order(side_by_side(clean_up, fail), state=Counter())

    assert len(cleaned) == len(began) > 1


def test_each_run_has_a_state_and_inputs_of_its_own():
    """What one run does to its state and inputs is not seen by the next one, nor by the caller."""
    state, inputs = Counter(), [1, 2]
    g = GraphBuilder(state_type=Counter, input_type=list[int], output_type=int)

    @g.step
    async def use_up(ctx: StepContext[Counter, None, list[int]]) -> int:
        ctx.state.n += ctx.inputs.pop()
        return ctx.state.n

    g.add(g.edge_from(g.start_node).to(use_up), g.edge_from(use_up).to(g.end_node))

    assert any_order(g.build(), state=state, inputs=inputs, first=[[1], [0, 1]]).output == 2
    assert (state, inputs) == (Counter(), [1, 2])


# Where it is called


async def test_it_may_be_called_where_a_loop_runs():
    """In a notebook, or any other event loop, the search works in a thread of its own."""
    assert any_order(side_by_side(add_at_once, add_at_once), state=Counter()).is_complete


def test_what_cannot_be_copied_is_refused():
    """A state that cannot be copied is refused with the way out."""
    with pytest.raises(
        GraphSetupError, match=r'a copy of its state, and generator cannot be copied\. Give make_state='
    ):
        any_order(side_by_side(add_at_once), state=(n for n in ()))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'state': Counter(), 'make_state': Counter}, r'state= and make_state=\. Give one'),
        ({'deps': 1, 'make_deps': int}, r'deps= and make_deps=\. Give one'),
        ({'seed': 1, 'order': [0]}, r'seed= and order=\. Give the one'),
    ],
    ids=['state', 'deps', 'repeat'],
)
def test_arguments_that_contradict_each_other_are_refused(options, message):
    """Two ways to say one thing are refused."""
    with pytest.raises(GraphSetupError, match=message):
        any_order(side_by_side(add_at_once), **options)
