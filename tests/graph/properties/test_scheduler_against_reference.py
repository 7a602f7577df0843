"""The scheduler and the plain interpreter, side by side, on random graphs and in random orders of completion.

No event loop is needed: bodies are pure functions, and which of those that run is the next one to finish is drawn.
After each event both must have the same steps at work, and at last the same outcome.
`PLAIT_SEED=<number>` repeats one graph with its orders, and nothing else.
"""

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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

    assert counts['long'] <= 0.03 * max(counts.total(), 100)
    assert counts['tie'] <= 0.01 * max(counts.total(), 100)
    assert counts['open'] <= 0.002 * max(counts.total(), 500)


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


@pytest.mark.parametrize('part', range(4))
def test_result_of_a_settled_graph_is_the_same_in_every_order(part):
    """Without races (first wins, completion order, several ways to the end) the order of completion changes nothing."""
    for seed in seeds(1200, first=40_000)[part::4]:
        graph = random_graph(random.Random(seed), settled=True)
        if graph is not None:
            results = {result_of(graph, seed, order) for order in range(ORDERS)} - {None}
            assert len(results) <= 1, f'PLAIT_SEED={seed}: {results}\n{graph}'


def result_of(graph, seed, order):
    """What comes of a run in one order; nothing if it is a long one."""
    side, rng = Side(graph), random.Random(order)
    side.scheduler.begin(INPUTS[seed % len(INPUTS)])
    for _ in range(LONGEST):
        tasks = side.at_work()
        if side.scheduler.outcome is not None:
            return side.outcome
        assert tasks, f'PLAIT_SEED={seed}: nothing is at work, and there is no outcome\n{graph}'
        if len(tasks) > WIDEST:
            break
        side.complete(rng.choice(list(tasks.values())))
    return None


@settings(suppress_health_check=list(HealthCheck), max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_scheduler_does_what_the_interpreter_does_on_what_hypothesis_finds(rng, order):
    """The same for graphs that Hypothesis makes up, which it shrinks when they fail."""
    graph = random_graph(rng)
    if graph is not None:
        try:
            compare(graph, shape_of(graph), lambda: random.Random(order))
        except Exception as error:
            error.add_note(f'The graph:\n{graph}')
            raise
