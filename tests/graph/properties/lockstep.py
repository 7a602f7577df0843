"""Drives the scheduler and the interpreter through the same order of completion, and compares them after each event."""

import random
from collections.abc import Callable

from plait_graph._run.evaluator import Evaluator
from plait_graph._run.machine import CancelTask, Ended
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment
from plait_graph.events import JoinFired
from plait_graph.join import Join
from properties.random_graphs import INPUTS, work
from properties.reference import Interpreter, Shape, Token

LONGEST, WIDEST = 100, 40
"""Runs with more events than this, or more steps at work, are left: searching takes long."""
MOST_TIES = 100
"""How many ways of breaking ties are tried before it is said that the two do not agree."""


class Mismatch(AssertionError):
    """Scheduler and interpreter do not agree."""


def compare(graph, shape: Shape, seed: Callable[[], random.Random], *, watched: bool = False) -> str:
    """Run both; says how it went: 'same', 'long' for runs that were left, 'tie'.

    Nothing says which of several joins fires first if one event lets them all fire, and it can matter: if both lead to the
    end, or to a join where the first one wins. So the interpreter may break such ties in any way that makes it agree.
    """
    ties = Ties()
    first: Mismatch | None = None
    for attempt in range(MOST_TIES):
        try:
            finished = _drive(graph, shape, seed(), ties, watched=watched)
        except Mismatch as mismatch:
            first = first or mismatch
            if not ties.next():
                break
        else:
            return 'long' if not finished else 'tie' if attempt else 'same'
    assert first is not None
    raise first


class Ties:
    """Chooses among tokens, each time round in another way, the first one first."""

    def __init__(self):
        self.path: list[tuple[int, int]] = []
        self.depth = 0

    def __call__(self, possible: list[Token]) -> Token:
        if self.depth == len(self.path):
            self.path.append((0, len(possible)))
        chosen, _ = self.path[self.depth]
        self.depth += 1
        return possible[chosen]

    def next(self) -> bool:
        """Go on to the next way, if there is one."""
        self.depth = 0
        while self.path:
            chosen, count = self.path.pop()
            if chosen + 1 < count:
                self.path.append((chosen + 1, count))
                return True
        return False


def _drive(graph, shape: Shape, rng: random.Random, ties: Ties, *, watched: bool) -> bool:
    """One run of both; tells whether it came to its end."""
    interpreter = Interpreter(shape, ties)
    side = Side(graph, watched=watched, listens=rng.random() < 0.5)
    inputs = rng.choice(INPUTS)
    interpreter.begin(inputs)
    side.scheduler.begin(inputs)
    for _ in range(LONGEST):
        tasks = side.running()
        tokens = {place(*pair): pair for pair in interpreter.running()}
        if interpreter.outcome is not None or side.scheduler.outcome is not None:
            side.check_end(interpreter)
            return True
        _same(list(tasks), sorted(tokens), 'steps at work')
        _same(bool(tasks), True, 'something is at work')
        if len(tasks) > WIDEST:
            return False
        chosen = rng.choice(list(tasks))
        try:
            value = work(tasks[chosen].node.id, tasks[chosen].inputs)
        except ValueError as error:
            side.scheduler.fail(tasks[chosen], error)
            tokens[chosen][0].fail(error)
        else:
            side.scheduler.finish(tasks[chosen], value)
            tokens[chosen][0].finish(tokens[chosen][1], value)
    return False


class Side:
    """The scheduler, with what its driver would do and what can be seen from outside."""

    def __init__(self, graph, *, watched: bool = False, listens: bool = False):
        self.events: list[object] = []
        self.scheduler = Scheduler(
            graph.plan,
            Evaluator(),
            Environment(None, None),
            watched=watched,
            listener=self.events.append if listens else None,
        )
        self.joins = {node.ordinal: node.id for node in graph.plan.nodes if isinstance(node.node, Join)}
        self.at_work: dict[int, object] = {}

    def running(self):
        """Start all that is ready, stop what is to be stopped; the tasks at work by what can be known from outside."""
        scheduler = self.scheduler
        while scheduler.shown:
            scheduler.accept()
        for command in scheduler.commands:
            assert isinstance(command, CancelTask)
        scheduler.commands.clear()
        while (task := scheduler.take()) is not None:
            _same(scheduler.outcome, None, 'the outcome when a step starts')
        found = {self._place(task): task for task in scheduler.running.values()}
        return {key: found[key] for key in sorted(found)}

    def _place(self, task):
        stack = tuple((item.fork_id, self._name(item.thread_index)) for item in task.fork_stack)
        return task.node.id, repr(stack), repr(task.inputs)

    def _name(self, index):
        return index if index >= 0 else self.joins[-1 - index]

    def check_end(self, interpreter: Interpreter) -> None:
        """How the run ended, what is left of it, and that no join fired twice."""
        outcome, (kind, value) = self.scheduler.outcome, interpreter.outcome or ('', None)
        if isinstance(outcome, Ended):
            _same(('ended', repr(outcome.value)), (kind, repr(value)), 'the outcome')
        else:
            errors = [] if outcome is None else [_first_words(error) for error in outcome.errors]
            _same(('failed', errors), (kind, [_first_words(value)]), 'the outcome')
        has_stopped_midway = kind == 'failed' and 'no result' not in str(value)
        if not (self.scheduler.watched or interpreter.tokens or interpreter.moving or has_stopped_midway):
            _same(self.scheduler.root.counts, {}, 'what is left')
            _same(self.scheduler.root.present, 0, 'what is left')
        fired = [(event.join_id, event.fork_stack[-1].node_run_id) for event in self.events if isinstance(event, JoinFired)]
        _same(len(set(fired)), len(fired), f'joins that fired once only, of {fired}')


def place(interpreter: Interpreter, token: Token) -> tuple[str, str, str]:
    """What can be known of a token of the interpreter, in the form that the scheduler has it."""
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


def _first_words(error: object) -> str:
    return ' '.join(str(error).split()[:3])


def _same(scheduler: object, interpreter: object, what: str) -> None:
    if scheduler != interpreter:
        raise Mismatch(f'{what}:\n  scheduler   {scheduler}\n  interpreter {interpreter}')
