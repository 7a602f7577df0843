"""The nodes of an agent's loop, and how nodes of one's own are put among them.

A node of one's own is a class with one field for what it stands in the way of. Its `run` gives that back to let it
pass, something else to go elsewhere, or `End` to end the run; its return hint says which, for the picture.

    @dataclass
    class Guard(OwnNode):
        node: ModelRequestNode

        async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
            return End(FinalResult('Not here.')) if is_bad(self.node.request) else self.node


    agent = Agent('test', own_nodes=[before(ModelRequestNode, Guard)])
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, TypeAlias, overload

from plait_agent._agent_graph.nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from plait_agent._agent_graph.placements import AnyNode, Placement, place
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent._typevars import DepsT, OutputT
from plait_graph import BaseNode, Edge, End, GraphRunContext

__all__ = (
    'CallToolsNode',
    'Edge',
    'End',
    'FinalResult',
    'GraphAgentDeps',
    'GraphAgentState',
    'ModelRequestNode',
    'NodeContext',
    'OwnNode',
    'Placement',
    'UserPromptNode',
    'after',
    'before',
)

NodeContext: TypeAlias = GraphRunContext[GraphAgentState, GraphAgentDeps[DepsT, Any]]
"""What the `run` of a node is given: `ctx.state` (messages, usage, step), and `ctx.deps.user_deps` with what the run
was started with."""


class OwnNode(BaseNode[GraphAgentState, GraphAgentDeps[DepsT, Any], FinalResult[OutputT]], Generic[DepsT, OutputT]):
    """The base of nodes of one's own in the loop of an agent.

    A node is shown by `Agent.iter` like those of the loop, and is drawn in `Agent.graph`.
    """


@overload
def before(place: type[UserPromptNode[Any, Any]], node: Callable[[UserPromptNode[Any, Any]], AnyNode]) -> Placement: ...
@overload
def before(
    place: type[ModelRequestNode[Any, Any]], node: Callable[[ModelRequestNode[Any, Any]], AnyNode]
) -> Placement: ...
@overload
def before(place: type[CallToolsNode[Any, Any]], node: Callable[[CallToolsNode[Any, Any]], AnyNode]) -> Placement: ...
@overload
def before(place: type[End[Any]], node: Callable[[End[FinalResult[Any]]], AnyNode]) -> Placement: ...
def before(place: Any, node: Any) -> Placement:
    """Let a node of one's own stand before a place: whatever leads there leads to it instead, own nodes included.

    It is made with what would have come: a node, or the `End` with its `FinalResult`. Where it leads to the place,
    or own nodes do that it leads to, the run gets there.

    Args:
        place: A node of the loop, or `End`.
        node: The class of the node.

    Raises:
        UserError: There is no such place, or the class cannot stand there.
    """
    return _place('before', place, node, inspect.currentframe())


@overload
def after(
    place: type[UserPromptNode[Any, Any]],
    node: Callable[[ModelRequestNode[Any, Any] | CallToolsNode[Any, Any]], AnyNode],
) -> Placement: ...
@overload
def after(place: type[ModelRequestNode[Any, Any]], node: Callable[[CallToolsNode[Any, Any]], AnyNode]) -> Placement: ...
@overload
def after(
    place: type[CallToolsNode[Any, Any]],
    node: Callable[[ModelRequestNode[Any, Any] | End[FinalResult[Any]]], AnyNode],
) -> Placement: ...
def after(place: Any, node: Any) -> Placement:
    """Let a node of one's own stand after a node of the loop: wherever that leads, it leads to the own one instead.

    It is made with what would have come. What it leads to may have an own node before it, which is next then.

    Args:
        place: A node of the loop.
        node: The class of the node.

    Raises:
        UserError: There is no such place, or the class cannot stand there.
    """
    return _place('after', place, node, inspect.currentframe())


def _place(where: Any, there: Any, node: Any, frame: FrameType | None) -> Placement:
    """Make a placement that knows the classes which its maker sees."""
    caller = None if frame is None else frame.f_back
    names = {} if caller is None or caller.f_locals is caller.f_globals else caller.f_locals
    return place(where, there, node, {name: each for name, each in names.items() if isinstance(each, type)})
