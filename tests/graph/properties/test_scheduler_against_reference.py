"""The scheduler and the plain interpreter, side by side, on random graphs and in random orders of completion.

No event loop is needed: bodies are pure functions, and which of those that run is the next one to finish is drawn, or
that time passes on a virtual clock. After each event both must have the same steps at work and await the same timers,
and at last have the same outcome.
`PLAIT_SEED=<number>` repeats one graph with its orders, and nothing else.
"""

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plait_graph.events import (
    StepCancelled,
    StepFailed,
    StepFellBack,
    StepRetried,
    ValueDropped,
    ValueJoined,
)
from plait_graph.exceptions import JoinUnsatisfied, LoopLimitReached, StepTimeout
from plait_graph.join import BranchFailure
from properties.lockstep import LONGEST, WIDEST, Side, compare, seeds, shape_of
from properties.random_graphs import INPUTS, random_graph

SEEDS = seeds(2500)
ORDERS = 5
"""How many orders of completion each graph is run in."""


@pytest.fixture(scope='module')
def graphs():
    """The random graphs by seed; those that the builder refused are `None`."""
    return {seed: random_graph(random.Random(seed)) for seed in SEEDS}


def test_few_random_graphs_are_refused(graphs):
    """The generator makes graphs that can be built, so that little of its work is lost."""
    refused = sum(graph is None for graph in graphs.values())

    assert refused <= 0.05 * len(graphs)


def test_parent_forks_are_those_that_plain_search_finds(graphs):
    """The parent of each join is the one that removing forks and looking for cycles leads to."""
    for seed, graph in graphs.items():
        if graph is not None:
            found = {join: parent.fork_id for join, parent in graph.parent_forks.items()}
            assert found == shape_of(graph).parents, f'PLAIT_SEED={seed}\n{graph}'


@pytest.mark.parametrize('part', range(10))
def test_scheduler_does_what_the_interpreter_does(graphs, part):
    """In every order of completion the scheduler has the interpreter's steps at work, and at last its outcome."""
    counts = Counter(how for seed in list(graphs)[part::10] for how in in_some_orders(graphs[seed], seed))

    assert_few_are_left(counts)


def assert_few_are_left(counts):
    """Most runs were compared to their end, and with nothing left open."""
    assert counts['long'] <= 0.03 * max(counts.total(), 100)
    assert counts['tie'] <= 0.01 * max(counts.total(), 100)
    assert counts['open'] <= 0.004 * max(counts.total(), 500)


@pytest.mark.parametrize('part', range(10))
def test_scheduler_keeps_policies_as_the_interpreter_does(part):
    """With needs, deadlines, failures, attempts, time-outs and limits both agree after each event and tick of time."""
    graphs = {seed: random_graph(random.Random(seed), policies=True) for seed in seeds(1800, first=200_000)[part::10]}
    counts = Counter(how for seed, graph in graphs.items() for how in in_some_orders(graph, seed))

    assert_few_are_left(counts)
    assert sum(graph is None for graph in graphs.values()) <= 0.15 * len(graphs)


@pytest.mark.parametrize('part', range(4))
def test_watched_run_keeps_policies_as_the_interpreter_does(part):
    """A run that is shown node by node retries, times out, falls back and hands on failures in the same way."""
    for seed in seeds(400, first=210_000)[part::4]:
        graph = random_graph(random.Random(seed), settled=True, policies=True, timed=True)
        in_some_orders(graph, seed, watched=True)


def test_all_policies_come_into_play():
    """Among random runs there are some for everything that policies do, and most of them end with a value."""
    graphs = {seed: random_graph(random.Random(seed), policies=True) for seed in seeds(400, first=200_000)}
    sides = [run_alone(graph, seed, 0, listens=True) for seed, graph in graphs.items() if graph is not None]
    ends = Counter(side.outcome[0] for side in sides)

    assert ends['ended'] > ends['failed']
    assert {tick for side in sides for tick in side.ticks} >= {'retry', 'timeout', 'join'}
    assert {each for side in sides for each in happenings(side)} >= {
        *('retry at once', 'retry later', 'time-out', 'guard', 'unsatisfied'),
        *('failure raised', 'failure ignored', 'failure collected', 'failure dropped'),
        *(StepFellBack, ValueDropped, StepCancelled),
    }


def happenings(side):
    """What policies did in a run."""
    for event in side.events:
        match event:
            case StepRetried(delay=delay):
                yield 'retry later' if delay else 'retry at once'
            case StepFailed(error=error, handled_by=taker):
                yield 'failure dropped' if event.is_dropped else 'failure ignored' if taker else 'failure raised'
                yield {LoopLimitReached: 'guard', JoinUnsatisfied: 'unsatisfied', StepTimeout: 'time-out'}.get(
                    type(error)
                )
            case ValueJoined(value=BranchFailure()):
                yield 'failure collected'
            case _:
                yield type(event)


@pytest.mark.parametrize('part', range(4))
def test_watched_run_does_what_the_interpreter_does(part):
    """A run that is shown node by node, and agreed to, goes the same way if there are no races in it."""
    for seed in seeds(800, first=30_000)[part::4]:
        in_some_orders(random_graph(random.Random(seed), settled=True), seed, watched=True)


def in_some_orders(graph, seed, **options):
    """Compare a graph in some orders, and tell how it went; a failure says how to repeat it."""
    if graph is None:
        return []
    shape, results = shape_of(graph), []
    for order in range(ORDERS):
        try:
            results.append(compare(graph, shape, lambda: random.Random(f'{seed}/{order}'), **options))  # noqa: B023 # called at once
        except Exception as error:
            error.add_note(f'PLAIT_SEED={seed} repeats this; it is order {order} of the graph:\n{graph}')
            raise
    return results


@pytest.mark.parametrize('policies', [False, True])
@pytest.mark.parametrize('part', range(4))
def test_result_of_a_settled_graph_is_the_same_in_every_order(part, policies):
    """Without races (first wins, completion order, several ways to the end) the order of completion changes nothing."""
    for seed in seeds(400 if policies else 1200, first=40_000)[part::4]:
        graph = random_graph(random.Random(seed), settled=True, policies=policies)
        if graph is not None:
            results = {run_alone(graph, seed, order).outcome for order in range(ORDERS)} - {('', '')}
            assert len(results) <= 1, f'PLAIT_SEED={seed}: {results}\n{graph}'


def run_alone(graph, seed, order, **options):
    """The scheduler in one order, without the interpreter; a long run is left."""
    side, rng = Side(graph, **options), random.Random(order)
    side.scheduler.begin(INPUTS[seed % len(INPUTS)])
    for _ in range(LONGEST):
        side.look()
        if side.scheduler.outcome is not None or len(side.tasks) > WIDEST:
            break
        side.let_happen(*side.choose(rng), rng)
    return side


@settings(suppress_health_check=list(HealthCheck), max_examples=200)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, 2**32))
def test_scheduler_does_what_the_interpreter_does_on_what_hypothesis_finds(rng, policies, order):
    """The same for graphs that Hypothesis makes up, which it shrinks when they fail."""
    graph = random_graph(rng, policies=policies)
    if graph is not None:
        try:
            compare(graph, shape_of(graph), lambda: random.Random(order))
        except Exception as error:
            error.add_note(f'The graph:\n{graph}')
            raise
