"""Drives the scheduler and the interpreter through the same order of completion, and compares them after each event.

There is no event loop, and the clock is virtual: time passes only when no other event is chosen, and then up to the
next timer.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from plait_graph._run.commands import CancelTask, StartTimer, StopTimer
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.outcomes import Ended
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment, Task, fork_stack
from plait_graph._run.tokens import Timer as EngineTimer
from plait_graph.events import JoinFired
from plait_graph.exceptions import JoinUnsatisfied
from plait_graph.id_types import ForkStack
from plait_graph.join import BranchFailure, Join
from properties.random_graphs import INPUTS, work
from properties.reference import Interpreter, Shape, Token
from properties.reference_policies import Timer

LONGEST, WIDEST = 100, 20
"""Runs with more events than this, or more steps at work, are left: searching takes long."""
FULLEST = 60
"""The same for values that wait at joins."""
MOST_TIES = 100
"""How many ways of breaking ties are tried; if there are more, it stays open whether the two agree."""

Place = tuple[str, str, str, int]
"""What can be known from outside of a step at work: its node, the way through the forks, its inputs, its attempt."""
Awaited = tuple[str, str, str, int, float]
"""What can be known of a timer: its kind, its node, the way through the forks, the attempt, and when it is due."""
Outcome = tuple[str, str]


class Mismatch(AssertionError):
    """Scheduler and interpreter do not agree."""


def seeds(count: int, *, first: int = 0) -> list[int]:
    """The numbers that random graphs come from: some in a row, or the one that `PLAIT_SEED` names."""
    named = os.environ.get('PLAIT_SEED')
    return [int(named)] if named else list(range(first, first + count))


def shape_of(graph) -> Shape:
    """What the interpreter reads of a graph."""
    return Shape(graph.nodes, graph.edges_by_source)


def compare(graph, shape: Shape, make_random: Callable[[], random.Random], **options: bool) -> str:
    """Run both; says how it went: 'same', 'tie', 'long' for a run that was left, 'open' for one with too many ties.

    Nothing says which of several joins fires first if one event lets them all fire, and it can matter: if both lead to
    the end, or to a join where the first one wins. So the interpreter may break such ties in any way that makes it
    agree.
    """
    mismatches: list[Mismatch] = []
    for ties in all_ties():
        try:
            finished = _drive(graph, shape, make_random(), ties, **options)
        except Mismatch as mismatch:
            mismatches.append(mismatch)
        else:
            return 'long' if not finished else 'tie' if mismatches else 'same'
    if len(mismatches) < MOST_TIES:
        raise mismatches[0]
    return 'open'


class Ties:
    """Chooses among tokens: on a path that is given, and then the first one each time."""

    def __init__(self, path: list[tuple[int, int]]):
        self.path = path
        self.depth = 0

    def __call__(self, possible: list[Token]) -> Token:
        if self.depth == len(self.path):
            self.path.append((0, len(possible)))
        self.depth += 1
        return possible[self.path[self.depth - 1][0]]


def all_ties() -> Iterator[Ties]:
    """Ways to break the ties of a run, which must go through it before it asks for the next one."""
    path: list[tuple[int, int]] = []
    for _ in range(MOST_TIES):
        yield Ties(path)
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        chosen, count = path.pop()
        path.append((chosen + 1, count))


def _drive(graph, shape: Shape, rng: random.Random, ties: Ties, **options: bool) -> bool:
    """One run of both; tells whether it came to its end."""
    side = Side(graph, listens=rng.random() < 0.5, **options)
    other = OtherSide(Interpreter(shape, ties))
    inputs = rng.choice(INPUTS)
    if rng.random() < 0.02:
        side.scheduler.allow(9)
        other.interpreter.allow(9)
    other.interpreter.begin(inputs)
    side.scheduler.begin(inputs)
    for _ in range(LONGEST):
        side.look()
        other.look()
        if other.interpreter.outcome is not None or side.scheduler.outcome is not None:
            side.check_end(other.interpreter)
            return True
        same(list(side.tasks), list(other.tasks), 'steps at work')
        same(list(side.ending), list(other.ending), 'steps whose time was up')
        same(list(side.timers), list(other.timers), 'timers')
        if is_wide(other.interpreter):
            return False
        what, key = side.choose(rng)
        side.let_happen(what, key, rng)
        other.let_happen(what, key)
    return False


class Side:
    """The scheduler, with what its driver would do and what can be seen from outside."""

    def __init__(self, graph, *, watched: bool = False, listens: bool = False):
        self.joins = names_of_joins(graph)
        self.events: list[Any] = []
        listener = self.events.append if listens else None
        self.scheduler = Scheduler(graph.plan, Evaluator(), Environment(None, None), watched=watched, listener=listener)
        self.now = 0.0
        self.due: dict[EngineTimer, float] = {}
        self.ticks: list[str] = []
        """The kinds of timers whose time has come."""
        self.stopped: list[Task] = []
        """What was asked to stop, and has not ended; of no use to the run unless its time was up."""

    def at_work(self) -> dict[Any, Task]:
        """What is at work once all that is ready has started."""
        self.look()
        return self.tasks

    def look(self) -> None:
        """Start all that is ready, do what else is to be done, and see what may happen then.

        That is that a step at work ends, that a body ends whose time was up, or that the time of a timer comes.
        """
        while self.scheduler.shown:
            self.scheduler.accept()
        self._carry_out()
        while self.scheduler.take() is not None:
            same(self.scheduler.outcome, None, 'the outcome when a step starts')
        self._carry_out()
        self.tasks = by_key((self._place(task), task) for task in self.scheduler.running.values())
        self.ending = by_key((self._place(task), task) for task in self.scheduler.ending.values())
        self.timers = by_key((self._awaited(timer), timer) for timer in self.due)

    def _carry_out(self) -> None:
        for command in self.scheduler.commands:
            match command:
                case CancelTask(task):
                    self.stopped.append(task)
                case StartTimer(timer):
                    self.due[timer] = self.now + timer.seconds
                case StopTimer(timer):
                    known = self.due.pop(timer, None)
                    same(known is not None or self.scheduler.outcome is not None, True, f'{timer} had been started')
                case _:
                    raise AssertionError(command)
        self.scheduler.commands.clear()

    def choose(self, rng: random.Random) -> tuple[str, Any]:
        """What is to happen next: that a body gives a value or raises, that one ends whose time was up, or a tick."""
        bodies = [('done', key) for key in self.tasks] + [('stopped', key) for key in self.ending]
        same(bool(bodies or self.timers), True, 'whether something is to come')
        if self.timers and (not bodies or rng.random() < 0.2):
            now = min(key[-1] for key, _ in self.timers)
            return 'tick', rng.choice([key for key in self.timers if key[0][-1] == now])
        return rng.choice(bodies)

    def let_happen(self, what: str, key: Any, rng: random.Random) -> None:
        """Tell the scheduler of an event, and now and then of a body that is of no use to it any more."""
        if what == 'tick':
            timer = self.timers[key]
            self.now = self.due.pop(timer)
            self.ticks.append(timer.kind)
            self.scheduler.expired(timer)
        elif what == 'stopped':
            self._end(self.ending[key], rng)
        else:
            self.complete(self.tasks[key])
        useless = [task for task in self.stopped if task.id not in self.scheduler.ending]
        if useless and rng.random() < 0.2:
            self._end(rng.choice(useless), rng)

    def _place(self, task: Task) -> Place:
        stack = name_stack(task.fork_stack, self.joins)
        return task.node.id, stack, show(task.inputs, self.joins), self.scheduler.attempt_number(task)

    def _awaited(self, timer: EngineTimer) -> Awaited:
        if timer.task is not None:
            node, stack, _, attempt = self._place(timer.task)
        elif timer.region is not None and timer.node is not None:
            stack = fork_stack(timer.region, -1 - timer.node.ordinal)
            node, stack, attempt = timer.node.id, name_stack(stack, self.joins), 0
        else:
            node, stack, attempt = '', '', 0
        return timer.kind, node, stack, attempt, self.due[timer]

    def complete(self, task: Task) -> None:
        """Do the work of a task and report it."""
        try:
            value = work(task.node.id, task.inputs, self.scheduler.attempt_number(task))
        except ValueError as error:
            self.scheduler.fail(task, error)
        else:
            self.scheduler.finish(task, value)

    def _end(self, task: Task, rng: random.Random) -> None:
        """Let a body end that was asked to stop; what it gives or raises is of no use."""
        self.stopped.remove(task)
        chance = rng.random()
        if chance < 0.6:
            self.scheduler.stopped(task)
        elif chance < 0.8:
            self.scheduler.finish(task, 'of no use')
        else:
            self.scheduler.fail(task, ValueError('of no use'))

    @property
    def outcome(self) -> Outcome:
        """How the run has ended."""
        match self.scheduler.outcome:
            case None:
                return '', ''
            case Ended(value):
                return 'ended', show(value, self.joins)
            case failed:
                return 'failed', ', '.join(dict.fromkeys(first_words(error) for error in failed.errors))

    def check_end(self, interpreter: Interpreter) -> None:
        """How the run ended, what is left of it, and that no join fired twice."""
        same(self.outcome, outcome_of(interpreter), 'the outcome')
        same(list(self.due), [], 'timers at the end')
        kind, value = interpreter.outcome or ('', None)
        has_stopped_midway = kind == 'failed' and 'no result' not in str(value)
        if not (self.scheduler.watched or interpreter.tokens or interpreter.moving or has_stopped_midway):
            same((self.scheduler.root.counts, self.scheduler.root.present), ({}, 0), 'what is left')
        fired = [
            (event.join_id, event.fork_stack[-1].node_run_id) for event in self.events if isinstance(event, JoinFired)
        ]
        same(len(set(fired)), len(fired), f'the number of joins that fired, each once, among {fired}')


def same(scheduler: object, interpreter: object, what: str) -> None:
    """Both say the same.

    Raises:
        Mismatch: They do not.
    """
    if scheduler != interpreter:
        raise Mismatch(f'{what}:\n  scheduler   {scheduler}\n  interpreter {interpreter}')


# The interpreter, seen in the same way


class OtherSide:
    """The interpreter, with a clock."""

    def __init__(self, interpreter: Interpreter):
        self.interpreter = interpreter
        self.now = 0.0
        self.due: dict[Timer, float] = {}

    def look(self) -> None:
        """See what may happen."""
        self.tasks = by_key((place(*pair), pair) for pair in self.interpreter.running())
        self.ending = by_key((place(*pair), pair) for pair in self.interpreter.ending())
        self.due = {timer: self.due.get(timer, self.now + timer.seconds) for timer in self.interpreter.timers()}
        self.timers = by_key((self._awaited(timer), timer) for timer in self.due)

    def let_happen(self, what: str, key: Any) -> None:
        """Tell the interpreter of an event."""
        if what == 'tick':
            timer = self.timers[key]
            self.now = self.due[timer]
            self.interpreter.expired(timer)
        elif what == 'stopped':
            level, token = self.ending[key]
            level.stopped(token)
        else:
            complete(*self.tasks[key])

    def _awaited(self, timer: Timer) -> Awaited:
        level = timer.level
        if timer.token is not None:
            node, stack, _, attempt = place(level, timer.token)
        elif timer.run is not None:
            stack = level.stack(timer.run, level.index_of(timer.join))
            node, stack, attempt = level.prefix + timer.join, repr(tuple(stack)), 0
        else:
            node, stack, attempt = '', '', 0
        return timer.kind, node, stack, attempt, self.due[timer]


def complete(interpreter: Interpreter, token: Token) -> None:
    """Do the work of a token and tell the interpreter of it."""
    try:
        value = work(token.node, token.value, token.attempt)
    except ValueError as error:
        interpreter.fail(token, error)
    else:
        interpreter.finish(token, value)


def place(interpreter: Interpreter, token: Token) -> Place:
    """What can be known of a step at work, in the form that the scheduler has it."""
    stack = repr(tuple(interpreter.stack(token.run, token.index)))
    return interpreter.prefix + token.node, stack, show(token.value), token.attempt


def is_wide(interpreter: Interpreter) -> bool:
    """Whether there is so much under way that searching takes long."""
    return len(interpreter.running()) > WIDEST or sum(len(token.received) for token in interpreter.tokens) > FULLEST


def outcome_of(interpreter: Interpreter) -> Outcome:
    """How the interpreter's run has ended."""
    kind, value = interpreter.outcome or ('', '')
    return kind, ', '.join(dict.fromkeys(map(first_words, value))) if kind == 'failed' else show(value)


def first_words(error: BaseException) -> str:
    """What kind of failure it is."""
    causes = f' ({len(error.causes)} failed)' if isinstance(error, JoinUnsatisfied) else ''
    return ' '.join(str(error).split()[:3]) + causes


# Names


def by_key(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Objects by what is known of them, in an order of their own; those of which the same is known are numbered."""
    found: dict[Any, Any] = {}
    numbers = Counter[Any]()
    for key, each in pairs:
        found[key, numbers[key]] = each
        numbers[key] += 1
    return {key: found[key] for key in sorted(found)}


def names_of_joins(graph) -> dict[int, str]:
    """Joins by their number, which stands for the thread of what has left them."""
    return {node.ordinal: node.id for node in graph.plan.nodes if isinstance(node.node, Join)}


def name_stack(stack: ForkStack, joins: dict[int, str]) -> str:
    """A fork stack without the numbers of runs."""
    indexes = ((item.fork_id, item.thread_index) for item in stack)
    return repr(tuple((fork, index if index >= 0 else joins[-1 - index]) for fork, index in indexes))


def show(value: Any, joins: dict[int, str] | None = None) -> str:
    """A value in words; what is known of a branch that failed is the same on both sides."""
    match value:
        case BranchFailure():
            stack = repr(value.fork_stack) if joins is None else name_stack(value.fork_stack, joins)
            return f'<{value.node_id} failed at {stack}: {first_words(value.error)}>'
        case list():
            return f'[{", ".join(show(each, joins) for each in value)}]'
        case _:
            return repr(value)
