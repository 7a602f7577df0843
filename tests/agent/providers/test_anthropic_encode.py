"""Our messages, settings and parameters as the arguments of a call to Anthropic."""

from typing import Any

import pytest
from anthropic_parts import NAME, profile_of

from plait_agent.builtin_tools import CodeExecutionTool, MCPServerTool, MemoryTool, WebFetchTool, WebSearchTool
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    BuiltinToolCallPart,
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
from plait_agent.models._anthropic.encode import Call, encode_call
from plait_agent.models._anthropic.messages import Dialect
from plait_agent.output import OutputObjectDefinition
from plait_agent.settings import ToolOrOutput
from plait_agent.tools import ToolDefinition

TOOLS = [ToolDefinition(name='look', description='Looks.'), ToolDefinition(name='go')]
RESULT = ToolDefinition(name='final_result', kind='output')
MARK = {'type': 'ephemeral', 'ttl': '5m'}


def call(
    *messages: Any,
    instructions: str | None = None,
    settings: Any = None,
    model: str = NAME,
    names_usual_ttl: bool = True,
    **parameters: Any,
) -> Call:
    """The call that a request becomes."""
    said = list(messages) or [ModelRequest.user_text_prompt('Hello')]
    dialect = Dialect('anthropic', profile_of(model), names_usual_ttl)
    return encode_call(model, said, instructions, settings or {}, ModelRequestParameters(**parameters), dialect)


def asked(*parts: Any) -> ModelRequest:
    """A request of some parts."""
    return ModelRequest(list(parts))


def answered(*parts: Any, **fields: Any) -> ModelResponse:
    """An answer of Anthropic."""
    return ModelResponse(list(parts), provider_name='anthropic', **fields)


def contents(made: Call) -> list[tuple[str, list[Any]]]:
    """Who says what."""
    return [(turn['role'], turn['content']) for turn in made.arguments['messages']]


def text(content: str, **fields: Any) -> dict[str, Any]:
    """A block of text."""
    return {'type': 'text', 'text': content, **fields}


# Turns


def test_system_prompts_and_instructions_stand_before_the_messages() -> None:
    """All that the developer says is one text, the instructions last."""
    made = call(asked(SystemPromptPart('Be kind.'), UserPromptPart('Hello')), instructions='Be short.')

    assert made.arguments['system'] == 'Be kind.\n\nBe short.'
    assert contents(made) == [('user', [text('Hello')])]


@pytest.mark.parametrize('model', ['claude-opus-4-8', 'claude-fable-5', 'claude-mythos-5-1'])
def test_a_later_system_prompt_stays_in_its_place_where_a_model_can_have_it_there(model: str) -> None:
    """What changes late leaves the cached beginning alone; other models get it at the beginning."""
    messages = (
        asked(SystemPromptPart('First.'), UserPromptPart('a')),
        answered(TextPart('b')),
        asked(SystemPromptPart('Second.'), UserPromptPart('c')),
    )
    late, early = call(*messages, model=model), call(*messages, model='claude-sonnet-4-5')

    assert late.arguments['system'] == 'First.'
    assert contents(late)[-2:] == [('user', [text('c')]), ('system', [text('Second.')])]
    assert early.arguments['system'] == 'First.\n\nSecond.'


def test_what_one_side_says_in_a_row_is_one_turn() -> None:
    """Roles take turns, however the messages are divided."""
    made = call(
        asked(UserPromptPart('a')), asked(UserPromptPart('b')), answered(TextPart('c')), answered(TextPart('d'))
    )

    assert contents(made) == [('user', [text('a'), text('b')]), ('assistant', [text('c'), text('d')])]


def test_results_stand_before_what_the_user_says() -> None:
    """Anthropic wants the results of calls first."""
    made = call(
        asked(UserPromptPart('a')),
        answered(ToolCallPart('look', {'at': 1}, 'c1'), ToolCallPart('go', '{"to": 2}', 'c2')),
        asked(
            UserPromptPart('by the way'), ToolReturnPart('look', {'seen': 3}, 'c1'), ToolReturnPart('go', 'gone', 'c2')
        ),
    )

    assert contents(made)[1][1] == [
        {'type': 'tool_use', 'id': 'c1', 'name': 'look', 'input': {'at': 1}},
        {'type': 'tool_use', 'id': 'c2', 'name': 'go', 'input': {'to': 2}},
    ]
    assert contents(made)[2][1] == [
        {'type': 'tool_result', 'tool_use_id': 'c1', 'content': '{"seen":3}', 'is_error': False},
        {'type': 'tool_result', 'tool_use_id': 'c2', 'content': 'gone', 'is_error': False},
        text('by the way'),
    ]


def test_a_retry_is_an_error_of_its_call() -> None:
    """What went wrong with a call is its result; what was wrong with an answer is said by the user."""
    made = call(asked(RetryPromptPart('No.', tool_name='look', tool_call_id='c1'), RetryPromptPart('Wrong.')))

    result, said = contents(made)[0][1]
    assert (result['is_error'], result['tool_use_id']) == (True, 'c1')
    assert result['content'].startswith('No.')
    assert said['text'].startswith('Validation feedback:\nWrong.')


def test_ids_of_other_providers_are_written_in_letters_that_anthropic_takes() -> None:
    """A call and its result keep belonging together."""
    made = call(asked(), answered(ToolCallPart('look', {}, 'call|1.a')), asked(ToolReturnPart('look', 'x', 'call|1.a')))

    assert contents(made)[0][1][0]['id'] == contents(made)[1][1][0]['tool_use_id'] == 'call_1_a'


@pytest.mark.parametrize('args', ['{"at": ', '[1]'])
def test_arguments_that_are_no_object_are_shown_to_the_model(args: str) -> None:
    """A history in which a model has written nonsense can still be sent."""
    made = call(asked(), answered(ToolCallPart('look', args, 'c1')))

    assert contents(made)[0][1][0]['input'] == {'INVALID_JSON': args}


def test_blank_texts_are_left_out() -> None:
    """Anthropic writes blank texts but refuses to read them."""
    made = call(asked(UserPromptPart(['', 'a'])), answered(TextPart('\n\n'), TextPart('b')))

    assert contents(made) == [('user', [text('a')]), ('assistant', [text('b')])]


# Thoughts and what Anthropic runs itself


def test_thoughts_go_back_as_they_came() -> None:
    """Signed and encrypted thoughts are what Anthropic knows again; blocks without a part are as well."""
    kept = {'type': 'compaction', 'content': 'So far.'}
    made = call(
        asked(UserPromptPart('a')),
        answered(
            ThinkingPart('hm', signature='s', provider_name='anthropic'),
            ThinkingPart('', id='redacted_thinking', signature='r', provider_name='anthropic'),
            ThinkingPart('', id='compaction', provider_name='anthropic', provider_details={'block': kept}),
        ),
    )

    assert contents(made)[1][1] == [
        {'type': 'thinking', 'thinking': 'hm', 'signature': 's'},
        {'type': 'redacted_thinking', 'data': 'r'},
        kept,
    ]


def test_thoughts_of_others_are_told_as_text() -> None:
    """A thought without a signature of Anthropic's is said between tags; one without words is left out."""
    made = call(
        asked(UserPromptPart('a')),
        answered(
            ThinkingPart('hm', signature='s', provider_name='openai'),
            ThinkingPart('', signature='s', provider_name='openai'),
        ),
    )

    assert contents(made)[1][1] == [text('<thinking>\nhm\n</thinking>')]


def test_calls_of_built_in_tools_of_others_are_left_out() -> None:
    """Anthropic knows nothing of a search that another provider has made."""
    made = call(
        asked(UserPromptPart('a')), answered(BuiltinToolCallPart('web_search', {}, 'c', provider_name='openai'))
    )

    assert contents(made) == [('user', [text('a')])]


def test_marks_are_not_written_into_the_history() -> None:
    """What is kept as it came stays as it came, also where the mark of a cache falls upon it."""
    kept = {'type': 'compaction', 'content': 'So far.'}
    thought = ThinkingPart('', id='compaction', provider_name='anthropic', provider_details={'block': kept})
    made = call(asked(UserPromptPart('a')), answered(thought), asked(UserPromptPart([CachePoint(), 'b'])))

    assert contents(made)[1][1] == [{**kept, 'cache_control': MARK}]
    assert kept == {'type': 'compaction', 'content': 'So far.'}


# Files


def content_of(*items: Any) -> list[Any]:
    """The blocks of what a user says."""
    return contents(call(asked(UserPromptPart(list(items)))))[0][1]


def test_files_are_blocks_with_their_source() -> None:
    """Images and PDF go as addresses or as bytes, texts as text."""
    assert content_of(
        ImageUrl('https://example.com/a.png'),
        BinaryContent(b'abc', media_type='image/png'),
        DocumentUrl('https://example.com/a.pdf'),
        BinaryContent(b'abc', media_type='application/pdf', vendor_metadata={'title': 'A'}),
        BinaryContent('ä'.encode(), media_type='text/markdown'),
    ) == [
        {'type': 'image', 'source': {'type': 'url', 'url': 'https://example.com/a.png'}},
        {'type': 'image', 'source': {'type': 'base64', 'media_type': 'image/png', 'data': 'YWJj'}},
        {'type': 'document', 'source': {'type': 'url', 'url': 'https://example.com/a.pdf'}},
        {
            'type': 'document',
            'source': {'type': 'base64', 'media_type': 'application/pdf', 'data': 'YWJj'},
            'title': 'A',
        },
        {'type': 'document', 'source': {'type': 'text', 'media_type': 'text/plain', 'data': 'ä'}},
    ]


def test_documents_are_told_only_what_anthropic_knows() -> None:
    """What other providers are told of a file, such as its name, does not make Anthropic refuse it."""
    known = {'title': 'A', 'context': 'A letter', 'citations': {'enabled': True}}
    metadata = {**known, 'filename': 'a.pdf', 'detail': 'high'}

    (document,) = content_of(BinaryContent(b'abc', media_type='application/pdf', vendor_metadata=metadata))
    assert document.keys() == {'type', 'source', *known}
    assert known.items() <= document.items()


@pytest.mark.parametrize(
    'file',
    [
        AudioUrl('https://example.com/a.mp3'),
        VideoUrl('https://example.com/a.mp4'),
        BinaryContent(b'abc', media_type='audio/wav'),
        BinaryContent(b'abc', media_type='image/tiff'),
        BinaryContent(b'abc', media_type='application/zip'),
    ],
)
def test_files_that_anthropic_cannot_read_are_refused(file: Any) -> None:
    """The error says what there is to choose from."""
    with pytest.raises(UserError, match=r'Models of Anthropic cannot read .* Give images'):
        content_of(file)


def test_bytes_that_are_no_text_are_refused() -> None:
    """A text in another encoding is not sent as rubbish."""
    with pytest.raises(UserError, match='no text in UTF-8'):
        content_of(BinaryContent(b'\xff', media_type='text/plain'))


def test_a_document_that_is_no_pdf_waits_to_be_fetched() -> None:
    """Anthropic fetches PDF alone, so other documents are noted, and the encoding itself waits for nothing."""
    made = call(asked(UserPromptPart([DocumentUrl('https://example.com/a.txt'), 'What is it?'])))

    assert [download.url.url for download in made.turns.downloads] == ['https://example.com/a.txt']
    assert contents(made)[0][1][0] is made.turns.downloads[0].block


def test_a_tool_may_return_files() -> None:
    """A result with files in it is a list of blocks."""
    image = BinaryContent(b'abc', media_type='image/png')
    made = call(asked(ToolReturnPart('look', ['seen', {'n': 1}, image], 'c1')))

    said = contents(made)[0][1][0]['content']
    assert [each['type'] for each in said] == ['text', 'text', 'image']
    assert [each['text'] for each in said[:2]] == ['seen', '{"n":1}']


def test_a_tool_may_return_references_to_tools() -> None:
    """A search for tools that the program makes can answer as Anthropic's own does."""
    reference = {'type': 'tool_reference', 'tool_name': 'look'}

    assert contents(call(asked(ToolReturnPart('find', [reference], 'c1'))))[0][1][0]['content'] == [reference]


# Caches


def marks(made: Call) -> list[Any]:
    """The texts of the messages that are marked."""
    return [each['text'] for _, content in contents(made) for each in content if 'cache_control' in each]


def test_a_cache_point_marks_what_stands_before_it() -> None:
    """Also what was said in the turn before."""
    made = call(
        asked(UserPromptPart(['a', CachePoint(ttl='1h'), 'b'])),
        answered(TextPart('c')),
        asked(UserPromptPart([CachePoint(), 'd'])),
    )

    assert contents(made)[0][1][0] == text('a', cache_control={'type': 'ephemeral', 'ttl': '1h'})
    assert marks(made) == ['a', 'c']


def test_a_cache_point_before_everything_is_refused() -> None:
    """There is nothing to keep before the first message but what the settings are for."""
    with pytest.raises(UserError, match='anthropic_cache_instructions'):
        call(asked(UserPromptPart([CachePoint(), 'a'])))


def test_no_more_than_four_marks_are_sent() -> None:
    """The newest marks of messages are kept, beside those of tools and instructions."""
    points = [each for letter in 'abcde' for each in (letter, CachePoint())]
    settings = {'anthropic_cache_tool_definitions': '1h', 'anthropic_cache_instructions': True}
    made = call(asked(UserPromptPart(points)), instructions='Be kind.', settings=settings, function_tools=TOOLS)

    assert marks(made) == ['d', 'e']
    assert made.arguments['system'] == [text('Be kind.', cache_control=MARK)]
    assert [tool.get('cache_control') for tool in made.arguments['tools']] == [None, {'type': 'ephemeral', 'ttl': '1h'}]


def test_the_end_of_the_messages_is_marked_once() -> None:
    """A setting and a cache point at the same place are one mark."""
    made = call(
        asked(UserPromptPart(['a', CachePoint()])), settings={'anthropic_cache_messages': '1h', 'anthropic_cache': True}
    )

    assert contents(made)[0][1] == [text('a', cache_control={'type': 'ephemeral', 'ttl': '1h'})]
    assert made.arguments['cache_control'] == MARK


def test_where_the_usual_time_has_no_name_it_is_not_said() -> None:
    """Bedrock keeps for five minutes without being told so."""
    made = call(asked(UserPromptPart(['a', CachePoint()])), names_usual_ttl=False)

    assert contents(made)[0][1] == [text('a', cache_control={'type': 'ephemeral'})]


# Tools


def chosen(settings: Any = None, **parameters: Any) -> tuple[Any, list[str]]:
    """How tools are chosen, and which there are."""
    arguments = call(settings=settings, **({'function_tools': TOOLS} | parameters)).arguments
    return arguments.get('tool_choice'), [tool['name'] for tool in arguments.get('tools', ())]


def test_the_choice_of_tools_follows_output_and_settings() -> None:
    """A model may, must, must not call, or has to call the one that is named."""
    output: dict[str, Any] = {'output_tools': [RESULT], 'allow_text_output': False}

    assert chosen() == ({'type': 'auto'}, ['look', 'go'])
    assert chosen(function_tools=[]) == (None, [])
    assert chosen(**output) == ({'type': 'any'}, ['look', 'go', 'final_result'])
    assert chosen({'tool_choice': 'none'}) == ({'type': 'none'}, ['look', 'go'])
    assert chosen({'tool_choice': ['go']}) == ({'type': 'tool', 'name': 'go'}, ['look', 'go'])
    assert chosen({'tool_choice': ToolOrOutput(['go'])}) == ({'type': 'auto'}, ['go'])
    assert chosen({'parallel_tool_calls': False}) == (
        {'type': 'auto', 'disable_parallel_tool_use': True},
        ['look', 'go'],
    )


def test_a_model_that_thinks_is_not_forced() -> None:
    """An output that is a call is left to the model; a program that asks for force is told that there is none."""
    thinking = {'anthropic_thinking': {'type': 'adaptive'}}

    assert chosen(thinking, output_tools=[RESULT], allow_text_output=False)[0] == {'type': 'auto'}
    with pytest.raises(UserError, match="tool_choice='required' forces a call"):
        chosen(thinking | {'tool_choice': 'required'})


def test_no_tools_of_the_program_leave_those_of_anthropic() -> None:
    """`'none'` is about the tools of the program."""
    assert chosen({'tool_choice': 'none'}, builtin_tools=[WebSearchTool()]) == ({'type': 'auto'}, ['web_search'])


def test_tools_say_what_anthropic_can_be_told_of_them() -> None:
    """Strictness, and what settings add to all or to one."""
    tool = ToolDefinition(name='look', parameters_json_schema={'type': 'object'}, strict=True)
    settings = {'anthropic_eager_input_streaming': True, 'anthropic_tool_options': {'look': {'defer_loading': True}}}

    assert call(settings=settings, function_tools=[tool]).arguments['tools'] == [
        {
            'name': 'look',
            'description': '',
            'input_schema': {'type': 'object'},
            'strict': True,
            'eager_input_streaming': True,
            'defer_loading': True,
        }
    ]


def test_built_in_tools_are_told_with_what_was_said_of_them() -> None:
    """What was not said is not sent."""
    search = WebSearchTool(max_uses=2, user_location={'city': 'Lima'})
    fetch = WebFetchTool(allowed_domains=['example.com'], enable_citations=True)

    assert call(builtin_tools=[search, fetch, CodeExecutionTool()]).arguments['tools'] == [
        {
            'type': 'web_search_20250305',
            'name': 'web_search',
            'max_uses': 2,
            'user_location': {'type': 'approximate', 'city': 'Lima'},
        },
        {
            'type': 'web_fetch_20250910',
            'name': 'web_fetch',
            'allowed_domains': ['example.com'],
            'citations': {'enabled': True},
        },
        {'type': 'code_execution_20260120', 'name': 'code_execution'},
    ]


def test_an_mcp_server_is_told_apart_from_tools() -> None:
    """Its token is sent and kept secret; the feature is asked for by name."""
    server = MCPServerTool(
        id='docs', url='https://example.com/mcp', authorization_token='secret-token', allowed_tools=['a']
    )
    made = call(builtin_tools=[server])

    assert made.arguments['mcp_servers'] == [
        {
            'type': 'url',
            'name': 'docs',
            'url': 'https://example.com/mcp',
            'authorization_token': 'secret-token',
            'tool_configuration': {'enabled': True, 'allowed_tools': ['a']},
        }
    ]
    assert 'tools' not in made.arguments
    assert made.arguments['betas'] == ['mcp-client-2025-04-04']
    assert made.secrets == ('secret-token',)


def test_headers_for_an_mcp_server_are_refused() -> None:
    """Anthropic would not send them."""
    with pytest.raises(UserError, match="MCPServerTool\\('docs'\\) has headers"):
        call(builtin_tools=[MCPServerTool(id='docs', url='https://example.com', headers={'x': 'y'})])


def test_a_memory_is_kept_by_a_tool_of_the_program() -> None:
    """Anthropic's definition takes the place of the program's; without such a tool there is no memory."""
    memory = ToolDefinition(name='memory')

    tools = call(function_tools=[*TOOLS, memory], builtin_tools=[MemoryTool()]).arguments['tools']
    assert [tool['name'] for tool in tools] == ['look', 'go', 'memory']
    assert tools[-1] == {'type': 'memory_20250818', 'name': 'memory'}
    with pytest.raises(UserError, match="a tool of the program of the name 'memory'"):
        call(builtin_tools=[MemoryTool()])


def test_tools_without_a_class_are_given_as_anthropic_has_them() -> None:
    """The setting takes any definition, and asks for the feature if it has to be asked for."""
    advisor = {'type': 'advisor_20260301', 'name': 'advisor', 'model': 'claude-opus-4-8'}
    made = call(settings={'anthropic_server_tools': [advisor]})

    assert made.arguments['tools'] == [advisor]
    assert made.arguments['betas'] == ['advisor-tool-2026-03-01']


def test_models_that_cannot_be_bound_are_told_of_no_strictness() -> None:
    """They would refuse the request for it."""
    tool = ToolDefinition(name='look', parameters_json_schema={'type': 'object'}, strict=True)

    (sent,) = call(function_tools=[tool], model='claude-3-5-haiku-latest').arguments['tools']
    assert 'strict' not in sent


# Settings


def test_settings_are_given_to_the_library() -> None:
    """By the names that it has for them."""
    settings = {
        'stop_sequences': ['END'],
        'anthropic_metadata': {'user_id': 'u'},
        'anthropic_service_tier': 'standard_only',
        'anthropic_effort': 'high',
        'anthropic_betas': ['a-beta'],
        'extra_headers': {'Anthropic-Beta': 'b-beta, a-beta', 'x': 'y'},
        'extra_body': {'more': 1},
    }
    arguments = call(settings=settings).arguments

    assert arguments['stop_sequences'] == ['END']
    assert arguments['metadata'] == {'user_id': 'u'}
    assert arguments['service_tier'] == 'standard_only'
    assert arguments['output_config'] == {'effort': 'high'}
    assert arguments['betas'] == ['a-beta', 'b-beta']
    assert arguments['extra_headers'] == {'x': 'y'}
    assert arguments['extra_body'] == {'more': 1}


def test_what_has_to_be_asked_for_by_name_is() -> None:
    """Each way of making a conversation shorter has a name of its own."""
    clear, compact = {'type': 'clear_tool_uses_20250919'}, {'type': 'compact_20260112'}

    def betas(*edits: dict[str, Any]) -> list[str]:
        return call(settings={'anthropic_context_management': {'edits': list(edits)}}).arguments['betas']

    assert betas(clear) == ['context-management-2025-06-27']
    assert betas(compact) == ['compact-2026-01-12']
    assert set(betas(clear, compact)) == {'context-management-2025-06-27', 'compact-2026-01-12'}


def test_a_task_may_have_a_budget() -> None:
    """It is told beside other wishes for the output, and asked for by name."""
    budget = {'type': 'tokens', 'total': 50_000}
    arguments = call(settings={'anthropic_task_budget': budget, 'anthropic_effort': 'low'}).arguments

    assert arguments['output_config'] == {'effort': 'low', 'task_budget': budget}
    assert arguments['betas'] == ['task-budgets-2026-03-13']


def test_a_temperature_is_sent_to_models_that_have_one() -> None:
    """A model that knows no temperature would refuse the request."""
    settings = {'temperature': 0.5, 'top_p': 0.9}

    assert call(settings=settings, model='claude-sonnet-4-5').arguments['extra_body'] == settings
    assert 'extra_body' not in call(settings=settings, model='claude-sonnet-5').arguments


def test_thoughts_have_a_budget_on_top_of_the_answer() -> None:
    """The length that Anthropic wants to be told of grows with the budget, up to what the model can do."""
    thinking = {'anthropic_thinking': {'type': 'enabled', 'budget_tokens': 20_000}}

    assert call().arguments['max_tokens'] == 16_384
    assert call(settings=thinking).arguments['max_tokens'] == 36_384
    assert call(settings=thinking, model='claude-opus-4-1').arguments['max_tokens'] == 32_000
    assert call(settings=thinking | {'max_tokens': 25_000}).arguments['max_tokens'] == 25_000


def test_a_native_output_is_a_schema_that_binds() -> None:
    """The schema is sent as it is, beside other wishes for the output."""
    schema = {'type': 'object', 'properties': {}, 'additionalProperties': False}
    output = OutputObjectDefinition(json_schema=schema)
    made = call(settings={'anthropic_effort': 'low'}, output_mode='native', output_object=output)

    assert made.arguments['output_config'] == {'format': {'type': 'json_schema', 'schema': schema}, 'effort': 'low'}


def container(settings: Any = None, expires_at: str = '2999-01-01T00:00:00Z', **parameters: Any) -> Any:
    """The container in which code is to run, after an answer that had one."""
    details = {'container_id': 'c1', 'container_expires_at': expires_at}
    history = answered(TextPart('b'), provider_details=details), asked(UserPromptPart('c'))
    arguments = call(asked(UserPromptPart('a')), *history, settings=settings, **parameters).arguments
    return arguments.get('container')


def test_code_goes_on_in_the_container_of_the_answers_before() -> None:
    """While it lives, if anything can run in it, and unless something else is said."""
    tools: dict[str, Any] = {'builtin_tools': [CodeExecutionTool()]}

    assert container(**tools) == 'c1'
    assert container() is None
    assert container(expires_at='2000-01-01T00:00:00Z', **tools) is None
    assert container(expires_at='some day', **tools) == 'c1'
    assert container({'anthropic_container': False}, **tools) is None
    assert container({'anthropic_container': {'id': 'c2'}}, **tools) == {'id': 'c2'}
