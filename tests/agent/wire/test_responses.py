"""What was recorded of OpenAI's responses format is read and written as it was."""

import json
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import pytest
from exchanges import (
    Conversation,
    Exchange,
    Player,
    ask,
    check_error,
    check_response,
    check_stream_error,
    conversations,
    counters,
    exchanges,
    skip_without_exchanges,
)
from httpx2 import Request
from openai import AsyncOpenAI
from responses_events import as_sse, from_sse
from responses_reader import Read, read_request

from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import BuiltinToolCallPart, BuiltinToolReturnPart, ModelRequest, ModelResponse, ThinkingPart
from plait_agent.models import ModelRequestParameters, StreamedResponse
from plait_agent.models._openai_responses.kept_items import type_of_kept
from plait_agent.models._openai_responses.server_items import read_args, type_of_call
from plait_agent.models.openai import OpenAIResponsesModel
from plait_agent.profiles.openai import OpenAIModelProfile
from plait_agent.providers.openai import OpenAIProvider

skip_without_exchanges()

_BASE_URLS = {'openai': 'https://api.openai.com/v1', 'deepseek': 'https://api.deepseek.com'}


class Served(OpenAIProvider):
    """A provider by the name that was recorded."""

    def __init__(self, name: str, client: AsyncOpenAI):
        super().__init__(openai_client=client)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def model_profile(self, model_name: str) -> Any:
        return super().model_profile(model_name) if self._name == 'openai' else OpenAIModelProfile()


def make_model(exchange: Exchange, player: Player) -> OpenAIResponsesModel:
    """The model that was asked."""
    client = AsyncOpenAI(
        api_key='a-key-of-nobody',
        base_url=_BASE_URLS.get(exchange.provider, 'https://models.example.com/v1'),
        http_client=player.client,
        max_retries=0,
    )
    return OpenAIResponsesModel(exchange.request['json']['model'], provider=Served(exchange.provider, client))


async def answer(exchange: Exchange) -> ModelResponse:
    """What an exchange decodes to, whatever was asked."""
    hello = [ModelRequest.user_text_prompt('Hello')]
    return await ask(make_model(exchange, Player(exchange)), exchange, hello, None, ModelRequestParameters())


def server_tools(response: ModelResponse) -> list[str]:
    """The items of tools that the provider ran, without others that are kept, such as a compaction."""
    calls = [part for part in response.parts if isinstance(part, BuiltinToolCallPart)]
    kinds = [type_of_kept(part) or type_of_call(part.tool_name, read_args(part)) or '' for part in calls]
    return [kind for kind in kinds if kind.endswith('_call') or kind.startswith('mcp_')]


@pytest.mark.parametrize('exchange', exchanges('responses'))
async def test_recorded_response_decodes_as_expected(exchange: Exchange) -> None:
    """Text, thoughts, calls, tools of the provider, usage, refusals and errors are those that were recorded."""
    if exchange.is_error:
        with pytest.raises(ModelHTTPError) as caught:
            await answer(exchange)
        check_error(exchange, caught.value, exchange.request['json']['model'])
        return
    if 'stream_error' in exchange.expected:
        with pytest.raises(ModelAPIError) as broken:
            await answer(exchange)
        check_stream_error(exchange, broken.value)
        return
    response = await answer(exchange)
    refusal = (response.provider_details or {}).get('refusal')

    check_response(exchange, response, counters(response.usage), server_tools=server_tools(response), refusal=refusal)


# Requests


def _without_null(value: Any) -> Any:
    """Arguments of null are left out here: to say nothing and to say null is the same to OpenAI."""
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


_EMPTY = '', '<think>\n\n</think>'


def _without_empty_texts(items: list[Any]) -> list[Any]:
    """An empty text of the model beside its calls says nothing, as an empty thought does, and is not sent here."""
    return [item for item in items if item.get('role') != 'assistant' or item['content'] not in _EMPTY]


def comparable(body: Any) -> Any:
    """The body of a request without differences that mean nothing."""
    body = _without_null(body)
    # The oldest recordings leave out what is the default.
    body.setdefault('stream', False)
    # Tools that no class of ours can say whole come behind those that one can.
    tools = sorted(body.get('tools', ()), key=lambda tool: tool['type'])
    return body | {'input': _without_empty_texts(body['input']), 'tools': tools}


async def take_all(opening: AbstractAsyncContextManager[StreamedResponse]) -> None:
    """Receive a whole answer."""
    async with opening as stream:
        async for _ in stream:
            pass


async def send(exchange: Exchange, messages: list[Any], read: Read) -> Request:
    """Ask as it was asked when an exchange was recorded, and give what was sent."""
    player = Player(exchange)
    model = make_model(exchange, player)
    asked = {'messages': messages, 'model_settings': read.settings, 'model_request_parameters': read.parameters}
    fails = exchange.is_error or 'stream_error' in exchange.expected
    with suppress(ModelAPIError) if fails else nullcontext():
        if exchange.request['json'].get('stream'):
            await take_all(model.request_stream(**asked))
        else:
            await model.request(**asked)
    return player.asked[0]


@pytest.mark.parametrize('conversation', conversations('responses'))
async def test_recorded_requests_are_sent_again(conversation: Conversation) -> None:
    """Messages, settings and parameters read from a recorded request are sent as that request."""
    for exchange in conversation.exchanges:
        sent = exchange.request['json']
        read = read_request(sent, exchange.provider)
        request = await send(exchange, read.messages, read)

        assert request.url.path == exchange.request['path']
        assert comparable(json.loads(request.content)) == comparable(sent)


@pytest.mark.parametrize('conversation', conversations('responses'))
async def test_decoded_answers_go_back_as_they_were_sent_back(conversation: Conversation) -> None:
    """What an answer decoded to is in the next recorded request as it is in what is sent for it here."""
    for before, after in zip(conversation.exchanges, conversation.exchanges[1:], strict=False):
        sent = after.request['json']
        fails = before.is_error or 'stream_error' in before.expected
        answered = None if fails else await answer(before)
        if answered is None or 'previous_response_id' in _without_null(sent):
            continue
        read = read_request(sent, after.provider)
        swapped = _swap_answer(read, answered)
        if swapped is None:
            continue
        request = await send(after, swapped, read)

        assert comparable(json.loads(request.content)) == comparable(sent)


def _swap_answer(read: Read, answered: ModelResponse) -> list[Any] | None:
    """The messages with an answer as it was decoded in the place of the answer that was read, if it was sent whole."""
    last = max((at for at, each in enumerate(read.messages) if isinstance(each, ModelResponse)), default=None)
    if last is None or _ids(read.messages[last]) != _ids(answered):
        return None
    return [*read.messages[:last], answered, *read.messages[last + 1 :]]


def _ids(response: ModelResponse) -> list[Any]:
    return [getattr(part, 'tool_call_id', None) or getattr(part, 'id', None) for part in response.parts]


# Streams


def without_times(response: ModelResponse) -> ModelResponse:
    """A response whose returns of tools have no time, which is that of their decoding."""
    parts = [
        replace(part, timestamp=response.timestamp) if isinstance(part, BuiltinToolReturnPart) else part
        for part in response.parts
    ]
    return replace(response, parts=parts)


def without_signatures(response: ModelResponse) -> ModelResponse:
    """A response whose thoughts have no signature: OpenAI encrypts them anew for the last event of a stream."""
    parts = [replace(part, signature=None) if isinstance(part, ThinkingPart) else part for part in response.parts]
    return replace(without_times(response), parts=without_times(replace(response, parts=parts)).parts)


@pytest.mark.parametrize('exchange', exchanges('responses'))
async def test_streamed_and_whole_responses_are_the_same(exchange: Exchange) -> None:
    """A response decodes to the same whether it comes at once or piece by piece."""
    if exchange.is_error or 'stream_error' in exchange.expected:
        return
    whole = from_sse(exchange.body.decode()) if exchange.is_streamed else exchange.response['json']
    if whole is None:
        return
    streams = [exchange.body.decode()] if exchange.is_streamed else []
    sent = {'status': 200, 'headers': {'content-type': 'application/json'}, 'json': whole}
    expected = await answer(replace(exchange, response=sent))
    for body in [as_sse(whole), *streams]:
        headers = {'content-type': 'text/event-stream'}
        found = await answer(replace(exchange, response={'status': 200, 'headers': headers, 'sse': [body]}))

        assert without_signatures(found) == without_signatures(expected)
