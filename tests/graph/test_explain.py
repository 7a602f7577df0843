"""What a log keeps of a run, and what it answers.

The histories here are made by hand: `split` gives a list, `work` runs for each item, `total` sums up, `report` is last.
"""

import dataclasses
import io
import itertools
import json
from collections import deque
from datetime import date
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from plait_graph.events import (
    Emitted,
    JoinFired,
    LoopBlocked,
    RunEvent,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepFellBack,
    StepFinished,
    StepReady,
    StepRetried,
    StepStarted,
    ValueDropped,
    ValueJoined,
)
from plait_graph.exceptions import EventLogError, GraphRuntimeError
from plait_graph.explain import EventLog, RecordedError, diff
from plait_graph.id_types import ForkStack, ForkStackItem

ROOT = ForkStackItem('__start__', 'run:0', 0)
BEHIND_JOIN = (ForkStackItem('__start__', 'run:0', -1),)


def item(index, run='run:2'):
    """The stack of an item of the map `each`."""
    return (ROOT, ForkStackItem('each', run, index))


def step(node, task, inputs, output, *, cause=None, visit=1, stack=(ROOT,)):
    """A step that is reached, works and gives a value."""
    return [
        StepReady(node, task, stack, inputs, cause, visit),
        StepStarted(node, task, stack, inputs),
        StepFinished(node, task, stack, output),
    ]


def work(index, value, *, task=None, result=None):
    """An item that is worked on, and whose result reaches the join."""
    task = task or f'task:{index + 2}'
    result = value * 10 if result is None else result
    done = step('work', task, value, result, cause='task:1', visit=2, stack=item(index))
    return [*done, ValueJoined('total', item(index), result, task, 'join:1')]


def end(total, *, task='task:9'):
    """The join fires, and the last step reports."""
    return [
        JoinFired('total', BEHIND_JOIN, total, 'join:1'),
        *step('report', task, total, f'{total} in all', cause='join:1', visit=3, stack=BEHIND_JOIN),
        RunFinished(f'{total} in all'),
    ]


def whole_run():
    """All events of a run over two items."""
    return [*step('split', 'task:1', 'a b', [1, 2]), *work(0, 1), *work(1, 2), *end(30)]


def log_of(events, **options):
    """A log of events that are told a second after one another."""
    log = EventLog(clock=itertools.count(100.0).__next__, **options)
    for event in events:
        log(event)
    return log


def saved(log):
    """The text of a log's file."""
    file = io.StringIO()
    log.dump(file)
    return file.getvalue()


def kept(value):
    """What a log makes of a value."""
    return log_of([RunFinished(value)])[0].event.output


# Recording


def test_a_log_tells_what_happened_and_when():
    """Each event has its number and its time since the first one, and can be found by position and by kind."""
    log = log_of(whole_run())

    assert [logged.sequence for logged in log] == list(range(len(log)))
    assert [logged.seconds for logged in log[:3]] == [0, 1, 2]
    assert log[-1].event == RunFinished('30 in all')
    assert [logged.event.join_id for logged in log.of(JoinFired)] == ['total']
    assert log.started_at is not None


def test_a_log_shows_what_a_value_was():
    """A value that is changed after the event is recorded as it was when the event was told."""
    state = {'seen': []}
    log = log_of([StepStarted('work', 'task:1', (ROOT,), state)])

    state['seen'].append('later')

    assert log[0].event.inputs == {'seen': []}


def test_a_log_keeps_no_error_alive():
    """An error is recorded as what it said, without its traceback and the frames in it."""
    error = ValueError('no such item')
    error.add_note('at work')
    log = log_of([StepFailed('work', 'task:1', (ROOT,), error, is_dropped=False)])

    (failed,) = log.of(StepFailed)
    assert failed.event.error == RecordedError('ValueError', 'no such item', ('at work',))
    assert str(failed.event.error) == 'ValueError: no such item'
    assert failed.event.error is not error


def test_recorded_errors_are_compared_by_what_they_say():
    """Two stand-ins that say the same are one in a set, and equal to no other error."""
    assert (
        len({RecordedError('ValueError', 'no'), RecordedError('ValueError', 'no'), RecordedError('KeyError', '1')}) == 2
    )
    assert RecordedError('ValueError', 'no') != ValueError('no')


def test_plain_events_are_kept_as_they_are():
    """An event whose values cannot change is not copied."""
    event = StepStarted('work', 'task:1', (ROOT,), 'text')

    assert log_of([event])[0].event is event


def test_a_bound_log_drops_the_oldest():
    """A log with a limit keeps the last events and says how many it has dropped."""
    log = log_of(whole_run(), limit=3)

    assert [logged.event for logged in log] == whole_run()[-3:]
    assert (len(log), log.dropped) == (3, len(whole_run()) - 3)
    assert f'{log.dropped} dropped' in repr(log)


def test_a_limit_without_a_place_is_refused():
    """A log that could keep nothing is not made."""
    with pytest.raises(GraphRuntimeError, match='Give at least 1'):
        EventLog(limit=0)


def test_what_is_no_event_is_refused():
    """A log takes the events of runs and nothing else."""
    with pytest.raises(GraphRuntimeError, match='str is no event'):
        EventLog()('hello')


# Values


class Colour(Enum):
    RED = 'red'


class Account(BaseModel):
    password: SecretStr
    rate: float


@dataclasses.dataclass
class Job:
    day: date
    size: int


class Opaque:
    pass


class Rude:
    def __repr__(self):
        raise RuntimeError('not today')


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ((1, [2.5, None, True]), [1, [2.5, None, True]]),
        ({1: 'a', Colour.RED: {'b'}, (1, 'x'): 0}, {'1': 'a', 'red': ['b'], '[1, "x"]': 0}),
        ({'c', 'a', 'b'}, ['a', 'b', 'c']),
        (deque([1, 2]), [1, 2]),
        (Job(date(2026, 1, 2), 3), {'day': '2026-01-02', 'size': 3}),
        (Account(password='secret', rate=float('inf')), {'password': '**********', 'rate': {'$repr': 'inf'}}),
        (Decimal('1.50'), '1.50'),
        (b'\xff', '_w=='),
        (float('nan'), {'$repr': 'nan'}),
        ([Opaque()], [{'$repr': f'<{__name__}.Opaque object>'}]),
        (Rude(), {'$repr': '<Rude>'}),
        (10**5000, {'$repr': '<int>'}),
        ('\ud800', '\ud800'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_kept_as_plain_data(value, expected):
    """What JSON can say is said, and the rest is marked, in the same words in every run."""
    assert kept(value) == expected
    assert json.loads(json.dumps(kept(value))) == expected


def test_recording_reads_no_iterator():
    """A value that can be read once is still whole after it was recorded, also deep within another one."""
    items, more = iter([1, 2]), (number for number in [3])

    recorded = kept({'items': items, 'more': [more]})

    assert (list(items), list(more)) == ([1, 2], [3])
    assert list(recorded['items']) == ['$repr']


def test_values_in_a_circle_and_very_deep_ones_are_marked():
    """A value that holds itself, or is too deep for a file, does not stop the run."""
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert kept(circle) == {'$repr': '[[...]]'}
    assert list(kept(deep)) == ['$repr']


def test_long_reprs_are_cut():
    """An object that says much of itself does not fill the log."""
    assert len(kept([bytearray, type('Loud', (), {'__repr__': lambda _: 'x' * 5000})()])[1]['$repr']) == 1003


def test_an_error_that_cannot_be_shown_is_recorded_all_the_same():
    """An exception whose own __str__ raises is recorded by its class."""

    class Odd(Exception):
        __notes__ = 5

        def __str__(self):
            raise RuntimeError('no')

    (failed,) = log_of([StepFailed('work', 'task:1', (ROOT,), Odd(), is_dropped=False)]).of(StepFailed)

    assert failed.event.error.type.endswith('Odd')
    assert failed.event.error.message == 'its message cannot be shown'
    assert failed.event.error.notes == ()


# Keeping


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.just(Opaque()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)
ERRORS = st.builds(RecordedError, st.text(), st.text(), st.lists(st.text()).map(tuple)) | st.builds(
    ValueError, st.text()
)
STACKS = st.lists(st.builds(ForkStackItem, st.text(), st.text(), st.integers())).map(tuple)


def fields_like(hint: Any) -> st.SearchStrategy[Any]:
    """Values for a field of an event."""
    known = {Any: VALUES, BaseException: ERRORS, ForkStack: STACKS, float: st.floats(allow_nan=False)}
    if hint in known:
        return known[hint]
    if isinstance(hint, NewType):
        return fields_like(hint.__supertype__)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*map(fields_like, get_args(hint)))
    return {str: st.text(), int: st.integers(), bool: st.booleans(), type(None): st.none()}[hint]


def events_like(kind: Any) -> st.SearchStrategy[Any]:
    """Events of a kind."""
    return st.builds(kind, **{name: fields_like(hint) for name, hint in get_type_hints(kind).items()})


@given(events=st.lists(st.one_of(map(events_like, get_args(RunEvent))), max_size=8))
def test_what_is_saved_is_loaded(tmp_path_factory, events):
    """Any event is read back as it was recorded, and a log that is written again gives the same file."""
    log = log_of(events, run_id='run', graph_name='sums')
    path = tmp_path_factory.mktemp('logs') / 'run.jsonl'

    log.save(path)
    loaded = EventLog.load(path)

    assert list(loaded) == list(log)
    assert saved(loaded) == saved(log) == path.read_text('utf-8')


def test_what_is_said_of_a_whole_log_is_loaded(tmp_path):
    """The run's id, the graph's name, the start and the number of dropped events are in the file."""
    log = log_of(whole_run(), limit=4, run_id='r1', graph_name='sums')
    log.save(tmp_path / 'log')

    loaded = EventLog.load(tmp_path / 'log')

    assert (loaded.run_id, loaded.graph_name, loaded.started_at) == ('r1', 'sums', log.started_at)
    assert (loaded.dropped, loaded.is_complete) == (log.dropped, True)
    assert repr(loaded) == f'<EventLog of r1 of sums: 4 events, {log.dropped} dropped>'


def test_a_loaded_log_goes_on(tmp_path):
    """What is told to a log that was loaded stands behind what it has."""
    log_of(whole_run()).save(tmp_path / 'log')
    loaded = EventLog.load(tmp_path / 'log')
    last = loaded[-1]

    loaded(RunFinished(None))

    assert loaded[-1].sequence == last.sequence + 1
    assert loaded[-1].seconds >= last.seconds


def test_a_torn_last_line_leaves_the_rest(tmp_path):
    """A log that was cut off in the middle of a line has all lines before it, and says so."""
    text = saved(log_of(whole_run()))
    (tmp_path / 'log').write_text(text[:-10], 'utf-8')

    loaded = EventLog.load(tmp_path / 'log')

    assert [logged.event for logged in loaded] == whole_run()[:-1]
    assert not loaded.is_complete
    assert 'not complete' in repr(loaded)
    assert '"is_complete": false' in saved(loaded)


def test_a_last_line_without_a_line_break_is_whole(tmp_path):
    """A log whose very last character is missing has lost nothing."""
    (tmp_path / 'log').write_text(saved(log_of(whole_run()))[:-1], 'utf-8')

    loaded = EventLog.load(tmp_path / 'log')

    assert [logged.event for logged in loaded] == whole_run()
    assert loaded.is_complete


def started(**changes):
    """A line of a log, with something else in it."""
    event = {'node_id': 'work', 'task_id': 't', 'fork_stack': [], 'inputs': 1, 'attempt': 1}
    return json.dumps({'sequence': 0, 'seconds': 0.5, 'kind': 'StepStarted', 'event': event} | changes)


@pytest.mark.parametrize(
    ('line', 'problem'),
    [
        ('{"half', 'it is no JSON object'),
        ('[' * 100_000, 'it is no JSON object'),
        ('7', 'it is no JSON object'),
        ('{}', "it has no 'sequence'"),
        (started(sequence=True), 'sequence True or seconds 0.5 is no number'),
        (started(kind='os.system'), "'os.system' is no kind of event; there are Emitted, JoinFired"),
        (started(kind=['a']), "kind ['a'] or event"),
        (started(event={'node_id': 'work'}), 'StepStarted lacks a field'),
        (started(event={'surprise': 1}), "StepStarted has no field 'surprise'"),
        (started(event={'node_id': 5}), "'node_id' is 5"),
        (started(event={'fork_stack': [['each']]}), "'fork_stack' is"),
        (started(kind='StepFailed', event={'error': {'type': 'x'}}), "'error' is"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, problem):
    """What cannot be read is an error that names file, line and remedy."""
    text = saved(log_of(whole_run()))
    (tmp_path / 'broken.jsonl').write_text(f'{text}{line}\n{started()}\n', 'utf-8')

    with pytest.raises(EventLogError) as caught:
        EventLog.load(tmp_path / 'broken.jsonl')

    assert f'broken.jsonl, line {text.count(chr(10)) + 1} cannot be read: ' in str(caught.value)
    assert problem in str(caught.value)
    assert 'remove the line' in str(caught.value)


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (b'', 'not the beginning of an event log'),
        (b'\xff\xfe\x00', 'not the beginning of an event log'),
        (b'{"format": "plait event log", "version": 99}', 'is of version 99'),
        (b'{"format": "plait event log", "version": 1}', "KeyError: 'started_at'"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, content, problem):
    """A file of another kind or version is an error that says so."""
    (tmp_path / 'file').write_bytes(content)

    with pytest.raises(EventLogError, match=problem):
        EventLog.load(tmp_path / 'file')


# Why


def test_why_walks_back_to_the_start():
    """All steps and joins that led to a task are given, each behind its own causes, and nothing else."""
    stray = step('stray', 'task:7', 0, 0)
    explanation = log_of([*stray, *whole_run()]).why('task:9')

    assert [cause.id for cause in explanation.way] == ['task:1', 'task:2', 'task:3', 'join:1', 'task:9']
    assert explanation.target is explanation.way[-1]
    assert explanation.missing == ()
    assert str(explanation).splitlines() == [
        "What led to task:9 at 'report':",
        "  task:1 at 'split' with 'a b', from the start",
        "  task:2 at 'work' for each[0] with 1, from task:1",
        "  task:3 at 'work' for each[1] with 2, from task:1",
        "  join:1 at 'total' gave 30, made of",
        '    10 from task:2',
        '    20 from task:3',
        "  task:9 at 'report' with 30, from join:1",
    ]


def test_why_of_a_join_tells_what_came_in_order():
    """A firing can be asked about; its values stand in the order in which they came."""
    log = log_of([*step('split', 'task:1', 'a b', [1, 2]), *work(1, 2), *work(0, 1)])

    join = log.why('join:1').target

    assert [value.value for value in join.values] == [20, 10]
    assert not join.has_fired
    assert "join:1 at 'total' has not fired, made of" in str(log.why('join:1'))


def test_why_tells_of_attempts_errors_and_caches():
    """What it took to get a value is said of each step."""
    place = ('work', 'task:2', (ROOT,))
    error = ValueError('busy')
    log = log_of(
        [
            StepReady(*place, 1, None, 0),
            StepStarted(*place, 1),
            StepRetried(*place, error, 1, 0.5),
            StepStarted(*place, 1, attempt=2),
            StepFellBack(*place, error, 'other'),
            StepReady('other', 'task:3', (ROOT,), 1, 'task:2', 1),
            StepFinished('other', 'task:3', (ROOT,), 5, is_cached=True),
            StepReady('last', 'task:4', (ROOT,), 5, 'task:3', 2),
            StepStarted('last', 'task:4', (ROOT,), 5),
            StepFailed('last', 'task:4', (ROOT,), KeyError('k'), is_dropped=False),
        ]
    )

    first, second, third = str(log.why('task:4')).splitlines()[1:]
    assert first.endswith('from the start, 2 attempts, after ValueError: busy, fell back')
    assert second.endswith('from task:2, from the cache')
    assert third.endswith("from task:3, failed with KeyError: 'k'")


def test_what_happens_within_a_step_does_not_change_what_became_of_it():
    """Events that a step sends, a blocked loop, and errors after it was cancelled leave the explanation as it is."""
    place = ('work', 'task:1', (ROOT,))
    log = log_of(
        [
            StepReady(*place, 1, None, 0),
            StepStarted(*place, 1),
            Emitted(*place, 'news'),
            LoopBlocked(*place, 1.0, ''),
            StepCancelled(*place),
            StepFailed(*place, ValueError(), is_dropped=True),
        ]
    )

    assert str(log.why('task:1')).splitlines()[1:] == ["  task:1 at 'work' with 1, from the start, cancelled"]


def test_why_of_many_values_is_short():
    """As text, a join of very many values shows a few of them and what led to these; as data, all are there."""
    items = [event for index in range(1000) for event in work(index, 1, task=f'item:{index}')]
    explanation = log_of([*step('split', 'task:1', '', []), *items, *end(10000)]).why('task:9')

    assert len(explanation.way) == 1003
    assert len(str(explanation).splitlines()) < 30
    assert 'and 992 more values' in str(explanation)


def test_why_of_a_long_way_is_short():
    """As text, a way of very many steps shows its beginning and its end."""
    loop = [step('turn', f'task:{n}', n, n, cause=f'task:{n - 1}' if n else None, visit=n) for n in range(500)]
    text = str(log_of(itertools.chain(*loop)).why('task:499'))

    assert '... 440 more lines ...' in text
    assert 'task:499 ' in text.splitlines()[-1]


def test_why_says_what_was_dropped_from_the_log():
    """Where the log does not go back to the start, the explanation says where it ends."""
    explanation = log_of(whole_run(), limit=5).why('task:9')

    assert explanation.missing == ()
    assert log_of(whole_run(), limit=4).why('task:9').missing == ('join:1',)
    unled = log_of(whole_run(), limit=3).why('task:9')
    assert unled.missing == ('task:9',)
    assert str(unled).splitlines()[1:] == [
        "  task:9 at 'report' with 30",
        'The way to task:9 is not in the log.',
    ]


@pytest.mark.parametrize(
    ('id', 'problem'),
    [
        ('task:99', "no task or firing 'task:99'. It has task:1, task:2, task:3, task:9, join:1"),
        ('work', "'work' is a node, not a task. It was reached as task:2, task:3"),
        ('total', "'total' is a node, not a task. It was reached as join:1"),
    ],
)
def test_why_of_an_unknown_id_says_what_there_is(id, problem):
    """An id that the log has not is an error with those that it has."""
    with pytest.raises(GraphRuntimeError) as caught:
        log_of(whole_run()).why(id)

    assert problem in str(caught.value)


def test_why_of_an_empty_log_says_how_to_fill_it():
    """A log that was never given to a run says so."""
    with pytest.raises(GraphRuntimeError, match='give it to on_event='):
        EventLog().why('task:1')


def test_why_not_tells_where_values_ended():
    """What failed, was cancelled or dropped, waits, or led nowhere is given for a node that was not reached."""
    log = log_of(
        [
            *step('split', 'task:1', 'a b', [1, 2]),
            *work(0, 1),
            StepReady('work', 'task:3', item(1), 2, 'task:1', 2),
            StepFailed('work', 'task:3', item(1), ValueError('boom'), is_dropped=False),
            StepReady('work', 'task:4', item(2), 3, 'task:1', 2),
            StepCancelled('work', 'task:4', item(2)),
            StepReady('work', 'task:5', item(3), 4, 'task:1', 2),
            *step('side', 'task:6', 1, False),
            ValueDropped('first', item(4), 50),
        ]
    )

    assert str(log.why_not('report')).splitlines() == [
        "'report' was not reached. What ended elsewhere:",
        "  task:3 at 'work' for each[1] failed with ValueError: boom",
        "  task:4 at 'work' for each[2] cancelled",
        "  task:5 at 'work' for each[3] has not finished",
        "  task:6 at 'side' gave False, which led to no step and no join",
        "  join:1 at 'total' has not fired",
        "  50 for each[4] was dropped at 'first', which had fired",
    ]


def test_why_not_says_so_if_the_node_was_reached():
    """A node that was reached is answered with the tasks there."""
    assert str(log_of(whole_run()).why_not('work')).startswith("'work' was reached as task:2, task:3.")


# Statistics


def test_statistics_count_and_time():
    """Attempts, failures, waiting and working times are counted for each node; who worked longest is first."""
    place = ('work', 'task:2', item(0))
    log = log_of(
        [
            *step('split', 'task:1', '', []),  # at 0, 1, 2: waits a second, works a second
            StepReady(*place, 1, 'task:1', 2),  # 3
            StepReady('work', 'task:3', item(1), 2, 'task:1', 2),  # 4
            StepStarted(*place, 1),  # 5
            StepStarted('work', 'task:3', item(1), 2),  # 6
            StepRetried(*place, ValueError(), 1, 0.5),  # 7
            StepStarted(*place, 1, attempt=2),  # 8
            StepFinished(*place, 10),  # 9
            ValueJoined('total', item(0), 10, 'task:2', 'join:1'),  # 10
            StepFailed('work', 'task:3', item(1), ValueError(), is_dropped=False),  # 11
        ]
    )

    statistics = log.statistics()
    first, second, third = statistics.nodes
    assert (first.node_id, second.node_id, third.node_id) == ('work', 'split', 'total')
    assert (first.started, first.finished, first.failed, first.retried) == (3, 1, 1, 1)
    assert (first.total, first.mean, first.longest, first.waiting) == (2 + 1 + 5, 8 / 3, 5, 2 + 2)
    assert (second.total, second.waiting) == (1, 1)
    assert (statistics.duration, statistics.most_at_once, statistics.joined, statistics.dropped) == (11, 2, 1, 0)


def test_statistics_count_what_did_not_run():
    """Cached values, cancelled tasks, fallbacks and dropped values are counted, and take no time."""
    log = log_of(
        [
            StepFinished('work', 'task:1', (ROOT,), 1, is_cached=True),
            StepStarted('work', 'task:2', (ROOT,), 1),
            StepCancelled('work', 'task:2', (ROOT,)),
            StepFailed('work', 'task:2', (ROOT,), ValueError(), is_dropped=True),
            StepFellBack('work', 'task:3', (ROOT,), ValueError(), 'other'),
            Emitted('work', 'task:3', (ROOT,), 'news'),
            LoopBlocked('work', 'task:3', (ROOT,), 1.0, ''),
            JoinFired('first', BEHIND_JOIN, 1, 'join:1'),
            ValueDropped('first', (ROOT,), 2),
        ]
    )

    work, first = log.statistics().nodes
    assert (work.cached, work.finished, work.cancelled, work.failed, work.fell_back) == (1, 1, 1, 0, 1)
    assert (first.fired, first.dropped) == (1, 1)
    assert work.total == 1


def test_statistics_are_shown_as_a_table():
    """As text the columns are aligned, and those in which nothing happened are left out."""
    assert str(log_of(whole_run()).statistics()).splitlines() == [
        '15.000 s, at most 1 at once, 2 values joined, 0 dropped',
        'node    started  finished  joined  fired  total   mean  longest  waiting',
        'work          2         2       0      0  2.000  1.000    1.000    2.000',
        'split         1         1       0      0  1.000  1.000    1.000    1.000',
        'report        1         1       0      0  1.000  1.000    1.000    1.000',
        'total         0         0       2      1  0.000  0.000    0.000    0.000',
    ]


def test_statistics_of_nothing():
    """A log without events has statistics too."""
    assert (
        str(EventLog().statistics())
        == '0.000 s, at most 0 at once, 0 values joined, 0 dropped\nnode  started  finished  total'
    )


# Differences


def first_of(events, **options):
    """A log of a run that begins with the split."""
    return log_of([*step('split', 'task:1', 'a b', [1, 2]), *events], **options)


def told(events_or_differences):
    """What a comparison has found, in short."""
    return [(each.place.node_id, each.where, each.is_origin) for each in events_or_differences]


def test_runs_in_another_order_are_the_same():
    """Task ids, fork runs and the order of what happened do not count."""
    swapped = [
        dataclasses.replace(event, fork_stack=item(event.fork_stack[-1].thread_index, 'run:8'))
        for event in [*work(1, 2, task='task:2'), *work(0, 1, task='task:7')]
    ]

    difference = diff(log_of(whole_run()), first_of([*swapped, *end(30, task='task:4')]))

    assert not difference
    assert (len(difference), str(difference)) == (0, 'The runs did the same.')


def test_the_cause_of_a_difference_comes_first():
    """A step that gave something else for the same inputs is named before all that follows from it."""
    other = diff(log_of(whole_run()), first_of([*work(0, 1), *work(1, 2, result=21), *end(31)]))

    assert other
    assert told(other) == [
        ('work', 'both', True),
        ('total', 'both', False),
        ('report', 'both', False),
        ('', 'both', False),
    ]
    assert str(other).splitlines() == [
        "'work' for each[1], visit 2: output 20 and 21",
        "follows: 'total', visit 0: values [['work for each[1]', 20]] and [['work for each[1]', 21]]; output 30 and 31",
        "follows: 'report', visit 3: inputs 30 and 31; output '30 in all' and '31 in all'",
        "follows: the end of the run: result '30 in all' and '31 in all'",
    ]


def test_steps_of_one_run_alone_are_named():
    """An item that the other run did not have follows from the step that gave it."""
    three = [*step('split', 'task:1', 'a b', [1, 2, 3]), *work(0, 1), *work(1, 2), *work(2, 0), *end(30)]

    other = diff(log_of(whole_run()), log_of(three))

    assert told(other) == [('split', 'both', True), ('total', 'both', False), ('work', 'second', False)]
    assert str(list(other)[-1]) == "'work' for each[2], visit 2: only in the second run"
    assert list(other)[-1].second == 'task:4'


def test_a_failure_is_named_before_what_it_stopped():
    """Of a step that failed and others that were therefore cancelled or never reached, the failure comes first."""
    failing = [
        StepReady('work', 'task:2', item(0), 1, 'task:1', 2),
        StepStarted('work', 'task:2', item(0), 1),
        StepReady('work', 'task:3', item(1), 2, 'task:1', 2),
        StepStarted('work', 'task:3', item(1), 2),
        StepFailed('work', 'task:3', item(1), ValueError('boom'), is_dropped=False),
        StepCancelled('work', 'task:2', item(0)),
    ]

    first, second, *others = diff(log_of(whole_run()), first_of(failing))

    assert first.place.path == (('each', 1),)
    assert [change.what for change in first.changes] == ['outcome', 'output', 'error']
    assert second.place.path == (('each', 0),)
    assert told(others) == [('total', 'first', False), ('report', 'first', False), ('', 'first', False)]


def test_another_fold_of_the_same_values_is_a_difference_of_the_join():
    """A join that got the same and gave something else is where the runs part."""
    other = diff(log_of(whole_run()), first_of([*work(1, 2), *work(0, 1), *end(-10)]))

    assert told(other) == [('total', 'both', True), ('report', 'both', False), ('', 'both', False)]
    assert [change.what for change in next(iter(other)).changes] == ['output']


def test_attempts_are_compared_and_lead_to_nothing():
    """A step that needed another attempt differs, and what came of its value does not follow from it."""
    retried = [
        StepReady('work', 'task:2', item(0), 1, 'task:1', 2),
        StepRetried('work', 'task:2', item(0), ValueError('busy'), 1, 0.0),
        StepStarted('work', 'task:2', item(0), 1, attempt=2),
        StepFinished('work', 'task:2', item(0), 10),
        ValueJoined('total', item(0), 10, 'task:2', 'join:1'),
    ]

    (difference,) = diff(log_of(whole_run()), first_of([*retried, *work(1, 2), *end(30)]))

    assert [(change.what, change.first, change.second) for change in difference.changes] == [('attempts', 1, 2)]


def test_visits_and_repeats_have_places_of_their_own():
    """A step that is reached again in a loop, or put in twice by hand, is compared with its own counterpart."""
    loop = [*step('turn', 'task:1', 1, 2, visit=0), *step('turn', 'task:2', 2, 3, cause='task:1', visit=1)]
    twice = [*step('extra', 'task:3', 5, 5), *step('extra', 'task:4', 6, 6)]

    assert not diff(log_of([*loop, *twice]), log_of([*loop, *twice]))
    (difference,) = diff(log_of([*loop, *twice]), log_of([*loop, *twice[:3]]))
    assert (difference.place.node_id, difference.place.repeat, difference.where) == ('extra', 1, 'first')


def test_true_and_one_are_not_the_same():
    """Values are compared as JSON, which tells a truth value from a number."""
    (difference,) = diff(log_of([RunFinished(True)]), log_of([RunFinished(1)]))

    assert difference.is_origin
    assert str(difference) == 'the end of the run: result True and 1'


def test_very_many_differences_are_shown_in_part():
    """As text a comparison stays short, and says how much it leaves out."""
    many = [event for n in range(80) for event in step('work', f'task:{n}', n, n, stack=item(n))]

    assert str(diff(log_of(many), EventLog())).splitlines()[-1] == '... 30 more differences'
