"""A graph run by plain search: what the engine's counting is compared with.

Tokens stand in a list, and after each event it is asked of every open join whether any token can still bring it a
value. That question is a walk over the graph. Nothing of the engine's plan or machine is used; what is read is the
graph's public structure: its nodes, their policies and the paths between them.
What policies add is in `reference_policies`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from plait_graph import Decision, Fork, Join, ReducerContext, StepContext
from plait_graph.join import BranchFailure
from plait_graph.paths import TransformMarker
from plait_graph.policies import JoinPolicy, Share
from plait_graph.step import SubgraphStep
from properties.reference_policies import Attempts, Branches, Needs, Timer

START, END = '__start__', '__end__'
BEHIND_ALL_ITEMS = 1 << 60


class Shape:
    """What can be asked of a graph that stands still."""

    def __init__(self, nodes, edges):
        self.nodes = dict(nodes)
        self.edges = {
            node: [(p.items[-1].destination_id, _transforms(p)) for p in paths if p.exit is None]
            for node, paths in edges.items()
        }
        self.exits = {(node, p.exit): p.items[-1].destination_id for node, paths in edges.items() for p in paths}
        """Where a step's policy leads: to its fallback, or past its loop guard."""
        self.targets = {node: [p.items[-1].destination_id for p in paths] for node, paths in edges.items()}
        self.joins = [node for node in self.nodes if isinstance(self.nodes[node], Join)]
        self.forks = [node for node in self.nodes if node == START or isinstance(self.nodes[node], Fork)]
        self.parents: dict[str, str] = {}
        self.reaches, self.subshape = cache(self._reaches), cache(self._subshape)
        while (parents := {join: self._parent(join) for join in self.joins}) != self.parents:
            self.parents = parents
        self.joins = sorted(self.joins, key=self._rank)  # each behind those that feed it

    def walk(self, node: str, without: str | None = None) -> set[str]:
        """All that can be reached from what a node leads to, without entering one node."""
        found: set[str] = set()
        frontier = [node]
        while frontier:
            new = set(self.targets.get(frontier.pop(), ())) - found - {without}
            found |= new
            frontier += new
        return found

    def dominates(self, outer: str, inner: str) -> bool:
        """Whether the inner node is out of reach once the outer one is removed."""
        return inner not in (outer, START) and (outer == START or inner not in self.walk(START, outer))

    def candidates(self, join: str) -> list[str]:
        """Forks that all ways to a join pass, and all cycles through it; the closest first."""
        forks = self.forks if not isinstance(self.policy(join).need, Share) else set(self.forks) - {START}
        found = [fork for fork in forks if self.dominates(fork, join) and join not in self.walk(join, fork)]
        return sorted(found, key=lambda fork: sum(self.dominates(fork, other) for other in found))

    def _parent(self, join: str) -> str:
        """The fork that was wished for, within the parents (as far as known) of the joins that this one feeds."""
        fed = [parent for other, parent in self.parents.items() if other != join and self._reaches(join, other)]
        allowed = [f for f in self.candidates(join) if not any(self.dominates(f, inner) for inner in fed)]
        wish = self.nodes[join]
        if wish.parent_fork_id is not None:
            return wish.parent_fork_id
        return allowed[0 if wish.preferred_parent_fork == 'closest' else -1]

    def _rank(self, join: str) -> int:
        siblings = [other for other in self.joins if self.parents[other] == self.parents[join]]
        return sum(self.reaches(other, join) for other in siblings)

    def _reaches(self, node: str, join: str) -> bool:
        """Whether what stands at a node can come to a join without passing the join's parent fork again."""
        return join in self.walk(node, self.parents[join])

    def first_joins(self, fork: str) -> set[str]:
        """The joins that are met first on the ways from a fork, if its own run can bring them a value."""
        found: set[str] = set()
        seen, frontier = {fork}, [fork]
        while frontier:
            for target in set(self.targets[frontier.pop()]) - seen:
                seen.add(target)
                if target in self.parents and self.reaches(fork, target):
                    found.add(target)
                elif target != END:
                    frontier.append(target)
        return found

    def policy(self, join: str) -> JoinPolicy:
        """What a join needs, and what it does about the rest."""
        return self.nodes[join].policy or JoinPolicy()

    @property
    def catches(self) -> bool:
        """Whether anything here can keep a failure from the run."""
        policies = map(self.policy, self.joins)
        steps = [name for name, node in self.nodes.items() if isinstance(node, SubgraphStep)]
        return any(policy.failures != 'raise' or policy.rest == 'keep' for policy in policies) or any(
            self.subshape(step).catches for step in steps
        )

    def _subshape(self, step: str) -> 'Shape':
        layout = self.nodes[step].graph.layout
        return Shape(layout.nodes, layout.edges)


@dataclass(eq=False)
class ForkRun:
    """One run of a fork: where it came from, and at which position there."""

    fork: str
    above: 'ForkRun | None'
    index: int
    total: int | None = None
    """How many branches or items there are, once that is known."""
    passes: dict[str, dict[int, int]] = field(default_factory=dict)
    """How often guarded steps have been reached, by step and position."""
    deadlines: dict[str, Timer] = field(default_factory=dict)
    """Those of joins that wait for this run."""

    def outward(self) -> Iterator['ForkRun']:
        """This run and all runs around it."""
        run = self
        while run is not None:
            yield run
            run = run.above

    def places(self, index: int) -> Iterator[tuple['ForkRun', int]]:
        """The index in each run that a place in this one is in, innermost first."""
        for run in self.outward():
            yield run, index
            index = run.index


@dataclass(eq=False)
class Token:
    """What may still lead somewhere: a step, a map with items to come, an open join, a failure to be looked at."""

    node: str
    run: ForkRun
    index: int
    """The item or branch that it is on; below zero for what left a join, in the order of the joins."""
    value: Any = None
    within: 'Interpreter | None' = None
    """For a step that is a graph: its own run."""
    items: Iterator[Any] | None = None
    """For a map with a limit."""
    pulled: int = 0
    received: list[tuple[tuple[tuple[bool, int], ...], dict[ForkRun, int], Any]] = field(default_factory=list)
    """For a join in input order: values with the places that they came from, to be folded when it fires."""
    came: int = 0
    came_from: set[int] = field(default_factory=set)
    """For a join: from which items or branches values came."""
    causes: list[Exception] = field(default_factory=list)
    """For a join: the failures that it took."""
    has_enough: bool = False
    """For a join: whether it goes on although something could still come."""
    state: str = ''
    """For a step: 'at work', or 'ending' if its body was asked to stop, or nothing if no body runs."""
    attempt: int = 1
    timer: Timer | None = None
    error: Exception | None = None
    """What failed here."""
    lost: ForkRun | None = None
    """The run of a fork that has failed as a whole."""


class Interpreter(Attempts, Branches, Needs):
    """A run. Choose one of `running()`, and tell the interpreter that it is in to `finish` or `fail`.

    Or choose one of `ending()` and tell that it has `stopped`, or one of `timers()` and tell that it has `expired`.
    A graph that is a step has an interpreter of its own, within the token at that step.
    """

    def __init__(
        self,
        shape: Shape,
        tie: Callable[[list[Token]], Token] = lambda possible: possible[0],
        outer: 'tuple[Interpreter, Token] | None' = None,
    ):
        self.shape, self.tie, self.outer = shape, tie, outer
        self.prefix = f'{outer[0].prefix}{outer[1].node}/' if outer else ''
        self.root: Interpreter = outer[0].root if outer else self
        self.tokens: list[Token] = []
        self.done: set[tuple[str, ForkRun]] = set()
        self.outcome: tuple[str, Any] | None = None
        self.moving: list[tuple[Interpreter, str, Any, ForkRun, int]] = []
        """Values that have not come to rest, those of all inner graphs among them."""
        self.ready: list[tuple[Interpreter, Token]] = []
        """Steps that wait for a body, the oldest first."""
        self.failures: list[tuple[Interpreter, Token]] = []
        """Failures of which it is open what becomes of them, the oldest first."""
        self.errors: list[Exception] = []
        self.deadline: Timer | None = None

    def begin(self, value: Any) -> None:
        """Let a value in."""
        self._send(START, value, self._run(START, None, 0), 0)
        self._settle()

    def allow(self, seconds: float) -> None:
        """Give the whole run so much time."""
        self.deadline = Timer('run', seconds, self)

    def running(self) -> list[tuple['Interpreter', Token]]:
        """The steps at work; any may be the next one to finish."""
        return [(level, t) for level in self._levels() for t in level.tokens if t.state == 'at work']

    def ending(self) -> list[tuple['Interpreter', Token]]:
        """The steps whose time was up; any may be the next one whose body ends."""
        return [(level, t) for level in self._levels() for t in level.tokens if t.state == 'ending']

    def finish(self, token: Token, value: Any) -> None:
        """A step gave a value."""
        self.tokens.remove(token)
        self._send(token.node, value, token.run, token.index)
        self.root._settle()

    def path_of(self, node: str) -> str:
        """The name of a node in the whole graph; the start of a graph that is a step goes by the name of the step."""
        return self.prefix.rstrip('/') if self.prefix and node == START else self.prefix + node

    def index_of(self, join: str) -> int:
        """Below zero: the position of what has left a join, among the items or branches of its run."""
        return -1 - self.shape.joins.index(join)

    def stack(self, run: ForkRun, index: int) -> list[tuple[str, object]]:
        """The forks that a place is in, outermost first, each with an index or the name of the join that was left."""
        stack = [
            (self.prefix + each.fork, at if at >= 0 else self.prefix + self.shape.joins[-1 - at])
            for each, at in run.places(index)
        ][::-1]
        if self.outer is None:
            return stack
        above, token = self.outer
        return [*above.stack(token.run, token.index), (self.prefix.rstrip('/'), stack[0][1]), *stack[1:]]

    def _levels(self) -> list['Interpreter']:
        return [self] + [level for t in self.tokens if t.within is not None for level in t.within._levels()]

    def _is_alive(self) -> bool:
        above, token = self.outer or (None, None)
        return self.outcome is None and (above is None or (token in above.tokens and above._is_alive()))

    def _end(self, kind: str, value: Any) -> None:
        self.outcome = kind, value
        if self.outer is not None:
            above, token = self.outer
            above.tokens.remove(token)
            above._send(token.node, value, token.run, token.index)

    def _send(self, node: str, value: Any, run: ForkRun, index: int, edge: int = 0) -> None:
        target, transforms = self.shape.edges[node][edge]
        try:
            for transform in transforms:
                value = transform(StepContext(state=None, deps=None, inputs=value))
        except ValueError as error:
            self._fail_at(self._token(node, run, index), error)
        else:
            self._put(target, value, run, index)

    def _put(self, node: str, value: Any, run: ForkRun, index: int) -> None:
        if self.root.outcome is None and not self._is_guarded(node, value, run, index):
            self.root.moving.append((self, node, value, run, index))

    def _token(self, *args: Any) -> Token:
        token = Token(*args)
        self.tokens.append(token)
        return token

    # What follows from an event

    def _settle(self) -> None:
        """Move all that moves and look at what failed; then, one by one, pull an item or let a join go on."""
        while self.outcome is None:
            if self.moving:
                level, *move = self.moving.pop(0)
                if level._is_alive():
                    level._arrive(*move)
            elif self.failures:
                self._look_at_failure()
            elif empty := [level for level in self._levels() if not level.tokens]:
                empty[0]._be_stuck()
            elif any(level._fold_in_turn() for level in self._levels()):
                pass
            elif possible := self._possible():
                chosen = self.tie(list(possible))
                possible[chosen]._pull(chosen) if chosen.items is not None else possible[chosen]._fire(chosen)
            else:
                self._start_ready()
                return

    def _be_stuck(self) -> None:
        error = RuntimeError('Graph run completed, but no result was produced')
        if self.outer is None:
            self.fail_run(error)
        else:
            above, token = self.outer
            token.within = None
            above._fail_at(token, error)

    def _possible(self) -> dict[Token, 'Interpreter']:
        """Maps that have a place for an item, and joins that wait for nothing."""
        levels = self._levels()
        maps = {t: level for level in levels for t in level.tokens if t.items is not None and level._has_place(t)}
        joins = {t: level for level in levels for t in level.tokens if level._is_join(t)}
        return maps | {t: level for t, level in joins.items() if t.has_enough or not level._is_awaited(t)}

    def _arrive(self, name: str, value: Any, run: ForkRun, index: int) -> None:
        node = self.shape.nodes[name]
        if name == END:
            self._end('ended', value)
        elif isinstance(node, Join):
            self._contribute(name, value, run, index)
        elif isinstance(node, Decision):
            branch = next((n for n, branch in enumerate(node.branches) if branch.accepts(value)), None)
            if branch is None:
                self._fail_at(self._token(name, run, index), RuntimeError('No branch matched inputs'))
            else:
                self._send(name, value, run, index, branch)
        elif isinstance(node, Fork):
            self._fork(node, value, self._run(name, run, index))
        elif isinstance(node, SubgraphStep):
            token = self._token(name, run, index, value)
            mapped = node.map_inputs or (lambda ctx: ctx.inputs)
            token.within = inner = Interpreter(self.shape.subshape(name), self.tie, (self, token))
            value = mapped(StepContext(state=None, deps=None, inputs=value))
            inner._send(START, value, inner._run(START, None, 0), 0)
        else:
            self.root.ready.append((self, self._token(name, run, index, value)))

    # Forks

    def _run(self, fork: str, above: ForkRun | None, index: int) -> ForkRun:
        run = ForkRun(fork, above, index)
        for join, parent in self.shape.parents.items():
            if parent == fork and self.shape.policy(join).seconds is not None:
                run.deadlines[join] = Timer('join', self.shape.policy(join).seconds, self, join=join, run=run)
        return run

    def _fork(self, fork: Fork, value: Any, run: ForkRun) -> None:
        if not fork.is_map:
            run.total = len(self.shape.edges[fork.id])
            for branch in range(run.total):
                self._send(fork.id, value, run, branch, branch)
            return
        if fork.downstream_join_id is not None:
            self._open(fork.downstream_join_id, run)
        if fork.limit is not None:
            self._token(fork.id, run, BEHIND_ALL_ITEMS).items = iter(value)
            return
        try:
            items = list(value)
        except ValueError as error:
            self._fail_at(self._token(fork.id, run.above, run.index), error, lost=run)
            return
        run.total = len(items)
        for index, item in enumerate(items):
            self._send(fork.id, item, run, index)
        if not items:
            self._be_empty(fork, run)

    def _be_empty(self, fork: Fork, run: ForkRun) -> None:
        first = {fork.downstream_join_id} if fork.downstream_join_id else self.shape.first_joins(fork.id)
        if len(first) == 1:
            self._open(first.pop(), run)

    def _pull(self, source: Token) -> None:
        fork, run = source.node, source.run
        try:
            for item in source.items:
                self._send(fork, item, run, source.pulled)
                source.pulled += 1
                return
        except ValueError as error:
            self._fail_at(self._token(fork, run.above, run.index), error, lost=run)
        self.tokens.remove(source)
        if not source.pulled:
            self._be_empty(self.shape.nodes[fork], run)
        self._note_total(source)

    def _has_place(self, source: Token) -> bool:
        """An item is in flight until no token of it is left, and no value of it waits for its turn at a join."""
        standing = {t: dict(t.run.places(t.index)) for t in self.tokens}
        living = {places.get(source.run, -1) for t, places in standing.items() if t is not source}
        for join in [t for t in self.tokens if t.received and self._folds_each(t)]:
            waiting = [places for _, places, _ in join.received if places.get(source.run, -1) not in living | {-1}]
            others = [places for t, places in standing.items() if t is not join] if waiting else []
            living |= {places[source.run] for places in waiting if self._has_to_wait(places, others)}
        return len({index for index in living if index >= 0}) < self.shape.nodes[source.node].limit

    def _has_to_wait(self, places: dict[ForkRun, int], others: list[dict[ForkRun, int]]) -> bool:
        """Whether a token stands before the place that a value came from."""
        return any(_rank(other[run]) < _rank(places[run]) for other in others for run in places if run in other)

    # Joins

    def _home(self, join: str, run: ForkRun | None) -> ForkRun | None:
        """The run of its parent fork that a value at a join belongs to."""
        while run is not None and run.fork != self.shape.parents[join]:
            run = run.above
        return run

    def _is_join(self, token: Token) -> bool:
        return token.node in self.shape.parents and token.error is None

    def _is_awaited(self, join: Token) -> bool:
        """Whether any other token of the same run can still reach a join."""
        return any(t is not join and self._may_bring(t, join.node, join.run) for t in self.tokens)

    def _may_bring(self, token: Token, join: str, home: ForkRun) -> bool:
        if token.lost is not None and token.node == self.shape.parents[join]:
            return False  # a map that failed to begin a run
        return self._can_bring(token.node, token.run, join, home)

    def _can_bring(self, node: str, run: ForkRun, join: str, home: ForkRun) -> bool:
        return self._home(join, run) is home and self.shape.reaches(node, join)

    def _open(self, join: str, run: ForkRun) -> Token | None:
        home = self._home(join, run)
        if home is None or (join, home) in self.done:
            return None
        for token in self.tokens:
            if token.node == join and token.run is home:
                return token
        return self._token(join, home, self.index_of(join), self.shape.nodes[join].initial_factory())

    def _contribute(self, name: str, value: Any, run: ForkRun, index: int) -> None:
        join = self._open(name, run)
        if join is None:
            return  # it has fired: the value is dropped
        if self.shape.nodes[name].order == 'completion':
            self._fold(join, value)
        else:
            places = {}
            for each, at in run.places(index):
                places[each] = at
                if each is join.run:
                    break
            position = tuple(_rank(i) for i in reversed(places.values()))
            if isinstance(value, BranchFailure):
                position = (*position, _rank(BEHIND_ALL_ITEMS))  # items may have come before a source failed
            join.received.append((position, places, value))
        self._note_arrival(join, value, run, index)

    def _fold(self, join: Token, value: Any) -> bool:
        """Fold a value; tells whether further ones are to follow."""
        context = ReducerContext(state=None, deps=None)
        try:
            join.value = self.shape.nodes[join.node].reduce(context, join.value, value)
        except ValueError as error:
            self._fail_join(join, error)
            return False
        if context.siblings_cancelled:
            self._cancel_losers(join.node, join.run)
            self.done.add((join.node, join.run))
        return not context.siblings_cancelled

    def _folds_each(self, join: Token) -> bool:
        """Whether a join folds a value as soon as all before it is settled, and not only when it fires."""
        return self._is_join(join) and not self.shape.policy(join.node).fires_early

    def _fold_in_turn(self) -> bool:
        """Fold a value whose turn has come at a join that may want no more than it; tells whether there was one."""
        for join in [t for t in self.tokens if t.received and self._folds_each(t)]:
            first = min(join.received, key=lambda contribution: contribution[0])
            others = [dict(t.run.places(t.index)) for t in self.tokens if t is not join]
            if self.shape.nodes[join.node].takes_context and not self._has_to_wait(first[1], others):
                join.received.remove(first)
                if not self._fold(join, first[2]):
                    join.received.clear()
                return True
        return False

    def _cancel_losers(self, join: str, home: ForkRun) -> None:
        """Take away all that could still bring a value to a join."""
        places = [token.run for token in self.tokens] + [m[3] for m in self.root.moving if m[0] is self]
        for run in {run for place in places for run in place.outward()}:
            due = (name for name in run.deadlines if self._can_bring(name, run, join, home))
            self.done |= {(name, run) for name in due}  # it would come to be a token
        lost = [t for t in self.tokens if (t.node, t.run) != (join, home) and self._may_bring(t, join, home)]
        self.done |= {(t.node, t.run) for t in lost if self._is_join(t)}
        self.tokens = [t for t in self.tokens if t not in lost]
        moving = self.root.moving
        moving[:] = [m for m in moving if m[0] is not self or not self._is_on_its_way(m[1], m[3], join, home)]
        for source in lost:
            if source.items is not None:
                self._note_total(source)

    def _note_total(self, source: Token) -> None:
        """No more items will come: a share of them is known now."""
        source.run.total = source.pulled
        for join in filter(self._is_join, self.tokens):
            if join.run is source.run:
                self._see_if_enough(join)

    def _is_on_its_way(self, node: str, run: ForkRun, join: str, home: ForkRun) -> bool:
        if self._home(join, run) is not home or node == self.shape.parents[join]:
            return False
        return node == join or self.shape.reaches(node, join)

    def _fire(self, join: Token) -> None:
        if not join.has_enough and not self._is_met(join):
            self._be_unsatisfied(join)
            return
        for *_, value in sorted(join.received, key=lambda contribution: contribution[0]):
            if not self._fold(join, value):
                break
        if join in self.tokens:
            self.tokens.remove(join)
            self.done.add((join.node, join.run))
            self._send(join.node, join.value, join.run, join.index)


def _transforms(path) -> list[Callable[[StepContext], Any]]:
    return [item.transform for item in path.items if isinstance(item, TransformMarker)]


def _rank(index: int) -> tuple[bool, int]:
    """Items and branches come in their order, and behind them what left the joins."""
    return index < 0, abs(index)
