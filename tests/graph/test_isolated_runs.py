"""Runs of graphs whose state is isolated, from the outside: who sees what, when, and what becomes of changes.

Steps wait for one another at gates, never for time. What a view, a commit and a merge do by themselves is told in
`test_isolated_state.py`, what is found in a graph's shape in `test_state_conflicts.py`.
"""

import copy
import importlib
import itertools
import operator
import os
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypedDict

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from plait_graph import (
    BaseNode,
    BranchFailure,
    Cache,
    End,
    ErrorMarker,
    GraphBuilder,
    GraphBuildingError,
    GraphRunContext,
    GraphRuntimeError,
    GraphSetupError,
    GraphTaskRequest,
    GraphValidationError,
    JoinPolicy,
    Limit,
    Merge,
    ReduceFirstValue,
    Retry,
    StateConflict,
    StepTimeout,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.launch import make_environment
from plait_graph._run.outcomes import Ended
from plait_graph._run.restoring import restore
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.snapshot import snapshot
from plait_graph.testing import ManualRun, OrderDependence, TestClock, any_order


@dataclass
class Board:
    """A state with fields that one step may write, and fields that several may."""

    count: int = 0
    notes: list[str] = field(default_factory=list)
    log: Annotated[list[str], reduce_list_extend] = field(default_factory=list)
    total: Annotated[int, reduce_sum] = 0


class Gates(defaultdict[str, anyio.Event]):
    """Gates by name, for steps to wait at; and a place where they meet."""

    def __init__(self, expected: int = 2) -> None:
        super().__init__(anyio.Event)
        self.expected = expected

    async def meet(self) -> None:
        """Wait until as many have come as are expected."""
        self.expected -= 1
        if self.expected <= 0:
            self['met'].set()
        await self['met'].wait()


def builder(isolated=True, state_type=Board, **types):
    """A builder of a graph whose state is isolated."""
    return GraphBuilder(state_type=state_type, isolated_state=isolated, **types)


def row(*bodies, isolated=True, state_type=Board, **options):
    """Start -> one step after the other -> end."""
    g = builder(isolated, state_type)
    steps = [g.step(body, node_id=body.__name__, **options) for body in bodies]
    nodes = [g.start_node, *steps, g.end_node]
    g.add(*(g.edge_from(source).to(target) for source, target in itertools.pairwise(nodes)))
    return g.build()


def branches(*rows, isolated=True, reducer=reduce_list_append, policy=None):
    """Start -> rows of steps side by side -> a join -> end; a row of one step need not be a list."""
    g = builder(isolated)
    join = g.join(reducer, initial_factory=list, node_id='join', policy=policy)
    rows = [
        [g.step(body, node_id=body.__name__) for body in (each if isinstance(each, list) else [each])] for each in rows
    ]
    g.add(g.edge_from(g.start_node).to(*(steps[0] for steps in rows)), g.edge_from(join).to(g.end_node))
    for steps in rows:
        g.add(*(g.edge_from(one).to(following) for one, following in zip(steps, [*steps[1:], join], strict=True)))
    return g.build()


def over_items(*bodies, isolated=True, state_type=Board, reducer=reduce_list_append, **options):
    """Start -> map -> one step after the other -> a join -> end."""
    g = builder(isolated, state_type, input_type=list, output_type=list)
    steps = [g.step(body, node_id=body.__name__, **options) for body in bodies]
    join = g.join(reducer, initial_factory=list, node_id='join')
    g.add(g.edge_from(g.start_node).map(fork_id='map').to(steps[0]), g.edge_from(join).to(g.end_node))
    g.add(*(g.edge_from(one).to(following) for one, following in zip(steps, [*steps[1:], join], strict=True)))
    return g.build()


async def increase(ctx):
    """Add one, when all others have begun to do the same."""
    count = ctx.state.count
    await ctx.deps.meet()
    ctx.state.count = count + 1
    return ctx.inputs


async def report(ctx):
    """Give what the state is."""
    return ctx.state.count, ctx.state.notes


# What is seen, and when


async def test_a_step_sees_the_state_as_it_was_when_it_began():
    """What another step commits meanwhile is not seen, in fields that were touched before and in others."""

    async def reader(ctx):
        before = ctx.state.count
        ctx.deps['reading'].set()
        await ctx.deps['written'].wait()
        return before, ctx.state.count, ctx.state.notes

    async def writer(ctx):
        await ctx.deps['reading'].wait()
        ctx.state.count = 1
        ctx.state.notes.append('written')

    async def follower(ctx):
        ctx.deps['written'].set()
        return ctx.state.count, ctx.state.notes

    graph = branches(reader, [writer, follower])

    assert await graph.run(state=Board(), deps=Gates()) == [(0, 0, []), (1, ['written'])]


async def test_changes_come_all_together_when_a_step_has_ended():
    """A step that begins while another one is at its changes sees none of them, nor does the caller."""
    board = Board()

    async def writer(ctx):
        ctx.state.notes.append('one')
        ctx.state.count = 1
        ctx.deps['written'].set()
        await ctx.deps['seen'].wait()
        ctx.state.notes.append('two')

    async def waiter(ctx):
        await ctx.deps['written'].wait()

    async def observer(ctx):
        ctx.deps['seen'].set()
        return ctx.state.count, ctx.state.notes, board.count, board.notes

    result = await branches(writer, [waiter, observer]).run(state=board, deps=Gates())

    assert result == [None, (0, [], 0, [])]
    assert board == Board(1, ['one', 'two'])


async def test_steps_in_a_row_see_what_the_one_before_has_done():
    """One task alone works as many do: each begins with what was committed, and the caller's object shows it."""
    board = Board()
    seen = []

    async def work(ctx):
        seen.append((ctx.state.count, board.count))
        ctx.state.count += 1
        seen.append((ctx.state.count, board.count))

    async def work_again(ctx):
        await work(ctx)

    await row(work, work_again).run(state=board)

    assert seen == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert board.count == 2


async def test_what_a_step_gave_is_no_way_into_the_state():
    """A list out of the state that is handed on and changed later changes nothing."""

    async def give(ctx):
        ctx.state.notes.append('given')
        return ctx.state.notes

    async def change(ctx):
        ctx.inputs.append('smuggled')
        return ctx.state.notes

    board = Board()

    assert await row(give, change).run(state=board) == ['given']
    assert board.notes == ['given']


async def test_class_nodes_are_isolated_as_well():
    """A class node finds its own copy in its context, and what it did is committed when it returns."""
    board = Board()
    seen = []

    @dataclass
    class Second(BaseNode[Board, None, int]):
        async def run(self, ctx: GraphRunContext[Board]) -> End[int]:
            return End(ctx.state.count)

    @dataclass
    class First(BaseNode[Board, None, int]):
        async def run(self, ctx: GraphRunContext[Board]) -> Second:
            ctx.state.count = 7
            seen.append(board.count)
            return Second()

    g = builder(output_type=int)
    g.add(g.node(First), g.node(Second), g.edge_from(g.start_node).to(First))

    assert await g.build().run(state=board, inputs=First()) == 7
    assert seen == [0]


async def test_a_run_may_have_no_state():
    """A graph that isolates its state and is given none runs."""

    async def work(ctx):
        return ctx.state

    assert await row(work).run() is None


@pytest.mark.parametrize('isolated', [False, True])
async def test_shared_state_is_one_object_still(isolated):
    """Without the option steps have the caller's own object, with it they have not."""
    board = Board()

    async def work(ctx):
        return ctx.state is board

    assert await row(work, isolated=isolated).run(state=board) is not isolated


# Steps that change nothing


async def breaks(ctx):
    """Write, and fail."""
    ctx.state.count = 99
    ctx.state.log.append('broken')
    raise ValueError('broken')


async def lasts(ctx):
    """Write, say so, and wait for ever."""
    ctx.state.count = 99
    ctx.state.log.append('lasting')
    ctx.deps['written'].set()
    await anyio.sleep_forever()


async def wins(ctx):
    """Write and end, when the other one has written."""
    await ctx.deps['written'].wait()
    ctx.state.log.append('won')


async def test_a_step_that_fails_changes_nothing():
    """What it had written is gone, and what others wrote is there."""

    async def works(ctx):
        ctx.state.log.append('worked')

    board = Board()
    await branches(breaks, works, policy=JoinPolicy(failures='ignore')).run(state=board)

    assert board == Board(log=['worked'])


async def test_a_fallback_begins_without_what_the_failed_step_did():
    """The step that stands in sees the state as if the first one had never been."""
    g = builder()
    instead = g.step(report)
    first = g.step(breaks, fallback=instead)
    g.add(g.edge_from(g.start_node).to(first), g.edge_from(first, instead).to(g.end_node))
    board = Board()

    assert await g.build().run(state=board) == (0, [])
    assert board == Board()


async def test_a_step_whose_time_was_up_changes_nothing():
    """Neither what it wrote before it was stopped counts, nor what it writes then."""

    async def works_late(ctx):
        try:
            await lasts(ctx)
        finally:
            ctx.state.log.append('late')

    board, clock = Board(), TestClock()
    async with clock.autojump():
        with pytest.raises(StepTimeout):
            await row(works_late, timeout=1).run(state=board, deps=Gates(), clock=clock)

    assert board == Board()


async def test_a_step_that_gives_a_value_too_late_changes_nothing():
    """If a body ends as if nothing had been when its time is up, its changes are no more wanted than its value."""

    async def will_not_stop(ctx):
        with suppress(anyio.get_cancelled_exc_class()):
            await lasts(ctx)
        return 'too late'

    board, clock = Board(), TestClock()
    async with clock.autojump():
        with pytest.raises(StepTimeout):
            await row(will_not_stop, timeout=1).run(state=board, deps=Gates(), clock=clock)

    assert board == Board()


@pytest.mark.parametrize(
    'race', [{'reducer': ReduceFirstValue()}, {'policy': JoinPolicy(need=1, rest='cancel')}], ids=['first', 'need']
)
async def test_a_step_that_lost_changes_nothing(race):
    """The winner's changes are committed, those of who was cancelled are not."""
    board = Board()
    await branches(lasts, wins, **race).run(state=board, deps=Gates())

    assert board == Board(log=['won'])


async def test_a_step_that_may_run_on_changes_something():
    """With `rest='keep'` a step that comes too late for the join is not too late for the state."""

    async def slow(ctx):
        await ctx.deps['joined'].wait()
        ctx.state.log.append('slow')

    async def tell(ctx):
        ctx.deps['committed'].set()

    async def quick(ctx):
        ctx.state.log.append('quick')

    async def last(ctx):
        ctx.deps['joined'].set()
        await ctx.deps['committed'].wait()

    g = builder()
    slow_step, tell_step, quick_step, last_step = map(g.step, (slow, tell, quick, last))
    join = g.join(reduce_null, initial=None, policy=JoinPolicy(need=1, rest='keep'))
    g.add(
        g.edge_from(g.start_node).to(slow_step, quick_step),
        g.edge_from(slow_step).to(tell_step),
        g.edge_from(tell_step, quick_step).to(join),
        g.edge_from(join).to(last_step),
        g.edge_from(last_step).to(g.end_node),
    )
    board = Board()
    await g.build().run(state=board, deps=Gates())

    assert board == Board(log=['quick', 'slow'])


async def test_what_runs_when_the_end_is_reached_changes_nothing():
    """The first value at the end ends the run, and with it what other steps had begun to change."""
    g = builder()
    steps = [g.step(lasts), g.step(wins)]
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(g.end_node))
    board = Board()
    await g.build().run(state=board, deps=Gates())

    assert board == Board(log=['won'])


async def test_a_cancelled_run_keeps_what_was_committed():
    """Cancelling the caller drops what steps at work have done, and nothing else."""

    async def works(ctx):
        ctx.state.log.append('worked')

    board, gates = Board(), Gates()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: row(works, lasts).run(state=board, deps=gates))
        await gates['written'].wait()
        group.cancel_scope.cancel()

    assert board == Board(log=['worked'])


# Trying again


async def test_another_attempt_begins_with_the_state_as_it_is_then():
    """What a failed attempt did is forgotten, and what others have done meanwhile is there."""
    seen = []

    async def tries(ctx):
        seen.append((ctx.state.count, ctx.state.log))
        ctx.state.log.append(f'attempt {ctx.attempt}')
        if ctx.attempt == 1:
            await ctx.deps['written'].wait()
            raise ValueError

    async def writes(ctx):
        ctx.state.count = 5

    async def tells(ctx):
        ctx.deps['written'].set()

    g = builder()
    first, second, third = g.step(tries, retry=Retry(2)), g.step(writes), g.step(tells)
    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).to(first, second),
        g.edge_from(second).to(third),
        g.edge_from(first, third).to(join),
        g.edge_from(join).to(g.end_node),
    )
    board = Board()
    await g.build().run(state=board, deps=Gates())

    assert seen == [(0, ['attempt 1']), (5, ['attempt 2'])]
    assert board == Board(count=5, log=['attempt 2'])


async def test_retry_heals_a_conflict():
    """Steps that would lose an update in a shared state count right, at the price of further attempts."""
    board = Board()
    graph = over_items(increase, retry=Retry(5))

    assert await graph.run(state=board, deps=Gates(5), inputs=[1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5]
    assert board.count == 5


async def test_retry_can_be_for_conflicts_alone():
    """A conflict is an exception like others, which a policy can name."""
    board = Board()
    await over_items(increase, retry=Retry(2, on=StateConflict)).run(state=board, deps=Gates(), inputs=[1, 2])

    assert board.count == 2


# Merging


class BoardModel(BaseModel):
    """The same fields for each kind of state."""

    log: Annotated[list[str], reduce_list_extend] = []
    total: Annotated[int, reduce_sum] = 0
    by_name: Annotated[dict[str, int], reduce_dict_update] = {}
    tags: Annotated[set[str], operator.or_] = set()
    best: Annotated[int, Merge(lambda base, theirs, mine: max(theirs, mine))] = 0


@dataclass
class BoardClass:
    log: Annotated[list[str], reduce_list_extend] = field(default_factory=list)
    total: Annotated[int, reduce_sum] = 0
    by_name: Annotated[dict[str, int], reduce_dict_update] = field(default_factory=dict)
    tags: Annotated[set[str], operator.or_] = field(default_factory=set)
    best: Annotated[int, Merge(lambda base, theirs, mine: max(theirs, mine))] = 0


class BoardDict(TypedDict):
    log: Annotated[list[str], reduce_list_extend]
    total: Annotated[int, reduce_sum]
    by_name: Annotated[dict[str, int], reduce_dict_update]
    tags: Annotated[set[str], operator.or_]
    best: Annotated[int, Merge(lambda base, theirs, mine: max(theirs, mine))]


def write(state, name):
    """Change all fields."""
    state.log.append(name)
    state.total += len(name)
    state.by_name[name] = len(name)
    state.tags.add(name[0])
    state.best = len(name)


def write_keys(state, name):
    """The same for a dict."""
    state['log'].append(name)
    state['total'] += len(name)
    state['by_name'][name] = len(name)
    state['tags'].add(name[0])
    state['best'] = len(name)


@pytest.mark.parametrize(
    ('state_type', 'make', 'write', 'read'),
    [
        (BoardClass, BoardClass, write, vars),
        (BoardModel, BoardModel, write, BoardModel.model_dump),
        (BoardDict, lambda: {'log': [], 'total': 0, 'by_name': {}, 'tags': set(), 'best': 0}, write_keys, dict),
    ],
    ids=['dataclass', 'model', 'typed dict'],
)
async def test_changes_are_merged_as_the_class_declares(state_type, make, write, read):
    """Each kind of state says with annotations how its fields are merged; lists have the order of completion."""

    async def work(ctx):
        if ctx.inputs == 'anna':
            await ctx.deps['bo'].wait()
        write(ctx.state, ctx.inputs)
        return ctx.inputs

    async def tell(ctx):
        ctx.deps[ctx.inputs].set()

    state = make()
    await over_items(work, tell, state_type=state_type).run(state=state, deps=Gates(), inputs=['anna', 'bo'])

    assert read(state) == {
        'log': ['bo', 'anna'],
        'total': 6,
        'by_name': {'bo': 2, 'anna': 4},
        'tags': {'a', 'b'},
        'best': 4,
    }


async def test_a_field_that_one_has_removed_is_gone_for_those_who_begin_later():
    """A key is removed as it is set: when the step has ended."""

    async def remove(ctx):
        del ctx.state['note']

    async def look(ctx):
        return 'note' in ctx.state

    state = {'note': 1}

    assert await row(remove, look, state_type=dict).run(state=state) is False
    assert state == {}


# Conflicts


async def left(ctx):
    """Write when both have begun."""
    await checkpoint()
    ctx.state.notes = ['left']


async def right(ctx):
    """Write something else, when the other one has committed."""
    await ctx.deps['left'].wait()
    ctx.state.notes = ['right']


async def tell_left(ctx):
    """Let the right one write."""
    ctx.deps['left'].set()


async def test_a_conflict_names_the_steps_the_field_and_the_values():
    """The second one to end fails; what the first one committed stays."""
    board = Board()
    with pytest.raises(StateConflict) as caught:
        await branches([left, tell_left], right).run(state=board, deps=Gates())

    message = str(caught.value)
    assert message.startswith("Field 'notes' of state Board was changed by 'left (task:")
    assert "and by 'right (task:" in message
    assert "made it ['left']" in message
    assert "['right']" in message
    assert 'Declare a reducer' in message
    assert caught.value.__notes__[0].startswith("in step 'right' (task:")
    assert board.notes == ['left']


async def test_a_conflict_names_the_items():
    """One step that is run for several items conflicts with itself, and the items tell the tasks apart."""
    with pytest.raises(StateConflict) as caught:
        await over_items(increase).run(state=Board(), deps=Gates(), inputs=[5, 6])

    message = str(caught.value)
    assert "item 0 of map 'map'" in message
    assert "item 1 of map 'map'" in message


async def test_equal_values_conflict_as_well():
    """Two steps that both make one of zero have lost an update, though they agree on the value."""
    with pytest.raises(StateConflict, match='made it 1'):
        await over_items(increase).run(state=Board(), deps=Gates(), inputs=[1, 2])


async def test_fields_of_a_conflicting_step_are_committed_all_or_none():
    """A field that could be merged is not, if another one of the same step cannot be."""

    async def work(ctx):
        await ctx.deps.meet()
        ctx.state.log.append(ctx.inputs)
        ctx.state.notes = [ctx.inputs]

    board = Board()
    with pytest.raises(StateConflict):
        await over_items(work).run(state=board, deps=Gates(), inputs=['a', 'b'])

    assert len(board.log) == 1
    assert board.log == board.notes


async def test_a_join_collects_a_conflict_as_it_does_other_failures():
    """Whoever takes failures takes this one, and the run goes on."""
    graph = branches([left, tell_left], right, policy=JoinPolicy(failures='collect'))
    board = Board()

    value, failure = await graph.run(state=board, deps=Gates())

    assert value is None
    assert isinstance(failure, BranchFailure)
    assert isinstance(failure.error, StateConflict)
    assert failure.node_id == 'right'
    assert board.notes == ['left']


async def test_a_conflict_sends_the_inputs_to_the_fallback():
    """A step that could not commit has failed, also in the eyes of its fallback."""

    async def instead(ctx):
        return 'instead', ctx.inputs

    g = builder(input_type=list)
    second = g.step(instead)
    first = g.step(increase, fallback=second)
    join = g.join(reduce_list_append, initial_factory=list)
    g.add(
        g.edge_from(g.start_node).map().to(first),
        g.edge_from(first, second).to(join),
        g.edge_from(join).to(g.end_node),
    )
    board = Board()

    assert sorted(await g.build().run(state=board, deps=Gates(), inputs=[7, 7]), key=str) == [('instead', 7), 7]
    assert board.count == 1


async def test_what_a_reducer_of_a_field_raises_is_a_failure_of_the_step():
    """A merge that goes wrong leaves the state alone and the exception as it is."""

    def never(base, theirs, mine):
        raise ArithmeticError('no way')

    @dataclass
    class State:
        value: Annotated[int, Merge(never)] = 0

    async def work(ctx):
        await ctx.deps.meet()
        ctx.state.value = ctx.inputs

    state = State()
    with pytest.raises(ArithmeticError, match='no way') as caught:
        await over_items(work, state_type=State).run(state=state, deps=Gates(), inputs=[1, 2])

    assert "in step 'work'" in caught.value.__notes__[0]
    assert state.value in (1, 2)


# What stands on edges


async def test_a_transform_reads_what_is_committed_and_changes_nothing():
    """It sees what the step before it did; what it writes is forgotten."""

    async def work(ctx):
        ctx.state.count = 3

    def peek(ctx):
        ctx.state.count += 1
        ctx.state.log.append('peeked')
        return ctx.state.count

    g = builder()
    step, last = g.step(work), g.step(report)
    g.add(
        g.edge_from(g.start_node).to(step),
        g.edge_from(step).transform(peek).transform(lambda ctx: (ctx.inputs, ctx.state.count)).label('x').to(last),
        g.edge_from(last).transform(lambda ctx: ctx.inputs).to(g.end_node),
    )
    board = Board()

    assert await g.build().run(state=board) == (3, [])
    assert board == Board(count=3)


async def test_the_weight_of_a_limit_changes_nothing():
    """It may look at the state; what it writes is forgotten."""
    weights = []

    def weight(ctx):
        ctx.state.count += 1
        weights.append(ctx.state.count)
        return ctx.state.count

    async def work(ctx):
        return ctx.state.count

    limit = Limit('isolated runs', units_per_minute=1000).weighing(weight)
    board = Board(count=4)

    assert await row(work, limit=limit).run(state=board) == 4
    assert weights == [5]
    assert board.count == 4


@pytest.mark.parametrize('is_found', [False, True])
async def test_the_key_of_a_cache_changes_nothing(is_found):
    """It may look at the state; what it writes is forgotten, whether a value is found or not."""

    def key(ctx):
        ctx.state.notes.append('asked')
        return ctx.inputs

    async def work(ctx):
        return 'value'

    graph = row(work, cache=Cache(key))
    if is_found:
        await graph.run(state=Board(), inputs=1)
    board = Board()

    assert await graph.run(state=board, inputs=1) == 'value'
    assert board == Board()


async def test_a_value_is_kept_under_the_state_that_it_was_made_from():
    """A step that changes what its cache's key looks at is found again by the state that it began with."""
    calls = []

    async def work(ctx):
        calls.append(ctx.state.count)
        ctx.state.count += 1
        return ctx.state.count

    graph = row(work, cache=Cache(lambda ctx: ctx.state.count))

    assert [await graph.run(state=Board(count=count)) for count in (0, 1, 0)] == [1, 2, 1]
    assert calls == [0, 1]


async def test_a_reducer_commits_with_each_fold():
    """What it writes is seen by steps that begin later, before its join has fired."""

    async def work(ctx):
        if ctx.inputs:
            await ctx.deps['folded'].wait()
        return ctx.inputs

    def note(ctx, current, value):
        ctx.state.log.append(f'folded {value}')
        if value == 0:
            ctx.deps['folded'].set()
        seen.append(list(board.log))
        return current

    board, seen = Board(), []
    await over_items(work, reducer=note).run(state=board, deps=Gates(), inputs=[0, 1])

    assert seen == [[], ['folded 0']]
    assert board.log == ['folded 0', 'folded 1']


async def test_a_reducer_that_raises_commits_nothing():
    """What it wrote before is forgotten."""

    def note(ctx, current, value):
        ctx.state.log.append('folded')
        raise ArithmeticError

    async def work(ctx):
        return None

    board = Board()
    with pytest.raises(ArithmeticError):
        await over_items(work, reducer=note).run(state=board, inputs=[1])

    assert board == Board()


async def test_a_step_conflicts_with_a_reducer():
    """A reducer that writes what a step is about to write counts as another writer, by the name of its join."""

    def count(ctx, current, value):
        ctx.state.count += 1
        return current

    async def quick(ctx):
        return None

    async def begun(ctx):
        await ctx.deps['folded'].wait()
        ctx.state.count = 10

    async def late(ctx):
        ctx.deps['folded'].set()

    g = builder()
    quick_step, begun_step, late_step = map(g.step, (quick, begun, late))
    inner = g.join(count, initial_factory=list, node_id='inner', parent_fork_id='inner_map')
    outer = g.join(reduce_null, initial=None, node_id='outer')
    g.add(
        g.edge_from(g.start_node).broadcast(
            lambda fork: [
                fork.transform(lambda ctx: [1]).map(fork_id='inner_map').to(quick_step),
                fork.to(begun_step),
            ]
        ),
        g.edge_from(quick_step).to(inner),
        g.edge_from(inner).to(late_step),
        g.edge_from(late_step, begun_step).to(outer),
        g.edge_from(outer).to(g.end_node),
    )
    with pytest.raises(StateConflict, match=r"changed by 'join inner' and by 'begun \("):
        await g.build().run(state=Board(), deps=Gates())


# Subgraphs


def inside(graph, state_type=Board, isolated=True, **mappings):
    """Start -> the graph as a step `sub` -> end."""
    g = builder(isolated, state_type)
    sub = graph.as_step(node_id='sub', **mappings)
    g.add(g.edge_from(g.start_node).to(sub), g.edge_from(sub).to(g.end_node))
    return g.build()


async def test_steps_of_a_subgraph_are_isolated_from_all_others():
    """They share the state of the run, and each of them commits by itself when it ends."""

    async def inner_step(ctx):
        ctx.state.count += 1
        ctx.state.log.append('inner')

    g = builder()
    sub = row(inner_step, report).as_step(node_id='sub')
    other = g.step(right)
    join = g.join(reduce_list_append, initial_factory=list)
    tell = g.step(tell_left)
    g.add(
        g.edge_from(g.start_node).to(sub, other),
        g.edge_from(sub).to(tell),
        g.edge_from(tell, other).to(join),
        g.edge_from(join).to(g.end_node),
    )
    board = Board()
    await g.build().run(state=board, deps=Gates())

    assert board == Board(count=1, notes=['right'], log=['inner'])


async def test_a_graph_that_is_used_as_a_step_follows_the_one_that_is_run():
    """A subgraph that was built without isolation is isolated as well, if the graph around it is."""
    with pytest.raises(StateConflict):
        await inside(over_items(increase, isolated=False)).run(state=Board(), deps=Gates(), inputs=[1, 2])


async def test_a_subgraph_with_a_state_of_its_own_is_isolated_though_the_graph_around_it_is_not():
    """The inner graph's own wish counts where it shares nothing with the outer one."""
    inner_state = Board()
    graph = inside(over_items(increase), isolated=False, state=lambda ctx: inner_state)

    with pytest.raises(StateConflict):
        await graph.run(state=Board(), deps=Gates(), inputs=[1, 2])


def test_an_isolated_subgraph_does_not_share_a_state_that_is_not():
    """A graph whose steps race on the state cannot take in one that was promised that nobody does."""
    with pytest.raises(GraphBuildingError, match=r"Subgraph 'sub' was built with isolated_state=True.*as_step\(state="):
        inside(row(report), isolated=False)


def test_conflicts_that_are_certain_in_a_subgraph_are_findings_of_the_graph_around_it():
    """A graph that was not isolated when it was built is searched when one that is takes it in."""

    async def work(ctx):
        ctx.state.count += 1

    (finding,) = inside(over_items(work, isolated=False)).findings

    assert (finding.code, finding.nodes) == ('state-conflict', ('sub/map', 'sub/work'))
    assert finding.message.startswith("In subgraph 'sub': Step 'work' writes field 'count'")


async def test_a_step_of_a_subgraph_conflicts_with_one_outside():
    """The message has the path of the inner step."""
    g = builder()
    sub, other, tell = row(left).as_step(node_id='sub'), g.step(right), g.step(tell_left)
    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).to(sub, other),
        g.edge_from(sub).to(tell),
        g.edge_from(tell, other).to(join),
        g.edge_from(join).to(g.end_node),
    )
    with pytest.raises(StateConflict, match=r"changed by 'sub/left \("):
        await g.build().run(state=Board(), deps=Gates())


async def test_a_subgraph_may_have_a_state_of_its_own():
    """What its steps do there is isolated and merged as its own class declares, and does not touch the outer state."""
    inner_state = BoardClass()

    async def work(ctx):
        await ctx.deps.meet()
        ctx.state.total += ctx.inputs
        ctx.state.best = ctx.inputs

    outer_state = Board(total=100)
    graph = inside(over_items(work, state_type=BoardClass), state=lambda ctx: inner_state)
    await graph.run(state=outer_state, deps=Gates(), inputs=[2, 3])

    assert inner_state == BoardClass(total=5, best=3)
    assert outer_state == Board(total=100)


async def test_a_typed_dict_of_a_subgraph_declares_how_its_keys_are_merged():
    """A plain dict says nothing by itself, so the inner graph's own state type counts."""
    inner_state = {'total': 0}

    async def work(ctx):
        await ctx.deps.meet()
        ctx.state['total'] += ctx.inputs

    graph = inside(over_items(work, state_type=BoardDict), state=lambda ctx: inner_state)
    await graph.run(state=Board(), deps=Gates(), inputs=[2, 3])

    assert inner_state == {'total': 5}


async def test_a_part_of_the_state_given_to_a_subgraph_is_a_copy():
    """Mappings read what is committed, and change nothing: what the subgraph found comes back as its value."""

    async def work(ctx):
        ctx.state['found'] = 1
        return dict(ctx.state)

    def part(ctx):
        ctx.state['mapped'] = True
        return ctx.state['part']

    state = {'part': {'known': 0}}
    graph = inside(row(work, state_type=dict), state_type=dict, state=part)

    assert await graph.run(state=state) == {'known': 0, 'found': 1}
    assert state == {'part': {'known': 0}}


async def test_state_of_a_subgraph_that_cannot_be_isolated_is_a_failure_of_its_step():
    """The error says what can be isolated, and where it happened."""
    with pytest.raises(GraphSetupError, match='cannot be isolated') as caught:
        await inside(row(report), state=lambda ctx: 5).run(state=Board())

    assert "in the isolated state of subgraph 'sub'" in caught.value.__notes__[0]


async def test_a_run_within_a_step_may_have_the_steps_copy():
    """A graph that is run by a body works on what the body sees; the body commits it."""

    async def work(ctx):
        await over_items(increase).run(state=ctx.state, deps=Gates(1), inputs=[1])
        return board.count, ctx.state.count

    board = Board()

    assert await row(work).run(state=board) == (0, 1)
    assert board.count == 1


# Threads and processes


async def test_plain_steps_work_on_copies_in_their_threads():
    """Threads that change one state at the same time need no lock."""

    def work(ctx):
        before = ctx.state.total
        anyio.from_thread.run(ctx.deps.meet)
        ctx.state.total += ctx.inputs
        ctx.state.log.append(str(ctx.inputs))
        return before

    board = Board()

    assert await over_items(work).run(state=board, deps=Gates(), inputs=[1, 2]) == [0, 0]
    assert board.total == 3
    assert sorted(board.log) == ['1', '2']


async def test_an_abandoned_thread_changes_nothing():
    """A thread that is left behind when its step lost goes on with its copy, and nobody sees it."""

    def work(ctx):
        ctx.state.log.append('begun')
        anyio.from_thread.run_sync(ctx.deps['written'].set)
        go_on.wait()
        ctx.state.log.append('abandoned')
        read.append(ctx.state.log)
        ended.set()

    g = builder()
    steps = [g.step(work, abandon=True), g.step(wins)]
    join = g.join(ReduceFirstValue(), initial=None)
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(join), g.edge_from(join).to(g.end_node))
    board, go_on, ended, read = Board(), threading.Event(), threading.Event(), []
    await g.build().run(state=board, deps=Gates())
    go_on.set()
    await anyio.to_thread.run_sync(ended.wait)

    assert board == Board(log=['won'])
    assert read == [['begun', 'abandoned']]


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Functions and states that a worker process can import."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module('isolated_bodies')


async def test_steps_in_processes_send_back_what_they_changed(bodies):
    """A process gets the state whole; its changes are committed and merged here like those of other steps."""
    tally = bodies.Tally()
    pids = await over_items(bodies.count, state_type=bodies.Tally, worker='process').run(state=tally, inputs=[1, 2])

    assert os.getpid() not in pids
    assert tally.total == 3
    assert sorted(tally.words) == ['1', '2']
    assert tally.untouched == ['as it was']


async def test_a_step_that_fails_in_a_process_changes_nothing(bodies):
    """What it wrote over there stays there, and the next attempt is sent the state as it is then."""
    tally = bodies.Tally()
    seen = await row(bodies.fail_once, state_type=bodies.Tally, worker='process', retry=Retry(2)).run(state=tally)

    assert seen == []
    assert tally.words == ['attempt 2']


async def test_state_that_cannot_be_sent_to_a_process_is_named(bodies):
    """The field that is in the way, and what to do about it, are in the error."""
    tally = bodies.Tally(untouched=[lambda: None])
    with pytest.raises(GraphRuntimeError, match=r"because of field 'untouched'.*Keep what cannot be pickled in deps"):
        await row(bodies.count, state_type=bodies.Tally, worker='process').run(state=tally, inputs=1)


# Streams


def streaming(stream, *bodies):
    """Start -> the stream -> map -> one step after the other -> a join -> report -> end."""
    g = builder()
    source, steps, last = g.stream(stream), [g.step(body) for body in bodies], g.step(report)
    join = g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).to(source),
        g.edge_from(source).map().to(steps[0]),
        *(g.edge_from(one).to(following) for one, following in itertools.pairwise([*steps, join, last, g.end_node])),
    )
    return g.build()


async def test_a_stream_commits_when_it_has_given_its_last_item():
    """Its items flow before that; steps that begin meanwhile do not see its changes, what follows the map does."""
    seen = []

    async def produce(ctx):
        for number in range(3):
            ctx.state.count += 1
            yield number
            await ctx.deps[f'seen {number}'].wait()
        ctx.state.notes.append('all')

    async def consume(ctx):
        seen.append((ctx.inputs, ctx.state.count))
        ctx.deps[f'seen {ctx.inputs}'].set()

    board = Board()

    assert await streaming(produce, consume).run(state=board, deps=Gates()) == (3, ['all'])
    assert seen == [(0, 0), (1, 0), (2, 0)]
    assert board == Board(3, ['all'])


async def test_a_stream_sees_the_state_as_it_was_when_it_began():
    """What steps commit that work on its first items is not seen, in fields that it looks at later."""
    seen = []

    async def produce(ctx):
        yield 1
        await ctx.deps['told'].wait()
        seen.append(ctx.state.notes)

    async def consume(ctx):
        ctx.state.notes.append('consumed')

    async def tell(ctx):
        ctx.deps['told'].set()

    board = Board()
    await streaming(produce, consume, tell).run(state=board, deps=Gates())

    assert seen == [[]]
    assert board.notes == ['consumed']


async def test_a_stream_that_conflicts_fails():
    """What the steps that work on its items have written may not be written by it as well."""

    async def produce(ctx):
        yield 1
        await ctx.deps['told'].wait()
        ctx.state.count = 1

    async def consume(ctx):
        ctx.state.count = 2

    async def tell(ctx):
        ctx.deps['told'].set()

    with pytest.raises(StateConflict, match=r'changed by "consume .* and by .produce '):
        await streaming(produce, consume, tell).run(state=Board(), deps=Gates())


async def test_a_stream_that_fails_changes_nothing():
    """Its items that had come were worked on; what it wrote is forgotten."""

    async def produce(ctx):
        ctx.state.count = 1
        yield 1
        raise ValueError('dry')

    async def consume(ctx):
        return None

    board = Board()
    with pytest.raises(ValueError, match='dry'):
        await streaming(produce, consume).run(state=board)

    assert board == Board()


async def test_a_stream_that_is_stopped_changes_nothing():
    """If nobody wants more of it, it ends before its end."""
    closed = []

    async def produce(ctx):
        ctx.state.count = 1
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            closed.append(ctx.state.count)

    async def consume(ctx):
        return ctx.inputs

    g = builder()
    source, step = g.stream(produce), g.step(consume)
    first = g.join(ReduceFirstValue(), initial=None)
    g.add(
        g.edge_from(g.start_node).to(source),
        g.edge_from(source).map().to(step),
        g.edge_from(step).to(first),
        g.edge_from(first).to(g.end_node),
    )
    board = Board()

    assert await g.build().run(state=board) == 1
    assert closed == [1]
    assert board == Board()


async def test_a_stream_may_give_any_async_iterable():
    """What a stream function returns need not be a generator."""

    class Numbers:
        def __init__(self, ctx):
            self.ctx = ctx

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.ctx.state.total += 1
            if self.ctx.state.total > 2:
                raise StopAsyncIteration
            return self.ctx.state.total

    def produce(ctx):
        return Numbers(ctx)

    async def consume(ctx):
        ctx.state.log.append(str(ctx.inputs))

    board = Board()
    await streaming(produce, consume).run(state=board)

    assert board == Board(log=['1', '2'], total=3)


# Watched and steered runs


async def exhaust(run):
    """Iterate over the rest of a run."""
    async for _ in run:
        pass


async def test_a_watched_run_shows_what_is_committed():
    """Between two events `run.state` and the caller's object are what the steps so far have done."""
    board = Board()
    shown = []
    async with row(increase, left, report).iter(state=board, deps=Gates(1)) as run:
        shown.extend([(run.state.count, list(run.state.notes)) async for _ in run])

    assert run.state is board
    assert run.output == (1, ['left'])
    assert shown == [(0, []), (1, []), *[(1, ['left'])] * 3]


async def test_what_a_step_did_stays_when_what_follows_is_replaced():
    """Steering a run changes where it goes, not what was committed."""
    async with row(left, increase, report).iter(state=Board(), deps=Gates(1)) as run:
        await anext(run)
        await anext(run)
        assert run.state.notes == ['left']
        await run.next([GraphTaskRequest('report', None, ())])
        await exhaust(run)

    assert run.output == (0, ['left'])


async def test_a_conflict_can_be_recovered_from():
    """While iterating, a conflict is an error like others: another task in its place begins with what is committed."""
    async with over_items(increase).iter(state=Board(), deps=Gates(), inputs=[1, 2]) as run:
        await anext(run)
        _, second = await anext(run)
        with pytest.raises(StateConflict):
            await exhaust(run)
        assert isinstance(run.next_task, ErrorMarker)
        assert run.state.count == 1
        run.override_next([GraphTaskRequest('increase', 7, second.fork_stack)])
        await exhaust(run)

    assert 7 in run.output
    assert len(run.output) == 2
    assert run.state.count == 2


async def test_what_runs_when_the_block_is_left_changes_nothing():
    """Leaving early stops the steps, and forgets what they had begun to change."""
    board, gates = Board(), Gates()
    async with branches(lasts, lasts_too).iter(state=board, deps=gates) as run:
        await anext(run)
        await anext(run)
        async with anyio.create_task_group() as group:
            group.start_soon(run.next)
            await gates['written'].wait()
            group.cancel_scope.cancel()

    assert board == Board()


async def lasts_too(ctx):
    """Do the same in another branch."""
    await lasts(ctx)


def test_a_manual_run_commits_what_reducers_write():
    """No body is called, so only reducers change the state, each fold by itself."""

    def note(ctx, current, value):
        ctx.state.total += value
        return current

    run = ManualRun(over_items(increase, reducer=note), state=Board(), inputs=['a', 'b'])
    run.finish('increase', 5, item=1)
    assert run.state.total == 5
    run.finish('increase', 3, item=0)

    assert run.is_over
    assert run.state.total == 8


# All orders


def test_state_that_is_merged_is_the_same_in_every_order():
    """If the reducers do not mind the order, neither does the outcome."""

    async def work(ctx):
        ctx.state.total += ctx.inputs
        await checkpoint()
        ctx.state.tags.add(str(ctx.inputs))
        ctx.state.by_name[str(ctx.inputs)] = ctx.inputs
        ctx.state.best = max(ctx.state.best, ctx.inputs)

    report = any_order(over_items(work, state_type=BoardClass), make_state=BoardClass, inputs=[1, 2, 3])

    assert report.orders == 90
    assert report.plain.state == BoardClass(total=6, by_name={'1': 1, '2': 2, '3': 3}, tags={'1', '2', '3'}, best=3)


async def races(ctx):
    """Read, wait, write."""
    count = ctx.state.count
    await checkpoint()
    ctx.state.count = count + 1


def test_a_race_on_a_shared_state_loses_an_update_in_some_order():
    """Without isolation nobody is told, but by a test of all orders."""
    with pytest.raises(OrderDependence) as caught:
        any_order(over_items(races, isolated=False), state=Board(), inputs=[1, 2])

    assert caught.value.plain.state.count == 2
    assert caught.value.result.state.count == 1


def test_a_race_on_isolated_state_is_a_conflict():
    """With isolation the run fails, and says which steps wrote what."""
    with pytest.raises(OrderDependence) as caught:
        any_order(over_items(races), state=Board(), inputs=[1, 2])

    assert isinstance(caught.value.result.error, StateConflict)


def test_a_body_begins_with_the_state_when_its_turn_comes():
    """Bodies that wait for nothing overlap in no order, so they do not conflict in any."""

    async def add(ctx):
        ctx.state.count += ctx.inputs

    graph = over_items(add)
    report = any_order(graph, inputs=[1, 2, 3], make_state=Board)

    assert report.plain.state.count == 6


def test_orders_of_steps_in_processes_are_tried_in_place(bodies):
    """No process is started, and the state is sent and taken back as for one."""
    graph = over_items(bodies.count, state_type=bodies.Tally, worker='process')
    totals = []

    def check(result):
        assert set(result.output) == {os.getpid()}
        totals.append(result.state.total)

    any_order(graph, inputs=[1, 2], make_state=bodies.Tally, check=check)

    assert set(totals) == {3}


def test_a_race_that_is_retried_is_none():
    """With isolation and a retry the count is right in every order."""
    report = any_order(over_items(races, retry=Retry(3)), state=Board(), inputs=[1, 2])

    assert report.plain.state.count == 2


# What is refused, and what is found


@pytest.mark.parametrize('state', [object(), 'text', [1], Board], ids=repr)
async def test_state_that_cannot_be_isolated_is_refused_when_the_run_starts(state):
    """No step has run when the error comes, which says what can be isolated."""
    calls = []

    async def work(ctx):
        calls.append(ctx)

    graph = row(work)
    for start in (graph.run, graph.iter):
        with pytest.raises(GraphSetupError, match='cannot be isolated: it is neither'):
            await start(state=state)

    assert calls == []


async def test_a_frozen_state_is_refused():
    """A class that lets nobody change its fields has nothing to commit."""

    @dataclass(frozen=True)
    class Frozen:
        count: int = 0

    with pytest.raises(GraphSetupError, match='Frozen cannot be isolated: it is frozen'):
        await row(report, state_type=Frozen).run(state=Frozen())


def test_a_reducer_that_cannot_be_one_is_refused_by_build():
    """The class of the state is read when the graph is built, and only if it is to be isolated."""

    @dataclass
    class Wrong:
        items: Annotated[list[Any], lambda only: None] = field(default_factory=list)

    row(report, state_type=Wrong, isolated=False)
    with pytest.raises(GraphSetupError, match=r"Field 'items' of Wrong .* does not take the arguments"):
        row(report, state_type=Wrong)


def test_a_merge_of_two_values_is_refused_by_build():
    """A function that merges takes what both began with as well."""

    @dataclass
    class Wrong:
        items: Annotated[list[Any], Merge(lambda theirs, mine: theirs)] = field(default_factory=list)

    with pytest.raises(GraphSetupError, match='Give a function of'):
        row(report, state_type=Wrong)


async def surely_writes(ctx):
    """Write a field that nothing merges."""
    ctx.state.notes = ['sure']


async def surely_writes_too(ctx):
    """Write it as well."""
    ctx.state.notes.append('sure')


@pytest.mark.parametrize(
    ('make', 'nodes'),
    [
        (lambda **options: over_items(surely_writes, **options), ('map', 'surely_writes')),
        (
            lambda **options: branches(surely_writes, surely_writes_too, **options),
            ('broadcast', 'surely_writes', 'surely_writes_too'),
        ),
    ],
    ids=['map', 'branches'],
)
def test_a_conflict_that_is_certain_is_a_finding(make, nodes):
    """A build finds it, if the state is isolated."""
    (finding,) = make().findings

    assert finding.code == 'state-conflict'
    assert finding.nodes == nodes
    assert make(isolated=False).findings == ()


def test_a_conflict_that_is_certain_can_be_an_error():
    """`build(findings='error')` refuses the graph."""
    g = builder(input_type=list)
    step, join = g.step(surely_writes), g.join(reduce_null, initial=None)
    g.add(
        g.edge_from(g.start_node).map().to(step),
        g.edge_from(step).to(join),
        g.edge_from(join).to(g.end_node),
    )
    with pytest.raises(GraphValidationError, match="'surely_writes' writes field 'notes' of state Board"):
        g.build(findings='error')


# Snapshots


def begun(graph, board):
    """A run whose steps are at work, and the names of their nodes."""
    scheduler = Scheduler(graph.plan, Evaluator(), environment(graph, board))
    scheduler.begin(None)
    return scheduler


def environment(graph, board):
    """What the steps of a run see."""
    return make_environment(graph.plan, board, None, graph.state_type)


def work(scheduler, node_id, value=None):
    """Let the step at a node write what it is, and end."""
    while scheduler.take():
        pass
    (task,) = (task for task in scheduler.running.values() if task.node.id == node_id)
    scheduler.views[task.id].view.state.log.append(node_id)
    scheduler.finish(task, value)


def test_a_restored_run_goes_on_from_what_was_committed():
    """Steps that were at work begin again, with copies of the state that is given with the snapshot."""
    graph, board = branches([left, tell_left], right), Board()
    scheduler = begun(graph, board)
    work(scheduler, 'left')
    data, kept = snapshot(scheduler), copy.deepcopy(board)

    restored = restore(graph.plan, data, Evaluator(), environment(graph, kept))
    restored.requeue()
    work(restored, 'right', 'b')
    work(restored, 'tell_left', 'a')

    assert restored.outcome == Ended(['a', 'b'])
    assert kept.log == ['left', 'right', 'tell_left']
    assert board.log == ['left']


@pytest.mark.parametrize('isolated', [False, True])
def test_a_restored_subgraph_shares_the_state_of_its_run(isolated):
    """A subgraph that was given no state of its own has none after a restore either."""
    graph = inside(row(left, right, isolated=isolated), isolated=isolated)
    scheduler = begun(graph, Board())
    scheduler.finish(scheduler.take(), None)

    board = Board()
    restored = restore(graph.plan, snapshot(scheduler), Evaluator(), environment(graph, board))
    task = restored.take()

    assert task.node.id == 'sub/right'
    assert task.region.env.state is board


def test_a_restored_subgraph_has_its_own_state_again():
    """A state that was mapped is a part of the snapshot, and isolated as before."""
    inner_board = Board()
    graph = inside(row(left, right), state=lambda ctx: inner_board)
    scheduler = begun(graph, Board())
    work(scheduler, 'sub/left')

    board = Board()
    restored = restore(graph.plan, snapshot(scheduler), Evaluator(), environment(graph, board))
    task = restored.take()
    inner = task.region.env.state
    restored.views[task.id].view.state.log.append('right')

    restored.finish(task, None)
    assert inner.log == ['sub/left', 'right']
    assert inner_board.log == ['sub/left']
    assert board.log == []
