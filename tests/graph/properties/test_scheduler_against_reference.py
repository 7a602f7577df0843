"""The scheduler and the plain interpreter, side by side, on random graphs and in random orders of completion.

No event loop is needed: bodies are pure functions, and which of those that run is the next one to finish is drawn. After
each event both must have the same steps at work, and at last the same outcome.
`PLAIT_SEED=<number>` repeats one graph with its orders, and nothing else.
"""

import os
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plait_graph.events import JoinFired
from properties.lockstep import Mismatch, compare
from properties.random_graphs import random_graph
from properties.reference import Shape

SEED = os.environ.get('PLAIT_SEED')
SEEDS = [int(SEED)] if SEED else range(3000)
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
            assert found == Shape(graph.nodes, graph.edges_by_source).parents, f'PLAIT_SEED={seed}\n{graph}'


@pytest.mark.parametrize('part', range(10))
def test_scheduler_does_what_the_interpreter_does(graphs, part):
    """In every order of completion the scheduler has the same steps at work as the interpreter, and the same outcome."""
    counts = Counter()
    for seed in list(graphs)[part::10]:
        if graphs[seed] is not None:
            shape = Shape(graphs[seed].nodes, graphs[seed].edges_by_source)
            for order in range(ORDERS):
                counts[check(graphs[seed], shape, seed, order)] += 1

    assert counts['long'] <= 0.02 * counts.total()
    assert counts['tie'] <= 0.02 * counts.total()


def check(graph, shape, seed, order):
    """One graph in one order; a failure says how to repeat it."""
    try:
        return compare(graph, shape, lambda: random.Random(f'{seed}/{order}'))
    except Exception as error:
        error.add_note(f'PLAIT_SEED={seed} repeats this (order {order}). The graph:\n{graph}')
        raise


@pytest.mark.parametrize('part', range(5))
def test_result_of_a_settled_graph_is_the_same_in_every_order(part):
    """Without races (first wins, completion order, several ways to the end) the order of completion changes nothing."""
    for seed in list(SEEDS)[part::10]:
        graph = random_graph(random.Random(seed), settled=True)
        if graph is not None:
            shape = Shape(graph.nodes, graph.edges_by_source)
            results = {order: result_of(graph, shape, seed, order) for order in range(ORDERS)}
            found = {result for result in results.values() if result is not None}
            assert len(found) <= 1, f'PLAIT_SEED={seed}: {results}\n{graph}'


@settings(suppress_health_check=list(HealthCheck), max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_scheduler_does_what_the_interpreter_does_on_what_hypothesis_finds(rng, order):
    """The same for graphs that Hypothesis makes up, which it shrinks when they fail."""
    graph = random_graph(rng)
    if graph is not None:
        try:
            compare(graph, Shape(graph.nodes, graph.edges_by_source), lambda: random.Random(order))
        except Exception as error:
            error.add_note(f'The graph:\n{graph}')
            raise
