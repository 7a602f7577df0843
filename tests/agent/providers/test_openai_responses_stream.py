"""Streams in OpenAI's responses format become ours."""

import json
from typing import Any

import pytest
from responses_parts import PIXEL, SAMPLES, Item, Served, call, decode, make_response, message, prompt, sse

from plait_agent.exceptions import ModelAPIError, UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    FilePart,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models import ModelRequestParameters


def events_body(*events: Item) -> str:
    """The body of a stream of events."""
    return ''.join(f'event: {event.get("type")}\ndata: {json.dumps(event)}\n\n' for event in events)


def item_event(step: str, item: Item, index: int = 0) -> Item:
    """An event of the beginning or the end of an item."""
    return {'type': f'response.output_item.{step}', 'output_index': index, 'item': item}


def completed(*items: Item, **fields: Any) -> Item:
    """The last event."""
    return {'type': 'response.completed', 'response': make_response(*items, **fields)}


@pytest.mark.parametrize('name', SAMPLES)
async def test_streamed_item_is_the_same_as_a_whole_one(name: str) -> None:
    """An item of any kind decodes to the same parts, in whatever way it comes."""
    response = make_response(SAMPLES[name], message('The end', id='msg_2'))
    _, streamed = await Served(response).stream()

    assert streamed == decode(SAMPLES[name], message('The end', id='msg_2'))


@pytest.mark.parametrize('name', SAMPLES)
async def test_events_add_up_to_the_response(name: str) -> None:
    """Whoever puts starts and deltas together has the parts of the response."""
    events, response = await Served(make_response(SAMPLES[name])).stream()
    parts: dict[int, Any] = {}
    for event in events:
        if isinstance(event, PartStartEvent):
            parts[event.index] = event.part
        elif isinstance(event, PartDeltaEvent):
            parts[event.index] = event.delta.apply(parts[event.index])

    assert [repr(part).partition(', timestamp=')[0] for part in parts.values()] == [
        repr(part).partition(', timestamp=')[0] for part in response.parts
    ]


async def test_text_arrives_piece_by_piece() -> None:
    """Each delta of a text is an event as it comes."""
    events, _ = await Served(make_response(message('Hello, plait world'))).stream()
    deltas = [event.delta for event in events if isinstance(event, PartDeltaEvent)]

    assert events[0] == PartStartEvent(index=0, part=TextPart('Hello, ', id='msg_1'))
    assert deltas == [TextPartDelta('plait w'), TextPartDelta('orld')]
    assert events[-1] == PartEndEvent(index=0, part=TextPart('Hello, plait world', id='msg_1'))


async def test_parallel_calls_are_kept_apart() -> None:
    """Arguments of two calls go to the call that they belong to."""
    other = call('sub', '{"b":2}', id='fc_2', call_id='call_2')
    _, response = await Served(make_response(call(), other)).stream()

    assert [(part.tool_name, part.args, part.tool_call_id) for part in response.tool_calls] == [
        ('add', '{"a":1}', 'call_1'),
        ('sub', '{"b":2}', 'call_2'),
    ]


async def test_tools_that_end_in_another_order_are_in_the_order_of_the_response() -> None:
    """What only the last event tells of an item stands where the item does."""
    first, second = SAMPLES['mcp tools'], SAMPLES['mcp tools'] | {'id': 'mcpl_2', 'server_label': 'maps'}
    text = message('Done')
    body = events_body(
        item_event('added', first | {'tools': []}),
        item_event('added', second | {'tools': []}, 1),
        item_event('done', second, 1),
        item_event('added', text | {'content': []}, 2),
        item_event('done', text, 2),
        completed(first, second, text),
    )
    _, response = await Served(sse(body)).stream()

    assert response == decode(first, second, text)


async def test_unfinished_images_are_replaced() -> None:
    """Images that are shown before they are finished give way to the last one."""
    image = SAMPLES['image']
    partial = {
        'type': 'response.image_generation_call.partial_image',
        'item_id': 'ig_1',
        'output_index': 0,
        'partial_image_b64': 'AAAA',
        'partial_image_index': 0,
    }
    body = events_body(
        item_event('added', image | {'result': None}), partial, item_event('done', image), completed(image)
    )
    events, response = await Served(sse(body)).stream()
    files = [event for event in events if isinstance(event, PartStartEvent) and isinstance(event.part, FilePart)]

    assert {event.index for event in files} == {1}
    assert [file.base64 for file in response.files] == [PIXEL]
    assert response == decode(image)


async def test_events_of_unknown_types_are_ignored() -> None:
    """Types, fields and values that nobody knows yet do not break a stream."""
    text = message('Done', mood='fine', status='pondering')
    body = events_body(
        {'type': 'response.telepathy.delta', 'delta': {'of': 'plaits'}},
        {'type': 'keepalive', 'sequence_number': 3},
        {'no_type': True},
        item_event('added', text | {'content': []}),
        item_event('done', text),
        completed(text, unheard_of=1),
    )
    _, response = await Served(sse(body)).stream()

    assert response.text == 'Done'


async def test_deltas_without_ends_of_items_are_completed_by_the_last_event() -> None:
    """A server that does not tell the ends of items is understood."""
    text = message('Hello there')
    delta = {'type': 'response.output_text.delta', 'output_index': 0, 'content_index': 0, 'item_id': 'msg_1'}
    body = events_body(delta | {'delta': 'Hello '}, delta | {'delta': 'there'}, completed(text))
    events, response = await Served(sse(body)).stream()

    assert [type(event) for event in events[:1]] == [PartStartEvent]
    assert response == decode(text)


async def test_text_that_ends_as_another_takes_its_place() -> None:
    """If the whole item says something else than its pieces, the item is right."""
    text = message('Right')
    delta = {'type': 'response.output_text.delta', 'output_index': 0, 'content_index': 0, 'item_id': 'msg_1'}
    body = events_body(delta | {'delta': 'Wrong'}, item_event('done', text), completed(text))
    _, response = await Served(sse(body)).stream()

    assert response.text == 'Right'


async def test_last_event_may_lack_its_end() -> None:
    """A stream whose last event is not ended by a blank line is complete."""
    body = events_body(completed(message('Done'))).rstrip() + '\n'
    _, response = await Served(sse(body)).stream()

    assert response.text == 'Done'


async def test_answer_that_is_cut_off_says_so() -> None:
    """A stream may end since no more tokens are left; what has come stays."""
    unfinished = call(arguments='{"a":', status='incomplete')
    response = make_response(unfinished, status='incomplete', incomplete_details={'reason': 'max_output_tokens'})
    _, streamed = await Served(response).stream()

    assert streamed.finish_reason == 'length'
    assert [part.args for part in streamed.tool_calls] == ['{"a":']


@pytest.mark.parametrize(
    'kind',
    [
        'response.created',
        'response.output_item.added',
        'response.output_item.done',
        'response.output_text.delta',
        'response.reasoning_text.delta',
        'response.reasoning_summary_text.delta',
        'response.function_call_arguments.delta',
        'response.mcp_call_arguments.delta',
        'response.code_interpreter_call_code.delta',
        'response.custom_tool_call_input.delta',
    ],
)
async def test_event_without_its_fields_does_not_break_a_stream(kind: str) -> None:
    """An event that says nothing is passed over."""
    _, response = await Served(sse(events_body({'type': kind}, completed(message('Done'))))).stream()

    assert response.text == 'Done'


async def test_image_that_cannot_be_read_is_an_error() -> None:
    """What is no image is not taken for one."""
    with pytest.raises(UnexpectedModelBehavior, match='image of the answer cannot be read'):
        await Served(make_response(SAMPLES['image'] | {'result': 'x'})).stream()


@pytest.mark.parametrize(
    ('last', 'told'),
    [
        (
            {
                'type': 'response.failed',
                'response': make_response(status='failed', error={'code': 'x', 'message': 'y'}),
            },
            'x: y',
        ),
        ({'type': 'response.failed', 'response': make_response()}, 'has failed'),
        ({'type': 'error', 'code': 'rate_limit_exceeded', 'message': 'Slow down', 'param': None}, 'Slow down'),
        ({'type': 'error', 'error': {'code': 'server_error', 'message': 'It broke'}}, 'It broke'),
        ({'type': 'response.in_progress', 'response': make_response()}, 'ended before the answer was complete'),
    ],
)
async def test_stream_that_does_not_complete_is_an_error(last: Item, told: str) -> None:
    """Failures within a stream, and streams without an end, are errors of the provider with what has been told."""
    body = events_body(item_event('added', message()), last)

    with pytest.raises(ModelAPIError, match=told) as caught:
        await Served(sse(body)).stream()
    assert caught.value.provider_name == 'openai'


async def test_what_has_come_before_an_error_can_be_seen() -> None:
    """Until a stream fails, its parts are there."""
    text = {'type': 'response.output_text.delta', 'output_index': 0, 'content_index': 0, 'item_id': 'msg_1'}
    served = Served(sse(events_body(text | {'delta': 'So far'})))
    async with served.model.request_stream(prompt(), None, ModelRequestParameters()) as stream:
        with pytest.raises(ModelAPIError):
            [event async for event in stream]

        assert stream.get().text == 'So far'


async def test_thoughts_and_calls_of_tools_begin_before_they_end() -> None:
    """The first event of a part comes with its first words, and a call of a tool when it begins."""
    events, _ = await Served(make_response(SAMPLES['summaries'], SAMPLES['code'], call())).stream()
    started = [event.part for event in events if isinstance(event, PartStartEvent)]

    assert [part.content for part in started if isinstance(part, ThinkingPart)] == ['First, ', 'Then le']
    assert [part.args for part in started if isinstance(part, BuiltinToolCallPart)] == [None]
    assert [part.args for part in started if isinstance(part, ToolCallPart)] == ['']
