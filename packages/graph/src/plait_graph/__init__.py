"""Typed graphs that fork, join and survive.

Say what a graph is with a `GraphBuilder`, build it, run it.
"""

from plait_graph.basenode import BaseNode, Edge, End, GraphRunContext
from plait_graph.decision import Decision, DecisionBranch, DecisionBranchBuilder
from plait_graph.exceptions import (
    GraphBuildingError,
    GraphError,
    GraphRuntimeError,
    GraphSetupError,
    GraphValidationError,
    RunCancelled,
    UnsupportedEventLoopError,
)
from plait_graph.graph import Finding, Graph
from plait_graph.graph_builder import GraphBuilder
from plait_graph.graph_run import EndMarker, ErrorMarker, GraphRun, GraphTask, GraphTaskRequest, JoinItem
from plait_graph.id_types import ForkID, ForkStack, ForkStackItem, JoinID, NodeID, NodeRunID, TaskID
from plait_graph.join import (
    Join,
    JoinNode,
    ReduceFirstValue,
    ReducerContext,
    ReducerFunction,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_null,
    reduce_sum,
)
from plait_graph.node import EndNode, Fork, StartNode
from plait_graph.paths import EdgePath, EdgePathBuilder
from plait_graph.step import NodeStep, Step, StepContext, StepNode
from plait_graph.util import TypeExpression

__all__ = (
    'BaseNode',
    'Decision',
    'DecisionBranch',
    'DecisionBranchBuilder',
    'Edge',
    'EdgePath',
    'EdgePathBuilder',
    'End',
    'EndMarker',
    'EndNode',
    'ErrorMarker',
    'Finding',
    'Fork',
    'ForkID',
    'ForkStack',
    'ForkStackItem',
    'Graph',
    'GraphBuilder',
    'GraphBuildingError',
    'GraphError',
    'GraphRun',
    'GraphRunContext',
    'GraphRuntimeError',
    'GraphSetupError',
    'GraphTask',
    'GraphTaskRequest',
    'GraphValidationError',
    'Join',
    'JoinID',
    'JoinItem',
    'JoinNode',
    'NodeID',
    'NodeRunID',
    'NodeStep',
    'ReduceFirstValue',
    'ReducerContext',
    'ReducerFunction',
    'RunCancelled',
    'StartNode',
    'Step',
    'StepContext',
    'StepNode',
    'TaskID',
    'TypeExpression',
    'UnsupportedEventLoopError',
    'reduce_dict_update',
    'reduce_list_append',
    'reduce_list_extend',
    'reduce_null',
    'reduce_sum',
)
