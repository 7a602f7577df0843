"""What policies add to the interpreter: what joins need, what becomes of branches that fail, and attempts of steps.

Like the interpreter it searches and remembers little: which timers are awaited, and which join takes a failure, is
found by looking at the tokens each time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from plait_graph.exceptions import JoinUnsatisfied, LoopLimitReached, RunTimeout, StepTimeout
from plait_graph.join import BranchFailure
from plait_graph.policies import Share

if TYPE_CHECKING:
    from properties.reference import ForkRun, Interpreter, Token


@dataclass(eq=False)
class Timer:
    """Something that will happen after a time, to a step at work or to a join of a run of a fork."""

    kind: str
    seconds: float
    level: 'Interpreter'
    token: 'Token | None' = None
    join: str = ''
    run: 'ForkRun | None' = None


class Attempts:
    """Steps: who may start, for how long, and what follows when an attempt fails."""

    def fail(self, token: 'Token', error: Exception) -> None:
        """A body raised."""
        token.state, token.timer = '', None
        policy = self.shape.nodes[token.node].policy
        retry = policy and policy.retry
        fallback = self.shape.exits.get((token.node, 'fallback'))
        if retry and token.attempt < retry.attempts and retry.applies_to(error):
            token.attempt += 1
            if retry.wait:
                token.timer = Timer('retry', retry.wait, self, token)
            else:
                self.root.ready.append((self, token))
        elif fallback:
            self._put(fallback, token.value, token.run, token.index)
            self.tokens.remove(token)
        else:
            self._fail_at(token, error)
        self.root._settle()

    def stopped(self, token: 'Token') -> None:
        """A body has ended that was asked to stop because its time was up."""
        self.fail(token, StepTimeout(f'Step {self.prefix + token.node!r} took longer'))

    def timers(self) -> list[Timer]:
        """What is awaited from the clock: by steps, and by joins that have not gone on and whose run still lives."""
        found = [self.deadline] if self.deadline is not None else []
        for level in self._levels():
            found += [token.timer for token in level.tokens if token.timer is not None]
            for run in dict.fromkeys(run for token in level.tokens for run in token.run.outward()):
                found += [timer for join, timer in run.deadlines.items() if (join, run) not in level.done]
        return found

    def expired(self, timer: Timer) -> None:
        """A time is up."""
        token = timer.token
        if timer.kind == 'run':
            self.fail_run(RunTimeout('The run took longer'))
        elif timer.kind == 'join':
            del timer.run.deadlines[timer.join]
            timer.level._expire(timer.join, timer.run)
        elif timer.kind == 'timeout':
            token.state, token.timer = 'ending', None
        else:
            token.timer = None
            self.ready.append((timer.level, token))
        self._settle()

    def _start_ready(self) -> None:
        """Let bodies begin, the oldest first, as far as their steps have places."""
        waiting = [(level, token) for level, token in self.ready if token in level.tokens and level._is_alive()]
        self.ready = [(level, token) for level, token in waiting if not level._start(token)]

    def _start(self, token: 'Token') -> bool:
        policy = self.shape.nodes[token.node].policy
        if policy and policy.max_concurrency is not None:
            name = self.prefix + token.node
            levels = [level for level in self.root._levels() if level.prefix + token.node == name]
            bodies = [t for level in levels for t in level.tokens if t.node == token.node and t.state]
            if len(bodies) >= policy.max_concurrency:
                return False
        token.state = 'at work'
        if policy and policy.timeout is not None:
            token.timer = Timer('timeout', policy.timeout, self, token)
        return True

    def _is_guarded(self, step: str, value: Any, run: 'ForkRun', index: int) -> bool:
        """Count that a value reaches a step, and send it elsewhere if that is too often."""
        guard = getattr(getattr(self.shape.nodes[step], 'policy', None), 'loop_guard', None)
        if guard is None:
            return False
        before = _passes_before(step, run, index)
        run.passes.setdefault(step, {})[index] = before + 1
        if before < guard.limit:
            return False
        if (step, 'guard') in self.shape.exits:
            self._put(self.shape.exits[step, 'guard'], value, run, index)
        else:
            self._fail_at(self._token(step, run, index), LoopLimitReached(f'Step {self.prefix + step!r} has been'))
        return True


def _passes_before(step: str, run: 'ForkRun', index: int) -> int:
    """What has left a join goes on from all that came before it in its run, or else from where its run was begun."""
    counts = run.passes.get(step, {})
    if index in counts or index >= 0:
        return counts.get(index, 0)
    if counts or run.above is None:
        return max(counts.values(), default=0)
    return _passes_before(step, run.above, run.index)


class Station(NamedTuple):
    """Where a failure passes on its way outward: a join, or the end of a whole graph that is a step."""

    level: 'Interpreter'
    join: str | None
    run: 'ForkRun'
    place: 'tuple[ForkRun, int]'
    """Where the value would have come from that the failure stands for."""


class Branches:
    """Branches that fail: which join takes the failure, and what is taken away with it."""

    def fail_run(self, error: Exception) -> None:
        """A failure that nothing takes ends the run."""
        self.root.errors.append(error)
        if self.root.outcome is None:
            self.root.outcome = 'failed', self.root.errors

    def _fail_at(self, token: 'Token', error: Exception, lost: 'ForkRun | None' = None) -> None:
        """Something failed, and perhaps a whole run of a fork with it: it stays a token until it is looked at."""
        if not self.root.shape.catches:
            self.fail_run(error)
            return
        token.error, token.lost = error, lost
        self.root.failures.append((self, token))

    def _look_at_failure(self) -> None:
        """Look at the oldest failure, if it has not been taken away by now."""
        level, failed = self.failures.pop(0)
        if failed in level.tokens and level._is_alive():
            level._lose(failed)

    def _lose(self, failed: 'Token') -> None:
        broken: list[Station] = []
        for station in self._way_out(failed):
            if station.join is not None and station.level._stops_failures(station.join, station.run):
                break
            broken.append(station)
        else:
            self.fail_run(failed.error)
            return
        if (station.join, station.run) not in station.level.done:
            station.level._take_failure(station, failed, self)
        for level, join, run, _ in broken:
            level._take_away(join, run)
        if failed.node in self.shape.parents and self.shape.policy(failed.node).rest == 'cancel':
            self._take_away(failed.node, failed.run)
        if failed.lost is not None:
            self.tokens = [t for t in self.tokens if failed.lost not in t.run.outward()]
            self.root.moving = [m for m in self.root.moving if m[0] is not self or failed.lost not in m[3].outward()]
        if failed in self.tokens:
            self.tokens.remove(failed)

    def _way_out(self, failed: 'Token') -> Iterator[Station]:
        """The joins and graphs that a failure passes, if nothing takes it before."""
        level, at, run = self, failed, failed.run
        while True:
            join = level._next_join(at, run)
            if join is not None:
                yield Station(level, join, run, (at.run, at.index))
                at = type(failed)(join, run, level.index_of(join))
            elif run.above is not None:
                run = run.above
            elif level.outer is None:
                return
            else:
                yield Station(level, None, run, (at.run, at.index))
                level, at = level.outer
                run = at.run

    def _next_join(self, token: 'Token', run: 'ForkRun') -> str | None:
        """The first join of a run that can be reached from where a token in it stands."""
        joins = (join for join in self.shape.joins if self.shape.parents[join] == run.fork)
        return next((join for join in joins if self._may_bring(token, join, run)), None)

    def _stops_failures(self, join: str, run: 'ForkRun') -> bool:
        return (join, run) in self.done or self.shape.policy(join).failures != 'raise'

    def _take_failure(self, station: Station, failed: 'Token', level: 'Interpreter') -> None:
        if self.shape.policy(station.join).failures == 'ignore':
            self._open(station.join, station.run).causes.append(failed.error)
            return
        stack = tuple(level.stack(failed.run, failed.index))
        value = BranchFailure(failed.error, level.path_of(failed.node), stack)
        self.root.moving.append((self, station.join, value, *station.place))

    def _take_away(self, join: str | None, home: 'ForkRun') -> None:
        """Take away what leads to a join that cannot be completed, and the join; or this whole graph."""
        if join is None:
            above, token = self.outer
            above.tokens = [t for t in above.tokens if t is not token]
            return
        self._cancel_losers(join, home)
        self.tokens = [t for t in self.tokens if (t.node, t.run) != (join, home) or t.error is not None]
        self.done.add((join, home))


class Needs:
    """Joins: when they have enough, and what becomes of the rest then."""

    def _note_arrival(self, join: 'Token', value: Any, run: 'ForkRun', index: int) -> None:
        """Count a value that was handed to a join."""
        if isinstance(value, BranchFailure):
            join.causes.append(value.error)
            return
        join.came += 1
        join.came_from.add(next(i for each, i in run.places(index) if each is join.run))
        self._see_if_enough(join)

    def _see_if_enough(self, join: 'Token') -> None:
        if isinstance(self.shape.policy(join.node).need, int | Share) and self._is_met(join):
            self._go_on_early(join)

    def _is_met(self, join: 'Token') -> bool:
        """Whether a join has all that it needs, as far as that can be known."""
        match self.shape.policy(join.node).need:
            case 'all' | 'arrived':
                return True
            case Share(part):
                total = join.run.total
                return total is not None and len(join.came_from) >= math.ceil(part * total - 1e-9)
            case count:
                return join.came >= count

    def _go_on_early(self, join: 'Token') -> None:
        """Close a join: it goes on in its turn, with what it has."""
        if (join.node, join.run) not in self.done:
            self.done.add((join.node, join.run))
            join.has_enough = True
            if self.shape.policy(join.node).rest == 'cancel':
                self._cancel_losers(join.node, join.run)

    def _expire(self, name: str, run: 'ForkRun') -> None:
        """The deadline of a join has come."""
        join = self._open(name, run)
        if self.shape.policy(name).need == 'arrived':
            self._go_on_early(join)
            return
        if self.shape.policy(name).rest == 'cancel':
            self._cancel_losers(name, run)
        self._be_unsatisfied(join)

    def _be_unsatisfied(self, join: 'Token') -> None:
        error = JoinUnsatisfied(f'Join {self.prefix + join.node!r} needs more')
        error.causes = tuple(join.causes)
        self._fail_join(join, error)

    def _fail_join(self, join: 'Token', error: Exception) -> None:
        """Let a join fail, which counts as fired: the failure stands where its value would have left."""
        self.done.add((join.node, join.run))
        self.tokens.remove(join)
        self._fail_at(self._token(join.node, join.run, join.index), error)
