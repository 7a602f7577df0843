"""A server of chat completions that answers what a test says, and models that ask it."""

import json
from typing import Any

import httpx2

from plait_agent.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from plait_agent.models import ModelRequestParameters
from plait_agent.models.openai import OpenAIChatModel
from plait_agent.profiles.openai import OpenAIModelProfile
from plait_agent.providers import Provider, infer_provider_class
from plait_agent.tools import ToolDefinition

KEY = 'a-key-that-nobody-may-see'
HELLO: list[ModelMessage] = [ModelRequest([UserPromptPart('Hello')])]
NO_TOOLS = ModelRequestParameters()
WEATHER = ToolDefinition(
    name='weather',
    description='Tell the weather.',
    parameters_json_schema={
        'type': 'object',
        'properties': {'city': {'type': 'string'}},
        'required': ['city'],
    },
)


def completion(message: Any = None, *, finish_reason: Any = 'stop', **more: Any) -> dict[str, Any]:
    """A whole answer."""
    said = (
        {'role': 'assistant', 'content': 'Hi!'} if message is None else {'role': 'assistant', 'content': None} | message
    )
    choice = {'index': 0, 'message': said, 'finish_reason': finish_reason}
    return {
        'id': 'answer-1',
        'object': 'chat.completion',
        'created': 1750000000,
        'model': 'model-0601',
        'choices': [choice],
    } | more


def chunk(delta: Any = None, *, finish_reason: Any = None, **more: Any) -> dict[str, Any]:
    """A piece of an answer; without a delta it has no choices."""
    choices = [] if delta is None else [{'index': 0, 'delta': delta, 'finish_reason': finish_reason}]
    frame = {'id': 'answer-1', 'object': 'chat.completion.chunk', 'created': 1750000000, 'model': 'model-0601'}
    return frame | {'choices': choices} | more


def sse(*chunks: dict[str, Any], done: bool = True) -> str:
    """A stream of chunks."""
    return ''.join(f'data: {json.dumps(each)}\n\n' for each in chunks) + ('data: [DONE]\n\n' if done else '')


class Server:
    """Answers each request with the same, and keeps what it was asked."""

    def __init__(self, answer: Any = None, *, status: int = 200):
        self.asked: list[httpx2.Request] = []
        self._answer = completion() if answer is None else answer
        self._status = status
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._respond))

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if not isinstance(self._answer, str):
            return httpx2.Response(self._status, json=self._answer)
        return httpx2.Response(self._status, text=self._answer, headers={'content-type': 'text/event-stream'})

    @property
    def body(self) -> dict[str, Any]:
        """What was sent last."""
        return json.loads(self.asked[-1].content)

    def provider(self, name: str = 'openai', **more: Any) -> Provider[Any]:
        """A provider of a name that is this server."""
        arguments: Any = {'api_key': KEY, 'http_client': self.client} | more
        return infer_provider_class(name)(**arguments)

    def model(self, name: str = 'gpt-4o', *, provider: str = 'openai', **profile: Any) -> OpenAIChatModel:
        """A model at this server, with what is said of it beside what is known by its name."""
        served = self.provider(provider)
        known = OpenAIModelProfile.from_profile(served.model_profile(name))
        return OpenAIChatModel(name, provider=served, profile=known.update(OpenAIModelProfile(**profile)))


async def whole(answer: Any, *, provider: str = 'openai', messages: Any = HELLO, **profile: Any) -> ModelResponse:
    """What a whole answer decodes to."""
    return await Server(answer).model(provider=provider, **profile).request(messages, None, NO_TOOLS)


async def streamed(body: str, *, provider: str = 'openai', **profile: Any) -> ModelResponse:
    """What a stream decodes to."""
    model = Server(body).model(provider=provider, **profile)
    async with model.request_stream(HELLO, None, NO_TOOLS) as stream:
        async for _ in stream:
            pass
        return stream.get()


async def sent(
    messages: Any = HELLO, settings: Any = None, parameters: ModelRequestParameters = NO_TOOLS, **model: Any
) -> dict[str, Any]:
    """The body of the request that asks for something."""
    server = Server()
    await server.model(**model).request(messages, settings, parameters)
    return server.body


async def sent_messages(*messages: ModelMessage, **model: Any) -> list[dict[str, Any]]:
    """The messages of a request."""
    return (await sent(list(messages), **model))['messages']
