"""A graph run by plain search: what the engine's counting is compared with.

Tokens stand in a list, and after each event it is asked of every open join whether any token can still bring it a
value. That question is a walk over the graph. Nothing of the engine's plan or machine is used; what is read is the
graph's public structure: its nodes and the paths between them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from plait_graph import Decision, Fork, Join, ReducerContext, StepContext
from plait_graph.paths import TransformMarker
from plait_graph.step import SubgraphStep

START, END = '__start__', '__end__'
BEHIND_ALL_ITEMS = 1 << 60


class Shape:
    """What can be asked of a graph that stands still."""

    def __init__(self, nodes, edges):
        self.nodes = dict(nodes)
        self.edges = {
            node: [(p.items[-1].destination_id, _transforms(p)) for p in paths] for node, paths in edges.items()
        }
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
            new = {target for target, _ in self.edges.get(frontier.pop(), ())} - found - {without}
            found |= new
            frontier += new
        return found

    def dominates(self, outer: str, inner: str) -> bool:
        """Whether the inner node is out of reach once the outer one is removed."""
        return inner not in (outer, START) and (outer == START or inner not in self.walk(START, outer))

    def candidates(self, join: str) -> list[str]:
        """Forks that all ways to a join pass, and all cycles through it; the closest first."""
        found = [fork for fork in self.forks if self.dominates(fork, join) and join not in self.walk(join, fork)]
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
            for target in {target for target, _ in self.edges[frontier.pop()]} - seen:
                seen.add(target)
                if target in self.parents and self.reaches(fork, target):
                    found.add(target)
                elif target != END:
                    frontier.append(target)
        return found

    def _subshape(self, step: str) -> 'Shape':
        layout = self.nodes[step].graph.layout
        return Shape(layout.nodes, layout.edges)


@dataclass(eq=False)
class ForkRun:
    """One run of a fork: where it came from, and at which position there."""

    fork: str
    above: 'ForkRun | None'
    index: int


@dataclass(eq=False)
class Token:
    """What may still lead somewhere: a step at work, a map with items to come, a join that is open."""

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


class Interpreter:
    """A run. Choose one of `running()`, and tell the interpreter that it is in to `finish` or `fail`.

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

    def begin(self, value: Any) -> None:
        """Let a value in."""
        self._send(START, value, ForkRun(START, None, 0), 0)
        self._settle()

    def running(self) -> list[tuple['Interpreter', Token]]:
        """The steps at work; any may be the next one to finish."""
        return [(level, t) for level in self._levels() for t in level.tokens if level._is_at_work(t)]

    def finish(self, token: Token, value: Any) -> None:
        """A step gave a value."""
        self.tokens.remove(token)
        self._send(token.node, value, token.run, token.index)
        self.root._settle()

    def fail(self, error: BaseException) -> None:
        """Something raised, which ends the whole run."""
        self.root._end('failed', error)

    def _levels(self) -> list['Interpreter']:
        return [self] + [level for t in self.tokens if t.within is not None for level in t.within._levels()]

    def _is_at_work(self, token: Token) -> bool:
        return token.within is None and token.items is None and token.node not in self.shape.parents

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
            self.fail(error)
        else:
            self.root.moving.append((self, target, value, run, index))

    # What follows from an event

    def _settle(self) -> None:
        """Move all that moves; then, one by one, pull an item for which there is a place or fire a join that can."""
        while self.outcome is None:
            if self.moving:
                level, *move = self.moving.pop(0)
                if level._is_alive():
                    level._arrive(*move)
            elif not all(level.tokens for level in self._levels()):
                self.fail(RuntimeError('Graph run completed, but no result was produced'))
            elif possible := self._possible():
                chosen = self.tie(list(possible))
                possible[chosen]._pull(chosen) if chosen.items is not None else possible[chosen]._fire(chosen)
            else:
                return

    def _possible(self) -> dict[Token, 'Interpreter']:
        """Maps that have a place for an item, and joins that wait for nothing."""
        levels = self._levels()
        maps = {t: level for level in levels for t in level.tokens if t.items is not None and level._has_place(t)}
        joins = {t: level for level in levels for t in level.tokens if t.node in level.shape.parents}
        return maps | {t: level for t, level in joins.items() if not level._is_awaited(t)}

    def _arrive(self, name: str, value: Any, run: ForkRun, index: int) -> None:
        node = self.shape.nodes[name]
        if name == END:
            self._end('ended', value)
        elif isinstance(node, Join):
            self._contribute(name, value, run, index)
        elif isinstance(node, Decision):
            branch = next((n for n, branch in enumerate(node.branches) if branch.accepts(value)), None)
            if branch is None:
                self.fail(RuntimeError('No branch matched inputs'))
            else:
                self._send(name, value, run, index, branch)
        elif isinstance(node, Fork):
            self._fork(node, value, ForkRun(name, run, index))
        else:
            token = Token(name, run, index, value)
            self.tokens.append(token)
            if isinstance(node, SubgraphStep):
                mapped = node.map_inputs or (lambda ctx: ctx.inputs)
                token.within = Interpreter(self.shape.subshape(name), self.tie, (self, token))
                value = mapped(StepContext(state=None, deps=None, inputs=value))
                token.within._send(START, value, ForkRun(START, None, 0), 0)

    # Forks

    def _fork(self, fork: Fork, value: Any, run: ForkRun) -> None:
        if not fork.is_map:
            for branch in range(len(self.shape.edges[fork.id])):
                self._send(fork.id, value, run, branch, branch)
            return
        if fork.downstream_join_id is not None:
            self._open(fork.downstream_join_id, run)
        if fork.limit is not None:
            self.tokens.append(Token(fork.id, run, BEHIND_ALL_ITEMS, items=iter(value)))
            return
        items = list(value)
        for index, item in enumerate(items):
            self._send(fork.id, item, run, index)
        if not items:
            self._be_empty(fork, run)

    def _be_empty(self, fork: Fork, run: ForkRun) -> None:
        first = {fork.downstream_join_id} if fork.downstream_join_id else self.shape.first_joins(fork.id)
        if len(first) == 1:
            self._open(first.pop(), run)

    def _pull(self, source: Token) -> None:
        for item in source.items:
            self._send(source.node, item, source.run, source.pulled)
            source.pulled += 1
            return
        self.tokens.remove(source)
        if not source.pulled:
            self._be_empty(self.shape.nodes[source.node], source.run)

    def _has_place(self, source: Token) -> bool:
        """An item is in flight until no token of it is left, and no value of it waits for its turn at a join."""
        standing = {t: _places(t.run, t.index) for t in self.tokens}
        living = {places.get(source.run, -1) for t, places in standing.items() if t is not source}
        for join in self.tokens:
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

    def _is_awaited(self, join: Token) -> bool:
        """Whether any other token of the same run can still reach a join."""
        return any(t is not join and self._can_bring(t.node, t.run, join) for t in self.tokens)

    def _can_bring(self, node: str, run: ForkRun, join: Token) -> bool:
        return self._home(join.node, run) is join.run and self.shape.reaches(node, join.node)

    def _open(self, join: str, run: ForkRun) -> Token | None:
        home = self._home(join, run)
        if home is None or (join, home) in self.done:
            return None
        for token in self.tokens:
            if token.node == join and token.run is home:
                return token
        token = Token(join, home, -1 - self.shape.joins.index(join), self.shape.nodes[join].initial_factory())
        self.tokens.append(token)
        return token

    def _contribute(self, name: str, value: Any, run: ForkRun, index: int) -> None:
        join = self._open(name, run)
        if join is None:
            return  # it has fired: the value is dropped
        if self.shape.nodes[name].order == 'completion':
            self._fold(join, value)
        else:
            places = _places(run, index, join.run)
            join.received.append((tuple(_rank(i) for i in reversed(places.values())), places, value))

    def _fold(self, join: Token, value: Any) -> None:
        context = ReducerContext(state=None, deps=None)
        join.value = self.shape.nodes[join.node].reduce(context, join.value, value)
        if context.siblings_cancelled:
            self.tokens = [t for t in self.tokens if t is join or not self._can_bring(t.node, t.run, join)]
            self.done.add((join.node, join.run))
            moving = self.root.moving
            moving[:] = [m for m in moving if m[0] is not self or not self._is_on_its_way(m[1], m[3], join)]

    def _is_on_its_way(self, node: str, run: ForkRun, join: Token) -> bool:
        if self._home(join.node, run) is not join.run or node == self.shape.parents[join.node]:
            return False
        return node == join.node or self.shape.reaches(node, join.node)

    def _fire(self, join: Token) -> None:
        for *_, value in sorted(join.received, key=lambda contribution: contribution[0]):
            self._fold(join, value)
        self.tokens.remove(join)
        self.done.add((join.node, join.run))
        self._send(join.node, join.value, join.run, join.index)


def _transforms(path) -> list[Callable[[StepContext], Any]]:
    return [item.transform for item in path.items if isinstance(item, TransformMarker)]


def _places(run: ForkRun | None, index: int, home: ForkRun | None = None) -> dict[ForkRun, int]:
    """The index in each run that a place is in, innermost first, out to one of them."""
    places: dict[ForkRun, int] = {}
    while run is not None:
        places[run] = index
        run, index = (run.above, run.index) if run is not home else (None, 0)
    return places


def _rank(index: int) -> tuple[bool, int]:
    """Items and branches come in their order, and behind them what left the joins."""
    return index < 0, abs(index)
