"""One batch of tool calls: a map of the graph engine, in which each call becomes the parts that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import ValidationError

from plait_agent._agent_graph.returns import answer
from plait_agent._agent_graph.step import context_for
from plait_agent._output import retry_part
from plait_agent._run_context import set_current_run_context
from plait_agent.exceptions import ApprovalRequired, CallDeferred, ModelRetry, UnexpectedModelBehavior
from plait_agent.messages import (
    FunctionToolResultEvent,
    HandleResponseEvent,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_graph import Graph, GraphBuilder, StepContext, reduce_list_append

if TYPE_CHECKING:
    from plait_agent._tracing import Tracing
    from plait_agent.tools import RunContext
    from plait_agent.toolsets import AbstractToolset, ToolsetTool

Tell = Callable[[HandleResponseEvent], None]
"""Is told what happens, if somebody listens."""

sequential: ContextVar[bool] = ContextVar('plait_agent_sequential_tool_calls', default=False)
"""Whether all tool calls are to be made one by one."""


@dataclass(slots=True)
class Outcome:
    """What came of one call."""

    call: ToolCallPart
    part: ToolReturnPart | RetryPromptPart | None = None
    """What the model is told; nothing if the call is deferred."""
    user_part: UserPromptPart | None = None
    """What goes with it, such as an image."""
    deferral: CallDeferred | ApprovalRequired | None = None
    has_failed: bool = False
    """Whether the call counts as a failure of its tool."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is to be made."""

    part: ToolCallPart
    tool: ToolsetTool[Any]
    is_approved: bool = False
    metadata: Any = None
    args: Any = None
    """Other arguments than the model's, from whoever approved."""


class ToolRun:
    """Makes the calls of one response.

    Args:
        toolset: The toolset of the run, which has offered the tools.
        context: The run as it stands.
        retries: How many steps in a row each tool has failed.
        tell: Is told of results as they come.
        tracing: Makes spans.
    """

    def __init__(
        self,
        toolset: AbstractToolset[Any],
        context: RunContext[Any],
        retries: dict[str, int],
        tell: Tell | None,
        tracing: Tracing | None,
    ):
        self._toolset = toolset
        self._context = context
        self._retries = retries
        self._tell = tell
        self._tracing = tracing
        self.begun: set[str] = set()
        """The ids of the calls that were begun."""
        self.outcomes: dict[str, Outcome] = {}
        """What has come so far, by call id; also of a batch that is not finished."""

    async def make(self, calls: Sequence[Call]) -> list[Outcome]:
        """Make all calls, side by side unless one of their tools is to run alone, and give the outcomes in call order.

        Raises:
            UnexpectedModelBehavior: A tool has failed too often in a row.
            Exception: What a tool raised. The other calls are cancelled, and their clean-up is waited for.
        """
        if len(calls) == 1:
            return [await self.call(calls[0])]
        options: dict[str, Any] = {'errors': 'first'}
        if sequential.get() or any(call.tool.tool_def.sequential for call in calls):
            options['max_concurrency'] = 1
        return await _graph().run(deps=self, inputs=calls, **options)

    async def call(self, call: Call) -> Outcome:
        """Make one call, unless that has been done."""
        done = self.outcomes.get(call.part.tool_call_id)
        if done is not None:
            return done
        if self._tracing is None:
            outcome = await self._outcome(call)
        else:
            with self._tracing.tool(call.part) as span:
                outcome = await self._outcome(call)
                span.note(outcome.part)
        self.outcomes[call.part.tool_call_id] = outcome
        if self._tell is not None and outcome.part is not None:
            content = None if outcome.user_part is None else outcome.user_part.content
            self._tell(FunctionToolResultEvent(outcome.part, content=content))
        return outcome

    async def _outcome(self, call: Call) -> Outcome:
        part, tool = call.part, call.tool
        context = context_for(
            self._context,
            tool_name=part.tool_name,
            tool_call_id=part.tool_call_id,
            retry=self._retries.get(part.tool_name, 0),
            max_retries=tool.max_retries,
            tool_call_approved=call.is_approved,
            tool_call_metadata=call.metadata,
        )
        try:
            arguments = _validated(call, context)
        except (ValidationError, ModelRetry) as error:
            return self._failed(call, context, error)
        self.begun.add(part.tool_call_id)
        try:
            with set_current_run_context(context):
                async with _place(tool):
                    result = await self._toolset.call_tool(part.tool_name, arguments, context, tool)
        except ModelRetry as error:
            return self._failed(call, context, error)
        except (CallDeferred, ApprovalRequired) as deferral:
            return Outcome(part, deferral=deferral)
        returned, user_part = answer(part, result)
        if isinstance(returned, ToolReturnPart):
            self._context.usage.tool_calls += 1
        return Outcome(part, returned, user_part)

    def _failed(self, call: Call, context: RunContext[Any], error: ValidationError | ModelRetry) -> Outcome:
        """Tell the model what was wrong, if the tool may fail once more."""
        part = call.part
        answer = retry_part(error, tool_name=part.tool_name, tool_call_id=part.tool_call_id)
        outcome = Outcome(part, answer, has_failed=True)
        if context.retry < context.max_retries:
            return outcome
        self.outcomes[part.tool_call_id] = outcome  # so that the history says it although the run is over
        raise UnexpectedModelBehavior(
            f'Tool {part.tool_name!r} exceeded max retries count of {context.max_retries}. '
            f'Attempt {context.retry + 1} had the arguments {part.args_as_json_str()}: {error}'
        ) from error


def _validated(call: Call, context: RunContext[Any]) -> dict[str, Any]:
    validator, args = call.tool.args_validator, call.part.args if call.args is None else call.args
    if isinstance(args, str):
        return validator.validate_json(args or '{}', context=context.validation_context)
    return validator.validate_python(args or {}, context=context.validation_context)


_ANY_NUMBER: AbstractAsyncContextManager[None] = nullcontext()


def _place(tool: ToolsetTool[Any]) -> AbstractAsyncContextManager[Any]:
    """A place within the limit of a tool, if it has one."""
    return _ANY_NUMBER if tool.limit is None else tool.limit.hold()


@cache
def _graph() -> Graph[None, ToolRun, Sequence[Call], list[Outcome]]:
    """The calls of a batch as a graph."""
    g = GraphBuilder(
        name='tool_calls', deps_type=ToolRun, input_type=cast('type[Sequence[Call]]', list), output_type=list[Outcome]
    )

    @g.step
    async def call_tool(ctx: StepContext[None, ToolRun, Call]) -> Outcome:
        return await ctx.deps.call(ctx.inputs)

    collect = g.join(reduce_list_append, initial_factory=list[Outcome])
    g.add(
        g.edge_from(g.start_node).map().to(call_tool),
        g.edge_from(call_tool).to(collect),
        g.edge_from(collect).to(g.end_node),
    )
    return g.build()
