"""Typed graphs that fork, join and survive.

Say what a graph is with a `GraphBuilder`, build it, run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plait_graph.basenode import BaseNode, Edge, End, GraphRunContext
from plait_graph.decision import Decision, DecisionBranch, DecisionBranchBuilder
from plait_graph.exceptions import (
    BudgetExceeded,
    GraphBuildingError,
    GraphError,
    GraphRuntimeError,
    GraphSetupError,
    GraphValidationError,
    JoinUnsatisfied,
    LoopLimitReached,
    RunCancelled,
    RunTimeout,
    StateConflict,
    StepTimeout,
    UnsupportedEventLoopError,
)
from plait_graph.graph import Finding, Graph
from plait_graph.graph_builder import GraphBuilder
from plait_graph.graph_run import EndMarker, ErrorMarker, GraphRun, GraphTask, GraphTaskRequest, JoinItem
from plait_graph.id_types import ForkID, ForkStack, ForkStackItem, JoinID, NodeID, NodeRunID, TaskID
from plait_graph.join import (
    BranchFailure,
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
from plait_graph.policies import JoinPolicy, LoopGuard, Retry, Share
from plait_graph.step import NodeStep, Step, StepContext, StepNode
from plait_graph.util import TypeExpression

if TYPE_CHECKING:
    from plait_graph.budget import Budget
    from plait_graph.cache import Cache, MemoryCache
    from plait_graph.executors import InProcessExecutor
    from plait_graph.explain import EventLog
    from plait_graph.limits import Limit
    from plait_graph.process_executor import ProcessExecutor
    from plait_graph.state import Merge

__all__ = (
    'BaseNode',
    'BranchFailure',
    'Budget',
    'BudgetExceeded',
    'Cache',
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
    'EventLog',
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
    'InProcessExecutor',
    'Join',
    'JoinID',
    'JoinItem',
    'JoinNode',
    'JoinPolicy',
    'JoinUnsatisfied',
    'Limit',
    'LoopGuard',
    'LoopLimitReached',
    'MemoryCache',
    'Merge',
    'NodeID',
    'NodeRunID',
    'NodeStep',
    'ProcessExecutor',
    'ReduceFirstValue',
    'ReducerContext',
    'ReducerFunction',
    'Retry',
    'RunCancelled',
    'RunTimeout',
    'Share',
    'StartNode',
    'StateConflict',
    'Step',
    'StepContext',
    'StepNode',
    'StepTimeout',
    'TaskID',
    'TypeExpression',
    'UnsupportedEventLoopError',
    'reduce_dict_update',
    'reduce_list_append',
    'reduce_list_extend',
    'reduce_null',
    'reduce_sum',
)

_ROOMS = {
    'Budget': 'budget',
    'Cache': 'cache',
    'EventLog': 'explain',
    'InProcessExecutor': 'executors',
    'Limit': 'limits',
    'MemoryCache': 'cache',
    'Merge': 'state',
    'ProcessExecutor': 'process_executor',
}
"""Names whose rooms are imported when they are first asked for, so that programs without them start sooner."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    value = getattr(import_module(f'{__name__}.{_ROOMS[name]}'), name)
    globals()[name] = value
    return value
