"""A Google that answers what a test says."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from plait_agent.messages import ModelResponse, ModelResponseStreamEvent
from plait_agent.models import ModelRequestParameters
from plait_agent.models.google import GoogleModel
from plait_agent.providers.google import GoogleProvider
from plait_agent.tools import ToolDefinition

Json = dict[str, Any]

KEY = 'a-key-that-nobody-may-see'
TOOL = ToolDefinition(
    name='weather',
    description='Tell the weather.',
    parameters_json_schema={'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']},
)
EVENTS = {'content-type': 'text/event-stream'}


def answer(*parts: Json, finish: str | None = 'STOP', **more: Any) -> Json:
    """An answer of Google."""
    candidate = {'content': {'role': 'model', 'parts': list(parts)}, 'index': 0, **more}
    said = candidate if finish is None else {**candidate, 'finishReason': finish}
    counted = {'promptTokenCount': 3, 'candidatesTokenCount': 2, 'totalTokenCount': 5}
    return {'candidates': [said], 'usageMetadata': counted, 'modelVersion': 'gemini-x-001', 'responseId': 'id-1'}


def sse(*chunks: Json) -> bytes:
    """Chunks as Google streams them."""
    return ''.join(f'data: {json.dumps(chunk)}\r\n\r\n' for chunk in chunks).encode()


class Google:
    """Google, which gives its answers in order and keeps what it was asked."""

    def __init__(self, *answers: Any, status: int = 200):
        self.asked: list[httpx2.Request] = []
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self._answers = list(answers)
        self._status = status

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        said = self._answers.pop(0)
        if isinstance(said, bytes):
            return httpx2.Response(self._status, headers=EVENTS, content=said)
        return httpx2.Response(self._status, json=said)

    @property
    def body(self) -> Json:
        """The last request."""
        return json.loads(self.asked[-1].content)

    def model(self, name: str = 'gemini-2.5-flash', **options: Any) -> GoogleModel:
        """A model of it."""
        return GoogleModel(name, provider=GoogleProvider(api_key=KEY, http_client=self.http, **options))


async def asked(
    messages: list[Any],
    settings: Any = None,
    parameters: ModelRequestParameters | None = None,
    *,
    name: str = 'gemini-2.5-flash',
    **options: Any,
) -> Json:
    """The body of the request that asks this."""
    google = Google(answer({'text': 'Yes.'}))
    await google.model(name, **options).request(messages, settings, parameters or ModelRequestParameters())
    return google.body


async def streamed(
    google: Google, *, name: str = 'gemini-2.5-flash'
) -> tuple[list[ModelResponseStreamEvent], ModelResponse]:
    """The events of a streamed answer, and the answer."""
    from plait_agent.messages import ModelRequest

    messages: list[Any] = [ModelRequest.user_text_prompt('Hello')]
    async with google.model(name).request_stream(messages, None, ModelRequestParameters()) as stream:
        events = [event async for event in stream]
        return events, stream.get()


class Body(httpx2.AsyncByteStream):
    """The body of an answer that knows whether it was closed."""

    def __init__(self, *pieces: bytes):
        self.pieces = list(pieces)
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.pieces and not self.is_closed:
            yield self.pieces.pop(0)

    async def aclose(self) -> None:
        """Close it."""
        self.is_closed = True
