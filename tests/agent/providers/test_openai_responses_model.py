"""A model in OpenAI's responses format is asked through OpenAI's library."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream
from responses_parts import KEY, ORIGIN, SAMPLES, Served, call, make_response, message, prompt

from plait_agent import Agent
from plait_agent.builtin_tools import CodeExecutionTool, WebFetchTool
from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from plait_agent.messages import ImageUrl, ModelResponse, UserPromptPart
from plait_agent.models import ModelRequestParameters, override_allow_model_requests
from plait_agent.models._openai_responses.background import wait_until_done
from plait_agent.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from plait_agent.providers.openai import OpenAIProvider
from plait_agent.testing import FAULTS, Answer, Behavior, Call, Cut, Finish, MisbehavingServer, Silence, Slow, Stall

NOTHING = ModelRequestParameters()


def refused(status: int, body: Any = None) -> httpx2.Response:
    """An error of OpenAI's."""
    said = {'error': {'message': f'Not with {KEY}', 'type': 'invalid_request_error'}} if body is None else body
    return httpx2.Response(status, headers={'x-request-id': 'req_1'}, json=said)


async def test_agent_calls_tools_until_it_has_an_answer() -> None:
    """A run with a tool sends the call back with its ids, and its return."""
    served = Served(make_response(SAMPLES['thought'], call()), make_response(message('Two')))
    agent = Agent(served.model)

    @agent.tool_plain
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    result = await agent.run('What is 1 + 1?')

    assert result.output == 'Two'
    *_, thought, called, returned = json.loads(served.asked[1].content)['input']
    assert thought == SAMPLES['thought']
    assert called == {name: value for name, value in call().items() if name != 'status'}
    assert returned == {'type': 'function_call_output', 'call_id': 'call_1', 'output': '2'}


async def test_agent_runs_the_shell_for_the_model() -> None:
    """A tool of the program with the name of OpenAI's tool answers its calls, in the form that OpenAI wants."""
    served = Served(make_response(SAMPLES['shell']), make_response(message('One file')))
    settings = OpenAIResponsesModelSettings(openai_builtin_tools=[{'type': 'shell', 'environment': {'type': 'local'}}])
    agent = Agent(served.model, model_settings=settings)

    @agent.tool_plain
    def shell(commands: list[str], timeout_ms: int) -> str:
        """Run commands."""
        return f'{commands} within {timeout_ms}'

    result = await agent.run('Which files are there?')

    assert result.output == 'One file'
    body = json.loads(served.asked[1].content)
    assert body['input'][1] == SAMPLES['shell']
    assert body['input'][2]['output'][0]['stdout'] == "['ls'] within 100"
    assert [each['type'] for each in body['tools']] == ['shell']


async def test_streamed_run_gives_the_same_as_a_plain_one() -> None:
    """Agents see the same answer, in whatever way it comes."""
    plain = await Agent(Served(make_response(SAMPLES['summaries'], message('Two'))).model).run('Hi')
    served = Served(make_response(SAMPLES['summaries'], message('Two')))
    async with Agent(served.model).run_stream('Hi') as streamed:
        assert await streamed.get_output() == plain.output

    assert [repr(part) for part in streamed.response.parts] == [repr(part) for part in plain.response.parts]


# Errors


@pytest.mark.parametrize('status', [400, 401, 404, 429, 500, 503])
async def test_status_is_an_error_without_the_key(status: int) -> None:
    """What OpenAI refuses is told with its status and the id of the request, and no key stands in it."""
    with pytest.raises(ModelHTTPError) as caught:
        await Served(refused(status)).ask()

    assert (caught.value.status_code, caught.value.request_id) == (status, 'req_1')
    assert caught.value.model_name == 'gpt-5'
    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value.body)


async def test_stream_that_is_refused_is_an_error_at_once() -> None:
    """A status comes before the stream, and so does its error."""
    with pytest.raises(ModelHTTPError, match='429'):
        await Served(refused(429)).stream()


async def test_failure_of_the_model_names_the_request() -> None:
    """A response that says it has failed is an error with the id of the request, for the provider's support."""
    failed = make_response(status='failed', error={'code': 'server_error', 'message': 'It broke'})
    with pytest.raises(ModelAPIError, match='server_error: It broke') as caught:
        await Served(failed).ask()

    assert caught.value.request_id == 'req_1'


@pytest.mark.parametrize(
    'answer',
    [
        httpx2.Response(200, headers={'content-type': 'text/html'}, content='<html>Sign in</html>'),
        httpx2.Response(200, headers={'content-type': 'application/json'}, content='{"output": ['),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json={'detail': 'ok'}),
        httpx2.Response(200, json=None),
    ],
)
async def test_answer_that_is_no_response_is_refused(answer: httpx2.Response) -> None:
    """A page of a gateway, broken JSON and other JSON are no answers."""
    with pytest.raises(UnexpectedModelBehavior):
        await Served(answer).ask()


@pytest.mark.parametrize(
    'answer',
    [
        httpx2.Response(200, json=make_response(message())),
        httpx2.Response(200, headers={'content-type': 'text/event-stream'}, content=''),
        httpx2.Response(200, headers={'content-type': 'text/event-stream'}, content='data: [DONE]\n\n'),
    ],
)
async def test_stream_without_an_answer_is_refused(answer: httpx2.Response) -> None:
    """A stream that ends without having said that it does is no answer."""
    with pytest.raises(ModelAPIError, match='ended before the answer was complete'):
        await Served(answer).stream()


async def test_stream_with_broken_json_is_refused() -> None:
    """An event that cannot be read is an error of the provider."""
    answer = httpx2.Response(200, headers={'content-type': 'text/event-stream'}, content='data: {"type": \n\n')
    with pytest.raises(UnexpectedModelBehavior, match='cannot be read'):
        await Served(answer).stream()


async def test_no_request_is_made_if_none_may_be() -> None:
    """The switch for tests holds for all ways to ask."""
    served = Served()
    with override_allow_model_requests(False):
        for asking in (served.ask(), served.stream(), served.model.count_tokens(prompt(), None, NOTHING)):
            with pytest.raises(RuntimeError, match='not allowed'):
                await asking

    assert served.asked == []


async def test_tools_that_openai_does_not_run_are_refused() -> None:
    """A built-in tool of other providers is named."""
    parameters = ModelRequestParameters(builtin_tools=[CodeExecutionTool(), WebFetchTool()])
    with pytest.raises(UserError, match='WebFetchTool'):
        await Served().ask(parameters=parameters)


# Counting, the background, files


async def test_tokens_are_counted_by_openai() -> None:
    """Only what bears on the number of tokens is sent to be counted."""
    served = Served(httpx2.Response(200, json={'object': 'response.input_tokens', 'input_tokens': 7}))
    settings: Any = {'max_tokens': 10, 'openai_store': False, 'openai_reasoning_effort': 'low'}
    usage = await served.model.count_tokens(prompt(), settings, NOTHING)

    assert usage.input_tokens == 7
    assert served.asked[0].url.path == '/v1/responses/input_tokens'
    assert json.loads(served.asked[0].content) == {
        'model': 'gpt-5',
        'input': [{'role': 'user', 'content': 'Hi'}],
        'reasoning': {'effort': 'low'},
    }


async def test_answer_in_the_background_is_asked_for_until_it_is_there() -> None:
    """A response that is still being made is retrieved again."""
    waiting = make_response(status='in_progress')
    served = Served(waiting, make_response(message('There')))
    responses = served.model.client.responses.with_raw_response
    response = await wait_until_done(responses, make_response(status='queued'), ORIGIN, first_wait=0)

    assert response == make_response(message('There'))
    assert [(each.method, each.url.path) for each in served.asked] == [('GET', '/v1/responses/resp_1')] * 2


async def test_answer_in_the_background_is_cancelled_with_its_caller() -> None:
    """Nobody pays for an answer that nobody waits for."""
    served = Served(make_response(status='cancelled'))
    responses = served.model.client.responses.with_raw_response
    with anyio.CancelScope() as scope:
        scope.cancel()
        await wait_until_done(responses, make_response(status='queued'), ORIGIN)

    assert [each.url.path for each in served.asked] == ['/v1/responses/resp_1/cancel']


async def test_answer_that_cannot_be_cancelled_hides_no_cancellation() -> None:
    """What the provider says to the end of a request is no news to who is cancelled."""
    served = Served(refused(400))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await wait_until_done(served.model.client.responses.with_raw_response, make_response(status='queued'), ORIGIN)

    assert scope.cancelled_caught


async def test_answer_in_the_background_that_is_there_at_once_is_not_asked_for_again() -> None:
    """The setting asks for an answer in the background."""
    served = Served(make_response(message('There')))

    assert (await served.ask({'openai_background': True})).text == 'There'
    assert json.loads(served.asked[0].content)['background'] is True


async def test_file_is_fetched_once_for_a_conversation() -> None:
    """A file that has to be sent as bytes is fetched with the first request that needs it, and not again."""
    fetched: list[int] = []

    async def give(stream: SocketStream) -> None:
        async with stream:
            fetched.append(len(await stream.receive()))
            await stream.send(b'HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 3\r\n\r\nabc')

    served = Served(make_response(message()), make_response(message()))
    listener = await anyio.create_tcp_listener(local_host='127.0.0.1')
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, give)
        port = listener.extra(SocketAttribute.local_port)
        messages = prompt(UserPromptPart([ImageUrl(f'http://127.0.0.1:{port}/a', force_download=True)]))
        for _ in range(2):
            await served.model.request(messages, None, NOTHING)
        group.cancel_scope.cancel()

    assert len(fetched) == 1
    for request in served.asked:
        (part,) = json.loads(request.content)['input'][0]['content']
        assert part['image_url'] == 'data:image/png;base64,YWJj'


# A real server


@asynccontextmanager
async def serving(behavior: Behavior) -> AsyncIterator[OpenAIResponsesModel]:
    """A model of a server that runs here within a block."""
    async with MisbehavingServer(behavior) as server, httpx2.AsyncClient() as client:
        provider = OpenAIProvider(base_url=f'{server.url}/v1', api_key=KEY, http_client=client)
        yield OpenAIResponsesModel('m', provider=provider)


async def take_all(model: OpenAIResponsesModel) -> ModelResponse:
    """Ask a model for a stream, and receive all of it."""
    async with model.request_stream(prompt(), None, NOTHING) as stream:
        async for _ in stream:
            pass
        return stream.get()


@pytest.mark.parametrize('finish', ['stop', 'length', 'content_filter'])
async def test_server_that_behaves_is_understood(finish: Finish) -> None:
    """Thoughts, text, calls and the end come over a real connection, streamed and not."""
    async with serving(Answer('Hello', thinking='Well', calls=(Call('add', {'a': 1}),), finish=finish)) as model:
        whole = await model.request(prompt(), None, NOTHING)
        streamed = await take_all(model)

    assert [part.part_kind for part in streamed.parts] == [part.part_kind for part in whole.parts]
    assert (whole.thinking, whole.text, whole.tool_calls[0].args_as_dict()) == ('Well', 'Hello', {'a': 1})
    assert (streamed.thinking, streamed.text) == ('Well', 'Hello')
    assert streamed.finish_reason == whole.finish_reason == finish


@pytest.mark.parametrize('fault', [each for each in FAULTS if not isinstance(each, (Silence, Stall, Slow))])
@pytest.mark.parametrize('is_streamed', [False, True])
async def test_server_that_misbehaves_is_understood_or_refused(fault: Behavior, is_streamed: bool) -> None:
    """Whatever a server does, there is an answer or an error of ours, and no key is in it."""
    told = ''
    async with serving(fault) as model:
        try:
            response = await (take_all(model) if is_streamed else model.request(prompt(), None, NOTHING))
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            told = repr(error)
        else:
            told = repr(response)

    assert KEY not in told


async def test_stream_that_is_cut_keeps_what_has_come() -> None:
    """A connection that breaks is an error, after the text that came before."""
    behavior = Cut('middle', Answer('Hello there, plait'))
    async with serving(behavior) as model, model.request_stream(prompt(), None, NOTHING) as stream:
        with pytest.raises(ModelAPIError):
            [event async for event in stream]

        assert (stream.get().text or '').startswith('Hello')


# Names and imports


def test_model_prints_no_key() -> None:
    """What is printed of a model says which it is and who serves it."""
    assert repr(Served().model) == "OpenAIResponsesModel('gpt-5', provider='openai')"


def test_library_is_imported_late() -> None:
    """OpenAI's library waits until a model of it is made."""
    code = (
        'import sys; from plait_agent import Agent; import plait_agent.models.openai as door; '
        'door.OpenAIResponsesModel; sys.exit("openai" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
