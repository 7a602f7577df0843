"""A run can be taken as plain data between any two events, and goes on from it as if nothing had been."""

import copy
import random

import pytest

from plait_graph._run.evaluator import Evaluator
from plait_graph._run.restoring import restore
from plait_graph._run.snapshot import snapshot
from plait_graph._run.tokens import Environment
from properties.lockstep import LONGEST, WIDEST, Side, seeds
from properties.random_graphs import INPUTS, random_graph

LEFT = '', ''
"""The outcome of a run that is left because it is long or wide."""


POLICIES = pytest.mark.parametrize('policies', [False, True])


def graphs(part, *, first, count=200, parts=4, policies=False, clock=False, **wishes):
    """Some random graphs whose values can all be copied; fewer of those with policies."""
    for seed in seeds(count // 5 if policies else count, first=first)[part::parts]:
        graph = random_graph(random.Random(seed), generators=False, policies=policies, clock=clock, **wishes)
        if graph is not None:
            yield seed, graph


def begun(graph, seed, **options):
    """A run that has begun."""
    side = Side(graph, **options)
    side.scheduler.begin(INPUTS[seed % len(INPUTS)])
    return side


def moments(side, rng, at_rest=lambda: None):
    """Let a run go on, one event after the other; gives what is at work between them, and what is chosen to finish.

    Calls a function also when an event is over and nothing has followed from it yet.
    """
    for _ in range(LONGEST):
        tasks = side.at_work()
        if side.scheduler.outcome is not None or len(tasks) > WIDEST:
            return
        chosen = rng.choice(list(tasks))
        yield tasks, chosen
        side.complete(side.at_work()[chosen])
        at_rest()


def again(graph, data):
    """The run that a snapshot was taken of."""
    return restore(graph.plan, data, Evaluator(), Environment(None, None))


@pytest.mark.parametrize('watched', [False, True])
@pytest.mark.parametrize('part', range(4))
def test_run_that_is_restored_after_every_event_goes_the_same_way(part, watched):
    """A run that is handed on as a snapshot after each event has the same steps at work and the same outcome."""
    for seed, graph in graphs(part, first=70_000):
        one, other = begun(graph, seed, watched=watched), begun(graph, seed, watched=watched)
        for tasks, chosen in moments(one, random.Random(seed)):
            assert list(other.at_work()) == list(tasks), f'PLAIT_SEED={seed}\n{graph}'
            other.scheduler = again(graph, snapshot(other.scheduler))
            other.complete(other.at_work()[chosen])

        other.at_work()
        assert other.outcome == one.outcome, f'PLAIT_SEED={seed}\n{graph}'


@pytest.mark.parametrize('watched', [False, True])
@pytest.mark.parametrize('part', range(4))
def test_run_with_policies_that_is_restored_after_every_event_goes_the_same_way(part, watched):
    """Attempts, timers, bodies that are to stop, what waits for a place and what joins have are handed on too."""
    for seed, graph in graphs(part, first=120_000, count=400, policies=True, clock=True):
        one, other = begun(graph, seed, watched=watched), begun(graph, seed, watched=watched)
        rng = random.Random(seed)
        for _ in range(LONGEST):
            one.look()
            other.look()
            assert what_may_happen(other) == what_may_happen(one), f'PLAIT_SEED={seed}\n{graph}'
            if one.scheduler.outcome is not None or len(one.tasks) > WIDEST:
                break
            event = one.choose(rng)
            hand_on(other, graph)
            for side in (one, other):
                side.let_happen(*event, random.Random(seed))

        assert other.outcome == one.outcome, f'PLAIT_SEED={seed}\n{graph}'


def what_may_happen(side):
    """What is at work, what is to end, and what is awaited from the clock."""
    return list(side.tasks), list(side.ending), list(side.timers)


def hand_on(side, graph):
    """Go on with a run as it is restored; what its timers have left of their time is kept."""
    due, side.due = {timer.id: time for timer, time in side.due.items()}, {}
    side.scheduler = again(graph, snapshot(side.scheduler))
    side.look()
    side.due = {timer: due[timer.id] for timer in side.due}
    side.stopped = list(side.scheduler.ending.values())
    side.look()


@POLICIES
@pytest.mark.parametrize('watched', [False, True])
@pytest.mark.parametrize('part', range(4))
def test_snapshot_of_a_restored_run_is_the_snapshot_that_it_came_from(part, watched, policies):
    """Nothing is lost or added on the way to data and back; errors are compared in words, as copies are not equal."""
    for seed, graph in graphs(part, first=80_000, settled=True, policies=policies):
        side = begun(graph, seed, watched=watched)

        def check(graph=graph, seed=seed, side=side):
            data = snapshot(side.scheduler)
            assert repr(snapshot(again(graph, data))) == repr(data), f'PLAIT_SEED={seed}\n{graph}'

        for _ in moments(side, random.Random(seed), at_rest=check):
            check()


@POLICIES
@pytest.mark.parametrize('part', range(4))
def test_counts_of_a_restored_run_are_those_of_the_run(part, policies):
    """What is worked out from the tokens is what had been counted as they moved."""
    for seed, graph in graphs(part, first=90_000, policies=policies):
        side = begun(graph, seed)
        for _ in moments(side, random.Random(seed)):
            restored = again(graph, snapshot(side.scheduler))
            assert counted(restored) == counted(side.scheduler), f'PLAIT_SEED={seed}\n{graph}'


def counted(scheduler):
    """The counts of all regions that tokens at work or open joins stand in."""
    regions = {}
    for region in [scheduler.root, *(task.region for task in scheduler.running.values())]:
        while region is not None:
            in_flight = region.source.in_flight if region.source is not None else None
            regions[region.id] = region.counts, region.present, region.threads or {}, region.held or {}, in_flight
            region = region.parent  # noqa: PLW2901 # up to the run itself
    return regions


@POLICIES
@pytest.mark.parametrize('part', range(4))
def test_what_a_restored_run_does_leaves_the_run_and_the_snapshot_alone(part, policies):
    """A snapshot shares nothing with the run that it is of, nor with the one that is made of it."""
    for seed, graph in graphs(part, first=100_000, count=100, policies=policies):
        side, rng = begun(graph, seed), random.Random(seed)
        for _ in moments(side, rng):
            data = snapshot(side.scheduler)
            kept = copy.deepcopy(data)
            elsewhere = Side(graph)
            elsewhere.scheduler = again(graph, data)
            for _ in moments(elsewhere, rng):
                pass
            assert repr(data) == repr(kept), f'PLAIT_SEED={seed}\n{graph}'
            assert repr(snapshot(side.scheduler)) == repr(kept), f'PLAIT_SEED={seed}\n{graph}'


@POLICIES
@pytest.mark.parametrize('part', range(4))
def test_work_that_is_queued_again_after_a_restore_leads_to_the_same_result(part, policies):
    """What ran when the snapshot was taken can be run once more, and a graph without races comes to the same result."""
    for seed, graph in graphs(part, first=110_000, settled=True, policies=policies):
        side, rng = begun(graph, seed), random.Random(seed)
        snapshots = [snapshot(side.scheduler) for _ in moments(side, rng)]
        if side.scheduler.outcome is None or not snapshots:
            continue

        elsewhere = Side(graph)
        elsewhere.scheduler = again(graph, rng.choice(snapshots))
        elsewhere.scheduler.requeue()
        assert not elsewhere.scheduler.running
        for _ in moments(elsewhere, rng):
            pass

        if elsewhere.scheduler.outcome is None:  # a long run, that was left before its end
            assert elsewhere.at_work(), f'PLAIT_SEED={seed}\n{graph}'
        else:
            assert elsewhere.outcome == side.outcome, f'PLAIT_SEED={seed}\n{graph}'
