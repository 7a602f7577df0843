"""A streamed answer: what is told beside the provider's events, what has come so far, and how it is closed."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from plait_agent._parts_manager import ModelResponsePartsManager
from plait_agent.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FinalResultEvent,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from plait_agent.models import CompletedStreamedResponse, ModelRequestParameters, StreamedResponse
from plait_agent.tools import ToolDefinition
from plait_agent.usage import RequestUsage

Script = Callable[[ModelResponsePartsManager], Iterator[Sequence[Any]]]
OUTPUT = ToolDefinition(name='final_result', kind='output')


class Scripted(StreamedResponse):
    """A provider's stream that says what a script says."""

    model_name = 'scripted'
    provider_name = 'provider'
    provider_url = None
    timestamp = datetime(2025, 1, 1, tzinfo=UTC)

    def __init__(self, script: Script, **parameters: Any):
        super().__init__(ModelRequestParameters(**parameters))
        self.script = script
        self.is_provider_closed = False
        self.is_connection_closed = False

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        try:
            for events in self.script(self._parts_manager):
                for event in events:
                    yield event
        finally:
            self.is_provider_closed = True

    async def close_stream(self) -> None:
        self.is_connection_closed = True


def say_ab(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
    """A text in two pieces."""
    yield parts.handle_text_delta(vendor_part_id='text', content='a')
    yield parts.handle_text_delta(vendor_part_id='text', content='b')


async def kinds_told(stream: StreamedResponse) -> list[str]:
    """The kinds of the events that are still to come."""
    return [event.event_kind async for event in stream]


async def test_a_text_tells_its_start_the_result_its_growth_and_its_end() -> None:
    """FinalResultEvent comes right after the start of the part that matches, and a part ends with all that it has."""
    async with Scripted(say_ab) as stream:
        events = [event async for event in stream]

    assert [event.event_kind for event in events] == ['part_start', 'final_result', 'part_delta', 'part_end']
    assert events[1] == FinalResultEvent(tool_name=None, tool_call_id=None) == stream.final_result_event
    assert events[-1] == PartEndEvent(index=0, part=TextPart('ab'))


async def test_a_part_ends_before_the_next_one_starts_and_both_name_the_other() -> None:
    """Ends come just before the next start, with the kinds of the neighbours."""

    def think_and_say(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        yield parts.handle_thinking_delta(vendor_part_id='thought', content='hm')
        yield parts.handle_text_delta(vendor_part_id='text', content='yes')

    async with Scripted(think_and_say, allow_text_output=False) as stream:
        events = [event async for event in stream]

    assert events == [
        PartStartEvent(index=0, part=ThinkingPart('hm')),
        PartEndEvent(index=0, part=ThinkingPart('hm'), next_part_kind='text'),
        PartStartEvent(index=1, part=TextPart('yes'), previous_part_kind='thinking'),
        PartEndEvent(index=1, part=TextPart('yes')),
    ]


async def test_what_a_built_in_tool_returned_has_no_end() -> None:
    """A built-in tool's return is complete when it starts, and no PartEndEvent is told of it."""

    def search(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        yield parts.handle_part(vendor_part_id=1, part=BuiltinToolCallPart('search', {}, 'id'))
        yield parts.handle_part(vendor_part_id=2, part=BuiltinToolReturnPart('search', 'found', 'id'))

    async with Scripted(search) as stream:
        assert await kinds_told(stream) == ['part_start', 'part_end', 'part_start']


@pytest.mark.parametrize(
    ('tool', 'told'),
    [
        (OUTPUT, FinalResultEvent(tool_name='final_result', tool_call_id='id')),
        (ToolDefinition(name='final_result', kind='external'), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (ToolDefinition(name='final_result', kind='unapproved'), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (ToolDefinition(name='final_result'), None),
        (ToolDefinition(name='other', kind='output'), None),
    ],
)
async def test_calls_of_output_tools_and_deferred_calls_are_results(
    tool: ToolDefinition, told: FinalResultEvent | None
) -> None:
    """An output tool is named with its call; a deferred call is a result without a name; other calls are none."""

    def call(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        yield parts.handle_tool_call_delta(vendor_part_id=0, tool_name='final_result', args='{}', tool_call_id='id')

    async with Scripted(call, output_tools=[tool]) as stream:
        events = [event async for event in stream]

    assert [event for event in events if isinstance(event, FinalResultEvent)] == ([told] if told else [])


@pytest.mark.parametrize(
    ('media_type', 'allowed', 'is_result'),
    [('image/png', True, True), ('image/png', False, False), ('audio/wav', True, False)],
)
async def test_an_image_is_a_result_where_images_are_allowed(media_type: str, allowed: bool, is_result: bool) -> None:
    """A file is the result if it is an image and an image may be the output."""

    def paint(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        file = FilePart(BinaryContent(b'x', media_type=media_type))
        yield parts.handle_part(vendor_part_id=None, part=file)

    async with Scripted(paint, allow_image_output=allowed) as stream:
        assert ('final_result' in await kinds_told(stream)) is is_result


async def test_only_the_first_match_is_told() -> None:
    """A response has at most one FinalResultEvent."""

    def say_and_call(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        yield parts.handle_text_delta(vendor_part_id='text', content='a')
        yield parts.handle_tool_call_delta(vendor_part_id=1, tool_name='final_result', tool_call_id='id')

    async with Scripted(say_and_call, output_tools=[OUTPUT]) as stream:
        told = await kinds_told(stream)

    assert told.count('final_result') == 1


async def test_a_second_loop_goes_on_where_the_first_was_left() -> None:
    """A stream is iterated once, in as many loops as one likes."""
    async with Scripted(say_ab) as stream:
        async for _ in stream:
            break

        assert await kinds_told(stream) == ['final_result', 'part_delta', 'part_end']
        assert await kinds_told(stream) == []


async def test_the_response_is_there_at_any_time() -> None:
    """`get` gives what has come so far, with all that is known of the provider."""
    async with Scripted(say_ab) as stream:
        assert stream.get().parts == []
        async for event in stream:
            if isinstance(event, PartDeltaEvent):
                break
        stream.finish_reason, stream.provider_response_id = 'stop', 'r1'

        assert stream.get() == ModelResponse(
            [TextPart('ab')],
            model_name='scripted',
            timestamp=Scripted.timestamp,
            provider_name='provider',
            provider_response_id='r1',
            finish_reason='stop',
        )


async def test_a_stream_that_is_left_early_closes_the_provider() -> None:
    """Leaving the block closes the provider's events and its connection, and what has come stays."""
    async with Scripted(say_ab) as stream:
        async for _ in stream:
            break

    assert stream.is_provider_closed
    assert stream.is_connection_closed
    assert stream.get().text == 'a'
    assert await kinds_told(stream) == []


async def test_a_stream_whose_beginning_was_waited_for_closes_the_provider_too() -> None:
    """The provider is closed also if nobody has iterated."""
    async with Scripted(say_ab) as stream:
        await stream.wait_first_content()
        assert not stream.is_provider_closed

    assert stream.is_provider_closed


async def test_waiting_for_the_beginning_takes_nothing_away() -> None:
    """Whoever iterates after the wait gets all events; waiting again does nothing."""
    async with Scripted(say_ab) as stream:
        await stream.wait_first_event()
        await stream.wait_first_content()
        await stream.wait_first_event()

        assert await kinds_told(stream) == ['part_start', 'final_result', 'part_delta', 'part_end']


async def test_waiting_for_the_beginning_raises_what_the_provider_raises() -> None:
    """A provider that refuses does so where its beginning is waited for."""

    def refuse(_: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
        raise ConnectionError('refused')
        yield []

    async with Scripted(refuse) as stream:
        with pytest.raises(ConnectionError, match='refused'):
            await stream.wait_first_content()


def begin_empty(parts: ModelResponsePartsManager) -> Iterator[Sequence[Any]]:
    """A text that begins without a letter, and a provider that fails after the first one."""
    yield parts.handle_part(vendor_part_id='text', part=TextPart(''))
    yield parts.handle_text_delta(vendor_part_id='text', content='a')
    raise ConnectionError('broken off')


async def test_a_part_that_begins_empty_says_nothing_yet() -> None:
    """The wait goes on to the first letter and not further, and the events are as they would have been."""
    async with Scripted(begin_empty) as stream:
        await stream.wait_first_event()
        await stream.wait_first_content()
        events = aiter(stream)
        start, _, delta = [await anext(events) for _ in range(3)]

        with pytest.raises(ConnectionError, match='broken off'):
            await anext(events)

    assert (start.part.content, delta.delta.content_delta) == ('', 'a')


async def test_an_empty_stream_tells_nothing() -> None:
    """A provider that says nothing leaves a response without parts."""
    async with Scripted(lambda _: iter(())) as stream:
        await stream.wait_first_content()

        assert await kinds_told(stream) == []
        assert stream.get().parts == []


async def test_a_completed_response_is_told_part_by_part() -> None:
    """Each part of a response that is there starts whole and ends, and the response is given back as it is."""
    response = ModelResponse(
        [TextPart('a'), ToolCallPart('t', {}, 'id')], usage=RequestUsage(output_tokens=2), model_name='m'
    )
    async with CompletedStreamedResponse(ModelRequestParameters(), response) as stream:
        told = await kinds_told(stream)

    assert told == ['part_start', 'final_result', 'part_end', 'part_start', 'part_end']
    assert stream.get() is response
    assert stream.usage() == RequestUsage(output_tokens=2)
    assert (stream.model_name, stream.provider_name, stream.provider_url) == ('m', None, None)
    assert stream.timestamp == response.timestamp
