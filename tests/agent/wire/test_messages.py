"""Recorded exchanges of Anthropic's messages API decode as expected, and are asked for as they were recorded."""

import json
from typing import Any

import pytest
from exchanges import (
    Conversation,
    Exchange,
    Player,
    args_of,
    ask,
    check_error,
    check_response,
    check_stream_error,
    conversations,
    counters,
    exchanges,
    skip_without_exchanges,
)
from messages_reader import AT_ONCE, FIX, normal_json, read_request
from pydantic_core import to_json

from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import (
    BuiltinToolCallPart,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models.anthropic import AnthropicModel
from plait_agent.providers.anthropic import AnthropicProvider

skip_without_exchanges()

pytestmark = pytest.mark.filterwarnings(
    # Anthropic's library warns of models that were new when they were recorded.
    'ignore:The model .* is deprecated:DeprecationWarning',
    "ignore:Using Claude with .* and 'thinking.type=enabled' is deprecated:UserWarning",
)


def model_for(exchange: Exchange, player: Player) -> AnthropicModel:
    """The model of an exchange, served by a player."""
    provider = AnthropicProvider(api_key='not-a-key', http_client=player.client)
    return AnthropicModel(exchange.request['json']['model'], provider=provider)


# What may be different


def normal(body: dict[str, Any]) -> Any:
    """A request without differences that make none to Anthropic."""
    body = dict(body)
    if 'system' in body:
        body['system'] = normal_system(body['system'])
    body['messages'] = normal_turns(body['messages'])
    # To choose as it likes is what a model does unless something else is said.
    if body.get('tool_choice') == {'type': 'auto'}:
        del body['tool_choice']
    # We tell of the tools that Anthropic runs in the order of their kinds.
    body['tools'] = sorted(body.get('tools', ()), key=lambda tool: '' if 'input_schema' in tool else tool['type'])
    for server in body.get('mcp_servers', ()):
        # To be enabled is what a server is unless something else is said.
        if server.get('tool_configuration') == {'enabled': True}:
            del server['tool_configuration']
    return normal_json(body)


def normal_system(said: Any) -> list[Any]:
    """System prompts as one text: a text may stand for its block, and several are one.

    The ends of some were recorded with blanks, where there were no instructions.
    """
    blocks = [{'type': 'text', 'text': said}] if isinstance(said, str) else said
    marks = [block['cache_control'] for block in blocks if 'cache_control' in block]
    return ['\n\n'.join(block['text'] for block in blocks).strip(), *marks]


def normal_turns(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns as Anthropic puts them together: what one role says in a row is one turn."""
    joined: list[dict[str, Any]] = []
    for turn in turns:
        if not joined or joined[-1]['role'] != turn['role']:
            joined.append({'role': turn['role'], 'content': []})
        content = turn['content']
        joined[-1]['content'] += [{'type': 'text', 'text': content}] if isinstance(content, str) else content
    for turn in joined:
        turn['content'] = [normal_block(block) for block in turn['content']]
    return joined


def normal_block(block: dict[str, Any]) -> dict[str, Any]:
    """A block of which the text stands in a block of its own, and that is no error unless it says so."""
    if block['type'] != 'tool_result':
        return block
    content = block.get('content') or ''
    if isinstance(content, str):
        content = [{'type': 'text', 'text': content}]
    # We add the same request to all that has gone wrong; not all that was recorded has it.
    content = [{**each, 'text': each['text'].removesuffix(FIX)} if 'text' in each else each for each in content]
    if len(content) > 1 and all(each['type'] == 'text' for each in content):
        # A list that was returned is one text of JSON here; some that were recorded have a text for each item.
        content = [{'type': 'text', 'text': to_json([each['text'] for each in content]).decode()}]
    return {'is_error': False, **block, 'content': content}


# Tests


def server_tools(response: ModelResponse) -> list[str]:
    """The names by which Anthropic calls the tools that it has run."""
    calls = [part for part in response.parts if isinstance(part, BuiltinToolCallPart)]
    return [
        args_of(call)['tool_name']
        if call.tool_name.startswith('mcp_server:')
        else (call.provider_details or {}).get('name', call.tool_name)
        for call in calls
    ]


@pytest.mark.parametrize('exchange', exchanges('messages'))
async def test_an_exchange_decodes_as_expected(exchange: Exchange) -> None:
    """What Anthropic has answered comes out as is expected of it."""
    player = Player(exchange)
    model = model_for(exchange, player)
    messages: list[Any] = [ModelRequest.user_text_prompt('Hello')]
    settings = {'max_tokens': 1000, **AT_ONCE}
    if exchange.is_error:
        with pytest.raises(ModelHTTPError) as caught:
            await ask(model, exchange, messages, settings, ModelRequestParameters())
        check_error(exchange, caught.value, exchange.request['json']['model'])
        return
    if 'stream_error' in exchange.expected:
        with pytest.raises(ModelAPIError) as broken:
            await ask(model, exchange, messages, settings, ModelRequestParameters())
        check_stream_error(exchange, broken.value)
        return
    response = await ask(model, exchange, messages, settings, ModelRequestParameters())

    counted = counters(response.usage, reasoning='thinking_tokens')
    # The provider's own number leaves out what came from its cache or went there.
    counted['input_tokens'] = response.usage.details['input_tokens']
    refusal = (response.provider_details or {}).get('refusal')
    check_response(exchange, response, counted, server_tools=server_tools(response), refusal=refusal)
    assert response.usage.input_tokens == (
        counted['input_tokens'] + response.usage.cache_read_tokens + response.usage.cache_write_tokens
    )


@pytest.mark.parametrize('exchange', exchanges('messages'))
async def test_a_request_is_sent_as_it_was_recorded(exchange: Exchange) -> None:
    """A recorded request, read as messages, settings and parameters, is sent as it was."""
    player = Player(exchange)
    model = model_for(exchange, player)
    messages, settings, parameters = read_request(exchange.request['json'])
    try:
        await ask(model, exchange, messages, settings, parameters)
    except ModelAPIError:
        assert exchange.is_error or 'stream_error' in exchange.expected

    # Whether the address says 'beta' is up to Anthropic's library.
    assert player.asked[0].url.path == exchange.request['path'].partition('?')[0]
    assert normal(player.bodies[0]) == normal(exchange.request['json'])


@pytest.mark.parametrize('conversation', conversations('messages'))
async def test_an_answer_that_stops_in_the_middle_goes_on(conversation: Conversation) -> None:
    """The requests of a conversation that are there only since an answer has stopped are made by themselves."""
    for first, second in zip(conversation.exchanges, conversation.exchanges[1:], strict=False):
        if first.expected.get('finish_reason') != 'pause_turn':
            continue
        player = Player(first, second)
        messages, settings, parameters = read_request(first.request['json'])
        settings['anthropic_max_continuations'] = 3
        response = await ask(model_for(first, player), first, messages, settings, parameters)

        assert normal(player.bodies[1]) == normal(second.request['json'])
        assert server_tools(response) == first.expected['server_tools'] + second.expected['server_tools']
        both = (first.expected['usage'], second.expected['usage'])
        assert response.usage.output_tokens == sum(usage['output_tokens'] for usage in both)
        assert [part.content for part in response.parts if isinstance(part, TextPart)]
        assert response.finish_reason == 'stop'


# Streamed or not


def as_sse(message: dict[str, Any]) -> list[str]:
    """An answer as the events that it would have been streamed as."""
    events: list[dict[str, Any]] = []
    start = {
        **message,
        'content': [],
        'stop_reason': None,
        'stop_sequence': None,
        'stop_details': None,
        'container': None,
        'context_management': None,
    }
    events.append({'type': 'message_start', 'message': start})
    for index, block in enumerate(message['content']):
        begin, deltas = split_block(block)
        events.append({'type': 'content_block_start', 'index': index, 'content_block': begin})
        events += [{'type': 'content_block_delta', 'index': index, 'delta': delta} for delta in deltas]
        events.append({'type': 'content_block_stop', 'index': index})
    names = 'stop_reason', 'stop_sequence', 'stop_details', 'container'
    delta = {name: message[name] for name in names if name in message}
    management = message.get('context_management')
    usage = message.get('usage')
    events.append({'type': 'message_delta', 'delta': delta, 'usage': usage, 'context_management': management})
    events.append({'type': 'message_stop'})
    return [f'event: {event["type"]}\ndata: {json.dumps(event)}\n\n' for event in events]


def split_block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block begins, and the deltas that bring the rest."""
    if block['type'] == 'text':
        citations = [{'type': 'citations_delta', 'citation': each} for each in block.get('citations') or ()]
        halves = halved(block['text'])
        return {'type': 'text', 'text': ''}, [*citations, *({'type': 'text_delta', 'text': half} for half in halves)]
    if block['type'] == 'thinking':
        thoughts = [{'type': 'thinking_delta', 'thinking': half} for half in halved(block['thinking'])]
        signature = {'type': 'signature_delta', 'signature': block.get('signature') or ''}
        return {'type': 'thinking', 'thinking': '', 'signature': ''}, [*thoughts, signature]
    if block['type'] == 'compaction':
        return {**dict.fromkeys(block), 'type': 'compaction'}, [{**block, 'type': 'compaction_delta'}]
    if 'input' in block:
        halves = halved(json.dumps(block['input'])) if block['input'] else ['']
        return {**block, 'input': {}}, [{'type': 'input_json_delta', 'partial_json': half} for half in halves]
    return block, []


def halved(text: str) -> list[str]:
    """A text in two pieces."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def as_message(sse: list[str]) -> dict[str, Any]:
    """A streamed answer as the message that would have come without a stream."""
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    for raw in sse:
        event = json.loads(raw.partition('data: ')[2])
        if event['type'] == 'message_start':
            message = event['message']
        elif event['type'] == 'content_block_start':
            message['content'].append(event['content_block'])
        elif event['type'] == 'content_block_delta':
            add_delta(message['content'][event['index']], event['delta'], arguments, event['index'])
        elif event['type'] == 'message_delta':
            message |= event['delta']
            message['context_management'] = event.get('context_management')
            message['usage'] |= {name: value for name, value in (event.get('usage') or {}).items() if value is not None}
    for index, text in arguments.items():
        # What was cut off in the middle has no other form than its text.
        message['content'][index]['input'] = text if is_broken(text) else json.loads(text or '{}')
    return message


def is_broken(text: str) -> bool:
    """Whether arguments were cut off."""
    try:
        return bool(text) and json.loads(text) is None
    except ValueError:
        return True


def add_delta(block: dict[str, Any], delta: dict[str, Any], arguments: dict[int, str], index: int) -> None:
    """Add what a delta brings to its block, and keep the text of arguments until all of it is there."""
    if delta['type'] == 'text_delta':
        block['text'] += delta['text']
    elif delta['type'] == 'thinking_delta':
        block['thinking'] += delta['thinking']
    elif delta['type'] == 'signature_delta':
        block['signature'] = delta['signature']
    elif delta['type'] == 'citations_delta':
        block['citations'] = [*(block.get('citations') or ()), delta['citation']]
    elif delta['type'] == 'compaction_delta':
        block |= {name: value for name, value in delta.items() if name != 'type'}
    elif delta['type'] == 'input_json_delta':
        arguments[index] = arguments.get(index, '') + delta['partial_json']


def other_way(exchange: Exchange) -> Exchange:
    """The same answer, streamed if it was not, and whole if it was streamed."""
    said = exchange.response
    if exchange.is_streamed:
        body = {'json': as_message(said['sse'])}
    else:
        body = {'sse': as_sse(said['json'])}
    content_type = 'application/json' if exchange.is_streamed else 'text/event-stream'
    response = {'status': said['status'], 'headers': {**said['headers'], 'content-type': content_type}, **body}
    return Exchange(exchange.name, exchange.provider, exchange.request, response, exchange.expected)


def comparable(response: ModelResponse) -> ModelResponse:
    """A response without what is always different: when it came, and how the arguments of calls are written."""
    for part in response.parts:
        if isinstance(part, (ToolCallPart, BuiltinToolCallPart)):
            part.args = args_of(part)
        if hasattr(part, 'timestamp'):
            part.timestamp = None
    response.timestamp = None  # pyright: ignore[reportAttributeAccessIssue]
    return response


@pytest.mark.parametrize('exchange', exchanges('messages'))
async def test_an_answer_is_the_same_streamed_or_not(exchange: Exchange) -> None:
    """What was streamed decodes to what would have come in one go, and the other way round."""
    if exchange.is_error or 'stream_error' in exchange.expected:
        return
    settings = {'max_tokens': 1000, **AT_ONCE}
    found: list[ModelResponse] = []
    for each in (exchange, other_way(exchange)):
        model = model_for(each, Player(each))
        messages = [ModelRequest.user_text_prompt('Hello')]
        found.append(comparable(await ask(model, each, messages, settings, ModelRequestParameters())))

    assert found[0] == found[1]
