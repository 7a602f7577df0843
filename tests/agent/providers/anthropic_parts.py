"""What tests of models of Anthropic share: a server that answers what it is told to, and events of streams."""

import json
from collections.abc import Iterable
from typing import Any

import httpx2

from plait_agent.models.anthropic import AnthropicModel
from plait_agent.profiles.anthropic import AnthropicModelProfile, anthropic_model_profile
from plait_agent.providers.anthropic import AnthropicProvider

NAME = 'claude-sonnet-5'
KEY = 'sk-ant-secret-of-the-tests'


def message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An answer, as Anthropic writes it."""
    return {
        'id': 'msg_1',
        'type': 'message',
        'role': 'assistant',
        'model': 'claude-sonnet-5-20260101',
        'content': list(content),
        'stop_reason': 'end_turn',
        'stop_sequence': None,
        'usage': {'input_tokens': 10, 'output_tokens': 5},
        **fields,
    }


def text(content: str, **fields: Any) -> dict[str, Any]:
    """A block of text."""
    return {'type': 'text', 'text': content, **fields}


def opening(**usage: int) -> dict[str, Any]:
    """The event that a stream begins with."""
    return {'type': 'message_start', 'message': message(stop_reason=None, usage={'input_tokens': 10, **usage})}


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a block."""
    return [
        {'type': 'content_block_start', 'index': index, 'content_block': content},
        *({'type': 'content_block_delta', 'index': index, 'delta': delta} for delta in deltas),
        {'type': 'content_block_stop', 'index': index},
    ]


def closing(reason: str = 'end_turn', **fields: Any) -> list[dict[str, Any]]:
    """The events that a stream ends with."""
    delta = {'type': 'message_delta', 'delta': {'stop_reason': reason, **fields}, 'usage': {'output_tokens': 5}}
    return [delta, {'type': 'message_stop'}]


def sse(events: Iterable[dict[str, Any]]) -> bytes:
    """Events as they are sent."""
    return ''.join(f'event: {each["type"]}\ndata: {json.dumps(each)}\n\n' for each in events).encode()


class Server:
    """Answers in order: a list is a stream of events, all else is JSON; a status may stand before it."""

    def __init__(self, *answers: Any):
        self.asked: list[httpx2.Request] = []
        self._answers = iter(answers)
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = next(self._answers)
        status, answer = answer if isinstance(answer, tuple) else (200, answer)
        headers = {'request-id': 'req_1'}
        if isinstance(answer, list):
            return httpx2.Response(status, content=sse(answer), headers=headers | {'content-type': 'text/event-stream'})
        return httpx2.Response(status, json=answer, headers=headers)

    @property
    def bodies(self) -> list[Any]:
        """The JSON that was sent."""
        return [json.loads(request.content) for request in self.asked]

    def model(self, name: str = NAME, **fields: Any) -> AnthropicModel:
        """A model that is served here."""
        provider = AnthropicProvider(api_key=KEY, http_client=self.client)
        return AnthropicModel(name, provider=provider, **fields)


def profile_of(name: str = NAME) -> AnthropicModelProfile:
    """The profile of a model."""
    return anthropic_model_profile(name)
