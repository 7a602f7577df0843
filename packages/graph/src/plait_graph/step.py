"""Steps: functions that do the work of a graph.

What kind of callable a step is, is decided once, when the step is made. Knows nothing of how steps are run.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, cast

from plait_graph._typevars import (
    Deps,
    DepsIn,
    DepsOut,
    Input,
    InputIn,
    InputOut,
    Output,
    OutputOut,
    State,
    StateIn,
    StateOut,
)
from plait_graph.basenode import BaseNode, End, GraphRunContext
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.id_types import NodeID, TaskID
from plait_graph.policies import StepPolicy

if TYPE_CHECKING:
    from plait_graph.budget import Budget

__all__ = 'AnyStep', 'NodeStep', 'Step', 'StepContext', 'StepFunction', 'StepNode', 'StreamFunction'


class RunInfo(Protocol):
    """What a run tells about one of its tasks."""

    def node_id_of(self, task: Any, /) -> NodeID: ...
    def task_id_of(self, task: Any, /) -> TaskID: ...
    def attempt_of(self, task: Any, /) -> int: ...
    def failure_of(self, task: Any, /) -> BaseException | None: ...
    def budget_of(self, task: Any, /) -> Budget: ...
    def idempotency_key_of(self, task: Any, /) -> str: ...
    def emit_from(self, task: Any, event: object, /) -> None: ...


class StepContext(Generic[StateOut, DepsOut, InputOut]):
    """What a step is given: the state and dependencies of the run, and the value that reached the step.

    You may make one yourself to call a step's function in a test. The members that speak of a run (`emit`, `task_id`,
    `attempt`, `idempotency_key`) then raise `GraphRuntimeError` when they are used.
    """

    __slots__ = '_deps', '_inputs', '_run', '_state', '_task'

    def __init__(self, *, state: StateOut, deps: DepsOut, inputs: InputOut):
        self._state = state
        self._deps = deps
        self._inputs = inputs
        self._run: RunInfo | None = None
        self._task: Any = None

    @property
    def state(self) -> StateOut:
        """The state of the run: one object that all steps share, or, if the graph isolates it, the step's own copy."""
        return self._state

    @property
    def deps(self) -> DepsOut:
        """The dependencies of the run."""
        return self._deps

    @property
    def inputs(self) -> InputOut:
        """The value that reached the step."""
        return self._inputs

    @property
    def task_id(self) -> TaskID:
        """The id of the task within its run."""
        return self._require_run('task_id').task_id_of(self._task)

    @property
    def node_id(self) -> NodeID:
        """The id of the step's node, with the path of the subgraph that it is in."""
        return self._require_run('node_id').node_id_of(self._task)

    @property
    def attempt(self) -> int:
        """Which attempt of the task this is, counted from 1."""
        return self._require_run('attempt').attempt_of(self._task)

    @property
    def failure(self) -> BaseException | None:
        """Why this attempt is made: what the one before raised, or the step that this one is the fallback of."""
        return self._require_run('failure').failure_of(self._task)

    @property
    def budget(self) -> Budget:
        """What the run may still spend, and has spent: time, money, tokens, calls.

        The same for all steps, subgraphs included; give it on to a run that you start yourself, or give that a child of
        it: `graph.run(budget=ctx.budget.child(name='research', tokens=10_000))`.
        """
        return self._require_run('budget').budget_of(self._task)

    @property
    def idempotency_key(self) -> str:
        """A key for receivers of side effects.

        It is made of the run's id, the node, the forks with their thread indexes and the visit number, so that it is
        the same in whatever order tasks complete, and stable over attempts and resumes.
        """
        return self._require_run('idempotency_key').idempotency_key_of(self._task)

    def emit(self, event: object) -> None:
        """Put an event of your own into the stream of the run's events.

        May be called from steps on the event loop and from steps in threads. Never waits for a listener.

        Raises:
            GraphRuntimeError: The context was not made by a run.
        """
        self._require_run('emit').emit_from(self._task, event)

    def _require_run(self, member: str) -> RunInfo:
        if self._run is None:
            raise GraphRuntimeError(
                f'StepContext.{member} is known only inside of a run, and this context was made by hand. '
                f'Run the step in a graph to use it.'
            )
        return self._run

    def __repr__(self) -> str:
        return f'{type(self).__name__}(state={self._state!r}, deps={self._deps!r}, inputs={self._inputs!r})'


def make_context(state: State, deps: Deps, inputs: Input, task: Any, run: RunInfo) -> StepContext[State, Deps, Input]:
    """A context that knows its run. Positional and without `__init__`, since a run makes one for each step."""
    context: Any = _new(StepContext)
    context._state = state
    context._deps = deps
    context._inputs = inputs
    context._task = task
    context._run = run
    return context


_new: Callable[[Any], Any] = object.__new__


StepFunction: TypeAlias = Callable[[StepContext[State, Deps, Input]], Awaitable[Output]]
"""An asynchronous step."""

StreamFunction: TypeAlias = Callable[[StepContext[State, Deps, Input]], AsyncIterable[Output]]
"""A step that produces items while a map already works on them."""

StepKind: TypeAlias = Literal['async', 'sync', 'stream', 'process']


class Step(Generic[StateIn, DepsIn, InputIn, OutputOut]):
    """A node that does work: a function of a `StepContext`.

    Made by `GraphBuilder.step` and `GraphBuilder.stream`. An `async def` runs on the event loop, any other callable in
    a worker thread; if what that returns can be awaited, it is awaited on the loop.

    Raises:
        GraphSetupError: The callable is none, or is an async generator that was not given to `stream`.
    """

    __slots__ = 'abandon', 'call', 'id', 'kind', 'label', 'policy'

    def __init__(
        self,
        id: str,
        call: Callable[[StepContext[StateIn, DepsIn, InputIn]], Any],
        *,
        label: str | None = None,
        kind: StepKind | None = None,
        abandon: bool = False,
        policy: StepPolicy | None = None,
    ):
        self.id = NodeID(id)
        self.call = call
        self.kind: StepKind = _kind_of(id, call, kind)
        self.label = label
        self.abandon = abandon
        self.policy = policy
        if policy is not None:
            _check_policy(self, policy)

    def as_node(self, inputs: Any = None) -> StepNode[Any, Any]:
        """This step with its inputs, for a class node to return."""
        return StepNode(self, inputs)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.id!r})'


AnyStep: TypeAlias = Step[Any, Any, Any, Any]


def _kind_of(id: str, call: Any, wanted: StepKind | None) -> StepKind:
    """Decide how a callable is run, or check that it can be run as it is wanted."""
    if not callable(call):
        raise GraphSetupError(f'Step {id!r} is made from {call!r}, which cannot be called. Give a function.')
    function: Any = call
    while isinstance(function, functools.partial):
        function = cast('functools.partial[Any]', function).func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = function.__call__
    if wanted == 'stream' and inspect.iscoroutinefunction(function):
        raise GraphSetupError(
            f'Stream {id!r} is made from a coroutine function, which gives one value and not items. '
            f'Let it `yield` its items, or use `@g.step`.'
        )
    if wanted == 'stream':
        return wanted
    if inspect.isasyncgenfunction(function):
        raise GraphSetupError(
            f'Step {id!r} is an async generator, which gives items and not one value. '
            f'Use `@g.stream` to let its items flow into a map, or return one value.'
        )
    return wanted or ('async' if inspect.iscoroutinefunction(function) else 'sync')


def _check_policy(step: Step[Any, Any, Any, Any], policy: StepPolicy) -> None:
    """Refuse what cannot be done with a step of this kind."""
    times = [name for name in ('timeout', 'idle_timeout') if getattr(policy, name) is not None]
    if times and step.kind == 'sync' and not step.abandon:
        raise GraphSetupError(
            f'Step {step.id!r} has a {times[0]} and runs in a thread, which nothing can stop. Let it run in a process '
            f"(worker='process'), leave the thread behind when the time is up (abandon=True), or make it async."
        )
    if policy.idle_timeout is not None and step.kind == 'process':
        raise GraphSetupError(
            f'Step {step.id!r} has an idle_timeout and runs in a process, whose events come when it has ended. '
            f'Give timeout= instead.'
        )
    if getattr(policy.fallback, 'id', None) == step.id:
        raise GraphSetupError(f'Step {step.id!r} is its own fallback. Name another step, or use retry=.')


@dataclass
class StepNode(BaseNode[StateIn, DepsIn, Any], Generic[StateIn, DepsIn]):
    """A step together with its inputs, returned by a class node to go on with that step."""

    step: Step[StateIn, DepsIn, Any, Any]
    inputs: Any

    async def run(self, ctx: GraphRunContext[StateIn, DepsIn]) -> BaseNode[StateIn, DepsIn, Any] | End[Any]:
        """Not a node to run: the graph runs the step instead."""
        raise GraphRuntimeError(f'{self!r} stands for a step of a graph and is not run itself.')


class NodeStep(Step[State, Deps, BaseNode[State, Deps, Any], BaseNode[State, Deps, Any] | End[Any]]):
    """The step around a class node; its input is an instance of the class."""

    __slots__ = ('node_type',)

    def __init__(self, node_type: type[BaseNode[State, Deps, Any]], *, id: str | None = None, label: str | None = None):
        if not (isinstance(node_type, type) and issubclass(node_type, BaseNode)):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(f'{node_type!r} is not a node class. Derive it from BaseNode.')
        self.node_type = node_type
        super().__init__(id or node_type.get_node_id(), self._run_node, label=label, kind='async')

    def __eq__(self, other: object) -> bool:
        """Two steps around one class stand for one node."""
        return isinstance(other, NodeStep) and self._key == cast('NodeStep[Any, Any]', other)._key

    @property
    def _key(self) -> tuple[object, ...]:
        return self.node_type, self.id, self.label

    def __hash__(self) -> int:
        return hash(self._key)

    async def _run_node(self, ctx: StepContext[State, Deps, BaseNode[State, Deps, Any]]) -> Any:
        node = ctx.inputs
        if not isinstance(node, self.node_type):
            raise ValueError(
                f'Node {node!r} is not of type {self.node_type.__name__!r}. '
                f'Step {self.id!r} takes an instance of that class as its input.'
            )
        return await node.run(GraphRunContext(state=ctx.state, deps=ctx.deps))


class SubgraphLike(Protocol):
    """A compiled graph, as far as a step around it needs it."""

    @property
    def layout(self) -> Any: ...
    @property
    def parents(self) -> Mapping[Any, Any]: ...
    @property
    def routing(self) -> frozenset[NodeID]: ...
    @property
    def state_type(self) -> Any: ...
    @property
    def isolates_state(self) -> bool: ...


class SubgraphStep(Step[StateIn, DepsIn, InputIn, OutputOut]):
    """A graph used as a step of another one; made by `Graph.as_step`.

    A run lays the graph's nodes out within its own: their events, limits and cancellation belong to the run, their ids
    are written `step/node`.
    """

    __slots__ = 'graph', 'map_deps', 'map_inputs', 'map_state'

    def __init__(
        self,
        id: str,
        graph: SubgraphLike,
        call: Callable[[StepContext[StateIn, DepsIn, InputIn]], Any],
        *,
        label: str | None = None,
        map_state: Callable[[StepContext[Any, Any, Any]], Any] | None = None,
        map_deps: Callable[[StepContext[Any, Any, Any]], Any] | None = None,
        map_inputs: Callable[[StepContext[Any, Any, Any]], Any] | None = None,
    ):
        super().__init__(id, call, label=label, kind='async')
        self.graph = graph
        self.map_state = map_state
        self.map_deps = map_deps
        self.map_inputs = map_inputs
