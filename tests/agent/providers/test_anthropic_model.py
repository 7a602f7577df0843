"""Models of Anthropic through its library, on a server that answers what it is told to."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from anthropic.lib.bedrock import AsyncAnthropicBedrock
from anthropic_parts import KEY, Server, block, closing, message, opening, text
from pydantic import BaseModel

from plait_agent import Agent, NativeOutput, models
from plait_agent.builtin_tools import FileSearchTool, MCPServerTool
from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    DocumentUrl,
    ModelRequest,
    TextPart,
    UserPromptPart,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models.anthropic import AnthropicModel, AnthropicModelSettings
from plait_agent.output import OutputObjectDefinition
from plait_agent.profiles import ModelProfile
from plait_agent.providers.anthropic import AnthropicProvider
from plait_agent.usage import RequestUsage

HELLO: list[Any] = [ModelRequest.user_text_prompt('Hello')]
NO_PARAMETERS = ModelRequestParameters()


class City(BaseModel):
    name: str
    population: int


def call(name: str, arguments: dict[str, Any], call_id: str = 'c1') -> dict[str, Any]:
    """A call of a tool."""
    return {'type': 'tool_use', 'id': call_id, 'name': name, 'input': arguments}


async def test_an_agent_talks_to_anthropic() -> None:
    """A run with a call of a tool, and its result, ends with the text."""
    server = Server(message(call('double', {'n': 2}), stop_reason='tool_use'), message(text('It is 4.')))
    agent = Agent(server.model(), instructions='Be short.')

    @agent.tool_plain
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    result = await agent.run('Double 2.')

    assert result.output == 'It is 4.'
    first, second = server.bodies
    assert (first['system'], first['stream'], first['max_tokens']) == ('Be short.', False, 16_384)
    assert first['tools'][0]['description'] == 'Double a number.'
    assert second['messages'][2]['content'] == [
        {'type': 'tool_result', 'tool_use_id': 'c1', 'content': '4', 'is_error': False}
    ]


async def test_an_agent_streams_from_anthropic() -> None:
    """The text of a streamed run is that of its stream."""
    deltas = [{'type': 'text_delta', 'text': each} for each in ('Hel', 'lo')]
    server = Server([opening(), *block(0, text(''), *deltas), *closing()])

    async with Agent(server.model()).run_stream('Hello') as stream:
        texts = [each async for each in stream.stream_text(delta=True, debounce_by=None)]

    assert ''.join(texts) == 'Hello'
    assert server.bodies[0]['stream'] is True


async def test_an_output_is_a_call_that_has_to_be_made() -> None:
    """Structured output is asked for by a tool unless something else is said."""
    server = Server(message(call('final_result', {'name': 'Lima', 'population': 1}), stop_reason='tool_use'))
    result = await Agent(server.model(), output_type=City).run('Which?')

    assert result.output == City(name='Lima', population=1)
    assert server.bodies[0]['tool_choice'] == {'type': 'any'}


async def test_a_native_output_is_bound_to_its_schema() -> None:
    """The schema is made fit for Anthropic on its way."""
    server = Server(message(text('{"name": "Lima", "population": 1}')))
    result = await Agent(server.model(), output_type=NativeOutput(City)).run('Which?')

    assert result.output == City(name='Lima', population=1)
    sent = server.bodies[0]['output_config']['format']
    assert sent['type'] == 'json_schema'
    assert sent['schema']['additionalProperties'] is False


async def test_a_type_that_anthropic_cannot_bind_is_refused_before_anything_is_sent() -> None:
    """The error says which part of the type, and what to do."""
    server = Server()
    with pytest.raises(UserError, match=r'keys that are not known beforehand.*ToolOutput'):
        await Agent(server.model(), output_type=NativeOutput(dict[str, int])).run('Which?')

    assert server.asked == []


async def test_an_error_status_is_told_with_its_body_and_without_the_key() -> None:
    """The status, what Anthropic says, and the number of the request are there for who has to find out."""
    body = {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': f'Bad key {KEY}.'}}
    with pytest.raises(ModelHTTPError) as caught:
        await Server((400, body)).model().request(HELLO, None, NO_PARAMETERS)

    error = caught.value
    assert (error.status_code, error.model_name, error.request_id) == (400, 'claude-sonnet-5', 'req_1')
    assert 'Bad key <hidden>.' in str(error)
    assert KEY not in f'{error} {error.__cause__!r} {error.__cause__}'


async def test_the_token_of_an_mcp_server_is_not_told_either() -> None:
    """What is given for somebody else is a secret as well."""
    server = MCPServerTool(id='docs', url='https://example.com', authorization_token='token-of-the-server')
    body = {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Bad token-of-the-server.'}}
    parameters = ModelRequestParameters(builtin_tools=[server])
    with pytest.raises(ModelHTTPError) as caught:
        await Server((400, body)).model().request(HELLO, None, parameters)

    assert 'token-of-the-server' not in str(caught.value)


async def test_a_server_that_cannot_be_reached_is_told() -> None:
    """A broken connection is an error of the provider."""

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError('refused')

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(refuse))
    model = AnthropicModel('claude-sonnet-5', provider=AnthropicProvider(api_key=KEY, http_client=client))
    with pytest.raises(ModelAPIError, match='refused'):
        await model.request(HELLO, None, NO_PARAMETERS)


@pytest.mark.parametrize('answer', ['a page', {'error': 'no message'}, {}])
async def test_an_answer_that_is_no_message_is_refused(answer: Any) -> None:
    """JSON of somebody else is no answer."""
    with pytest.raises(UnexpectedModelBehavior, match='is no message'):
        await Server(answer).model().request(HELLO, None, NO_PARAMETERS)


PAUSED = message(
    {'type': 'server_tool_use', 'id': 's1', 'name': 'web_search', 'input': {'query': 'q'}}, stop_reason='pause_turn'
)
RESUMED = message({'type': 'web_search_tool_result', 'tool_use_id': 's1', 'content': []}, text('Found.'))


async def test_an_answer_that_pauses_goes_on_by_itself() -> None:
    """The run sees one answer, with the usage of all."""
    server = Server(PAUSED, RESUMED)
    response = await server.model().request(HELLO, None, NO_PARAMETERS)

    assert [type(part) for part in response.parts] == [BuiltinToolCallPart, BuiltinToolReturnPart, TextPart]
    assert response.parts[1].tool_name == 'web_search'  # pyright: ignore[reportAttributeAccessIssue]
    assert server.bodies[1]['messages'][1]['role'] == 'assistant'
    assert (response.usage.input_tokens, response.finish_reason) == (20, 'stop')


async def test_an_answer_that_pauses_is_given_at_once_where_it_shall_not_go_on() -> None:
    """With a bound of 0 the program goes on itself."""
    settings = AnthropicModelSettings(anthropic_max_continuations=0)
    response = await Server(PAUSED).model().request(HELLO, settings, NO_PARAMETERS)

    assert response.finish_reason == 'length'
    assert response.provider_details == {'finish_reason': 'pause_turn'}


async def test_what_may_take_long_is_streamed() -> None:
    """Anthropic gives answers that may be long in streams alone, so a plain request becomes one."""
    server = Server([opening(), *block(0, text(''), {'type': 'text_delta', 'text': 'Long.'}), *closing()])
    settings = AnthropicModelSettings(anthropic_thinking={'type': 'enabled', 'budget_tokens': 10_000})
    response = await server.model('claude-opus-4-5', settings=settings).request(HELLO, None, NO_PARAMETERS)

    assert response.parts == [TextPart('Long.')]
    assert server.bodies[0]['stream'] is True


async def test_who_says_how_long_to_wait_is_not_given_a_stream() -> None:
    """A time-out of the program's own says that it knows how long answers take."""
    server = Server(message(text('Long.')))
    await server.model().request(HELLO, {'max_tokens': 64_000, 'timeout': 3600}, NO_PARAMETERS)

    assert server.bodies[0]['stream'] is False


async def test_tokens_are_counted_by_anthropic() -> None:
    """What is counted is the prompt, with tools and system prompt, and nothing is answered."""
    server = Server({'input_tokens': 42})
    settings = AnthropicModelSettings(max_tokens=9, temperature=0.5)
    counted = await server.model('claude-opus-4-6').count_tokens(HELLO, settings, NO_PARAMETERS)

    assert counted == RequestUsage(input_tokens=42)
    assert server.asked[0].url.path == '/v1/messages/count_tokens'
    assert server.bodies[0].keys() == {'model', 'messages'}


async def test_bedrock_cannot_count() -> None:
    """It is said before anything is sent."""
    client = AsyncAnthropicBedrock(aws_region='us-east-1', aws_access_key='i', aws_secret_key='s')
    model = AnthropicModel('claude-sonnet-5', provider=AnthropicProvider(anthropic_client=client))
    with pytest.raises(UserError, match='Bedrock cannot count'):
        await model.count_tokens(HELLO, None, NO_PARAMETERS)


@pytest.fixture
async def document() -> AsyncIterator[str]:
    """The address of a text."""
    from anyio import create_task_group, create_tcp_listener
    from anyio.abc import SocketAttribute, SocketStream

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nWords')

    async with await create_tcp_listener(local_host='127.0.0.1') as listener, create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield f'http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/a.txt'
        tasks.cancel_scope.cancel()


async def test_a_text_is_fetched_before_it_is_sent(document: str) -> None:
    """Anthropic cannot fetch texts, so they come along."""
    server = Server(message(text('Words.')))
    await server.model().request([ModelRequest([UserPromptPart([DocumentUrl(document)])])], None, NO_PARAMETERS)

    assert server.bodies[0]['messages'][0]['content'] == [
        {'type': 'document', 'source': {'type': 'text', 'media_type': 'text/plain', 'data': 'Words'}}
    ]


async def test_requests_have_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of programs can be sure that nobody is asked."""
    monkeypatch.setattr(models, 'ALLOW_MODEL_REQUESTS', False)
    with pytest.raises(RuntimeError, match='not allowed'):
        await Server().model().request(HELLO, None, NO_PARAMETERS)


async def test_built_in_tools_that_anthropic_lacks_are_refused() -> None:
    """The error names those that it has."""
    parameters = ModelRequestParameters(builtin_tools=[FileSearchTool(file_store_ids=['f'])])
    with pytest.raises(UserError, match=r'FileSearchTool.*not supported.*WebSearchTool'):
        await Server().model().request(HELLO, None, parameters)


async def test_a_plain_profile_is_enough() -> None:
    """A profile of a program's own need not know of Anthropic."""
    server = Server(message(text('Hi')))
    profile = ModelProfile(supports_json_schema_output=True)
    output = OutputObjectDefinition(json_schema={'type': 'object', 'properties': {}, 'additionalProperties': False})
    parameters = ModelRequestParameters(output_mode='native', output_object=output)
    await server.model(profile=profile).request(HELLO, None, parameters)

    assert server.bodies[0]['max_tokens'] == 4096
