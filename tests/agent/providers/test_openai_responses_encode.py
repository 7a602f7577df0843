"""Messages, settings and parameters become requests in OpenAI's responses format."""

import json
from typing import Any

import pytest
from responses_parts import PIXEL, SAMPLES, Item, Served, call, decode, make_response, message, prompt

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
    BuiltinToolReturnPart,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
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
from plait_agent.models._openai_responses.builtin_tools import write_builtin_tool
from plait_agent.output import OutputObjectDefinition
from plait_agent.profiles.openai import OpenAIModelProfile
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

NOTHING = ModelRequestParameters()


async def sent(
    messages: list[ModelMessage] | None = None,
    settings: Any = None,
    parameters: ModelRequestParameters = NOTHING,
    **options: Any,
) -> Item:
    """The body of a request."""
    served = Served(make_response(message()), **options)
    await served.model.request(messages or prompt(), settings, parameters)
    body: Item = json.loads(served.asked[0].content)
    return body


async def sent_back(*items: Item, settings: Any = None, answer: Any = None, model_name: str = 'gpt-5') -> list[Item]:
    """What of an answer with items is sent in the next request, and what answers it."""
    messages: list[ModelMessage] = [*prompt(), decode(*items), ModelRequest([answer or UserPromptPart('Go on')])]
    body = await sent(messages, settings, model_name=model_name)
    return body['input'][1:] if answer is not None else body['input'][1:-1]


def tool(name: str, **fields: Any) -> ToolDefinition:
    """A tool without arguments."""
    return ToolDefinition(name=name, **fields)


# Prompts


async def test_prompts_are_items_with_roles() -> None:
    """System prompts and prompts are items, instructions an argument of their own."""
    body = await sent([ModelRequest([SystemPromptPart('Be brief'), UserPromptPart('Hi')], instructions='Be kind')])

    assert body['input'] == [{'role': 'system', 'content': 'Be brief'}, {'role': 'user', 'content': 'Hi'}]
    assert body['instructions'] == 'Be kind'
    assert (body['model'], body['stream']) == ('gpt-5', False)
    assert not {'tools', 'tool_choice', 'text', 'reasoning'} & body.keys()


@pytest.mark.parametrize(
    ('content', 'part'),
    [
        ('Look', {'type': 'input_text', 'text': 'Look'}),
        (
            ImageUrl('https://a.example/a.png'),
            {'type': 'input_image', 'image_url': 'https://a.example/a.png', 'detail': 'auto'},
        ),
        (
            BinaryContent(b'abc', media_type='image/png', vendor_metadata={'detail': 'high'}),
            {'type': 'input_image', 'image_url': 'data:image/png;base64,YWJj', 'detail': 'high'},
        ),
        (DocumentUrl('https://a.example/a.pdf'), {'type': 'input_file', 'file_url': 'https://a.example/a.pdf'}),
        (AudioUrl('https://a.example/a.mp3'), {'type': 'input_file', 'file_url': 'https://a.example/a.mp3'}),
        (
            BinaryContent(b'abc', media_type='application/pdf'),
            {'type': 'input_file', 'file_data': 'data:application/pdf;base64,YWJj', 'filename': 'filename.pdf'},
        ),
        (
            BinaryContent(b'abc', media_type='application/json', vendor_metadata={'filename': 'my.json'}),
            {'type': 'input_file', 'file_data': 'data:application/json;base64,YWJj', 'filename': 'my.json'},
        ),
        (
            BinaryContent(b'abc', media_type='application/xml'),
            {'type': 'input_file', 'file_data': 'data:application/xml;base64,YWJj', 'filename': 'filename.xml'},
        ),
        (
            BinaryContent(b'abc', media_type='text/plain; charset=utf-8'),
            {
                'type': 'input_file',
                'file_data': 'data:text/plain; charset=utf-8;base64,YWJj',
                'filename': 'filename.txt',
            },
        ),
        (
            BinaryContent(b'abc', media_type='application/x-unheard-of'),
            {
                'type': 'input_file',
                'file_data': 'data:application/x-unheard-of;base64,YWJj',
                'filename': 'filename',
            },
        ),
        (
            BinaryContent(b'abc', media_type='audio/mpeg'),
            {'type': 'input_audio', 'input_audio': {'data': 'YWJj', 'format': 'mp3'}},
        ),
    ],
)
async def test_content_is_a_part_of_a_message(content: Any, part: Item) -> None:
    """Text and files, by URL or as bytes, are written as OpenAI takes them."""
    body = await sent(prompt(UserPromptPart([content])))

    assert body['input'] == [{'role': 'user', 'content': [part]}]


async def test_request_of_nothing_but_instructions_has_an_empty_prompt() -> None:
    """OpenAI wants something to answer, unless it knows what was said before."""
    nothing: list[ModelMessage] = [ModelRequest([], instructions='Tell a joke')]

    assert (await sent(nothing))['input'] == [{'role': 'user', 'content': ''}]
    assert (await sent(nothing, {'openai_previous_response_id': 'resp_9'}))['input'] == []


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (VideoUrl('https://a.example/a.mp4'), 'takes no videos'),
        (BinaryContent(b'abc', media_type='video/mp4'), 'takes no videos'),
        (BinaryContent(b'abc', media_type='audio/flac'), 'as wav and mp3, and not as audio/flac'),
        (object(), 'which is no content'),
    ],
)
async def test_content_that_openai_does_not_take_is_refused(content: Any, told: str) -> None:
    """A kind of file that cannot be sent is named, with what to do."""
    with pytest.raises(UserError, match=told):
        await sent(prompt(UserPromptPart([content])))


@pytest.mark.parametrize('is_explicit', [True, False])
async def test_cache_points_mark_what_is_kept(is_explicit: bool) -> None:
    """A point for the cache marks what is before it, if prompts are kept as the program says."""
    settings = {'openai_prompt_cache_options': {'mode': 'explicit' if is_explicit else 'implicit'}}
    body = await sent(prompt(UserPromptPart([CachePoint(), 'Long', CachePoint(), 'Short'])), settings)

    marked = {'prompt_cache_breakpoint': {'mode': 'explicit'}} if is_explicit else {}
    assert body['input'][0]['content'] == [
        {'type': 'input_text', 'text': 'Long', **marked},
        {'type': 'input_text', 'text': 'Short'},
    ]


# Answers that go back


@pytest.mark.parametrize(
    'name',
    [
        'thought',
        'summaries',
        'raw thought',
        'call',
        'web page',
        'mcp approval',
        'tool search',
        'custom call',
        'shell',
        'shell of the provider',
        'local shell',
        'patch',
        'computer',
        'program',
        'program output',
        'compaction',
        'news',
    ],
)
async def test_item_goes_back_as_it_came(name: str) -> None:
    """An item that OpenAI has sent is sent back, with its ids and whatever else it had."""
    (item,) = await sent_back(SAMPLES[name])
    came = {key: value for key, value in SAMPLES[name].items() if key != 'status' or key in item}

    assert item == ({'encrypted_content': None} if name == 'raw thought' else {}) | came


async def test_text_goes_back_with_its_id_and_phase() -> None:
    """The texts of one message are one item."""
    assert await sent_back(SAMPLES['texts']) == [
        {
            'type': 'message',
            'role': 'assistant',
            'id': 'msg_1',
            'status': 'completed',
            'phase': 'commentary',
            'content': [
                {'type': 'output_text', 'text': 'One 😀 ', 'annotations': []},
                {'type': 'output_text', 'text': 'two', 'annotations': []},
            ],
        }
    ]


async def test_words_and_summaries_of_a_thought_are_one_item() -> None:
    """What was told in two ways is not mixed up."""
    assert await sent_back(SAMPLES['both thoughts']) == [SAMPLES['both thoughts']]


async def test_items_that_openai_keeps_are_sent_in_short() -> None:
    """Images and results of tools are not sent to who has them."""
    called = {name: value for name, value in SAMPLES['mcp call'].items() if name != 'status'}

    assert await sent_back(SAMPLES['image'], SAMPLES['mcp call']) == [
        {'type': 'image_generation_call', 'id': 'ig_1'},
        called | {'output': None},
    ]


async def test_items_that_openai_does_not_keep_are_sent_whole() -> None:
    """With `store` off OpenAI is told again what its tools have returned."""
    settings = {'openai_store': False}
    image, searched, called, listed = await sent_back(
        SAMPLES['image'], SAMPLES['file search'], SAMPLES['mcp call'], SAMPLES['mcp tools'], settings=settings
    )

    assert image['result'] == PIXEL
    assert searched['results'] == SAMPLES['file search']['results']
    assert called['output'] == 'three strands'
    assert listed['tools'] == SAMPLES['mcp tools']['tools']


@pytest.mark.parametrize(('is_kept', 'outputs'), [(True, None), (False, [{'type': 'logs', 'logs': 'é'}])])
async def test_code_goes_back_with_what_it_has_printed_if_nobody_keeps_it(is_kept: bool, outputs: Any) -> None:
    """The code is always sent, its output only to who does not have it."""
    (item,) = await sent_back(SAMPLES['code'], settings={'openai_store': is_kept})

    assert item == SAMPLES['code'] | {'outputs': outputs}


async def test_thought_that_nobody_keeps_is_text() -> None:
    """With `store` off, a thought that was not encrypted cannot be sent as what it was."""
    item = SAMPLES['summaries'] | {'encrypted_content': None}

    assert await sent_back(item, settings={'openai_store': False}) == [
        {'role': 'assistant', 'content': '<think>\nFirst, look\n</think>'},
        {'role': 'assistant', 'content': '<think>\nThen leap\n</think>'},
    ]


@pytest.mark.parametrize(
    ('settings', 'model_name'), [({'openai_send_reasoning_ids': False}, 'gpt-5'), (None, 'gpt-4o')]
)
async def test_without_ids_all_is_text_and_calls(settings: Any, model_name: str) -> None:
    """Models that do not reason, and programs that have changed a history, send no ids."""
    items = SAMPLES['summaries'], SAMPLES['web search'], message(), call()

    assert await sent_back(*items, settings=settings, model_name=model_name) == [
        {'role': 'assistant', 'content': '<think>\nFirst, look\n</think>'},
        {'role': 'assistant', 'content': '<think>\nThen leap\n</think>'},
        {'role': 'assistant', 'content': 'Hello'},
        {'type': 'function_call', 'call_id': 'call_1', 'name': 'add', 'arguments': '{"a":1}'},
    ]


@pytest.mark.parametrize('name', ['compaction', 'tool search', 'mcp approval', 'shell'])
async def test_items_without_which_openai_cannot_go_on_always_go_back(name: str) -> None:
    """What waits for an answer, or stands for what was before, is sent even without ids of the rest."""
    (item,) = await sent_back(SAMPLES[name], model_name='gpt-4o')

    assert item == SAMPLES[name]


async def test_what_others_have_said_is_text() -> None:
    """Thoughts, ids and tools of another provider mean nothing to this one."""
    other = decode(SAMPLES['summaries'], SAMPLES['web search'], message(), call())
    other.provider_name = 'acme'
    for part in other.parts:
        if hasattr(part, 'provider_name'):
            setattr(part, 'provider_name', 'acme')  # noqa: B010 # parts differ in their fields
    body = await sent([*prompt(), other])

    assert [item.get('content', item.get('name')) for item in body['input'][1:]] == [
        '<think>\nFirst, look\n</think>',
        '<think>\nThen leap\n</think>',
        'Hello',
        'add',
    ]
    assert not any('id' in item for item in body['input'])


async def test_empty_parts_are_left_out() -> None:
    """An answer that says nothing is no item."""
    body = await sent([*prompt(), ModelResponse([TextPart(''), ThinkingPart('')])])

    assert len(body['input']) == 1


# Answers to calls


@pytest.mark.parametrize(
    ('content', 'output'),
    [
        ('sunny', 'sunny'),
        ({'sky': 'blue'}, '{"sky":"blue"}'),
        (
            ['See', ImageUrl('https://a.example/a.png'), {'b': 1}],
            [
                {'type': 'input_text', 'text': 'See'},
                {'type': 'input_image', 'image_url': 'https://a.example/a.png', 'detail': 'auto'},
                {'type': 'input_text', 'text': '{"b":1}'},
            ],
        ),
        (
            BinaryContent(b'abc', media_type='image/png'),
            [{'type': 'input_image', 'image_url': 'data:image/png;base64,YWJj', 'detail': 'auto'}],
        ),
        (
            ('See', ImageUrl('https://a.example/a.png')),
            [
                {'type': 'input_text', 'text': 'See'},
                {'type': 'input_image', 'image_url': 'https://a.example/a.png', 'detail': 'auto'},
            ],
        ),
    ],
)
async def test_return_of_a_tool_is_text_or_files(content: Any, output: Any) -> None:
    """What a tool returns is text, JSON, or parts where there are files."""
    _, answer = await sent_back(call(), answer=ToolReturnPart('add', content, 'call_1'))

    assert answer == {'type': 'function_call_output', 'call_id': 'call_1', 'output': output}


async def test_call_with_both_ids_in_one_is_sent_with_each() -> None:
    """Histories that were stored long ago have the ids of a call and of its item in one, which OpenAI would refuse."""
    both = 'call_1|fc_1'
    messages: list[ModelMessage] = [
        *prompt(),
        ModelResponse([ToolCallPart('add', {}, both), ToolCallPart('sub', {}, 'call_2|fc_2')], provider_name='openai'),
        ModelRequest(
            [ToolReturnPart('add', 3, both), RetryPromptPart('No', tool_name='sub', tool_call_id='call_2|fc_2')]
        ),
    ]
    call_1, call_2, result, retry = (await sent(messages, model_name='gpt-5'))['input'][1:]

    assert (call_1['call_id'], call_1['id']) == ('call_1', 'fc_1')
    assert (call_2['call_id'], call_2['id']) == ('call_2', 'fc_2')
    assert (result['call_id'], retry['call_id']) == ('call_1', 'call_2')


async def test_retry_answers_the_call_or_asks_again() -> None:
    """A retry of a tool is its output, any other one a message of the user."""
    messages: list[ModelMessage] = [
        ModelRequest([RetryPromptPart('No', tool_name='add', tool_call_id='call_1'), RetryPromptPart('Wrong')])
    ]
    body = await sent(messages)

    assert body['input'] == [
        {'type': 'function_call_output', 'call_id': 'call_1', 'output': 'No\n\nFix the errors and try again.'},
        {'role': 'user', 'content': 'Validation feedback:\nWrong\n\nFix the errors and try again.'},
    ]


SCREENSHOT = BinaryContent(b'abc', media_type='image/png')


@pytest.mark.parametrize(
    ('name', 'content', 'answer'),
    [
        ('custom call', 'two', {'type': 'custom_tool_call_output', 'call_id': 'call_1', 'output': 'two'}),
        (
            'shell',
            'a.txt',
            {
                'type': 'shell_call_output',
                'call_id': 'call_1',
                'output': [{'stdout': 'a.txt', 'stderr': '', 'outcome': {'type': 'exit', 'exit_code': 0}}],
            },
        ),
        (
            'shell',
            [{'stdout': '', 'stderr': 'no', 'outcome': {'type': 'timeout'}}],
            {
                'type': 'shell_call_output',
                'call_id': 'call_1',
                'output': [{'stdout': '', 'stderr': 'no', 'outcome': {'type': 'timeout'}}],
            },
        ),
        ('local shell', 'a.txt', {'type': 'local_shell_call_output', 'id': 'call_1', 'output': 'a.txt'}),
        (
            'patch',
            'Done',
            {'type': 'apply_patch_call_output', 'call_id': 'call_1', 'status': 'completed', 'output': 'Done'},
        ),
        (
            'computer',
            SCREENSHOT,
            {
                'type': 'computer_call_output',
                'call_id': 'call_1',
                'output': {'type': 'computer_screenshot', 'image_url': 'data:image/png;base64,YWJj'},
            },
        ),
        (
            'computer',
            ImageUrl('https://a.example/a.png'),
            {
                'type': 'computer_call_output',
                'call_id': 'call_1',
                'output': {'type': 'computer_screenshot', 'image_url': 'https://a.example/a.png'},
            },
        ),
        (
            'computer',
            {'type': 'computer_screenshot', 'file_id': 'file_1'},
            {
                'type': 'computer_call_output',
                'call_id': 'call_1',
                'output': {'type': 'computer_screenshot', 'file_id': 'file_1'},
            },
        ),
        (
            'tool search',
            [{'type': 'function', 'name': 'add'}],
            {
                'type': 'tool_search_output',
                'call_id': 'call_1',
                'execution': 'client',
                'status': 'completed',
                'tools': [{'type': 'function', 'name': 'add'}],
            },
        ),
        (
            'mcp approval',
            True,
            {'type': 'mcp_approval_response', 'approval_request_id': 'mcpr_1', 'approve': True},
        ),
    ],
)
@pytest.mark.parametrize('is_known', [False, True])
async def test_call_that_the_program_answers_is_answered_in_its_kind(
    name: str, content: Any, answer: Item, is_known: bool
) -> None:
    """What a program returns for such a call is the item that OpenAI waits for, also if the call is not sent again."""
    item = SAMPLES[name]
    returned = ToolReturnPart('any', content, item.get('call_id', item['id']))
    settings = {'openai_previous_response_id': 'auto'} if is_known else None
    messages: list[ModelMessage] = [*prompt(), decode(item), ModelRequest([returned])]
    body = await sent(messages, settings)

    assert body['input'][-1] == answer
    assert len(body['input']) == (1 if is_known else 3)


async def test_return_beside_its_call_answers_it() -> None:
    """A program may put what a search for tools has found into the answer of the model."""
    answer = decode(SAMPLES['tool search'])
    tools = [{'type': 'function', 'name': 'add'}]
    answer.parts = [*answer.parts, BuiltinToolReturnPart('tool_search', tools, 'call_1', provider_name='openai')]
    body = await sent([*prompt(), answer])

    assert body['input'][1] == SAMPLES['tool search']
    assert (body['input'][2]['type'], body['input'][2]['tools']) == ('tool_search_output', tools)


async def test_status_of_null_is_sent_to_who_needs_it() -> None:
    """Some servers want each call to have a status."""
    profile = OpenAIModelProfile(openai_responses_requires_function_call_status_none=True)
    body = await sent([*prompt(), decode(call())], profile=profile)

    assert body['input'][1]['status'] is None


async def test_call_that_went_wrong_is_answered_in_its_kind() -> None:
    """A retry tells of the failure where the kind of call has a word for it."""
    retry = RetryPromptPart('No', tool_name='shell', tool_call_id='call_1')
    _, answer = await sent_back(SAMPLES['shell'], answer=retry)

    (chunk,) = answer['output']
    assert (chunk['stdout'], chunk['outcome']) == ('', {'type': 'exit', 'exit_code': 1})
    assert chunk['stderr'].startswith('No')


# Tools


async def test_tools_are_told_with_their_schemas() -> None:
    """Tools of the provider come first, those of the program are functions, strict where they can be."""
    parameters = ModelRequestParameters(
        function_tools=[tool('add', description='Adds'), tool('late', strict=True)], builtin_tools=[WebSearchTool()]
    )
    settings = {'openai_builtin_tools': [{'type': 'tool_search'}], 'openai_deferred_tools': ['late']}
    body = await sent(settings=settings, parameters=parameters)

    assert [each.get('name', each['type']) for each in body['tools']] == ['web_search', 'tool_search', 'add', 'late']
    assert body['tools'][2]['description'] == 'Adds'
    assert body['tools'][2]['parameters']['type'] == 'object'
    assert (body['tools'][3]['strict'], body['tools'][3]['defer_loading']) == (True, True)
    assert body['tool_choice'] == 'auto'


async def test_model_without_strict_tools_is_told_so() -> None:
    """A server that cannot be strict is not asked to be."""
    parameters = ModelRequestParameters(function_tools=[tool('add', strict=True)])
    profile = OpenAIModelProfile(openai_supports_strict_tool_definition=False)
    body = await sent(parameters=parameters, profile=profile)

    assert body['tools'][0]['strict'] is False


@pytest.mark.parametrize(
    ('choice', 'written'),
    [
        ('auto', 'auto'),
        ('none', 'none'),
        ('required', 'required'),
        (['add'], {'type': 'function', 'name': 'add'}),
        (
            ['add', 'sub'],
            {
                'type': 'allowed_tools',
                'mode': 'required',
                'tools': [{'type': 'function', 'name': 'add'}, {'type': 'function', 'name': 'sub'}],
            },
        ),
        (
            ToolOrOutput(['add']),
            {
                'type': 'allowed_tools',
                'mode': 'auto',
                'tools': [{'type': 'function', 'name': 'add'}, {'type': 'web_search'}],
            },
        ),
    ],
)
async def test_choice_of_tools(choice: Any, written: Any) -> None:
    """All ways to choose tools are written, and all tools stay in the request."""
    parameters = ModelRequestParameters(
        function_tools=[tool('add'), tool('sub'), tool('mul')], builtin_tools=[WebSearchTool()]
    )
    body = await sent(settings={'tool_choice': choice}, parameters=parameters)

    assert body['tool_choice'] == written
    assert len(body['tools']) == 4


async def test_model_that_cannot_be_made_to_call_is_asked_kindly() -> None:
    """Where a call cannot be required, it is left to the model."""
    output = [tool('final_result')]
    parameters = ModelRequestParameters(output_mode='tool', output_tools=output, allow_text_output=False)
    profile = OpenAIModelProfile(openai_supports_tool_choice_required=False)

    assert (await sent(parameters=parameters))['tool_choice'] == 'required'
    assert (await sent(parameters=parameters, profile=profile))['tool_choice'] == 'auto'


@pytest.mark.parametrize(
    ('own', 'name'),
    [
        ({'type': 'shell', 'environment': {'type': 'local'}}, 'shell'),
        ({'type': 'apply_patch'}, 'apply_patch'),
        ({'type': 'custom', 'name': 'grep'}, 'grep'),
        ({'type': 'computer'}, 'computer'),
    ],
)
async def test_tool_that_answers_one_of_openai_is_no_function(own: Item, name: str) -> None:
    """The program's tool for a tool of OpenAI is not told of a second time."""
    parameters = ModelRequestParameters(function_tools=[tool(name), tool('add')])
    body = await sent(settings={'openai_builtin_tools': [own]}, parameters=parameters)

    assert [each.get('name') for each in body['tools']] == [own.get('name'), 'add']


async def test_tool_of_openai_can_be_forced() -> None:
    """Where there are none of the program, a call that is required is one of OpenAI's tools."""
    parameters = ModelRequestParameters(builtin_tools=[WebSearchTool()])

    assert (await sent(settings={'tool_choice': 'required'}, parameters=parameters))['tool_choice'] == 'required'
    assert (await sent(parameters=parameters))['tool_choice'] == 'auto'


async def test_shell_of_openai_needs_no_tool() -> None:
    """A shell in a container of OpenAI's is not answered by the program, whose own shell stays a function."""
    own = {'type': 'shell', 'environment': {'type': 'container_auto'}}
    parameters = ModelRequestParameters(function_tools=[tool('shell')])
    body = await sent(settings={'openai_builtin_tools': [own]}, parameters=parameters)

    assert [each['type'] for each in body['tools']] == ['shell', 'function']


@pytest.mark.parametrize(
    ('builtin', 'written'),
    [
        (
            WebSearchTool(user_location={'city': 'Bern'}, allowed_domains=['a.example'], search_context_size='low'),
            {
                'type': 'web_search',
                'search_context_size': 'low',
                'user_location': {'type': 'approximate', 'city': 'Bern'},
                'filters': {'allowed_domains': ['a.example']},
            },
        ),
        (CodeExecutionTool(), {'type': 'code_interpreter', 'container': {'type': 'auto'}}),
        (FileSearchTool(file_store_ids=['vs_1']), {'type': 'file_search', 'vector_store_ids': ['vs_1']}),
        (
            ImageGenerationTool(size='auto', moderation='low', quality='high'),
            {'type': 'image_generation', 'background': 'auto', 'moderation': 'low', 'quality': 'high', 'size': 'auto'},
        ),
        (
            ImageGenerationTool(aspect_ratio='2:3', partial_images=2, output_format='webp'),
            {
                'type': 'image_generation',
                'background': 'auto',
                'moderation': 'auto',
                'quality': 'auto',
                'size': '1024x1536',
                'partial_images': 2,
                'output_format': 'webp',
            },
        ),
        (
            MCPServerTool(id='docs', url='https://mcp.example', authorization_token='token', allowed_tools=['find']),
            {
                'type': 'mcp',
                'server_label': 'docs',
                'server_url': 'https://mcp.example',
                'require_approval': 'never',
                'authorization': 'token',
                'allowed_tools': ['find'],
            },
        ),
        (
            MCPServerTool(id='mail', url='x-openai-connector:connector_mail'),
            {'type': 'mcp', 'server_label': 'mail', 'connector_id': 'connector_mail', 'require_approval': 'never'},
        ),
    ],
)
def test_tool_of_the_provider_is_asked_for_with_its_options(builtin: AbstractBuiltinTool, written: Item) -> None:
    """Each option of a tool is written if it was given."""
    assert write_builtin_tool(builtin) == written


@pytest.mark.parametrize(
    ('builtin', 'told'),
    [
        (WebSearchTool(blocked_domains=['a.example']), 'cannot leave sites out'),
        (ImageGenerationTool(size='4K'), "size='4K'"),
        (ImageGenerationTool(aspect_ratio='21:9'), "aspect_ratio='21:9'"),
        (ImageGenerationTool(aspect_ratio='1:1', size='1024x1536'), 'Give one of these'),
        (WebFetchTool(), 'WebFetchTool is none of those'),
    ],
)
def test_option_that_openai_lacks_is_refused(builtin: AbstractBuiltinTool, told: str) -> None:
    """What would be overlooked is an error with a way out."""
    with pytest.raises(UserError, match=told):
        write_builtin_tool(builtin)


# Output and settings

OUTPUT = OutputObjectDefinition({'type': 'object', 'properties': {}}, 'Point', 'A point', strict=True)


async def test_output_is_bound_to_a_schema() -> None:
    """Native output is a schema with its name and description."""
    body = await sent(parameters=ModelRequestParameters(output_mode='native', output_object=OUTPUT))

    said = body['text']['format']
    assert (said['type'], said['name'], said['description'], said['strict']) == (
        'json_schema',
        'Point',
        'A point',
        True,
    )
    assert said['schema']['type'] == 'object'


async def test_prompted_output_is_bound_to_json() -> None:
    """The instructions stand in the input, as OpenAI wants the word JSON there."""
    parameters = ModelRequestParameters(output_mode='prompted', output_object=OUTPUT)
    body = await sent(prompt(), {'openai_text_verbosity': 'low'}, parameters)

    assert body['text'] == {'verbosity': 'low', 'format': {'type': 'json_object'}}
    assert 'instructions' not in body
    assert (body['input'][0]['role'], 'JSON' in body['input'][0]['content']) == ('system', True)


async def test_settings_are_arguments() -> None:
    """Each setting is the argument that OpenAI has for it."""
    body = await sent(
        settings={
            'max_tokens': 10,
            'temperature': 0.5,
            'top_p': 0.9,
            'parallel_tool_calls': False,
            'extra_body': {'more': 1},
            'openai_reasoning_effort': 'low',
            'openai_reasoning_summary': 'auto',
            'openai_service_tier': 'flex',
            'openai_user': 'u',
            'openai_truncation': 'auto',
            'openai_store': False,
            'openai_prompt_cache_key': 'k',
            'openai_prompt_cache_retention': 'in-memory',
            'openai_logprobs': True,
            'openai_top_logprobs': 2,
            'openai_include_code_execution_outputs': True,
            'openai_include_web_search_sources': True,
            'openai_include_file_search_results': True,
            'openai_metadata': {'a': 'b'},
            'openai_max_tool_calls': 3,
        },
        model_name='gpt-4o',
    )

    assert body == {
        'model': 'gpt-4o',
        'stream': False,
        'input': [{'role': 'user', 'content': 'Hi'}],
        'max_output_tokens': 10,
        'temperature': 0.5,
        'top_p': 0.9,
        'parallel_tool_calls': False,
        'more': 1,
        'reasoning': {'effort': 'low', 'summary': 'auto'},
        'service_tier': 'flex',
        'user': 'u',
        'truncation': 'auto',
        'store': False,
        'prompt_cache_key': 'k',
        'prompt_cache_retention': 'in_memory',
        'top_logprobs': 2,
        'include': [
            'code_interpreter_call.outputs',
            'web_search_call.action.sources',
            'file_search_call.results',
            'message.output_text.logprobs',
        ],
        'metadata': {'a': 'b'},
        'max_tool_calls': 3,
    }


async def test_model_that_reasons_is_not_told_what_it_refuses() -> None:
    """Sampling is left out for models that refuse it, and their thoughts are asked for encrypted."""
    body = await sent(settings={'temperature': 0.5, 'top_p': 0.9, 'openai_logprobs': True, 'openai_top_logprobs': 2})

    assert not {'temperature', 'top_p', 'top_logprobs'} & body.keys()
    assert body['include'] == ['reasoning.encrypted_content']


@pytest.mark.parametrize(
    ('model_name', 'effort', 'is_told'),
    [
        ('gpt-5', None, False),
        ('gpt-5.1', None, True),
        ('gpt-5.1', 'low', False),
        ('gpt-5.4-mini', None, True),
        ('gpt-5.1-codex', None, False),
        ('gpt-5.2-pro', None, False),
        ('gpt-5.2-chat-latest', None, False),
        ('gpt-5.6-sol', None, False),
        ('gpt-5.6-sol', 'none', True),
        ('gpt-6-sol', None, False),
        ('gpt-6-sol', 'none', True),
        ('gpt-5-chat-latest', None, True),
        ('gpt-4o', None, True),
    ],
)
async def test_model_that_does_not_reason_is_told_how_to_sample(model_name: str, effort: Any, is_told: bool) -> None:
    """Some models reason only if they are asked to, and others do not if they are asked not to."""
    settings = {'temperature': 0.5, 'openai_reasoning_effort': effort}

    assert ('temperature' in await sent(settings=settings, model_name=model_name)) is is_told


@pytest.mark.parametrize('model_name', ['gpt-5.2', 'gpt-6-sol', 'gpt-6.1-terra', 'o3'])
async def test_thoughts_of_models_that_reason_come_back_encrypted(model_name: str) -> None:
    """Without that they could not go on with what they have thought, also the newest of them."""
    assert (await sent(model_name=model_name))['include'] == ['reasoning.encrypted_content']


@pytest.mark.parametrize(
    ('settings', 'told'),
    [
        (
            {'openai_reasoning_summary': 'auto', 'openai_reasoning_generate_summary': 'concise'},
            'its former name. Give only the first',
        ),
        ({'openai_previous_response_id': 'auto', 'openai_conversation_id': 'auto'}, 'Give only one'),
        ({'tool_choice': ['sub']}, 'which are no tools'),
    ],
)
async def test_settings_that_contradict_are_refused(settings: Any, told: str) -> None:
    """What cannot be is said before anything is sent."""
    with pytest.raises(UserError, match=told):
        await sent(settings=settings, parameters=ModelRequestParameters(function_tools=[tool('add')]))


# What the provider knows already


def history(**fields: Any) -> list[ModelMessage]:
    """Two answers of the provider, and a new prompt."""
    first, second = decode(message('One'), id='resp_1', **fields), decode(message('Two'), id='resp_2', **fields)
    return [*prompt(), first, *prompt(UserPromptPart('More')), second, *prompt(UserPromptPart('Last'))]


@pytest.mark.parametrize(
    ('wanted', 'told', 'texts'),
    [
        ('auto', 'resp_2', ['Last']),
        ('resp_2', 'resp_2', ['Last']),
        ('resp_1', 'resp_1', ['More', 'Two', 'Last']),
        ('resp_0', 'resp_0', ['Hi', 'One', 'More', 'Two', 'Last']),
    ],
)
async def test_only_what_follows_the_previous_response_is_sent(wanted: str, told: str, texts: list[str]) -> None:
    """The messages up to a response that OpenAI knows stay here."""
    body = await sent(history(), {'openai_previous_response_id': wanted}, model_name='gpt-4o')

    assert body['previous_response_id'] == told
    assert [item['content'] for item in body['input']] == texts


async def test_answers_of_others_are_no_previous_response() -> None:
    """If OpenAI has said nothing yet, all is sent."""
    messages = history()
    for each in messages:
        if isinstance(each, ModelResponse):
            each.provider_name = 'acme'
    body = await sent(messages, {'openai_previous_response_id': 'auto'})

    assert 'previous_response_id' not in body
    assert len(body['input']) == 5


async def test_answers_that_are_not_kept_are_no_previous_response() -> None:
    """With `store` off, all is sent."""
    body = await sent(history(), {'openai_previous_response_id': 'auto', 'openai_store': False})

    assert 'previous_response_id' not in body
    assert len(body['input']) == 5


async def test_conversation_goes_on_with_what_it_does_not_know() -> None:
    """A conversation that OpenAI keeps is sent only what is new."""
    messages = history(conversation={'id': 'conv_1'})
    body = await sent(messages, {'openai_conversation_id': 'auto'})

    assert body['conversation'] == 'conv_1'
    assert [item['content'] for item in body['input']] == ['Last']


async def test_call_that_was_broken_off_does_not_break_the_next_request() -> None:
    """A history may hold a call of a tool whose arguments have not all come."""
    broken = decode(SAMPLES['code'], SAMPLES['mcp call'])
    for part in broken.parts:
        if hasattr(part, 'args'):
            part.args = '{"action":"call_to'  # pyright: ignore[reportAttributeAccessIssue] # only calls have it
    body = await sent([*prompt(), broken, ModelResponse([ToolCallPart('add', '{"a":')])])

    assert [item.get('type') for item in body['input']] == [None, 'function_call']
