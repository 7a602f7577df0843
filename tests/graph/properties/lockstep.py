"""Drives the scheduler and the interpreter through the same order of completion, and compares them after each event."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

from plait_graph._run.evaluator import Evaluator
from plait_graph._run.machine import CancelTask, Ended
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment, Task
from plait_graph.events import JoinFired
from plait_graph.id_types import ForkStack
from plait_graph.join import Join
from properties.random_graphs import INPUTS, work
from properties.reference import Interpreter, Shape, Token

LONGEST, WIDEST = 100, 20
"""Runs with more events than this, or more steps at work, are left: searching takes long."""
FULLEST = 60
"""The same for values that wait at joins."""
MOST_TIES = 100
"""How many ways of breaking ties are tried; if there are more, it stays open whether the two agree."""

Place = tuple[str, str, str]
"""What can be known from outside of a step at work: its node, the way through the forks, its inputs."""
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
    interpreter = Interpreter(shape, ties)
    side = Side(graph, listens=rng.random() < 0.5, **options)
    inputs = rng.choice(INPUTS)
    interpreter.begin(inputs)
    side.scheduler.begin(inputs)
    for _ in range(LONGEST):
        tasks = side.at_work()
        tokens = {place(*pair): pair for pair in interpreter.running()}
        if interpreter.outcome is not None or side.scheduler.outcome is not None:
            side.check_end(interpreter)
            return True
        same(list(tasks), sorted(tokens), 'steps at work')
        same(bool(tasks), True, 'whether something is at work')
        if is_wide(interpreter):
            return False
        chosen = rng.choice(list(tasks))
        side.complete(tasks[chosen])
        complete(*tokens[chosen])
    return False


class Side:
    """The scheduler, with what its driver would do and what can be seen from outside."""

    def __init__(self, graph, *, watched: bool = False, listens: bool = False):
        self.joins = names_of_joins(graph)
        self.events: list[Any] = []
        listener = self.events.append if listens else None
        self.scheduler = Scheduler(graph.plan, Evaluator(), Environment(None, None), watched=watched, listener=listener)

    def at_work(self) -> dict[Place, Task]:
        """Start all that is ready, and stop what is to be stopped; what is at work then, in an order of its own."""
        while self.scheduler.shown:
            self.scheduler.accept()
        for command in self.scheduler.commands:
            assert isinstance(command, CancelTask), command
        self.scheduler.commands.clear()
        while self.scheduler.take() is not None:
            same(self.scheduler.outcome, None, 'the outcome when a step starts')
        found = {self._place(task): task for task in self.scheduler.running.values()}
        return {key: found[key] for key in sorted(found)}

    def _place(self, task: Task) -> Place:
        return task.node.id, name_stack(task.fork_stack, self.joins), repr(task.inputs)

    def complete(self, task: Task) -> None:
        """Do the work of a task and report it."""
        try:
            value = work(task.node.id, task.inputs)
        except ValueError as error:
            self.scheduler.fail(task, error)
        else:
            self.scheduler.finish(task, value)

    @property
    def outcome(self) -> Outcome:
        """How the run has ended."""
        match self.scheduler.outcome:
            case None:
                return '', ''
            case Ended(value):
                return 'ended', repr(value)
            case failed:
                return 'failed', ', '.join(dict.fromkeys(first_words(error) for error in failed.errors))

    def check_end(self, interpreter: Interpreter) -> None:
        """How the run ended, what is left of it, and that no join fired twice."""
        same(self.outcome, outcome_of(interpreter), 'the outcome')
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


def complete(interpreter: Interpreter, token: Token) -> None:
    """Do the work of a token and tell the interpreter of it."""
    try:
        value = work(token.node, token.value)
    except ValueError as error:
        interpreter.fail(error)
    else:
        interpreter.finish(token, value)


def place(interpreter: Interpreter, token: Token) -> Place:
    """What can be known of a step at work, in the form that the scheduler has it."""
    return interpreter.prefix + token.node, repr(tuple(_stack(interpreter, token))), repr(token.value)


def _stack(interpreter: Interpreter, token: Token) -> list[tuple[str, object]]:
    stack, run, index = [], token.run, token.index
    while run is not None:
        name = index if index >= 0 else interpreter.prefix + interpreter.shape.joins[-1 - index]
        stack.append((interpreter.prefix + run.fork, name))
        run, index = run.above, run.index
    stack.reverse()
    if interpreter.outer is None:
        return stack
    return [*_stack(*interpreter.outer), (interpreter.prefix.rstrip('/'), stack[0][1]), *stack[1:]]


def is_wide(interpreter: Interpreter) -> bool:
    """Whether there is so much under way that searching takes long."""
    return len(interpreter.running()) > WIDEST or sum(len(token.received) for token in interpreter.tokens) > FULLEST


def outcome_of(interpreter: Interpreter) -> Outcome:
    """How the interpreter's run has ended."""
    kind, value = interpreter.outcome or ('', '')
    return kind, first_words(value) if kind == 'failed' else repr(value)


def first_words(error: object) -> str:
    """What kind of failure it is."""
    return ' '.join(str(error).split()[:3])


# Names


def names_of_joins(graph) -> dict[int, str]:
    """Joins by their number, which stands for the thread of what has left them."""
    return {node.ordinal: node.id for node in graph.plan.nodes if isinstance(node.node, Join)}


def name_stack(stack: ForkStack, joins: dict[int, str]) -> str:
    """A fork stack without the numbers of runs."""
    indexes = ((item.fork_id, item.thread_index) for item in stack)
    return repr(tuple((fork, index if index >= 0 else joins[-1 - index]) for fork, index in indexes))
