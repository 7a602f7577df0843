"""A run of an agent in the hands of a user, and what it ends with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast, overload

from plait_agent._agent_graph.nodes import AgentNode, is_agent_node
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent._histories import Messages
from plait_agent._short_repr import short_repr
from plait_agent._typevars import DepsT, OutputDataT, OutputT
from plait_agent.exceptions import AgentRunError
from plait_agent.messages import ModelMessage
from plait_agent.usage import RunUsage
from plait_graph import BaseNode, End, EndMarker, GraphRunContext, GraphTaskRequest, NodeStep

if TYPE_CHECKING:
    from plait_agent._agent_graph.placements import AnyNode
    from plait_agent.messages import ModelResponse
    from plait_graph import GraphRun, JoinItem

__all__ = 'AgentRun', 'AgentRunResult', 'AgentRunResultEvent'

_Run: TypeAlias = 'GraphRun[GraphAgentState, GraphAgentDeps[Any, Any], FinalResult[OutputT]]'


class AgentRun(Generic[DepsT, OutputT]):
    """A run of an agent that advances only when it is asked to; made by `Agent.iter`.

    Iterating gives each node that is to run next, and at last `End`.

    Args:
        graph_run: The run of the agent's graph.
    """

    def __init__(self, graph_run: _Run[OutputT]):
        self._graph_run = graph_run

    @overload
    def _traceparent(self, *, required: Literal[False]) -> str | None: ...
    @overload
    def _traceparent(self) -> str: ...
    def _traceparent(self, *, required: bool = True) -> str | None:
        """Where the run stands in a trace, in the form of the W3C."""
        tracing = self._graph_run.deps.tracing
        found = None if tracing is None else tracing.traceparent
        if found is None and required:
            raise AttributeError('No span was created for this agent run. Set instrument=True on the agent.')
        return found

    @property
    def ctx(self) -> GraphRunContext[GraphAgentState, GraphAgentDeps[DepsT, Any]]:
        """The state of the run, and what it was started with."""
        return GraphRunContext(state=self._graph_run.state, deps=self._graph_run.deps)

    @property
    def next_node(self) -> AgentNode[DepsT, OutputT] | End[FinalResult[OutputT]]:
        """What runs next, unless another node is given to `next`."""
        return self._task_to_node(self._graph_run.next_task)

    @property
    def result(self) -> AgentRunResult[OutputT] | None:
        """The result of the run if it has ended, otherwise `None`."""
        final = self._graph_run.output
        if final is None:
            return None
        state, deps = self._graph_run.state, self._graph_run.deps
        return AgentRunResult(
            final.output, final.tool_name, state, deps.new_message_index, self._traceparent(required=False)
        )

    def __aiter__(self) -> AsyncIterator[AgentNode[DepsT, OutputT] | End[FinalResult[OutputT]]]:
        return self

    async def __anext__(self) -> AgentNode[DepsT, OutputT] | End[FinalResult[OutputT]]:
        return self._task_to_node(await anext(self._graph_run))

    async def next(
        self, node: AgentNode[DepsT, OutputT] | AnyNode
    ) -> AgentNode[DepsT, OutputT] | End[FinalResult[OutputT]]:
        """Run a node, and give the one that it leads to, or `End`.

        The node may be another one than `next_node`, or that one changed. A node that has run gives what it gave then.

        Raises:
            AgentRunError: The node is none of an agent, such as an `End`.
            Exception: What the node raises; the run can be gone on with, by the same node or another one.
        """
        if not isinstance(node, BaseNode):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise AgentRunError(f"{node!r} is no node that could run. Give one of the agent's nodes.")
        task: Any = [self._node_to_task(node)]
        with suppress(StopAsyncIteration):
            task = await self._graph_run.next(task)
        return self._task_to_node(task)

    def _task_to_node(self, task: Any) -> AgentNode[DepsT, OutputT] | End[FinalResult[OutputT]]:
        """What a task of the graph is for who watches an agent."""
        if isinstance(task, EndMarker):
            return End(cast('EndMarker[FinalResult[OutputT]]', task).value)
        if isinstance(task, Sequence) and len(cast('Sequence[Any]', task)) == 1:
            node = cast('Sequence[GraphTaskRequest | JoinItem]', task)[0].inputs
            if is_agent_node(node) or isinstance(node, BaseNode):
                return cast('AgentNode[DepsT, OutputT]', node)
        raise AgentRunError(f'Unexpected node: {task}')

    def _node_to_task(self, node: AgentNode[DepsT, OutputT] | AnyNode) -> GraphTaskRequest:
        """The task of the graph that runs a node."""
        return GraphTaskRequest(NodeStep(type(node)).id, inputs=node, fork_stack=())

    # Messages and usage

    def all_messages(self) -> list[ModelMessage]:
        """All messages so far, those of earlier runs included."""
        return self._graph_run.state.message_history

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON; the return of the output tool can be given another content."""
        return self._messages().all_json(output_tool_return_content)

    def new_messages(self) -> list[ModelMessage]:
        """The messages of this run."""
        return self.all_messages()[self._graph_run.deps.new_message_index :]

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON; the return of the output tool can be given another content."""
        return self._messages().new_json(output_tool_return_content)

    def _messages(self) -> Messages:
        final = self._graph_run.output
        tool_name = None if final is None else final.tool_name
        return Messages(self.all_messages(), self._graph_run.deps.new_message_index, tool_name)

    def usage(self) -> RunUsage:
        """What the run has used so far."""
        return self._graph_run.state.usage

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the program has noted about the run."""
        return self._graph_run.state.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._graph_run.state.run_id

    def __repr__(self) -> str:
        final = self._graph_run.output
        shown = '<run not finished>' if final is None else repr(final.output)
        return f'<{type(self).__name__} result={shown} usage={self.usage()}>'


@dataclass(repr=False)
class AgentRunResult(Generic[OutputDataT]):
    """The result of a run."""

    output: OutputDataT
    """The output."""
    _output_tool_name: str | None = field(default=None, repr=False, compare=False)
    _state: GraphAgentState = field(default_factory=lambda: GraphAgentState(run_id=''), repr=False, compare=False)
    _new_message_index: int = field(default=0, repr=False, compare=False)
    _traceparent_value: str | None = field(default=None, repr=False, compare=False)

    __repr__ = short_repr

    def _traceparent(self, *, required: bool = True) -> str | None:
        if self._traceparent_value is None and required:
            raise AttributeError('No span was created for this agent run. Set instrument=True on the agent.')
        return self._traceparent_value

    def _messages(self) -> Messages:
        return Messages(self._state.message_history, self._new_message_index, self._output_tool_name)

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages, those of earlier runs included.

        Args:
            output_tool_return_content: Takes the place of what answers the output tool, in a copy.

        Raises:
            ValueError: It is given, and the output was text.
        """
        return self._messages().all(output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return self._messages().all_json(output_tool_return_content)

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run; see `all_messages`."""
        return self._messages().new(output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """The same as JSON."""
        return self._messages().new_json(output_tool_return_content)

    @property
    def response(self) -> ModelResponse:
        """The last response.

        Raises:
            ValueError: There is none.
        """
        return self._messages().last_response()

    def usage(self) -> RunUsage:
        """What the run has used."""
        return self._state.usage

    def timestamp(self) -> datetime:
        """When the last response was made."""
        return self.response.timestamp

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the program has noted about the run."""
        return self._state.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._state.run_id


@dataclass(repr=False)
class AgentRunResultEvent(Generic[OutputDataT]):
    """The last event of a run: its result."""

    result: AgentRunResult[OutputDataT]
    event_kind: Literal['agent_run_result'] = 'agent_run_result'

    __repr__ = short_repr
