"""The loop of an agent with nodes of the user's own in it.

The nodes of the loop know nothing of this. Each becomes a step that runs the node, looks where it leads, and leads to
the own node that stands there instead, made with what it stands in the way of. What an own node returns is led on in
the same way, but for the place that the node itself stands before: there it leads to the place.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, Union, cast

from plait_agent._agent_graph.nodes import UserPromptNode
from plait_agent._agent_graph.placements import LOOP, AnyNode, Placement, Way, Where, ways_of
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent.exceptions import UserError
from plait_graph import Edge, End, Graph, GraphBuilder, GraphError, GraphRunContext, Step, StepContext, StepNode

AgentGraph: TypeAlias = Graph[GraphAgentState, GraphAgentDeps[Any, Any], Any, FinalResult[Any]]
_Body: TypeAlias = Callable[[StepContext[GraphAgentState, GraphAgentDeps[Any, Any], Any]], Coroutine[Any, Any, Any]]
_Step: TypeAlias = Step[GraphAgentState, GraphAgentDeps[Any, Any], Any, Any]


class Wiring:
    """A loop with own nodes.

    Args:
        placements: Where which node stands.

    Raises:
        UserError: Two nodes have one place, nothing leads to one of them, or no graph can be made of it.
    """

    def __init__(self, placements: Sequence[Placement]):
        self._own: dict[Where, dict[type[Any], type[AnyNode]]] = {'before': {}, 'after': {}}
        names: dict[str, Any] = {}
        for placement in placements:
            self._put(placement)
            names |= {**placement.names, placement.node.__name__: placement.node}
        self._ways = _ways_of_all((*LOOP, *(each.node for each in placements)), names)
        self._beyond = {own: self._reached_by(own) for own in self._own['before'].values()}
        self._entry = self._own['before'].get(UserPromptNode, UserPromptNode)
        self._led: dict[type[Any], list[Way]] = {}
        """The nodes that the run can come to, and where they lead."""
        self._follow(self._entry)
        self._check(placements)
        self.graph = self._build()
        """The loop as a graph."""

    def enter(self, node: UserPromptNode[Any, Any]) -> AnyNode:
        """What a run begins with."""
        return node if self._entry is UserPromptNode else cast('Any', self._entry)(node)

    def lead(self, source: type[Any], to: Any) -> Any:
        """Where a run goes that a node has led somewhere."""
        kind = cast('type[Any]', type(to))
        found = self._target(source, kind)
        return to if found is kind else found(to)

    def _target(self, source: type[Any], to: type[Any]) -> type[Any]:
        """What stands in the way from a node to a place, or the place itself."""
        after = self._own['after'].get(source)
        if after is not None:
            return after
        before = self._own['before'].get(to)
        return to if before is None or source in self._beyond[before] else before

    # Putting it together

    def _put(self, placement: Placement) -> None:
        known = self._own[placement.where]
        other = known.setdefault(placement.place, placement.node)
        if other is not placement.node:
            raise UserError(
                f'Nodes {other.__name__} and {placement.node.__name__} both stand {placement.where} '
                f'{placement.place.__name__}. Put one of them there, and let it lead to the other one.'
            )

    def _reached_by(self, own: type[AnyNode]) -> set[type[Any]]:
        """An own node, and the own nodes that it leads to: who has come past it does not meet it again."""
        reached: set[type[Any]] = {own}
        pending: list[type[Any]] = [own]
        while pending:
            more = {way.to for way in self._ways[pending.pop()]} - reached - {*LOOP, End}
            reached |= more
            pending += more
        return reached

    def _follow(self, start: type[Any]) -> None:
        """Find all nodes that the run can come to."""
        pending = [start]
        while pending:
            node = pending.pop(0)
            if node is End or node in self._led:
                continue
            labels: dict[type[Any], str | None] = {}
            for way in self._ways[node]:
                labels.setdefault(self._target(node, way.to), way.label)
            self._led[node] = [Way(to, label) for to, label in labels.items()]
            pending += labels

    def _check(self, placements: Sequence[Placement]) -> None:
        ids: dict[str, type[Any]] = {}
        for node in self._led:
            other = ids.setdefault(node.get_node_id(), node)
            if other is not node:
                raise UserError(
                    f'Two nodes are called {node.get_node_id()!r}: {other.__qualname__} and {node.__qualname__}. '
                    f'Rename one of the classes.'
                )
        for placement in placements:
            if placement.node not in self._led:
                raise UserError(
                    f'Nothing leads to node {placement.node.__name__}, {placement.where} '
                    f'{placement.place.__name__}: other nodes of your own keep runs from getting there. '
                    f'Let one of them lead there, or leave {placement.node.__name__} out.'
                )

    def _build(self) -> AgentGraph:
        g = GraphBuilder(
            name='Agent',
            state_type=GraphAgentState,
            deps_type=cast('type[GraphAgentDeps[Any, Any]]', GraphAgentDeps),
            input_type=self._entry,
            output_type=cast('type[FinalResult[Any]]', FinalResult),
        )
        bodies = {node: self._body(node) for node in self._led}
        steps = {node: g.step(body, node_id=node.get_node_id()) for node, body in bodies.items()}
        for node, body in bodies.items():
            body.__annotations__['return'] = _hint(self._led[node], steps)  # says the edges, as a class node's does
        g.add(g.edge_from(g.start_node).to(steps[self._entry]))
        try:
            return cast('AgentGraph', g.build())
        except GraphError as error:
            raise UserError(f"The agent's own nodes make no graph. {error}") from error

    def _body(self, source: type[AnyNode]) -> _Body:
        async def run_node(ctx: StepContext[GraphAgentState, GraphAgentDeps[Any, Any], Any]) -> Any:
            to = await ctx.inputs.run(GraphRunContext(state=ctx.state, deps=ctx.deps))
            return self.lead(source, to)

        return run_node


def _ways_of_all(nodes: Sequence[type[AnyNode]], names: Mapping[str, Any]) -> dict[type[Any], list[Way]]:
    """Where nodes lead by their hints, and where those lead that they lead to."""
    found: dict[type[Any], list[Way]] = {}
    pending: list[type[Any]] = list(nodes)
    while pending:
        node = pending.pop(0)
        if node is not End and node not in found:
            found[node] = ways_of(node, names)
            pending += [way.to for way in found[node]]
    return found


def _hint(ways: Sequence[Way], steps: Mapping[type[Any], _Step]) -> Any:
    """The return hint of a step that leads to some of the steps, and maybe to the end."""
    members = [
        Annotated[End[Any], Edge(way.label)]
        if way.to is End
        else Annotated[StepNode[Any, Any], steps[way.to], Edge(way.label)]
        for way in ways
    ]
    return Union[tuple(members)]  # noqa: UP007 # made of a list
