"""What was recorded of chat completions, OpenAI's and those of others, is read and written as it was."""

import json
import re
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import pytest
from chat_chunks import as_sse, from_sse
from chat_reader import Read, read_request
from exchanges import (
    Conversation,
    Exchange,
    Player,
    ask,
    check_error,
    check_response,
    conversations,
    counters,
    decoded,
    exchanges,
    skip_without_exchanges,
)
from httpx2 import Request

from plait_agent.exceptions import ModelAPIError, ModelHTTPError
from plait_agent.messages import ModelMessage, ModelResponse, ToolCallPart
from plait_agent.models import infer_model
from plait_agent.models.openai import OpenAIChatModel
from plait_agent.profiles.openai import OpenAIModelProfile
from plait_agent.providers import infer_provider_class
from plait_agent.providers.openai import OpenAIProvider

skip_without_exchanges()

NEEDED = {
    'azure': {'azure_endpoint': 'https://example.openai.azure.com', 'api_version': '2024-12-01-preview'},
    'ollama': {'base_url': 'http://127.0.0.1:11434'},
}
"""What providers have to be told that have no address of their own."""
NO_PARAMETERS = {'type': 'object', 'properties': {}}
NO_THOUGHT = re.compile(r'<think>\n\n</think>(\n\n)?')


def make_model(exchange: Exchange, player: Player, read: Read) -> OpenAIChatModel:
    """The model that was asked, by the names of its provider and itself, and able to do what it was asked."""

    def make_provider(name: str) -> Any:
        arguments: Any = NEEDED.get(name, {})
        return infer_provider_class(name)(api_key='a-key-of-nobody', http_client=player.client, **arguments)  # type: ignore[call-arg]

    name = exchange.request['json']['model']
    model: Any = infer_model(f'{exchange.provider}:{name}', make_provider)
    # The schemas that were recorded have been made fit before.
    known = OpenAIModelProfile.from_profile(model.provider.model_profile(name))
    profile = replace(known, json_schema_transformer=None, **read.profile)
    return type(model)(name, provider=model.provider, profile=profile)


def refused_call(exchange: Exchange) -> dict[str, Any] | None:
    """The call that Groq has refused to pass on, if that is its error; it is a call here."""
    response = exchange.response.get('json') or {}
    error = exchange.expected.get('stream_error') or (response.get('error') if exchange.is_error else None) or {}
    said = error.get('failed_generation')
    return json.loads(said) if error.get('code') == 'tool_use_failed' and said else None


async def answer(exchange: Exchange, read: Read | None = None) -> ModelResponse:
    """What an exchange decodes to."""
    read = read or read_request(exchange.request['json'], exchange.provider)
    model = make_model(exchange, Player(exchange), read)
    return await ask(model, exchange, read.messages, read.settings, read.parameters)


@pytest.mark.parametrize('exchange', exchanges('chat_completions'))
async def test_recorded_response_decodes_as_expected(exchange: Exchange) -> None:
    """Text, thoughts, calls, usage, refusals and errors are those that were recorded."""
    refused = refused_call(exchange)
    if exchange.is_error and refused is None:
        with pytest.raises(ModelHTTPError) as caught:
            await answer(exchange)
        check_error(exchange, caught.value, exchange.request['json']['model'])
        return
    if 'stream_error' in exchange.expected and refused is None:
        await check_broken_stream(exchange)
        return
    response = await answer(exchange)
    replaced: dict[str, Any] = {'refusal': (response.provider_details or {}).get('refusal')}
    if refused is not None:
        call = response.parts[-1]
        assert isinstance(call, ToolCallPart)
        assert (call.tool_name, call.args_as_dict()) == (refused['name'], refused['arguments'])
        replaced['tool_calls'] = []
    if exchange.is_error:
        decoded.add(exchange.name)
        return
    check_response(exchange, response, counters(response.usage), **replaced)


async def check_broken_stream(exchange: Exchange) -> None:
    """See that an error within a stream is raised, and that what came before it is kept."""
    read = read_request(exchange.request['json'], exchange.provider)
    model = make_model(exchange, Player(exchange), read)
    async with model.request_stream(read.messages, read.settings, read.parameters) as stream:  # type: ignore[arg-type]
        with pytest.raises(ModelAPIError, match=re.escape(exchange.expected['stream_error']['message'])):
            async for _ in stream:
                pass
        response = stream.get()

    check_response(exchange, response, counters(response.usage))


# Requests


def comparable(body: dict[str, Any], provider: str) -> dict[str, Any]:
    """The body of a request without differences that mean nothing."""
    body = {name: value for name, value in body.items() if value is not None}
    # What is the default, which some libraries say and others do not.
    for name, default in (('n', 1), ('stream', False), ('tool_choice', 'auto')):
        if body.get(name) == default:
            del body[name]
    # The libraries of these providers do not ask for the usage, which is told in any case.
    if provider in ('groq', 'mistral'):
        body.pop('stream_options', None)
    # Both names are known where they differ.
    if 'max_tokens' in body:
        body['max_completion_tokens'] = body.pop('max_tokens')
    # Mistral has two words for it.
    if body.get('tool_choice') == 'any':
        body['tool_choice'] = 'required'
    body['tools'] = [_comparable_tool(tool) for tool in body.get('tools') or ()]
    # The ids of calls are our own where the provider takes only some.
    ids = {call['id']: number for number, call in enumerate(_calls(body))} if provider == 'mistral' else {}
    messages = [_comparable_message(message, ids) for message in body['messages']]
    # Answers without anything are not sent back.
    return body | {'messages': [each for each in messages if each != {'role': 'assistant'}]}


def _calls(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for message in body['messages'] for call in message.get('tool_calls') or ()]


def _comparable_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if 'function' not in tool:
        return tool
    # No description is as good as an empty one, and strict only if it is said.
    function = {name: value for name, value in tool['function'].items() if value not in ('', False)}
    return {'type': 'function', 'function': {'parameters': NO_PARAMETERS, **function}}


def _comparable_message(message: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    # Mistral's library says that a message is no beginning, and that it has no calls.
    kept = {name: value for name, value in message.items() if value is not None and value is not False and value != []}
    if message['role'] != 'user' and isinstance(kept.get('content'), list):
        kept['content'] = _comparable_chunks(kept['content'])
    elif message['role'] == 'assistant':
        kept['content'] = NO_THOUGHT.sub('', kept.get('content', ''))
    if message['role'] == 'assistant':
        # Thoughts without words are not sent back.
        kept = {name: value for name, value in kept.items() if value not in ('', [])}
        kept = {
            name: [_comparable_call(each, ids) for each in kept[name]] if name == 'tool_calls' else kept[name]
            for name in kept
        }
        for detail in kept.get('reasoning_details', ()):
            # What is nothing need not be said.
            for name in [name for name, value in detail.items() if value is None]:
                del detail[name]
    if 'tool_call_id' in kept:
        kept['tool_call_id'] = ids.get(kept['tool_call_id'], kept['tool_call_id'])
    return kept


def _comparable_chunks(chunks: list[dict[str, Any]]) -> Any:
    """Content that is a list where it may as well be a text; thoughts in one or in several chunks are the same."""
    thoughts = ''.join(each['text'] for chunk in chunks if chunk['type'] == 'thinking' for each in chunk['thinking'])
    text = '\n\n'.join(chunk['text'] for chunk in chunks if chunk['type'] == 'text')
    return [thoughts, text] if thoughts else text


def _comparable_call(call: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """A call by what its arguments say, however they are written."""
    said = call['function']
    arguments = said['arguments']
    with suppress(ValueError):
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    if isinstance(arguments, dict) and arguments.keys() == {'INVALID_JSON'}:
        arguments = arguments['INVALID_JSON']  # what was no object goes back as one
    return {'id': ids.get(call['id'], call['id']), 'name': said['name'], 'arguments': arguments}


async def send(exchange: Exchange, messages: list[ModelMessage], read: Read) -> Request:
    """Ask as it was asked when an exchange was recorded, and give what was sent."""
    player = Player(exchange)
    model = make_model(exchange, player, read)
    fails = exchange.is_error or 'stream_error' in exchange.expected
    with suppress(ModelAPIError) if fails else nullcontext():
        await ask(model, exchange, messages, read.settings, read.parameters)
    return player.asked[0]


@pytest.mark.parametrize('conversation', conversations('chat_completions'))
async def test_recorded_requests_are_sent_again(conversation: Conversation) -> None:
    """Messages, settings and parameters read from a recorded request are sent as that request."""
    for exchange in conversation.exchanges:
        sent = exchange.request['json']
        read = read_request(sent, exchange.provider)
        request = await send(exchange, read.messages, read)

        assert request.url.raw_path.decode() == exchange.request['path']
        assert comparable(json.loads(request.content), exchange.provider) == comparable(sent, exchange.provider)


@pytest.mark.parametrize('conversation', conversations('chat_completions'))
async def test_decoded_answers_go_back_as_they_were_sent_back(conversation: Conversation) -> None:
    """What an answer decoded to is in the next recorded request as it is in what is sent for it here."""
    for before, after in zip(conversation.exchanges, conversation.exchanges[1:], strict=False):
        if before.is_error or 'stream_error' in before.expected:
            continue
        sent = after.request['json']
        read = read_request(sent, after.provider)
        place = len(before.request['json']['messages'])
        if place >= len(read.messages) or not isinstance(read.messages[place], ModelResponse):
            continue
        answered = await answer(before)
        swapped = [*read.messages[:place], answered, *read.messages[place + 1 :]]
        request = await send(after, swapped, read)

        assert comparable(json.loads(request.content), after.provider) == comparable(sent, after.provider)


# Streams


@pytest.mark.parametrize('exchange', exchanges('chat_completions'))
async def test_streamed_and_whole_responses_are_the_same(exchange: Exchange) -> None:
    """A response decodes to the same whether it comes at once or piece by piece."""
    if exchange.is_error:
        return
    whole = from_sse(exchange.body.decode()) if exchange.is_streamed else exchange.response['json']
    if whole is None:
        return
    expected = await answer(as_whole(exchange, whole))
    for body in [as_sse(whole), *([exchange.body.decode()] if exchange.is_streamed else [])]:
        sent = {'status': 200, 'headers': {'content-type': 'text/event-stream'}, 'sse': [body]}
        assert await answer(replace(exchange, response=sent)) == expected


def as_whole(exchange: Exchange, whole: dict[str, Any]) -> Exchange:
    """The exchange, answered at once."""
    sent = {'status': 200, 'headers': {'content-type': 'application/json'}, 'json': whole}
    return replace(exchange, response=sent)


def test_models_are_known_by_the_names_that_were_recorded() -> None:
    """Each provider that was recorded has a class of its own, and says what its models can do."""
    for parameter in exchanges('chat_completions'):
        exchange: Exchange = parameter.values[0]
        read = read_request(exchange.request['json'], exchange.provider)
        model = make_model(exchange, Player(exchange), read)

        assert model.system == exchange.provider
        assert (type(model.provider) is OpenAIProvider) == (exchange.provider == 'openai')
