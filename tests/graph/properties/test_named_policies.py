"""What policies promise, case by case, on runs that are driven by hand."""

import pytest

from plait_graph import reduce_list_append
from plait_graph.events import StepFailed, ValueDropped
from plait_graph.exceptions import JoinUnsatisfied, LoopLimitReached, RunTimeout, StepTimeout
from plait_graph.join import BranchFailure
from plait_graph.policies import JoinPolicy, LoopGuard, Retry, Share
from properties.by_hand import Case, Run, inner_graph

# What joins need


def working(policy=None, *, limit=None, reducer=reduce_list_append, **step):
    """A map to one step, and a join with a policy that leads to a last step."""
    case = Case()
    (work,) = case.steps('work', **step)
    (last,) = case.steps('last')
    join = case.gather(reducer=reducer, policy=policy)
    case.add(
        case.edge_from(case.start_node).map(limit=limit).to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(last),
        case.edge_from(last).to(case.end_node),
    )
    return case


def test_join_that_needs_any_two_goes_on_with_the_first_two():
    """Whichever come first are enough, they stand in input order, and what is left of the rest is stopped."""
    run = working(JoinPolicy(need=2)).begin([1, 2, 3])

    run.finish('work', 3).finish('work', 1)

    assert (run.at_work, run.stopped) == (['last'], ['work'])
    assert run.finish('last').outcome == [1, 3]


def test_rest_that_is_kept_goes_on_and_its_values_are_dropped():
    """With `rest='keep'` nothing is stopped, and what comes late changes nothing."""
    run = working(JoinPolicy(need=1, rest='keep')).begin([1, 2])

    run.finish('work', 2)
    assert (run.at_work, run.stopped) == (['last', 'work'], [])

    run.finish('work', 1)
    assert [event.value for event in run.of(ValueDropped)] == [1]
    assert run.finish('last').outcome == [2]


def test_share_of_a_map_without_a_limit_is_known_at_once():
    """Half of four items are two, whichever come first."""
    run = working(JoinPolicy(need=Share(0.5))).begin([1, 2, 3, 4])

    assert run.finish('work', 4).at_work == ['work', 'work', 'work']
    assert run.finish('work', 2).at_work == ['last']


def test_share_under_a_limit_is_known_when_the_source_is_exhausted():
    """As long as items may follow, no number of values is enough; with the last item it is looked at again."""
    run = working(JoinPolicy(need=Share(0.5)), limit=2).begin([1, 2, 3, 4])

    run.finish('work', 1).finish('work', 2)
    assert run.at_work == ['work', 'work']
    run.finish('work', 3)
    assert (run.at_work, run.stopped) == (['last'], ['work'])


def test_share_counts_items_and_not_values():
    """Two values that came from one item are one item's part."""
    case = Case()
    one, other, last = case.steps('one other last')
    join = case.gather(policy=JoinPolicy(need=Share(1)), parent_fork_id='items')
    case.add(
        case.edge_from(case.start_node).map(fork_id='items').to(one, other),
        case.edge_from(one, other).to(join),
        case.edge_from(join).to(last),
        case.edge_from(last).to(case.end_node),
    )
    run = case.begin([1, 2])

    run.finish('one', 1).finish('other', 1)
    assert 'last' not in run.at_work
    assert run.finish('one', 2).at_work == ['last']


@pytest.mark.parametrize('arrived', [[], [2], [3, 1]])
def test_join_takes_what_has_arrived_by_its_deadline(arrived):
    """When the deadline comes, a join that needs what has arrived goes on with that, even if it is nothing."""
    run = working(JoinPolicy(need='arrived', deadline=5)).begin([1, 2, 3])
    assert run.awaited == [('join', 5)]

    for item in arrived:
        run.finish('work', item)
    run.expire('join')

    assert run.at_work == ['last']
    assert run.finish('last').outcome == sorted(arrived)


def test_join_that_needs_what_has_arrived_waits_no_longer_than_it_must():
    """When everything has come before the deadline, the join goes on, and the deadline is given up."""
    run = working(JoinPolicy(need='arrived', deadline=5)).begin([1, 2])

    run.finish('work', 1).finish('work', 2)

    assert (run.at_work, run.awaited) == (['last'], [])


def test_need_that_can_no_longer_be_met_is_said():
    """A join that needs three of two fails when nothing is left that could bring another value."""
    run = working(JoinPolicy(need=3)).begin([1, 2])

    run.finish('work', 1).finish('work', 2)

    assert isinstance(run.error, JoinUnsatisfied)
    assert 'needs any 3' in str(run.error)
    assert 'Values came: 2' in str(run.error)


@pytest.mark.parametrize('need', ['all', 2])
def test_need_that_is_not_met_by_its_deadline_is_said(need):
    """A join that waits for more than has come fails when its deadline comes, and what it waited for is stopped."""
    run = working(JoinPolicy(need=need, deadline=5)).begin([1, 2])

    run.finish('work', 1).expire('join')

    assert isinstance(run.error, JoinUnsatisfied)
    assert 'its deadline of 5 s has come' in str(run.error)
    assert run.stopped == ['work']


# Branches that fail


def test_failures_that_are_collected_stand_in_input_order():
    """A branch that failed is in the list in its place, and says which it was."""
    run = working(JoinPolicy(failures='collect')).begin([1, 2, 3])

    run.finish('work', 3).fail('work', 2).finish('work', 1)
    found = run.finish('last').outcome

    assert [found[0], found[2]] == [1, 3]
    assert isinstance(found[1], BranchFailure)
    assert (found[1].node_id, found[1].fork_stack[-1].thread_index, str(found[1].error)) == ('work', 1, 'work failed')
    assert [event.handled_by for event in run.of(StepFailed)] == ['join']


def test_join_that_ignores_failures_fires_even_if_all_branches_fail():
    """Nothing but failures is no reason not to go on."""
    run = working(JoinPolicy(failures='ignore')).begin([1, 2])

    run.fail('work', 1).fail('work', 2)

    assert run.finish('last').outcome == []


@pytest.mark.parametrize('failures', ['collect', 'ignore'])
def test_failure_counts_for_no_need(failures):
    """A join that needs two of three is content after one failure, and not after two, which are then its causes."""
    graph = working(JoinPolicy(need=2, failures=failures)).build()

    content = Run(graph, [1, 2, 3]).fail('work', 1).finish('work', 2).finish('work', 3)
    assert content.at_work == ['last']

    error = Run(graph, [1, 2, 3]).fail('work', 1).fail('work', 2).finish('work', 3).error
    assert isinstance(error, JoinUnsatisfied)
    assert [str(cause) for cause in error.causes] == ['work failed', 'work failed']


def rows(inner, outer, *, limit=None):
    """A map to rows and a map to cells, with a join for the cells of a row, and one for all rows before a last step."""
    case = Case()
    cell, last = case.steps('cell last')
    row = case.gather('row', policy=inner, parent_fork_id='cells')
    table = case.gather('table', policy=outer, parent_fork_id='rows')
    case.add(
        case.edge_from(case.start_node).map(fork_id='rows', limit=limit).map(fork_id='cells').to(cell),
        case.edge_from(cell).to(row),
        case.edge_from(row).to(table),
        case.edge_from(table).to(last),
        case.edge_from(last).to(case.end_node),
    )
    return case


@pytest.mark.parametrize('limit', [None, 1])
def test_failure_passes_a_join_that_raises_and_takes_its_siblings_with_it(limit):
    """A row that cannot be completed is given up as a whole; the table goes on without it."""
    run = rows(None, JoinPolicy(failures='ignore'), limit=limit).begin([[1, 2, 3], [4]])

    run.finish('cell', 1).fail('cell', 2)

    assert run.at_work == ['cell']
    assert run.stopped == ['cell']
    assert run.finish('cell', 4).finish('last').outcome == [[4]]


def test_one_failure_is_collected_for_a_row_that_is_given_up():
    """The table has it in the row's place, and knows the cell that it came from."""
    run = rows(None, JoinPolicy(failures='collect')).begin([[1, 2], [3]])

    run.finish('cell', 3).fail('cell', 2)

    failure, row = run.finish('last').outcome
    assert row == [3]
    assert [item.thread_index for item in failure.fork_stack] == [0, 0, 1]


def test_failure_that_no_join_takes_fails_the_run():
    """Joins that raise failures pass them on to the run, which stops everything else."""
    run = rows(None, JoinPolicy(need=1, rest='keep')).begin([[1, 2], [3]])

    run.fail('cell', 1)

    assert str(run.error) == 'cell failed'
    assert run.stopped == ['cell', 'cell']


def test_failure_that_comes_late_is_dropped():
    """A join that has gone on misses nobody, and the run does not fail."""
    run = working(JoinPolicy(need=1, rest='keep')).begin([1, 2])

    run.finish('work', 1).fail('work', 2)

    assert [event.is_dropped for event in run.of(StepFailed)] == [True]
    assert run.finish('last').outcome == [1]


def test_graph_that_fails_as_a_step_is_one_branch_that_failed():
    """A failure that leaves a subgraph takes everything in it away; the join around it ignores the branch."""
    case = Case()
    beside = case.steps('beside')[0]
    sub, join = inner_graph(), case.gather(policy=JoinPolicy(failures='ignore'))
    case.add(
        case.edge_from(case.start_node).to(sub, beside),
        case.edge_from(sub, beside).to(join),
        case.edge_from(join).to(case.end_node),
    )
    run = case.begin([1, 2])

    run.fail('sub/part', 1)

    assert (run.at_work, run.stopped) == (['beside'], ['sub/part'])
    assert run.finish('beside').outcome == [[1, 2]]


def test_graph_without_a_result_is_a_branch_that_failed():
    """A subgraph in which nothing is left fails like a step, so that a join can do without it."""
    case = Case()
    beside = case.steps('beside')[0]
    sub, join = inner_graph(), case.gather(policy=JoinPolicy(failures='collect'))
    case.add(
        case.edge_from(case.start_node).to(sub, beside),
        case.edge_from(sub, beside).to(join),
        case.edge_from(join).to(case.end_node),
    )

    failure, value = case.begin([]).finish('beside').outcome

    assert (failure.node_id, value) == ('sub', [])
    assert 'no result was produced' in str(failure.error)


@pytest.mark.parametrize('limit', [None, 2])
def test_transform_behind_a_map_fails_one_item(limit):
    """What raises on the way out of a fork belongs to the branch that it happened in."""
    case = Case()
    (work,) = case.steps('work')
    join = case.gather(policy=JoinPolicy(failures='ignore'))
    case.add(
        case.edge_from(case.start_node).map(limit=limit).transform(lambda ctx: 6 // ctx.inputs).to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(case.end_node),
    )

    assert case.begin([1, 0, 2]).finish('work', 6).finish('work', 3).outcome == [6, 3]


def test_source_that_raises_fails_its_map_as_a_whole():
    """Items that were pulled before are given up with it, and the join around the map has one failure."""

    def source():
        yield 1
        raise ValueError('the source failed')

    run = rows(None, JoinPolicy(failures='collect')).begin([source(), [2]])

    failure, row = run.finish('cell', 2).finish('last').outcome

    assert (failure.node_id, str(failure.error), row) == ('cells', 'the source failed', [2])


def test_join_whose_reducer_raised_takes_what_it_waited_for_with_it():
    """Nothing wants the rest of a row whose reducer failed, so that it is stopped; the table ignores the row."""
    case = Case()
    (cell,) = case.steps('cell')
    row = case.gather('row', lambda ctx, total, value: total // value, lambda: 1, parent_fork_id='cells')
    table = case.gather('table', policy=JoinPolicy(failures='ignore'))
    case.add(
        case.edge_from(case.start_node).map(fork_id='rows').map(fork_id='cells').to(cell),
        case.edge_from(cell).to(row),
        case.edge_from(row).to(table),
        case.edge_from(table).to(case.end_node),
    )
    run = case.begin([[0, 5], [1]])

    run.finish('cell', 0)
    assert run.stopped == ['cell']
    assert run.finish('cell', 1).outcome == [1]


def test_deadline_is_given_up_when_its_run_is_over():
    """A row that nobody wants any more has no deadline either."""
    run = rows(JoinPolicy(deadline=5), JoinPolicy(need=1)).begin([[1, 2], [3]])
    assert run.awaited == [('join', 5), ('join', 5)]

    run.finish('cell', 3)

    assert (run.at_work, run.awaited) == (['last'], [])


# Attempts


def test_retry_keeps_place_and_order():
    """An item that is tried again stands where it stood, and the join waits for it."""
    run = working(retry=2).begin([1, 2])

    run.fail('work', 1).finish('work', 2)
    assert run.attempts == [('work', 2)]
    assert run.finish('work', 1).finish('last').outcome == [1, 2]


def test_retry_waits_as_long_as_it_says():
    """Between two attempts no body is at work, and a timer says when the next one begins."""
    run = working(retry=Retry(2, wait=3)).begin([1])

    run.fail('work')
    assert (run.at_work, run.awaited) == ([], [('retry', 3)])
    assert run.expire('retry').attempts == [('work', 2)]


def test_error_that_is_not_to_be_retried_fails_at_once():
    """`on` says after which errors there is another attempt."""
    run = working(retry=Retry(3, on=KeyError)).begin([1])

    assert str(run.fail('work').error) == 'work failed'


def test_time_out_is_followed_by_an_attempt_when_the_body_has_ended():
    """A body whose time is up is asked to stop, and nothing follows before it has."""
    run = working(timeout=4, retry=2).begin([1])
    assert run.awaited == [('timeout', 4)]

    run.expire('timeout')
    assert (run.at_work, run.stopped, run.awaited) == ([], ['work'], [])
    run.end('work')
    assert (run.attempts, run.awaited) == ([('work', 2)], [('timeout', 4)])


def test_value_that_is_given_when_the_time_was_up_is_of_no_use():
    """The attempt has failed, whatever its body still gives."""
    run = working(timeout=4).begin([1])
    (task,) = run.tasks
    run.expire('timeout')

    run.scheduler.finish(task, 'late')

    assert isinstance(run.error, StepTimeout)


def test_step_that_is_done_is_not_timed_any_more():
    """The time-out of an attempt is given up when its body has ended."""
    assert working(timeout=4).begin([1]).finish('work').awaited == []


def test_fallback_takes_the_inputs_in_the_place_of_the_item():
    """When no attempt is left, another step does the work, and its value has the item's place in the list."""
    case = Case()
    (spare,) = case.steps('spare')
    (work,) = case.steps('work', retry=2, fallback=spare)
    join = case.gather()
    case.add(
        case.edge_from(case.start_node).map().to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(case.end_node),
    )
    run = case.begin([1, 2])

    run.fail('work', 1).fail('work', 1)
    assert run.at_work == ['spare', 'work']
    assert run.finish('work', 2).finish('spare', 1).outcome == [1, 2]


def circling(guard):
    """A map whose items go round a step as long as they are below ten."""
    case = Case()
    (work,) = case.steps('work', loop_guard=guard(case))
    join = case.gather()
    again = case.match(object, matches=lambda n: n < 10).transform(lambda ctx: ctx.inputs + 1).to(work)
    choice = case.decision().branch(again).branch(case.match(object).to(join))
    case.add(
        case.edge_from(case.start_node).map().to(work),
        case.edge_from(work).to(choice),
        case.edge_from(join).to(case.end_node),
    )
    return case


def test_loop_guard_counts_for_each_item():
    """One item that goes round too often is turned away; the others have their own count."""
    run = circling(lambda case: LoopGuard(2, then=case.end_node)).begin([1, 9])

    run.finish('work', 9).finish('work', 10).finish('work', 1)
    assert run.at_work == ['work']
    assert run.finish('work', 2).outcome == 3


def test_loop_guard_bounds_a_cycle_that_passes_a_fork_and_its_join():
    """Each round begins a run of the fork within the last one, and is counted as one of the same cycle."""
    case = Case()
    (head,) = case.steps('head', loop_guard=LoopGuard(3, then=case.end_node))
    (work,) = case.steps('work')
    join = case.gather(preferred_parent_fork='closest')
    case.add(
        case.edge_from(case.start_node).to(head),
        case.edge_from(head).map().to(work),
        case.edge_from(work).to(join),
        case.edge_from(join).to(head),
    )
    run = case.begin([1])

    for _ in range(3):
        assert run.at_work == ['head']
        run.finish('head').finish('work')
    assert run.outcome == [1]


def test_loop_guard_without_a_way_out_fails():
    """The step that was reached too often says so."""
    run = circling(lambda case: 2).begin([1])

    run.finish('work', 1).finish('work', 2)

    assert isinstance(run.error, LoopLimitReached)
    assert "'work' has been reached 2 times" in str(run.error)


def test_step_has_no_more_bodies_at_once_than_it_allows():
    """The others wait, and the oldest of them begins when a body ends, before what became ready since."""
    run = working(max_concurrency=2, retry=2).begin([1, 2, 3, 4])

    assert [task.inputs for task in run.tasks] == [1, 2]
    run.fail('work', 1)
    assert [task.inputs for task in run.tasks] == [2, 3]
    run.finish('work', 2)
    assert [task.inputs for task in run.tasks] == [3, 4]
    assert run.finish('work', 3).attempts == [('work', 2), ('work', 1)]


def test_body_that_was_asked_to_stop_keeps_its_place_until_it_has():
    """A step with one body at once does not begin another one while the first still ends."""
    run = working(JoinPolicy(failures='ignore'), max_concurrency=1, timeout=4).begin([1, 2])

    run.expire('timeout')
    assert run.at_work == []
    assert run.end('work').at_work == ['work']


# Time of a run


def test_no_timer_is_left_at_the_end_of_a_run():
    """Deadlines, time-outs and waits that are still to come are given up when the run has its value."""
    case = Case()
    (quick,) = case.steps('quick')
    slow, unlucky = case.steps('slow unlucky', timeout=9, retry=Retry(2, wait=5))
    join = case.gather(policy=JoinPolicy(deadline=7))
    case.add(
        case.edge_from(case.start_node).to(quick, slow, unlucky),
        case.edge_from(slow, unlucky).to(join),
        case.edge_from(join, quick).to(case.end_node),
    )
    run = case.begin(1).fail('unlucky')
    assert sorted(run.awaited) == [('join', 7), ('retry', 5), ('timeout', 9)]

    assert run.finish('quick').outcome == 1
    assert run.awaited == []


def test_run_that_takes_longer_than_it_may_fails_and_stops_everything():
    """The deadline of a whole run is a timer like the others."""
    run = working(timeout=9).begin([1, 2])
    run.scheduler.allow(60)

    assert run.at_work == ['work', 'work']
    run.expire('run')

    assert isinstance(run.error, RunTimeout)
    assert (run.awaited, run.stopped) == ([], ['work', 'work'])
