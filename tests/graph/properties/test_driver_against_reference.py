"""Random graphs through `Graph.run`, on both event loops, with bodies that give way a random number of times.

What the driver did is taken from its events and replayed by the interpreter, which must come to the same outcome.
"""

import random

import pytest
from plait_graph.events import StepFailed, StepFinished
from plait_graph.exceptions import GraphRuntimeError
from properties.lockstep import LONGEST, MOST_TIES, Mismatch, Ties, names_of_joins, place, told_place
from properties.random_graphs import INPUTS, Seeds, random_graph
from properties.reference import Interpreter, Shape

RACING = Seeds(60, 10_000)
SETTLED = Seeds(60, 20_000)


@pytest.mark.parametrize('seed', RACING)
async def test_driver_comes_to_what_the_interpreter_comes_to_in_the_same_order(seed):
    """Whatever order the event loop gives, the outcome is the one that belongs to it."""
    graph = random_graph(random.Random(seed))
    if graph is None:
        return
    rng = random.Random(seed)
    inputs, told = rng.choice(INPUTS), []
    outcome = await outcome_of(graph, inputs, deps=rng, on_event=told.append)

    order = [told_place(event, names_of_joins(graph)) for event in told if has_ended(event)]
    assert outcome in replayed(Shape(graph.nodes, graph.edges_by_source), inputs, order), f'PLAIT_SEED={seed}\n{graph}'
