"""Policies that make no sense: refused where they are written, with what was found, where, and what to do."""

import dataclasses
import math
import sys

import pytest

from plait_graph import (
    Cache,
    GraphBuilder,
    GraphBuildingError,
    GraphRuntimeError,
    GraphSetupError,
    GraphValidationError,
    JoinPolicy,
    Limit,
    LoopGuard,
    MemoryCache,
    ReduceFirstValue,
    Retry,
    Share,
    StepContext,
    reduce_list_append,
)
from plait_graph.testing import TestClock


async def work(ctx: StepContext[None, None, int]) -> int:
    """Hand the inputs on."""
    return ctx.inputs


def plain(ctx: StepContext[None, None, int]) -> int:
    """Hand the inputs on, in a thread."""
    return ctx.inputs


# Joins


@pytest.mark.parametrize('need', [0, -1, True, 1.5, 'most', None, ['all']])
def test_a_need_is_a_word_a_number_or_a_share(need):
    """A need that no join can wait for is shown, with what it may be."""
    with pytest.raises(GraphSetupError, match=r"need=.* is nothing that a join can wait for.*'all', 'arrived'.*Share"):
        JoinPolicy(need=need)


@pytest.mark.parametrize('part', [0, -0.5, 1.01, True, '50%', math.nan])
def test_a_share_is_a_part_of_a_whole(part):
    """A share is above 0 and at most 1."""
    with pytest.raises(GraphSetupError, match=r'Share\(.*\) is not a part of a whole.*above 0 and up to 1'):
        Share(part)


@pytest.mark.parametrize('option', ['rest', 'failures'])
@pytest.mark.parametrize('word', ['stop', None, 3])
def test_unknown_words_are_refused(option, word):
    """A word that `rest` or `failures` does not know is shown with those that it knows."""
    with pytest.raises(GraphSetupError, match=rf'{option}={word!r} is unknown. Give one of '):
        JoinPolicy(**{option: word})


@pytest.mark.parametrize('deadline', [0, -1, math.inf, math.nan, True, 'soon'])
def test_a_deadline_is_a_time_that_can_pass(deadline):
    """A deadline of a join is a number of seconds above 0, or a timedelta."""
    with pytest.raises(GraphSetupError, match=r'deadline=.* is not a time that can pass'):
        JoinPolicy(deadline=deadline)


def test_what_has_arrived_needs_a_deadline():
    """A join that takes what has come would never go on without a deadline."""
    with pytest.raises(GraphSetupError, match=r"need='arrived'\) never goes on by itself.*Give deadline="):
        JoinPolicy(need='arrived')


def test_a_join_that_waits_for_all_keeps_no_rest():
    """Without a deadline, a join that needs all leaves no rest that could be kept."""
    with pytest.raises(GraphSetupError, match=r"rest='keep'\) has no rest to keep.*need=, or a deadline="):
        JoinPolicy(rest='keep')


def test_a_policy_is_a_policy():
    """Something else than a policy is shown, with the join."""
    with pytest.raises(GraphSetupError, match=r"Join 'all' has policy='any', which is none. Give a JoinPolicy"):
        GraphBuilder().join(reduce_list_append, initial_factory=list, node_id='all', policy='any')


@pytest.mark.parametrize('need', [2, Share(0.5), 'arrived'], ids=repr)
def test_a_first_value_is_one(need):
    """A join that takes the first value cannot need more."""
    with pytest.raises(GraphSetupError, match=r"Join 'all' takes the first value .* and needs .*leave need= out"):
        GraphBuilder().join(ReduceFirstValue(), initial=None, node_id='all', policy=JoinPolicy(need=need, deadline=3))


def test_a_share_needs_a_fork():
    """A join that needs a share of its branches cannot belong to the start; `build` says so, with the join."""
    g = GraphBuilder(output_type=list)
    step = g.step(work)
    join = g.join(reduce_list_append, initial_factory=list, node_id='half', policy=JoinPolicy(need=Share(0.5)))
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(
        GraphBuildingError,
        match=r"Join 'half': it needs a share of the branches .* there is none that it can belong to",
    ):
        g.build()


# Retries and guards


@pytest.mark.parametrize('attempts', [0, -1, True, 2.0, '3', None])
def test_attempts_are_a_number(attempts):
    """There is one attempt or more."""
    with pytest.raises(GraphSetupError, match=r'Retry\(attempts=.*\) is no number of attempts. Give 1 or more'):
        Retry(attempts)


@pytest.mark.parametrize('on', [KeyboardInterrupt, (ValueError, SystemExit), int, 'ValueError', (ValueError, 3)])
def test_only_errors_are_tried_again(on):
    """`on` names subclasses of `Exception`, or is a predicate."""
    with pytest.raises(GraphSetupError, match=r'Retry\(on=.* is no class of errors that can be tried again'):
        Retry(on=on)


@pytest.mark.parametrize('wait', [-1, math.nan, math.inf, 'a while', None])
def test_a_wait_is_a_time_or_a_strategy(wait):
    """`wait` is a number of seconds, or can be called."""
    with pytest.raises(GraphSetupError, match=r'Retry\(wait=.*\) is neither seconds nor a strategy'):
        Retry(wait=wait)


def test_a_stop_can_be_called():
    """`stop` is a strategy."""
    with pytest.raises(GraphSetupError, match=r'Retry\(stop=3\) cannot be called'):
        Retry(stop=3)


def test_exponential_waits_need_tenacity(monkeypatch):
    """Without tenacity, `Retry.exponential` says how to install it."""
    monkeypatch.setitem(sys.modules, 'tenacity', None)

    with pytest.raises(GraphSetupError, match=r"tenacity, which is not installed.*pip install 'plait-graph\[retry\]'"):
        Retry.exponential()


@pytest.mark.parametrize('limit', [0, -1, True, 1.5, 'often'])
def test_a_guard_lets_the_step_run(limit):
    """A loop guard allows one turn or more."""
    with pytest.raises(GraphSetupError, match=r'LoopGuard\(.*\) lets the step never run. Give 1 or more'):
        LoopGuard(limit)


# Steps


@pytest.mark.parametrize('name', ['timeout', 'idle_timeout'])
@pytest.mark.parametrize('time', [0, -1, math.inf, True, 'soon'])
def test_times_can_pass(name, time):
    """The times of a step are shown with the step."""
    with pytest.raises(GraphSetupError, match=rf"Step 'work': {name}=.* is not a time that can pass"):
        GraphBuilder().step(work, **{name: time})


@pytest.mark.parametrize('limit', [0, -1, True, 1.5, 'few'])
def test_a_step_may_run(limit):
    """`max_concurrency` of a step lets a body run."""
    with pytest.raises(GraphSetupError, match=r"Step 'work': max_concurrency=.* lets no body run. Give at least 1"):
        GraphBuilder().step(work, max_concurrency=limit)


@pytest.mark.parametrize('idle', [3, 5])
def test_an_idle_time_that_is_never_reached(idle):
    """An idle time-out that is not shorter than the time-out makes no sense."""
    with pytest.raises(GraphSetupError, match=r"Step 'work': idle_timeout=.* is never reached before timeout=3"):
        GraphBuilder().step(work, timeout=3, idle_timeout=idle)


@pytest.mark.parametrize(
    ('name', 'value', 'remedy'),
    [
        ('retry', 'often', 'is no Retry'),
        ('retry', 2.0, 'is no Retry'),
        ('loop_guard', '3', 'is no LoopGuard'),
        ('cache', MemoryCache(), r'is no Cache.*Cache\(store='),
        ('cache', True, 'is no Cache'),
        ('limit', 7, r'is no limit.*Limit\('),
        ('limit', '', r'is no limit.*Limit\('),
        ('fallback', work, r'work is not a node.*@g\.step'),
        ('fallback', 'other', "'other' is not a node"),
        ('loop_guard', LoopGuard(3, then=plain), 'plain is not a node'),
    ],
)
def test_policies_are_of_their_kind(name, value, remedy):
    """A policy that is something else is shown where it is given."""
    with pytest.raises(GraphSetupError, match=remedy):
        GraphBuilder().step(work, **{name: value})


def test_unknown_policies_are_refused():
    """A keyword that no step knows is shown, with the step and all that it knows."""
    with pytest.raises(GraphSetupError, match=r"Step 'work' was given \['retries'\].*The policies are retry, timeout"):
        GraphBuilder().step(work, retries=3)


def test_a_decorator_complains_at_once():
    """`@g.step(...)` refuses a policy before it has a function."""
    with pytest.raises(GraphSetupError, match='is no number of attempts'):
        GraphBuilder().step(retry=0)


@pytest.mark.parametrize('name', ['timeout', 'idle_timeout'])
def test_a_thread_cannot_be_stopped(name):
    """A step in a thread has no time-out, unless it may be left behind; the message names the ways out."""
    with pytest.raises(GraphSetupError, match=rf"'plain' has a {name} .*worker='process'.*abandon=True.*async"):
        GraphBuilder().step(plain, **{name: 3})


def test_a_process_tells_events_late():
    """A step in a process has no idle time-out."""
    with pytest.raises(GraphSetupError, match=r"'plain' has an idle_timeout and runs in a process.*timeout= instead"):
        GraphBuilder().step(plain, worker='process', idle_timeout=3)


def test_a_process_is_not_left_behind():
    """`abandon` and a process exclude each other."""
    with pytest.raises(GraphSetupError, match=r"'plain' has abandon=True and worker='process'"):
        GraphBuilder().step(plain, worker='process', abandon=True)


def test_an_unknown_worker_is_refused():
    """`worker` is a thread or a process."""
    with pytest.raises(GraphSetupError, match=r"Step 'plain' has worker='cluster'.*'thread', 'process'"):
        GraphBuilder().step(plain, worker='cluster')


def test_a_cache_has_a_key_and_a_time():
    """The key of a cache can be called, its time can pass, and a store in memory keeps something."""
    with pytest.raises(GraphSetupError, match=r'Cache\(key=3\) cannot be called'):
        Cache(key=3)
    with pytest.raises(GraphSetupError, match=r'Cache: ttl=0 is not a time that can pass'):
        Cache(ttl=0)
    with pytest.raises(GraphSetupError, match=r'MemoryCache\(max_size=0\) can keep nothing'):
        MemoryCache(0)


def test_a_weight_can_be_called():
    """The weight of a limit is a function."""
    with pytest.raises(GraphSetupError, match=r"'heavy' is weighed by 3, which cannot be called"):
        Limit('heavy', units_per_minute=60).weighing(3)
    Limit.forget('heavy')


# Fallbacks


def test_a_step_is_not_its_own_fallback():
    """A fallback of the same id is refused where it is given."""
    g = GraphBuilder()
    step = g.step(work)

    with pytest.raises(GraphSetupError, match=r"Step 'work' is its own fallback. Name another step, or use retry="):
        g.step(plain, node_id='work', fallback=step)


def test_fallbacks_do_not_lead_in_a_circle():
    """Fallbacks that stand in for each other would never end; `build` shows the circle and the switch of the check."""
    g = GraphBuilder(output_type=int)
    one = g.step(work, node_id='one', fallback=g.end_node)
    two = g.step(work, node_id='two', fallback=one)
    one.policy = dataclasses.replace(one.policy, fallback=two)  # a step that is made later can only be put in so
    g.add(g.edge_from(g.start_node).to(one), g.edge_from(one, two).to(g.end_node))

    with pytest.raises(GraphValidationError, match=r"fallbacks 'one' -> 'two' -> 'one' lead in a circle") as caught:
        g.build()

    assert "skip=('fallback-cycle',)" in str(caught.value)


def test_a_fallback_of_two_steps_needs_edges():
    """A step that stands in for two that lead to different places must say where it leads itself."""
    g = GraphBuilder(output_type=int)
    other = g.step(work, node_id='other')
    first, second = (g.step(work, node_id=name, fallback=other) for name in ('first', 'second'))
    g.add(g.edge_from(g.start_node).to(first), g.edge_from(first).to(second), g.edge_from(second).to(g.end_node))

    with pytest.raises(
        GraphBuildingError, match=r"Step 'other' is the fallback of \['first', 'second'\].*Add g.edge_from"
    ):
        g.build()


def test_two_fallbacks_under_one_id():
    """A fallback is a node like others: its id must be its own."""
    g = GraphBuilder(output_type=int)
    step = g.step(work, node_id='step', fallback=GraphBuilder().step(plain, node_id='step 2'))
    other = g.step(work, node_id='step 2')
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(other), g.edge_from(other).to(g.end_node))

    with pytest.raises(GraphBuildingError, match=r"unique node IDs, and 'step 2' is used by"):
        g.build()


# Options of a run


def one_step():
    """Start -> work -> end."""
    g = GraphBuilder(output_type=int)
    step = g.step(work)
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    return g.build()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'deadline': 0}, r'deadline=0 is not a time that can pass'),
        ({'deadline': -3.5}, r'deadline=-3\.5 is not a time that can pass'),
        ({'deadline': 'soon'}, r"deadline='soon' is not a time that can pass"),
        ({'debug': 0}, r'debug=0 is no time that a step may take. Give True, or seconds above 0'),
        ({'debug': -1}, r'debug=-1 is no time that a step may take'),
        ({'debug': 'yes'}, r"debug='yes' is no time that a step may take"),
        ({'max_concurrency': 0}, r'max_concurrency=0 lets no step run. Give at least 1, or None'),
        ({'max_concurrency': 'few'}, r"max_concurrency='few' lets no step run"),
    ],
    ids=repr,
)
async def test_options_that_make_no_sense(options, message):
    """An option of a run is checked before anything runs, for `run` and for `iter`."""
    with pytest.raises(GraphRuntimeError, match=message):
        await one_step().run(inputs=1, **options)
    with pytest.raises(GraphRuntimeError, match=message):
        one_step().iter(inputs=1, **options)


async def test_an_unknown_option_of_a_run():
    """An option that no run knows is shown, with all that there are."""
    with pytest.raises(TypeError, match=r"A run has no options \['timeout'\]. The options are budget, clock, deadline"):
        await one_step().run(inputs=1, timeout=3)
    with pytest.raises(TypeError, match=r"no options \['timeout'\]"):
        one_step().iter(inputs=1, timeout=3)


def test_a_clock_does_not_go_back():
    """A clock of tests is moved forward only."""
    with pytest.raises(GraphRuntimeError, match='time does not go back'):
        TestClock().advance(-1)


@pytest.mark.parametrize('option', ['abandon', 'worker'])
def test_an_asynchronous_step_has_no_thread(option):
    """What is for plain functions is refused for a step that runs on the event loop."""

    async def work(ctx):
        """Is not run."""

    with pytest.raises(GraphSetupError, match=rf"Step 'work' has {option}=.* is asynchronous.*plain def"):
        GraphBuilder().step(work, **{option: {'abandon': True, 'worker': 'thread'}[option]})
