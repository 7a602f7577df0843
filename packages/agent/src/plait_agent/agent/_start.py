"""One run of an agent from its beginning to its end: what is entered around it, and left again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from plait_agent._agent_graph.histories import answer_calls, reason_of
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent._agent_graph.step import AgentContext, run_context
from plait_agent.exceptions import UsageLimitExceeded
from plait_agent.run import AgentRun, AgentRunResult
from plait_graph import GraphRunContext, RunTimeout

if TYPE_CHECKING:
    from plait_agent._agent_graph.placements import AnyNode
    from plait_agent.tools import RunContext
    from plait_graph import Graph, Limit


@dataclass(slots=True)
class Start:
    """A run that is ready to begin. Entered, its toolsets and its model are; left, they are left again.

    A run that takes too long for its limits fails with `UsageLimitExceeded`.
    """

    graph: Graph[GraphAgentState, GraphAgentDeps[Any, Any], Any, FinalResult[Any]]
    state: GraphAgentState
    deps: GraphAgentDeps[Any, Any]
    node: AnyNode
    limit: Limit | None
    metadata: Callable[[RunContext[Any]], dict[str, Any] | None] | None
    _stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Start:
        stack = self._stack = AsyncExitStack()
        try:
            if self.limit is not None:
                await stack.enter_async_context(self.limit.hold())
            if self.deps.tracing is not None:
                stack.enter_context(self.deps.tracing.run(self.state, self.deps))
            await stack.enter_async_context(self.deps.model)
            await stack.enter_async_context(self.deps.toolset)
            self.note_metadata()
        except BaseException:
            await stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stack is not None:
            await self._stack.__aexit__(kind, error, traceback)
        if isinstance(error, RunTimeout):
            raise UsageLimitExceeded(str(error)) from error

    @property
    def options(self) -> dict[str, Any]:
        """What the graph's run is told."""
        budget = self.deps.spending.budget
        return {} if budget is None else {'budget': budget}

    def note_metadata(self) -> None:
        """Ask for the notes about the run: when it begins, and again when it has succeeded."""
        if self.metadata is not None:
            self.state.metadata = self.metadata(run_context(self.context))

    def note_end(self, final: FinalResult[Any]) -> None:
        """Note that the run has succeeded, and with what."""
        self.note_metadata()
        if self.deps.tracing is not None:
            self.deps.tracing.note_result(final)

    @property
    def context(self) -> AgentContext:
        """State and dependencies, as nodes get them."""
        return GraphRunContext(state=self.state, deps=self.deps)

    @asynccontextmanager
    async def iterate(self) -> AsyncGenerator[AgentRun[Any, Any]]:
        """The run in the hands of a user."""
        async with (
            self,
            self.graph.iter(
                state=self.state, deps=self.deps, inputs=self.node, infer_name=False, **self.options
            ) as graph_run,
        ):
            run = AgentRun[Any, Any](graph_run)
            with self._answering_calls(run):
                yield run
            if graph_run.output is not None:
                self.note_end(graph_run.output)

    async def run(self) -> AgentRunResult[Any]:
        """Run the graph to its end."""
        async with self:
            with self._answering_calls():
                final = await self.graph.run(state=self.state, deps=self.deps, inputs=self.node, **self.options)
            self.note_end(final)
        traceparent = None if self.deps.tracing is None else self.deps.tracing.traceparent
        return AgentRunResult(final.output, final.tool_name, self.state, self.deps.new_message_index, traceparent)

    @contextmanager
    def _answering_calls(self, run: AgentRun[Any, Any] | None = None) -> Generator[None]:
        """If the run does not come to its end, leave no tool call without an answer: a provider would refuse that."""
        try:
            yield
        except BaseException as error:
            error.add_note(f'in agent {self.deps.agent_name!r}, model request {self.state.run_step}')
            if run is None or run.result is None:
                answer_calls(self.state, reason_of(error))
            raise
