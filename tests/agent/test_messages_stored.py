"""Messages that were stored load again, also from before."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

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
    ModelMessage,
    ModelMessagesTypeAdapter,
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
from plait_agent.usage import RequestUsage

DATA = Path(__file__).parent / 'data'


def load(name: str) -> list[ModelMessage]:
    """The messages of a file."""
    return ModelMessagesTypeAdapter.validate_json((DATA / name).read_bytes())


# What is in the files


def test_a_stored_conversation_is_written_as_it_was():
    """Loading and writing a conversation with parts of all kinds changes nothing, defaults and nulls included."""
    written = ModelMessagesTypeAdapter.dump_json(load('stored_messages.json'), indent=1)

    assert written.decode() + '\n' == (DATA / 'stored_messages.json').read_text()


def test_a_stored_conversation_is_all_there():
    """Parts, content and usage are what they were when they were stored."""
    request, answer, _, _ = load('stored_messages.json')

    user = request.parts[2]
    assert isinstance(user, UserPromptPart)
    assert [type(each) for each in user.content] == [
        str, ImageUrl, DocumentUrl, AudioUrl, VideoUrl, BinaryContent, BinaryContent, CachePoint,
    ]  # fmt: skip
    assert isinstance(answer, ModelResponse)
    assert answer.usage == RequestUsage(
        input_tokens=120, cache_read_tokens=20, output_tokens=30, output_audio_tokens=1, details={'reasoning_tokens': 8}
    )
    assert answer.images == [BinaryImage(b'\x89PNG\xff', media_type='image/png')]
    assert (answer.finish_reason, answer.provider_response_id) == ('tool_call', 'resp_1')


def test_what_is_not_known_is_passed_over():
    """A conversation whose records have more fields than ours is the same conversation."""
    assert load('stored_messages_with_more.json') == load('stored_messages.json')


def test_older_messages_load():
    """Former names of fields, null details, unknown counters and missing fields are understood."""
    _, first, request, second = load('older_messages.json')

    assert isinstance(first, ModelResponse)
    assert isinstance(second, ModelResponse)
    assert first.usage == RequestUsage(input_tokens=12, output_tokens=3)
    assert (first.provider_response_id, first.provider_details) == ('chatcmpl-1', {'finish_reason': 'stop'})
    assert (second.usage, second.run_id, second.model_name) == (RequestUsage(), None, None)
    assert isinstance(request, ModelRequest)
    assert (request.instructions, request.timestamp) == ('Be brief.', None)


def test_a_part_of_an_unknown_kind_is_refused():
    """A kind that nobody knows is an error that names it and the known ones."""
    with pytest.raises(ValidationError, match=r"'poem'.*'system-prompt', 'user-prompt'"):
        ModelMessagesTypeAdapter.validate_python([{'kind': 'request', 'parts': [{'part_kind': 'poem'}]}])


class Row(BaseModel):
    """A record of a program's own."""

    messages: list[ModelMessage]


def test_messages_are_a_field_of_other_models():
    """Messages in somebody else's model load and are written too."""
    row = Row(messages=load('stored_messages.json'))

    assert Row.model_validate_json(row.model_dump_json()) == row


def test_a_conversation_has_a_json_schema():
    """Messages can be described to those who write them in other languages."""
    schema = ModelMessagesTypeAdapter.json_schema()

    assert {'ModelRequest', 'ModelResponse', 'ToolReturnPart', 'ImageUrl'} <= set(schema['$defs'])


# Whatever can be said

names = st.text(max_size=8)
maybe_names = st.none() | names
times = st.datetimes(timezones=st.just(UTC))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(names, json_values, max_size=3)
maybe_objects = st.none() | objects


def urls(kind: Any) -> st.SearchStrategy[Any]:
    """Files by URL, with and without what may be said of them."""
    return st.builds(
        kind,
        st.sampled_from(['https://x.test/a', 'https://x.test/a.png', 'https://youtu.be/a']),
        force_download=st.booleans(),
        vendor_metadata=maybe_objects,
        media_type=st.none() | st.just('image/png'),
        identifier=maybe_names,
    )


contents = st.one_of(
    names,
    *[urls(kind) for kind in (ImageUrl, AudioUrl, VideoUrl, DocumentUrl)],
    st.builds(BinaryContent, st.binary(max_size=9), media_type=names, identifier=maybe_names),
    st.builds(CachePoint, ttl=st.sampled_from(['5m', '1h'])),
)
errors = st.fixed_dictionaries(
    {'type': names, 'loc': st.lists(names | st.integers(0, 9)).map(tuple), 'msg': names, 'input': json_values},
    optional={'ctx': objects},
)
usages = st.builds(
    RequestUsage, input_tokens=st.integers(0, 99), details=st.dictionaries(names, st.integers(0, 99), max_size=2)
)
request_parts = st.one_of(
    st.builds(SystemPromptPart, names, timestamp=times, dynamic_ref=maybe_names),
    st.builds(UserPromptPart, names | st.lists(contents, max_size=4), timestamp=times),
    st.builds(ToolReturnPart, names, json_values, names, metadata=json_values, timestamp=times),
    st.builds(
        RetryPromptPart,
        names | st.lists(errors, max_size=2),
        tool_name=maybe_names,
        tool_call_id=names,
        timestamp=times,
    ),
)
response_parts = st.one_of(
    st.builds(TextPart, names, id=maybe_names, provider_details=maybe_objects),
    st.builds(ThinkingPart, names, signature=maybe_names, provider_name=maybe_names, provider_details=maybe_objects),
    st.builds(ToolCallPart, names, maybe_names | objects, names, id=maybe_names),
    st.builds(BuiltinToolCallPart, names, maybe_names | objects, names, provider_name=maybe_names),
    st.builds(BuiltinToolReturnPart, names, json_values, names, timestamp=times, provider_details=maybe_objects),
    st.builds(FilePart, st.builds(BinaryImage, st.binary(max_size=9), media_type=st.just('image/png'))),
)
conversations = st.lists(
    st.builds(
        ModelRequest,
        st.lists(request_parts, max_size=3),
        timestamp=st.none() | times,
        instructions=maybe_names,
        run_id=maybe_names,
        metadata=maybe_objects,
    )
    | st.builds(
        ModelResponse,
        st.lists(response_parts, max_size=3),
        usage=usages,
        timestamp=times,
        finish_reason=st.sampled_from([None, 'stop', 'length', 'content_filter', 'tool_call', 'error']),
        provider_details=maybe_objects,
    ),
    max_size=3,
)


@given(conversations)
def test_whatever_is_stored_comes_back(conversation: list[ModelMessage]):
    """A conversation is the same after it was written, as JSON or as plain data."""
    adapter = ModelMessagesTypeAdapter

    assert adapter.validate_json(adapter.dump_json(conversation)) == conversation
    assert adapter.validate_python(adapter.dump_python(conversation)) == conversation
    assert adapter.validate_python(adapter.dump_python(conversation, mode='json')) == conversation


@given(conversations)
def test_what_was_stored_twice_is_the_same(conversation: list[ModelMessage]):
    """Identifiers and types that were guessed when a conversation was stored stay as they are."""
    once = ModelMessagesTypeAdapter.dump_python(conversation, mode='json')

    assert ModelMessagesTypeAdapter.dump_python(ModelMessagesTypeAdapter.validate_python(once), mode='json') == once


def test_a_stored_time_has_its_zone():
    """Times come back in UTC."""
    part = load('stored_messages.json')[0].parts[2]

    assert isinstance(part, UserPromptPart)
    assert part.timestamp == datetime(2025, 3, 1, 9, 30, 1, tzinfo=UTC)
