"""What models of chat completions are sent."""

import json
from dataclasses import replace
from typing import Any

import pytest
from openai_chat_parts import HELLO, WEATHER, Server, sent, sent_messages

from plait_agent.builtin_tools import WebSearchTool
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models.cerebras import CerebrasModel
from plait_agent.models.groq import GroqModel
from plait_agent.models.mistral import MistralModel
from plait_agent.models.openai import OpenAIChatModel
from plait_agent.models.openrouter import OpenRouterModel, OpenRouterModelSettings
from plait_agent.output import OutputObjectDefinition
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

FINAL = ToolDefinition(name='final', parameters_json_schema={'type': 'object', 'properties': {}}, kind='output')
TAGGED = '<think>\nHm\n</think>\n\nHi'
CALL = ToolCallPart('weather', '{"city":"Bern"}', 'call-1')


def asking(*content: Any) -> ModelRequest:
    """A request in which the user says this."""
    return ModelRequest([UserPromptPart(content)])


# Messages


async def test_instructions_stand_behind_the_first_system_prompts() -> None:
    """Prompts come first, so that what changes most seldom begins the request."""
    first = ModelRequest([SystemPromptPart('One'), SystemPromptPart('Two'), UserPromptPart('Hello')])
    last = ModelRequest([SystemPromptPart('Late'), UserPromptPart('Again')], instructions='Be brief')

    messages = await sent_messages(first, ModelResponse([TextPart('Hi')]), last)

    assert [each['content'] for each in messages] == ['One', 'Two', 'Be brief', 'Hello', 'Hi', 'Late', 'Again']
    assert [each['role'] for each in messages[:3]] == ['system'] * 3


@pytest.mark.parametrize('role', ['developer', 'user'])
async def test_the_profile_says_who_says_system_prompts(role: str) -> None:
    """Prompts and instructions come from the same mouth."""
    request = ModelRequest([SystemPromptPart('One'), UserPromptPart('Hello')], instructions='Two')

    messages = await sent_messages(request, openai_system_prompt_role=role)

    assert [each['role'] for each in messages] == [role, role, 'user']


async def test_calls_and_what_they_returned_are_sent_back() -> None:
    """Calls without text have no content; returns and retries go to the call that they answer."""
    answer = ModelResponse([CALL, ToolCallPart('weather', {'city': 'Rome'}, 'call-2')])
    returns = ModelRequest(
        [
            ToolReturnPart('weather', {'sun': True}, 'call-1'),
            RetryPromptPart('No', tool_name='weather', tool_call_id='call-2'),
        ]
    )

    messages = await sent_messages(*HELLO, answer, returns)

    assert messages[1]['content'] is None
    assert [call['function']['arguments'] for call in messages[1]['tool_calls']] == [
        '{"city":"Bern"}',
        '{"city":"Rome"}',
    ]
    assert messages[2] == {'role': 'tool', 'tool_call_id': 'call-1', 'content': '{"sun":true}'}
    assert messages[3] == {'role': 'tool', 'tool_call_id': 'call-2', 'content': 'No\n\nFix the errors and try again.'}


async def test_files_from_tools_are_said_by_the_user() -> None:
    """What a tool returns is text here, so its files follow all returns, each with the name that the text gives it."""
    image, page = BinaryContent(b'i', media_type='image/png', identifier='a'), DocumentUrl('https://example.com/b.pdf')
    returns = [
        ToolReturnPart('weather', [image, {'sun': True}], 'call-1'),
        ToolReturnPart('weather', image, 'call-2'),
        ToolReturnPart('weather', (page,), 'call-3'),
    ]
    calls = ModelResponse([ToolCallPart('weather', '{}', each.tool_call_id) for each in returns])

    messages = await sent_messages(*HELLO, calls, ModelRequest(returns), provider='openrouter', name='openai/any')

    assert [each['content'] for each in messages[2:5]] == [
        '["See file a",{"sun":true}]',
        'See file a',
        f'["See file {page.identifier}"]',
    ]
    said = messages[5]['content']
    assert [each['type'] for each in said] == ['text', 'image_url', 'text', 'image_url', 'text', 'file']
    assert [each['text'] for each in said[::2]] == [
        'This is file a:',
        'This is file a:',
        f'This is file {page.identifier}:',
    ]


@pytest.mark.parametrize('args', ['{"city": "Be', '[1]', 'Bern'])
async def test_arguments_that_are_no_object_go_back_as_one(args: str) -> None:
    """Servers refuse a history with others, and the model still sees what it wrote."""
    retry = RetryPromptPart('No', tool_name='weather', tool_call_id='call-1')
    calls = ModelResponse([ToolCallPart('weather', args, 'call-1')])

    messages = await sent_messages(*HELLO, calls, ModelRequest([retry]))

    function = messages[1]['tool_calls'][0]['function']
    assert json.loads(function['arguments']) == {'INVALID_JSON': args}


@pytest.mark.parametrize(
    ('name', 'mark'),
    [
        ('anthropic/claude-any', {'type': 'ephemeral', 'ttl': '1h'}),
        ('google/gemini-any', {'type': 'ephemeral'}),
        ('openai/gpt-5', None),
    ],
)
async def test_cache_points_mark_what_stands_before_them(name: str, mark: Any) -> None:
    """Where OpenRouter passes the mark on to the model; a point with nothing before it marks nothing."""
    server = Server()
    model = OpenRouterModel(name, provider=server.provider('openrouter'))

    await model.request([asking(CachePoint(), 'Long', CachePoint(ttl='1h'), 'Short')], None, ModelRequestParameters())

    assert [each.get('cache_control') for each in server.body['messages'][0]['content']] == [mark, None]


@pytest.mark.parametrize('parts', [[], [ThinkingPart('Hm', id='reasoning_content', provider_name='deepseek')]])
async def test_an_empty_answer_is_not_sent_back(parts: list[Any]) -> None:
    """Providers refuse messages with neither text nor calls, even if there are thoughts."""
    messages = await sent_messages(*HELLO, ModelResponse(parts), asking('Again'), provider='deepseek')

    assert [each['role'] for each in messages] == ['user', 'user']


@pytest.mark.parametrize(
    ('how', 'expected'),
    [
        ({}, {'content': '<think>\nHm\n</think>\n\nHi'}),
        ({'openai_chat_send_back_thinking_parts': False}, {'content': 'Hi'}),
        (
            {'openai_chat_send_back_thinking_parts': 'field', 'openai_chat_thinking_field': 'reasoning'},
            {'content': 'Hi', 'reasoning': 'Hm'},
        ),
        (
            {'openai_chat_send_back_thinking_parts': 'chunks'},
            {
                'content': [
                    {'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'Hm'}]},
                    {'type': 'text', 'text': 'Hi'},
                ]
            },
        ),
    ],
)
async def test_thoughts_go_back_as_the_profile_says(how: dict[str, Any], expected: dict[str, Any]) -> None:
    """Within the text, in their field, as chunks, or not at all; empty ones never."""
    model = Server().model()
    for name, value in how.items():
        setattr(model.profile, name, value)
    answer = ModelResponse([ThinkingPart('', signature='s'), ThinkingPart('Hm'), TextPart('Hi')])

    encoded = model._encoder.encode([answer], None, lambda _: BinaryContent(b'', media_type=''))

    assert encoded == [{'role': 'assistant'} | expected]


@pytest.mark.parametrize(
    ('thought', 'provider', 'name', 'expected'),
    [
        (
            ThinkingPart('Hm', id='reasoning', provider_name='openai'),
            'openai',
            'any',
            {'content': 'Hi', 'reasoning': 'Hm'},
        ),
        (ThinkingPart('Hm', id='reasoning', provider_name='other'), 'openai', 'any', {'content': TAGGED}),
        (ThinkingPart('Hm', id='rs_1', provider_name='openai'), 'openai', 'any', {'content': TAGGED}),
        (ThinkingPart('Hm', id='reasoning', provider_name='groq'), 'groq', 'any', {'content': TAGGED}),
        (ThinkingPart('Hm', id='reasoning', provider_name='cerebras'), 'cerebras', 'zai-glm-4.6', {'content': TAGGED}),
    ],
)
async def test_thoughts_go_back_to_the_field_that_they_came_in(
    thought: ThinkingPart, provider: str, name: str, expected: dict[str, Any]
) -> None:
    """A server knows its own thoughts again; those of others are text, and so are all for servers that want it so."""
    messages = await sent_messages(*HELLO, ModelResponse([thought, TextPart('Hi')]), provider=provider, name=name)

    assert messages[1] == {'role': 'assistant', **expected}


async def test_calls_for_deepseek_come_with_thoughts() -> None:
    """DeepSeek refuses calls without the field, so it is empty where the call was made without a thought."""
    messages = await sent_messages(*HELLO, ModelResponse([CALL]), ModelResponse([TextPart('Hi')]), provider='deepseek')

    assert [each.get('reasoning_content') for each in messages] == [None, '', None]


async def test_long_ids_of_calls_are_made_to_fit() -> None:
    """Mistral takes nine letters and digits; the call and its answer stay together."""
    call, fitting = ToolCallPart('weather', '{}', 'call_from-elsewhere'), ToolCallPart('weather', '{}', 'abcdef123')
    returns = ModelRequest([ToolReturnPart('weather', 'Sun', each.tool_call_id) for each in (call, fitting)])

    messages = await sent_messages(*HELLO, ModelResponse([call, fitting]), returns, provider='mistral', name='any')

    ids = [each['id'] for each in messages[1]['tool_calls']]
    assert ids == [each['tool_call_id'] for each in messages[2:]]
    assert ids[1] == 'abcdef123'
    assert len(ids[0]) == 9
    assert ids[0].isalnum()


async def test_signatures_of_google_go_back_with_their_call() -> None:
    """What a server adds to a call comes back to it."""
    extra = {'google': {'thought_signature': 'abc'}}
    call = ToolCallPart('weather', '{}', 'call-1', provider_details={'extra_content': extra})

    messages = await sent_messages(
        *HELLO, ModelResponse([call]), ModelRequest([ToolReturnPart('weather', 1, 'call-1')])
    )

    assert messages[1]['tool_calls'][0]['extra_content'] == extra


# Media


@pytest.mark.parametrize(
    ('item', 'part'),
    [
        (ImageUrl('https://example.com/a.png'), {'image_url': {'url': 'https://example.com/a.png'}}),
        (
            BinaryContent(b'i', media_type='image/png', vendor_metadata={'detail': 'low'}),
            {'image_url': {'url': 'data:image/png;base64,aQ==', 'detail': 'low'}},
        ),
        (BinaryContent(b'a', media_type='audio/mpeg'), {'input_audio': {'data': 'YQ==', 'format': 'mp3'}}),
        (BinaryContent(b'a', media_type='audio/x-wav'), {'input_audio': {'data': 'YQ==', 'format': 'wav'}}),
        (
            BinaryContent(b'p', media_type='application/pdf'),
            {'file': {'file_data': 'data:application/pdf;base64,cA==', 'filename': 'filename.pdf'}},
        ),
    ],
)
async def test_files_are_sent_as_parts(item: Any, part: dict[str, Any]) -> None:
    """Images, recordings and documents stand beside the text."""
    (message,) = await sent_messages(asking('Look', item, CachePoint()))

    assert message['content'] == [{'type': 'text', 'text': 'Look'}, {'type': next(iter(part)), **part}]


async def test_text_files_are_sent_as_text() -> None:
    """Between marks, by which the model can tell them from what the user says."""
    (message,) = await sent_messages(asking(BinaryContent(b'a,b', media_type='text/csv', identifier='table')))

    mark = 'FILE id="table"'
    assert message['content'][0]['text'] == f'-----BEGIN {mark} type="text/csv"-----\na,b\n-----END {mark}-----'


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        (VideoUrl('https://example.com/a.mp4'), 'holds a video, which the model does not take'),
        (
            BinaryContent(b'', media_type='audio/ogg'),
            "type 'audio/ogg', which the model does not take. It takes mp3, wav",
        ),
        (BinaryContent(b'', media_type='application/zip'), "type 'application/zip'.*with its media_type"),
        (BinaryContent(b'\xff', media_type='text/plain'), 'not text in UTF-8.*give the media_type that it has'),
    ],
)
async def test_what_the_provider_does_not_take_is_refused(item: Any, message: str) -> None:
    """The error names the file and the way out, and nothing is sent."""
    server = Server()

    with pytest.raises(UserError, match=message):
        await server.model().request([asking(item)], None, ModelRequestParameters())

    assert not server.asked


async def test_files_are_fetched_once_for_as_long_as_their_message_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording by its URL is sent as bytes, which the next turns have still."""
    fetched: list[str] = []

    async def fetch(item: Any) -> BinaryContent:
        fetched.append(item.url)
        return BinaryContent(b'a', media_type='audio/wav')

    monkeypatch.setattr('plait_agent.models._openai_chat.model.fetch_content', fetch)
    server = Server()
    model, history = server.model(), [asking(AudioUrl('https://example.com/a.wav'))]
    for _ in range(2):
        await model.request(history, None, ModelRequestParameters())

    assert fetched == ['https://example.com/a.wav']
    assert server.body['messages'][0]['content'][0]['input_audio']['data'] == 'YQ=='


async def test_documents_by_url_are_left_to_providers_that_fetch_them() -> None:
    """OpenRouter and Mistral read documents themselves."""
    request = asking(DocumentUrl('https://example.com/a.pdf'))

    (at_openrouter,) = await sent_messages(request, provider='openrouter', name='qwen/any')
    (at_mistral,) = await sent_messages(request, provider='mistral', name='any')

    url = 'https://example.com/a.pdf'
    assert at_openrouter['content'] == [{'type': 'file', 'file': {'file_data': url, 'filename': 'filename.pdf'}}]
    assert at_mistral['content'] == [{'type': 'document_url', 'document_url': url}]


# Settings


async def test_settings_become_fields() -> None:
    """Each has the name that the format has for it."""
    settings: Any = {
        'max_tokens': 5,
        'stop_sequences': ['x'],
        'openai_reasoning_effort': 'low',
        'openai_user': 'u',
        'openai_service_tier': 'flex',
        'openai_prompt_cache_key': 'k',
        'extra_body': {'anything': 1},
    }

    body = await sent(settings=settings)

    assert body == {
        'model': 'gpt-4o',
        'messages': [{'role': 'user', 'content': 'Hello'}],
        'stream': False,
        'max_completion_tokens': 5,
        'stop': ['x'],
        'reasoning_effort': 'low',
        'user': 'u',
        'service_tier': 'flex',
        'prompt_cache_key': 'k',
        'anything': 1,
    }


async def test_models_that_reason_are_not_told_how_to_draw_lots() -> None:
    """What they refuse is left out, unless they are told not to reason."""
    settings: Any = {'temperature': 0.5, 'top_p': 0.5, 'openai_logprobs': True, 'seed': 1}

    reasoning = await sent(settings=settings, name='gpt-5')
    plain = await sent(settings={**settings, 'openai_reasoning_effort': 'none'}, name='gpt-5.1')

    assert reasoning.keys() & {'temperature', 'top_p', 'logprobs', 'seed'} == {'seed'}
    assert (plain['temperature'], plain['logprobs']) == (0.5, True)


async def test_model_that_reasons_only_if_it_is_asked_to_is_told_how_to_sample() -> None:
    """Such models take what others take until they are asked to reason."""
    settings: Any = {'temperature': 0.5}

    assert 'temperature' in await sent(settings=settings, name='gpt-5.1')
    assert 'temperature' not in await sent(settings={**settings, 'openai_reasoning_effort': 'low'}, name='gpt-5.1')


async def test_settings_of_one_provider_go_into_the_body() -> None:
    """What the program adds itself goes over them."""
    server = Server()
    model = OpenRouterModel('openai/gpt-4o', provider=server.provider('openrouter'))
    settings = OpenRouterModelSettings(
        openrouter_models=['a', 'b'], openrouter_provider={'order': ['c']}, extra_body={'models': ['d']}
    )

    await model.request(HELLO, settings, ModelRequestParameters())

    assert (server.body['models'], server.body['provider']) == (['d'], {'order': ['c']})


# Tools and output


async def test_tools_are_strict_where_their_schema_can_be() -> None:
    """Closed schemas bind the model; others are sent as they are."""
    loose = ToolDefinition(
        name='loose', parameters_json_schema={'type': 'object', 'additionalProperties': {'type': 'integer'}}
    )

    body = await sent(parameters=ModelRequestParameters(function_tools=[WEATHER, loose]))

    weather, other = (tool['function'] for tool in body['tools'])
    assert weather['strict'] is True
    assert weather['parameters']['additionalProperties'] is False
    assert 'strict' not in other
    assert other['parameters']['additionalProperties'] == {'type': 'integer'}
    assert body['tool_choice'] == 'auto'


@pytest.mark.parametrize(
    ('choice', 'profile', 'said'),
    [
        ('none', {}, 'none'),
        ('required', {}, 'required'),
        ('required', {'openai_supports_tool_choice_required': False}, 'auto'),
        ('required', {'openai_chat_tool_choice_required': 'any'}, 'any'),
        (['weather'], {}, {'type': 'function', 'function': {'name': 'weather'}}),
    ],
)
async def test_the_choice_of_tools_is_told(choice: Any, profile: dict[str, Any], said: Any) -> None:
    """In the words of the provider; a model that cannot be forced is left free."""
    parameters = ModelRequestParameters(function_tools=[WEATHER])

    body = await sent(settings={'tool_choice': choice}, parameters=parameters, **profile)

    assert body['tool_choice'] == said


async def test_tools_that_may_not_be_called_are_named_or_left_out() -> None:
    """OpenAI is told of all tools, so that its cache holds; others are told of those that may be called."""
    other = ToolDefinition(name='other')
    parameters = ModelRequestParameters(function_tools=[WEATHER, other], output_tools=[FINAL], output_mode='tool')
    settings: Any = {'tool_choice': ToolOrOutput(function_tools=['weather'])}

    cached = await sent(settings=settings, parameters=parameters, name='gpt-5')
    plain = await sent(settings=settings, parameters=parameters, name='gpt-4o')

    assert len(cached['tools']) == 3
    allowed = cached['tool_choice']['allowed_tools']
    assert [each['function']['name'] for each in allowed['tools']] == ['weather', 'final']
    assert [each['function']['name'] for each in plain['tools']] == ['weather', 'final']


async def test_parallel_calls_are_only_spoken_of_beside_tools() -> None:
    """Without tools the field is refused."""
    settings: Any = {'parallel_tool_calls': False}

    assert 'parallel_tool_calls' not in await sent(settings=settings)
    body = await sent(settings=settings, parameters=ModelRequestParameters(function_tools=[WEATHER]))
    assert body['parallel_tool_calls'] is False


async def test_the_answer_is_bound_to_a_schema() -> None:
    """Native output gives the schema, prompted output tells it and asks for JSON."""
    schema = {'type': 'object', 'properties': {'a': {'type': 'integer'}}, 'required': ['a']}
    wanted = OutputObjectDefinition(schema, name='Number', description='A number.')

    native = await sent(parameters=ModelRequestParameters(output_mode='native', output_object=wanted))
    prompted = await sent(parameters=ModelRequestParameters(output_mode='prompted', output_object=wanted))

    assert native['response_format']['json_schema'] == {
        'name': 'Number',
        'description': 'A number.',
        'strict': True,
        'schema': schema | {'additionalProperties': False},
    }
    assert prompted['response_format'] == {'type': 'json_object'}
    assert '"Number"' in prompted['messages'][0]['content']


async def test_groq_binds_answers_to_schemas_where_its_models_can() -> None:
    """Its open models of OpenAI are held to them; with tools it takes no wish for JSON."""
    wanted = OutputObjectDefinition(WEATHER.parameters_json_schema, name='City')
    native = ModelRequestParameters(output_mode='native', output_object=wanted)
    prompted = ModelRequestParameters(output_mode='prompted', output_object=wanted)
    beside = replace(prompted, function_tools=[WEATHER])

    open_model = await sent(parameters=native, provider='groq', name='openai/gpt-oss-20b')
    llama = await sent(parameters=native, provider='groq', name='meta-llama/llama-4-scout-17b-16e-instruct')
    formats = [await sent(parameters=each, provider='groq', name='openai/gpt-oss-20b') for each in (prompted, beside)]

    assert open_model['response_format']['json_schema']['strict'] is True
    assert 'strict' not in llama['response_format']['json_schema']
    assert [each.get('response_format') for each in formats] == [{'type': 'json_object'}, None]


async def test_a_model_that_always_searches_needs_no_tool_for_it() -> None:
    """Groq's compound models are sent nothing of it; others of Groq refuse."""
    server = Server()
    parameters = ModelRequestParameters(builtin_tools=[WebSearchTool()])

    await GroqModel('groq/compound', provider=server.provider('groq')).request(HELLO, None, parameters)

    assert server.body.keys() == {'model', 'messages', 'stream'}
    with pytest.raises(UserError, match='WebSearchTool is not supported'):
        await GroqModel('llama-3.3', provider=server.provider('groq')).request(HELLO, None, parameters)


@pytest.mark.parametrize(
    ('model_class', 'provider', 'settings', 'field'),
    [
        (GroqModel, 'groq', {'groq_reasoning_effort': 'low'}, ('reasoning_effort', 'low')),
        (MistralModel, 'mistral', {'mistral_prompt_cache_key': 'k'}, ('prompt_cache_key', 'k')),
        (CerebrasModel, 'cerebras', {'openai_service_tier': 'flex'}, ('service_tier', 'flex')),
        (OpenAIChatModel, 'openai', {'openai_text_verbosity': 'low'}, ('verbosity', 'low')),
    ],
)
async def test_settings_have_the_names_of_their_providers(
    model_class: type[OpenAIChatModel], provider: str, settings: Any, field: tuple[str, str]
) -> None:
    """Each goes into the field that its provider knows."""
    server = Server()
    await model_class('any', provider=server.provider(provider)).request(HELLO, settings, ModelRequestParameters())

    assert field in server.body.items()


async def test_the_web_is_searched_where_the_model_can() -> None:
    """Search models are told how; others refuse, and say which class can."""
    tool = WebSearchTool(search_context_size='low', user_location={'city': 'Bern'})
    parameters = ModelRequestParameters(builtin_tools=[tool])

    body = await sent(parameters=parameters, name='gpt-4o-search-preview')

    location = {'type': 'approximate', 'approximate': {'city': 'Bern'}}
    assert body['web_search_options'] == {'search_context_size': 'low', 'user_location': location}
    with pytest.raises(UserError, match=r"not supported with `OpenAIChatModel` and model 'gpt-4o'.*Responses"):
        await sent(parameters=parameters)


async def test_tools_are_written_once() -> None:
    """The same definitions come with each request, and are not encoded again."""
    server = Server()
    model = server.model()
    parameters = ModelRequestParameters(function_tools=[WEATHER])
    for _ in range(2):
        await model.request(HELLO, None, parameters)

    assert len(model._encoded_tools) == 1
