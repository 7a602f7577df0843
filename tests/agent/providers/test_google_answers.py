"""What Google answers: parts, notes beside them, counters and endings, at once and streamed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from google_parts import EVENTS, KEY, TOOL, Body, Google, answer, sse, streamed

from plait_agent import Agent
from plait_agent.builtin_tools import WebSearchTool
from plait_agent.exceptions import ContentFilterError, ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from plait_agent.messages import (
    BinaryImage,
    BuiltinToolCallPart,
    FilePart,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models import Model, ModelRequestParameters
from plait_agent.models.fallback import FallbackModel
from plait_agent.models.google import GoogleModel
from plait_agent.models.wrapper import WrapperModel
from plait_agent.providers.google import GoogleProvider
from plait_agent.testing import Answer, MisbehavingServer
from plait_agent.usage import RequestUsage


@dataclass
class City:
    """What is asked for."""

    name: str


HELLO: list[Any] = [ModelRequest.user_text_prompt('Hello')]
SIGNED = {'thought_signature': 'c2ln'}


async def decoded(said: Any, **options: Any) -> ModelResponse:
    """What an answer is decoded to."""
    return await Google(said).model(**options).request(HELLO, None, ModelRequestParameters())


async def both(*chunks: Any) -> ModelResponse:
    """What chunks are decoded to, streamed; the same parts at once give the same."""
    _, response = await streamed(Google(sse(*chunks)))
    parts = [part for chunk in chunks for part in chunk['candidates'][0]['content']['parts']]
    whole = await decoded({**chunks[-1], 'candidates': [{**chunks[-1]['candidates'][0], 'content': {'parts': parts}}]})
    assert [type(part) for part in whole.parts] == [type(part) for part in response.parts]
    assert whole.text == response.text
    return response


# Parts


async def test_an_answer_says_who_gave_it() -> None:
    """Text, model, id, ending and counters of an answer are where they belong."""
    response = await decoded(answer({'text': 'Hi'}))

    assert response.parts == [TextPart('Hi')]
    assert (response.model_name, response.provider_response_id) == ('gemini-x-001', 'id-1')
    assert (response.finish_reason, response.provider_details) == ('stop', {'finish_reason': 'STOP'})
    assert (response.provider_name, response.provider_url) == (
        'google-gla',
        'https://generativelanguage.googleapis.com/',
    )
    assert response.usage == RequestUsage(input_tokens=3, output_tokens=2)


async def test_the_time_of_an_answer_is_googles() -> None:
    """An answer of Vertex AI says when it was made, and has that time."""
    response = await decoded({**answer({'text': 'Hi'}), 'createTime': '2026-01-02T03:04:05Z'}, vertexai=True)

    assert response.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (response.provider_details or {})['timestamp'] == response.timestamp


async def test_calls_without_ids_are_given_ids() -> None:
    """Calls keep the ids that Google gives, and get ids of ours where it gives none."""
    call, other = {'name': 'weather', 'args': {'city': 'Lima'}}, {'name': 'weather', 'id': 'own'}
    response = await decoded(answer({'functionCall': call, 'thoughtSignature': 'c2ln'}, {'functionCall': other}))

    first, second = response.tool_calls
    assert (first.tool_name, first.args_as_dict(), first.provider_details) == ('weather', {'city': 'Lima'}, SIGNED)
    assert first.tool_call_id
    assert (second.tool_call_id, second.args_as_dict(), second.provider_details) == ('own', {}, None)


async def test_thoughts_and_text_grow_until_they_are_signed() -> None:
    """Pieces are one part up to a signature, streamed or not."""
    response = await both(
        answer({'text': 'Let ', 'thought': True}, finish=None),
        answer({'text': 'me see.', 'thought': True}, {'text': 'So'}, finish=None),
        answer({'text': ' it is.'}, {'text': '', 'thoughtSignature': 'c2ln'}, {'text': 'More'}),
    )

    assert response.parts == [
        ThinkingPart('Let me see.', provider_name='google-gla'),
        TextPart('So it is.', provider_details=SIGNED),
        TextPart('More'),
    ]


async def test_a_signature_by_itself_is_kept() -> None:
    """A signature without text after a call is a text that is empty, so that it can go back."""
    response = await both(answer({'functionCall': {'name': 'weather'}}, {'thoughtSignature': 'c2ln'}))

    assert response.parts[1:] == [TextPart('', provider_details=SIGNED)]


async def test_thoughts_between_texts_stay_where_they_are() -> None:
    """Text, a thought and text again are three parts."""
    response = await both(answer({'text': 'a'}, {'text': 'b', 'thought': True}, {'text': 'c'}))

    assert [type(part) for part in response.parts] == [TextPart, ThinkingPart, TextPart]


async def test_arguments_that_come_in_pieces_are_put_together() -> None:
    """A call whose arguments are streamed value by value is told when it is whole."""
    pieces = [
        {'name': 'trip', 'willContinue': True},
        {'partialArgs': [{'jsonPath': '$.to.city', 'stringValue': 'Li', 'willContinue': True}], 'willContinue': True},
        {'partialArgs': [{'jsonPath': '$.to.city', 'stringValue': 'ma'}], 'willContinue': True},
        {'partialArgs': [{'jsonPath': '$.days[1]', 'numberValue': 3}, {'jsonPath': '$.ok', 'boolValue': False}]},
    ]
    chunks = [answer({'functionCall': piece}, finish=None) for piece in pieces]
    response = await both(*chunks, answer({'text': 'Off we go.'}))

    [call] = response.tool_calls
    assert (call.tool_name, call.args) == ('trip', {'to': {'city': 'Lima'}, 'days': [None, 3], 'ok': False})


async def test_images_are_files() -> None:
    """Bytes in an answer are files; what was drawn while thinking is none."""
    drawn = {'inlineData': {'data': 'cG5n', 'mimeType': 'image/png'}}
    response = await both(answer({**drawn, 'thought': True}, {**drawn, 'thoughtSignature': 'c2ln'}))

    image = BinaryImage(b'png', media_type='image/png')
    assert response.parts == [FilePart(image, provider_name='google-gla', provider_details=SIGNED)]


async def test_code_and_its_result_belong_together() -> None:
    """Code that Google runs is a built-in call, and its result has the call's id."""
    response = await both(
        answer({'executableCode': {'language': 'PYTHON', 'code': '1+1'}}, finish=None),
        answer({'codeExecutionResult': {'outcome': 'OUTCOME_OK', 'output': '2'}}),
    )

    [(call, result)] = response.builtin_tool_calls
    assert (call.tool_name, call.args) == ('code_execution', {'language': 'PYTHON', 'code': '1+1'})
    assert result.content == {'outcome': 'OUTCOME_OK', 'output': '2'}
    assert call.provider_name == result.provider_name == 'google-gla'


async def test_what_google_tells_of_its_tools_is_not_told_twice() -> None:
    """Calls within the answer are built-in calls, and the notes beside it do not repeat them."""
    call = {'id': 's1', 'toolType': 'GOOGLE_SEARCH_WEB', 'args': {'queries': ['x']}}
    result = {'id': 's1', 'toolType': 'GOOGLE_SEARCH_WEB', 'response': {'found': 1}}
    response = await both(
        answer({'toolCall': call, 'thoughtSignature': 'c2ln'}, {'toolResponse': result}, finish=None),
        answer({'text': 'Found.'}, groundingMetadata={'webSearchQueries': ['x']}),
    )

    [(called, returned)] = response.builtin_tool_calls
    assert (called.tool_name, called.args, called.tool_call_id) == ('web_search', {'queries': ['x']}, 's1')
    assert called.provider_details == {**SIGNED, 'tool_type': 'GOOGLE_SEARCH_WEB'}
    assert returned.content == {'found': 1}


async def test_notes_beside_an_answer_tell_of_built_in_tools() -> None:
    """Searches, pages, files and places that an answer rests on are built-in calls before it."""
    chunks = [
        {'web': {'uri': 'https://e.x', 'title': 'E'}},
        {'retrievedContext': {'title': 'T', 'text': 'said'}},
        {'maps': {'title': 'Lima'}},
    ]
    response = await both(
        answer({'text': 'So'}, finish=None),
        answer(
            {'text': ' it is.'},
            groundingMetadata={'webSearchQueries': ['q'], 'groundingChunks': chunks},
            urlContextMetadata={'urlMetadata': [{'retrievedUrl': 'https://e.x', 'urlRetrievalStatus': 'OK'}]},
        ),
    )

    assert response.parts[-1] == TextPart('So it is.')
    told = {call.tool_name: (call.args, result.content) for call, result in response.builtin_tool_calls}
    assert told['web_search'] == ({'queries': ['q']}, [{'domain': None, 'title': 'E', 'uri': 'https://e.x'}])
    assert told['file_search'] == ({}, [{'title': 'T', 'text': 'said'}])
    assert told['google_maps'] == ({}, [{'title': 'Lima'}])
    assert told['web_fetch'][0] == {'urls': ['https://e.x']}
    assert response.provider_details is not None
    assert response.provider_details['grounding_metadata']['web_search_queries'] == ['q']


async def test_what_is_new_is_left_out_of_account() -> None:
    """Parts, fields, words and kinds of tools that the library does not know do no harm."""
    said = answer(
        {'hologram': {'x': 1}},
        {'text': 'Hi', 'mood': 'good'},
        {'toolCall': {'id': '1', 'toolType': 'TIME_TRAVEL', 'args': {}}},
        finish='BORED',
        safetyRatings=[{'category': 'HARM_CATEGORY_BOREDOM', 'probability': 'SOME'}],
        vibes=[1],
    )
    for response in (await decoded(said), (await streamed(Google(sse(said))))[1]):
        text, call = response.parts
        assert text == TextPart('Hi')
        assert isinstance(call, BuiltinToolCallPart)
        assert call.tool_name == 'time_travel'
        assert (response.provider_details or {})['finish_reason'] == 'BORED'
        assert response.finish_reason is None


# Counters


async def test_everything_that_google_counts_is_counted() -> None:
    """Results of built-in tools count as prompt and thoughts as answer; sound and caches have their own counters."""
    metadata = {
        'promptTokenCount': 30,
        'toolUsePromptTokenCount': 5,
        'cachedContentTokenCount': 10,
        'candidatesTokenCount': 8,
        'thoughtsTokenCount': 4,
        'promptTokensDetails': [{'modality': 'TEXT', 'tokenCount': 20}, {'modality': 'AUDIO', 'tokenCount': 10}],
        'cacheTokensDetails': [{'modality': 'AUDIO', 'tokenCount': 10}],
        'candidatesTokensDetails': [{'modality': 'AUDIO', 'tokenCount': 8}],
        'trafficType': 'ON_DEMAND',
    }
    response = await decoded({**answer({'text': 'Hi'}), 'usageMetadata': metadata})

    assert response.usage == RequestUsage(
        input_tokens=35,
        output_tokens=12,
        cache_read_tokens=10,
        input_audio_tokens=10,
        cache_audio_read_tokens=10,
        output_audio_tokens=8,
        details={
            'cached_content_tokens': 10,
            'thoughts_tokens': 4,
            'tool_use_prompt_tokens': 5,
            'text_prompt_tokens': 20,
            'audio_prompt_tokens': 10,
            'audio_cache_tokens': 10,
            'audio_candidates_tokens': 8,
        },
    )
    assert (response.provider_details or {})['traffic_type'] == 'ON_DEMAND'


async def test_probabilities_of_tokens_are_kept() -> None:
    """Probabilities that were asked for are among the details of the answer."""
    told = {'chosenCandidates': [{'token': 'Hi', 'logProbability': -0.5}]}
    response = await decoded(answer({'text': 'Hi'}, logprobsResult=told, avgLogprobs=-0.5))

    details = response.provider_details or {}
    assert details['logprobs']['chosen_candidates'][0]['log_probability'] == -0.5
    assert details['avg_logprobs'] == -0.5


async def test_probabilities_of_a_stream_are_all_kept() -> None:
    """Each chunk tells of its own tokens."""
    chunks = [
        answer(
            {'text': word},
            finish=finish,
            logprobsResult={
                'chosenCandidates': [{'token': word}],
                'topCandidates': [{'candidates': [{'token': word}]}],
            },
        )
        for word, finish in (('Hi', None), ('!', 'STOP'))
    ]
    _, response = await streamed(Google(sse(*chunks)))

    logprobs = (response.provider_details or {})['logprobs']
    assert [each['token'] for each in logprobs['chosen_candidates']] == ['Hi', '!']
    assert [each['candidates'][0]['token'] for each in logprobs['top_candidates']] == ['Hi', '!']


# Endings


@pytest.mark.parametrize(
    ('word', 'reason'),
    [
        ('STOP', 'stop'),
        ('MAX_TOKENS', 'length'),
        ('SAFETY', 'content_filter'),
        ('IMAGE_RECITATION', 'content_filter'),
        ('MALFORMED_FUNCTION_CALL', 'error'),
        ('UNEXPECTED_TOOL_CALL', 'error'),
        ('OTHER', None),
    ],
)
async def test_endings_are_known(word: str, reason: str | None) -> None:
    """Google's words for endings have a meaning for runs, and stay among the details."""
    response = await decoded(answer({'text': 'Hi'}, finish=word))

    assert response.finish_reason == reason
    assert (response.provider_details or {})['finish_reason'] == word


async def test_a_run_goes_on_after_a_call_that_google_could_not_write() -> None:
    """An answer that is nothing but a malformed call is asked for again."""
    google = Google(answer(finish='MALFORMED_FUNCTION_CALL'), answer({'text': 'Hi'}))
    result = await Agent(google.model()).run('Hello')

    assert result.output == 'Hi'
    assert len(google.asked) == 2


async def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    """A prompt that Google refuses ends a run with the reason that it gives, streamed or not."""
    said = {'promptFeedback': {'blockReason': 'SAFETY', 'blockReasonMessage': 'No.'}, 'modelVersion': 'x'}
    response = await decoded(said)

    assert (response.parts, response.finish_reason) == ([], 'content_filter')
    assert response.provider_details == {
        'finish_reason': 'blocked:SAFETY',
        'block_reason': 'SAFETY',
        'block_reason_message': 'No.',
    }
    with pytest.raises(ContentFilterError, match='blocked:SAFETY'):
        await Agent(Google(said).model()).run('Hello')
    assert (await streamed(Google(sse(said))))[1].finish_reason == 'content_filter'


@pytest.mark.parametrize('said', [{}, {'candidates': []}, {'usageMetadata': {'promptTokenCount': 1}}])
async def test_an_answer_without_anything_is_refused(said: Any) -> None:
    """An answer that has no candidate and says not why is none."""
    with pytest.raises(UnexpectedModelBehavior, match=r'no candidate.*gemini-2.5-flash'):
        await decoded(said)


# Streams


async def test_a_streamed_answer_is_told_as_it_comes() -> None:
    """A piece of text is a delta, a call comes whole, and counters and details are those of the last chunk."""
    call = {'functionCall': {'name': 'weather', 'args': {'city': 'Lima'}}}
    google = Google(sse(answer({'text': 'He'}, finish=None), answer({'text': 'llo'}, finish=None), answer(call)))
    events, response = await streamed(google)

    kinds = [type(event) for event in events if isinstance(event, (PartStartEvent, PartDeltaEvent))]
    assert kinds == [PartStartEvent, PartDeltaEvent, PartStartEvent]
    assert response.parts[0] == TextPart('Hello')
    assert isinstance(response.parts[1], ToolCallPart)
    assert (response.usage.input_tokens, response.model_name, response.finish_reason) == (3, 'gemini-x-001', 'stop')
    assert google.asked[0].url.params['alt'] == 'sse'


@pytest.mark.parametrize('chunks', [(), (answer({'text': 'Hel'}, finish=None),), (answer(finish=None),)])
async def test_a_stream_that_is_cut_is_refused(chunks: Any) -> None:
    """A stream without a finish reason is not complete, however it ends."""
    with pytest.raises(ModelAPIError, match=r'without a finish reason.*gemini-2.5-flash'):
        await streamed(Google(sse(*chunks)))


@pytest.mark.parametrize('code', [{'code': 503}, {}])
async def test_an_error_within_a_stream_is_an_error(code: dict[str, int]) -> None:
    """An error that Google tells of in the middle of a stream ends it with what it says."""
    error = {'error': {'message': 'Too much to do.', 'status': 'UNAVAILABLE', **code}}
    with pytest.raises(ModelAPIError, match='Too much to do') as caught:
        await streamed(Google(sse(answer({'text': 'Hel'}, finish=None), error)))

    assert getattr(caught.value, 'status_code', None) == code.get('code')


async def test_events_are_read_however_they_are_written() -> None:
    """Comments, other fields, all line ends, lines in pieces and characters that look like line ends are understood."""
    text = 'one\u2028two\x85three'
    first, last = sse(answer({'text': text}, finish=None)), sse(answer({'text': '.'}))
    written = b'\xef\xbb\xbf: hello\r\rid: 1\n' + first.replace(b'data: ', b'data:').replace(b'\r\n', b'\r') + last
    raw = written.replace(b'\\u2028', '\u2028'.encode()).replace(b'\\u0085', '\x85'.encode())
    body = Body(*(raw[place : place + 7] for place in range(0, len(raw), 7)))
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=EVENTS, stream=body))
    google = Google()
    google.http = httpx2.AsyncClient(transport=transport)

    _, response = await streamed(google)

    assert response.text == f'{text}.'


async def test_leaving_a_stream_early_closes_its_connection() -> None:
    """Whoever has read enough leaves nothing open, and asks for nothing more."""
    body = Body(*(sse(answer({'text': str(number)}, finish=None)) for number in range(100)))
    asked: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, headers=EVENTS, stream=body)

    google = Google()
    google.http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    async with google.model().request_stream(HELLO, None, ModelRequestParameters()) as stream:
        async for _ in stream:
            break

    assert body.is_closed
    assert len(body.pieces) > 90
    assert len(asked) == 1


async def test_a_stream_that_cannot_be_read_is_closed() -> None:
    """A chunk that makes no sense to the library is an error that leaves no connection open."""
    nonsense = {'candidates': [{'content': {'parts': 'none'}}]}
    body = Body(*(sse(nonsense) for _ in range(9)))
    google = Google()
    google.http = httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda request: httpx2.Response(200, headers=EVENTS, stream=body))
    )
    with pytest.raises(UnexpectedModelBehavior, match='cannot be read'):
        await streamed(google)

    assert body.is_closed
    assert body.pieces


# Errors


async def test_an_error_says_what_google_has_said() -> None:
    """Status, message and model are in the error, and the key is not."""
    error = {'error': {'code': 400, 'message': f'Bad key {KEY}.', 'status': 'INVALID_ARGUMENT'}}
    for ask in (decoded_error, streamed_error):
        with pytest.raises(ModelHTTPError, match='INVALID_ARGUMENT') as caught:
            await ask(Google(error, status=400))
        assert (caught.value.status_code, caught.value.model_name) == (400, 'gemini-2.5-flash')
        assert KEY not in f'{caught.value!r} {caught.value.__cause__!r}'


async def decoded_error(google: Google) -> None:
    """Ask for the whole answer."""
    await google.model().request(HELLO, None, ModelRequestParameters())


async def streamed_error(google: Google) -> None:
    """Ask for a stream, which fails before it begins."""
    async with google.model().request_stream(HELLO, None, ModelRequestParameters()):
        raise AssertionError('The stream has begun.')


# Connections


async def test_a_request_has_the_time_outs_of_its_client_unless_it_has_its_own() -> None:
    """The library's own time-out is none at all; the client's holds instead, and that of the settings before it."""
    google = Google(answer({'text': 'Hi'}), answer({'text': 'Hi'}))
    google.http.timeout = httpx2.Timeout(600, connect=5)
    model = google.model()
    await model.request(HELLO, None, ModelRequestParameters())
    await model.request(HELLO, {'timeout': 1.5, 'extra_headers': {'x-team': 'a'}}, ModelRequestParameters())

    first, second = (request.extensions['timeout'] for request in google.asked)
    assert (first['connect'], first['read']) == (5, 600)
    assert second['read'] == 1.5
    assert google.asked[1].headers['x-team'] == 'a'


async def test_a_client_of_the_library_can_be_given() -> None:
    """A client that a program has made is used as it is, and its streams are closed all the same."""
    from google.genai import Client
    from google.genai.types import HttpOptions

    google = Google(answer({'text': 'Hi'}))
    client = Client(api_key=KEY, vertexai=False, http_options=HttpOptions(httpx_async_client=google.http))
    model = GoogleModel('gemini-2.5-flash', provider=GoogleProvider(client=client))

    assert (await model.request(HELLO, None, ModelRequestParameters())).text == 'Hi'
    assert model.client is client


async def test_google_counts_tokens_of_the_whole_request() -> None:
    """Contents, system prompt and tools are counted, as they would be sent."""
    google = Google({'totalTokens': 12, 'cachedContentTokenCount': 2})
    message = ModelRequest.user_text_prompt('Hello', instructions='Be short.')
    usage = await google.model().count_tokens([message], None, ModelRequestParameters(function_tools=[TOOL]))

    assert usage == RequestUsage(input_tokens=12, cache_read_tokens=2)
    assert google.asked[0].url.path.endswith('gemini-2.5-flash:countTokens')
    counted = google.body['generateContentRequest']
    assert (google.body['contents'], counted['model']) == ([], 'models/gemini-2.5-flash')
    assert counted['contents'][0]['parts'] == [{'text': 'Hello'}]
    assert counted['systemInstruction']['parts'] == [{'text': 'Be short.'}]
    assert 'weather' in str(counted['tools'])


@pytest.mark.parametrize('is_streamed', [False, True])
async def test_a_text_that_rests_on_a_search_is_the_output(is_streamed: bool) -> None:
    """What a search has found stands before the text, which ends the run."""
    said = answer({'text': 'Found.'}, groundingMetadata={'webSearchQueries': ['q']})
    google = Google(sse(said) if is_streamed else said)
    agent = Agent(google.model(), builtin_tools=[WebSearchTool()])
    if is_streamed:
        async with agent.run_stream('Hello') as result:
            assert await result.get_output() == 'Found.'
        messages = result.all_messages()
    else:
        done = await agent.run('Hello')
        assert done.output == 'Found.'
        messages = done.all_messages()

    assert [part.part_kind for part in messages[-1].parts] == ['builtin-tool-call', 'builtin-tool-return', 'text']
    assert len(google.asked) == 1


async def test_a_run_calls_tools_and_ends() -> None:
    """An agent asks, calls a tool, answers with what it returned, and gives the last text."""
    call = {'functionCall': {'name': 'weather', 'args': {'city': 'Lima'}}, 'thoughtSignature': 'c2ln'}
    google = Google(answer(call), answer({'text': 'It rains.'}))
    agent = Agent(google.model())

    @agent.tool_plain
    def weather(city: str) -> str:
        return f'Rain in {city}'

    result = await agent.run('How is it?')

    assert result.output == 'It rains.'
    assert google.body['contents'][1]['parts'][0]['thoughtSignature'] == 'c2ln'
    returned = google.body['contents'][2]['parts'][0]['functionResponse']
    assert returned['response'] == {'return_value': 'Rain in Lima'}


@pytest.mark.parametrize(
    'inside',
    [lambda model: model, WrapperModel, lambda model: FallbackModel(model, model)],
    ids=['alone', 'wrapped', 'behind another'],
)
async def test_data_is_asked_for_as_text_beside_built_in_tools(inside: Callable[[Model], Model]) -> None:
    """Models that take no output tools beside built-in tools need not be asked in another way by the program."""
    async with MisbehavingServer([Answer('{"name": "Lima"}')]) as server:
        provider = GoogleProvider(api_key='any', base_url=server.url)
        model = inside(GoogleModel('gemini-2.5-flash', provider=provider))
        result = await Agent(model, output_type=City, builtin_tools=[WebSearchTool()]).run('Which city?')

    assert result.output == City(name='Lima')
