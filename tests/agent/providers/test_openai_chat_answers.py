"""What answers of chat completions decode to, those that come whole and those that come in pieces."""

from datetime import UTC, datetime
from typing import Any

import pytest
from openai_chat_parts import HELLO, KEY, NO_TOOLS, Server, chunk, completion, sse, streamed, whole

from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from plait_agent.models.openai import OpenAIChatModel, OpenAIModel
from plait_agent.usage import RequestUsage


def details(response: ModelResponse) -> dict[str, Any]:
    """What the provider has told beside the answer."""
    return response.provider_details or {}


# Whole answers


async def test_an_answer_says_where_it_comes_from() -> None:
    """Name, id, time and reason are the provider's own."""
    response = await whole(completion(service_tier='flex'))

    assert response.parts == [TextPart('Hi!')]
    assert (response.model_name, response.provider_response_id) == ('model-0601', 'answer-1')
    assert (response.provider_name, response.provider_url) == ('openai', 'https://api.openai.com/v1/')
    assert response.timestamp == datetime.fromtimestamp(1750000000, tz=UTC)
    assert response.finish_reason == 'stop'
    assert details(response).items() >= {'finish_reason': 'stop', 'service_tier': 'flex'}.items()


@pytest.mark.parametrize(
    ('told', 'expected'),
    [
        (
            {
                'prompt_tokens': 10,
                'completion_tokens': 5,
                'total_tokens': 15,
                'prompt_tokens_details': {
                    'cached_tokens': 4,
                    'audio_tokens': 2,
                    'cache_write_tokens': 1,
                    'image_tokens': 3,
                },
                'completion_tokens_details': {'reasoning_tokens': 3, 'audio_tokens': 1},
            },
            RequestUsage(
                input_tokens=10,
                output_tokens=5,
                cache_read_tokens=4,
                cache_write_tokens=1,
                input_audio_tokens=2,
                output_audio_tokens=1,
                details={'reasoning_tokens': 3, 'audio_tokens': 1, 'input_image_tokens': 3},
            ),
        ),
        (
            {'prompt_tokens': 10, 'completion_tokens': 5, 'prompt_cache_hit_tokens': 4, 'queue_time': 0.5},
            RequestUsage(input_tokens=10, output_tokens=5, cache_read_tokens=4, details={'prompt_cache_hit_tokens': 4}),
        ),
        ({'prompt_tokens': None, 'completion_tokens': '5'}, RequestUsage()),
    ],
)
async def test_usage_is_read_wherever_it_is_told(told: dict[str, Any], expected: RequestUsage) -> None:
    """Caches, recordings and thoughts have their counters; numbers that count no tokens are left out."""
    assert (await whole(completion(usage=told))).usage == expected


@pytest.mark.parametrize(
    ('said', 'expected'),
    [('tool_calls', 'tool_call'), ('model_length', 'length'), ('sensitive', 'content_filter'), ('of_tomorrow', None)],
)
async def test_the_reason_to_stop_is_translated(said: str, expected: str | None) -> None:
    """The provider's own word is kept; one that is not known does no harm."""
    response = await whole(completion(finish_reason=said))

    assert (response.finish_reason, details(response)['finish_reason']) == (expected, said)


async def test_a_refusal_is_an_answer_of_the_filter() -> None:
    """Its words are kept; they are no text of the answer."""
    response = await whole(completion({'refusal': 'I will not.'}))

    assert response.parts == []
    assert (response.finish_reason, details(response)['refusal']) == ('content_filter', 'I will not.')


async def test_calls_are_read_in_all_their_forms() -> None:
    """With arguments as text or as an object, without an id, of custom tools, and those of old."""
    calls = [
        {'id': 'a', 'type': 'function', 'function': {'name': 'one', 'arguments': '{}'}},
        {'id': 'b', 'index': 0, 'function': {'name': 'two', 'arguments': {'x': 1}}},
        {'id': '', 'index': 0, 'function': {'name': 'three', 'arguments': ''}},
        {'id': 'c', 'type': 'custom', 'custom': {'name': 'four', 'input': 'text'}},
    ]

    response = await whole(completion({'tool_calls': calls, 'function_call': {'name': 'five', 'arguments': '{}'}}))

    found = [part for part in response.parts if isinstance(part, ToolCallPart)]
    assert [part.tool_name for part in found] == ['one', 'two', 'three', 'four', 'five']
    assert [part.tool_call_id for part in found if part.tool_name in ('one', 'two', 'four')] == ['a', 'b', 'c']
    assert [part.args_as_dict() for part in found[:4]] == [{}, {'x': 1}, {}, {'input': 'text'}]
    assert found[2].tool_call_id


async def test_thoughts_are_read_from_their_fields() -> None:
    """Servers that say them twice are read once."""
    response = await whole(completion({'content': 'Hi', 'reasoning': 'Hm', 'reasoning_content': 'Hm'}))

    assert response.parts == [ThinkingPart('Hm', id='reasoning', provider_name='openai'), TextPart('Hi')]


async def test_thoughts_are_read_from_the_text() -> None:
    """Where a model marks them by tags."""
    response = await whole(completion({'content': '<think>Hm</think>Hi'}))

    assert response.parts == [ThinkingPart('Hm'), TextPart('Hi')]


async def test_details_of_thoughts_come_back_as_they_were() -> None:
    """The provider behind OpenRouter knows its thoughts again only if nothing of them is missing."""
    told = [
        {'type': 'reasoning.text', 'text': 'Hm', 'signature': 's', 'id': 'i', 'format': 'f', 'index': 0},
        {'type': 'reasoning.summary', 'summary': 'In short', 'format': 'f', 'index': 1},
        {'type': 'reasoning.encrypted', 'data': 'xyz', 'id': 'e', 'format': 'f', 'index': 1},
        {'type': 'reasoning.text', 'text': 'So', 'signature': None, 'id': None, 'format': None, 'index': 2},
    ]
    server = Server(completion({'content': 'Hi', 'reasoning': 'Hm', 'reasoning_details': told}))
    model = server.model('qwen/any', provider='openrouter')

    response = await model.request(HELLO, None, NO_TOOLS)
    await model.request([*HELLO, response, ModelRequest([UserPromptPart('Again')])], None, NO_TOOLS)

    assert [part.content for part in response.parts] == ['Hm', 'In short', '', 'So', 'Hi']
    assert server.body['messages'][1] == {'role': 'assistant', 'content': 'Hi', 'reasoning_details': told}


async def test_content_that_is_a_list_is_read_in_its_order() -> None:
    """Mistral has thoughts among the chunks of its content; chunks that are no answer are passed over."""
    content = [
        {'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'H'}, {'type': 'text', 'text': 'm'}]},
        {'type': 'text', 'text': 'Hi'},
        {'type': 'reference', 'reference_ids': [1]},
        {'type': 'of_tomorrow'},
        {'type': 'text', 'text': '!'},
    ]

    response = await whole(completion({'content': content}), provider='mistral')

    assert response.parts == [ThinkingPart('Hm', provider_name='mistral'), TextPart('Hi!')]


async def test_text_is_one_part_whether_it_comes_in_lists_or_not() -> None:
    """Mistral goes from one way to write content to the other in the middle of a stream."""
    thought = {'content': [{'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'Hm'}]}]}
    pieces = [{'content': 'So'}, thought, {'content': [{'type': 'text', 'text': 'Hel'}]}, {'content': 'lo'}]
    response = await streamed(sse(*map(chunk, pieces), chunk({}, finish_reason='stop')), provider='mistral')

    assert [(type(part), part.content) for part in response.parts] == [
        (TextPart, 'So'),
        (ThinkingPart, 'Hm'),
        (TextPart, 'Hello'),
    ]


async def test_images_and_recordings_are_files() -> None:
    """A recording is told in text as well."""
    image = {'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,aQ=='}}
    audio = {'id': 'a', 'data': 'YQ==', 'expires_at': 1, 'transcript': 'Said'}

    response = await whole(completion({'images': [image], 'audio': audio}))

    files = [part.content for part in response.parts if isinstance(part, FilePart)]
    assert [(file.data, file.media_type) for file in files] == [(b'i', 'image/png'), (b'a', 'audio/wav')]
    assert TextPart('Said') in response.parts


async def test_tools_that_groq_has_run_are_told() -> None:
    """The call when it begins, what came of it when it has; both stand before the text, streamed or not."""
    begun = {'index': 0, 'type': 'search', 'arguments': '{"query":"Bern"}'}
    done = begun | {'output': 'text', 'search_results': {'results': []}}
    chunks = [chunk({'executed_tools': [each]}) for each in (begun, done)]

    response = await whole(completion({'content': 'Hi', 'executed_tools': [done]}), provider='groq')
    in_stream = await streamed(sse(*chunks, chunk({'content': 'Hi'}, finish_reason='stop')), provider='groq')

    for call, returned, text in (response.parts, in_stream.parts):
        assert isinstance(call, BuiltinToolCallPart)
        assert isinstance(returned, BuiltinToolReturnPart)
        assert (call.tool_name, call.args_as_dict()) == ('web_search', {'query': 'Bern'})
        assert (returned.tool_call_id, returned.content) == (call.tool_call_id, {'results': []})
        assert text == TextPart('Hi')


async def test_what_else_is_told_is_kept() -> None:
    """Citations, probabilities of tokens, what it has cost and who has served it."""
    answer = completion(
        {'content': 'Hi', 'annotations': [{'type': 'url_citation'}]}, provider='Someone', usage={'cost': 0.5}
    )
    answer['choices'][0]['logprobs'] = {'content': [{'token': 'Hi', 'logprob': -1}]}

    found = details(await whole(answer))

    assert found['annotations'] == [{'type': 'url_citation'}]
    assert found['logprobs'] == [{'token': 'Hi', 'logprob': -1}]
    assert (found['downstream_provider'], found['cost']) == ('Someone', 0.5)


@pytest.mark.parametrize(
    'answer',
    [
        'no JSON',
        {},
        {'choices': []},
        {'choices': None},
        {'choices': ['x']},
        {'choices': [{'message': 'x'}]},
        completion({'tool_calls': ['x']}),
        completion({'content': 5}),
        [1],
    ],
)
async def test_answers_that_make_no_sense_are_refused(answer: Any) -> None:
    """Whatever comes, the error is one that runs and fallbacks know."""
    with pytest.raises((UnexpectedModelBehavior, ModelAPIError)):
        await whole(answer)


@pytest.mark.parametrize('created', [None, 0, -1e30, 'yesterday'])
async def test_a_time_that_is_none_is_passed_over(created: Any) -> None:
    """The answer has come now, then."""
    response = await whole(completion(created=created))

    assert response.timestamp.year > 2025
    assert 'timestamp' not in details(response)


# Errors


@pytest.mark.parametrize(
    'answer',
    [
        {'error': {'message': 'Busy', 'code': 502}},
        completion(finish_reason='error', error={'message': 'Busy', 'code': 502}),
    ],
)
async def test_errors_within_an_answer_have_their_status(answer: dict[str, Any]) -> None:
    """Gateways answer well and tell of an error."""
    with pytest.raises(ModelHTTPError, match='Busy') as caught:
        await whole(answer)

    assert (caught.value.status_code, caught.value.provider_name) == (502, 'openai')


async def test_no_error_holds_a_key() -> None:
    """Servers repeat keys that they do not know, in the body of an error or in a stream."""
    refused = Server({'error': {'message': f'Wrong key {KEY}'}}, status=401).model()
    with pytest.raises(ModelHTTPError) as caught:
        await refused.request(HELLO, None, NO_TOOLS)
    with pytest.raises(ModelHTTPError) as told:
        await streamed(sse(chunk({'content': 'Hi'}), {'error': {'message': f'Wrong key {KEY}', 'code': 401}}))

    for error in (caught.value, told.value):
        assert KEY not in f'{error} {error.body} {error.__cause__!r} {refused!r}'


@pytest.mark.parametrize(
    ('said', 'args'),
    [
        ('{"name": "weather", "arguments": {"town": "Bern"}}', [{'town': 'Bern'}]),
        ('[{"name": "weather", "parameters": {}}]', [{}]),
        ('<function=weather>{"town": "Bern"}</function>', [{'town': 'Bern'}]),
    ],
)
async def test_calls_that_groq_refuses_are_calls(said: str, args: list[Any]) -> None:
    """The run refuses them too and tells the model why; streamed or not, the answer is the same."""
    error = {'message': 'No', 'code': 'tool_use_failed', 'failed_generation': said}
    model = Server({'error': error}, status=400).model()

    response = await model.request(HELLO, None, NO_TOOLS)
    async with model.request_stream(HELLO, None, NO_TOOLS) as stream:
        opened = [event async for event in stream]
    in_stream = await streamed(sse(chunk({'reasoning': 'Hm'}), {'error': error}, done=False), provider='groq')

    for parts in (response.parts, stream.get().parts, in_stream.parts[1:]):
        assert [part.args_as_dict() for part in parts if isinstance(part, ToolCallPart)] == args
    assert response.finish_reason == in_stream.finish_reason == 'error'
    assert isinstance(opened[0], PartStartEvent)


@pytest.mark.parametrize('said', ['', 'words', '{"name": 1}', '[]', None])
async def test_failed_calls_that_cannot_be_read_are_errors(said: Any) -> None:
    """They stay the refusal of the request that they are."""
    error = {'message': 'No', 'code': 'tool_use_failed', 'failed_generation': said}

    with pytest.raises(ModelHTTPError, match='400'):
        await Server({'error': error}, status=400).model().request(HELLO, None, NO_TOOLS)


async def test_the_filter_of_azure_is_an_answer() -> None:
    """A prompt that its filter stops ends as an answer that its filter stops."""
    result = {'hate': {'filtered': True}}
    error = {'code': 'content_filter', 'message': 'No', 'innererror': {'content_filter_result': result}}

    response = await Server({'error': error}, status=400).model().request(HELLO, None, NO_TOOLS)

    assert (response.parts, response.finish_reason) == ([], 'content_filter')
    assert details(response)['content_filter_result'] == result


# Streams


async def test_a_stream_grows_to_the_whole_answer() -> None:
    """Empty pieces tell nothing, and usage comes last."""
    body = sse(
        chunk({'role': 'assistant', 'content': ''}),
        chunk({'content': 'H'}),
        chunk({'content': 'i!'}),
        chunk({}, finish_reason='stop'),
        chunk(usage={'prompt_tokens': 3, 'completion_tokens': 2}),
    )
    async with Server(body).model().request_stream(HELLO, None, NO_TOOLS) as stream:
        events = [event async for event in stream if isinstance(event, (PartStartEvent, PartDeltaEvent))]

    assert len(events) == 2
    assert stream.get() == await whole(completion(usage={'prompt_tokens': 3, 'completion_tokens': 2}))


async def test_a_stream_asks_for_its_usage() -> None:
    """Where the provider has to be asked."""
    asked = Server(sse(chunk({'content': 'Hi'}, finish_reason='stop')))
    for provider in ('openai', 'mistral'):
        async with asked.model('any', provider=provider).request_stream(HELLO, None, NO_TOOLS):
            pass

    bodies = [request.content for request in asked.asked]
    assert b'"stream_options":{"include_usage":true}' in bodies[0]
    assert b'stream_options' not in bodies[1]


@pytest.mark.parametrize('numbers', [(0, 1), (0, 0), (None, None)])
async def test_calls_are_told_apart_however_they_are_numbered(numbers: tuple[int | None, int | None]) -> None:
    """Some servers number all calls 0, or none."""
    pieces = []
    for call_id, number in zip('ab', numbers, strict=True):
        index = {} if number is None else {'index': number}
        pieces.append(
            chunk(
                {'tool_calls': [{**index, 'id': call_id, 'function': {'name': f'tool_{call_id}', 'arguments': '{"x"'}}]}
            )
        )
        pieces.append(chunk({'tool_calls': [{**index, 'function': {'arguments': ':1}'}}]}))

    response = await streamed(sse(*pieces, chunk({}, finish_reason='tool_calls')))

    assert response.parts == [ToolCallPart('tool_a', '{"x":1}', 'a'), ToolCallPart('tool_b', '{"x":1}', 'b')]


async def test_a_name_that_is_told_again_is_told_once() -> None:
    """Some servers repeat name and id in each piece."""
    call = {'index': 0, 'id': 'a', 'function': {'name': 'tool', 'arguments': '{'}}
    again = {'index': 0, 'id': 'a', 'function': {'name': 'tool', 'arguments': '}'}}

    response = await streamed(sse(chunk({'tool_calls': [call]}), chunk({'tool_calls': [again]}, finish_reason='stop')))

    assert response.parts == [ToolCallPart('tool', '{}', 'a')]


async def test_details_of_thoughts_grow() -> None:
    """Pieces with the same index and type are one; the signature comes last."""
    kind = {'type': 'reasoning.text', 'index': 0, 'format': None}
    pieces = [{'text': 'H'}, {'text': 'm'}, {'text': '', 'signature': 's'}]
    chunks = [chunk({'reasoning': each['text'], 'reasoning_details': [kind | each]}) for each in pieces]

    response = await streamed(sse(*chunks, chunk({'content': 'Hi'}, finish_reason='stop')), provider='openrouter')

    thought = ThinkingPart('Hm', signature='s', provider_name='openrouter', provider_details=kind)
    assert response.parts == [thought, TextPart('Hi')]


@pytest.mark.parametrize(
    'body',
    [
        sse(chunk({'content': 'Hi'}, finish_reason='stop'), done=False),
        sse(chunk({'content': 'Hi'})),
        sse(chunk({'content': 'Hi'}), chunk(usage={'prompt_tokens': 1}), done=False),
    ],
)
async def test_streams_end_with_a_reason_a_mark_or_the_usage(body: str) -> None:
    """Any of them shows that nothing is missing."""
    assert (await streamed(body)).parts == [TextPart('Hi')]


@pytest.mark.parametrize(
    ('body', 'error', 'message'),
    [
        (sse(chunk({'content': 'Hi'}), done=False), ModelAPIError, 'ended before it was complete'),
        (sse(), UnexpectedModelBehavior, 'without an answer'),
        (': hello\n\n', ModelAPIError, 'ended before it was complete'),
        ('data: {"choices"\n\n', UnexpectedModelBehavior, 'it is no JSON'),
        ('data: 5\n\n', UnexpectedModelBehavior, 'JSON, but no object'),
        (sse(chunk({'tool_calls': 'x'})), UnexpectedModelBehavior, 'cannot be read'),
        (sse(chunk({'content': 'Hi'}), {'error': 'Broken'}), ModelAPIError, 'Broken'),
        (sse(chunk({'content': 'Hi'}), {'error': {'message': 'Busy', 'code': 429}}), ModelHTTPError, '429'),
    ],
)
async def test_streams_that_fail_say_why(body: str, error: type[Exception], message: str) -> None:
    """An end without a reason is no end, and errors are told whatever form they have."""
    with pytest.raises(error, match=message):
        await streamed(body)


async def test_unknown_fields_and_choices_do_no_harm() -> None:
    """What a server adds tomorrow is passed over."""
    other = chunk({'content': 'No'})
    other['choices'][0]['index'] = 1
    body = sse(chunk({'content': 'Hi', 'of_tomorrow': [1]}, of_tomorrow={}), other, chunk({}, finish_reason='stop'))

    assert (await streamed(body)).parts == [TextPart('Hi')]


async def test_an_older_name_still_works() -> None:
    """`OpenAIModel` says what it is called now."""
    with pytest.warns(DeprecationWarning, match='use `OpenAIChatModel` instead'):
        model = OpenAIModel('gpt-4o', provider=Server().provider())

    assert isinstance(model, OpenAIChatModel)
