"""How a response becomes the output of a run, or a reason to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError

from plait_agent._agent_graph.histories import note_request
from plait_agent._agent_graph.records import FinalResult
from plait_agent._agent_graph.step import AgentContext, Step, context_for, run_context, with_validation_context
from plait_agent._output import retry_part
from plait_agent.exceptions import (
    ContentFilterError,
    IncompleteToolCall,
    ModelRetry,
    ToolRetryError,
    UnexpectedModelBehavior,
)
from plait_agent.messages import (
    BinaryImage,
    BuiltinToolCallPart,
    FilePart,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
)
from plait_graph import End

if TYPE_CHECKING:
    from plait_agent.tools import RunContext


@dataclass(slots=True)
class Content:
    """What a response has that matters to the loop."""

    calls: list[ToolCallPart]
    text: str
    """The text behind the last call of a built-in tool."""
    has_text: bool
    image: BinaryImage | None


def read(response: ModelResponse) -> Content:
    """Look through a response once."""
    content = Content([], '', has_text=False, image=None)
    for part in response.parts:
        if isinstance(part, TextPart):
            content.text += part.content
        elif isinstance(part, ToolCallPart):
            content.calls.append(part)
        elif isinstance(part, BuiltinToolCallPart):
            content.text = ''
        elif isinstance(part, FilePart) and isinstance(part.content, BinaryImage):
            content.image = part.content
    content.has_text = bool(content.text)
    return content


def ending(ctx: AgentContext, final: FinalResult[Any], parts: Sequence[ModelRequestPart]) -> End[FinalResult[Any]]:
    """End the run; what answers the last calls goes into the history."""
    if parts:
        note_request(ctx.state, ModelRequest(parts))
    return End(final)


async def validated_output(ctx: AgentContext, output: Any, context: RunContext[Any]) -> Any:
    """An output after all validators have seen it."""
    for validator in ctx.deps.output_validators:
        output = await validator.validate(output, context)
    return output


async def end_or_retry(ctx: AgentContext, step: Step, response: ModelResponse, content: Content) -> Any:
    """Where a run goes from a response without calls: to its end, or back to the model with a reason."""
    if content.image is not None and step.schema.allows_image:
        return await _try_output(ctx, content.image)
    if content.has_text and step.schema.text is not None:
        return await _try_text(ctx, step, content.text)
    if not response.parts:
        return await _nothing(ctx, step, response)
    part = RetryPromptPart(_what_is_wanted(step))
    count_retry(ctx, ToolRetryError(part))
    return ModelRequest([part])


async def _try_text(ctx: AgentContext, step: Step, text: str) -> End[FinalResult[Any]] | ModelRequest:
    try:
        return End(FinalResult(await _output_of(ctx, step, text)))
    except (ValidationError, ModelRetry) as error:
        return _again(ctx, error)


async def _output_of(ctx: AgentContext, step: Step, text: str) -> Any:
    """What a text is as the output of the run."""
    output, context = text, _output_context(ctx)
    if step.schema.text is not None:
        value = step.schema.text.validate(text, validation_context=context.validation_context)
        output = await step.schema.text.call(value, context)
    return await validated_output(ctx, output, context)


async def latest_output(ctx: AgentContext, step: Step) -> FinalResult[Any] | None:
    """What a run has that must stop: its latest text, if that can be the output."""
    text = _latest_text(ctx, ctx.deps.new_message_index) if step.schema.allows_text else None
    if text is None:
        return None
    try:
        return FinalResult(await _output_of(ctx, step, text))
    except (ValidationError, ModelRetry):
        return None


async def _try_output(ctx: AgentContext, output: Any) -> End[FinalResult[Any]] | ModelRequest:
    try:
        return End(FinalResult(await validated_output(ctx, output, _output_context(ctx))))
    except ModelRetry as error:
        return _again(ctx, error)


def _again(ctx: AgentContext, error: ValidationError | ModelRetry) -> ModelRequest:
    part = retry_part(error, tool_name=None, tool_call_id=None)
    cause = ToolRetryError(part)
    cause.__cause__ = error
    count_retry(ctx, cause)
    return ModelRequest([part])


def _output_context(ctx: AgentContext) -> RunContext[Any]:
    context = with_validation_context(ctx, run_context(ctx))
    return context_for(context, retry=ctx.state.retries, max_retries=ctx.deps.max_result_retries)


async def _nothing(ctx: AgentContext, step: Step, response: ModelResponse) -> Any:
    """A response without parts: the latest text is the output if there was one, else the model is asked once more."""
    if response.finish_reason == 'length':
        raise UnexpectedModelBehavior(f'{_token_limit(ctx)} exceeded before any response was generated. {_MORE}')
    if response.finish_reason == 'content_filter':
        details = response.provider_details or {}
        why = f'Finish reason: {details.get("finish_reason", "content_filter")!r}'
        if details.get('refusal'):
            why = f'The model refuses: {details["refusal"]!r}'
        from plait_agent.messages import ModelMessagesTypeAdapter  # built when it is first imported

        body = ModelMessagesTypeAdapter.dump_json([response]).decode()
        raise ContentFilterError(f'Content filter triggered. {why}', body)
    text = _latest_text(ctx) if step.schema.allows_text else None
    if text is not None:
        return await _try_text(ctx, step, text)
    count_retry(ctx, UnexpectedModelBehavior('The model gave an empty response.'))
    return ModelRequest([])


def _latest_text(ctx: AgentContext, since: int = 0) -> str | None:
    """The latest text that the model has said, from a place in the history on."""
    history = ctx.state.message_history
    for place in range(len(history) - 1, since - 1, -1):
        message = history[place]
        if isinstance(message, ModelResponse) and (text := read(message).text):
            return text
    return None


def _what_is_wanted(step: Step) -> str:
    """What a model is told that gave nothing of use."""
    schema, parameters = step.schema, step.parameters
    wanted: list[str] = []
    if schema.allows_text:
        wanted.append('return text')
    if schema.tool_defs:
        wanted[:] = ['return text or include your response in a tool call']
    elif parameters.function_tools or not schema.allows_image:
        wanted.append('call a tool')
    if schema.allows_image:
        wanted.append('return an image')
    return f'Please {" or ".join(wanted)}.'


_MORE = (
    'Increase the `max_tokens` model setting, or simplify the prompt to result in a shorter response '
    'that will fit within the limit.'
)


def _token_limit(ctx: AgentContext) -> str:
    limit = (ctx.deps.model_settings or {}).get('max_tokens') or 'provider default'
    return f'Model token limit ({limit})'


def count_retry(ctx: AgentContext, cause: BaseException, most: int | None = None) -> None:
    """Count a response that has led to a retry because of the output.

    Args:
        ctx: The run.
        cause: Why the output was refused.
        most: How many of these there may be, if an output tool says so; else as many as the agent says.

    Raises:
        IncompleteToolCall: There were too many, and the last one broke off in the middle of a call.
        UnexpectedModelBehavior: There were too many.
    """
    most = ctx.deps.max_result_retries if most is None else most
    ctx.state.retries += 1
    if ctx.state.retries <= most:
        return
    if _has_broken_call(ctx):
        raise IncompleteToolCall(
            f'{_token_limit(ctx)} exceeded while generating a tool call, resulting in incomplete arguments. {_MORE}'
        ) from cause
    told = cause.__cause__ if isinstance(cause, ToolRetryError) and cause.__cause__ is not None else cause
    raise UnexpectedModelBehavior(f'Exceeded maximum retries ({most}) for output validation') from told


def _has_broken_call(ctx: AgentContext) -> bool:
    last = next((each for each in reversed(ctx.state.message_history) if isinstance(each, ModelResponse)), None)
    if last is None or last.finish_reason != 'length' or not last.parts or not isinstance(last.parts[-1], ToolCallPart):
        return False
    try:
        last.parts[-1].args_as_dict()
    except (ValueError, AssertionError):
        return True
    return False
