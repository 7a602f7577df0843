"""The three nodes of the loop: ask, request, handle what came."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from typing_extensions import TypeIs

from plait_agent._agent_graph import endings, prompts
from plait_agent._agent_graph.calls import CallHandling, Given
from plait_agent._agent_graph.histories import answer_calls, note_request, process_history, reason_of
from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent._agent_graph.resuming import given_results
from plait_agent._agent_graph.step import AgentContext, Step, prepare_step, run_context, with_validation_context
from plait_agent._agent_graph.tool_run import Outcome, Tell
from plait_agent._short_repr import short_repr
from plait_agent._typevars import AgentDepsT, OutputDataT
from plait_agent.messages import (
    BuiltinToolCallEvent,  # pyright: ignore[reportDeprecated] # programs still look for it
    BuiltinToolCallPart,
    BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated] # programs still look for it
    BuiltinToolReturnPart,
    HandleResponseEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserContent,
    UserPromptPart,
)
from plait_agent.result import AgentStream
from plait_graph import BaseNode, End, GraphRunContext

if TYPE_CHECKING:
    from plait_agent._functions import Function
    from plait_agent.tools import DeferredToolResults, RunContext
    from plait_graph.budget import Reservation


@dataclass(repr=False)
class UserPromptNode(
    BaseNode[GraphAgentState, GraphAgentDeps[Any, Any], FinalResult[OutputDataT]], Generic[AgentDepsT, OutputDataT]
):
    """Makes the first request of a run from what the user said."""

    user_prompt: str | Sequence[UserContent] | None = None
    deferred_tool_results: DeferredToolResults | None = field(default=None, kw_only=True)
    instructions: str | None = field(default=None, kw_only=True)
    instructions_functions: list[Function] = field(default_factory=list['Function'], kw_only=True)
    system_prompts: tuple[str, ...] = field(default_factory=tuple[str, ...], kw_only=True)
    system_prompt_functions: list[Function] = field(default_factory=list['Function'], kw_only=True)
    system_prompt_dynamic_functions: dict[str, Function] = field(default_factory=dict[str, 'Function'], kw_only=True)

    __repr__ = short_repr

    async def run(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]]
    ) -> ModelRequestNode[AgentDepsT, OutputDataT] | CallToolsNode[AgentDepsT, OutputDataT]:
        """Find out what the conversation goes on with.

        Raises:
            UserError: There is nothing to ask, or the prompt or the results do not fit the history.
        """
        messages = ctx.state.message_history
        context = run_context(ctx)
        if self.deferred_tool_results is not None:
            given = given_results(messages, self.deferred_tool_results)
            return CallToolsNode(
                given.response,
                tool_call_results=given.results,
                tool_call_metadata=given.metadata,
                user_prompt=self.user_prompt,
            )
        if messages and self.system_prompt_dynamic_functions:
            await prompts.reevaluate(messages, self.system_prompt_dynamic_functions, context)
        if messages and self.user_prompt is None:
            return self._go_on(messages)
        if self.user_prompt is not None:
            prompts.check_new_prompt(messages)
        return ModelRequestNode(await self._first_request(messages, context))

    def _go_on(self, messages: list[ModelMessage]) -> Any:
        """Go on with a history to which the user has nothing to add."""
        last = messages[-1]
        if isinstance(last, ModelRequest):
            prompts.check_answers(messages)
            messages.pop()
            return ModelRequestNode(replace(last))
        if last.tool_calls or not self._has_instructions:
            return CallToolsNode(last)
        return ModelRequestNode(ModelRequest([]))

    async def _first_request(self, messages: list[ModelMessage], context: RunContext[Any]) -> ModelRequest:
        request = ModelRequest([])
        if not messages:
            request.parts = await prompts.system_parts(
                self.system_prompts, self.system_prompt_functions, self.system_prompt_dynamic_functions, context
            )
        if self.user_prompt is not None:
            request.parts = [*request.parts, UserPromptPart(self.user_prompt)]
        if not request.parts and not self._has_instructions:
            raise prompts.nothing_to_ask()
        return request

    @property
    def _has_instructions(self) -> bool:
        return bool(self.instructions or self.instructions_functions)


@dataclass(slots=True)
class _Prepared:
    """A request that is ready to be sent."""

    messages: list[ModelMessage]
    step: Step
    context: RunContext[Any]


@dataclass(repr=False)
class ModelRequestNode(
    BaseNode[GraphAgentState, GraphAgentDeps[Any, Any], FinalResult[OutputDataT]], Generic[AgentDepsT, OutputDataT]
):
    """Sends a request to the model, with all that was said before."""

    request: ModelRequest
    _next: CallToolsNode[AgentDepsT, OutputDataT] | None = field(default=None, init=False, compare=False, repr=False)
    _has_streamed: bool = field(default=False, init=False, compare=False, repr=False)
    _noted: ModelMessage | None = field(default=None, init=False, compare=False, repr=False)
    """The request as it stands in the history."""

    __repr__ = short_repr

    async def run(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]]
    ) -> CallToolsNode[AgentDepsT, OutputDataT]:
        """Ask the model, unless that has been done.

        Raises:
            UsageLimitExceeded: The request may not be made, or has used too much.
        """
        if self._next is not None:
            return self._next
        handler = ctx.deps.event_handler
        if handler is not None:
            async with self.stream(ctx) as stream:
                await handler(run_context(ctx), stream)
            return self._next_node()
        deps = ctx.deps
        prepared = await self._prepare(ctx)
        with deps.spending.before_request(deps.model, deps.model_settings) as reservation:
            response = await deps.model.request(prepared.messages, deps.model_settings, prepared.step.parameters)
            self._finish(ctx, prepared, response, reservation)
        return self._next_node()

    @asynccontextmanager
    async def stream(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[AgentDepsT, Any]]
    ) -> AsyncGenerator[AgentStream[AgentDepsT, OutputDataT]]:
        """Ask the model, and give what it answers as it comes; what is left at the end of the block is read then.

        Raises:
            AssertionError: The node was streamed before.
        """
        if self._has_streamed:
            raise AssertionError('stream() should only be called once per node')
        self._has_streamed = True
        deps = ctx.deps
        prepared = await self._prepare(ctx)
        with deps.spending.before_request(deps.model, deps.model_settings) as reservation:
            opened = deps.model.request_stream(
                prepared.messages, deps.model_settings, prepared.step.parameters, prepared.context
            )
            async with (
                opened as response,
                AgentStream[AgentDepsT, OutputDataT](
                    ctx,
                    prepared.step,
                    response,
                    prepared.context,
                    lambda: self._finish(ctx, prepared, response.get(), reservation),
                ) as stream,
            ):
                yield stream
                await stream.close()

    async def answer(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]], response: ModelResponse | str
    ) -> CallToolsNode[AgentDepsT, OutputDataT]:
        """Answer in the place of the model, which is not asked: the answer goes into the history as if it had been.

        Args:
            ctx: The run.
            response: The answer, or its text.
        """
        if self._next is None:
            ctx.deps.step = await prepare_step(ctx, await self._enter(ctx))
            self._note(ctx, ModelResponse([TextPart(response)]) if isinstance(response, str) else response)
        return self._next_node()

    async def _prepare(self, ctx: AgentContext) -> _Prepared:
        """Complete the request, and find out what goes with it."""
        state, deps = ctx.state, ctx.deps
        context = await self._enter(ctx)
        step = deps.step = await prepare_step(ctx, context)
        if deps.history_processors:
            await process_history(ctx, context)
        messages = state.message_history[:]
        self._noted = messages[-1]
        await deps.spending.check_ahead(deps.model, messages, deps.model_settings, step.parameters)
        return _Prepared(messages, step, context)

    async def _enter(self, ctx: AgentContext) -> RunContext[Any]:
        """Put the completed request into the history."""
        state, deps, request = ctx.state, ctx.deps, self.request
        state.run_step += 1
        if self._noted is not None and state.message_history and state.message_history[-1] is self._noted:
            state.message_history.pop()  # the node has failed, and is tried again
        state.message_history.append(request)
        self._noted = request
        context = with_validation_context(ctx, run_context(ctx))
        request.timestamp = datetime.now(tz=UTC)
        request.run_id = state.run_id
        request.instructions = await prompts.instructions_of(deps.instructions, deps.instructions_functions, context)
        return context

    def _finish(
        self, ctx: AgentContext, prepared: _Prepared, response: ModelResponse, reservation: Reservation | None
    ) -> None:
        ctx.deps.spending.after_response(response, reservation)
        self._note(ctx, response)

    def _note(self, ctx: AgentContext, response: ModelResponse) -> None:
        """Put the answer into the history, and go on with it."""
        response.run_id = response.run_id or ctx.state.run_id
        ctx.state.message_history.append(response)
        self._next = CallToolsNode(response)

    def _next_node(self) -> CallToolsNode[AgentDepsT, OutputDataT]:
        if self._next is None:
            raise AssertionError('the request was not finished')
        return self._next


@dataclass(repr=False)
class CallToolsNode(
    BaseNode[GraphAgentState, GraphAgentDeps[Any, Any], FinalResult[OutputDataT]], Generic[AgentDepsT, OutputDataT]
):
    """Handles a response: calls its tools, or ends the run with its output."""

    model_response: ModelResponse
    tool_call_results: dict[str, Any] | None = None
    tool_call_metadata: dict[str, dict[str, Any]] | None = None
    user_prompt: str | Sequence[UserContent] | None = None
    _next: Any = field(default=None, init=False, compare=False, repr=False)
    _has_streamed: bool = field(default=False, init=False, compare=False, repr=False)
    _closing: ModelRequest | None = field(default=None, init=False, compare=False, repr=False)
    """What was put into the history when the node failed."""
    _done: dict[str, Outcome] | None = field(default=None, init=False, compare=False, repr=False)
    """What tools had returned when the node failed."""

    __repr__ = short_repr

    async def run(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]]
    ) -> ModelRequestNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]:
        """Handle the response, unless that has been done.

        If it is cancelled or fails, the calls that are not answered get a return that says so.
        """
        if self._next is not None:
            return self._next
        handler = ctx.deps.event_handler
        if handler is None:
            await self._handle(ctx, None)
        else:
            async with self.stream(ctx) as events:
                await handler(run_context(ctx), events)
        following: Any = self._next  # set by now, which the checker cannot see
        return following

    async def finish(self, ctx: AgentContext, final: FinalResult[Any]) -> End[FinalResult[Any]]:
        """Handle the response with a result that is already known: a stream has shown it."""
        calls = endings.read(self.model_response).calls
        if not calls:
            self._next = End(final)
            return self._next
        handling = CallHandling(ctx, ctx.deps.step or await self._make_step(ctx), None)
        self._next = await self._answered(ctx, handling, calls, handling.finish(calls, final))
        return self._next

    def stream(
        self, ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[AgentDepsT, Any]]
    ) -> AbstractAsyncContextManager[AsyncIterator[HandleResponseEvent]]:
        """Handle the response, and give what happens as it happens.

        Raises:
            AssertionError: The node was streamed before.
        """
        if self._has_streamed:
            raise AssertionError('stream() should only be called once per node')
        self._has_streamed = True
        from plait_agent._agent_graph.telling import Telling  # only streams need it

        return Telling[HandleResponseEvent](lambda tell: self._handle(ctx, tell))

    async def _handle(self, ctx: AgentContext, tell: Tell | None) -> None:
        self._forget_failure(ctx)
        if tell is not None:
            self._tell_builtin(tell)
        step = ctx.deps.step or await self._make_step(ctx)
        content = endings.read(self.model_response)
        if content.calls:
            found = await self._handle_calls(ctx, CallHandling(ctx, step, tell, self._done), content.calls)
        else:
            ctx.state.tool_retries, ctx.state.repeated_calls = {}, {}  # no tool was called, so none has failed again
            found = await endings.end_or_retry(ctx, step, self.model_response, content)
        self._next = ModelRequestNode(found) if isinstance(found, ModelRequest) else found

    async def _handle_calls(self, ctx: AgentContext, handling: CallHandling, calls: list[Any]) -> Any:
        given = self._given()
        work = handling.handle(calls) if given is None else handling.resume(calls, given)
        return await self._answered(ctx, handling, calls, work)

    async def _answered(
        self, ctx: AgentContext, handling: CallHandling, calls: list[Any], work: Coroutine[Any, Any, Any]
    ) -> Any:
        """See to it that each call is answered, whatever happens."""
        try:
            return await work
        except BaseException as error:
            self._done = handling.done
            self._closing = handling.close(calls, self._given(), reason_of(error))
            if self._closing.parts:
                note_request(ctx.state, self._closing)
            raise

    def answer_calls(self, ctx: AgentContext, reason: str) -> None:
        """Answer the calls of the response without making them, so that the history can be sent again."""
        answer_calls(ctx.state, reason)

    def _given(self) -> Given | None:
        if self.tool_call_results is None:
            return None
        part = None if self.user_prompt is None else UserPromptPart(self.user_prompt)
        return Given(self.tool_call_results, self.tool_call_metadata or {}, part)

    def _forget_failure(self, ctx: AgentContext) -> None:
        """Take back what answered the calls when the node failed: it is tried again."""
        history = ctx.state.message_history
        if self._closing is not None and history and history[-1] is self._closing:
            history.pop()
        self._closing = None

    async def _make_step(self, ctx: AgentContext) -> Step:
        """The tools of a response that no request of this run has led to."""
        ctx.deps.step = step = await prepare_step(ctx, with_validation_context(ctx, run_context(ctx)))
        return step

    def _tell_builtin(self, tell: Tell) -> None:
        for part in self.model_response.parts:
            if isinstance(part, BuiltinToolCallPart):
                tell(BuiltinToolCallEvent(part))  # pyright: ignore[reportDeprecated] # as above
            elif isinstance(part, BuiltinToolReturnPart):
                tell(BuiltinToolResultEvent(part))  # pyright: ignore[reportDeprecated] # as above


AgentNode: TypeAlias = (
    UserPromptNode[AgentDepsT, OutputDataT]
    | ModelRequestNode[AgentDepsT, OutputDataT]
    | CallToolsNode[AgentDepsT, OutputDataT]
)
"""A node of the loop."""


def is_agent_node(node: object) -> TypeIs[AgentNode[Any, Any]]:
    """Whether something is one of the three nodes of the loop."""
    return isinstance(node, UserPromptNode | ModelRequestNode | CallToolsNode)
