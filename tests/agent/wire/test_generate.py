"""Recorded exchanges of Google's generateContent decode as expected, and are asked for as they were recorded."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from exchanges import Exchange, Player, ask, check_error, check_response, exchanges, skip_without_exchanges
from generate_reader import in_camel_case, normal, read_request
from google.auth.credentials import AnonymousCredentials

from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import BuiltinToolCallPart, ModelRequest, ModelResponse
from plait_agent.models import ModelRequestParameters
from plait_agent.models._origin import Origin
from plait_agent.models.google import GoogleModel
from plait_agent.providers.google import GoogleProvider

skip_without_exchanges()

VERSION = re.compile(r'^/v1(beta\d*)?/')
NEVER = datetime.min.replace(tzinfo=UTC)
HELLO: list[Any] = [ModelRequest.user_text_prompt('Hello')]


class Token(AnonymousCredentials):
    """Credentials that need nothing from Google."""

    def __init__(self) -> None:
        super().__init__()
        self.token = 'a token'


def model_for(exchange: Exchange, player: Player) -> GoogleModel:
    """The model that was asked, in front of what was recorded."""
    path = exchange.request['path']
    name = path.partition('models/')[2].partition(':')[0]
    if '/projects/' not in path:
        return GoogleModel(name, provider=GoogleProvider(api_key='not-a-key', http_client=player.client))
    project, location = path.partition('/projects/')[2].split('/')[0:3:2]
    provider = GoogleProvider(
        project=project, location=location, credentials=Token(), vertexai=True, http_client=player.client
    )
    return GoogleModel(name, provider=provider)


def server_tools(response: ModelResponse) -> list[str]:
    """The names by which Google calls the tools that it has run."""
    calls = [part for part in response.parts if isinstance(part, BuiltinToolCallPart)]
    told = [(call.provider_details or {}).get('tool_type') for call in calls]
    names = [name for name in told if name]
    names += ['code_execution' for call in calls if call.tool_name == 'code_execution']
    if 'grounding_metadata' in (response.provider_details or {}):
        names.append('grounding')
    if any(call.tool_name == 'web_fetch' and name is None for call, name in zip(calls, told, strict=True)):
        names.append('url_context')
    return names


def counted(response: ModelResponse) -> dict[str, int | None]:
    """The counters of Google: the results of its tools are beside the prompt, and thoughts beside the answer."""
    usage = response.usage
    thoughts = usage.details.get('thoughts_tokens', 0)
    return {
        'input_tokens': usage.input_tokens - usage.details.get('tool_use_prompt_tokens', 0),
        'output_tokens': usage.output_tokens - thoughts,
        'cache_read_tokens': usage.cache_read_tokens,
        'cache_write_tokens': usage.cache_write_tokens,
        'reasoning_tokens': thoughts,
    }


def check(exchange: Exchange, response: ModelResponse) -> None:
    """Compare an answer with what is expected of it."""
    tools, expected = server_tools(response), exchange.expected['server_tools']
    same = expected if set(tools) == set(expected) else tools  # in which order is not a matter of the answer
    check_response(exchange, response, counted(response), server_tools=same)


@pytest.mark.parametrize('exchange', exchanges('generate_content'))
async def test_an_exchange_decodes_as_expected(exchange: Exchange) -> None:
    """What Google has answered comes out as is expected of it."""
    model = model_for(exchange, Player(exchange))
    if exchange.is_error:
        with pytest.raises(ModelHTTPError) as caught:
            await ask(model, exchange, HELLO, None, ModelRequestParameters())
        # Google is one provider to those who recorded, and two for us.
        check_error(replace(exchange, provider=model.system), caught.value, model.model_name)
        return
    if 'stream_error' in exchange.expected:
        with pytest.raises(ModelAPIError, match=str(exchange.expected['stream_error'].get('type', ''))):
            await ask(model, exchange, HELLO, None, ModelRequestParameters())
        return

    check(exchange, await ask(model, exchange, HELLO, None, ModelRequestParameters()))


@pytest.mark.parametrize('exchange', exchanges('generate_content'))
async def test_a_request_is_sent_as_it_was_recorded(exchange: Exchange) -> None:
    """A recorded request, read as messages, settings and parameters, is sent as it was."""
    player = Player(exchange)
    model = model_for(exchange, player)
    origin = Origin(model.system, model.model_name)
    messages, settings, parameters = read_request(exchange.request['json'], origin)
    try:
        await ask(model, exchange, messages, settings, parameters)
    except ModelAPIError:
        assert exchange.is_error or 'stream_error' in exchange.expected

    url = player.asked[0].url
    # Which version of the API is spoken is not said by requests.
    assert VERSION.sub('/', url.raw_path.decode(), 1) == VERSION.sub('/', exchange.request['path'], 1)
    sent, recorded = player.bodies[0], exchange.request['json']
    assert normal(sent) == normal(recorded)
    assert tells_of_tools(sent) >= tells_of_tools(recorded)


def tells_of_tools(body: dict[str, Any]) -> bool:
    """Whether the calls of built-in tools are to be parts of the answer."""
    return in_camel_case(body.get('toolConfig', {})).get('includeServerSideToolInvocations', False)


# Streamed or not


def as_sse(answer: dict[str, Any]) -> list[str]:
    """An answer as the chunks that it would have been streamed in: text in pieces, whatever else as it is."""
    first, *rest = answer.get('candidates') or [None]
    if first is None:
        return _events([answer])
    pieces = [piece for part in (first.get('content') or {}).get('parts', ()) for piece in split(part)]
    chunks: list[dict[str, Any]] = [
        {'candidates': [{'content': {'role': 'model', 'parts': [piece]}, 'index': 0}]} for piece in pieces
    ]
    last = {name: value for name, value in first.items() if name != 'content'}
    return _events([*chunks, {**answer, 'candidates': [last, *rest]}])


def split(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The pieces of a part; a signature comes with the last one."""
    text = part.get('text', '')
    if len(text) < 2:
        return [part]
    kind = {name: part[name] for name in ('thought',) if name in part}
    return [{'text': text[: len(text) // 2], **kind}, {**part, 'text': text[len(text) // 2 :]}]


def _events(chunks: list[dict[str, Any]]) -> list[str]:
    return [f'data: {json.dumps(chunk)}\r\n\r\n' for chunk in chunks]


def as_answer(sse: list[str]) -> dict[str, Any]:
    """The chunks of a stream as the answer that would have come at once."""
    answer: dict[str, Any] = {}
    candidate: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    for event in re.split(r'\r?\n\r?\n', ''.join(sse)):
        if not event.strip():
            continue
        chunk = json.loads(event.strip().removeprefix('data: '))
        for each in chunk.get('candidates', ()):
            candidate |= each
            parts += (each.get('content') or {}).get('parts', ())
        answer |= chunk
    return {**answer, 'candidates': [{**candidate, 'content': {'role': 'model', 'parts': parts}}]}


def content(response: ModelResponse) -> Any:
    """What an answer says, without what is different each time it is read."""
    calls: dict[str, int] = {}
    parts: list[Any] = []
    for part in response.parts:
        call_id = getattr(part, 'tool_call_id', None)
        same: dict[str, Any] = {} if call_id is None else {'tool_call_id': calls.setdefault(call_id, len(calls))}
        if hasattr(part, 'timestamp'):
            same['timestamp'] = NEVER
        parts.append(replace(part, **same))
    return parts, response.usage, response.finish_reason, response.provider_details, response.provider_response_id


@pytest.mark.parametrize('exchange', exchanges('generate_content'))
async def test_streamed_or_not_an_answer_is_the_same(exchange: Exchange) -> None:
    """An answer that came whole is the same if it is streamed, and the other way round."""
    if exchange.is_error or 'stream_error' in exchange.expected:
        return
    recorded = exchange.response
    body = {'json': as_answer(recorded['sse'])} if exchange.is_streamed else {'sse': as_sse(recorded['json'])}
    media = 'application/json' if exchange.is_streamed else 'text/event-stream'
    other = replace(exchange, response={'status': 200, 'headers': {'content-type': media}, **body})

    responses = [
        await ask(model_for(each, Player(each)), each, HELLO, None, ModelRequestParameters())
        for each in (exchange, other)
    ]

    assert content(responses[0]) == content(responses[1])
