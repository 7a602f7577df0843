"""Budgets: what may be spent, what was, and who is told that there is no more."""

import pickle
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_graph import GraphRuntimeError, GraphSetupError
from plait_graph.budget import Amounts, Budget, Reservation
from plait_graph.exceptions import BudgetExceeded


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


# Spending and reserving


def test_what_is_spent_is_counted_without_a_bound():
    """A budget without bounds refuses nothing and knows what was spent."""
    budget = Budget()
    budget.spend(money='0.25', tokens=3, calls=1)
    budget.spend(tokens=4)

    assert budget.spent.money == Decimal('0.25')
    assert (budget.spent.tokens, budget.spent.calls) == (7, 1)
    assert budget.remaining == budget.limits == Amounts()


def test_what_is_not_spent_of_a_reservation_is_given_back():
    """A reservation holds its part until it is spent or its block ends, by an error too."""
    budget = Budget(tokens=100, money=1)

    def work() -> None:
        with budget.reserve(tokens=60, money='0.5') as reservation:
            reservation.spend(tokens=20)
            assert (budget.spent.tokens, budget.reserved.tokens, budget.remaining.tokens) == (20, 40, 40)
            assert reservation.left == Amounts(tokens=40, money=Decimal('0.5'))
            raise OSError('broken')

    with pytest.raises(OSError, match='broken'):
        work()
    assert (budget.spent.tokens, budget.reserved.tokens, budget.remaining.tokens) == (20, 0, 80)
    assert budget.remaining.money == 1


def test_all_is_reserved_or_nothing():
    """If one of the amounts is not there, in this budget or above, none of them is reserved anywhere."""
    run = Budget(tokens=100, calls=1)
    research = run.child(name='research', tokens=200)

    with pytest.raises(BudgetExceeded, match="'run' has calls=1 left of 1, and calls=2 is asked for"):
        research.reserve(tokens=50, calls=2)

    assert run.reserved.tokens == research.reserved.tokens == 0
    assert research.remaining == Amounts(tokens=100, calls=1)


def test_what_is_spent_is_spent():
    """Spending over the bound is recorded, here and above, and then refused."""
    run = Budget()
    research = run.child(name='research', tokens=100)
    research.spend(tokens=70)

    with pytest.raises(BudgetExceeded, match='tokens=30 left of 100, and tokens=50 is spent without being reserved'):
        research.spend(tokens=50)

    assert research.spent.tokens == run.spent.tokens == 120
    assert research.remaining.tokens == 0
    research.spend(tokens=0)


def test_spending_more_than_was_reserved_is_charged_to_the_budget():
    """What goes over a reservation comes from what is left, and is refused when that is too little."""
    budget = Budget(tokens=100)
    reservation = budget.reserve(tokens=60)

    reservation.spend(tokens=80)
    assert (budget.spent.tokens, budget.reserved.tokens, budget.remaining.tokens) == (80, 0, 20)
    with pytest.raises(BudgetExceeded, match='tokens=20 left of 100, and tokens=30'):
        reservation.spend(tokens=30)
    assert budget.spent.tokens == 110


def test_a_reservation_keeps_its_part_from_others():
    """Who spends what others have reserved is refused, and who has reserved it is not."""
    budget = Budget(tokens=100)
    reservation = budget.reserve(tokens=60)

    with pytest.raises(BudgetExceeded, match='tokens=40 left'):
        budget.spend(tokens=50)
    reservation.spend(tokens=60)

    assert budget.spent.tokens == 110


def test_a_settled_reservation_holds_nothing():
    """To settle twice gives nothing back twice; what is spent afterwards is charged all the same."""
    budget = Budget(tokens=100)
    reservation, other = budget.reserve(tokens=60), budget.reserve(tokens=30)
    reservation.settle()
    reservation.settle()
    reservation.spend(tokens=50)

    assert (budget.spent.tokens, budget.reserved.tokens, budget.remaining.tokens) == (50, 30, 20)
    assert other.left.tokens == 30


def test_the_tightest_bound_is_named():
    """Of several bounds that do not allow it the error names the one that has least left, with all its parts."""
    run = Budget(tokens=20)
    deep = run.child(name='research', tokens=50).child(name='search', tokens=30)

    with pytest.raises(BudgetExceeded) as caught:
        deep.reserve(tokens=40)
    assert (caught.value.leaf, caught.value.budget, caught.value.asked, caught.value.remaining) == (
        'tokens',
        'run',
        40,
        20,
    )
    run.child(name='other').spend(tokens=5)
    assert deep.remaining.tokens == 15
    assert deep.path == 'run/research/search'


def test_the_error_survives_a_journey():
    """It is a run-time error, and keeps its parts and notes when it is pickled."""
    with pytest.raises(GraphRuntimeError) as caught:
        Budget(money='0.5', name='lunch').reserve(money=1)
    caught.value.add_note('in the canteen')

    copied = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copied, BudgetExceeded)
    assert vars(copied) == vars(caught.value)
    assert str(copied) == (
        "Budget 'lunch' has money=0.5 left of 0.5, and money=1 is asked for. "
        'Ask for less, or give it more with money=...'
    )


# Money


def test_money_is_counted_to_the_last_digit():
    """Floats, texts and integers add up as they are printed, in whatever context of decimals the caller works in."""
    budget = Budget(money=1.1)
    with localcontext() as context:
        context.prec = 2
        for _ in range(10):
            budget.spend(money=0.1)
        budget.spend(money=Decimal('0.09999'))
        assert budget.remaining.money == Decimal('0.00001')

    assert budget.spent.money == Decimal('1.09999')
    with pytest.raises(BudgetExceeded, match=r'money=0\.00001 left of 1\.1, and money=0\.00002 is asked for'):
        budget.reserve(money='0.00002')


AMOUNTS = [
    ({'money': 'much'}, "money='much'"),
    ({'money': float('nan')}, 'money=nan'),
    ({'money': Decimal('sNaN')}, 'money=.*sNaN'),
    ({'money': float('inf')}, 'money=inf'),
    ({'money': -0.01}, r'money=-0\.01'),
    ({'money': True}, 'money=True'),
    ({'money': [1]}, r'money=\[1\]'),
    ({'money': '1e30'}, "money='1e30'.* 30 places"),
    ({'money': '1e-31'}, "money='1e-31'.* 30 places"),
    ({'tokens': -1}, 'tokens=-1'),
    ({'tokens': 1.5}, r'tokens=1\.5'),
    ({'calls': '1'}, "calls='1'"),
    ({'calls': True}, 'calls=True'),
]


@pytest.mark.parametrize(('amounts', 'message'), AMOUNTS, ids=str)
def test_amounts_that_are_none_are_refused(amounts: dict[str, Any], message: str):
    """A bad amount is an error that names the budget wherever it is given, and nothing is counted."""
    budget = Budget()
    reservation = budget.reserve()

    for use in (budget.reserve, budget.spend, reservation.spend):
        with pytest.raises(GraphRuntimeError, match=f"'run' was given {message}"):
            use(**{'tokens': 1, **amounts})
    with pytest.raises(GraphSetupError, match=f"'run/part' was given {message}"):
        budget.child(name='part', **amounts)
    assert (budget.spent.tokens, budget.reserved.tokens) == (0, 0)


@pytest.mark.parametrize('seconds', [-1, float('nan'), float('inf'), '5', True], ids=repr)
def test_a_bound_of_time_is_a_finite_number(seconds: float):
    """Time without bound is said by leaving it out."""
    with pytest.raises(GraphSetupError, match="'run' was given seconds="):
        Budget(seconds=seconds)


def test_a_budget_has_a_name_a_parent_and_its_clock(clock: Clock):
    """An empty name, a parent that is no budget and a second clock in a tree are refused."""
    run = Budget(clock=clock)

    with pytest.raises(GraphSetupError, match="named ''"):
        run.child(name='')
    with pytest.raises(GraphSetupError, match="parent='run', which is no budget"):
        Budget(parent='run')
    with pytest.raises(GraphSetupError, match='a tree has one clock'):
        Budget(parent=run, clock=Clock())
    assert Budget(parent=run, clock=clock, name='part').path == 'run/part'


# Time


@pytest.mark.parametrize(
    'use', [Budget.start, Budget.check, Budget.reserve, Budget.spend], ids=['start', 'check', 'reserve', 'spend']
)
def test_time_starts_when_a_budget_is_first_used(use: Callable[[Budget], object], clock: Clock):
    """A budget made ahead loses no time; the first use starts it, here and above, and a second one does not."""
    run = Budget(seconds=10, clock=clock)
    research = run.child(name='research', seconds=4)
    clock.now += 100
    assert (run.remaining.seconds, research.remaining.seconds, run.spent.seconds) == (10, 4, 0)

    use(research)
    clock.now += 3
    use(research)
    assert (run.remaining.seconds, research.remaining.seconds, run.spent.seconds) == (7, 1, 3)


def test_a_part_has_no_more_time_than_the_whole(clock: Clock):
    """The time of a child starts with its own first use, and what is left above it is all it has."""
    run = Budget(seconds=10, clock=clock)
    run.start()
    clock.now += 8
    research = run.child(name='research', seconds=5)
    research.start()

    assert research.remaining.seconds == 2
    clock.now += 5
    assert research.remaining.seconds == 0


def test_when_the_time_is_up_nothing_is_reserved(clock: Clock):
    """After its time a budget refuses to check and to reserve; what is spent is recorded and refused."""
    run = Budget(seconds=10, tokens=100, clock=clock)
    research = run.child(name='research')
    reservation = research.reserve(tokens=40)
    clock.now += 10

    for use in (research.check, lambda: research.reserve(tokens=1), lambda: reservation.spend(tokens=30)):
        with pytest.raises(BudgetExceeded, match="time of budget 'run' is up: 10 of 10 seconds") as caught:
            use()
        assert (caught.value.leaf, caught.value.budget, caught.value.asked) == ('seconds', 'run', None)
    reservation.settle()
    assert (run.spent.tokens, run.reserved.tokens) == (30, 0)


def test_a_first_spending_that_goes_over_starts_the_time(clock: Clock):
    """What is refused for its amount is a use of the budget too."""
    budget = Budget(seconds=10, tokens=1, clock=clock)
    with pytest.raises(BudgetExceeded, match='tokens=1 left'):
        budget.spend(tokens=2)
    clock.now += 4

    assert budget.remaining.seconds == 6


# Reading


def test_where_a_budget_stands_is_a_line(clock: Clock):
    """Statistics are one frozen record of one moment, and print as a line."""
    budget = Budget(seconds=60, money=2, name='run', clock=clock)
    part = budget.child(name='part', tokens=10)
    part.reserve(money='0.50', tokens=4).spend(tokens=1)
    clock.now += 1.5

    assert str(part.statistics()) == (
        'run/part: limits tokens=10; spent seconds=1.5, money=0, tokens=1, calls=0; '
        'reserved money=0.50, tokens=3, calls=0; left seconds=58.5, money=1.50, tokens=6'
    )


def test_reprs_are_short():
    """A budget shows its path and bounds, a reservation what is left."""
    budget = Budget(seconds=2.5, money='1.20', calls=3)

    assert repr(budget) == "Budget('run', seconds=2.5, money=1.20, calls=3)"
    assert repr(budget.child(name='part')) == "Budget('run/part')"
    assert repr(budget.reserve(calls=2)) == "Reservation('run', calls=2 left)"
    assert repr(budget.reserve()) == "Reservation('run', nothing left)"


# Many at once, and many ways


def test_threads_never_reserve_more_than_there_is():
    """Of threads that reserve from different parts of one tree, as many get something as the whole allows."""
    run = Budget(calls=100)
    parts = [run.child(name=f'part {number}', calls=40) for number in range(4)]
    refused: list[BudgetExceeded] = []

    def work(part: Budget) -> None:
        for _ in range(50):
            try:
                with part.reserve(calls=1) as reservation:
                    reservation.spend(calls=1)
            except BudgetExceeded as error:
                refused.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert run.spent.calls == sum(part.spent.calls or 0 for part in parts) == 100
    assert len(refused) == 100
    assert run.reserved.calls == 0


BOUND = st.none() | st.integers(0, 30)
MOVES = st.lists(
    st.tuples(
        st.sampled_from(['child', 'reserve', 'reserve', 'spend', 'use', 'settle']),
        st.integers(0, 20),
        st.dictionaries(st.sampled_from(['money', 'tokens', 'calls']), st.integers(0, 12), min_size=1),
        st.fixed_dictionaries({'money': BOUND, 'tokens': BOUND, 'calls': BOUND}),
    ),
    max_size=40,
)


class Ledger:
    """A list of what happened where, added up anew for each question, beside the budgets to which it happens."""

    def __init__(self, root: Budget):
        self.budgets = [root]
        self.reservations: list[tuple[Budget, Reservation, Counter[str]]] = []
        self.spendings: list[tuple[Budget, dict[str, int]]] = []

    def total(self, above: Budget) -> tuple[Counter[str], Counter[str]]:
        """What was spent and what is reserved, in a budget and below."""
        spent, reserved = Counter[str](), Counter[str]()
        for budget, amounts in self.spendings:
            spent.update(amounts if above in chain(budget) else {})
        for budget, _, left in self.reservations:
            reserved.update(left if above in chain(budget) else {})
        return spent, reserved

    def has_room(self, budget: Budget, amounts: dict[str, int]) -> bool:
        for above in chain(budget):
            spent, reserved = self.total(above)
            for leaf, amount in amounts.items():
                bound = getattr(above.limits, leaf)
                if bound is not None and amount and spent[leaf] + reserved[leaf] + amount > bound:
                    return False
        return True

    def child(self, number: int, amounts: dict[str, int], bounds: dict[str, int | None]) -> None:
        parent = self.budgets[number % len(self.budgets)]
        self.budgets.append(parent.child(name='part', **bounds))

    def reserve(self, number: int, amounts: dict[str, int], bounds: object) -> None:
        budget = self.budgets[number % len(self.budgets)]
        fits = self.has_room(budget, amounts)
        reservation = attempt(budget.reserve, amounts)
        assert (reservation is not None) == fits
        if reservation is not None:
            self.reservations.append((budget, reservation, Counter(amounts)))

    def spend(self, number: int, amounts: dict[str, int], bounds: object) -> None:
        budget = self.budgets[number % len(self.budgets)]
        fits = self.has_room(budget, amounts)
        assert (attempt(lambda **given: [budget.spend(**given)], amounts) is not None) == fits
        self.spendings.append((budget, amounts))

    def use(self, number: int, amounts: dict[str, int], bounds: object) -> None:
        if self.reservations:
            budget, reservation, left = self.reservations[number % len(self.reservations)]
            over = {leaf: max(0, amount - left[leaf]) for leaf, amount in amounts.items()}
            fits = self.has_room(budget, over)
            assert (attempt(lambda **given: [reservation.spend(**given)], amounts) is not None) == fits
            left.subtract({leaf: amount - over[leaf] for leaf, amount in amounts.items()})
            self.spendings.append((budget, amounts))

    def settle(self, number: int, amounts: object, bounds: object) -> None:
        if self.reservations:
            _, reservation, left = self.reservations[number % len(self.reservations)]
            reservation.settle()
            left.clear()


def chain(budget: Budget | None) -> list[Budget]:
    """A budget and all above it."""
    return [] if budget is None else [budget, *chain(budget.parent)]


def attempt(call: Callable[..., Any], amounts: dict[str, int]) -> Any:
    """What a call gives, or `None` if the budget refuses it."""
    try:
        return call(**amounts)
    except BudgetExceeded:
        return None


@given(MOVES)
def test_no_reservation_passes_a_bound_and_totals_are_sums(moves: list[tuple[str, int, dict[str, int], Any]]):
    """In any tree and whatever happens, what is allowed is what fits, and each budget counts what is below it."""
    ledger = Ledger(Budget(money=40, tokens=40))
    for move, number, amounts, bounds in moves:
        getattr(ledger, move)(number, amounts, bounds)

    for budget in ledger.budgets:
        spent, reserved = ledger.total(budget)
        for leaf in ('money', 'tokens', 'calls'):
            assert getattr(budget.spent, leaf) == spent[leaf]
            assert getattr(budget.reserved, leaf) == reserved[leaf]
