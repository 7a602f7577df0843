"""The loop of an agent as a graph."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from plait_agent._agent_graph.nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_graph import Graph, GraphBuilder


@cache
def agent_graph() -> Graph[GraphAgentState, GraphAgentDeps[Any, Any], Any, FinalResult[Any]]:
    """The graph that all agents share which have none of their own."""
    g = GraphBuilder(
        name='Agent',
        state_type=GraphAgentState,
        deps_type=cast('type[GraphAgentDeps[Any, Any]]', GraphAgentDeps),
        input_type=cast('type[UserPromptNode[Any, Any]]', UserPromptNode),
        output_type=cast('type[FinalResult[Any]]', FinalResult),
    )
    g.add(
        g.edge_from(g.start_node).to(UserPromptNode),
        g.node(UserPromptNode),
        g.node(ModelRequestNode),
        g.node(CallToolsNode),
    )
    return g.build()
