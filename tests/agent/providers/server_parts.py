"""What tests of the misbehaving server and with it share: how each API is asked."""

import json
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class Asking:
    """How an API is asked without an SDK."""

    api: str
    path: str
    streamed_path: str
    body: dict[str, Any]

    def request(self, url: str, streamed: bool) -> httpx2.Request:
        """A request, with keys in all places where they are known to be."""
        flag = {} if self.api == 'google' else {'stream': streamed}
        keys = {'authorization': 'Bearer hush', 'x-api-key': 'hush', 'x-goog-api-key': 'hush'}
        path = self.streamed_path if streamed else self.path
        return httpx2.Request('POST', url + path, json={**self.body, **flag}, headers=keys)


_MESSAGES = [{'role': 'user', 'content': 'Hi'}]
OPENAI_CHAT = Asking(
    'openai-chat',
    '/v1/chat/completions',
    '/v1/chat/completions',
    {'model': 'm', 'messages': _MESSAGES, 'stream_options': {'include_usage': True}},
)
OPENAI_RESPONSES = Asking('openai-responses', '/v1/responses', '/v1/responses', {'model': 'm', 'input': 'Hi'})
ANTHROPIC = Asking('anthropic', '/v1/messages', '/v1/messages?beta=true', {'model': 'm', 'messages': _MESSAGES})
GOOGLE = Asking(
    'google',
    '/v1beta/models/m:generateContent',
    '/v1beta/models/m:streamGenerateContent?alt=sse',
    {'contents': [{'role': 'user', 'parts': [{'text': 'Hi'}]}]},
)
ASKING = OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GOOGLE


async def ask(url: str, asking: Asking = OPENAI_CHAT, *, streamed: bool = False) -> httpx2.Response:
    """Ask once, with a connection of its own."""
    async with httpx2.AsyncClient() as client:
        return await client.send(asking.request(url, streamed))


def read_events(body: bytes) -> list[Any]:
    """The data of all events in a plain stream of them."""
    text = body.decode().removeprefix('\ufeff').replace('\r\n', '\n')
    data = [line.removeprefix('data: ') for line in text.split('\n') if line.startswith('data: ')]
    return [each if each == '[DONE]' else json.loads(each) for each in data]
