"""The tool calls of one response: what becomes of each, and where the run goes then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import ValidationError

from plait_agent._agent_graph.endings import count_retry, ending, latest_output, validated_output
from plait_agent._agent_graph.records import FinalResult
from plait_agent._agent_graph.repetition import count_round
from plait_agent._agent_graph.returns import answer
from plait_agent._agent_graph.step import AgentContext, Step, context_for, run_context, with_validation_context
from plait_agent._agent_graph.tool_run import Call, Outcome, Tell, ToolRun
from plait_agent._output import retry_part
from plait_agent.exceptions import ApprovalRequired, ModelRetry, ToolRetryError, UsageLimitExceeded, UserError
from plait_agent.messages import (
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelRequest,
    ModelRequestPart,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.tools import DeferredToolRequests, ToolApproved, ToolDenied
from plait_graph import End

_PROCESSED = 'Final result processed.'
_OUTPUT_NOT_USED = 'Output tool not used - a final result was already processed.'
_NOT_EXECUTED = 'Tool not executed - a final result was already processed.'
SKIP: Any = object()
"""Stands for the result of a call that was answered before."""


@dataclass(slots=True)
class Given:
    """What somebody has decided about deferred calls since."""

    results: dict[str, Any]
    """By call id: a result, an approval, or `SKIP`."""
    metadata: dict[str, dict[str, Any]]
    user_part: UserPromptPart | None


@dataclass(slots=True)
class _Sorted:
    """The calls of a response by kind."""

    outputs: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    functions: list[Call] = field(default_factory=list[Call])
    deferred: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    unknown: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    repeated: list[ToolCallPart] = field(default_factory=list[ToolCallPart])


class CallHandling:
    """Handles the calls of one response.

    Args:
        ctx: The run.
        step: The tools that were offered.
        tell: Is told what happens, if somebody listens.
        done: What calls have given that were made before, by call id: they are not made again.
    """

    def __init__(self, ctx: AgentContext, step: Step, tell: Tell | None, done: dict[str, Outcome] | None = None):
        self._ctx = ctx
        self._step = step
        self._tell = tell
        self._context = with_validation_context(ctx, run_context(ctx))
        deps = ctx.deps
        self._run = ToolRun(deps.toolset, self._context, ctx.state.tool_retries, tell, deps.tracing)
        self._run.outcomes.update(done or {})
        self._final: FinalResult[Any] | None = None
        self._error: BaseException | None = None
        """Why the output has to be asked for again."""
        self._most_retries = ctx.deps.max_result_retries
        """How often it may be, for that reason."""
        self._retries: dict[str, int] = {}
        self._requests = DeferredToolRequests()
        self.parts: list[ModelRequestPart] = []
        """What answers the calls, so far."""

    async def handle(self, calls: Sequence[ToolCallPart]) -> ModelRequest | End[FinalResult[Any]]:
        """Handle calls as a model made them."""
        found = self._sort(calls)
        for call in found.outputs:
            await self._handle_output(call)
        is_over = self._final is not None and self._ctx.deps.end_strategy == 'early'
        if is_over:
            self.parts += [self._return(call.part, _NOT_EXECUTED) for call in found.functions]
            outcomes: list[Outcome] = []
        else:
            outcomes = await self._make(found.functions)
        self._take(outcomes)
        self._handle_deferred(found.deferred)
        self._refuse(found.repeated, found.unknown)
        if self._error is not None:
            count_retry(self._ctx, self._error, self._most_retries)
        note = await self._guard(outcomes)
        return self._go_on([*(each.user_part for each in outcomes), note])

    async def finish(
        self, calls: Sequence[ToolCallPart], final: FinalResult[Any]
    ) -> End[FinalResult[Any]] | ModelRequest:
        """Handle the calls of a response whose first match has been taken as the result of the run."""
        self._final = final
        rest = [call for call in calls if call.tool_call_id != final.tool_call_id]
        used = [call for call in calls if call.tool_call_id == final.tool_call_id]
        self.parts += [self._return(call, _PROCESSED) for call in used]
        return await self.handle(rest)

    async def resume(self, calls: Sequence[ToolCallPart], given: Given) -> ModelRequest | End[FinalResult[Any]]:
        """Handle calls that were deferred, with what has been decided about them."""
        outcomes: dict[str, Outcome] = {}
        to_make: list[Call] = []
        for call in calls:
            result = given.results[call.tool_call_id]
            if result is SKIP:
                continue
            self._tell_call(call)
            if not isinstance(result, ToolApproved):
                outcomes[call.tool_call_id] = self._decided(call, result)
            elif (approved := self._approved(call, result, given)).tool.tool_def.kind == 'external':
                self._requests.calls.append(call)  # nobody here can make it, whoever approves
            else:
                to_make.append(approved)
        for outcome in await self._make(to_make, are_told=True):
            outcomes[outcome.call.tool_call_id] = outcome
        functions = {name for name, tool in self._step.tools.items() if tool.tool_def.kind == 'function'}
        ordered = sorted(calls, key=lambda call: call.tool_name not in functions)
        taken = [outcomes[call.tool_call_id] for call in ordered if call.tool_call_id in outcomes]
        self._take(taken)
        return self._go_on([*(each.user_part for each in taken), given.user_part])

    # Kinds of calls

    def _sort(self, calls: Sequence[ToolCallPart]) -> _Sorted:
        found, seen = _Sorted(), set[str]()
        output_names = {definition.name for definition in self._step.output_tools}
        for call in calls:
            tool = self._step.tools.get(call.tool_name)
            if call.tool_call_id in seen:
                found.repeated.append(call)
            elif call.tool_name in output_names:
                found.outputs.append(call)
            elif tool is None:
                found.unknown.append(call)
            elif tool.tool_def.kind == 'function':
                found.functions.append(Call(call, tool))
            else:
                found.deferred.append(call)
            seen.add(call.tool_call_id)
        return found

    async def _handle_output(self, call: ToolCallPart) -> None:
        if self._final is not None and self._ctx.deps.end_strategy == 'early':
            self.parts.append(self._return(call, _OUTPUT_NOT_USED))
            return
        try:
            output = await self._output_of(call)
        except (ValidationError, ModelRetry) as error:
            part = retry_part(error, tool_name=call.tool_name, tool_call_id=call.tool_call_id)
            self.parts.append(part)
            self._tell_call(call)
            self._tell_result(part)
            if self._final is None:
                self._error, self._most_retries = _as_cause(error, part), self._retries_of(call)
            return
        self.parts.append(self._return(call, _PROCESSED))
        if self._final is None:
            self._final = FinalResult(output, call.tool_name, call.tool_call_id)

    async def _output_of(self, call: ToolCallPart) -> Any:
        state = self._ctx.state
        context = context_for(
            self._context,
            tool_name=call.tool_name,
            tool_call_id=call.tool_call_id,
            retry=state.retries,
            max_retries=self._retries_of(call),
        )
        tool = self._step.schema.tools[call.tool_name]
        value = tool.validate(call.args, validation_context=context.validation_context)
        return await validated_output(self._ctx, await tool.call(value, context), context)

    def _retries_of(self, call: ToolCallPart) -> int:
        """How often the output may be refused when it comes through this tool."""
        own = self._step.schema.tools[call.tool_name].max_retries
        return self._ctx.deps.max_result_retries if own is None else own

    async def _make(self, calls: Sequence[Call], *, are_told: bool = False) -> list[Outcome]:
        """Make calls of function tools."""
        if not calls:
            return []
        self._ctx.deps.spending.before_tool_calls(len(calls) - len(self._run.outcomes))
        for call in () if are_told else calls:
            self._tell_call(call.part)
        tracing = self._ctx.deps.tracing
        if tracing is None:
            outcomes = await self._run.make(calls)
        else:
            with tracing.batch([call.part for call in calls]):
                outcomes = await self._run.make(calls)
        failed = {each.call.tool_name for each in outcomes if each.has_failed}
        before = self._ctx.state.tool_retries
        self._retries = {name: before.get(name, 0) + 1 for name in failed}
        return outcomes

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.part is not None:
                self.parts.append(outcome.part)
            elif self._final is not None:
                self.parts.append(self._return(outcome.call, _NOT_EXECUTED))
            elif outcome.deferral is not None:
                self._note_deferral(outcome.call, outcome.deferral)

    def _note_deferral(self, call: ToolCallPart, deferral: Any) -> None:
        is_approval = isinstance(deferral, ApprovalRequired)
        (self._requests.approvals if is_approval else self._requests.calls).append(call)
        if deferral.metadata is not None:
            self._requests.metadata[call.tool_call_id] = deferral.metadata

    def _handle_deferred(self, calls: Sequence[ToolCallPart]) -> None:
        for call in calls:
            if self._final is not None:
                self.parts.append(self._return(call, _NOT_EXECUTED))
                continue
            self._tell_call(call)
            kind = self._step.tools[call.tool_name].tool_def.kind
            (self._requests.approvals if kind == 'unapproved' else self._requests.calls).append(call)

    def _refuse(self, repeated: Sequence[ToolCallPart], unknown: Sequence[ToolCallPart]) -> None:
        """Tell the model of calls that cannot be made."""
        for call in repeated:
            self._refuse_one(call, f'Tool call id {call.tool_call_id!r} was used for another call. Use a new one.')
        names = [definition.name for definition in self._step.output_tools] + list(self._step.tools)
        known = f'Available tools: {", ".join(map(repr, names))}' if names else 'No tools available.'
        for call in unknown:
            part = self._refuse_one(call, f'Unknown tool name: {call.tool_name!r}. {known}')
            if self._final is None:
                self._error = self._error or ToolRetryError(part)

    def _refuse_one(self, call: ToolCallPart, text: str) -> RetryPromptPart:
        part = RetryPromptPart(text, tool_name=call.tool_name, tool_call_id=call.tool_call_id)
        self._tell_call(call)
        self._tell_result(part)
        self.parts.append(part)
        return part

    # Decisions about deferred calls

    def _approved(self, call: ToolCallPart, approval: ToolApproved, given: Given) -> Call:
        tool = self._step.tools.get(call.tool_name)
        if tool is None:
            raise UserError(
                f'The call {call.tool_call_id!r} was approved, and there is no tool {call.tool_name!r} to make it. '
                f'Give the agent the tools that it had when the call was deferred.'
            )
        metadata = given.metadata.get(call.tool_call_id)
        return Call(call, tool, is_approved=True, metadata=metadata, args=approval.override_args)

    def _decided(self, call: ToolCallPart, result: Any) -> Outcome:
        value = result.message if isinstance(result, ToolDenied) else result
        part, user_part = answer(call, value)
        self._tell_result(part)
        return Outcome(call, part, user_part)

    # What follows

    async def _guard(self, outcomes: Sequence[Outcome]) -> UserPromptPart | None:
        """Tell the model that it repeats itself, once; if it goes on, end the run with what there is.

        Raises:
            UsageLimitExceeded: It goes on, and there is nothing to end with.
        """
        limit = self._ctx.deps.spending.limits.repeated_calls_limit
        if limit is None or self._final is not None or self._is_deferred:
            return None
        state = self._ctx.state
        answered = [(each.call, each.part) for each in outcomes if isinstance(each.part, ToolReturnPart)]
        state.repeated_calls, most = count_round(state.repeated_calls, answered)
        if most is None or most.rounds < limit:
            return None
        if most.rounds == limit:
            return UserPromptPart(most.note)
        self._final = await latest_output(self._ctx, self._step)
        if self._final is None:
            raise UsageLimitExceeded(
                f'{most} The model was told so, and the repeated_calls_limit is {limit}. '
                f'Let the tool say more, or raise the limit.'
            )
        return None

    @property
    def _is_deferred(self) -> bool:
        return bool(self._requests.calls or self._requests.approvals)

    def _go_on(self, user_parts: Sequence[UserPromptPart | None]) -> ModelRequest | End[FinalResult[Any]]:
        self._ctx.state.tool_retries = self._retries
        if self._final is None and self._is_deferred:
            self._final = FinalResult(self._deferred_output())
        more = [part for part in user_parts if part is not None]
        if self._final is None:
            return ModelRequest([*self.parts, *more])
        return ending(self._ctx, self._final, [*self.parts, *more])

    def _deferred_output(self) -> Any:
        if not self._step.schema.allows_deferred:
            raise UserError(
                'A deferred tool call was present, but `DeferredToolRequests` is not among output types. '
                'To resolve this, add `DeferredToolRequests` to the list of output types for this agent.'
            )
        return self._requests

    def close(self, calls: Sequence[ToolCallPart], given: Given | None, reason: str) -> ModelRequest:
        """Answer every call, so that the history can be sent again although the run is over."""
        done = {part.tool_call_id: part for part in self.parts if isinstance(part, ToolReturnPart | RetryPromptPart)}
        for call_id, outcome in self._run.outcomes.items():
            if outcome.part is not None:
                done.setdefault(call_id, outcome.part)
        open_calls = [call for call in calls if given is None or given.results.get(call.tool_call_id) is not SKIP]
        return ModelRequest([done.get(call.tool_call_id) or self._closed(call, reason) for call in open_calls])

    def _closed(self, call: ToolCallPart, reason: str) -> ToolReturnPart:
        # A tool that was stopped, or raised, may have had effects: the model is not told that it was never called.
        what = 'did not finish' if call.tool_call_id in self._run.begun else 'not executed'
        return self._return(call, f'Tool {what} - {reason}.')

    @property
    def done(self) -> dict[str, Outcome]:
        """What the calls have given that a tool has returned from."""
        return {key: each for key, each in self._run.outcomes.items() if isinstance(each.part, ToolReturnPart)}

    # Small things

    @staticmethod
    def _return(call: ToolCallPart, content: str) -> ToolReturnPart:
        return ToolReturnPart(call.tool_name, content, call.tool_call_id)

    def _tell_call(self, call: ToolCallPart) -> None:
        if self._tell is not None:
            self._tell(FunctionToolCallEvent(call))

    def _tell_result(self, part: ToolReturnPart | RetryPromptPart) -> None:
        if self._tell is not None:
            self._tell(FunctionToolResultEvent(part))


def _as_cause(error: ValidationError | ModelRetry, part: RetryPromptPart) -> BaseException:
    """What the error of too many retries is raised from."""
    cause = ToolRetryError(part)
    cause.__cause__ = error
    return cause


__all__ = 'SKIP', 'CallHandling', 'Given'
