"""A graph that was built: run it, iterate it, draw it, use it as a step of another one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import FrameType, MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, Generic, Literal, Union, Unpack, cast, get_args, get_origin

from plait_graph._compile.finding import Finding
from plait_graph._typevars import Deps, DepsIn, Input, InputIn, Output, OutputOut, State, StateIn
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.graph_run import EndMarker, ErrorMarker, GraphRun, GraphTask, GraphTaskRequest, JoinItem
from plait_graph.id_types import JoinID, NodeID
from plait_graph.paths import AnyNode, Path
from plait_graph.run_options import IterOptions, RunOptions
from plait_graph.step import Step, StepContext, SubgraphStep

if TYPE_CHECKING:  # what building, running and drawing need is imported by the first build, and the first picture
    from plait_graph._compile.compile import Compiled
    from plait_graph._compile.lower import Layout
    from plait_graph._compile.plan import Plan
    from plait_graph._definition import Definition
    from plait_graph._run.driver import Driver
    from plait_graph.mermaid import StateDiagramDirection
    from plait_graph.parent_forks import ParentFork

__all__ = (
    'EndMarker',
    'ErrorMarker',
    'Finding',
    'Graph',
    'GraphRun',
    'GraphTask',
    'GraphTaskRequest',
    'JoinItem',
    'StateDiagramDirection',
)


class Graph(Generic[StateIn, DepsIn, InputIn, OutputOut]):
    """A graph, ready to run as often as you like, also many times at once.

    Made by `GraphBuilder.build`.

    Raises:
        GraphSetupError: It is made directly.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        raise GraphSetupError(
            'Graph(...) is not made directly. Add nodes and edges to a GraphBuilder (class nodes with '
            'g.add(g.node(...))) and call its build(). To keep runs, use a store.'
        )

    name: str | None
    """A name for people; found in the caller's variables by the first run if it was not given."""
    state_type: type[Any]
    deps_type: type[Any]
    input_type: type[Any]
    output_type: type[Any]
    auto_instrument: bool
    definition: Definition
    """What was said about the graph."""
    plan: Plan
    """What a run needs to know of the graph."""
    findings: tuple[Finding, ...]
    """What looks wrong in the graph."""
    _compiled: Compiled
    _make_driver: Callable[..., Driver]
    _has_looked_for_name: bool
    _accepted_input: Any

    # Running

    async def run(
        self,
        *,
        state: StateIn = cast(Any, None),
        deps: DepsIn = cast(Any, None),
        inputs: InputIn = cast(Any, None),
        **options: Unpack[RunOptions],
    ) -> OutputOut:
        """Run the graph and give its output.

        Args:
            state: The state, which steps may change: one object that all of them share, or, if the graph isolates it,
                the object into which their changes are committed.
            deps: Whatever steps need and do not change; handed on as it is.
            inputs: The value that the start node passes on.
            options: `span`, `infer_name`, `on_event`, `max_concurrency`, `errors`, `run_id`, `deadline`, `budget`,
                `executor`, `clock`, `log` and `debug`: see `RunOptions`.

        Raises:
            Exception: What a step raised, as itself.
            ExceptionGroup: What several steps raised before the others could be stopped.
            GraphRuntimeError: The run cannot go on: no branch matched, nothing leads to the end any more, the inputs
                are not of the type that the graph takes.
            RunTimeout: The deadline has passed.

        If the caller is cancelled, all steps are, and their clean-up is waited for; steps in threads are waited for.
        """
        if not self._has_looked_for_name and options.get('infer_name', True):
            self._find_name(inspect.currentframe())
        if self._accepted_input is not None:
            self._check_inputs(inputs)
        driver = self._make_driver(self.plan, state, deps, options, self.state_type)
        if not options:
            return await driver.run(inputs)
        with options.get('span') or nullcontext():
            return await driver.run(inputs, options.get('errors', 'group'))

    def run_sync(
        self,
        *,
        state: StateIn = cast(Any, None),
        deps: DepsIn = cast(Any, None),
        inputs: InputIn = cast(Any, None),
        **options: Unpack[RunOptions],
    ) -> OutputOut:
        """Run the graph from synchronous code; see `run`.

        Uses and keeps the event loop of the thread. Where one runs already, as in a notebook, the run goes to a thread
        of its own, and this call waits for it.
        """
        if not self._has_looked_for_name and options.get('infer_name', True):
            self._find_name(inspect.currentframe())
        options['infer_name'] = False
        from plait_graph._run.sync import run_sync

        return run_sync(lambda: self.run(state=state, deps=deps, inputs=inputs, **options))

    def iter(
        self: Graph[State, Deps, Input, Output],
        *,
        state: State = cast(Any, None),
        deps: Deps = cast(Any, None),
        inputs: Input = cast(Any, None),
        **options: Unpack[IterOptions],
    ) -> GraphRun[State, Deps, Output]:
        """A run to be watched and steered: `async with graph.iter(...) as run`; see `run` for the arguments."""
        if not self._has_looked_for_name and options.get('infer_name', True):
            self._find_name(inspect.currentframe())
        if self._accepted_input is not None:
            self._check_inputs(inputs)
        return GraphRun(self, state=state, deps=deps, inputs=inputs, **options)

    def as_step(
        self,
        *,
        node_id: str | None = None,
        label: str | None = None,
        state: Callable[[StepContext[Any, Any, Any]], StateIn] | None = None,
        deps: Callable[[StepContext[Any, Any, Any]], DepsIn] | None = None,
        inputs: Callable[[StepContext[Any, Any, Any]], InputIn] | None = None,
    ) -> Step[Any, Any, Any, OutputOut]:
        """This graph as a step of another one.

        Its nodes run within the other graph's run: events, limits and cancellation are those of that run.

        Args:
            node_id: The id of the step; the graph's name if it has one, else `subgraph`.
            label: A text for the picture.
            state: Makes the graph's state from the context of the step; without it, the state is passed on.
            deps: The same for the dependencies.
            inputs: The same for the inputs.
        """

        async def call(ctx: StepContext[Any, Any, Any]) -> OutputOut:
            """Run the graph on its own, for who calls the step's function by hand."""
            return await self.run(
                state=ctx.state if state is None else state(ctx),
                deps=ctx.deps if deps is None else deps(ctx),
                inputs=ctx.inputs if inputs is None else inputs(ctx),
            )

        return SubgraphStep(
            node_id or self.name or 'subgraph',
            self._compiled_for_parent(),
            call,
            label=label,
            map_state=state,
            map_deps=deps,
            map_inputs=inputs,
        )

    # Looking

    @property
    def nodes(self) -> Mapping[NodeID, AnyNode]:
        """All nodes by id, forks included."""
        return MappingProxyType(dict(self._compiled.layout.nodes))

    @property
    def edges_by_source(self) -> Mapping[NodeID, Sequence[Path]]:
        """For each node the paths that leave it, each to one other node."""
        return MappingProxyType({source: list(paths) for source, paths in self._compiled.layout.edges.items() if paths})

    @property
    def parent_forks(self) -> Mapping[JoinID, ParentFork[NodeID]]:
        """For each join the fork that it belongs to."""
        return MappingProxyType(dict(self._compiled.parents))

    @property
    def intermediate_join_nodes(self) -> Mapping[JoinID, set[JoinID]]:
        """For each join the other joins between it and its parent fork."""
        parents = self._compiled.parents
        return MappingProxyType(
            {
                join: {other for other in parents if other != join and other in parent.intermediate_nodes}
                for join, parent in parents.items()
            }
        )

    def get_parent_fork(self, join_id: str) -> ParentFork[NodeID]:
        """The fork that a join belongs to.

        Raises:
            GraphRuntimeError: The id is not that of a join.
        """
        if join_id not in self._compiled.parents:
            raise GraphRuntimeError(
                f'Node {join_id!r} is not a join node. The joins are {sorted(self._compiled.parents)}.'
            )
        return self._compiled.parents[JoinID(join_id)]

    def is_final_join(self, join_id: str) -> bool:
        """Whether no other join lies between a join's parent fork and the end behind it."""
        self.get_parent_fork(join_id)
        return not any(join_id in others for others in self.intermediate_join_nodes.values())

    def render(self, *, title: str | None = None, direction: StateDiagramDirection | None = None) -> str:
        """The graph as Mermaid `stateDiagram-v2` text.

        Args:
            title: A title above the picture.
            direction: Which way it runs; Mermaid's own default, top to bottom, if not given.
        """
        from plait_graph.mermaid import build_mermaid_graph

        layout = self._compiled.layout
        return build_mermaid_graph(layout.nodes, layout.edges).render(title=title, direction=direction)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        steps = sum(isinstance(node, Step) for node in self._compiled.layout.nodes.values())
        return f'<Graph {self.name or ""}{": " if self.name else ""}{len(self.plan.nodes)} nodes, {steps} steps>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the picture where it can draw Mermaid, its text elsewhere."""
        text = self.render()
        return {
            'text/vnd.mermaid': text,
            'text/markdown': f'```mermaid\n{text}\n```',
            'text/plain': repr(self),
        }

    # Within

    def _compiled_for_parent(self) -> _Subgraph:
        return _Subgraph(self._compiled, self.state_type)

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, self._accepted_input):
            raise GraphRuntimeError(
                f'The graph{f" {self.name!r}" if self.name else ""} takes inputs of type '
                f'{_type_name(self.input_type)}, and was run with inputs={inputs!r}, of type {type(inputs).__name__}.'
            )

    def _find_name(self, frame: FrameType | None) -> None:
        """Look once for the caller's variable that holds this graph."""
        caller = frame.f_back if frame is not None else None
        self._has_looked_for_name = True
        if self.name is not None or caller is None:
            return
        for variables in (caller.f_locals, caller.f_globals):
            for name, value in variables.items():
                if value is self:
                    self.name = name
                    return


class _Subgraph:
    """A compiled graph, as the step around it sees it."""

    __slots__ = '_compiled', 'state_type'

    def __init__(self, compiled: Compiled, state_type: Any):
        self._compiled = compiled
        self.state_type = state_type

    @property
    def isolates_state(self) -> bool:
        return self._compiled.plan.isolates_state

    @property
    def layout(self) -> Layout:
        return self._compiled.layout

    @property
    def parents(self) -> Mapping[JoinID, ParentFork[NodeID]]:
        return self._compiled.parents

    @property
    def routing(self) -> frozenset[NodeID]:
        return self._compiled.routing


def make_graph(
    definition: Definition,
    compiled: Compiled,
    *,
    name: str | None,
    state_type: Any,
    deps_type: Any,
    input_type: Any,
    output_type: Any,
    auto_instrument: bool,
    checks_input: bool,
) -> Graph[Any, Any, Any, Any]:
    """Make a graph from its parts; what `GraphBuilder.build` does at last."""
    from plait_graph._run.launch import make_driver

    graph = cast('Graph[Any, Any, Any, Any]', object.__new__(Graph))
    graph.name = name
    graph.state_type = state_type
    graph.deps_type = deps_type
    graph.input_type = input_type
    graph.output_type = output_type
    graph.auto_instrument = auto_instrument
    graph.definition = definition
    graph.plan = compiled.plan
    graph.findings = compiled.findings
    graph._compiled = compiled  # pyright: ignore[reportPrivateUsage] # this is its constructor
    graph._make_driver = make_driver  # pyright: ignore[reportPrivateUsage]
    graph._has_looked_for_name = False  # pyright: ignore[reportPrivateUsage]
    graph._accepted_input = _accepted(input_type) if checks_input else None  # pyright: ignore[reportPrivateUsage]
    return graph


def _accepted(type_: Any) -> Any:
    """What `isinstance` can be asked about inputs of a type, or `None` if it cannot be asked."""
    if get_origin(type_) in (Union, UnionType):
        members = [_accepted(member) for member in get_args(type_)]
        return None if None in members else tuple(members)
    if get_origin(type_) is Literal:
        return tuple(dict.fromkeys(type(cast(object, value)) for value in get_args(type_)))
    class_ = get_origin(type_) or type_
    if class_ in (float, complex):
        return (int, float, complex) if class_ is complex else (int, float)
    try:
        isinstance(None, class_)
    except TypeError:
        return None
    return class_


def _type_name(type_: Any) -> str:
    return type_.__name__ if type(type_) is type else str(type_)


def __getattr__(name: str) -> Any:
    if name == 'StateDiagramDirection':
        from plait_graph import mermaid

        return mermaid.StateDiagramDirection
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
