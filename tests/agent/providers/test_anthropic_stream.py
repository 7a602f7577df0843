"""Streams of Anthropic: what each event brings, and what ends them."""

from typing import Any

import pytest
from anthropic_parts import Server, block, closing, message, opening, text

from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FinalResultEvent,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models import ModelRequestParameters

HELLO: list[Any] = [ModelRequest.user_text_prompt('Hello')]
NO_PARAMETERS = ModelRequestParameters()


def said(content: str) -> dict[str, Any]:
    """More of a text."""
    return {'type': 'text_delta', 'text': content}


def written(content: str) -> dict[str, Any]:
    """More of the arguments of a call."""
    return {'type': 'input_json_delta', 'partial_json': content}


async def events_of(*events: Any) -> tuple[list[Any], ModelResponse]:
    """What is told of a stream, and the response at its end."""
    async with Server(list(events)).model().request_stream(HELLO, None, NO_PARAMETERS) as stream:
        told = [event async for event in stream]
        return told, stream.get()


async def response_of(*events: Any) -> ModelResponse:
    """The response at the end of a stream."""
    return (await events_of(*events))[1]


async def test_text_is_told_as_it_comes() -> None:
    """The first piece begins the part, the others are deltas."""
    told, response = await events_of(opening(), *block(0, text(''), said('He'), said('llo')), *closing())

    assert [type(event) for event in told[:3]] == [PartStartEvent, FinalResultEvent, PartDeltaEvent]
    assert told[2].delta == TextPartDelta('llo')
    assert response.parts == [TextPart('Hello')]
    assert response.finish_reason == 'stop'
    assert (response.provider_response_id, response.model_name) == ('msg_1', 'claude-sonnet-5-20260101')


async def test_usage_is_that_of_the_last_count() -> None:
    """Counters of the end go over those of the beginning, and what is not counted again stays."""
    usage = (await response_of(opening(output_tokens=1, cache_read_input_tokens=4), *closing())).usage

    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (14, 5, 4)


async def test_thoughts_come_with_their_signature() -> None:
    """Also one of which the words are kept back."""
    thinking = {'type': 'thinking', 'thinking': '', 'signature': ''}
    response = await response_of(
        opening(),
        *block(
            0, thinking, {'type': 'thinking_delta', 'thinking': 'hm'}, {'type': 'signature_delta', 'signature': 's'}
        ),
        *block(1, thinking, {'type': 'signature_delta', 'signature': 't'}),
        *block(2, {'type': 'redacted_thinking', 'data': 'r'}),
        *closing(),
    )

    assert response.parts == [
        ThinkingPart('hm', signature='s', provider_name='anthropic'),
        ThinkingPart('', signature='t', provider_name='anthropic'),
        ThinkingPart('', id='redacted_thinking', signature='r', provider_name='anthropic'),
    ]


@pytest.mark.parametrize(
    ('begin', 'deltas', 'args'),
    [
        ({}, [written(''), written('{"at"'), written(': 1}')], {'at': 1}),
        ({}, [written('')], {}),
        ({}, [], {}),
        ({'at': 2}, [], {'at': 2}),
        ({'at': 2}, [written('{"at": 3}')], {'at': 3}),
    ],
)
async def test_arguments_come_in_pieces_or_with_the_beginning(begin: Any, deltas: Any, args: Any) -> None:
    """A call has its arguments however they were sent, and none if there are none."""
    call = {'type': 'tool_use', 'id': 'c1', 'name': 'look', 'input': begin}
    response = await response_of(opening(), *block(0, call, *deltas), *closing('tool_use'))

    (part,) = response.parts
    assert isinstance(part, ToolCallPart)
    assert (part.tool_name, part.tool_call_id, part.args_as_dict()) == ('look', 'c1', args)


@pytest.mark.parametrize('deltas', [[], [written('')], [written('{"q"'), written(':"x"}')]])
async def test_calls_of_mcp_servers_have_their_arguments_within_those_of_the_part(deltas: list[Any]) -> None:
    """The whole is JSON, with or without arguments."""
    call = {'type': 'mcp_tool_use', 'id': 'm1', 'name': 'ask', 'server_name': 'docs', 'input': {}}
    result = {'type': 'mcp_tool_result', 'tool_use_id': 'm1', 'is_error': False, 'content': 'Yes.'}
    response = await response_of(opening(), *block(0, call, *deltas), *block(1, result), *closing())

    made, returned = response.parts
    args = {'q': 'x'} if len(deltas) > 1 else {}
    assert isinstance(made, BuiltinToolCallPart)
    assert made.args_as_dict() == {'action': 'call_tool', 'tool_name': 'ask', 'tool_args': args}
    assert isinstance(returned, BuiltinToolReturnPart)
    assert (returned.tool_name, returned.content) == ('mcp_server:docs', {'content': 'Yes.', 'is_error': False})


async def test_citations_gather_at_their_text() -> None:
    """They may come before the text and after it."""
    first, second = ({'type': 'char_location', 'cited_text': each, 'document_index': 0} for each in 'ab')
    response = await response_of(
        opening(),
        *block(
            0,
            text('', citations=[]),
            {'type': 'citations_delta', 'citation': first},
            said('x'),
            {'type': 'citations_delta', 'citation': second},
        ),
        *closing(),
    )

    assert response.parts == [TextPart('x', provider_details={'citations': [first, second]})]


async def test_a_compaction_is_kept_whole() -> None:
    """What its deltas bring is part of the block that is sent back."""
    delta = {'type': 'compaction_delta', 'content': 'So far.'}
    response = await response_of(opening(), *block(0, {'type': 'compaction', 'content': None}, delta), *closing())

    assert response.parts[0].provider_details == {'block': {'type': 'compaction', 'content': 'So far.'}}


async def test_what_is_not_known_is_passed_over() -> None:
    """New events, deltas and blocks of a later day break nothing."""
    response = await response_of(
        opening(),
        {'type': 'ping'},
        {'type': 'a_new_event', 'index': 0},
        *block(0, text(''), {'type': 'a_new_delta', 'x': 1}, said('Hi')),
        *block(1, {'type': 'a_new_block', 'x': 1}, {'type': 'a_new_delta', 'y': 2}),
        {'type': 'content_block_delta', 'index': 9, 'delta': written('{')},
        {'type': 'content_block_stop', 'index': 9},
        *closing(),
    )

    assert response.parts == [
        TextPart('Hi'),
        ThinkingPart(
            '',
            id='a_new_block',
            provider_name='anthropic',
            provider_details={'block': {'type': 'a_new_block', 'x': 1, 'y': 2}},
        ),
    ]


@pytest.mark.parametrize(
    'event',
    [
        {'type': 'content_block_delta', 'index': 0, 'delta': None},
        {'type': 'message_delta', 'delta': {'stop_reason': 'refusal', 'stop_details': 'no'}, 'usage': {}},
        *block(0, {'type': 'tool_use', 'name': 'look'})[:1],
    ],
)
async def test_an_event_without_its_form_is_refused(event: Any) -> None:
    """What lacks what it must have is shown, and is no error of ours."""
    with pytest.raises(UnexpectedModelBehavior, match='An event of the stream cannot be read'):
        await response_of(opening(), event, *closing())


async def test_a_stream_without_its_end_is_refused() -> None:
    """What has come is not taken for the whole, and can still be looked at."""
    model = Server([opening(), *block(0, text(''), said('Hel'))]).model()
    async with model.request_stream(HELLO, None, NO_PARAMETERS) as stream:
        with pytest.raises(ModelAPIError, match=r'The stream ended in the middle of the answer, .*anthropic'):
            async for _ in stream:
                pass

        assert stream.get().parts == [TextPart('Hel')]


async def test_a_stream_that_has_said_why_it_stopped_is_whole() -> None:
    """Some servers that speak Anthropic's format leave the last event out, which says nothing."""
    response = await response_of(opening(), *block(0, text(''), said('Hello')), *closing()[:1])

    assert response.parts == [TextPart('Hello')]
    assert response.finish_reason == 'stop'


@pytest.mark.parametrize(('kind', 'status'), [('overloaded_error', 529), ('api_error', 500), ('rate_limit_error', 429)])
async def test_an_error_within_a_stream_has_the_status_that_it_stands_for(kind: str, status: int) -> None:
    """Who asks again after an overload can do so, wherever it was told of."""
    error = {'type': 'error', 'error': {'type': kind, 'message': 'Sorry.'}}
    with pytest.raises(ModelHTTPError, match=r'Sorry\..*req_1') as caught:
        await response_of(opening(), *block(0, text(''), said('Hel')), error)

    assert caught.value.status_code == status
    assert caught.value.provider_name == 'anthropic'


async def test_an_error_of_a_new_type_is_an_error() -> None:
    """It has no status that we know, and is told all the same."""
    error = {'type': 'error', 'error': {'type': 'a_new_error', 'message': 'Sorry.'}}
    with pytest.raises(ModelAPIError, match=r'Sorry\.') as caught:
        await response_of(opening(), error)

    assert not isinstance(caught.value, ModelHTTPError)


PAUSED = [
    opening(output_tokens=1),
    *block(0, {'type': 'server_tool_use', 'id': 's1', 'name': 'web_search', 'input': {'query': 'q'}}),
    *closing('pause_turn', container={'id': 'c1', 'expires_at': '2999-01-01T00:00:00Z'}),
]
RESUMED = [
    opening(output_tokens=1),
    *block(0, {'type': 'web_search_tool_result', 'tool_use_id': 's1', 'content': []}),
    *block(1, text(''), said('Found.')),
    *closing(),
]


async def test_an_answer_that_pauses_goes_on_within_its_stream() -> None:
    """What was said so far is sent back, and all streams are one response."""
    server = Server(PAUSED, RESUMED)
    async with server.model().request_stream(HELLO, None, NO_PARAMETERS) as stream:
        told = [event async for event in stream]
        response = stream.get()

    assert server.bodies[1]['messages'][1:] == [
        {
            'role': 'assistant',
            'content': [{'type': 'server_tool_use', 'id': 's1', 'name': 'web_search', 'input': {'query': 'q'}}],
        }
    ]
    assert server.bodies[1]['container'] == 'c1'
    assert [type(part) for part in response.parts] == [BuiltinToolCallPart, BuiltinToolReturnPart, TextPart]
    assert [event.index for event in told if isinstance(event, PartStartEvent)] == [0, 1, 2]
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 10)
    assert response.finish_reason == 'stop'
    assert (response.provider_details or {})['container_id'] == 'c1'


async def test_an_answer_that_pauses_for_ever_is_given_as_it_is() -> None:
    """The bound is the caller's; the response says that it is not at its end."""
    server = Server(PAUSED, PAUSED, PAUSED)
    settings: Any = {'anthropic_max_continuations': 1}
    async with server.model().request_stream(HELLO, settings, NO_PARAMETERS) as stream:
        async for _ in stream:
            pass

    assert len(server.asked) == 2
    assert stream.get().finish_reason == 'length'


async def test_a_stream_may_be_left_early() -> None:
    """The connection is closed, and nothing of it is left to be collected."""
    pieces = [said('x')] * 100
    model = Server([opening(), *block(0, text(''), *pieces), *closing()]).model()
    async with model.request_stream(HELLO, None, NO_PARAMETERS) as stream:
        async for _ in stream:
            break

    assert stream.get().parts == [TextPart('x')]


async def test_a_message_that_comes_as_json_is_no_stream() -> None:
    """A server that does not stream is found out."""
    async with Server(message(text('Hi'))).model().request_stream(HELLO, None, NO_PARAMETERS) as stream:
        with pytest.raises(ModelAPIError, match='ended in the middle'):
            await anext(aiter(stream))
