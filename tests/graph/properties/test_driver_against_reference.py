"""Random graphs through `Graph.run`, on both event loops, with bodies that give way a random number of times."""

import random

import pytest

from plait_graph import GraphRuntimeError
from plait_graph.events import StepFailed, StepFinished
from properties.lockstep import (
    all_ties,
    complete,
    first_words,
    is_wide,
    name_stack,
    names_of_joins,
    outcome_of,
    place,
    seeds,
    shape_of,
)
from properties.random_graphs import INPUTS, random_graph
from properties.reference import Interpreter

MOST = 60
"""Runs with more steps than this are not replayed."""


@pytest.mark.parametrize('part', range(4))
async def test_run_comes_to_what_belongs_to_its_order_of_completion(part):
    """The events of a run, replayed by the interpreter, lead to the outcome of the run."""
    for seed in seeds(120, first=50_000)[part::4]:
        graph = random_graph(random.Random(seed))
        if graph is not None:
            told = []
            outcome = await outcome_of_run(graph, seed, random.Random(seed), on_event=told.append)
            joins = names_of_joins(graph)
            order = [(each.node_id, name_stack(each.fork_stack, joins)) for each in told if is_end_of_body(each)]
            if len(order) <= MOST:
                assert outcome in replays(graph, seed, order), f'PLAIT_SEED={seed}\n{graph}'


@pytest.mark.parametrize('part', range(4))
async def test_run_of_a_settled_graph_comes_to_the_result_of_any_order(part):
    """Without races, what the loop makes of the bodies' pauses changes nothing, with and without a limit on the run."""
    for seed in seeds(120, first=61_000)[part::4]:
        graph = random_graph(random.Random(seed), settled=True)
        expected = None if graph is None else interpreted(graph, seed)
        if expected is not None:
            rng = random.Random(seed)
            outcomes = [await outcome_of_run(graph, seed, rng, max_concurrency=limit) for limit in (None, 1, 3)]
            assert outcomes == [expected] * 3, f'PLAIT_SEED={seed}\n{graph}'


async def outcome_of_run(graph, seed, pauses, **options):
    """What comes of a run, in the form that the interpreter has it."""
    try:
        return 'ended', repr(await graph.run(inputs=INPUTS[seed % len(INPUTS)], deps=pauses, **options))
    except* (GraphRuntimeError, ValueError) as group:
        return_value = 'failed', ', '.join(dict.fromkeys(first_words(error) for error in group.exceptions))
    return return_value


def is_end_of_body(event):
    """Whether an event is the end of a body, and not dropped."""
    if isinstance(event, StepFailed):
        return isinstance(event.error, ValueError) and 'the body' in str(event.error) and not event.is_dropped
    return isinstance(event, StepFinished)


def replays(graph, seed, order):
    """What the interpreter comes to in an order, for each way to break ties."""
    shape, found = shape_of(graph), set()
    for ties in all_ties():
        interpreter = Interpreter(shape, ties)
        interpreter.begin(INPUTS[seed % len(INPUTS)])
        for step in order:
            at_work = {place(*pair)[:2]: pair for pair in interpreter.running()}
            if step not in at_work:
                break
            complete(*at_work[step])
        found.add(outcome_of(interpreter))
    return found


def interpreted(graph, seed):
    """What the interpreter comes to if always the first step finishes; nothing if that takes long."""
    interpreter = Interpreter(shape_of(graph))
    interpreter.begin(INPUTS[seed % len(INPUTS)])
    for _ in range(MOST):
        if interpreter.outcome is not None:
            return outcome_of(interpreter)
        if is_wide(interpreter):
            break
        complete(*interpreter.running()[0])
    return None
