"""How a run begins: what the model is told first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plait_agent._agent_graph.histories import unanswered
from plait_agent.exceptions import UserError
from plait_agent.messages import ModelRequest, ModelRequestPart, SystemPromptPart

if TYPE_CHECKING:
    from plait_agent._functions import Function
    from plait_agent.messages import ModelMessage
    from plait_agent.tools import RunContext


async def system_parts(
    prompts: Sequence[str], functions: Sequence[Function], dynamic: dict[str, Function], ctx: RunContext[Any]
) -> list[ModelRequestPart]:
    """The system prompts of a conversation that begins: the literal ones, then those of functions."""
    parts: list[ModelRequestPart] = [SystemPromptPart(prompt) for prompt in prompts]
    for function in functions:
        content = await function.text(ctx)
        reference = ref_of(function)
        is_dynamic = dynamic.get(reference) is function
        if content or is_dynamic:
            parts.append(SystemPromptPart(content or '', dynamic_ref=reference if is_dynamic else None))
    return parts


def ref_of(function: Function) -> str:
    """What a dynamic system prompt is known by in a history."""
    return getattr(function.function, '__qualname__', function.name)


async def reevaluate(messages: list[ModelMessage], dynamic: dict[str, Function], ctx: RunContext[Any]) -> None:
    """Renew the dynamic system prompts of an earlier conversation; the caller's messages stay as they are."""
    for place, message in enumerate(messages):
        if not isinstance(message, ModelRequest):
            continue
        renewed = [await _renewed(part, dynamic, ctx) for part in message.parts]
        if any(new is not old for new, old in zip(renewed, message.parts, strict=True)):
            messages[place] = replace(message, parts=renewed)


async def _renewed(part: ModelRequestPart, dynamic: dict[str, Function], ctx: RunContext[Any]) -> ModelRequestPart:
    function = dynamic.get(part.dynamic_ref or '') if isinstance(part, SystemPromptPart) else None
    if function is None or not isinstance(part, SystemPromptPart):
        return part
    return SystemPromptPart(await function.text(ctx) or '', dynamic_ref=part.dynamic_ref)


def check_new_prompt(messages: Sequence[ModelMessage]) -> None:
    """A prompt cannot come between a tool call and its return."""
    if unanswered(messages):
        raise UserError('Cannot provide a new user prompt when the message history contains unprocessed tool calls.')


def check_answers(messages: Sequence[ModelMessage]) -> None:
    """A request cannot be sent again that answers some of the calls before it and not all."""
    missing = [call.tool_call_id for call in unanswered(messages)]
    if missing:
        raise UserError(
            f'The message history ends with returns for some tool calls and none for {missing}. '
            f'Give their results with `deferred_tool_results`.'
        )


def nothing_to_ask() -> UserError:
    """What is said to who runs an agent with nothing at all."""
    return UserError('No message history, user prompt, or instructions provided')


async def instructions_of(literal: str | None, functions: Sequence[Function], ctx: RunContext[Any]) -> str | None:
    """The instructions of one request: the literal ones, then what each function gives, in blocks."""
    if not functions:
        return literal
    blocks = [literal] if literal else []
    for function in functions:
        block = await function.text(ctx)
        if block:
            blocks.append(block)
    return '\n\n'.join(blocks).strip() or None
