"""Whole responses in OpenAI's responses format become ours."""

from datetime import UTC, datetime
from typing import Any

import pytest
from responses_parts import ORIGIN, PIXEL, SAMPLES, Item, call, decode, make_response, message

from plait_agent.exceptions import ModelAPIError, UnexpectedModelBehavior
from plait_agent.messages import (
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models._openai_responses.decode import decode_response
from plait_agent.models._openai_responses.usage import read_usage
from plait_agent.usage import RequestUsage


def test_response_says_who_has_answered_when_and_for_what() -> None:
    """Model, id, time, provider, usage and the reason of the end come from the response."""
    response = decode(message(), service_tier='flex', conversation={'id': 'conv_1'})

    assert (response.model_name, response.provider_name) == ('gpt-5-2026', 'openai')
    assert response.provider_url == 'https://api.openai.com/v1/'
    assert response.provider_response_id == 'resp_1'
    assert response.timestamp == datetime.fromtimestamp(1_700_000_000, tz=UTC)
    assert response.finish_reason == 'stop'
    assert response.provider_details == {
        'finish_reason': 'completed',
        'timestamp': response.timestamp,
        'service_tier': 'flex',
        'conversation_id': 'conv_1',
    }
    assert response.usage == RequestUsage(
        input_tokens=10, cache_read_tokens=3, output_tokens=5, details={'reasoning_tokens': 2}
    )


def test_texts_keep_what_they_cite() -> None:
    """Each text of a message is a part with its citations, probabilities and the phase of the message."""
    first, second = decode(SAMPLES['texts']).parts

    assert first == TextPart('One 😀 ', id='msg_1', provider_details={'phase': 'commentary'})
    assert isinstance(second, TextPart)
    details = second.provider_details or {}
    assert details['annotations'][0]['url'] == 'https://a.example'
    assert details['logprobs'][0]['token'] == 'two'


def test_refusal_is_no_text() -> None:
    """Why the model refuses is told beside the parts, and the end is that of a filter."""
    response = decode(SAMPLES['refusal'])

    assert response.parts == []
    assert response.finish_reason == 'content_filter'
    assert response.provider_details is not None
    assert response.provider_details['refusal'] == 'I cannot help with that'
    assert response.provider_details['finish_reason'] == 'completed'


@pytest.mark.parametrize(
    ('name', 'texts'),
    [
        ('thought', ['']),
        ('summaries', ['First, look', 'Then leap']),
        ('raw thought', ['Let me think']),
        ('both thoughts', ['Let me think', 'In short']),
    ],
)
def test_thoughts_are_their_words_and_their_summaries(name: str, texts: list[str]) -> None:
    """Each summary is a part, after the words if these are told; the first part has what goes back."""
    parts = [part for part in decode(SAMPLES[name]).parts if isinstance(part, ThinkingPart)]

    assert [part.content for part in parts] == texts
    assert {(part.id, part.provider_name) for part in parts} == {('rs_1', 'openai')}
    assert parts[0].signature == SAMPLES[name].get('encrypted_content')
    assert parts[0].provider_details == ({'raw_content': ['Let me think']} if 'content' in SAMPLES[name] else None)


def test_call_keeps_both_of_its_ids() -> None:
    """A call has the id that its answer names, the id of its item, and its namespace."""
    assert decode(SAMPLES['call']).parts == [
        ToolCallPart('add', '{"a":1}', 'call_1', id='fc_1', provider_details={'namespace': 'sums'})
    ]


@pytest.mark.parametrize(
    ('name', 'tool_name', 'args', 'content'),
    [
        (
            'web search',
            'web_search',
            {'type': 'search', 'query': 'plaits'},
            {'status': 'completed', 'sources': [{'type': 'url', 'url': 'https://a.example'}]},
        ),
        ('web page', 'web_search', {'type': 'open_page', 'url': 'https://a.example'}, {'status': 'completed'}),
        (
            'file search',
            'file_search',
            {'queries': ['plaits']},
            {'status': 'completed', 'results': SAMPLES['file search']['results']},
        ),
        (
            'code',
            'code_execution',
            {'container_id': 'cntr_1', 'code': 'print("é\\n")\n'},
            {'status': 'completed', 'logs': ['é']},
        ),
        (
            'image',
            'image_generation',
            {},
            {'status': 'completed', 'output_format': 'png', 'revised_prompt': 'A plait'},
        ),
        (
            'mcp tools',
            'mcp_server:docs',
            {'action': 'list_tools'},
            {'tools': SAMPLES['mcp tools']['tools'], 'error': None},
        ),
        (
            'mcp call',
            'mcp_server:docs',
            {'action': 'call_tool', 'tool_name': 'find', 'tool_args': {'word': 'plait'}},
            {'output': 'three strands', 'error': None},
        ),
    ],
)
def test_tool_of_the_provider_is_a_call_and_its_return(name: str, tool_name: str, args: Item, content: Item) -> None:
    """The call says what was asked, the return what came of it; both have the id of the item."""
    parts = decode(SAMPLES[name]).parts
    called, returned = parts[0], parts[-1]

    assert isinstance(called, BuiltinToolCallPart)
    assert isinstance(returned, BuiltinToolReturnPart)
    assert (called.tool_name, called.args_as_dict()) == (tool_name, args)
    assert (returned.tool_name, returned.content) == (tool_name, content)
    assert called.tool_call_id == returned.tool_call_id == SAMPLES[name]['id']
    assert called.provider_name == returned.provider_name == 'openai'


@pytest.mark.parametrize('name', ['image', 'code'])
def test_images_are_files_between_call_and_return(name: str) -> None:
    """An image that a tool has made is a file."""
    _, file, _ = decode(SAMPLES[name]).parts

    assert isinstance(file, FilePart)
    assert isinstance(file.content, BinaryImage)
    assert (file.content.base64, file.content.media_type) == (PIXEL, 'image/png')


@pytest.mark.parametrize(
    ('name', 'tool_name', 'args'),
    [
        ('custom call', 'grep', {'input': 'a "word"\n'}),
        ('shell', 'shell', {'commands': ['ls'], 'timeout_ms': 100}),
        ('local shell', 'local_shell', {'type': 'exec', 'command': ['ls'], 'env': {}}),
        ('patch', 'apply_patch', {'type': 'delete_file', 'path': 'a.txt'}),
        ('computer', 'computer', {'actions': [{'type': 'screenshot'}]}),
    ],
)
def test_call_that_the_program_answers_is_a_call_of_its_tool(name: str, tool_name: str, args: Item) -> None:
    """The tools that the program runs for the model are called by their names, with what the model asks for."""
    (part,) = decode(SAMPLES[name]).parts

    assert isinstance(part, ToolCallPart)
    assert (part.tool_name, part.args_as_dict(), part.tool_call_id) == (tool_name, args, 'call_1')


@pytest.mark.parametrize(
    'name', ['tool search', 'shell of the provider', 'program', 'compaction', 'news', 'mcp approval']
)
def test_item_of_any_other_kind_is_kept(name: str) -> None:
    """Nothing of an item is lost, even if nobody knows its kind."""
    (part,) = decode(SAMPLES[name]).parts

    assert isinstance(part, BuiltinToolCallPart)
    assert part.tool_call_id == SAMPLES[name].get('call_id', SAMPLES[name]['id'])


@pytest.mark.parametrize(
    ('fields', 'finish_reason', 'told'),
    [
        ({}, 'stop', 'completed'),
        (
            {'incomplete_details': {'reason': 'max_output_tokens'}, 'status': 'incomplete'},
            'length',
            'max_output_tokens',
        ),
        (
            {'incomplete_details': {'reason': 'content_filter'}, 'status': 'incomplete'},
            'content_filter',
            'content_filter',
        ),
        ({'incomplete_details': {'reason': 'boredom'}, 'status': 'incomplete'}, None, 'boredom'),
        ({'incomplete_details': None, 'status': 'incomplete'}, None, 'incomplete'),
    ],
)
def test_end_is_told_in_our_words_and_in_theirs(fields: Item, finish_reason: str | None, told: str) -> None:
    """The reason of the end is one of ours if it means one, and the provider's own is in the details."""
    response = decode(message(), **fields)

    assert response.finish_reason == finish_reason
    assert response.provider_details is not None
    assert response.provider_details['finish_reason'] == told


@pytest.mark.parametrize(
    ('fields', 'told'),
    [
        ({'status': 'failed', 'error': {'code': 'server_error', 'message': 'It broke'}}, 'server_error: It broke'),
        ({'status': 'failed', 'error': None}, 'no reason was given'),
        ({'status': 'cancelled'}, 'was cancelled'),
    ],
)
def test_response_that_has_failed_is_an_error(fields: Item, told: str) -> None:
    """A failure has the code and the message of the provider, and who it was."""
    with pytest.raises(ModelAPIError, match=told) as caught:
        decode_response(make_response(message(), **fields), ORIGIN, request_id='req_1')

    assert (caught.value.provider_name, caught.value.request_id) == ('openai', 'req_1')


@pytest.mark.parametrize(
    'said', [{}, {'object': 'list', 'data': []}, {'output': None}, {'status': 'queued', 'output': []}]
)
def test_what_is_no_complete_response_is_refused(said: Item) -> None:
    """A response without items, or one that is still being made, is no answer."""
    with pytest.raises(UnexpectedModelBehavior, match='no complete response'):
        decode_response(said, ORIGIN)


@pytest.mark.parametrize('output', [None, []])
def test_complete_response_without_items_says_nothing(output: Any) -> None:
    """Servers that speak OpenAI's format may have nothing where OpenAI has an empty list."""
    assert decode_response(make_response() | {'output': output}, ORIGIN).parts == []


@pytest.mark.parametrize(
    'item',
    [
        {'type': 'message'},
        {'type': 'message', 'content': [{'type': 'hologram'}]},
        {'type': 'reasoning', 'id': 'rs_1'},
        {'type': 'function_call'},
        {'type': 'web_search_call', 'id': 'ws_1'},
        {'type': 'code_interpreter_call', 'id': 'ci_1', 'outputs': [{'type': 'sculpture'}]},
        {'type': 'image_generation_call', 'id': 'ig_1', 'result': None, 'status': 'failed'},
        {'type': 'code_interpreter_call', 'id': 'ci_1', 'outputs': 'none'},
        {'type': 'mcp_call', 'id': 'mcp_1', 'error': {'code': 1}, 'status': 'failed'},
        {},
        'no item',
    ],
)
def test_items_with_gaps_and_news_do_not_break_a_response(item: Any) -> None:
    """What is missing in an item, or new in it, keeps nobody from the rest of the response."""
    assert decode(item, message('The rest')).text is not None


def test_every_counter_is_kept() -> None:
    """What is counted under names that are not known goes to the details, by the names that lead to it."""
    usage = read_usage(
        {
            'usage': {
                'input_tokens': 100,
                'input_tokens_details': {
                    'cached_tokens': 10,
                    'cache_write_tokens': 20,
                    'cache_write_tokens_details': {'ttl_12h_tokens': 20},
                    'audio_tokens': 7,
                },
                'output_tokens': 50,
                'output_tokens_details': {'reasoning_tokens': 30, 'magic_tokens': 4},
                'total_tokens': 150,
                'num_sources_used': 2,
            },
            'tool_usage': {'web_search': {'num_requests': 3}},
        }
    )

    assert usage == RequestUsage(
        input_tokens=100,
        cache_read_tokens=10,
        cache_write_tokens=20,
        input_audio_tokens=7,
        output_tokens=50,
        details={
            'reasoning_tokens': 30,
            'input_cache_write_tokens_details_ttl_12h_tokens': 20,
            'output_magic_tokens': 4,
            'num_sources_used': 2,
            'web_search_num_requests': 3,
        },
    )


@pytest.mark.parametrize('usage', [None, {}, {'input_tokens': None, 'input_tokens_details': None}])
def test_missing_usage_counts_nothing(usage: Any) -> None:
    """A server that counts nothing is no reason to fail."""
    assert decode(call(), usage=usage).usage == RequestUsage()
