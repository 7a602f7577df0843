"""The builder: nodes and edges are said one by one, and `build` puts them together.

The builder only collects. It changes none of the objects it is given, so that building twice gives the same graph.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, TypeVar, Unpack, cast, get_origin, overload

from plait_graph._hints import UNKNOWN
from plait_graph._register import Register
from plait_graph._step_options import step_policy
from plait_graph._typevars import BuilderDeps as Deps
from plait_graph._typevars import BuilderInput as Input
from plait_graph._typevars import BuilderOutput as Output
from plait_graph._typevars import BuilderState as State
from plait_graph._typevars import Item, Source
from plait_graph.basenode import BaseNode
from plait_graph.decision import Decision, DecisionBranch, DecisionBranchBuilder
from plait_graph.exceptions import GraphBuildingError, GraphSetupError, GraphValidationError
from plait_graph.graph import (
    EndMarker,
    ErrorMarker,
    Graph,
    GraphRun,
    GraphTask,
    GraphTaskRequest,
    JoinItem,
    make_graph,
)
from plait_graph.id_types import NodeID
from plait_graph.join import Join, Order, Preference, ReducerContext, constant_factory
from plait_graph.node import EndNode, StartNode
from plait_graph.node_types import is_source
from plait_graph.paths import (
    AnyNode,
    DestinationNode,
    EdgePath,
    EdgePathBuilder,
    Path,
    PathBuilder,
    PathChain,
    SourceNode,
    as_node,
)
from plait_graph.policies import JoinPolicy, StepOptions, StepPolicy, Worker
from plait_graph.step import NodeStep, Step, StepContext, StepKind
from plait_graph.util import TypeExpression, TypeOrTypeExpression, get_callable_name, unpack_type_expression

if TYPE_CHECKING:
    from plait_graph._compile.compile import Compiled
    from plait_graph._compile.lower import Layout
    from plait_graph.mermaid import (
        MermaidEdge,
        MermaidGraph,
        MermaidNode,
        StateDiagramDirection,
        build_mermaid_graph,
    )

__all__ = (
    'EndMarker',
    'ErrorMarker',
    'Graph',
    'GraphBuilder',
    'GraphBuildingError',
    'GraphRun',
    'GraphTask',
    'GraphTaskRequest',
    'GraphValidationError',
    'JoinItem',
    'MermaidEdge',
    'MermaidGraph',
    'MermaidNode',
    'StateDiagramDirection',
    'build_mermaid_graph',
)

NodeT = TypeVar('NodeT', bound=BaseNode[Any, Any, Any])
_UNSAID: Any = object()


class GraphBuilder(Generic[State, Deps, Input, Output]):
    """Collects the nodes and edges of a graph.

    Args:
        name: A name for people.
        state_type: The type of the state that steps share.
        deps_type: The type of the dependencies.
        input_type: The type of a run's inputs. If it is given and can be asked about, runs check it.
        output_type: The type of a run's output.
        auto_instrument: Kept on the graph for whoever traces runs.
        isolated_state: Whether each step works on a private copy of the state, whose changes are committed field by
            field when the step has ended. Steps that ran at the same time and changed one field are merged by the
            reducer that the state's class declares for the field, or refused with `StateConflict`.

    Types that are not classes are wrapped: `TypeExpression[int | str]`.

    Example:
        ```python
        from plait_graph import GraphBuilder, StepContext

        g = GraphBuilder(input_type=int, output_type=int)


        @g.step
        async def double(ctx: StepContext[None, None, int]) -> int:
            return ctx.inputs * 2


        g.add(
            g.edge_from(g.start_node).to(double),
            g.edge_from(double).to(g.end_node),
        )
        graph = g.build()
        assert graph.run_sync(inputs=21) == 42
        ```
    """

    @overload
    def __init__(
        self,
        *,
        name: str | None = ...,
        state_type: TypeOrTypeExpression[State] = ...,
        deps_type: TypeOrTypeExpression[Deps] = ...,
        input_type: type[TypeExpression[Input]],
        output_type: type[TypeExpression[Output]],
        auto_instrument: bool = ...,
        isolated_state: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        name: str | None = ...,
        state_type: TypeOrTypeExpression[State] = ...,
        deps_type: TypeOrTypeExpression[Deps] = ...,
        input_type: type[TypeExpression[Input]],
        output_type: type[Output] = ...,
        auto_instrument: bool = ...,
        isolated_state: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        name: str | None = ...,
        state_type: TypeOrTypeExpression[State] = ...,
        deps_type: TypeOrTypeExpression[Deps] = ...,
        input_type: type[Input] = ...,
        output_type: type[TypeExpression[Output]],
        auto_instrument: bool = ...,
        isolated_state: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        name: str | None = ...,
        state_type: TypeOrTypeExpression[State] = ...,
        deps_type: TypeOrTypeExpression[Deps] = ...,
        input_type: type[Input] = ...,
        output_type: type[Output] = ...,
        auto_instrument: bool = ...,
        isolated_state: bool = ...,
    ) -> None: ...
    def __init__(
        self,
        *,
        name: str | None = None,
        state_type: Any = NoneType,
        deps_type: Any = NoneType,
        input_type: Any = _UNSAID,
        output_type: Any = _UNSAID,
        auto_instrument: bool = True,
        isolated_state: bool = False,
    ) -> None:
        self.name = name
        self.state_type: TypeOrTypeExpression[State] = state_type
        self.deps_type: TypeOrTypeExpression[Deps] = deps_type
        self._checks_input = input_type is not _UNSAID
        self._checks_output = output_type is not _UNSAID
        self.input_type: TypeOrTypeExpression[Input] = input_type if self._checks_input else cast(Any, NoneType)
        self.output_type: TypeOrTypeExpression[Output] = output_type if self._checks_output else cast(Any, NoneType)
        self.auto_instrument = auto_instrument
        self.isolated_state = isolated_state
        self._start: StartNode[Input] = StartNode()
        self._end: EndNode[Output] = EndNode()
        self._register = Register(self._start, self._end)

    # Nodes

    @property
    def start_node(self) -> StartNode[Input]:
        """Where a run begins."""
        return self._start

    @property
    def end_node(self) -> EndNode[Output]:
        """Where a run ends."""
        return self._end

    @overload
    def step(
        self,
        call: Callable[[StepContext[State, Deps, Source]], Awaitable[Item]],
        *,
        node_id: str | None = None,
        label: str | None = None,
        abandon: bool = False,
        worker: Worker | None = None,
        **policy: Unpack[StepOptions],
    ) -> Step[State, Deps, Source, Item]: ...
    @overload
    def step(
        self,
        call: Callable[[StepContext[State, Deps, Source]], Item],
        *,
        node_id: str | None = None,
        label: str | None = None,
        abandon: bool = False,
        worker: Worker | None = None,
        **policy: Unpack[StepOptions],
    ) -> Step[State, Deps, Source, Item]: ...
    @overload
    def step(
        self,
        call: None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        abandon: bool = False,
        worker: Worker | None = None,
        **policy: Unpack[StepOptions],
    ) -> _StepDecorator[State, Deps]: ...
    def step(
        self,
        call: Callable[[StepContext[State, Deps, Any]], Any] | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
        abandon: bool = False,
        worker: Worker | None = None,
        **policy: Unpack[StepOptions],
    ) -> Step[State, Deps, Any, Any] | _StepDecorator[State, Deps]:
        """Make a step of a function; also a decorator, with or without parentheses.

        An `async def` runs on the event loop. A plain `def` runs in a worker thread, so that it may block; if what it
        gives can be awaited, it is awaited on the loop. The step is in the graph only once an edge leads to it.

        Args:
            call: A function of a `StepContext`.
            node_id: The id of the node; the name of the function if not given.
            label: A text for the picture.
            abandon: Whether a cancelled run leaves the function's thread behind instead of waiting for it.
            worker: Where a plain function runs: in a `'thread'`, or in a `'process'`, which is killed when its time is
                up or it is cancelled. What crosses to a process must be picklable.
            policy: `retry`, `timeout`, `idle_timeout`, `fallback`, `cache`, `limit`, `max_concurrency` and
                `loop_guard`: see `StepPolicy`.

        Raises:
            GraphSetupError: It cannot be called, is an async generator, or a policy makes no sense.
        """
        if call is None:
            return _StepDecorator(self, node_id, label, abandon, worker, policy)
        id = node_id or get_callable_name(call)
        if worker not in (None, 'thread', 'process'):
            raise GraphSetupError(f"Step {id!r} has worker={worker!r}. Give 'thread', 'process', or leave it out.")
        if abandon and worker == 'process':
            raise GraphSetupError(
                f"Step {id!r} has abandon=True and worker='process'. A process is killed, not left behind: give one."
            )
        kind: StepKind | None = 'process' if worker == 'process' else None
        step = self._step(call, id, label, kind, abandon, _checked_policy(id, policy))
        if step.kind == 'async' and (abandon or worker is not None):
            said = 'abandon=True' if abandon else f'worker={worker!r}'
            raise GraphSetupError(
                f'Step {id!r} has {said} and is asynchronous: it runs on the event loop, in no thread. '
                f'Leave that out, or make it a plain def.'
            )
        return step

    @overload
    def stream(
        self,
        call: Callable[[StepContext[State, Deps, Source]], AsyncIterable[Item]],
        *,
        node_id: str | None = None,
        label: str | None = None,
    ) -> Step[State, Deps, Source, AsyncIterable[Item]]: ...
    @overload
    def stream(
        self, call: None = None, *, node_id: str | None = None, label: str | None = None
    ) -> _StreamDecorator[State, Deps]: ...
    def stream(
        self,
        call: Callable[[StepContext[State, Deps, Any]], AsyncIterable[Any]] | None = None,
        *,
        node_id: str | None = None,
        label: str | None = None,
    ) -> Step[State, Deps, Any, AsyncIterable[Any]] | _StreamDecorator[State, Deps]:
        """Make a step of an async generator; also a decorator, with or without parentheses.

        The step gives its items as one async iterable. A `map` behind it starts the work on an item while the generator
        goes on, and asks for no more items than it has places for.

        Args:
            call: An async generator function of a `StepContext`.
            node_id: The id of the node; the name of the function if not given.
            label: A text for the picture.
        """
        if call is None:
            return _StreamDecorator(self, node_id, label)
        return self._step(call, node_id or get_callable_name(call), label, 'stream')

    def _step(
        self,
        call: Callable[[StepContext[State, Deps, Any]], Any],
        id: str,
        label: str | None,
        kind: StepKind | None,
        abandon: bool = False,
        policy: StepPolicy | None = None,
    ) -> Step[State, Deps, Any, Any]:
        step: Step[State, Deps, Any, Any] = Step(id, call, label=label, kind=kind, abandon=abandon, policy=policy)
        self._register.claim(step.id)
        return step

    @overload
    def join(
        self,
        reducer: Callable[[Item, Source], Item],
        *,
        initial: Item,
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ) -> Join[State, Deps, Source, Item]: ...
    @overload
    def join(
        self,
        reducer: Callable[[Item, Source], Item],
        *,
        initial_factory: Callable[[], Item],
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ) -> Join[State, Deps, Source, Item]: ...
    @overload
    def join(
        self,
        reducer: Callable[[ReducerContext[State, Deps], Item, Source], Item],
        *,
        initial: Item,
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ) -> Join[State, Deps, Source, Item]: ...
    @overload
    def join(
        self,
        reducer: Callable[[ReducerContext[State, Deps], Item, Source], Item],
        *,
        initial_factory: Callable[[], Item],
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ) -> Join[State, Deps, Source, Item]: ...
    def join(
        self,
        reducer: Callable[..., Any],
        *,
        initial: Any = _UNSAID,
        initial_factory: Callable[[], Any] | None = None,
        node_id: str | None = None,
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ) -> Join[State, Deps, Any, Any]:
        """Make a join that folds values with a reducer.

        The join belongs to a fork that every way to it passes, its parent: it folds what belongs to one run of that
        fork, and passes the result on once, as soon as nothing in that run can bring it another value.

        Args:
            reducer: `(current, value) -> new`, or `(context, current, value) -> new`.
            initial: The value to begin with, if it cannot be changed in place.
            initial_factory: Makes the value to begin with, for each run of the parent fork.
            node_id: The id of the node; made from the reducer's name if not given.
            parent_fork_id: The id of the parent fork.
            preferred_parent_fork: Which fork is the parent if several could be.
            order: `'input'` folds values by the position of their item or branch, `'completion'` as they come. By
                default in input order, except for `reduce_sum`, `reduce_null` and reducers that take a context.
            policy: What the join needs, by when, and what it does about the rest and about failures; without it, it
                waits for all, and a failure is that of the run.

        Raises:
            GraphSetupError: The reducer takes a wrong number of arguments, there is no initial value, `initial` could
                be changed in place, or the policy does not fit the reducer.
        """
        id = node_id or self._register.generate(get_callable_name(reducer))
        self._register.claim(id)
        if initial_factory is None:
            if initial is _UNSAID:
                raise GraphSetupError(f'Join {id!r} has no value to begin with. Give initial= or initial_factory=.')
            initial_factory = constant_factory(initial, id)
        return Join(
            id,
            reducer,
            initial_factory=initial_factory,
            parent_fork_id=parent_fork_id,
            preferred_parent_fork=preferred_parent_fork,
            order=order,
            policy=policy,
        )

    def decision(self, *, note: str | None = None, node_id: str | None = None) -> Decision[State, Deps, Never]:
        """Make a decision without branches; add them with `.branch(...)`.

        Args:
            note: A text beside the decision in the picture.
            node_id: The id of the node; generated if not given.
        """
        id = node_id or self._register.generate('decision')
        self._register.claim(id)
        return Decision(NodeID(id), note=note)

    @overload
    def match(
        self, source: type[TypeExpression[Source]], *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranchBuilder[State, Deps, Source, Source]: ...
    @overload
    def match(
        self, source: type[Source], *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranchBuilder[State, Deps, Source, Source]: ...
    def match(
        self, source: TypeOrTypeExpression[Source], *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranchBuilder[State, Deps, Source, Source]:
        """Begin a branch of a decision.

        Args:
            source: The type of values that take the branch: a class, a union or literal in a `TypeExpression`, or
                `object` for all.
            matches: A predicate that alone decides; the type is then for the checker.
        """
        type_ = unpack_type_expression(source)

        def finish(path: Path, destinations: Collection[AnyNode]) -> DecisionBranch[Source]:
            return DecisionBranch(type_, matches, path, tuple(destinations))

        return PathChain(PathBuilder(ids=self._register), finish)

    def match_node(
        self, node_cls: type[NodeT], *, matches: Callable[[Any], bool] | None = None
    ) -> DecisionBranch[NodeT]:
        """A finished branch for instances of a class node, which leads to that node."""
        class_ = cast('type[NodeT]', get_origin(node_cls) or node_cls)
        step = NodeStep(class_)
        return DecisionBranch(class_, matches, PathBuilder(ids=self._register).to(step), (step,))

    def node(self, node_cls: type[BaseNode[State, Deps, Any]]) -> EdgePath[State, Deps]:
        """The edges of a class node, made from the return hint of its `run`; pass them to `add`.

        Raises:
            GraphSetupError: It is not a node class, or its hint says nothing of where to go.
        """
        self._register.remember_names()
        step = NodeStep(cast('type[BaseNode[State, Deps, Any]]', get_origin(node_cls) or node_cls))
        path, destinations = self._register.lead(step, self._register.ways(step, UNKNOWN))
        return EdgePath((step,), path, destinations)

    # Edges

    def edge_from(self, *sources: SourceNode[Item, State, Deps]) -> EdgePathBuilder[State, Deps, Item]:
        """Begin an edge at one or several nodes; each of them gets a copy of the path.

        Raises:
            GraphSetupError: A source is not a node that an edge can come from, or there is none.
        """
        if not sources:
            raise GraphSetupError('edge_from() was given no node. Name at least one.')
        nodes = tuple(_as_source(source) for source in sources)

        def finish(path: Path, destinations: Collection[AnyNode]) -> EdgePath[State, Deps]:
            return EdgePath(nodes, path, tuple(destinations))

        return PathChain(PathBuilder(ids=self._register), finish)

    def add(self, *edges: EdgePath[State, Deps]) -> None:
        """Put edges, and the nodes that they name, into the graph.

        Raises:
            GraphBuildingError: Two different nodes have one id.
            GraphSetupError: Something is not a finished edge.
        """
        self._register.remember_names()
        for edge in edges:
            if not isinstance(edge, EdgePath):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
                raise GraphSetupError(f'add() was given {edge!r}, which is not a finished edge. End it with .to(...).')
            self._register.add(edge)

    def add_edge(
        self,
        source: SourceNode[Item, State, Deps],
        destination: DestinationNode[Item, State, Deps],
        *,
        label: str | None = None,
    ) -> None:
        """Add a plain edge.

        Args:
            source: Where it comes from.
            destination: Where it leads to.
            label: A text for the picture.
        """
        path = self.edge_from(source)
        self.add((path if label is None else path.label(label)).to(destination))

    @overload
    def add_mapping_edge(
        self,
        source: SourceNode[Iterable[Item], State, Deps],
        map_to: DestinationNode[Item, State, Deps],
        *,
        pre_map_label: str | None = ...,
        post_map_label: str | None = ...,
        fork_id: str | None = ...,
        downstream_join_id: str | None = ...,
        limit: int | None = ...,
    ) -> None: ...
    @overload
    def add_mapping_edge(
        self,
        source: SourceNode[AsyncIterable[Item], State, Deps],
        map_to: DestinationNode[Item, State, Deps],
        *,
        pre_map_label: str | None = ...,
        post_map_label: str | None = ...,
        fork_id: str | None = ...,
        downstream_join_id: str | None = ...,
        limit: int | None = ...,
    ) -> None: ...
    def add_mapping_edge(
        self,
        source: Any,
        map_to: DestinationNode[Any, State, Deps],
        *,
        pre_map_label: str | None = None,
        post_map_label: str | None = None,
        fork_id: str | None = None,
        downstream_join_id: str | None = None,
        limit: int | None = None,
    ) -> None:
        """Add an edge that maps: the destination runs once for each item of what the source gives.

        Args:
            source: Where it comes from.
            map_to: Where each item goes.
            pre_map_label: A text before the fork in the picture.
            post_map_label: A text behind it.
            fork_id: See `map`.
            downstream_join_id: See `map`.
            limit: See `map`.
        """
        path: PathChain[State, Deps, Any, EdgePath[State, Deps]] = self.edge_from(source)
        if pre_map_label is not None:
            path = path.label(pre_map_label)
        path = path.map(fork_id=fork_id, downstream_join_id=downstream_join_id, limit=limit)
        if post_map_label is not None:
            path = path.label(post_map_label)
        self.add(path.to(map_to))

    # Building

    def build(
        self,
        validate_graph_structure: bool = True,
        *,
        findings: Literal['warn', 'error'] | None = None,
        skip: Collection[str] = (),
    ) -> Graph[State, Deps, Input, Output]:
        """Put the graph together. Building again gives an equal graph.

        Args:
            validate_graph_structure: Whether the structure is checked.
            findings: Whether what looks wrong is warned of or raised; without it, it is only kept in `graph.findings`.
            skip: Names of checks of the structure to leave out: `no-start`, `no-end`, `dead-end`, `unreachable`,
                `fallback-cycle`.

        Raises:
            GraphValidationError: The structure has faults, or there are findings and they are to be errors. All are
                reported together.
            GraphBuildingError: A join has no parent fork, an id is used twice, or a name is unknown.
            GraphSetupError: The state is isolated, and its class declares a reducer that cannot be one.
        """
        from plait_graph._compile.compile import compile_definition  # with what only building needs

        self._register.remember_names()
        definition = self._register.define(self._said_types())
        compiled = compile_definition(
            definition,
            picture=_picture,
            validate=validate_graph_structure,
            skip=skip,
            isolated_state_type=unpack_type_expression(self.state_type) if self.isolated_state else None,
        )
        _report(compiled, findings)
        return make_graph(
            definition,
            compiled,
            name=self.name,
            state_type=unpack_type_expression(self.state_type),
            deps_type=unpack_type_expression(self.deps_type),
            input_type=unpack_type_expression(self.input_type),
            output_type=unpack_type_expression(self.output_type),
            auto_instrument=self.auto_instrument,
            checks_input=self._checks_input,
        )

    def _said_types(self) -> dict[NodeID, tuple[Any, Any]]:
        """What the start gives and the end takes, where it was said."""
        types: dict[NodeID, tuple[Any, Any]] = {}
        if self._checks_output:
            types[EndNode.id] = (unpack_type_expression(self.output_type), UNKNOWN)
        if self._checks_input:
            types[StartNode.id] = (UNKNOWN, unpack_type_expression(self.input_type))
        return types

    def __repr__(self) -> str:
        return f'<GraphBuilder {self.name or ""}{": " if self.name else ""}{len(self._register.nodes)} nodes>'


class _StepDecorator(Generic[State, Deps]):
    """`@g.step(...)`, waiting for its function."""

    def __init__(
        self,
        builder: GraphBuilder[State, Deps, Any, Any],
        node_id: str | None,
        label: str | None,
        abandon: bool,
        worker: Worker | None,
        policy: StepOptions,
    ):
        self._builder = builder
        self._node_id = node_id
        self._label = label
        self._abandon = abandon
        self._worker: Worker | None = worker
        self._policy = policy
        _checked_policy(node_id or 'given to @g.step', policy)  # complain at once, not where the function ends

    @overload
    def __call__(
        self, call: Callable[[StepContext[State, Deps, Source]], Awaitable[Item]], /
    ) -> Step[State, Deps, Source, Item]: ...
    @overload
    def __call__(
        self, call: Callable[[StepContext[State, Deps, Source]], Item], /
    ) -> Step[State, Deps, Source, Item]: ...
    def __call__(self, call: Callable[[StepContext[State, Deps, Any]], Any], /) -> Step[State, Deps, Any, Any]:
        return self._builder.step(
            call,
            node_id=self._node_id,
            label=self._label,
            abandon=self._abandon,
            worker=self._worker,
            **self._policy,
        )


class _StreamDecorator(Generic[State, Deps]):
    """`@g.stream(...)`, waiting for its function."""

    def __init__(self, builder: GraphBuilder[State, Deps, Any, Any], node_id: str | None, label: str | None):
        self._builder = builder
        self._node_id = node_id
        self._label = label

    def __call__(
        self, call: Callable[[StepContext[State, Deps, Source]], AsyncIterable[Item]], /
    ) -> Step[State, Deps, Source, AsyncIterable[Item]]:
        return self._builder.stream(call, node_id=self._node_id, label=self._label)


def _checked_policy(id: str, options: StepOptions) -> StepPolicy | None:
    """The policy that a step's keywords say; the nodes that it names are nodes.

    Raises:
        GraphSetupError: Something in it makes no sense.
    """
    policy = step_policy(id, options)
    for node in (policy.fallback, policy.loop_guard.then if policy.loop_guard else None) if policy else ():
        if node is not None:
            as_node(node)
    return policy


def _as_source(node: Any) -> AnyNode:
    """A node that an edge can come from.

    Raises:
        GraphSetupError: It is none.
    """
    class_ = get_origin(node) or node
    if isinstance(class_, type) and issubclass(class_, BaseNode):
        return NodeStep(cast('type[BaseNode[Any, Any, Any]]', class_))
    if is_source(node):
        return node
    name = get_callable_name(node) if callable(node) else repr(node)
    hint = 'Make it a step with @g.step first.' if callable(node) else 'Give a step, join, class node or start_node.'
    raise GraphSetupError(f'{name} is not a node that an edge can come from. {hint}')


def _picture(layout: Layout) -> str:
    from plait_graph.mermaid import build_mermaid_graph

    return build_mermaid_graph(layout.nodes, layout.edges).render()


def _report(compiled: Compiled, mode: Literal['warn', 'error'] | None) -> None:
    if mode == 'error' and compiled.findings:
        raise GraphValidationError(
            '\n'.join(
                (*(str(finding) for finding in compiled.findings), "Build without findings='error' to keep them.")
            )
        )
    if mode == 'warn':
        for finding in compiled.findings:
            warnings.warn(str(finding), stacklevel=3)


_OF_PICTURES = 'MermaidEdge', 'MermaidGraph', 'MermaidNode', 'StateDiagramDirection', 'build_mermaid_graph'


def __getattr__(name: str) -> Any:
    if name in _OF_PICTURES:
        from plait_graph import mermaid

        return getattr(mermaid, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
