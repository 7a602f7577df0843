"""Real exchanges with providers, recorded once: found, played to the providers' libraries, and compared with.

They are not in the repository: `PLAIT_WIRE` names their folder; without it they are looked for beside the repository.
Each file is a conversation; its exchanges have a request, a response, and what the response should decode to.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import BaseToolCallPart, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from plait_agent.models import Model
from plait_agent.usage import RequestUsage

FOLDER = Path(os.environ.get('PLAIT_WIRE') or Path(__file__).parents[4] / 'shared/data/wire')

decoded: set[str] = set()
"""The exchanges that have decoded as expected in this run; the summary counts them."""


@dataclass(frozen=True)
class Exchange:
    """One request and what came back."""

    name: str
    provider: str
    request: dict[str, Any]
    """`method`, `path` and `json`."""
    response: dict[str, Any]
    """`status`, `headers`, and one of `json`, `sse` and `text`."""
    expected: dict[str, Any]
    """What it should decode to."""
    features: list[str] = field(default_factory=list[str])

    @property
    def is_streamed(self) -> bool:
        """Whether the answer was asked for as a stream."""
        return 'sse' in self.response

    @property
    def is_error(self) -> bool:
        """Whether the answer is an error status."""
        return self.response['status'] >= 400

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        said = self.response
        text = json.dumps(said['json']) if 'json' in said else ''.join(said['sse']) if 'sse' in said else said['text']
        return text.encode()


@dataclass(frozen=True)
class Conversation:
    """A file: exchanges that follow one another."""

    name: str
    provider: str
    api: str
    exchanges: list[Exchange]


@cache
def load_all() -> tuple[Conversation, ...]:
    """All conversations.

    Raises:
        FileNotFoundError: They are not there, and this is CI, which has them.
    """
    files = sorted(FOLDER.glob('*/*.json'))
    if not files and os.environ.get('CI') == 'true':
        raise FileNotFoundError(
            f'CI tests the recorded exchanges, and {FOLDER} has none. PLAIT_WIRE names their folder.'
        )
    return tuple(_read(file) for file in files)


def _read(file: Path) -> Conversation:
    said = json.loads(file.read_text())
    name = f'{file.parent.name}/{file.stem}'
    exchanges = [
        Exchange(
            f'{name}[{number}]',
            said['provider'],
            each['request'],
            each['response'],
            each['expected'],
            each.get('features', []),
        )
        for number, each in enumerate(said['exchanges'])
    ]
    return Conversation(name, said['provider'], said['api'], exchanges)


def skip_without_exchanges() -> None:
    """Leave a module of tests out, in one line, where the exchanges are not at hand; they are not in the repository."""
    if not load_all():
        pytest.skip(
            f'The recorded exchanges are not in {FOLDER} (PLAIT_WIRE names their folder)', allow_module_level=True
        )


def conversations(api: str) -> list[Any]:
    """The conversations of an API, as parameters of a test."""
    return [pytest.param(each, id=each.name) for each in load_all() if each.api == api]


def exchanges(api: str) -> list[Any]:
    """The exchanges of an API, as parameters of a test."""
    return [
        pytest.param(exchange, id=exchange.name)
        for each in load_all()
        if each.api == api
        for exchange in each.exchanges
    ]


class Player:
    """An HTTP client that answers what was recorded, in order, and keeps what it was asked."""

    def __init__(self, *played: Exchange):
        self.asked: list[httpx2.Request] = []
        self._left: Iterator[Exchange] = iter(played)
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        exchange = next(self._left)
        return httpx2.Response(exchange.response['status'], headers=exchange.response['headers'], content=exchange.body)

    @property
    def bodies(self) -> list[Any]:
        """The JSON that was sent, request by request."""
        return [json.loads(request.content) for request in self.asked]


async def ask(model: Model, exchange: Exchange, messages: Any, settings: Any, parameters: Any) -> ModelResponse:
    """Ask a model as it was asked when the exchange was recorded: for a stream, or for the whole answer."""
    if not exchange.is_streamed:
        return await model.request(messages, settings, parameters)
    async with model.request_stream(messages, settings, parameters) as stream:
        async for _ in stream:
            pass
        return stream.get()


# What was expected


def check_response(exchange: Exchange, response: ModelResponse, usage: dict[str, int | None], **replaced: Any) -> None:
    """Compare a response with what is expected of an exchange, and count it.

    Args:
        exchange: The exchange.
        response: What it was decoded to.
        usage: The counters of the response's usage, as the provider counts them: `input_tokens`, `output_tokens`,
            `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`.
        replaced: What is compared beside or in the place of what any response says: `server_tools` and `refusal`, and
            what an API tells otherwise.
    """
    expected = exchange.expected
    found = {
        'text': _joined(response, TextPart),
        'thinking': _joined(response, ThinkingPart),
        'tool_calls': [
            {'id': part.tool_call_id, 'name': part.tool_name, 'args': args_of(part)}
            for part in response.parts
            if isinstance(part, ToolCallPart)
        ],
        'finish_reason': (response.provider_details or {}).get('finish_reason'),
        'model': response.model_name,
        'response_id': response.provider_response_id,
    } | replaced
    wanted = {name: expected[name] for name in found}
    if all(call['id'] is None for call in wanted['tool_calls']):
        # The provider gives no ids, and each call has got one of ours.
        found['tool_calls'] = [call | {'id': None} for call in found['tool_calls']]
    assert found == wanted
    check_usage(exchange, usage)
    decoded.add(exchange.name)


def args_of(part: BaseToolCallPart) -> Any:
    """The arguments of a call, or their text if they were cut off."""
    try:
        return part.args_as_dict()
    except (ValueError, AssertionError):
        return part.args


def check_usage(exchange: Exchange, usage: dict[str, int | None]) -> None:
    """Compare counters; what the provider has not told counts as nothing."""
    expected = exchange.expected['usage'] or {}
    assert {name: usage[name] or 0 for name in usage} == {name: expected.get(name) or 0 for name in usage}


def counters(usage: RequestUsage, *, reasoning: str = 'reasoning_tokens') -> dict[str, int | None]:
    """The counters of a usage by the names that the exchanges have."""
    return {
        'input_tokens': usage.input_tokens,
        'output_tokens': usage.output_tokens,
        'cache_read_tokens': usage.cache_read_tokens,
        'cache_write_tokens': usage.cache_write_tokens,
        'reasoning_tokens': usage.details.get(reasoning, 0),
    }


def check_error(exchange: Exchange, error: ModelHTTPError, model_name: str) -> None:
    """Compare an error with what is expected of an exchange, and count it."""
    wanted = exchange.expected['error']
    assert error.status_code == wanted['status']
    assert error.model_name == model_name
    assert error.provider_name == exchange.provider
    assert error.request_id == next(
        value for name, value in exchange.response['headers'].items() if name.endswith('request-id')
    )
    # In the text of an error the quotes of a body may be escaped.
    assert wanted['message'] in str(error) or wanted['message'] in _texts(error.body)
    decoded.add(exchange.name)


def check_stream_error(exchange: Exchange, error: ModelAPIError) -> None:
    """Compare the error that a stream has told of with what is expected of an exchange, and count it."""
    wanted = exchange.expected['stream_error']
    message = wanted.get('message') if isinstance(wanted, dict) else wanted
    assert str(message) in str(error) or message in _texts(getattr(error, 'body', None))
    decoded.add(exchange.name)


def _texts(body: Any) -> list[str]:
    """All texts within a body."""
    if isinstance(body, str):
        return [body]
    within = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return [text for each in within for text in _texts(each)]


def _joined(response: ModelResponse, kind: type[TextPart | ThinkingPart]) -> str:
    return ''.join(part.content for part in response.parts if isinstance(part, kind))
