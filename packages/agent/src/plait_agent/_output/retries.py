"""What a model is told of an answer or a call that was not right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from plait_agent.exceptions import ModelRetry
from plait_agent.messages import RetryPromptPart

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails, ValidationError


def retry_part(
    error: ValidationError | ModelRetry, *, tool_name: str | None = None, tool_call_id: str | None = None
) -> RetryPromptPart:
    """Make the part of the next request that asks the model to try again.

    Args:
        error: What was wrong.
        tool_name: The tool that was called; None if it was the text of the answer.
        tool_call_id: The call.
    """
    if isinstance(error, ModelRetry):
        content: Any = error.message
    else:
        content = [_jsonable(each) for each in error.errors(include_url=False, include_context=tool_name is None)]
    if tool_call_id is None:
        return RetryPromptPart(content, tool_name=tool_name)
    return RetryPromptPart(content, tool_name=tool_name, tool_call_id=tool_call_id)


def _jsonable(error: ErrorDetails) -> ErrorDetails:
    """An error without the exception that a validator raised, which no store of messages can hold; its text stays."""
    context = error.get('ctx', {})
    if any(isinstance(each, Exception) for each in context.values()):
        told = {key: str(each) if isinstance(each, Exception) else each for key, each in context.items()}
        return cast('ErrorDetails', {**error, 'ctx': told})
    return error
