"""What an agent raises, and what tools raise to tell it something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import core_schema

    from plait_agent.messages import RetryPromptPart

__all__ = (
    'AgentRunError',
    'ApprovalRequired',
    'CallDeferred',
    'CircuitOpen',
    'ConcurrencyLimitExceeded',
    'ContentFilterError',
    'FallbackExceptionGroup',
    'IncompleteToolCall',
    'ModelAPIError',
    'ModelHTTPError',
    'ModelRetry',
    'ToolRetryError',
    'UnexpectedModelBehavior',
    'UsageLimitExceeded',
    'UserError',
)


class ModelRetry(Exception):
    """Raised by a tool, an output function or a validator to ask the model to try again.

    Args:
        message: What the model is told.
    """

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelRetry) and other.message == self.message

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        """Written as `{'message': ..., 'kind': 'model-retry'}`."""
        from pydantic_core import core_schema  # slow to import

        record = core_schema.typed_dict_schema(
            {
                'message': core_schema.typed_dict_field(core_schema.str_schema()),
                'kind': core_schema.typed_dict_field(core_schema.literal_schema(['model-retry'])),
            }
        )
        return core_schema.no_info_after_validator_function(
            lambda value: value if isinstance(value, ModelRetry) else ModelRetry(value['message']),
            core_schema.union_schema([core_schema.is_instance_schema(cls), record]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda error: {'message': error.message, 'kind': 'model-retry'}, return_schema=record
            ),
        )


class CallDeferred(Exception):
    """Raised by a tool whose result will come later, from outside of the run.

    Args:
        metadata: Goes with the call into `DeferredToolRequests.metadata`.
    """

    def __init__(self, metadata: dict[str, Any] | None = None):
        self.metadata = metadata
        super().__init__()


class ApprovalRequired(Exception):
    """Raised by a tool whose call somebody has to approve first.

    Args:
        metadata: Goes with the call into `DeferredToolRequests.metadata`.
    """

    def __init__(self, metadata: dict[str, Any] | None = None):
        self.metadata = metadata
        super().__init__()


class UserError(RuntimeError):
    """Raised when the program that uses an agent says something that cannot be."""

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)


class AgentRunError(RuntimeError):
    """The base of what goes wrong while an agent runs."""

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class UsageLimitExceeded(AgentRunError):
    """Raised when a run would use, or has used, more than its `UsageLimits` or its budget allow."""


class ConcurrencyLimitExceeded(AgentRunError):
    """Raised when more wait for a limit than it lets wait."""


class UnexpectedModelBehavior(AgentRunError):
    """Raised when a model answers with something that the run cannot go on with.

    Args:
        message: What happened.
        body: What the model sent, if that helps; indented anew if it is JSON.
    """

    def __init__(self, message: str, body: str | None = None):
        super().__init__(message)
        self.body = None if body is None else _indented(body)

    def __str__(self) -> str:
        return self.message if self.body is None else f'{self.message}, body:\n{self.body}'

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.body)


class ContentFilterError(UnexpectedModelBehavior):
    """Raised when the provider's content filter left nothing of a response."""


class IncompleteToolCall(UnexpectedModelBehavior):
    """Raised when a model ran out of tokens in the middle of a tool call."""


class ModelAPIError(AgentRunError):
    """Raised when a provider cannot be reached, or answers with an error.

    Args:
        model_name: The model that was asked.
        message: What happened.
        provider_name: Who serves the model.
        request_id: What the provider calls the request, for its support.
    """

    def __init__(
        self, model_name: str, message: str, *, provider_name: str | None = None, request_id: str | None = None
    ):
        self.model_name = model_name
        self.provider_name = provider_name
        self.request_id = request_id
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made_again(self.model_name, self.message)

    def _made_again(self, *args: Any) -> tuple[Any, ...]:
        from functools import partial

        return partial(type(self), provider_name=self.provider_name, request_id=self.request_id), args


class ModelHTTPError(ModelAPIError):
    """Raised when a provider answers with an HTTP status of 400 or above.

    Args:
        status_code: The status.
        model_name: The model that was asked.
        body: What came with it.
        provider_name: Who serves the model.
        request_id: What the provider calls the request, for its support.
    """

    def __init__(
        self,
        status_code: int,
        model_name: str,
        body: object | None = None,
        *,
        provider_name: str | None = None,
        request_id: str | None = None,
    ):
        self.status_code = status_code
        self.body = body
        origin = describe_origin(provider_name, None, request_id)
        super().__init__(
            model_name,
            f'status_code: {status_code}, model_name: {model_name}, body: {body}{origin and f", {origin}"}',
            provider_name=provider_name,
            request_id=request_id,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made_again(self.status_code, self.model_name, self.body)


class CircuitOpen(ModelAPIError):
    """Raised when a model is not asked, since its server has failed too often.

    Args:
        model_name: The model that was to be asked.
        breaker_name: The circuit breaker that is open.
        retry_in: In how many seconds somebody may try; 0 if somebody is trying just now.
    """

    def __init__(self, model_name: str, breaker_name: str, retry_in: float):
        self.breaker_name = breaker_name
        self.retry_in = retry_in
        when = f'in {retry_in:.3g} seconds' if retry_in > 0 else 'when the request that tries it now has ended'
        super().__init__(
            model_name,
            f'The circuit breaker {breaker_name!r} is open: the server has failed too often. '
            f'Ask again {when}, or ask another model, as a FallbackModel does. model_name: {model_name}',
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_name, self.breaker_name, self.retry_in)


def describe_origin(provider_name: str | None, model_name: str | None, request_id: str | None) -> str:
    """Say in an error where an answer came from, as far as it is known."""
    known = {'model_name': model_name, 'provider': provider_name, 'request_id': request_id}
    return ', '.join(f'{name}: {value}' for name, value in known.items() if value is not None)


class FallbackExceptionGroup(ExceptionGroup[Exception]):
    """What every model of a `FallbackModel` raised."""

    def derive(self, excs: Any, /) -> FallbackExceptionGroup:
        """A group of the same kind with a part of the exceptions."""
        return FallbackExceptionGroup(self.message, excs)


class ToolRetryError(Exception):
    """Tells the loop that the model is to be told of a failed call; seen as the cause of errors.

    Args:
        tool_retry: What the model is told.
    """

    def __init__(self, tool_retry: RetryPromptPart):
        self.tool_retry = tool_retry
        super().__init__(_retry_text(tool_retry))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tool_retry,)


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2)
    except ValueError:
        return body


def _retry_text(part: RetryPromptPart) -> str:
    """The errors of a retry as pydantic prints its own."""
    if isinstance(part.content, str):
        return part.content
    count = len(part.content)
    lines = [f'{count} validation error{"" if count == 1 else "s"} for {part.tool_name!r}']
    for error in part.content:
        lines.append('.'.join(str(each) for each in error['loc']))
        lines.append(f'  {error["msg"]} [type={error["type"]}, input_value={error["input"]!r}]')
    return '\n'.join(lines)
