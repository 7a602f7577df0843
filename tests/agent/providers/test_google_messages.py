"""What Google is sent: messages, settings, tools and the form of the answer."""

from dataclasses import replace
from typing import Any

import pytest
from google_parts import TOOL, asked

from plait_agent.builtin_tools import (
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebFetchTool,
    WebSearchTool,
)
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CachePoint,
    DocumentUrl,
    FilePart,
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
from plait_agent.output import OutputObjectDefinition
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

NO_SIGNATURE = 'c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I='
HELLO = ModelRequest.user_text_prompt('Hello')
OUTPUT = ToolDefinition(name='final_result', kind='output')
CITY = OutputObjectDefinition(json_schema={'type': 'object', 'properties': {}}, name='City', description='A city.')


async def contents(*messages: Any, name: str = 'gemini-2.5-flash') -> list[Any]:
    """What is sent of messages."""
    return (await asked(list(messages), name=name))['contents']


def said(role: str, *parts: Any) -> dict[str, Any]:
    """What one side says."""
    return {'role': role, 'parts': list(parts)}


# Messages


async def test_system_prompts_and_instructions_stand_beside_the_contents() -> None:
    """System prompts and instructions are the system instruction, and the user's text is the contents."""
    message = ModelRequest([SystemPromptPart('Be kind.'), UserPromptPart('Hello')], instructions='Be short.')

    body = await asked([message])

    assert body['systemInstruction'] == {'role': 'user', 'parts': [{'text': 'Be kind.'}, {'text': 'Be short.'}]}
    assert body['contents'] == [said('user', {'text': 'Hello'})]


async def test_what_one_side_says_in_turn_is_one_content() -> None:
    """Requests that follow one another are one content, and answers without parts leave none."""
    sent = await contents(HELLO, ModelResponse([]), ModelRequest([RetryPromptPart('Say something.')]))

    retry = 'Validation feedback:\nSay something.\n\nFix the errors and try again.'
    assert sent == [said('user', {'text': 'Hello'}, {'text': retry})]


async def test_a_history_without_a_question_gets_an_empty_one() -> None:
    """Google wants a user to begin; a history that begins with an answer, or is empty, is given one."""
    assert await contents(ModelRequest([])) == [said('user', {'text': ''})]
    assert await contents(ModelResponse([TextPart('Hi')]), HELLO) == [
        said('user', {'text': ''}),
        said('model', {'text': 'Hi'}),
        said('user', {'text': 'Hello'}),
    ]


async def test_what_tools_return_follows_their_calls_by_itself() -> None:
    """Returns and retries are one content, wherever they stand in their request, and the user's text is another."""
    calls = ModelResponse([ToolCallPart('a', {'x': 1}, '1'), ToolCallPart('b', '{"y": 2}', '2'), ToolCallPart('c')])
    returns = ModelRequest(
        [
            UserPromptPart('And now?'),
            ToolReturnPart('a', {'done': True}, '1'),
            RetryPromptPart('Wrong.', tool_name='b', tool_call_id='2'),
        ]
    )
    sent = await contents(HELLO, calls, returns, ModelRequest([ToolReturnPart('c', [1, 2], '3')]))

    assert [part['functionCall']['args'] for part in sent[1]['parts']] == [{'x': 1}, {'y': 2}, {}]
    assert sent[2] == said(
        'user',
        {'functionResponse': {'id': '1', 'name': 'a', 'response': {'done': True}}},
        {
            'functionResponse': {
                'id': '2',
                'name': 'b',
                'response': {'error': 'Wrong.\n\nFix the errors and try again.'},
            }
        },
    )
    assert sent[3] == said('user', {'text': 'And now?'})
    assert sent[4] == said('user', {'functionResponse': {'id': '3', 'name': 'c', 'response': {'return_value': [1, 2]}}})


async def test_arguments_that_are_no_json_are_sent_as_they_are() -> None:
    """A call of another model whose arguments were cut can still be sent."""
    sent = await contents(HELLO, ModelResponse([ToolCallPart('a', '{"x": ', '1')]))

    assert sent[1]['parts'][0]['functionCall']['args'] == {'INVALID_JSON': '{"x": '}


async def test_signatures_go_back_to_where_they_came_from() -> None:
    """Each part has its own signature again, and the first call of an answer without one says that it has none."""
    details = {'thought_signature': 'c2ln'}
    parts = [
        ThinkingPart('Hm.', provider_name='google-gla'),
        TextPart('So', provider_details=details),
        ToolCallPart('a', {}, '1'),
        ToolCallPart('b', {}, '2', provider_details=details),
        FilePart(BinaryImage(b'png', media_type='image/png'), provider_details=details),
    ]
    sent = await contents(HELLO, ModelResponse(parts, provider_name='google-gla'))

    signatures = [part.get('thoughtSignature') for part in sent[1]['parts']]
    assert signatures == [None, 'c2ln', NO_SIGNATURE, 'c2ln', 'c2ln']
    assert sent[1]['parts'][0] == {'text': 'Hm.', 'thought': True}
    assert sent[1]['parts'][4]['inlineData'] == {'mimeType': 'image/png', 'data': 'cG5n'}


async def test_signatures_of_others_are_not_sent() -> None:
    """What another provider has signed means nothing to Google."""
    parts = [TextPart('So', provider_details={'thought_signature': 'c2ln'}), ThinkingPart('Hm.', signature='x')]
    sent = await contents(HELLO, ModelResponse(parts, provider_name='openai'))

    assert sent[1] == said('model', {'text': 'So'}, {'text': 'Hm.', 'thought': True})


async def test_signatures_in_older_histories_go_to_what_the_thought_led_to() -> None:
    """A signature that stands at a thought belongs to the part after it."""
    thought = ThinkingPart('Hm.', signature='c2ln', provider_name='google-gla')
    sent = await contents(HELLO, ModelResponse([thought, ToolCallPart('a', {}, '1')], provider_name='google-gla'))

    assert [part.get('thoughtSignature') for part in sent[1]['parts']] == [None, 'c2ln']


async def test_built_in_tools_are_sent_as_far_as_the_answer_told_of_them() -> None:
    """Code and calls that were parts of an answer of Google are sent again; notes beside it and other parts are not."""
    details = {'tool_type': 'GOOGLE_SEARCH_WEB', 'thought_signature': 'c2ln'}
    own = [
        BuiltinToolCallPart('code_execution', {'code': '1', 'language': 'PYTHON'}, '1', provider_name='google-gla'),
        BuiltinToolReturnPart('code_execution', {'outcome': 'OUTCOME_OK'}, '1', provider_name='google-gla'),
        BuiltinToolCallPart('web_search', {'q': 1}, '2', provider_name='google-gla', provider_details=details),
        BuiltinToolReturnPart('web_search', {'r': 1}, '2', provider_name='google-gla', provider_details=details),
        BuiltinToolCallPart('web_search', {'queries': ['x']}, '3', provider_name='google-gla'),
        BuiltinToolCallPart('code_execution', {'code': '1'}, '4', provider_name='openai'),
    ]
    sent = await contents(HELLO, ModelResponse(own))

    call = {'id': '2', 'toolType': 'GOOGLE_SEARCH_WEB', 'args': {'q': 1}}
    result = {'id': '2', 'toolType': 'GOOGLE_SEARCH_WEB', 'response': {'r': 1}}
    assert sent[1]['parts'] == [
        {'executableCode': {'code': '1', 'language': 'PYTHON'}},
        {'codeExecutionResult': {'outcome': 'OUTCOME_OK'}},
        {'toolCall': call, 'thoughtSignature': 'c2ln'},
        {'toolResponse': result, 'thoughtSignature': 'c2ln'},
    ]


# Files


async def test_files_are_bytes_or_addresses() -> None:
    """Bytes are sent as bytes; what Google can fetch is named, with what is said of videos and images."""
    prompt = [
        'Look:',
        CachePoint(),
        BinaryContent(b'png', media_type='image/png', vendor_metadata={'media_resolution': 'MEDIA_RESOLUTION_LOW'}),
        VideoUrl('https://youtu.be/x', vendor_metadata={'start_offset': '10s', 'fps': 2, 'detail': 'high'}),
        DocumentUrl('https://generativelanguage.googleapis.com/v1beta/files/abc'),
    ]
    sent = await contents(ModelRequest([UserPromptPart(prompt)]))

    assert sent[0]['parts'] == [
        {'text': 'Look:'},
        {
            'inlineData': {'mimeType': 'image/png', 'data': 'cG5n'},
            'mediaResolution': {'level': 'MEDIA_RESOLUTION_LOW'},
        },
        {
            'fileData': {'mimeType': 'video/mp4', 'fileUri': 'https://youtu.be/x'},
            'videoMetadata': {'startOffset': '10s', 'fps': 2},
        },
        {'fileData': {'fileUri': 'https://generativelanguage.googleapis.com/v1beta/files/abc'}},
    ]


async def test_vertex_fetches_files_itself() -> None:
    """On Vertex AI a URL is named, that of a bucket too."""
    prompt = [AudioUrl('https://e.x/a.mp3'), ImageUrl('gs://bucket/a.png')]
    body = await asked([ModelRequest([UserPromptPart(prompt)])], vertexai=True)

    assert body['contents'][0]['parts'] == [
        {'fileData': {'mimeType': 'audio/mpeg', 'fileUri': 'https://e.x/a.mp3'}},
        {'fileData': {'mimeType': 'image/png', 'fileUri': 'gs://bucket/a.png'}},
    ]


async def test_a_bucket_is_out_of_reach_for_the_gemini_api() -> None:
    """A URL that neither Google nor we can fetch is refused with a way out."""
    with pytest.raises(UserError, match=r'"gs://" is not supported .*Give an http or https URL'):
        await contents(ModelRequest([UserPromptPart([ImageUrl('gs://bucket/a.png')])]))


async def test_files_from_tools_are_parts_of_what_they_return() -> None:
    """Models that take files from tools are given them there, and others by the user after it."""
    image, sound = BinaryImage(b'png', media_type='image/png'), BinaryContent(b'mp3', media_type='audio/mpeg')
    call = ModelResponse([ToolCallPart('t', {}, '1')])
    returned = ModelRequest([ToolReturnPart('t', ['two files', image, sound], '1')])

    latest = await contents(HELLO, call, returned, name='gemini-3-flash-preview')
    older = await contents(HELLO, call, returned)

    response = latest[2]['parts'][0]['functionResponse']
    assert response['response'] == {'return_value': ['two files', f'See file {sound.identifier}.']}
    assert response['parts'] == [{'inlineData': {'mimeType': 'image/png', 'data': 'cG5n'}}]
    assert latest[3]['parts'][0] == {'text': f'This is file {sound.identifier}:'}
    assert 'parts' not in older[2]['parts'][0]['functionResponse']
    assert [list(part) for part in older[3]['parts']] == [['text'], ['inlineData']] * 2


# Settings


async def test_settings_are_sent_by_googles_names() -> None:
    """Settings of all providers and those of Google are where Google wants them."""
    settings = {
        'max_tokens': 5,
        'temperature': 0.0,
        'top_p': 0.5,
        'stop_sequences': ['.'],
        'presence_penalty': 0.1,
        'frequency_penalty': 0.2,
        'seed': 7,
        'google_labels': {'team': 'a'},
        'google_logprobs': True,
        'google_top_logprobs': 2,
        'google_video_resolution': 'MEDIA_RESOLUTION_LOW',
        'google_safety_settings': [{'category': 'HARM_CATEGORY_HARASSMENT', 'threshold': 'OFF'}],
        'extra_body': {'generationConfig': {'topK': 3}, 'somethingNew': 1},
    }
    body = await asked([HELLO], settings)

    assert body['generationConfig'] == {
        'maxOutputTokens': 5,
        'temperature': 0.0,
        'topP': 0.5,
        'stopSequences': ['.'],
        'presencePenalty': 0.1,
        'frequencyPenalty': 0.2,
        'seed': 7,
        'responseLogprobs': True,
        'logprobs': 2,
        'mediaResolution': 'MEDIA_RESOLUTION_LOW',
        'responseModalities': ['TEXT'],
        'topK': 3,
    }
    assert (body['labels'], body['somethingNew']) == ({'team': 'a'}, 1)
    assert body['safetySettings'] == [{'category': 'HARM_CATEGORY_HARASSMENT', 'threshold': 'OFF'}]


async def test_a_cached_beginning_takes_the_place_of_system_prompt_and_tools() -> None:
    """Google refuses system prompts and tools beside a cache, which has its own."""
    message = ModelRequest([SystemPromptPart('Be kind.'), UserPromptPart('Hello')])
    body = await asked(
        [message], {'google_cached_content': 'cachedContents/x'}, ModelRequestParameters(function_tools=[TOOL])
    )

    assert body['cachedContent'] == 'cachedContents/x'
    assert body.keys().isdisjoint({'systemInstruction', 'tools', 'toolConfig'})


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'google_thinking_config': {'depth': 3}}, 'thinking_config.depth.*GenerateContentConfig'),
        ({'google_labels': 'a'}, 'labels'),
        ({'temperature': 'hot'}, 'temperature'),
        ({'extra_body': 3}, 'extra_body of model settings is 3'),
        ({'timeout': 'soon'}, 'number of seconds'),
    ],
)
async def test_bad_settings_are_named(settings: Any, message: str) -> None:
    """A setting that Google's library does not take is named before anything is sent."""
    with pytest.raises(UserError, match=message):
        await asked([HELLO], settings)


# Tools


def parameters(*builtin: AbstractBuiltinTool, **more: Any) -> ModelRequestParameters:
    """What is asked for beside the messages."""
    return ModelRequestParameters(builtin_tools=list(builtin), **more)


async def test_functions_are_declared_with_their_schemas() -> None:
    """The tools of a program are one declaration each, and nothing is said of calling them."""
    body = await asked([HELLO], None, parameters(function_tools=[TOOL]))

    assert 'toolConfig' not in body
    [tool] = body['tools']
    [declared] = tool['functionDeclarations']
    assert (declared['name'], declared['description']) == ('weather', 'Tell the weather.')
    assert TOOL.parameters_json_schema in declared.values()


@pytest.mark.parametrize(
    ('choice', 'name', 'expected'),
    [
        ('none', 'gemini-2.5-flash', {'mode': 'NONE'}),
        ('required', 'gemini-2.5-flash', {'mode': 'ANY'}),
        (['weather'], 'gemini-2.5-flash', {'mode': 'ANY', 'allowedFunctionNames': ['weather']}),
        (
            ToolOrOutput(function_tools=['weather']),
            'gemini-2.5-flash',
            {'mode': 'VALIDATED', 'allowedFunctionNames': ['weather']},
        ),
    ],
)
async def test_tool_choice_is_sent(choice: Any, name: str, expected: dict[str, Any]) -> None:
    """Which tools may or must be called is sent in Google's words."""
    other = ToolDefinition(name='other')
    body = await asked([HELLO], {'tool_choice': choice}, parameters(function_tools=[TOOL, other]), name=name)

    config = body['toolConfig']['functionCallingConfig']
    assert {name: config.get(name) for name in expected} == expected
    assert len(body['tools'][0]['functionDeclarations']) == 2


async def test_older_models_are_not_told_of_tools_that_they_may_not_call() -> None:
    """Where a model cannot be kept from some tools while it may answer in text, it does not know of them."""
    choice = {'tool_choice': ToolOrOutput(function_tools=['weather'])}
    tools = parameters(function_tools=[TOOL, ToolDefinition(name='other')])
    body = await asked([HELLO], choice, tools, name='gemini-2.0-flash')

    assert [each['name'] for each in body['tools'][0]['functionDeclarations']] == ['weather']
    assert 'toolConfig' not in body


async def test_an_output_that_is_a_call_must_be_made() -> None:
    """Where text is no output, some tool must be called."""
    body = await asked([HELLO], None, parameters(output_mode='tool', output_tools=[OUTPUT], allow_text_output=False))

    assert body['toolConfig'] == {'functionCallingConfig': {'mode': 'ANY'}}


async def test_strict_tools_are_validated() -> None:
    """A strict tool that need not be called holds the model to its schema all the same."""
    strict = ToolDefinition(name='strict', strict=True)

    later = await asked([HELLO], None, parameters(function_tools=[strict]))
    older = await asked([HELLO], None, parameters(function_tools=[strict]), name='gemini-2.0-flash')

    assert later['toolConfig'] == {'functionCallingConfig': {'mode': 'VALIDATED'}}
    assert 'toolConfig' not in older


@pytest.mark.parametrize(
    ('tool', 'expected'),
    [
        (WebSearchTool(), {'googleSearch': {}}),
        (WebFetchTool(), {'urlContext': {}}),
        (CodeExecutionTool(), {'codeExecution': {}}),
        (FileSearchTool(file_store_ids=['s']), {'fileSearch': {'file_search_store_names': ['s']}}),
    ],
)
async def test_built_in_tools_are_sent(tool: AbstractBuiltinTool, expected: dict[str, Any]) -> None:
    """Each built-in tool is what Google calls it."""
    assert (await asked([HELLO], None, parameters(tool)))['tools'] == [expected]


async def test_an_mcp_server_is_sent_with_its_token() -> None:
    """Google is told where an MCP server is and how to sign in there."""
    server = MCPServerTool(id='docs', url='https://e.x/mcp', authorization_token='Bearer t')
    [tool] = (await asked([HELLO], None, parameters(server), name='gemini-3-flash-preview'))['tools']

    [sent] = tool['mcpServers']
    assert sent['name'] == 'docs'
    assert {'url': 'https://e.x/mcp', 'headers': {'Authorization': 'Bearer t'}} in sent.values()


async def test_later_models_take_all_tools_together() -> None:
    """Built-in tools, functions and a schema go together with later models, which tell of their own calls."""
    everything = parameters(WebSearchTool(), function_tools=[TOOL], output_mode='native', output_object=CITY)
    body = await asked([HELLO], None, everything, name='gemini-3-flash-preview')

    assert [list(tool) for tool in body['tools']] == [['googleSearch'], ['functionDeclarations']]
    assert body['toolConfig'] == {'includeServerSideToolInvocations': True}
    assert 'responseJsonSchema' in body['generationConfig']


@pytest.mark.parametrize(
    ('asks', 'message'),
    [
        (parameters(WebSearchTool(), function_tools=[TOOL]), 'function tools and built-in tools at the same time'),
        (
            parameters(WebSearchTool(), output_mode='tool', output_tools=[OUTPUT], allow_text_output=False),
            r'output tools and built-in tools at the same time. Use `output_type=PromptedOutput\(...\)`',
        ),
        (
            parameters(function_tools=[TOOL], output_mode='native', output_object=CITY),
            r'`NativeOutput` and function tools at the same time. Use `output_type=ToolOutput\(...\)`',
        ),
        (parameters(ImageGenerationTool()), "Use a model with 'image' in the name"),
        (parameters(WebSearchTool(blocked_domains=['e.x'])), 'blocked_domains of WebSearchTool'),
        (parameters(WebFetchTool(allowed_domains=['e.x'])), 'allowed_domains of WebFetchTool'),
    ],
)
async def test_what_does_not_go_together_is_refused(asks: ModelRequestParameters, message: str) -> None:
    """What older models refuse, or would not keep to, is refused with a reason before it is sent."""
    with pytest.raises(UserError, match=message):
        await asked([HELLO], None, asks)


async def test_tools_are_refused_for_models_that_call_none() -> None:
    """Google would refuse the request as well, and not say what to do."""
    with pytest.raises(UserError, match='Tools are not supported by this model'):
        await asked([HELLO], None, parameters(function_tools=[TOOL]), name='gemini-2.5-flash-image')


async def test_what_vertex_lacks_is_refused() -> None:
    """A tool that only the Gemini API has is refused on Vertex AI, with where it is to be had."""
    with pytest.raises(UserError, match='FileSearchTool is not supported by Vertex AI'):
        await asked([HELLO], None, parameters(FileSearchTool(file_store_ids=['s'])), vertexai=True)


async def test_an_open_way_of_asking_is_settled_beside_built_in_tools() -> None:
    """Where the model decides how data is asked for, it does not take output tools beside built-in ones."""
    open_way = parameters(WebSearchTool(), output_mode='auto', output_object=CITY, output_tools=[OUTPUT])
    body = await asked([HELLO], None, open_way)

    assert body['tools'] == [{'googleSearch': {}}]
    assert '"title": "City"' in body['systemInstruction']['parts'][0]['text']


# The form of the answer


async def test_native_output_is_a_schema() -> None:
    """A schema that the answer is bound to is sent with its name and description."""
    config = (await asked([HELLO], None, parameters(output_mode='native', output_object=CITY)))['generationConfig']

    assert config['responseMimeType'] == 'application/json'
    assert config['responseJsonSchema'] == {**CITY.json_schema, 'title': 'City', 'description': 'A city.'}


async def test_prompted_output_is_json_where_there_are_no_tools() -> None:
    """A schema in the instructions goes with JSON mode, unless tools keep the answer from being JSON."""
    prompted: dict[str, Any] = {'output_mode': 'prompted', 'output_object': CITY}

    alone = await asked([HELLO], None, parameters(**prompted))
    beside = await asked([HELLO], None, parameters(**prompted, function_tools=[TOOL]))

    assert alone['generationConfig']['responseMimeType'] == 'application/json'
    assert 'responseMimeType' not in beside['generationConfig']


async def test_images_are_asked_for_with_their_form() -> None:
    """A model that makes images may answer with both, if it may, and is told what they are to be like."""
    tool = ImageGenerationTool(aspect_ratio='16:9', size='2K', output_format='jpeg', output_compression=80)
    asks = parameters(tool, allow_image_output=True)

    gemini = await asked([HELLO], None, asks, name='gemini-2.5-flash-image')
    vertex = await asked([HELLO], None, asks, name='gemini-2.5-flash-image', vertexai=True)
    only = await asked([HELLO], None, replace(asks, allow_text_output=False), name='gemini-2.5-flash-image')

    assert only['generationConfig']['responseModalities'] == ['IMAGE']
    assert gemini['generationConfig']['responseModalities'] == ['TEXT', 'IMAGE']
    assert gemini['generationConfig']['imageConfig'] == {'aspectRatio': '16:9', 'imageSize': '2K'}
    assert vertex['generationConfig']['imageConfig']['imageOutputOptions'] == {
        'mimeType': 'image/jpeg',
        'compressionQuality': 80,
    }


@pytest.mark.parametrize(
    'tool', [ImageGenerationTool(size='1024x1024'), ImageGenerationTool(output_format='png', output_compression=5)]
)
async def test_images_that_google_does_not_make_are_refused(tool: ImageGenerationTool) -> None:
    """A size or a form that Google does not have is named."""
    with pytest.raises(UserError, match='Google image generation'):
        await asked([HELLO], None, parameters(tool), name='gemini-2.5-flash-image', vertexai=True)
