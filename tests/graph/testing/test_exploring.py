"""Which orders are tried, and how a failing one is made short; without any run."""

from itertools import product

import pytest

from plait_graph.testing._exploring import Explorer, order_of, shrink

WIDTHS = (2, 3, 2, 2)
"""How many could go on at each choice of a program that is always the same."""


def met(attempt):
    """The choices that an attempt meets."""
    choose = attempt.chooser()
    return [(width, min(choose(width), width - 1)) for width in WIDTHS]


def tried(seeds):
    """The orders that an explorer tries, the plain one included, and the explorer."""
    explorer = Explorer([(width, 0) for width in WIDTHS], [], seeds)
    orders = [()]
    for attempt in explorer:
        explorer.choices = met(attempt)
        orders.append(order_of(explorer.choices))
    return orders, explorer


def test_all_orders_are_tried_once_if_there_are_few():
    """With a budget that is large enough each order comes once, those with fewer switches first."""
    orders, explorer = tried(100)

    switches = [sum(map(bool, order)) for order in orders]
    everything = {order_of([(0, chosen) for chosen in each]) for each in product(*map(range, WIDTHS))}
    assert explorer.is_complete
    assert sorted(orders) == sorted(everything)
    assert switches == sorted(switches)


def test_a_small_budget_is_kept():
    """Half of a small budget goes to few switches, and the rest to random orders; no more are tried than that."""
    orders, explorer = tried(9)

    assert len(orders) == 9
    assert not explorer.is_complete


def test_a_range_of_seeds_is_tried_as_it_is():
    """With a range only its seeds are tried, and each draws the same again."""
    explorer = Explorer([], [], range(5, 8))

    attempts = list(explorer)

    assert [attempt.seed for attempt in attempts] == [5, 6, 7]
    assert [met(attempt) for attempt in attempts] == [met(attempt) for attempt in attempts]


@pytest.mark.parametrize(
    ('order', 'fails', 'expected'),
    [
        ((3, 0, 2, 0, 0, 1, 4), lambda order: True, ()),
        ((3, 0, 2, 0, 0, 1, 4), lambda order: 2 in order, (2,)),
        ((3, 0, 2, 0, 0, 1, 4), lambda order: any(each > 1 for each in order), (2,)),
        ((3, 0, 2, 0, 0, 1, 4), lambda order: len(order) > 2 and order[2] > 0, (0, 0, 1)),
        ((1,) * 64, lambda order: sum(order) >= 2, (1, 1)),
    ],
    ids=['anything', 'one-part', 'lower', 'place', 'two-parts'],
)
def test_a_failing_order_becomes_as_small_as_it_can(order, fails, expected):
    """What is not needed to fail is left out, switches that are not needed go, and numbers become lower."""

    def taken_if_failing(candidate):
        taken = order_of([(0, chosen) for chosen in candidate])
        return taken if fails(taken) else None

    assert shrink(order, taken_if_failing, most=500) == expected


def test_shrinking_stops_at_some_time():
    """An order that has much that could be left out, and fails only in whole, is tried a bounded number of times."""
    asked = []

    def never(candidate):
        asked.append(candidate)

    assert shrink((5,) * 2000, never, most=40) == (5,) * 2000
    assert len(asked) == len(set(asked)) == 40
