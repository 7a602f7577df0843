"""Graphs and runs for cases that are driven by hand.

There is no event loop: a step finishes when the test says so. There is no clock either: a timer's time comes when the
test says so.
"""

from plait_graph import GraphBuilder, reduce_list_append
from plait_graph._run.commands import CancelTask, StartTimer, StopTimer
from plait_graph._run.evaluator import Evaluator
from plait_graph._run.outcomes import Ended, Failed
from plait_graph._run.scheduler import Scheduler
from plait_graph._run.tokens import Environment


class Case(GraphBuilder):
    """A graph in the making, whose bodies never run."""

    def steps(self, names, **policy):
        """Steps with these names."""
        return [self.step(_never, node_id=name, **policy) for name in names.split()]

    def gather(self, name='join', reducer=reduce_list_append, initial=list, **options):
        """A join; of a list, if nothing else is said."""
        return self.join(reducer, initial_factory=initial, node_id=name, **options)

    def begin(self, inputs=None):
        """A run of what has been added."""
        return Run(self.build(), inputs)


async def _never(ctx):
    """Is not run."""
    raise AssertionError('the test says what comes of a step')


class Run:
    """A scheduler, driven by hand."""

    def __init__(self, graph, inputs=None):
        self.told = []
        self._stopped = []
        self._timers = []
        self.scheduler = Scheduler(graph.plan, Evaluator(), Environment(None, None), listener=self.told.append)
        self.scheduler.begin(inputs)

    @property
    def tasks(self):
        """What is at work, in an order of its own."""
        self._carry_out()
        return sorted(self.scheduler.running.values(), key=lambda task: (task.node.id, str(task.inputs), task.id))

    def _carry_out(self):
        while self.scheduler.take() is not None:
            pass
        for command in self.scheduler.commands:
            match command:
                case CancelTask(task):
                    self._stopped.append(task.node.id)
                case StartTimer(timer):
                    self._timers.append(timer)
                case StopTimer(timer) if timer in self._timers:
                    self._timers.remove(timer)
        self.scheduler.commands.clear()

    @property
    def stopped(self):
        """The names of the steps whose bodies were asked to stop."""
        self._carry_out()
        return self._stopped

    @property
    def at_work(self):
        """The names of the steps at work."""
        return [task.node.id for task in self.tasks]

    def finish(self, name, inputs=None):
        """Let a step finish with its inputs; which one, if there are several of the name, is said by those."""
        task = self._task(name, inputs)
        self.scheduler.finish(task, task.inputs)
        return self

    def fail(self, name, inputs=None):
        """Let a step raise."""
        self.scheduler.fail(self._task(name, inputs), ValueError(f'{name} failed'))
        return self

    def _task(self, name, inputs):
        return next(task for task in self.tasks if task.node.id == name and inputs in (None, task.inputs))

    @property
    def awaited(self):
        """The timers that have been started and not stopped: their kinds and seconds."""
        self._carry_out()
        return [(timer.kind, timer.seconds) for timer in self._timers]

    def expire(self, kind):
        """Let the time of the oldest timer of a kind come."""
        self._carry_out()
        timer = next(timer for timer in self._timers if timer.kind == kind)
        self._timers.remove(timer)
        self.scheduler.expired(timer)
        return self

    def end(self, name):
        """Let a body end whose time was up."""
        self.scheduler.stopped(next(task for task in self.scheduler.ending.values() if task.node.id == name))
        return self

    @property
    def attempts(self):
        """The steps at work, and which of their attempts it is."""
        return [(task.node.id, self.scheduler.attempt_number(task)) for task in self.tasks]

    @property
    def error(self):
        """What the run failed with, if it was one thing."""
        (error,) = self.scheduler.outcome.errors
        return error

    @property
    def outcome(self):
        """The value that the run has ended with, or the text of its failure."""
        match self.scheduler.outcome:
            case Ended(value):
                return value
            case Failed([error]):
                return str(error)
        return self.scheduler.outcome

    def of(self, kind):
        """The events of a kind that were told."""
        return [event for event in self.told if isinstance(event, kind)]


def inner_graph(**options):
    """A graph that maps, and has no join for a map without items."""
    case = Case()
    (part,) = case.steps('part')
    case.add(case.edge_from(case.start_node).map().to(part), case.edge_from(part).to(case.end_node))
    return case.build().as_step(node_id='sub', **options)
