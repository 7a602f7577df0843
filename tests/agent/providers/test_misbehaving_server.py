import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx2
import pytest
from server_parts import ANTHROPIC, ASKING, OPENAI_CHAT, OPENAI_RESPONSES, Asking, ask, read_events

from plait_agent.exceptions import UserError
from plait_agent.testing import (
    FAULTS,
    Answer,
    Behavior,
    Call,
    Cut,
    Disconnect,
    ErrorEvent,
    Framing,
    Garbled,
    HttpError,
    MisbehavingServer,
    Newer,
    Noise,
    Raw,
    ReceivedRequest,
    Redirect,
    Silence,
    Slow,
    Stall,
    WrongType,
    chaos,
    refusing_url,
)

FULL = Answer('Grüße ☂', thinking='Let me think.', calls=(Call('add', {'a': 1}, 'c1'), Call('now', {}, 'c2')))
each_api = pytest.mark.parametrize('asking', ASKING, ids=lambda asking: asking.api)
whole_and_streamed = pytest.mark.parametrize('streamed', [False, True], ids=['whole', 'streamed'])


def told(asking: Asking, answer: Any) -> dict[str, Any]:
    """What an answer that was not streamed says, in words of no provider."""
    if asking is OPENAI_CHAT:
        message = answer['choices'][0]['message']
        calls = [call['function'] for call in message['tool_calls']]
        return {
            'text': message['content'],
            'thinking': message['reasoning_content'],
            'calls': [(call['name'], json.loads(call['arguments'])) for call in calls],
        }
    if asking is OPENAI_RESPONSES:
        reasoning, message, *calls = answer['output']
        return {
            'text': message['content'][0]['text'],
            'thinking': reasoning['summary'][0]['text'],
            'calls': [(call['name'], json.loads(call['arguments'])) for call in calls],
        }
    if asking is ANTHROPIC:
        thinking, text, *calls = answer['content']
        return {
            'text': text['text'],
            'thinking': thinking['thinking'],
            'calls': [(call['name'], call['input']) for call in calls],
        }
    thought, text, *parts = answer['candidates'][0]['content']['parts']
    calls = [part['functionCall'] for part in parts]
    return {
        'text': text['text'],
        'thinking': thought['text'],
        'calls': [(call['name'], call['args']) for call in calls],
    }


@each_api
async def test_an_answer_is_said_in_the_words_of_the_api_that_was_asked(asking: Asking):
    """Text, thinking and calls are where each API has them."""
    async with MisbehavingServer(FULL) as server:
        response = await ask(server.url, asking)

    assert told(asking, response.json()) == {
        'text': 'Grüße ☂',
        'thinking': 'Let me think.',
        'calls': [('add', {'a': 1}), ('now', {})],
    }


def gathered(asking: Asking, events: list[Any]) -> tuple[str, str]:
    """All text of a stream, and the arguments of its first call."""
    if asking is OPENAI_CHAT:
        deltas = [choice['delta'] for event in events[:-1] for choice in event['choices']]
        calls = [call for delta in deltas for call in delta.get('tool_calls', ())]
        arguments = ''.join(call['function']['arguments'] for call in calls if call['index'] == 0)
        return ''.join(delta.get('content', '') for delta in deltas), arguments
    if asking is OPENAI_RESPONSES:
        kinds = 'response.output_text.delta', 'response.function_call_arguments.delta'
        text, arguments = (
            ''.join(event['delta'] for event in events if event['type'] == kind and event['output_index'] < 3)
            for kind in kinds
        )
        return text, arguments
    if asking is ANTHROPIC:
        deltas = [event['delta'] for event in events if event['type'] == 'content_block_delta' and event['index'] < 3]
        text = ''.join(delta['text'] for delta in deltas if delta['type'] == 'text_delta')
        return text, ''.join(delta['partial_json'] for delta in deltas if delta['type'] == 'input_json_delta')
    parts = [part for event in events for part in event['candidates'][0]['content']['parts']]
    first = next(part['functionCall']['args'] for part in parts if 'functionCall' in part)
    return ''.join(part['text'] for part in parts if 'text' in part and 'thought' not in part), json.dumps(first)


@each_api
async def test_a_stream_says_the_same_piece_by_piece(asking: Asking):
    """The pieces of a stream add up to what the whole answer has."""
    async with MisbehavingServer(FULL) as server:
        response = await ask(server.url, asking, streamed=True)

    events = read_events(response.content)
    text, arguments = gathered(asking, events)
    assert (text, json.loads(arguments)) == ('Grüße ☂', {'a': 1})
    assert response.headers['content-type'].startswith('text/event-stream')
    assert len(events) > 5


async def test_framing_changes_the_bytes_and_not_the_events():
    """Comments, other line ends, a byte order mark and torn packets leave the same events."""
    strange = Framing(newline='\r\n', comments=True, bom=True, packet=3)
    async with MisbehavingServer([Answer('Grüße ☂'), Answer('Grüße ☂', framing=strange)]) as server:
        plain, framed = [await ask(server.url, ANTHROPIC, streamed=True) for _ in range(2)]

    assert [event.get('delta') for event in read_events(framed.content)] == [
        event.get('delta') for event in read_events(plain.content)
    ]
    assert framed.content.startswith(b'\xef\xbb\xbf: still there\r\n')


async def test_arguments_come_in_as_many_pieces_as_wanted():
    """With a delta of one character a call is split over hundreds of events."""
    answer = Answer(calls=(Call('write', {'text': 'x' * 300}),), delta=1)
    async with MisbehavingServer(answer) as server:
        response = await ask(server.url, OPENAI_CHAT, streamed=True)

    text, arguments = gathered(OPENAI_CHAT, read_events(response.content))
    assert (text, json.loads(arguments)) == ('', {'text': 'x' * 300})
    assert len(read_events(response.content)) > 300


async def test_requests_are_recorded_without_keys():
    """Method, path and body are there; no key is, wherever it was sent."""
    async with MisbehavingServer(Answer('Hi')) as server, httpx2.AsyncClient() as client:
        await client.send(OPENAI_CHAT.request(server.url, True))
        await client.post(f'{server.url}/v1beta/models/gem:generateContent?alt=json&key=hush', json={'contents': []})

    first, second = server.requests
    assert (first.number, first.method, first.path, first.api) == (1, 'POST', '/v1/chat/completions', 'openai-chat')
    assert first.is_streamed
    assert first.find('messages') == [{'role': 'user', 'content': 'Hi'}]
    assert first.headers['authorization'] == first.headers['x-goog-api-key'] == '<hidden>'
    assert second.path == '/v1beta/models/gem:generateContent?alt=json&key=<hidden>'
    assert 'hush' not in repr([vars(request) for request in server.requests])


async def test_a_script_is_followed_request_by_request():
    """Each behaviour is for one request; what comes after the last one is told so, and is no error to try again."""
    async with MisbehavingServer([HttpError(503), Answer('Hi')]) as server:
        statuses = [(await ask(server.url)).status_code for _ in range(2)]
        late = await ask(server.url)

    assert statuses == [503, 200]
    assert late.status_code == 501
    assert 'request 3, POST /v1/chat/completions: The script has ended' in late.text


async def test_a_script_can_be_a_function_of_the_request():
    """The function sees the request, and its error is told to the client."""

    def script(request: ReceivedRequest) -> Behavior:
        if request.is_streamed:
            raise LookupError('no streams here')
        return Answer(f'You asked {request.find("model")}.')

    async with MisbehavingServer(script) as server:
        good, bad = await ask(server.url), await ask(server.url, streamed=True)

    assert good.json()['choices'][0]['message']['content'] == 'You asked m.'
    assert bad.status_code == 501
    assert "The script has failed: LookupError('no streams here')" in bad.json()['error']['message']


@pytest.mark.parametrize(
    ('path', 'field'),
    [
        ('/v1/responses/input_tokens', 'input_tokens'),
        ('/v1/messages/count_tokens?beta=true', 'input_tokens'),
        ('/v1beta/models/m:countTokens', 'totalTokens'),
    ],
)
async def test_tokens_are_counted(path: str, field: str):
    """Where an API counts tokens, the number of the answer is given, and faults are as elsewhere."""
    script = [Answer(input_tokens=321), HttpError(429)]
    async with MisbehavingServer(script) as server, httpx2.AsyncClient() as client:
        counted, refused = [await client.post(server.url + path, json={}) for _ in script]

    assert counted.json() == {field: 321}
    assert refused.status_code == 429


async def test_a_path_of_no_api_is_named():
    """Who asks for something unknown is told what there is."""
    async with MisbehavingServer(Answer('Hi')) as server, httpx2.AsyncClient() as client:
        response = await client.get(f'{server.url}/v1/models')

    assert response.status_code == 501
    assert 'GET /v1/models: No API has this path. There are openai-chat' in response.json()['error']['message']


@pytest.mark.parametrize('script', ['Hello', [Answer('Hi'), 'Hello'], 7])
def test_a_script_that_is_none_is_refused_where_it_is_written(script: Any):
    """Text and numbers are no behaviours."""
    with pytest.raises(UserError, match=r'which is no behaviour\. Give records such as'):
        MisbehavingServer(script)


@pytest.mark.parametrize(
    ('make', 'told'),
    [
        (lambda: Answer('Hi', delta=0), 'delta=0'),
        (lambda: Answer(calls=Call('add')), 'Give a row of them'),  # type: ignore[arg-type]
        (lambda: Call('add', {'a': object()}), r"Call\('add'\) has arguments that are no JSON"),
        (lambda: Framing(packet=-1), 'packet=-1'),
        (lambda: HttpError(99), r'status=99\. Give a number from 200'),
        (lambda: Raw(status=600), 'status=600'),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_where_it_is_written(make: Callable[[], Any], told: str):
    """The mistake does not show in the client."""
    with pytest.raises(UserError, match=told):
        make()


@each_api
@whole_and_streamed
async def test_a_cut_ends_an_answer_where_it_is_told_to(asking: Asking, streamed: bool):
    """A later place leaves more of the answer, and none leaves all of it."""
    places = ['start', 'content', 'middle', 'end']
    script = [*(Cut(place, cleanly=True) for place in places), Answer('Hello from a server that misbehaves.')]
    async with MisbehavingServer(script) as server:
        *parts, whole = [(await ask(server.url, asking, streamed=streamed)).content for _ in script]

    lengths = [len(part) for part in parts]
    assert lengths[0] == 0
    assert lengths == sorted(lengths)
    assert lengths[1] < lengths[2] < lengths[3] < len(whole)


async def test_a_cut_before_the_content_leaves_what_says_nothing():
    """Of a chat completion that is the role, with a text that is still empty."""
    async with MisbehavingServer(Cut('content', cleanly=True)) as server:
        response = await ask(server.url, streamed=True)

    [only] = read_events(response.content)
    assert only['choices'][0]['delta'] == {'role': 'assistant', 'content': ''}


@pytest.mark.parametrize(
    ('fault', 'error'),
    [
        (Disconnect(), httpx2.RemoteProtocolError),
        (Disconnect(reset=True), httpx2.ReadError),
        (Noise(), httpx2.RemoteProtocolError),
        (Cut(), httpx2.RemoteProtocolError),
        (Cut(reset=True), httpx2.TransportError),
        (Silence(), httpx2.ReadTimeout),
        (Stall(), httpx2.ReadTimeout),
    ],
    ids=lambda value: repr(value)[:25],
)
@whole_and_streamed
async def test_a_broken_connection_is_broken(fault: Behavior, error: type[Exception], streamed: bool):
    """The client sees no answer, and the server no connection afterwards."""
    async with MisbehavingServer(fault) as server:
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(5, read=0.05)) as client:
            with pytest.raises(error):
                await client.send(OPENAI_CHAT.request(server.url, streamed))
        while server.open_connections:
            await anyio.lowlevel.checkpoint()


async def test_nobody_answers_at_a_refusing_url():
    """A connection to it is refused at once."""
    with refusing_url() as url, pytest.raises(httpx2.ConnectError):
        await ask(url)


@each_api
async def test_errors_are_said_in_the_words_of_the_api(asking: Asking):
    """A message is where each API has it, the status is the one wanted, and the id of the request is in a header."""
    async with MisbehavingServer(HttpError(429, 'Slowly, please.', retry_after=2)) as server:
        response = await ask(server.url, asking)

    assert response.status_code == 429
    assert response.json()['error']['message'] == 'Slowly, please.'
    assert response.headers['retry-after'] == '2'
    assert response.headers['request-id' if asking is ANTHROPIC else 'x-request-id'] == 'req_1'


async def test_an_error_may_have_a_page_or_nothing():
    """Proxies answer with pages, and some with nothing; a time to come again may be a date."""
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    async with MisbehavingServer(
        [HttpError(502, form='html'), HttpError(503, form='empty', retry_after=when)]
    ) as server:
        page, empty = await ask(server.url), await ask(server.url)

    assert page.text.startswith('<html>')
    assert '502 Bad Gateway' in page.text
    assert (empty.status_code, empty.content) == (503, b'')
    assert parsedate_to_datetime(empty.headers['retry-after']) == when


async def test_a_redirect_leads_to_the_next_behaviour():
    """Without a place to go to, the client comes again."""
    client = httpx2.AsyncClient(follow_redirects=True)
    async with MisbehavingServer([Redirect(), Answer('Here.')]) as server, client:
        response = await client.send(OPENAI_CHAT.request(server.url, False))

    assert response.json()['choices'][0]['message']['content'] == 'Here.'
    assert len(server.requests) == 2


@each_api
async def test_an_error_event_comes_within_the_stream(asking: Asking):
    """Some of the answer comes, then the error, then nothing; a request without a stream gets the status."""
    async with MisbehavingServer(ErrorEvent(message='Too much.')) as server:
        streamed = await ask(server.url, asking, streamed=True)
        whole = await ask(server.url, asking)

    *events, last = read_events(streamed.content)
    assert streamed.status_code == 200
    assert events
    assert (last.get('error') or last)['message'] == 'Too much.'
    assert whole.status_code == 529


@each_api
async def test_a_newer_answer_has_what_nobody_knows(asking: Asking):
    """Unknown fields and events stand among the known ones; arguments stay as they were."""
    async with MisbehavingServer(Newer(FULL)) as server:
        whole = (await ask(server.url, asking)).json()
        streamed = read_events((await ask(server.url, asking, streamed=True)).content)

    assert whole.pop('x_weather') == {'outlook': 'sunny'}
    assert told(asking, whole)['calls'][0] == ('add', {'a': 1})
    assert sum('weather' in event for event in streamed if event != '[DONE]') > 5


async def test_garbage_stands_in_the_middle():
    """Events and bodies that are no JSON or no text, and lines without a meaning."""
    kinds = 'json', 'utf-8', 'line'
    async with MisbehavingServer([Garbled(kind) for kind in kinds] * 2) as server:
        whole = [(await ask(server.url)).content for _ in kinds]
        streamed = [(await ask(server.url, streamed=True)).content for _ in kinds]

    with pytest.raises(json.JSONDecodeError):
        json.loads(whole[0])
    with pytest.raises(UnicodeDecodeError):
        json.loads(whole[1])
    assert json.loads(whole[2])
    assert b'"Hel\n' in streamed[0]
    assert b'\xff' in streamed[1]
    assert read_events(streamed[2])[-1] == '[DONE]'


async def test_a_body_can_be_anything():
    """Nothing, a page, and an answer that calls itself something else."""
    async with MisbehavingServer([Raw(), Raw(b'<p>', content_type='text/html'), WrongType('text/plain')]) as server:
        empty, page, wrong = [await ask(server.url, streamed=True) for _ in range(3)]

    assert (empty.status_code, empty.content) == (200, b'')
    assert (page.content, page.headers['content-type']) == (b'<p>', 'text/html')
    assert wrong.headers['content-type'] == 'text/plain'
    assert read_events(wrong.content)[-1] == '[DONE]'


async def test_a_slow_answer_is_the_same_answer():
    """Pauses change nothing else."""
    async with MisbehavingServer(Slow(Answer('Hi'), first=0.001, between=0.001)) as server:
        response = await ask(server.url)

    assert response.json()['choices'][0]['message']['content'] == 'Hi'


async def test_connections_are_used_again_after_good_answers():
    """Who keeps a connection open needs only one."""
    script = [Answer('Hi'), HttpError(500), Answer('Hi')]
    async with MisbehavingServer(script) as server, httpx2.AsyncClient() as client:
        for streamed in True, False, True:
            await client.send(OPENAI_CHAT.request(server.url, streamed))

    assert server.accepted_connections == 1


async def test_an_error_in_the_block_comes_out_as_it_is():
    """The server puts nothing around it."""
    with pytest.raises(LookupError, match='mine'):
        async with MisbehavingServer(Silence()):
            raise LookupError('mine')


async def test_closing_ends_what_hangs():
    """A client that waits for a server that is closed gets an error and waits no longer."""
    async with anyio.create_task_group() as group:
        server = MisbehavingServer(Silence())
        async with server:
            asked = anyio.Event()

            async def wait_answer() -> None:
                with pytest.raises(httpx2.TransportError):
                    await ask(server_url)
                asked.set()

            server_url = server.url
            group.start_soon(wait_answer)
            while not server.requests:
                await anyio.lowlevel.checkpoint()
        await asked.wait()


def test_programs_without_a_loop_use_it_in_a_thread():
    """`with` runs the server beside a synchronous program."""
    with MisbehavingServer(Answer('Hi')) as server:
        response = httpx2.post(f'{server.url}/v1/messages', json={'model': 'm'})

    assert response.json()['content'] == [{'type': 'text', 'text': 'Hi'}]
    with pytest.raises(UserError, match='not running'):
        _ = server.url


async def test_only_the_last_requests_are_kept_if_so_wanted():
    """With `keep`, a long test does not grow."""
    async with MisbehavingServer(Answer('Hi'), keep=2) as server:
        for _ in range(3):
            await ask(server.url)

    assert [request.number for request in server.requests] == [2, 3]
    assert server.received == 3


def draws(seed: int, share: float = 0.5) -> list[Behavior]:
    """What a row of requests meets."""
    script = chaos(seed, share=share)
    request = ReceivedRequest(1, 'POST', '/', {}, None, None, False)
    return [script(request) for _ in range(200)]


def test_chaos_is_the_same_for_the_same_seed():
    """A seed says which faults come when; the share says how many."""
    assert draws(1) == draws(1) != draws(2)
    assert not any(behavior in FAULTS for behavior in draws(3, share=0))
    assert all(behavior in FAULTS for behavior in draws(3, share=1))


@pytest.mark.parametrize(('arguments', 'told'), [({'share': 2}, 'from 0'), ({'faults': ()}, 'Give faults')])
def test_chaos_without_a_meaning_is_refused(arguments: dict[str, Any], told: str):
    """No share is above one, and there must be something that goes wrong."""
    with pytest.raises(UserError, match=told):
        chaos(1, **arguments)
