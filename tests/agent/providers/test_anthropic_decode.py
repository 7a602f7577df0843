"""Answers of Anthropic as responses of ours, without a network."""

from typing import Any

import pytest
from anthropic.types.beta import BetaMessage
from anthropic_parts import message, text

from plait_agent.exceptions import UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models._anthropic.decode import decode_message
from plait_agent.models._anthropic.messages import Dialect, Turns
from plait_agent.models._origin import Origin
from plait_agent.profiles.anthropic import anthropic_model_profile

ORIGIN = Origin('anthropic', 'claude-sonnet-5', 'https://api.anthropic.com')


def decode(*content: dict[str, Any], **fields: Any) -> ModelResponse:
    """The response that an answer becomes, as the library reads it."""
    return decode_message(BetaMessage.construct(**message(*content, **fields)), ORIGIN)


def sent_back(response: ModelResponse) -> list[dict[str, Any]]:
    """What a response is sent back as."""
    turns = Turns(Dialect('anthropic', anthropic_model_profile('claude-sonnet-5')))
    turns.add_all([ModelRequest([]), response])
    return turns.messages[0]['content']


def test_an_answer_says_where_it_comes_from() -> None:
    """The model, the id, the provider, and why it stopped, in our word and in Anthropic's."""
    response = decode(text('Hi'), stop_reason='stop_sequence', stop_sequence='END')

    assert response.parts == [TextPart('Hi')]
    assert (response.model_name, response.provider_response_id) == ('claude-sonnet-5-20260101', 'msg_1')
    assert (response.provider_name, response.provider_url) == ('anthropic', 'https://api.anthropic.com')
    assert response.finish_reason == 'stop'
    assert response.provider_details == {'finish_reason': 'stop_sequence', 'stop_sequence': 'END'}


@pytest.mark.parametrize(
    ('reason', 'finish_reason'),
    [
        ('end_turn', 'stop'),
        ('max_tokens', 'length'),
        ('model_context_window_exceeded', 'length'),
        ('tool_use', 'tool_call'),
        ('pause_turn', 'length'),
        ('refusal', 'content_filter'),
        ('a_new_reason', None),
    ],
)
def test_why_a_model_stopped_has_a_word_of_ours(reason: str, finish_reason: str | None) -> None:
    """A reason that is not known is kept in the details."""
    response = decode(text('Hi'), stop_reason=reason)

    assert response.finish_reason == finish_reason
    assert response.provider_details == {'finish_reason': reason}


def test_a_refusal_says_why() -> None:
    """What Anthropic says of a refusal is in the details."""
    details = {'type': 'refusal', 'category': 'cyber', 'explanation': 'No.'}
    response = decode(stop_reason='refusal', stop_details=details)

    assert response.parts == []
    assert response.provider_details == {'finish_reason': 'refusal', 'refusal': 'No.', 'refusal_category': 'cyber'}


def test_usage_counts_cached_tokens_among_those_of_the_prompt() -> None:
    """Anthropic's own numbers are in the details, with the times that caches hold and the tools that it has run."""
    usage = decode(
        usage={
            'input_tokens': 10,
            'cache_creation_input_tokens': 20,
            'cache_read_input_tokens': 30,
            'cache_creation': {'ephemeral_5m_input_tokens': 15, 'ephemeral_1h_input_tokens': 5},
            'output_tokens': 7,
            'output_tokens_details': {'thinking_tokens': 3},
            'server_tool_use': {'web_search_requests': 2, 'web_fetch_requests': 0},
            'service_tier': 'standard',
            'something_new': 4,
        }
    ).usage

    assert (usage.input_tokens, usage.output_tokens) == (60, 7)
    assert (usage.cache_write_tokens, usage.cache_read_tokens) == (20, 30)
    assert usage.details == {
        'input_tokens': 10,
        'cache_creation_input_tokens': 20,
        'cache_read_input_tokens': 30,
        'ephemeral_5m_input_tokens': 15,
        'ephemeral_1h_input_tokens': 5,
        'output_tokens': 7,
        'thinking_tokens': 3,
        'web_search_requests': 2,
        'something_new': 4,
    }


def test_steps_that_are_counted_apart_are_in_the_details() -> None:
    """The tokens of an advisor are nobody else's."""
    steps = [
        {'type': 'message', 'input_tokens': 5, 'output_tokens': 2},
        {'type': 'advisor_message', 'input_tokens': 8, 'output_tokens': 1},
        {'type': 'message', 'input_tokens': 6, 'output_tokens': 2},
    ]
    usage = decode(usage={'input_tokens': 11, 'output_tokens': 4, 'iterations': steps}).usage

    assert usage.input_tokens == 11
    assert usage.details == {
        'input_tokens': 11,
        'output_tokens': 4,
        'message_iterations': 2,
        'advisor_iterations': 1,
        'advisor_input_tokens': 8,
        'advisor_output_tokens': 1,
    }


def test_text_keeps_what_it_quotes() -> None:
    """Citations are in the details of the text that they belong to."""
    citation = {'type': 'page_location', 'cited_text': 'x', 'document_index': 0, 'start_page_number': 1}

    assert decode(text('a'), text('b', citations=[citation]), text('')).parts == [
        TextPart('a'),
        TextPart('b', provider_details={'citations': [citation]}),
    ]


BLOCKS: list[dict[str, Any]] = [
    {'type': 'thinking', 'thinking': 'hm', 'signature': 's'},
    {'type': 'redacted_thinking', 'data': 'r'},
    {'type': 'text', 'text': 'I look.'},
    {'type': 'tool_use', 'id': 'c1', 'name': 'look', 'input': {'at': 1}},
    {
        'type': 'tool_use',
        'id': 'c2',
        'name': 'look',
        'input': {},
        'caller': {'type': 'code_execution_20260120', 'tool_id': 's1'},
    },
    {'type': 'server_tool_use', 'id': 's1', 'name': 'code_execution', 'input': {'code': '1'}},
    {
        'type': 'code_execution_tool_result',
        'tool_use_id': 's1',
        'content': {'type': 'code_execution_result', 'stdout': '1'},
    },
    {'type': 'server_tool_use', 'id': 's2', 'name': 'bash_code_execution', 'input': {'command': 'ls'}},
    {
        'type': 'bash_code_execution_tool_result',
        'tool_use_id': 's2',
        'content': {'type': 'bash_code_execution_tool_result_error', 'error_code': 'unavailable'},
    },
    {'type': 'server_tool_use', 'id': 's3', 'name': 'text_editor_code_execution', 'input': {'path': 'a'}},
    {
        'type': 'text_editor_code_execution_tool_result',
        'tool_use_id': 's3',
        'content': {'type': 'text_editor_code_execution_view_result', 'content': 'x', 'file_type': 'text'},
    },
    {'type': 'server_tool_use', 'id': 's4', 'name': 'web_search', 'input': {'query': 'q'}},
    {
        'type': 'web_search_tool_result',
        'tool_use_id': 's4',
        'content': [
            {'type': 'web_search_result', 'url': 'u', 'title': 't', 'encrypted_content': 'e', 'page_age': None}
        ],
    },
    {'type': 'server_tool_use', 'id': 's5', 'name': 'web_fetch', 'input': {'url': 'u'}},
    {
        'type': 'web_fetch_tool_result',
        'tool_use_id': 's5',
        'content': {'type': 'web_fetch_tool_result_error', 'error_code': 'url_not_allowed'},
    },
    {'type': 'server_tool_use', 'id': 's6', 'name': 'tool_search_tool_regex', 'input': {'query': 'x'}},
    {
        'type': 'tool_search_tool_result',
        'tool_use_id': 's6',
        'content': {
            'type': 'tool_search_tool_search_result',
            'tool_references': [{'type': 'tool_reference', 'tool_name': 'look'}],
        },
    },
    {'type': 'server_tool_use', 'id': 's7', 'name': 'advisor', 'input': {}},
    {'type': 'advisor_tool_result', 'tool_use_id': 's7', 'content': {'type': 'advisor_result', 'text': 'Do.'}},
    {'type': 'mcp_tool_use', 'id': 'm1', 'name': 'ask', 'server_name': 'docs', 'input': {'q': 'x'}},
    {
        'type': 'mcp_tool_result',
        'tool_use_id': 'm1',
        'is_error': False,
        'content': [{'type': 'text', 'text': 'Yes.'}],
    },
    {'type': 'container_upload', 'file_id': 'f'},
    {'type': 'compaction', 'content': 'So far.'},
    {'type': 'a_new_block', 'with': {'things': [1]}},
    {'type': 'server_tool_use', 'id': 's8', 'name': 'a_new_tool', 'input': {'x': 1}},
    {'type': 'a_new_tool_tool_result', 'tool_use_id': 's8', 'content': {'type': 'a_new_result'}},
]
"""A block of each kind that answers have, and of kinds that they do not have yet."""


@pytest.mark.parametrize('content', BLOCKS, ids=[f'{each["type"]} {number}' for number, each in enumerate(BLOCKS)])
def test_what_came_is_what_is_sent_back(content: dict[str, Any]) -> None:
    """Each block has a part, also if it is alone, and the part becomes the block again; a result behind its call."""
    call = [each for each in BLOCKS if each.get('id', '') == content.get('tool_use_id')]

    assert len(decode(content).parts) == 1
    assert sent_back(decode(*call, content)) == [*call, content]


def test_all_blocks_together_are_sent_back_as_they_came() -> None:
    """Nothing is lost or moved."""
    assert sent_back(decode(*BLOCKS)) == BLOCKS


def test_tools_that_anthropic_has_run_have_one_name_each() -> None:
    """Calls and results go by the name of the built-in tool, whatever Anthropic calls them in the case."""
    parts = decode(*BLOCKS).parts
    calls = [part.tool_name for part in parts if isinstance(part, BuiltinToolCallPart)]
    results = [part.tool_name for part in parts if isinstance(part, BuiltinToolReturnPart)]

    assert calls == results
    assert calls[:6] == ['code_execution'] * 3 + ['web_search', 'web_fetch', 'tool_search']
    assert calls[6:] == ['advisor', 'mcp_server:docs', 'a_new_tool']


def test_a_call_of_an_mcp_server_says_which_tool() -> None:
    """The tool is in the arguments, since the part is named after the server."""
    call, result = decode(*(each for each in BLOCKS if each['type'].startswith('mcp'))).parts

    assert isinstance(call, BuiltinToolCallPart)
    assert call.args == {'action': 'call_tool', 'tool_name': 'ask', 'tool_args': {'q': 'x'}}
    assert isinstance(result, BuiltinToolReturnPart)
    assert result.content == {'content': [{'type': 'text', 'text': 'Yes.'}], 'is_error': False}


def test_what_has_no_part_is_no_output() -> None:
    """A block that we do not know is kept where nobody takes it for an answer or a call."""
    (part,) = decode({'type': 'a_new_block', 'text': 'x'}).parts

    assert isinstance(part, ThinkingPart)
    assert (part.content, part.id) == ('', 'a_new_block')


def test_who_made_a_call_is_kept_if_it_was_not_the_model_itself() -> None:
    """A call out of running code says so; that of the model says nothing."""
    direct = {'type': 'tool_use', 'id': 'c1', 'name': 'look', 'input': {}, 'caller': {'type': 'direct'}}

    assert decode(direct).parts == [ToolCallPart('look', {}, 'c1')]


@pytest.mark.parametrize(
    ('content', 'fields'),
    [
        ({'type': 'tool_use', 'name': 'look'}, {}),
        ({'type': 'mcp_tool_use', 'id': 'm', 'name': 'ask', 'server_name': 3}, {}),
        (None, {}),
        (text('Hi'), {'stop_details': 'no'}),
    ],
)
def test_an_answer_without_its_form_is_refused(content: Any, fields: Any) -> None:
    """What lacks what it must have is shown, and is no error of ours."""
    with pytest.raises(UnexpectedModelBehavior, match=r'The answer cannot be read .*provider: anthropic'):
        decode(content, **fields)


@pytest.mark.parametrize('said', [message() | {'content': None}, {'type': 'message', 'stop_reason': 'refusal'}])
def test_a_message_without_content_says_nothing(said: Any) -> None:
    """Servers that speak Anthropic's format may have nothing where Anthropic has an empty list."""
    response = decode_message(BetaMessage.construct(**said), ORIGIN)

    assert response.parts == []
    assert (response.provider_details or {})['finish_reason'] == said['stop_reason']


def test_counters_that_are_no_numbers_count_nothing() -> None:
    """Usage is not worth losing an answer for."""
    usage = decode(text('Hi'), usage={'input_tokens': None, 'output_tokens': '7', 'iterations': ['x', None]}).usage

    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


@pytest.mark.parametrize(
    'said', ['<html>', None, {'error': 'x'}, BetaMessage.construct(type='error', error={'a': 'b'})]
)
def test_what_is_no_message_is_refused(said: Any) -> None:
    """A page of some proxy is no answer."""
    with pytest.raises(UnexpectedModelBehavior, match=r'is no message: .*provider: anthropic'):
        decode_message(said, ORIGIN)
