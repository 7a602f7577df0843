"""Cases with a name: each is one promise of the engine, kept in whatever order its steps are completed.

There is no event loop: a step finishes when the test says so, and where a promise is about any order, all orders are
gone through.
"""

from collections import Counter

import pytest

from plait_graph import ReduceFirstValue, reduce_dict_update, reduce_list_append, reduce_sum
from plait_graph.events import JoinFired, ValueDropped
from properties.by_hand import Case, Run, inner_graph


def runs_in_all_orders(begin):
    """Runs, each in another order of completion; one is given after each of its events, and at its end."""
    ways = [()]
    while ways:
        way, run = ways.pop(), begin()
        for choice in way:
            yield run
            task = run.tasks[choice]
            run.scheduler.finish(task, task.inputs)
        yield run
        if run.scheduler.outcome is None:
            ways += [(*way, choice) for choice in range(len(run.tasks))]


def ends_of(runs):
    """The outcomes of runs, and how many orders led to each."""
    return Counter(repr(run.outcome) for run in runs if run.scheduler.outcome is not None)


def nested(preference='closest'):
    """A broadcast to a map with an inner join and a step behind it, and to a slow step; both lead to an outer join."""
    case = Case()
    each, after, slow = case.steps('each after slow')
    inner = case.gather('inner', reduce_sum, int, preferred_parent_fork=preference)
    outer = case.gather('outer', reduce_sum, int)
    case.add(
        case.edge_from(case.start_node).broadcast(
            lambda p: [p.map().to(each), p.transform(lambda ctx: 100).to(slow)],
        ),
        case.edge_from(each).to(inner),
        case.edge_from(inner).to(after),
        case.edge_from(after, slow).to(outer),
        case.edge_from(outer).to(case.end_node),
    )
    return case


# Joins


@pytest.mark.parametrize('preference', ['closest', 'farthest'])
def test_nested_joins_lose_nothing_in_any_order(preference):
    """The outer join gets what the inner one led to and what the slow step gives, whichever comes first."""
    graph = nested(preference).build()

    assert ends_of(runs_in_all_orders(lambda: Run(graph, [1, 2, 3]))) == {'106': 30}


def test_inner_join_fires_while_a_slow_sibling_works():
    """A join waits for nothing that cannot reach it."""
    run = nested().begin([1, 2])

    run.finish('each', 1).finish('each', 2)

    assert run.at_work == ['after', 'slow']
    assert [(event.join_id, event.output) for event in run.of(JoinFired)] == [('inner', 3)]


def test_outer_join_waits_for_what_an_inner_one_has_led_to():
    """A join never fires early: the step behind the inner join is still to come."""
    run = nested().begin([1])

    run.finish('slow').finish('each')

    assert run.scheduler.outcome is None
    assert run.finish('after').outcome == 101


def test_branch_that_is_not_taken_does_not_starve_a_join():
    """A join with two ways to it fires when the one that was taken has brought its value."""
    case = Case()
    left, right = case.steps('left right')
    join = case.gather()
    choice = case.decision().branch(case.match(int).to(left)).branch(case.match(object).to(right))
    case.add(
        case.edge_from(case.start_node).map().to(choice),
        case.edge_from(left, right).to(join),
        case.edge_from(join).to(case.end_node),
    )
    graph = case.build()

    assert ends_of(runs_in_all_orders(lambda: Run(graph, [1, 2]))) == {'[1, 2]': 2}
    assert ends_of(runs_in_all_orders(lambda: Run(graph, [1, 'b']))) == {"[1, 'b']": 2}


def test_join_inside_a_map_fires_once_for_each_item():
    """A join with the inner fork as its parent folds for each run of that fork on its own."""
    case = Case()
    one, other = case.steps('one other')
    pair, all_pairs = case.gather('pair', preferred_parent_fork='closest'), case.gather('all')
    case.add(
        case.edge_from(case.start_node).map().to(one, other),
        case.edge_from(one, other).to(pair),
        case.edge_from(pair).to(all_pairs),
        case.edge_from(all_pairs).to(case.end_node),
    )
    graph = case.build()

    ends = ends_of(runs_in_all_orders(lambda: Run(graph, [1, 2])))
    assert ends == {'[[1, 1], [2, 2]]': 24}


def test_value_that_reaches_a_join_that_has_fired_is_dropped_and_recorded():
    """Nothing waits for a late value, and nothing is changed by it; whoever listens hears of it."""
    run = nested().begin([1])
    run.finish('each')
    inner = next(node for node in run.scheduler.nodes if node.id == 'inner')
    place = run.of(JoinFired)[0].fork_stack[-1]
    home = next(task.region for task in run.tasks if task.region.run_id == place.node_run_id)

    run.scheduler.start(run.scheduler.place(inner, 1000, home, 0))

    assert [(event.join_id, event.value) for event in run.of(ValueDropped)] == [('inner', 1000)]
    assert run.finish('after').finish('slow').outcome == 101


def within_itself():
    """A fork that leads back to itself from one of its branches, and to a join from the other one."""
    case = Case()
    head, again, work, after = case.steps('head again work after')
    first = case.gather('first', ReduceFirstValue(), preferred_parent_fork='closest')
    everything = case.gather('everything')
    back = case.decision().branch(
        case.match(object, matches=lambda n: n > 0).transform(lambda ctx: ctx.inputs - 1).to(head)
    )
    case.add(
        case.edge_from(case.start_node).to(head),
        case.edge_from(head).to(work, again),
        case.edge_from(work).to(first),
        case.edge_from(first).to(after),
        case.edge_from(again).to(back.branch(case.match(object).to(everything))),
        case.edge_from(after).to(everything),
        case.edge_from(everything).to(case.end_node),
    )
    return case


def test_fork_that_runs_within_itself_keeps_its_runs_apart():
    """What wins in one run of a fork cancels nothing of a run of that fork within it."""
    graph = within_itself().build()

    outcomes = [run.outcome for run in runs_in_all_orders(lambda: Run(graph, 1)) if run.scheduler.outcome is not None]
    assert len(outcomes) > 1
    assert all(sorted(outcome) == [0, 0, 1] for outcome in outcomes)


def test_join_does_not_wait_for_a_later_run_of_its_fork():
    """A token that has passed a fork again brings its value to the join of that run, and delays no other one."""
    run = within_itself().begin(1)
    run.finish('head').finish('again').finish('head', 0)

    run.finish('work', 1)

    assert run.at_work == ['after', 'again', 'work']


# Empty maps


def test_empty_map_fires_the_join_that_is_first_reached():
    """No items are no reason to wait: the join gives its initial value."""
    run = nested().begin([])

    assert run.at_work == ['after', 'slow']
    assert run.finish('after').finish('slow').outcome == 100


@pytest.mark.parametrize('named', [None, 'left', 'right'])
def test_empty_map_before_several_joins_needs_a_name(named):
    """If it is not clear which join fires, the error says how to name one; and then that one fires."""
    case = Case()
    left, right = case.gather('left'), case.gather('right', reduce_dict_update, dict)
    choice = case.decision().branch(case.match(int).to(left)).branch(case.match(object).to(right))
    case.add(
        case.edge_from(case.start_node).map(downstream_join_id=named).to(choice),
        case.edge_from(left, right).to(case.end_node),
    )
    outcome = case.begin([]).outcome

    if named is None:
        assert 'downstream_join_id=' in outcome
    else:
        assert outcome == {'left': [], 'right': {}}[named]


# First wins


def test_first_value_wins_and_its_losers_are_stopped():
    """What could still reach the join is cancelled, items that have not started included; other branches go on."""
    case = Case()
    racer, onlooker, last = case.steps('racer onlooker last')
    winner = case.gather('winner', ReduceFirstValue())
    both = case.gather('both')
    case.add(
        case.edge_from(case.start_node).broadcast(lambda p: [p.map(limit=2).to(racer), p.to(onlooker)]),
        case.edge_from(racer).to(winner),
        case.edge_from(winner).to(last),
        case.edge_from(last, onlooker).to(both),
        case.edge_from(both).to(case.end_node),
    )
    run = case.begin([1, 2, 3])

    run.finish('racer', 2)

    assert run.at_work == ['last', 'onlooker']
    assert run.stopped == ['racer']


def test_end_that_is_reached_first_stops_all_else():
    """The first value at the end is the run's, and whatever runs is cancelled."""
    case = Case()
    quick, slow = case.steps('quick slow')
    case.add(case.edge_from(case.start_node).to(quick, slow), case.edge_from(quick, slow).to(case.end_node))
    run = case.begin(7)

    assert run.finish('quick').outcome == 7
    assert (run.at_work, run.stopped) == ([], ['slow'])


# Order


@pytest.mark.parametrize('limit', [None, 2, 3])
def test_input_order_does_not_depend_on_the_order_of_completion(limit):
    """A list has its items as they came into the map."""
    graph = mapped(limit=limit).build()

    assert set(ends_of(runs_in_all_orders(lambda: Run(graph, [1, 2, 3, 4])))) == {'[1, 2, 3, 4]'}


def test_completion_order_is_that_in_which_the_steps_finish():
    """A join in completion order folds each value as it comes."""
    run = mapped(order='completion').begin([1, 2, 3])

    assert run.finish('work', 2).finish('work', 3).finish('work', 1).outcome == [2, 3, 1]


@pytest.mark.parametrize('limit', [None, 1, 2])
def test_what_left_joins_is_in_order_too(limit):
    """Behind the items comes what left the joins, those first that feed others."""
    case = Case()
    work, tail, late = case.steps('work tail late')
    inner, result = case.gather('inner', reduce_sum, int, parent_fork_id='around'), case.gather('result')
    case.add(
        case.edge_from(case.start_node).to(work, tail, fork_id='around'),
        case.edge_from(work).map(limit=limit).to(late),
        case.edge_from(late).to(inner),
        case.edge_from(inner).transform(lambda ctx: [ctx.inputs]).to(result),
        case.edge_from(tail).to(result),
        case.edge_from(result).to(case.end_node),
    )
    graph = case.build()

    assert set(ends_of(runs_in_all_orders(lambda: Run(graph, [1, 2])))) == {'[[1, 2], [3]]'}


def mapped(**options):
    """A map to one step and a list of what it gives."""
    case = Case()
    (work,) = case.steps('work')
    join = case.gather(order=options.pop('order', None))
    case.add(
        case.edge_from(case.start_node).map(**options).to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(case.end_node),
    )
    return case


# Limits


class Counting:
    """An iterator that knows how many of its items were asked for."""

    def __init__(self, count):
        self.left = iter(range(count))
        self.pulled = 0

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.left)
        self.pulled += 1
        return item


@pytest.mark.parametrize('order', ['input', 'completion'])
@pytest.mark.parametrize('limit', [1, 2, 3])
def test_map_never_holds_more_items_than_its_limit(limit, order):
    """In every order, no more items have been pulled than are settled, and as many more as the limit says."""
    graph, sources = mapped(limit=limit, order=order).build(), []

    def begin():
        sources.append(Counting(4))
        return Run(graph, sources[-1])

    for run in runs_in_all_orders(begin):
        folded = sum(len(join.current) for join in (run.scheduler.root.open or {}).values())
        assert sources[-1].pulled <= folded + limit or run.scheduler.outcome is not None
        assert len(run.at_work) <= limit


def test_item_that_waits_for_its_turn_keeps_its_place():
    """Under a limit, a value that came too early counts as in flight until it is folded: the buffer is bounded."""
    source = Counting(10)
    run = mapped(limit=2, order='input').begin(source)

    run.finish('work', 1)
    assert (source.pulled, len(run.at_work)) == (2, 1)
    run.finish('work', 0)
    assert (source.pulled, len(run.at_work)) == (4, 2)


def test_place_of_an_item_is_free_when_it_is_folded():
    """In completion order the next item is pulled as soon as any of those in flight is done."""
    source = Counting(10)
    run = mapped(limit=2, order='completion').begin(source)

    run.finish('work', 1)

    assert (source.pulled, len(run.at_work)) == (3, 2)


def test_first_value_ends_the_reading_of_a_source():
    """Once a join has what it wants, nothing more is pulled."""
    case, source = Case(), Counting(10)
    work, after = case.steps('work after')
    join = case.gather('winner', ReduceFirstValue())
    case.add(
        case.edge_from(case.start_node).map(limit=1).to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(after),
        case.edge_from(after).to(case.end_node),
    )
    run = case.begin(source)

    assert run.finish('work').at_work == ['after']
    assert source.pulled == 1


def test_maps_with_limits_inside_of_one_another_come_to_their_end():
    """Limits count items in flight and not running bodies, so that an inner map cannot keep the outer one waiting."""
    case = Case()
    (work,) = case.steps('work')
    row, table = case.gather('row', preferred_parent_fork='closest'), case.gather('table')
    case.add(
        case.edge_from(case.start_node).map(limit=1).map(limit=1).to(work),
        case.edge_from(work).to(row),
        case.edge_from(row).to(table),
        case.edge_from(table).to(case.end_node),
    )
    graph = case.build()

    assert ends_of(runs_in_all_orders(lambda: Run(graph, [[1, 2], [], [3]]))) == {'[[1, 2], [], [3]]': 1}


# Subgraphs


def around(sub, reducer=reduce_list_append):
    """A graph that has another one as a step, beside a step of its own."""
    case = Case()
    beside, after = case.steps('beside after')
    join = case.gather('join', reducer)
    case.add(
        case.edge_from(case.start_node).to(sub, beside),
        case.edge_from(sub, beside).to(join),
        case.edge_from(join).to(after),
        case.edge_from(after).to(case.end_node),
    )
    return case


def test_subgraph_without_a_result_fails_the_run():
    """A graph that ends without a value fails as a step, and fires no join of the graph around it."""
    run = around(inner_graph()).begin([])

    assert 'no result was produced' in run.outcome
    assert 'sub' in run.outcome


def test_subgraph_that_has_lost_is_cancelled_and_not_missed():
    """First wins also over a graph that is a step: its tokens go, and that is no failure of it."""
    run = around(inner_graph(), ReduceFirstValue()).begin([1, 2])

    run.finish('beside')

    assert run.at_work == ['after']
    assert run.stopped == ['sub/part', 'sub/part']
    assert run.finish('after').outcome == [1, 2]


def test_end_of_a_subgraph_stops_what_is_left_in_it():
    """The first value at the end of a graph that is a step is what the step gives, and no other one follows."""
    run = around(inner_graph()).begin([1, 2])

    assert run.finish('sub/part', 2).at_work == ['beside']
    assert run.stopped == ['sub/part']
    assert run.finish('beside').finish('after').outcome == [2, [1, 2]]


# Failures


@pytest.mark.parametrize('limit', [None, 2])
def test_nothing_starts_once_the_run_has_failed(limit):
    """A transform that raises for one item keeps those after it from starting."""
    case = Case()
    (work,) = case.steps('work')
    case.add(
        case.edge_from(case.start_node).map(limit=limit).transform(lambda ctx: 1 // ctx.inputs).to(work),
        case.edge_from(work).to(case.end_node),
    )
    run = case.begin([0, 1, 2])

    assert 'by zero' in run.outcome
    assert run.at_work == []


# Building


@pytest.mark.parametrize('make', [nested, mapped, lambda: around(inner_graph())])
def test_building_again_gives_an_equal_plan(make):
    """`build` changes nothing that it is given."""
    case = make()

    assert case.build().plan == case.build().plan
