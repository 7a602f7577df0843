"""Chat completions, as OpenAI and those who copy it say them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from plait_agent.testing._dialects._base import (
    CREATED,
    Dialect,
    Event,
    arguments_text,
    asked_model,
    call_ids,
    cut,
)
from plait_agent.testing._dialects._openai import openai_error

if TYPE_CHECKING:
    from plait_agent.testing.answers import Answer
    from plait_agent.testing.requests import ReceivedRequest

_FINISH = {'stop': 'stop', 'length': 'length', 'content_filter': 'content_filter', 'tool_call': 'tool_calls'}


@final
class OpenAIChat(Dialect):
    """Chat completions. Thinking is in `reasoning_content`, which is not OpenAI's own but that of many others."""

    name = 'openai-chat'

    def fits(self, path: str) -> bool:
        """Whether it ends as all of them do."""
        return path.endswith('/chat/completions')

    def body(self, answer: Answer, request: ReceivedRequest) -> dict[str, Any]:
        """One choice."""
        message: dict[str, Any] = {'role': 'assistant', 'content': answer.text, 'refusal': None}
        if answer.thinking is not None:
            message['reasoning_content'] = answer.thinking
        if answer.calls:
            message['tool_calls'] = [
                {'id': id, 'type': 'function', 'function': {'name': call.name, 'arguments': arguments_text(call)}}
                for id, call in call_ids(answer, request)
            ]
        choice = {'index': 0, 'message': message, 'logprobs': None, 'finish_reason': _FINISH[answer.finished]}
        return {**_top(request, 'chat.completion'), 'choices': [choice], 'usage': _usage(answer)}

    def events(self, answer: Answer, request: ReceivedRequest) -> Iterator[Event]:
        """A role, what the model says, why it ends, and what it has used if that was asked for."""
        yield _chunk(request, {'role': 'assistant', 'content': ''})
        for piece in cut(answer.thinking or '', answer.delta):
            yield _chunk(request, {'reasoning_content': piece}, has_content=True)
        for piece in cut(answer.text or '', answer.delta):
            yield _chunk(request, {'content': piece}, has_content=True)
        for index, (id, call) in enumerate(call_ids(answer, request)):
            start = {'index': index, 'id': id, 'type': 'function', 'function': {'name': call.name, 'arguments': ''}}
            yield _chunk(request, {'tool_calls': [start]}, has_content=True)
            for piece in cut(arguments_text(call), answer.delta):
                more = {'index': index, 'function': {'arguments': piece}}
                yield _chunk(request, {'tool_calls': [more]}, has_content=True)
        yield _chunk(request, {}, _FINISH[answer.finished])
        if request.find('stream_options', 'include_usage') is True:
            yield Event({**_top(request, 'chat.completion.chunk'), 'choices': [], 'usage': _usage(answer)})
        yield Event('[DONE]')

    def error(self, status: int, message: str, request: ReceivedRequest) -> dict[str, Any]:
        """As OpenAI says it."""
        return openai_error(status, message)

    def error_event(self, status: int, message: str, request: ReceivedRequest) -> Event:
        """The same error where a chunk would be."""
        return Event(openai_error(status, message))

    def unknown_event(self) -> Event:
        """A chunk without a choice."""
        return Event({'object': 'chat.completion.weather', 'choices': [], 'weather': 'sunny'})


def _top(request: ReceivedRequest, kind: str) -> dict[str, Any]:
    return {
        'id': f'chatcmpl-{request.number}',
        'object': kind,
        'created': CREATED,
        'model': asked_model(request),
        'system_fingerprint': None,
    }


def _chunk(
    request: ReceivedRequest, delta: dict[str, Any], finish_reason: str | None = None, *, has_content: bool = False
) -> Event:
    choice = {'index': 0, 'delta': delta, 'logprobs': None, 'finish_reason': finish_reason}
    data = {**_top(request, 'chat.completion.chunk'), 'choices': [choice], 'usage': None}
    return Event(data, has_content=has_content)


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        'prompt_tokens': answer.input_tokens,
        'completion_tokens': answer.output_tokens,
        'total_tokens': answer.input_tokens + answer.output_tokens,
    }
