"""Random graphs through `Graph.run`, on both event loops, with bodies that give way a random number of times."""

import random

import pytest

from plait_graph import GraphRuntimeError
from plait_graph.events import StepFailed, StepFellBack, StepFinished, StepRetried
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
    show,
)
from properties.random_graphs import INPUTS, random_graph
from properties.reference import Interpreter

MOST = 60
"""Runs with more steps than this are not replayed."""


@pytest.mark.parametrize('policies', [False, True])
@pytest.mark.parametrize('part', range(4))
async def test_run_comes_to_what_belongs_to_its_order_of_completion(part, policies):
    """The events of a run, replayed by the interpreter, lead to the outcome of the run."""
    for seed in seeds(60 if policies else 120, first=50_000)[part::4]:
        graph = random_graph(random.Random(seed), policies=policies, clock=False)
        if graph is not None:
            told = []
            outcome = await outcome_of_run(graph, seed, random.Random(seed), on_event=told.append)
            joins = names_of_joins(graph)
            ends = [each for each in told if is_end_of_body(each)]
            order = [((each.node_id, name_stack(each.fork_stack, joins)), is_dropped(each)) for each in ends]
            if len(order) <= MOST:
                assert outcome in replays(graph, seed, order), f'PLAIT_SEED={seed}\n{graph}'


@pytest.mark.parametrize('policies', [False, True])
@pytest.mark.parametrize('part', range(4))
async def test_run_of_a_settled_graph_comes_to_the_result_of_any_order(part, policies):
    """Without races, what the loop makes of the bodies' pauses changes nothing, with and without a limit on the run."""
    for seed in seeds(60 if policies else 120, first=61_000)[part::4]:
        graph = random_graph(random.Random(seed), settled=True, policies=policies, clock=False)
        expected = None if graph is None else interpreted(graph, seed)
        if expected is not None:
            rng = random.Random(seed)
            outcomes = [await outcome_of_run(graph, seed, rng, max_concurrency=limit) for limit in (None, 1, 3)]
            assert outcomes == [expected] * 3, f'PLAIT_SEED={seed}\n{graph}'


async def outcome_of_run(graph, seed, pauses, **options):
    """What comes of a run, in the form that the interpreter has it."""
    try:
        value = await graph.run(inputs=INPUTS[seed % len(INPUTS)], deps=pauses, **options)
        outcome = 'ended', show(value, names_of_joins(graph))
    except* (GraphRuntimeError, ValueError) as group:
        outcome = 'failed', ', '.join(dict.fromkeys(first_words(error) for error in group.exceptions))
    return outcome


def is_end_of_body(event):
    """Whether an event is the end of a body that may matter to the run."""
    if isinstance(event, StepFailed):
        return isinstance(event.error, ValueError) and 'the body' in str(event.error)
    return isinstance(event, StepFinished | StepRetried | StepFellBack)


def is_dropped(event):
    """Whether an event may be the end of a body that had been cancelled."""
    return isinstance(event, StepFailed) and event.is_dropped


def replays(graph, seed, order):
    """What the interpreter comes to in an order, for each way to break ties."""
    shape, found = shape_of(graph), set()
    for ties in all_ties():
        interpreter = Interpreter(shape, ties)
        interpreter.begin(INPUTS[seed % len(INPUTS)])
        for step, may_be_gone in order:
            at_work = {place(*pair)[:2]: pair for pair in interpreter.running()}
            if step in at_work:
                complete(*at_work[step])
            elif not may_be_gone:
                break
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
