"""Random graphs, built with the public builder from a source of random numbers.

Nodes stand in a row and lead to later ones; some decisions lead back, and each time round a loop burns fuel that the
value carries. Bodies are pure functions of their input and the number of the attempt, so that only the order of what
happens decides what comes out.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.lowlevel

from plait_graph import (
    Decision,
    Graph,
    GraphBuilder,
    GraphBuildingError,
    Join,
    ReduceFirstValue,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from plait_graph.exceptions import StepTimeout
from plait_graph.join import BranchFailure
from plait_graph.policies import JoinPolicy, LoopGuard, Retry, Share


@dataclass(frozen=True)
class Value:
    """What flows through a graph."""

    number: int
    fuel: int

    def __add__(self, other):
        return Value((self.number + other.number) % 10007, min(self.fuel, other.fuel))


FULL = 3
UNTOUCHED = 99
"""The fuel of a join's initial value: nothing, if it stays alone."""
INPUTS = [Value(number, FULL) for number in range(20)]


def as_value(given: Any) -> Value:
    """One value of whatever a join may give; the order within a list matters."""
    match given:
        case Value():
            return given if given.fuel <= FULL else Value(given.number, 0)
        case list():
            values = [as_value(each) for each in given]
            number = len(values)
            for value in values:
                number = (number * 31 + value.number) % 10007
            return Value(number, min((value.fuel for value in values), default=0))
        case dict():
            return as_value([each for key in sorted(given) for each in (Value(key, FULL), given[key])])
        case BranchFailure():
            return Value(zlib.crc32(given.node_id.encode()) % 10007, 0)
        case _:
            return Value(1, 0)


def work(node_id: str, inputs: Any, attempt: int = 1) -> Value:
    """What a step does. Only the steps whose names begin with `risky` can raise."""
    value = as_value(inputs)
    name = node_id.rpartition('/')[2]
    number = (value.number * 37 + zlib.crc32(name.encode())) % 10007
    luck = number if attempt == 1 else zlib.crc32(f'{number} {attempt}'.encode())
    if name.startswith('risky') and luck % 5 < (2 if 'very' in name else 1) + (attempt > 1):
        raise ValueError('the body failed')
    return Value(number, value.fuel)


def _step(name: str) -> Callable[[Any], Any]:
    async def body(ctx):
        """Give way as often as the dependencies say, and then do the work."""
        if ctx.deps is not None:
            for _ in range(ctx.deps.randrange(4)):
                await anyio.lowlevel.checkpoint()
        return work(name, ctx.inputs, ctx.attempt)

    return body


# Transforms and reducers


def split(most: int, ctx) -> list[Value]:
    """Some values for a map, none of them now and then; they have less fuel, so that loops with forks stay small."""
    value = as_value(ctx.inputs)
    fuel = max(value.fuel - 1, 0)
    return [Value((value.number + 7 * n) % 10007, fuel) for n in range((value.number % (2 * most + 1) + 1) // 2)]


def stream(most: int, ctx):
    """The same from a generator."""
    yield from split(most, ctx)


def break_off(most: int, ctx):
    """The same from a generator that raises now and then."""
    for n, value in enumerate(split(most, ctx)):
        if value.number % 7 == n:
            raise ValueError('the source failed')
        yield value


def nudge(ctx) -> Value:
    """A value next to the one that came."""
    value = as_value(ctx.inputs)
    return Value(value.number + 1, value.fuel)


def fuss(ctx) -> Any:
    """The same value, unless it is one that this transform cannot stand."""
    if as_value(ctx.inputs).number % 7 == 0:
        raise ValueError('the transform failed')
    return ctx.inputs


def burn(ctx) -> Value:
    """The next value for another time round a loop."""
    value = as_value(ctx.inputs)
    return Value((value.number * 3 + 1) % 10007, value.fuel - 1)


def is_among(modulus: int, rest: int, given: Any) -> bool:
    """A predicate of a branch."""
    return as_value(given).number % modulus == rest


def goes_round(given: Any) -> bool:
    """The predicate of a branch that leads back."""
    value = as_value(given)
    return value.fuel > 0 and value.number % 3 != 0


def fold_by_position(current: Value, value: Any) -> Value:
    """A plain reducer for which the order matters."""
    return Value(current.number * 31, current.fuel) + as_value(value)


def take_two(ctx, current: tuple[Any, ...], value: Any) -> list[Any]:
    """Take the first two values, and cancel the rest."""
    if len(current) == 1:
        ctx.cancel_sibling_tasks()
    return [*current, value]


def take_two_if_good(ctx, current: tuple[Any, ...], value: Any) -> list[Any]:
    """The same, but some values it cannot stand."""
    if as_value(value).number % 7 == 0:
        raise ValueError('the reducer failed')
    return take_two(ctx, current, value)


@dataclass(frozen=True)
class Fold:
    """A way to make a join, and what values have to be made into before it."""

    reducer: Callable[..., Any]
    initial: Callable[[], Any]
    prepare: Callable[[Any], Any] | None = None
    order: Any = None


SETTLED = [
    Fold(reduce_sum, lambda: Value(0, UNTOUCHED), lambda ctx: as_value(ctx.inputs)),
    Fold(reduce_list_append, list),
    Fold(reduce_list_append, list),
    Fold(reduce_list_extend, list, lambda ctx: [as_value(ctx.inputs), Value(3, FULL)]),
    Fold(reduce_dict_update, dict, lambda ctx: {as_value(ctx.inputs).number % 3: as_value(ctx.inputs)}),
    Fold(reduce_null, lambda: None),
    Fold(fold_by_position, lambda: Value(2, UNTOUCHED)),
]
"""Their result is the same in every order of completion."""

RACING = [
    Fold(reduce_list_append, list, order='completion'),
    Fold(ReduceFirstValue(), lambda: None),
    Fold(ReduceFirstValue(), lambda: None),
    Fold(take_two, list),
]

WITH_POLICIES = [
    *SETTLED,
    *RACING,
    Fold(reduce_list_append, list),
    Fold(take_two, list, order='input'),
    Fold(take_two_if_good, list),
    Fold(take_two_if_good, list, order='input'),
]

_NO_FAILURES = reduce_sum, reduce_list_extend, reduce_dict_update
"""Reducers that cannot take a `BranchFailure`."""


# Graphs


@dataclass(frozen=True)
class Wish:
    """What a random graph is to be like."""

    settled: bool = False
    """Whether the result is to be the same in every order of completion."""
    limits: bool = True
    """Whether maps may have limits."""
    generators: bool = True
    """Whether maps may read generators, which cannot be copied."""
    policies: bool = False
    """Whether steps and joins are to have policies."""
    clock: bool = True
    """Whether policies may need a clock: time-outs, deadlines, waits between attempts."""
    timed: bool = False
    """Whether a settled graph may nevertheless have time-outs, deadlines and joins that raise failures."""


def random_graph(rng: random.Random, **wishes: bool) -> Graph[Any, Any, Any, Any] | None:
    """A graph as wished for, or `None` if the builder refuses what was drawn."""
    try:
        return _Draft(rng, Wish(**wishes), depth=0).build()
    except GraphBuildingError as error:
        if 'missing a dominating fork' not in str(error):
            raise  # that would be a fault of this module
        return None


class _Draft:
    """A graph in the making; the targets of a node are made before the node itself."""

    def __init__(self, rng: random.Random, wish: Wish, *, depth: int):
        self.rng = rng
        self.wish = wish
        self.depth = depth
        self.g: GraphBuilder[Any, Any, Any, Any] = GraphBuilder()
        self.forks = 0
        self.folds: dict[str, Fold] = {}
        self.kinds = self._kinds()
        self.row: list[Any] = [None] * len(self.kinds)
        for n in reversed(range(len(self.row))) if wish.policies else range(len(self.row)):
            self.row[n] = self._node(n, self.kinds[n])
        self.lonely = set(range(1, len(self.row) - 1))
        """Nodes that nothing leads to yet."""
        self.room = 3 if self.depth else 5
        """How many edges may still branch: what keeps runs short."""

    def _kinds(self) -> list[str]:
        """What stands in the row; now and then a loop with a fork and its join in it."""
        kinds = ['start']
        weights = {'step': 16, 'join': 7, 'decision': 4, 'loop': 3}
        if self.depth < 2:
            weights['graph'] = 2 - self.depth
        for _ in range(self.rng.randint(1, 4) if self.depth else self.rng.randint(2, 10)):
            (kind,) = self.rng.choices(list(weights), list(weights.values()))
            kinds += ['head', 'body', 'tail', 'again'] if kind == 'loop' else [kind]
        if self.wish.settled or self.rng.random() < 0.8:
            kinds.append('join')
        return [*kinds, 'end']

    def _node(self, n: int, kind: str) -> Any:
        match kind:
            case 'start':
                return self.g.start_node
            case 'end':
                return self.g.end_node
            case 'join':
                return self._join(f'join{n}')
            case 'tail':
                wish = self.rng.choice([{}, {'parent_fork_id': f'around{n - 2}'}, {'preferred_parent_fork': 'closest'}])
                return self._join(f'join{n}', **wish)
            case 'decision' | 'again':
                return self.g.decision(node_id=f'choice{n}')
            case 'graph':
                inner = _Draft(self.rng, self.wish, depth=self.depth + 1).build()
                inputs = self.rng.choice([None, nudge])
                return inner.as_step(node_id=f'graph{n}', inputs=inputs)
            case _ if self.wish.policies:
                name = self.rng.choices(['step', 'risky', 'risky_very'], [5, 3, 1])[0] + str(n)
                return self.g.step(_step(name), node_id=name, **self._step_policy(n))
            case _:
                name = 'step' if self.wish.settled or self.rng.random() < 0.9 else 'risky'
                return self.g.step(_step(f'{name}{n}'), node_id=f'{name}{n}')

    def _step_policy(self, n: int) -> dict[str, Any]:
        """Some policies of a step, or none; a fallback leads on, so that it ends."""
        rng, policy = self.rng, {}
        if rng.random() < 0.35:
            on = rng.choice([Exception, Exception, ValueError, StepTimeout])
            policy['retry'] = Retry(rng.randint(2, 3), on=on, wait=rng.choice([0, 0, 1, 2]) * self.wish.clock)
        if rng.random() < 0.25:
            policy['fallback'] = self._way_out(n) or self._spare(n)
        if self.wish.clock and (self.wish.timed or not self.wish.settled) and rng.random() < 0.2:
            policy['timeout'] = rng.randint(1, 5)
        if self.wish.settled:
            return policy
        if rng.random() < 0.15:
            policy['max_concurrency'] = rng.randint(1, 2)
        if rng.random() < (0.7 if self.kinds[n] == 'head' else 0.3):
            policy['loop_guard'] = LoopGuard(rng.choice([1, 1, 2]), then=rng.choice([None, self._way_out(n)]))
        return policy

    def _way_out(self, n: int) -> Any:
        """A later node that takes any value, or nothing."""
        later = [m for m in range(n + 1, len(self.row) - 1) if self.kinds[m] in {'step', 'join', 'graph'}]
        later = [m for m in later if self._fold(m) is None or self._fold(m).prepare is None]
        if later and self.rng.random() < 0.5:
            return self.row[self.rng.choice(later[:3])]
        if not self.wish.settled and self.rng.random() < 0.1:
            return self.g.end_node
        return None

    def _spare(self, n: int) -> Any:
        """A step that leads where the step leads that it stands in for."""
        name = self.rng.choice(['spare', 'risky_spare']) + str(n)
        return self.g.step(_step(name), node_id=name)

    def _join_policy(self, fold: Fold) -> JoinPolicy | None:
        rng = self.rng
        failures = rng.choice(['raise', 'raise', 'collect', 'ignore'])
        if failures == 'collect' and fold.reducer in _NO_FAILURES:
            failures = 'ignore'
        if self.wish.settled and self.wish.timed and rng.random() < 0.3:
            return JoinPolicy(need='arrived', deadline=rng.randint(1, 6), failures=failures)
        if self.wish.settled:
            return JoinPolicy(failures='ignore' if failures == 'raise' and not self.wish.timed else failures)
        need = rng.choices(['all', 1, 2, Share(0.5), Share(1), 'arrived'], [10, 5, 1, 3, 1, 3])[0]
        if isinstance(fold.reducer, ReduceFirstValue) and need not in ('all', 1):
            need = 'all'
        if not self.wish.clock:
            need = 'all' if need == 'arrived' else need
            return JoinPolicy(need=need, rest='keep' if need != 'all' else 'cancel', failures=failures)
        deadline = rng.randint(1, 6) if need == 'arrived' or rng.random() < 0.12 else None
        rest = 'cancel' if need == 'all' and deadline is None else rng.choice(['cancel', 'keep'])
        return JoinPolicy(need=need, deadline=deadline, rest=rest, failures=failures)

    def _join(self, name: str, **wish: Any) -> Join[Any, Any, Any, Any]:
        folds = SETTLED if self.wish.settled or self.rng.random() < 0.7 else RACING
        if self.wish.policies and not self.wish.settled:
            folds = WITH_POLICIES
        fold = self.folds[name] = self.rng.choice(folds)
        is_last = self.wish.settled and name == f'join{len(self.kinds) - 2}'
        if not wish and not is_last and self.rng.random() < 0.3:
            wish = {'preferred_parent_fork': 'closest'}
        if self.wish.policies:
            wish['policy'] = self._join_policy(fold)
        return self.g.join(fold.reducer, initial_factory=fold.initial, node_id=name, order=fold.order, **wish)

    def build(self) -> Graph[Any, Any, Any, Any]:
        """Make the edges, from the last node to the first."""
        edges: list[Any] = []
        for n in reversed(range(len(self.row) - 1)):
            node, kind = self.row[n], self.kinds[n]
            if isinstance(node, Decision):
                self.row[n] = self._branches(n)
                continue
            if self.wish.settled and n == len(self.row) - 2:
                edges.append(self._arrive(self.g.edge_from(node), n + 1))
                continue
            if kind == 'head':
                edges.append(self._around(n))
                continue
            count = self._several() if kind not in {'body', 'tail'} else 1
            edges += [self._lead(self.g.edge_from(node), n) for _ in range(count)]
        for n in sorted(self.lonely):
            sources = [m for m in range(n) if self.kinds[m] in {'start', 'step', 'join', 'graph'}]
            edges.append(self._arrive(self.g.edge_from(self.row[self.rng.choice(sources)]), n))
        self.g.add(*edges)
        return self.g.build()

    def _several(self) -> int:
        """How many edges leave a node."""
        if self.room and self.rng.random() < 0.12:
            self.room -= 1
            return 2
        return 1

    def _around(self, n: int) -> Any:
        """The fork within a loop."""
        self.lonely -= {n + 1, n + 2, n + 3}
        path = self.g.edge_from(self.row[n])
        if self.rng.random() < 0.6:
            return path.transform(partial(split, 3)).map(fork_id=f'around{n}', limit=self._limit()).to(self.row[n + 1])
        return path.broadcast(lambda p: [self._arrive(p, n + 1), self._arrive(p, n + 2)], fork_id=f'around{n}')

    def _branches(self, n: int) -> Decision[Any, Any, Any]:
        """A decision: perhaps a way back, some ways on, and mostly one for all the rest."""
        decision, rng = self.row[n], self.rng
        again = self.kinds[n] == 'again'
        back = [m for m in range(1, n) if self.kinds[m] in {'step', 'head', 'graph'}]
        if again or (back and rng.random() < (0.6 if self.wish.policies else 0.3)):
            target = n - 3 if again else rng.choice(back)
            decision = decision.branch(self.g.match(object, matches=goes_round).transform(burn).to(self.row[target]))
        for _ in range(rng.randrange(2)):
            matches = partial(is_among, 2, rng.randrange(2))
            decision = decision.branch(self._lead(self.g.match(object, matches=matches), n))
        rest = None if self.wish.settled or rng.random() < 0.97 else partial(is_among, 5, 2)
        return decision.branch(self._lead(self.g.match(object, matches=rest), n))

    def _target(self, n: int) -> int:
        """A later node: the next one, any other, or now and then the end."""
        if self.kinds[n] in {'body', 'tail'}:
            return n + 1
        last = len(self.row) - 2 if self.kinds[-2] == 'join' and n < len(self.row) - 2 else len(self.row) - 1
        if not self.wish.settled and self.rng.random() < 0.04:
            last = len(self.row) - 1
        others = [m for m in range(n + 1, last) if self.kinds[m] not in {'body', 'tail', 'again'}]
        if not others or self.rng.random() < 0.1:
            return last
        return others[0] if self.rng.random() < 0.5 else self.rng.choice(others[:4])

    def _lead(self, path: Any, n: int) -> Any:
        """Lead a path on: transform it, fork it, end it."""
        rng, chance = self.rng, self.rng.random()
        if chance < 0.08:
            is_fussy = not self.wish.settled and rng.random() < 0.15
            return self._lead(path.transform(fuss if is_fussy else nudge), n)
        if self.room and chance < 0.38 and self.kinds[n] != 'tail':
            self.room -= 1
            return self._lead(self._map(path, n), n)
        if self.room and chance < 0.55 and self.kinds[n] not in {'body', 'tail'}:
            self.room -= 1
            self.forks += 1
            count = rng.randint(2, 3)
            return path.broadcast(lambda p: [self._lead(p, n) for _ in range(count)], fork_id=f'broadcast{self.forks}')
        if self.room and chance < 0.6 and self.kinds[n] not in {'body', 'tail'}:
            self.room -= 1
            return self._both(path, n)
        return self._arrive(path, self._target(n))

    def _map(self, path: Any, n: int) -> Any:
        self.forks += 1
        limit = self._limit()
        later = [m for m in range(n + 1, len(self.row)) if self.kinds[m] in {'join', 'tail'}]
        named = self.row[self.rng.choice(later)].id if later and self.rng.random() < 0.15 else None
        sources = [split, stream] if self.wish.generators else [split]
        if self.wish.policies and self.wish.generators and not self.wish.settled:
            sources.append(break_off)
        items = partial(self.rng.choice(sources), 3 if limit is None else 5)
        return path.transform(items).map(fork_id=f'map{self.forks}', limit=limit, downstream_join_id=named)

    def _limit(self) -> int | None:
        return self.rng.randint(1, 3) if self.wish.limits and self.rng.random() < 0.35 else None

    def _both(self, path: Any, n: int) -> Any:
        """One `.to(...)` with two targets, if no value has to be prepared for them."""
        targets = [self._target(n), self._target(n)]
        if any(self._fold(m) is not None and self._fold(m).prepare is not None for m in targets):
            return self._arrive(path, targets[0])
        self.lonely -= set(targets)
        self.forks += 1
        return path.to(*(self.row[m] for m in targets), fork_id=f'both{self.forks}')

    def _fold(self, m: int) -> Fold | None:
        return self.folds.get(getattr(self.row[m], 'id', ''))

    def _arrive(self, path: Any, m: int) -> Any:
        self.lonely.discard(m)
        fold = self._fold(m)
        if fold is not None and fold.prepare is not None:
            path = path.transform(fold.prepare)
        return path.to(self.row[m])
