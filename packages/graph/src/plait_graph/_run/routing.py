"""What each kind of node does with a value that reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from plait_graph._compile.plan import Kind, PlanEdge, PlanNode
from plait_graph._run import joins
from plait_graph._run.machine import FAILED, Machine, Shown
from plait_graph._run.outcomes import Ended
from plait_graph._run.sources import SOURCE_THREAD, want_item
from plait_graph._run.tokens import Batch, Environment, Region, Source, Task
from plait_graph.basenode import BaseNode, End
from plait_graph.decision import Decision
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.id_types import NodeID
from plait_graph.join import JoinNode
from plait_graph.node import Fork
from plait_graph.step import StepNode, SubgraphStep


def act(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    """Let a node that is not a step do what it does."""
    _ACTIONS[node.kind](machine, node, value, region, index, visit)


def _start(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    machine.go_on(node, value, region, index, visit)


def _decide(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    edge = choose(machine, node, value, region, index, visit)
    if edge is not None:
        machine.pass_on(node, edge, value, region, index, visit)


def choose(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> PlanEdge | None:
    """The edge of the first branch of a decision that accepts a value; nothing if that has failed."""
    try:
        branch = machine.evaluator.choose(node.node, value)
        if branch is not None:
            return node.edges[branch]
    except Exception as error:  # noqa: BLE001 # the user's own, handed on
        machine.fail_at(node, region, index, visit, error, 'a branch of decision')
        return None
    fault = GraphRuntimeError(
        f'No branch matched inputs {_short(value)} of type {type(value).__name__} at decision {node.id!r}, which has '
        f'branches for {_sources(node.node)}. Add a branch for it, or a last one with g.match(object).'
    )
    machine.fail_at(node, region, index, visit, fault, 'decision')
    return None


def _sources(decision: Decision[Any, Any, Any]) -> str:
    return ', '.join(getattr(branch.source, '__name__', None) or str(branch.source) for branch in decision.branches)


def _broadcast(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    child = machine.region(node, region, index, visit, region.env)
    for branch, edge in enumerate(node.edges):
        machine.pass_on(node, edge, value, child, branch, visit)


def _hand_in(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    joins.contribute(machine, node, value, region, index, visit)


def _end(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    finish_graph(machine, value, region, None)


def _enter(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    """Begin a subgraph: a region of its own, with its own state and dependencies if they are mapped."""
    step: SubgraphStep[Any, Any, Any, Any] = node.node
    mapped: list[Any] = []
    env = region.env
    for function, same in (
        (step.map_state, None),
        (step.map_deps, env.deps),
        (step.map_inputs, value),
    ):
        result = same
        if function is not None:
            what, apply = 'a mapping into subgraph', machine.evaluator.apply
            result = machine.evaluate(node, region, index, visit, what, apply, function, env, value)
            if result is FAILED:
                return
        mapped.append(result)
    state, deps, inputs = mapped
    if step.map_state is None:
        env = Environment(env.state, deps, env.isolated)
    elif env.isolated is None and not step.graph.isolates_state:
        env = Environment(state, deps)
    else:
        what, make = 'the isolated state of subgraph', machine.evaluator.environment
        env = machine.evaluate(node, region, index, visit, what, make, state, deps, step.graph.state_type)
        if env is FAILED:
            return
    child = machine.region(node, region, index, visit, env)
    machine.counts.agenda.emptied.insert(0, child)  # it may stay empty, if it begins with a map that has no items
    machine.go_on(node, inputs, child, 0, visit)


# Values that say themselves where to go


Routed: TypeAlias = End[Any] | StepNode[Any, Any] | JoinNode[Any, Any] | BaseNode[Any, Any, Any]


def route(machine: Machine, task: Task, value: Routed) -> None:
    """Let a node that was returned say where to go."""
    node, region, index, visit = task.node, task.region, task.index, task.visit
    inputs: Any
    match value:
        case End(data=data):
            finish_graph(machine, data, region, task)
            return
        case StepNode(step=step, inputs=inputs):
            name = step.id
        case JoinNode(join=join, inputs=inputs):
            name = join.id
        case BaseNode():
            name, inputs = NodeID(value.get_node_id()), value
        case _:
            machine.fail_at(
                node,
                region,
                index,
                visit,
                GraphRuntimeError(
                    f'Node {node.id!r} returned {value!r}, which says nothing of where to go. '
                    f'Return a node, End(value), step.as_node(value) or join.as_node(value).'
                ),
            )
            return
    target = machine.plan.by_id.get((node.scope, name))
    if target is None:
        machine.fail_at(node, region, index, visit, _unknown(machine, node, name))
        return
    machine.arrive(machine.nodes[target], inputs, region, index, visit)


def _unknown(machine: Machine, node: PlanNode, name: NodeID) -> GraphRuntimeError:
    return GraphRuntimeError(
        f'Node {node.id!r} returned {name!r}, which is not in the graph. Add it with g.add(g.node(...)), '
        f'or name it in the return hint of {node.id!r}.'
    )


def finish_graph(machine: Machine, value: Any, region: Region, holder: Task | None) -> None:
    """End the graph that a place is in with a value: the run, or the subgraph."""
    scope: Region = region
    while scope.parent is not None and scope.node.partner < 0:
        scope = scope.parent
    if scope.parent is None:
        if machine.watched:
            machine.shown.append(Shown([], end=Ended(value), holder=holder))
        else:
            machine.stop(Ended(value))
        return
    if scope.closed:
        return
    if scope.members is not None:
        joins.close_region(machine, scope)
    scope.closed = True
    back = machine.nodes[scope.node.partner]
    machine.go_on(back, value, scope.parent, scope.index, scope.visit)


# Maps


def _map(machine: Machine, node: PlanNode, value: Any, region: Region, index: int, visit: int) -> None:
    fork: Fork[Any, Any] = node.node
    fault = _fault_of_source(node, value)
    if fault is not None:
        machine.fail_at(node, region, index, visit, GraphRuntimeError(fault), 'map')
        return
    child = machine.region(node, region, index, visit, region.env)
    if fork.downstream_join_id is not None:
        _open_for_empty(machine, node, child)
    is_async = isinstance(value, AsyncIterable)
    if not is_async and fork.limit is None:
        items = machine.evaluate(node, region, index, visit, 'the items of map', machine.evaluator.read, value)
        if items is not FAILED:
            _start_all(machine, node, items, child)
        return
    source = Source(value, fork.limit, is_async=is_async)
    if not is_async:
        source.iterator = machine.evaluate(
            node, region, index, visit, 'the items of map', machine.evaluator.iterate, value
        )
        if source.iterator is FAILED:
            return
    child.source = source
    machine.counts.place(child, node.leaving, SOURCE_THREAD)
    if is_async:
        machine.sources[child.id] = child
    want_item(machine, child)


def _fault_of_source(node: PlanNode, value: Any) -> str | None:
    if isinstance(value, str | bytes | bytearray | Mapping):
        kind = type(cast(object, value)).__name__
        return (
            f'Cannot map a {kind} at {node.id!r}: {_short(value)}. Its parts are rarely what is meant; if they are, '
            f'say so with .transform(lambda ctx: list(ctx.inputs)) before .map().'
        )
    if not isinstance(value, Iterable | AsyncIterable):
        return (
            f'Cannot map non-iterable value: {_short(value)} at {node.id!r}. '
            f'Give .map() a list, an iterator or an async iterator.'
        )
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f'{text[:200]}...'


def _start_all(machine: Machine, node: PlanNode, items: Sequence[Any], child: Region) -> None:
    """Start all items of a map without a limit."""
    child.total = len(items)
    if not items:
        finish_empty(machine, node, child)
    elif node.is_plain and not machine.is_careful and not machine.plan.tracks_threads:
        machine.counts.place(child, node.leaving, 0, len(items))
        machine.ready.append(Batch(machine.nodes[node.edges[0].target], items, child))
    else:
        for index, item in enumerate(items):
            machine.go_on(node, item, child, index, child.visit)


def finish_empty(machine: Machine, node: PlanNode, child: Region) -> None:
    """Let the join below a map without items fire."""
    machine.led_nowhere = machine.watched and not node.scope
    if node.on_empty < 0:
        machine.note_end(
            f'map {node.id!r} had no items, and it is not clear which join should fire then: '
            f'name it with .map(downstream_join_id=...)'
        )
        return
    _open_for_empty(machine, node, child)


def _open_for_empty(machine: Machine, node: PlanNode, child: Region) -> None:
    join = machine.nodes[node.on_empty]
    home = joins.home_of(join, child)
    if home is not None:
        joins.open_join(machine, join, home, child.visit)


_ACTIONS: dict[Kind, Callable[[Machine, PlanNode, Any, Region, int, int], None]] = {
    Kind.START: _start,
    Kind.DECISION: _decide,
    Kind.BROADCAST: _broadcast,
    Kind.MAP: _map,
    Kind.JOIN: _hand_in,
    Kind.END: _end,
    Kind.RETURN: _end,
    Kind.CALL: _enter,
}
