"""Messages and their parts: what they say of themselves, and how they are written for models and people."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter

from plait_agent import exceptions, messages
from plait_agent.messages import (
    AgentStreamEvent,
    BinaryContent,
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelRequest,
    ModelResponse,
    PartStartEvent,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.usage import RequestUsage

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def response(*parts: messages.ModelResponsePart, **fields: Any) -> ModelResponse:
    """A response of a known time."""
    return ModelResponse(list(parts), timestamp=NOON, **fields)


# Making and printing


def test_messages_import_without_pydantic():
    """To import messages and usages imports neither pydantic nor what only some of them need."""
    program = (
        'import sys, plait_agent.messages, plait_agent.usage\n'
        'print(*{"pydantic", "pydantic_core", "uuid", "mimetypes", "hashlib", "genai_prices"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_every_public_name_is_there():
    """What the module lists can be imported, the adapter too, which is made when it is asked for."""
    for name in messages.__all__:
        assert getattr(messages, name) is not None
    with pytest.raises(AttributeError, match='has no attribute'):
        getattr(messages, 'Nothing')  # noqa: B009


def test_parts_are_stamped_with_the_time():
    """A part without a time has that of its making, in UTC."""
    before = datetime.now(tz=UTC)
    part = UserPromptPart('hi')

    assert before <= part.timestamp <= datetime.now(tz=UTC)
    assert part.timestamp.tzinfo is UTC


def test_a_call_without_an_id_gets_one_of_its_own():
    """An id that nobody has given is a random UUID behind `pyd_ai_`."""
    first, second = ToolCallPart('f').tool_call_id, ToolCallPart('f').tool_call_id

    prefix, digits = first[:7], first[7:]
    assert (prefix, len(digits), digits[12]) == ('pyd_ai_', 32, '4')
    assert digits[16] in '89ab'
    assert int(digits, 16) >= 0
    assert first != second


def test_records_print_what_is_not_a_default():
    """A repr leaves out plain defaults and keeps what was made for the record."""
    assert repr(TextPart('x')) == "TextPart(content='x')"
    assert repr(ToolCallPart('f', {'a': 1}, 'i')) == "ToolCallPart(tool_name='f', args={'a': 1}, tool_call_id='i')"
    assert repr(ModelRequest([], instructions='')) == "ModelRequest(parts=[], instructions='')"
    assert repr(response(TextPart('x'), finish_reason='stop')) == (
        f"ModelResponse(parts=[TextPart(content='x')], usage=RequestUsage(), timestamp={NOON!r}, finish_reason='stop')"
    )


class Array(list[Any]):
    """Something that compares item by item, as arrays do."""

    __hash__ = None

    def __eq__(self, other: object) -> Any:
        return Array([item == other for item in self])

    def __bool__(self) -> bool:
        raise ValueError('more than one truth')


def test_a_part_with_an_array_prints():
    """What a program keeps with a part need not be comparable to be printed."""
    part = ToolReturnPart('f', 'x', 'i', metadata=Array([1, 2]), timestamp=NOON)

    assert repr(part).startswith("ToolReturnPart(tool_name='f', content='x', tool_call_id='i', metadata=[1, 2]")


# What tools return and what they are called with


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('text', 'text'),
        ('', ''),
        (None, 'null'),
        (1, '1'),
        ({'a': [1, 'é']}, '{"a":[1,"é"]}'),
        (b'\xfb\xff', '"-_8="'),
        (float('nan'), 'null'),
        (NOON, '"2025-03-01T12:00:00Z"'),
    ],
)
def test_a_return_is_told_as_text(content: Any, text: str):
    """The model is given text as it is and anything else as JSON without blanks."""
    assert ToolReturnPart('f', content, 'i').model_response_str() == text


def test_a_return_is_told_as_an_object():
    """Where an object is wanted, what is none becomes its `return_value`."""
    assert ToolReturnPart('f', {'a': b'\xff'}).model_response_object() == {'a': '_w=='}
    assert ToolReturnPart('f', [1]).model_response_object() == {'return_value': [1]}
    assert ToolReturnPart('f', None).model_response_object() == {'return_value': None}


def test_a_return_that_is_no_json_names_its_tool():
    """What cannot be written as JSON is refused with the tool, the type and what to do."""
    part = ToolReturnPart('look', object())

    for told in (part.model_response_str, part.model_response_object):
        with pytest.raises(exceptions.UserError, match=r"Tool 'look' .* object .* Let it return text or plain data"):
            told()


def test_only_none_is_an_empty_return():
    """An empty text is content; None is not."""
    assert ToolReturnPart('f', '').has_content()
    assert not ToolReturnPart('f', None).has_content()


@pytest.mark.parametrize(
    ('args', 'as_dict', 'as_json', 'has_content'),
    [
        (None, {}, '{}', False),
        ('', {}, '{}', False),
        ({}, {}, '{}', False),
        ('{"a": 1}', {'a': 1}, '{"a": 1}', True),
        ({'a': 'é', 'b': None}, {'a': 'é', 'b': None}, '{"a":"é","b":null}', True),
        ({'a': None}, {'a': None}, '{"a":null}', False),
    ],
)
def test_arguments_are_read_both_ways(args: Any, as_dict: dict[str, Any], as_json: str, has_content: bool):
    """Arguments are an object or JSON, however they came; without a value they have no content."""
    part = ToolCallPart('f', args)

    assert part.args_as_dict() == as_dict
    assert part.args_as_json_str() == as_json
    assert part.has_content() is has_content


def test_arguments_that_are_no_object_are_refused():
    """JSON that is no object is an AssertionError, what is no JSON a ValueError with a note on the tool."""
    with pytest.raises(AssertionError, match='args should be a dict'):
        ToolCallPart('f', '[1]').args_as_dict()
    with pytest.raises(ValueError, match='Expecting value') as raised:
        ToolCallPart('look', '{"a": ').args_as_dict()
    assert 'look' in raised.value.__notes__[0]


def test_parts_know_whether_they_are_empty():
    """Text, thoughts and files have content if there is any of it, whatever comes with them."""
    image = BinaryImage(b'', media_type='image/png')

    assert not any(part.has_content() for part in (TextPart(''), ThinkingPart('', signature='s'), FilePart(image)))
    assert all(part.has_content() for part in (TextPart('a'), ThinkingPart('a')))


# Retries


def test_a_retry_of_a_call_tells_the_message():
    """A tool's message goes to the model with the demand to fix it."""
    assert RetryPromptPart('no such boat', tool_name='look').model_response() == (
        'no such boat\n\nFix the errors and try again.'
    )


def test_a_retry_of_an_answer_calls_itself_feedback():
    """A message about the answer itself is called feedback."""
    assert RetryPromptPart('too long').model_response() == (
        'Validation feedback:\ntoo long\n\nFix the errors and try again.'
    )


def test_a_retry_lists_the_errors_of_a_validation():
    """Errors are told as JSON with type, place, message and input, and are counted."""
    error: Any = {
        'type': 'gt',
        'loc': ('a', 0),
        'msg': 'too small',
        'input': 1,
        'ctx': {'gt': 5},
        'url': 'https://example.com',
    }

    one, two = (RetryPromptPart([error] * count).model_response() for count in (1, 2))

    assert one == (
        '1 validation error:\n```json\n[\n  {\n    "type": "gt",\n    "loc": [\n      "a",\n      0\n    ],\n'
        '    "msg": "too small",\n    "input": 1\n  }\n]\n```\n\nFix the errors and try again.'
    )
    assert two.startswith('2 validation errors:\n')


def test_a_retry_tells_of_inputs_that_are_no_json():
    """A model is told what was wrong even if it was about bytes or an object of the program."""
    errors: Any = [{'type': 't', 'loc': (), 'msg': 'm', 'input': value} for value in (b'\xff', object(), float('nan'))]

    told = RetryPromptPart(errors).model_response()

    assert '"input": "_w=="' in told
    assert '"input": "<object object' in told
    assert '"input": null' in told


# Requests and responses


def test_a_request_is_made_of_a_text():
    """A request can be made of the user's text alone."""
    request = ModelRequest.user_text_prompt('hi', instructions='be brief')

    (part,) = request.parts
    assert isinstance(part, UserPromptPart)
    assert (part.content, request.instructions, request.timestamp) == ('hi', 'be brief', None)


@pytest.mark.parametrize(
    ('parts', 'text'),
    [
        ([], None),
        ([ToolCallPart('f')], None),
        ([TextPart('a'), TextPart('b'), ToolCallPart('f'), TextPart('c')], 'ab\n\nc'),
        ([TextPart('a'), ThinkingPart('x'), TextPart('b')], 'a\n\nb'),
        ([TextPart('')], ''),
    ],
)
def test_the_text_of_a_response(parts: list[Any], text: str | None):
    """Texts side by side are one; what other parts divide is divided by a blank line."""
    assert response(*parts).text == text


def test_the_other_contents_of_a_response():
    """A response gives its thoughts, files, images and calls."""
    call, image = ToolCallPart('f'), BinaryImage(b'x', media_type='image/png')
    sound = BinaryContent(b'y', media_type='audio/wav')
    answer = response(ThinkingPart('a'), call, FilePart(image), ThinkingPart('b'), FilePart(sound))

    assert answer.thinking == 'a\n\nb'
    assert answer.tool_calls == [call]
    assert (answer.files, answer.images) == ([image, sound], [image])
    assert response().thinking is None


def test_calls_of_the_provider_come_with_what_they_returned():
    """The provider's calls are paired with their returns by id; what has no partner is left out."""
    call, lonely = BuiltinToolCallPart('search', {}, '1'), BuiltinToolCallPart('search', {}, '2')
    returned, stray = BuiltinToolReturnPart('search', 'x', '1'), BuiltinToolReturnPart('search', 'y', '3')

    assert response(call, lonely, returned, stray).builtin_tool_calls == [(call, returned)]


def test_former_names_of_a_response_warn():
    """Former names still work and say what to use."""
    answer = response(provider_details={'a': 1}, provider_response_id='r')

    with pytest.warns(DeprecationWarning, match='`provider_details`'):
        assert answer.vendor_details == {'a': 1}
    with pytest.warns(DeprecationWarning, match='`provider_response_id`'):
        assert answer.vendor_id == 'r'
    with pytest.warns(DeprecationWarning, match='`provider_response_id`'):
        assert answer.provider_request_id == 'r'


# Prices


def test_a_response_knows_its_cost():
    """The cost is found by the provider's address, or by its name where the address is the user's own."""
    used = RequestUsage(input_tokens=1_000_000)
    direct = response(usage=used, model_name='gpt-4o', provider_name='openai')
    proxied = response(usage=used, model_name='gpt-4o', provider_name='openai', provider_url='https://proxy.test/v1')

    price = direct.cost()

    assert price.total_price == price.input_price > Decimal(0)
    assert proxied.cost().total_price == price.total_price
    with pytest.warns(DeprecationWarning, match='`cost`'):
        assert direct.price().total_price == price.total_price


def test_a_cost_that_nobody_knows():
    """Without a model there is an AssertionError, for one that is not known a LookupError."""
    with pytest.raises(AssertionError, match='Model name is required'):
        response().cost()
    with pytest.raises(LookupError, match='unheard-of'):
        response(model_name='unheard-of').cost()


def test_a_cost_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """Where genai-prices is missing, the error has the line that installs it."""
    monkeypatch.setitem(sys.modules, 'genai_prices', None)

    with pytest.raises(ImportError, match=r"pip install 'plait-agent\[prices\]'"):
        response(model_name='gpt-4o').cost()


# Events


def test_events_name_the_call_that_they_are_about():
    """Events about calls have the id of the call, by the former name with a warning."""
    called = FunctionToolCallEvent(ToolCallPart('f', None, 'i'))
    answered = FunctionToolResultEvent(RetryPromptPart('no', tool_name='f', tool_call_id='j'))

    assert (called.tool_call_id, answered.tool_call_id) == ('i', 'j')
    with pytest.warns(DeprecationWarning, match='`tool_call_id`'):
        assert called.call_id == 'i'


def test_events_can_be_sent_elsewhere():
    """Events of all kinds are written and loaded by their kind."""
    adapter: TypeAdapter[Any] = TypeAdapter(list[AgentStreamEvent])
    events = [
        PartStartEvent(index=0, part=TextPart('a'), previous_part_kind='thinking'),
        messages.PartDeltaEvent(index=0, delta=messages.ToolCallPartDelta(args_delta='{')),
        messages.PartEndEvent(index=0, part=ToolCallPart('f', '{}', 'i')),
        messages.FinalResultEvent(tool_name=None, tool_call_id=None),
        FunctionToolCallEvent(ToolCallPart('f', '{}', 'i')),
        FunctionToolResultEvent(ToolReturnPart('f', 1, 'i', timestamp=NOON), content='look'),
        messages.BuiltinToolCallEvent(BuiltinToolCallPart('s', {}, 'i')),
    ]

    assert adapter.validate_json(adapter.dump_json(events)) == events


def test_prompts_and_returns_share_what_a_request_is_made_of():
    """A system prompt remembers the function that made it."""
    part = SystemPromptPart('x', dynamic_ref='season', timestamp=NOON)

    assert repr(part) == f"SystemPromptPart(content='x', timestamp={NOON!r}, dynamic_ref='season')"
