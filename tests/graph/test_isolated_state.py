"""Isolated state: views, private copies, commits and merging. No graph takes part."""

import copy
import dataclasses
import json
import operator
import pickle
import queue
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, NotRequired, TypedDict

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr, computed_field, field_validator

from plait_graph import (
    GraphRuntimeError,
    GraphSetupError,
    ReduceFirstValue,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_sum,
)
from plait_graph._isolated_state import Changes, IsolatedState
from plait_graph._state.merging import Merge
from plait_graph._state.values import is_same
from plait_graph.exceptions import StateConflict

COPIES: Counter[str] = Counter()


class Counted:
    """A value that counts how often it is copied."""

    def __init__(self, name, content=0):
        self.name = name
        self.content = content

    def __deepcopy__(self, memo):
        COPIES[self.name] += 1
        return Counted(self.name, self.content)


@pytest.fixture(autouse=True)
def _forget_copies():
    COPIES.clear()


@dataclass
class Board:
    """A dataclass with a default of each kind."""

    items: list[Any] = field(default_factory=list)
    count: int = 0
    log: Annotated[list[str], reduce_list_extend] = field(default_factory=list)
    total: Annotated[int, reduce_sum] = 0

    @property
    def size(self):
        return len(self.items)

    def put(self, item):
        self.items.append(item)


@dataclass(slots=True)
class Slotted:
    """The same fields in slots."""

    items: list[Any] = field(default_factory=list)
    count: int = 0
    log: Annotated[list[str], reduce_list_extend] = field(default_factory=list)
    total: Annotated[int, reduce_sum] = 0


class Model(BaseModel):
    """The same fields in a model."""

    items: list[Any] = []
    count: int = 0
    log: Annotated[list[str], reduce_list_extend] = []
    total: Annotated[int, reduce_sum] = 0


class Typed(TypedDict, total=False):
    """The same fields as keys."""

    items: list[Any]
    count: int
    log: Annotated[list[str], reduce_list_extend]
    total: NotRequired[Annotated[int, reduce_sum]]


KINDS: list[Any] = [Board, Slotted, Model, dict]
every_kind = pytest.mark.parametrize('kind', KINDS)


def make(kind, **values):
    """A state of a kind, isolated."""
    defaults = {'items': [], 'count': 0, 'log': [], 'total': 0}
    return IsolatedState(kind(**{**defaults, **values}), state_type=Typed)


def read(state, name):
    """A field of a state of any kind."""
    return state[name] if isinstance(state, dict) else getattr(state, name)


def write(state, name, value):
    """Set a field of a state of any kind."""
    if isinstance(state, dict):
        state[name] = value
    else:
        setattr(state, name, value)


# What a view shows


@every_kind
def test_view_shows_the_state_as_it_was_when_it_began(kind):
    """A field that another one commits later is seen as it was, even if it is touched for the first time afterwards."""
    isolated = make(kind, items=['old'])
    early, writer = isolated.begin(), isolated.begin()
    read(writer.state, 'items').append('new')
    isolated.commit(writer, 'writer')

    assert read(early.state, 'items') == ['old']
    assert read(isolated.begin().state, 'items') == ['old', 'new'] == read(isolated.state, 'items')


@every_kind
def test_changes_are_not_seen_before_the_commit(kind):
    """What a view writes is private until it is committed, in place changes included."""
    isolated = make(kind, items=[[1]])
    view = isolated.begin()
    read(view.state, 'items')[0].append(2)
    write(view.state, 'count', 5)

    assert (read(isolated.state, 'items'), read(isolated.state, 'count')) == ([[1]], 0)
    isolated.commit(view, 'step')
    assert (read(isolated.state, 'items'), read(isolated.state, 'count')) == ([[1, 2]], 5)


@every_kind
def test_dropped_changes_are_forgotten(kind):
    """A view that is dropped leaves the state as it was, and dropping it again does nothing."""
    isolated = make(kind)
    view = isolated.begin()
    write(view.state, 'count', 5)
    isolated.drop(view)
    isolated.drop(view)

    assert read(isolated.state, 'count') == 0
    with pytest.raises(GraphRuntimeError, match='was committed or dropped before'):
        isolated.commit(view, 'step')


@every_kind
def test_committed_values_are_not_shared_with_the_body(kind):
    """What a body keeps of its private copy, and changes after its step, changes nothing."""
    isolated = make(kind)
    view = isolated.begin()
    kept = ['mine']
    write(view.state, 'items', kept)
    isolated.commit(view, 'step')
    kept.append('late')

    assert read(isolated.state, 'items') == ['mine']


@every_kind
def test_private_copy_can_be_read_after_its_step(kind):
    """A private copy that went on as a step's value shows what its step saw, whatever is committed later."""
    isolated = make(kind, items=['first'])
    view = isolated.begin()
    kept = view.state
    isolated.commit(view, 'step')
    later = isolated.begin()
    write(later.state, 'items', [])
    isolated.commit(later, 'later')

    assert read(kept, 'items') == ['first']


@every_kind
def test_read_shows_what_is_committed_and_writes_nothing(kind):
    """A copy for a transform shows the state at that moment, and what is written to it is lost."""
    isolated = make(kind, items=['a'])
    shown = isolated.read()
    read(shown, 'items').append('lost')
    view = isolated.begin()
    write(view.state, 'count', 1)
    isolated.commit(view, 'step')

    assert read(shown, 'count') == 0
    assert read(isolated.state, 'items') == ['a']


@every_kind
def test_body_in_a_thread_reads_what_its_view_began_with(kind):
    """Commits on one thread do not get in between when a body on another one touches its copy for the first time."""
    isolated = make(kind, items=[0])
    begun: queue.SimpleQueue[Any] = queue.SimpleQueue()
    seen = []

    def body():
        while (begin := begun.get()) is not None:
            number, view = begin
            seen.append((number, read(view.state, 'items'), read(view.state, 'count')))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=body)
    thread.start()
    for number in range(500):
        begun.put((number, isolated.begin()))
        writer = isolated.begin()
        write(writer.state, 'items', [number + 1])
        write(writer.state, 'count', number + 1)
        isolated.commit(writer, 'step')
    begun.put(None)
    thread.join()
    sys.setswitchinterval(interval)

    assert seen == [(number, [number], number) for number in range(500)]


def test_nothing_is_kept_when_no_view_needs_it():
    """Histories go when the views that could read them are over, dropped or out of everybody's hands."""
    isolated = make(Board)
    kept = isolated.begin()
    kept.state.count  # noqa: B018 # touched
    shown = isolated.read()
    for number in range(10):
        view = isolated.begin()
        view.state.count = number + 1
        isolated.commit(view, 'step')
        del view
    isolated.drop(kept)
    del kept, shown
    isolated.drop(isolated.begin())

    assert isolated._history.names == []
    assert isolated._history.readers == 0


def test_history_keeps_one_value_for_views_that_began_together():
    """However often a field is committed, what is kept follows the number of moments at which live views began."""
    isolated = make(Board)
    old = isolated.begin()
    for number in range(50):
        view = isolated.begin()
        view.state.count = number + 1
        isolated.commit(view, 'step')

    assert len(isolated._history._pasts['count'].older) == 1
    assert old.state.count == 0


def test_no_state_is_a_state_too():
    """A graph without state has views, which show nothing."""
    isolated = IsolatedState(None)
    view = isolated.begin()

    assert view.state is None
    assert isolated.read() is None
    assert isolated.pack(view).state is None
    isolated.commit(view, 'step')


# What is copied


@every_kind
def test_only_touched_fields_are_copied(kind):
    """A field that nobody asks for is not copied, and a touched one once."""
    isolated = make(kind, items=[Counted('items')])
    untouched = isolated.begin()
    write(untouched.state, 'count', 5)
    isolated.drop(untouched)
    assert not COPIES
    view = isolated.begin()
    read(view.state, 'items')
    read(view.state, 'items')
    write(view.state, 'count', 1)

    assert COPIES == {'items': 1}
    isolated.commit(view, 'step')
    assert COPIES == {'items': 1}


def test_changed_fields_are_copied_once_more_by_the_commit():
    """A commit copies what was changed, and nothing else."""
    isolated = make(Board, items=[Counted('items')], log=[Counted('log')])
    view = isolated.begin()
    view.state.items.append(1)
    view.state.log  # noqa: B018 # touched
    isolated.commit(view, 'step')

    assert COPIES == {'items': 2, 'log': 1}


def test_one_key_of_a_large_dict_is_copied_alone():
    """To begin and to read, write, remove and ask for single keys copies no others."""
    isolated = IsolatedState({number: Counted(str(number)) for number in range(100_000)})
    view = isolated.begin()
    state = view.state
    state[7].content = 8
    state['new'] = 9
    del state[5]

    assert (7 in state, 5 in state, state.get(5), state.get('none', 3)) == (True, False, None, 3)
    assert COPIES == {'7': 1}
    isolated.commit(view, 'step')
    assert COPIES == {'7': 2}
    assert (isolated.state[7].content, isolated.state['new'], 5 in isolated.state) == (8, 9, False)


def test_keys_are_listed_without_copies_of_values():
    """Length, order and membership of a dict need no values."""
    isolated = IsolatedState({name: Counted(name) for name in 'abc'})
    state = isolated.begin().state

    assert (len(state), list(state), list(reversed(state)), 'b' in state) == (3, ['a', 'b', 'c'], ['c', 'b', 'a'], True)
    assert not COPIES


class Colour(Enum):
    RED = 'red'


@pytest.mark.parametrize('value', [10**30, 'text', b'bytes', None, Colour.RED, (1, ('a', frozenset({2})))], ids=str)
def test_values_that_cannot_change_are_not_copied(value):
    """Numbers, text, enums and tuples of such are handed out as they are."""
    assert IsolatedState({'field': value}).begin().state['field'] is value


@every_kind
def test_value_that_cannot_be_copied_is_named(kind):
    """The field and the remedy are said where it is touched, and where it is committed."""
    isolated = make(kind, items=[threading.Lock()])

    with pytest.raises(GraphRuntimeError, match=r"Field 'items' of state .* cannot be copied.*Keep it in deps"):
        read(isolated.begin().state, 'items')
    view = isolated.begin()
    write(view.state, 'log', [threading.Lock()])
    with pytest.raises(GraphRuntimeError, match=r"Field 'log' of state .* cannot be copied"):
        isolated.commit(view, 'step')
    assert read(isolated.state, 'log') == []


def test_value_that_refers_to_the_state_refers_to_the_copy():
    """A way back from a field to the state leads to the private copy, and after the commit to the state."""
    board = Board()
    board.items = [board]
    isolated = IsolatedState(board)
    view = isolated.begin()

    assert view.state.items[0] is view.state
    isolated.commit(view, 'reader')
    assert isolated._history.version == 0
    view = isolated.begin()
    view.state.items.append(1)
    isolated.commit(view, 'step')
    assert board.items[0] is board


# What counts as changed


class Plain:
    """An object without `__eq__`."""

    def __init__(self, content):
        self.content = content


@dataclass
class Ticket:
    """Its `__eq__` looks at one field only."""

    id: int
    note: str = field(default='', compare=False)


@pytest.mark.parametrize(
    'value',
    [[1, [2]], {'a': {1}}, Plain([Plain(1)]), {Plain(1)}, {Plain(2): 1}, Ticket(1), Model(items=[1]), float('nan')],
    ids=['list', 'dict', 'object', 'objects', 'keys', 'dataclass', 'model', 'nan'],
)
def test_reading_is_not_writing(value):
    """A field that was read is committed by nobody, whatever is in it."""
    isolated = IsolatedState({'field': value})
    reader, writer = isolated.begin(), isolated.begin()
    assert reader.state['field'] is not None
    writer.state['field'] = 'written'
    isolated.commit(writer, 'writer')
    isolated.commit(reader, 'reader')

    assert isolated.state == {'field': 'written'}


@pytest.mark.parametrize(
    ('value', 'new'),
    [(Ticket(1), Ticket(1, 'x')), (1, True), ([1], [1.0]), (Decimal('1.0'), Decimal('1.00')), (Plain(1), Plain(2))],
    ids=['hidden', 'bool', 'float', 'digits', 'object'],
)
def test_change_that_equality_does_not_see_is_a_change(value, new):
    """What compares equal and is not the same is committed."""
    isolated = IsolatedState({'field': value})
    view = isolated.begin()
    view.state['field'] = new
    isolated.commit(view, 'step')

    assert type(isolated.state['field']) is type(new)
    assert pickle.dumps(isolated.state['field']) == pickle.dumps(new)


class Handle:
    """An object that can be copied and not be taken apart."""

    def __init__(self, number):
        self.number = number

    def __deepcopy__(self, memo):
        return Handle(self.number)

    def __reduce_ex__(self, protocol):
        raise TypeError('no parts')

    def __eq__(self, other):
        return self.number == other.number

    __hash__ = None


class Named:
    """An object that pickle knows by a name."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


def looped(item):
    """A list that holds itself."""
    result = [item]
    result.append(result)
    return result


def unpicklable(number):
    """A set whose member is of a class that pickle cannot find."""

    @dataclass(eq=False)
    class Local:
        number: int

    return {Local(number)}


@pytest.mark.parametrize(
    ('one', 'other', 'expected'),
    [
        (Handle(1), Handle(1), True),
        (Handle(1), Handle(2), False),
        (Named('a'), Named('a'), True),
        (Named('a'), Named('b'), False),
        (looped(1), looped(1), True),
        (looped(1), looped(2), False),
        (unpicklable(1), unpicklable(1), False),
    ],
)
def test_values_are_compared_by_what_is_in_them(one, other, expected):
    """Where parts cannot be had, an `__eq__` decides; where nothing can be told, the values differ."""
    assert is_same(one, other) is expected


def test_setting_an_equal_value_is_not_writing():
    """A list like the one that was there is no change."""
    isolated = make(Board, items=[1])
    one, other = isolated.begin(), isolated.begin()
    one.state.items = [1]
    other.state.items = [2]
    isolated.commit(other, 'other')
    isolated.commit(one, 'one')

    assert isolated.state.items == [2]


def test_removing_what_is_not_there_changes_nothing():
    """A change from elsewhere may remove a field that is gone."""
    for isolated in (make(Board), make(dict), make(Model)):
        isolated.commit_changes(isolated.begin(), Changes({}, frozenset({'nowhere'})), 'step')
        assert fields_of(isolated.state) == {'items': [], 'count': 0, 'log': [], 'total': 0}


def test_untouched_view_commits_nothing():
    """A step that did not ask for the state is no writer, and makes no version."""
    isolated = make(Board)
    isolated.commit(isolated.begin(), 'step')

    assert repr(isolated) == '<isolated Board at version 0, 0 readers>'


# Conflicts and merging


@every_kind
def test_two_writers_of_a_field_are_refused(kind):
    """The message names both writers, the field, both values and the remedy; nothing is changed."""
    isolated = make(kind)
    first, second = isolated.begin(), isolated.begin()
    write(first.state, 'count', 11)
    write(second.state, 'count', 22)
    write(second.state, 'items', ['lost'])
    isolated.commit(first, 'alpha')

    with pytest.raises(StateConflict, match=r"'count'.*'alpha'.*'beta'.*11.*22.*Declare a reducer") as caught:
        isolated.commit(second, 'beta')
    assert 'only one step' in caught.value.message
    assert (read(isolated.state, 'count'), read(isolated.state, 'items')) == (11, [])


def test_long_values_are_shortened():
    """A message about a long value stays readable."""
    isolated = make(Board)
    first, second = isolated.begin(), isolated.begin()
    first.state.items = ['x' * 1000] * 1000
    second.state.items = list(range(100_000))
    isolated.commit(first, 'alpha')

    with pytest.raises(StateConflict) as caught:
        isolated.commit(second, 'beta')
    assert len(str(caught.value)) < 800


@every_kind
def test_different_fields_do_not_conflict(kind):
    """Changes of two fields by two writers are both kept."""
    isolated = make(kind)
    first, second = isolated.begin(), isolated.begin()
    write(first.state, 'count', 1)
    read(second.state, 'items').append(2)
    isolated.commit(first, 'alpha')
    isolated.commit(second, 'beta')

    assert (read(isolated.state, 'count'), read(isolated.state, 'items')) == (1, [2])


@every_kind
def test_reducers_merge_what_was_added(kind):
    """Appended items come after those committed meanwhile, and differences add up."""
    isolated = make(kind, log=['start'], total=100)
    first, second = isolated.begin(), isolated.begin()
    for view, name, amount in ((first, 'a', 1), (second, 'b', 20)):
        read(view.state, 'log').append(name)
        write(view.state, 'total', read(view.state, 'total') + amount)
        isolated.commit(view, name)

    assert (read(isolated.state, 'log'), read(isolated.state, 'total')) == (['start', 'a', 'b'], 121)


@every_kind
def test_reducer_is_not_asked_if_nobody_else_wrote(kind):
    """Alone, a step may replace what has a reducer."""
    isolated = make(kind, log=['start'], total=100)
    view = isolated.begin()
    write(view.state, 'log', ['other'])
    write(view.state, 'total', 1)
    isolated.commit(view, 'step')

    assert (read(isolated.state, 'log'), read(isolated.state, 'total')) == (['other'], 1)


def both(annotation, base, one, other):
    """What becomes of a field that two changed."""

    class State(TypedDict):
        value: annotation

    isolated = IsolatedState({'value': base}, state_type=State)
    first, second = isolated.begin(), isolated.begin()
    first.state['value'], second.state['value'] = one, other
    isolated.commit(first, 'first')
    isolated.commit(second, 'second')
    return isolated.state['value']


def unite(current, value):
    """A reducer of sets."""
    return current | value


@pytest.mark.parametrize(
    ('reducer', 'base', 'one', 'other', 'merged'),
    [
        (reduce_list_extend, [1], [1, 2], [1, 3, 4], [1, 2, 3, 4]),
        (reduce_list_append, [1], [1, 2], [1, 3, 4], [1, 2, 3, 4]),
        (operator.add, [1], [1, 2], [1, 3], [1, 2, 3]),
        (operator.add, 'a', 'ab', 'ac', 'abc'),
        (operator.add, (1,), (1, 2), (1, 3), (1, 2, 3)),
        (reduce_sum, 1.5, 2.0, 3.5, 4.0),
        (reduce_sum, Counter(a=2), Counter(a=3), Counter(a=1, b=1), Counter(a=2, b=1)),
        (reduce_dict_update, {1: 1, 2: 2}, {1: 5, 2: 2}, {1: 1, 2: 2, 3: 3}, {1: 5, 2: 2, 3: 3}),
        (unite, {1}, {1, 2}, {1, 3}, {1, 2, 3}),
        (max, 3, 9, 7, 9),
        (lambda current, value: current or value, None, 'one', 'other', 'one'),
        (lambda context, current, value: [context.state['value'], current, value], 0, 1, 2, [1, 1, 2]),
        (Merge(lambda base, theirs, mine: [base, theirs, mine]), 'base', 'one', 'other', ['base', 'one', 'other']),
    ],
)
def test_contribution_of_each_kind(reducer, base, one, other, merged):
    """A reducer is given what the later step added, or its whole value where that cannot be told."""
    assert both(Annotated[Any, reducer], base, one, other) == merged


@pytest.mark.parametrize(
    ('reducer', 'base', 'other', 'reason'),
    [
        (reduce_list_extend, [1, 2], [2], 'more than append'),
        (operator.add, 'ab', 'b', 'more than append'),
        (reduce_dict_update, {1: 1}, {2: 2}, 'removed keys'),
        (unite, {1}, {2}, 'removed members'),
        (reduce_sum, Plain(1), Plain(2), 'difference'),
    ],
)
def test_change_that_does_more_than_add_is_refused(reducer, base, other, reason):
    """The conflict says what the reducer could not be told."""
    with pytest.raises(StateConflict, match=reason):
        both(Annotated[Any, reducer], base, base.__class__() if base.__class__ is not Plain else 0, other)


def test_failing_reducer_leaves_the_state_as_it_was():
    """The reducer's exception comes out as itself, and no field is changed."""

    def fail(current, value):
        current.append('half')
        raise ZeroDivisionError

    class State(TypedDict):
        value: Annotated[list[Any], fail]

    isolated = IsolatedState({'value': [], 'count': 0}, state_type=State)
    first, second = isolated.begin(), isolated.begin()
    first.state['value'] = [1]
    second.state.update(count=1, value=[2])
    isolated.commit(first, 'first')

    with pytest.raises(ZeroDivisionError):
        isolated.commit(second, 'second')
    assert isolated.state == {'value': [1], 'count': 0}


def test_reducer_with_context_sees_the_deps():
    """The context has the dependencies of the run, and the committed state."""

    def prefixed(context, current, value):
        return current + [context.deps + item for item in value]

    @dataclass
    class State:
        log: Annotated[list[str], prefixed] = field(default_factory=list)

    isolated = IsolatedState(State(), deps='> ')
    first, second = isolated.begin(), isolated.begin()
    for view in (first, second):
        view.state.log.append('x')
        isolated.commit(view, 'step')

    assert isolated.state.log == ['x', '> x']


def test_reducer_of_a_field_has_no_siblings_to_cancel():
    """A reducer that is only of use at a join says so when it is called."""
    with pytest.raises(
        GraphRuntimeError, match=r"'State.value' called cancel_sibling_tasks.*only the reducer of a join"
    ):
        both(Annotated[int, ReduceFirstValue()], 0, 1, 2)


def test_removing_what_another_one_changed_is_refused():
    """A key that one removes and another one changes is a conflict, both ways."""
    for remove_first in (True, False):
        isolated = IsolatedState({'key': 1})
        views = isolated.begin(), isolated.begin()
        del views[not remove_first].state['key']
        views[remove_first].state['key'] = 2
        isolated.commit(views[0], 'alpha')
        with pytest.raises(StateConflict, match='nothing'):
            isolated.commit(views[1], 'beta')


def test_removing_what_a_reducer_merges_is_refused():
    """A reducer has nothing to say where one of the changes is that the field is gone."""
    isolated = IsolatedState({'log': ['a']}, state_type=Typed)
    first, second = isolated.begin(), isolated.begin()
    first.state['log'].append('b')
    del second.state['log']
    isolated.commit(first, 'first')

    with pytest.raises(StateConflict, match='removed cannot be merged'):
        isolated.commit(second, 'second')
    assert isolated.state == {'log': ['a', 'b']}


def test_type_that_declares_nothing_is_accepted():
    """A state type that is no class says nothing of fields."""
    isolated = IsolatedState({'a': 1}, state_type=dict[str, int] | None)

    assert isolated.begin().state == {'a': 1}
    assert isolated.name == 'dict'


def test_key_that_two_add_is_merged_from_nothing():
    """What both add to a dict is merged whole."""
    isolated = IsolatedState({}, state_type=Typed)
    for view, name in ((isolated.begin(), 'a'), (isolated.begin(), 'b')):
        view.state['log'] = [name]
        view.state['total'] = 1
        isolated.commit(view, name)

    later = [isolated.begin() for _ in range(2)]
    for view in later:
        view.state['total'] += 1
        isolated.commit(view, 'later')
    assert isolated.state == {'log': ['a', 'b'], 'total': 4}


# Declarations


def two_too_many(a, b, c, d):
    """No reducer."""


@dataclass
class WrongReducer:
    """Declares what cannot be a reducer."""

    value: Annotated[int, 'a text', two_too_many] = 0


@dataclass
class WrongMerge:
    """Declares what cannot merge."""

    value: Annotated[int, Merge(operator.add)] = 0


@pytest.mark.parametrize('kind', [WrongReducer, WrongMerge])
def test_declaration_that_cannot_work_is_refused(kind):
    """Class, field and remedy are named before any run."""
    with pytest.raises(GraphSetupError, match=rf"Field 'value' of {kind.__name__} is annotated with .*arguments"):
        IsolatedState(kind())


def test_annotation_that_cannot_be_resolved_is_refused_if_it_may_declare():
    """A name that is not there hides no reducer; where there can be none, it is of no matter."""

    @dataclass
    class Loose:
        other: 'Nowhere' = 0  # noqa: F821
        log: 'Annotated[list[str], reduce_list_extend]' = field(default_factory=list)

    @dataclass
    class Broken:
        log: 'Annotated[list[Nowhere], reduce_list_extend]' = field(default_factory=list)  # noqa: F821

    assert IsolatedState(Loose()).state.log == []
    with pytest.raises(GraphSetupError, match=r"field 'log' of Broken cannot be resolved: name 'Nowhere'"):
        IsolatedState(Broken())


def test_first_reducer_among_several_extras_counts():
    """Other annotations, functions too, stand beside it, and it may be inside of an optional type."""
    annotation = Annotated[int, pydantic.Field(ge=0), two_too_many, reduce_sum, max] | None

    assert both(annotation, 1, 2, 3) == 4


@dataclass(frozen=True)
class Frozen:
    """No step could change it."""


class FrozenModel(BaseModel, frozen=True):
    """Nor this one."""


@dataclass
class Listed(list[int]):
    """What a list holds is no field."""


@pytest.mark.parametrize(
    ('state', 'reason'),
    [
        (Frozen(), 'Frozen .*frozen.*deps'),
        (FrozenModel(), 'FrozenModel .*frozen'),
        (5, 'state 5 .*neither a dataclass'),
        (Board, 'neither a dataclass instance'),
        (Counter(), 'plain dict'),
        (Plain(1), 'Plain object .*neither'),
        (Listed(), 'Listed .*built-in type'),
    ],
)
def test_state_that_cannot_be_isolated_is_refused(state, reason):
    """The type, the reason and the remedy are said when a run would begin."""
    with pytest.raises(GraphSetupError, match=reason):
        IsolatedState(state)


# Private copies are like the state


@every_kind
def test_whole_object_operations_see_everything(kind):
    """Comparing, copying, pickling and printing give what the state itself would give, without a field touched."""
    isolated = make(kind, items=[1], count=2)
    operations = [
        lambda state: state == isolated.state,
        lambda state: isolated.state == state,
        lambda state: repr(state) == repr(isolated.state),
        lambda state: copy.copy(state) == isolated.state,
        lambda state: copy.deepcopy(state) == isolated.state,
        lambda state: pickle.loads(pickle.dumps(state)) == isolated.state,
        lambda state: type(pickle.loads(pickle.dumps(state))) is type(copy.copy(state)) is kind,
        lambda state: isinstance(state, kind),
    ]

    assert [operation(isolated.begin().state) for operation in operations] == [True] * len(operations)


@pytest.mark.parametrize('kind', [Board, Slotted])
def test_dataclass_functions_see_everything(kind):
    """`asdict`, `astuple`, `fields` and `replace` work on a copy as on the state."""
    isolated = make(kind, items=[1], count=2)
    fresh = lambda: isolated.begin().state  # noqa: E731

    assert dataclasses.asdict(fresh()) == {'items': [1], 'count': 2, 'log': [], 'total': 0}
    assert dataclasses.astuple(fresh()) == ([1], 2, [], 0)
    assert [each.name for each in dataclasses.fields(fresh())] == ['items', 'count', 'log', 'total']
    assert dataclasses.replace(fresh(), count=3) == kind([1], 3)


def test_object_in_full():
    """Methods, properties, `vars`, attributes that are no fields, class attributes and deletion work on a copy."""

    class Rich(Board):
        runs = 0

        @cached_property
        def doubled(self):
            return self.count * 2

        def __getattr__(self, name):
            if name == 'magic':
                return 'found'
            raise AttributeError(name)

    rich = Rich(items=[1], count=2)
    rich.stray, rich.runs = {'kept': True}, 7
    isolated = IsolatedState(rich)
    view = isolated.begin()
    state = view.state
    state.put(2)
    del state.stray
    state.runs += 1

    assert (state.size, state.doubled, state.magic, state.runs, hasattr(state, 'stray')) == (2, 4, 'found', 8, False)
    assert vars(isolated.begin().state) == vars(rich)
    isolated.commit(view, 'step')
    assert vars(rich) == {'items': [1, 2], 'count': 2, 'log': [], 'total': 0, 'runs': 8}


@pytest.mark.parametrize('kind', [Board, Slotted, Model])
def test_missing_attribute_is_an_attribute_error(kind):
    """A copy refuses what the state refuses, with a field that was deleted among it."""
    state = make(kind).begin().state
    state.count = 1
    del state.count

    for name in ('nowhere', 'total_', '__nowhere__'):
        with pytest.raises(AttributeError, match=name):
            getattr(state, name)
    if kind is not Board:  # a class attribute is left of the default
        with pytest.raises(AttributeError, match='count'):
            state.count  # noqa: B018


def test_subclasses_are_not_told_of():
    """The class of the copies does not appear in a register that the user's class keeps of its subclasses."""
    register = []

    @dataclass
    class Base:
        count: int = 0

        def __init_subclass__(cls, *, tag):
            register.append(tag)

    @dataclass
    class State(Base, tag='state'):
        pass

    assert IsolatedState(State(3)).begin().state.count == 3
    assert register == ['state']


def test_class_of_a_copy_makes_ordinary_objects():
    """A method that makes another one of its kind gets one that is complete."""

    @dataclass
    class State:
        count: int = 0

        def next(self):
            return type(self)(self.count + 1)

    other = IsolatedState(State(3)).begin().state.next()

    assert (other.count, vars(other)) == (4, {'count': 4})
    assert type(copy.deepcopy(other)) is State


class Account(BaseModel):
    """A model with all that models can have."""

    model_config = ConfigDict(extra='allow', validate_assignment=True)
    owner: str
    notes: list[str] = []
    _secret: list[int] = PrivateAttr(default_factory=lambda: [1])

    @computed_field
    @property
    def title(self) -> str:
        """Made of a field."""
        return self.owner.title()

    @field_validator('owner')
    @classmethod
    def _check(cls, value: str) -> str:
        if not value:
            raise ValueError('no owner')
        return value


def test_model_in_full():
    """Dumps, iteration, copies, extra values, private attributes and computed fields of a copy are complete."""
    account = Account(owner='ann', notes=['n'], more={'k': [1]})
    fresh = lambda: IsolatedState(account).begin().state  # noqa: E731

    assert fresh().model_dump() == account.model_dump()
    assert fresh().model_dump_json() == account.model_dump_json()
    assert fresh().model_dump(exclude_unset=True) == account.model_dump(exclude_unset=True)
    assert list(fresh()) == list(account)
    assert fresh().model_copy(update={'owner': 'bob'}) == account.model_copy(update={'owner': 'bob'})
    assert type(fresh().model_copy(deep=True)) is Account
    assert 'more' in fresh().model_extra
    assert (fresh().title, fresh()._secret, fresh().more, fresh().model_extra) == (
        'Ann',
        [1],
        {'k': [1]},
        {'more': {'k': [1]}},
    )
    assert Account.model_validate(fresh()) == account


def test_model_is_changed_in_all_its_parts():
    """Fields, extra values and private attributes are validated, committed and removed as on the model itself."""
    account = Account(owner='ann', more={'k': [1]}, gone=1)
    isolated = IsolatedState(account)
    view = isolated.begin()
    state = view.state
    state.owner = 'bob'
    state.more['k'].append(2)
    state.other = 3
    state._secret.append(4)
    del state.gone
    with pytest.raises(pydantic.ValidationError, match='no owner'):
        state.owner = ''
    isolated.commit(view, 'step')

    assert account.model_dump() == {'owner': 'bob', 'notes': [], 'title': 'Bob', 'more': {'k': [1, 2]}, 'other': 3}
    assert account._secret == [1, 4]
    assert 'owner' in account.model_fields_set


def test_model_parts_are_copied_one_by_one():
    """Setting a field, and touching an extra value or private attribute, copies no other."""

    class Open(BaseModel):
        model_config = ConfigDict(extra='allow', arbitrary_types_allowed=True)
        big: Counted
        small: int = 0
        _one: Any = PrivateAttr(default_factory=lambda: Counted('one'))
        _two: Any = PrivateAttr(default_factory=lambda: Counted('two'))

    isolated = IsolatedState(Open(big=Counted('big'), left=Counted('left'), right=Counted('right')))
    state = isolated.begin().state
    state.small = 3
    state.left.content = state._one.content = 4

    assert COPIES == {'left': 1, 'one': 1}


def test_pydantic_dataclass():
    """A dataclass of pydantic is validated on its copy too."""

    @pydantic.dataclasses.dataclass(config=ConfigDict(validate_assignment=True))
    class State:
        count: int = 0
        items: list[int] = field(default_factory=list)

    isolated = IsolatedState(State(count=1))
    view = isolated.begin()
    view.state.count = '5'
    with pytest.raises(pydantic.ValidationError):
        view.state.count = 'x'
    view.state.items.append(1)
    isolated.commit(view, 'step')

    assert isolated.state == State(count=5, items=[1])


def as_keywords(**given):
    """What was passed by name."""
    return given


def test_dict_in_full():
    """Each way to read a dict as a whole gives all of it, in order."""
    state = {'a': [1], 'b': {'x': 2}, 'c': None}
    fresh = lambda: IsolatedState(state).begin().state  # noqa: E731
    ways = [
        dict,
        lambda each: {**each},
        lambda each: json.loads(json.dumps(each)),
        lambda each: json.loads(json.dumps(each, indent=1, sort_keys=True)),
        lambda each: each | {},
        lambda each: {} | each,
        lambda each: dict(each.items()),
        lambda each: dict(zip(each.keys(), each.values(), strict=True)),
        lambda each: {key: each[key] for key in each},
        lambda each: each.copy(),
        lambda each: as_keywords(**each),
        lambda each: {**dict.fromkeys(each), **each},
    ]

    assert [way(fresh()) for way in ways] == [state] * len(ways)
    assert [list(way(fresh())) for way in ways] == [['a', 'b', 'c']] * len(ways)
    assert not operator.ne(fresh(), state)
    assert bool(fresh())
    assert not IsolatedState({}).begin().state
    assert json.dumps(IsolatedState({}).begin().state) == '{}'


def test_dict_changes_of_each_kind():
    """Each way to write a dict does what it does to an ordinary one."""
    changes = [
        lambda each: each.pop('a'),
        lambda each: each.pop('none', 5),
        lambda each: each.popitem(),
        lambda each: each.setdefault('b', 9),
        lambda each: each.setdefault('new', []).append(1),
        lambda each: each.update({'a': 0}, z=1),
        lambda each: each.__ior__({'a': 0, 'y': 1}),
        lambda each: each.clear(),
        lambda each: (each.pop('b'), each.__setitem__('b', 'again')),
        lambda each: (len(each), each.pop('b'), each.__setitem__('d', 4), each['a'].append(2)),
    ]
    for change in changes:
        expected = {'a': [1], 'b': 2, 'c': 3}
        isolated = IsolatedState(copy.deepcopy(expected))
        view = isolated.begin()
        change(expected)
        change(view.state)
        assert list(view.state.items()) == list(expected.items())
        isolated.commit(view, 'step')
        assert isolated.state == expected


def test_dict_methods_of_an_empty_or_another_dict():
    """`popitem` refuses an empty dict, and `fromkeys` makes an ordinary one."""
    state = IsolatedState({'a': 1}).begin().state

    assert state.fromkeys('xy', 2) == {'x': 2, 'y': 2}
    assert state.popitem() == ('a', 1)
    with pytest.raises(KeyError, match='empty'):
        state.popitem()


@pytest.mark.parametrize('change', ['__getitem__', '__delitem__', 'pop'])
def test_dict_refuses_a_missing_key(change):
    """A key that is not there, or was removed, is a KeyError."""
    state = IsolatedState({'a': 1, 'none': 2}).begin().state
    del state['none']

    with pytest.raises(KeyError, match='none'):
        getattr(state, change)('none')


def test_copy_can_be_isolated_in_turn():
    """A step may run a graph on its private copy: what is committed there is a change of the step."""
    for outer in (make(Board, items=[1]), make(dict, items=[1]), make(Model, items=[1]), make(Slotted, items=[1])):
        view = outer.begin()
        inner = IsolatedState(view.state)
        inner_view = inner.begin()
        read(inner_view.state, 'items').append(2)
        inner.commit(inner_view, 'inner')
        assert read(outer.state, 'items') == [1]
        outer.commit(view, 'outer')
        assert read(outer.state, 'items') == [1, 2]


# Other processes


@every_kind
def test_parcel_goes_and_comes_back(kind):
    """A body elsewhere works on an ordinary object; what it changed is merged like any other change."""
    isolated = make(kind, items=[1], log=['start'])
    view, meanwhile = isolated.begin(), isolated.begin()
    read(meanwhile.state, 'log').append('here')
    isolated.commit(meanwhile, 'here')
    parcel = pickle.loads(pickle.dumps(isolated.pack(view)))
    state = parcel.state
    read(state, 'log').append('there')
    read(state, 'items')
    write(state, 'count', 4)
    changes = pickle.loads(pickle.dumps(parcel.changes()))
    isolated.commit_changes(view, changes, 'there')

    assert type(state) is kind
    assert set(changes.values) == {'log', 'count'}
    assert (read(isolated.state, 'log'), read(isolated.state, 'count')) == (['start', 'here', 'there'], 4)


def test_parcel_of_a_model_has_all_its_parts():
    """Extra values and private attributes go along, and come back; what was removed there is removed here."""
    account = Account(owner='ann', more=1, gone=2)
    isolated = IsolatedState(account)
    view = isolated.begin()
    parcel = pickle.loads(pickle.dumps(isolated.pack(view)))
    assert parcel.state == account
    parcel.state._secret.append(5)
    parcel.state.more = 2
    del parcel.state.gone
    isolated.commit_changes(view, parcel.changes(), 'there')

    assert (account._secret, account.more, account.model_extra) == ([1, 5], 2, {'more': 2})


def test_parcel_has_what_the_view_has_changed():
    """What was changed before packing goes along, and is committed too."""
    isolated = IsolatedState({'a': 1, 'b': 2, 'c': 3})
    view = isolated.begin()
    view.state['a'] = 5
    del view.state['b']
    parcel = isolated.pack(view)
    assert parcel.state == {'a': 5, 'c': 3}
    parcel.state['c'] = 6
    isolated.commit_changes(view, parcel.changes(), 'step')

    assert isolated.state == {'a': 5, 'c': 6}


def test_value_that_cannot_be_pickled_is_named():
    """The field that keeps a state from another process is named, with the remedy."""
    isolated = make(Board, log=[lambda: None])

    with pytest.raises(GraphRuntimeError, match=r"Board cannot be sent .*field 'log'.*deps"):
        isolated.pack(isolated.begin())


def test_class_that_cannot_be_pickled_is_named():
    """If each field could go alone, it is the class that keeps the state here."""

    @dataclass
    class Local:
        count: int = 0

    isolated = IsolatedState(Local())
    with pytest.raises(GraphRuntimeError, match=r'Local cannot be sent .*its class.*top of a module'):
        isolated.pack(isolated.begin())


def test_objects_print_themselves():
    """State, view and parcel say in a word where they stand."""
    isolated = make(Board)
    view = isolated.begin()

    assert repr(isolated) == '<isolated Board at version 0, 1 readers>'
    assert repr(view) == '<view of Board at version 0>'
    assert repr(isolated.pack(view)).startswith('<state in ')


# Any order


NAMES = 'items', 'count', 'log', 'total'
ACTIONS = 'touch', 'set', 'set', 'append', 'append', 'remove', 'list', 'commit', 'commit', 'commit', 'drop'
numbers = st.integers(0, 3)
operations = st.lists(
    st.tuples(st.sampled_from(ACTIONS), numbers, st.sampled_from(NAMES), numbers), min_size=10, max_size=50
)


class Naive:
    """What isolated state does, with a whole copy for each view."""

    def __init__(self, values):
        self.values = values
        self.version = 0
        self.changed = dict.fromkeys(NAMES, 0)

    def begin(self):
        return [self.version, copy.deepcopy(self.values), copy.deepcopy(self.values)]

    def commit(self, view):
        """Whether it was committed."""
        version, base, mine = view
        new = copy.deepcopy(self.values)
        names = [name for name in NAMES if base.get(name) != mine.get(name)]
        for name in names:
            is_late = self.changed[name] > version
            if is_late and not self.merge(new, name, base, mine):
                return False
            if not is_late:
                new[name] = copy.deepcopy(mine.get(name))
        self.values = {name: value for name, value in new.items() if value is not None}
        self.version += 1
        self.changed.update(dict.fromkeys(names, self.version))
        return True

    def merge(self, new, name, base, mine):
        if name not in ('log', 'total') or name not in mine or name not in new:
            return False
        if name == 'total':
            new[name] += mine[name] - base.get(name, 0)
        elif mine[name][: len(base.get(name, []))] != base.get(name, []):
            return False
        else:
            new[name] += mine[name][len(base.get(name, [])) :]
        return True


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=150, deadline=None)
@given(operations=operations)
def test_views_in_any_order_agree_with_whole_copies(kind, operations):
    """Whatever the order in which views begin, touch, write and end, all see and commit what whole copies would."""
    isolated = make(kind)
    naive = Naive({'items': [], 'count': 0, 'log': [], 'total': 0})
    live = {}
    for action, number, name, value in operations:
        if number not in live:
            live[number] = isolated.begin(), naive.begin()
        view, model = live[number]
        if action in ('commit', 'drop'):
            del live[number]
            end(isolated, naive, view, model, is_commit=action == 'commit')
        elif action != 'remove' or kind is dict:
            act(view.state, action, name, value)
            act(model[2], action, name, value)
        assert fields_of(isolated.state) == naive.values
    for view, model in live.values():
        assert fields_of(view.state) == model[2]


def act(state, action, name, value):
    """Do one thing to a state, or to the dict that models it."""
    is_list = name in ('items', 'log')
    if action == 'touch':
        read(state, name) if not isinstance(state, dict) else state.get(name)
    elif action == 'set':
        write(state, name, [value] if is_list else value)
    elif action == 'append' and is_list and (not isinstance(state, dict) or name in state):
        read(state, name).append(value)
    elif action == 'list':
        fields_of(state)
    elif action == 'remove':
        state.pop(name, None)


def end(isolated, naive, view, model, *, is_commit):
    """End a view and its model, and see that they agree."""
    if not is_commit:
        isolated.drop(view)
    elif naive.commit(model):
        isolated.commit(view, 'step')
    else:
        with pytest.raises(StateConflict):
            isolated.commit(view, 'step')


def fields_of(state):
    """The fields of a state of any kind."""
    return dict(state) if isinstance(state, dict) else {name: getattr(state, name) for name in NAMES}
