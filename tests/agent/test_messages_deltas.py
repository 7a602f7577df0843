"""What deltas make of parts, and of the deltas before them."""

from typing import Any

import pytest

from plait_agent.exceptions import UnexpectedModelBehavior
from plait_agent.messages import (
    BuiltinToolCallPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)


def test_text_grows_and_the_old_part_stays():
    """A delta gives a new text with its details laid over; the part that it was made of is as it was."""
    part = TextPart('a', id='i', provider_details={'x': 1, 'y': 1})

    assert TextPartDelta('b', provider_details={'x': 2}).apply(part) == TextPart(
        'ab', id='i', provider_details={'x': 2, 'y': 1}
    )
    assert part == TextPart('a', id='i', provider_details={'x': 1, 'y': 1})


def test_thoughts_grow_and_what_belongs_to_them_is_replaced():
    """Content is added, signature and provider take the place of the ones before, details are laid over."""
    part = ThinkingPart('a', id='i', signature='s', provider_name='p', provider_details={'x': 1})
    delta = ThinkingPartDelta(
        content_delta='b', signature_delta='t', provider_name='q', provider_details=lambda old: {'was': old}
    )

    assert delta.apply(part) == ThinkingPart(
        'ab', id='i', signature='t', provider_name='q', provider_details={'x': 1, 'was': {'x': 1}}
    )
    assert ThinkingPartDelta().apply(part) == part


@pytest.mark.parametrize('first', [None, {'x': 1}, lambda old: {'first': old}])
@pytest.mark.parametrize('second', [None, {'y': 2}, lambda old: {'second': old}])
def test_deltas_of_thoughts_can_be_put_together(first: Any, second: Any):
    """Two deltas put together do what one and then the other does."""
    part = ThinkingPart('a', signature='s', provider_details={'z': 3})
    one = ThinkingPartDelta(content_delta='b', provider_details=first)
    two = ThinkingPartDelta(content_delta='c', signature_delta='t', provider_details=second)

    assert two.apply(one).apply(part) == two.apply(one.apply(part))


@pytest.mark.parametrize('kind', [ToolCallPart, BuiltinToolCallPart])
@pytest.mark.parametrize(
    ('args', 'delta', 'expected'),
    [
        ('{"a"', ':1}', '{"a":1}'),
        (None, '{', '{'),
        (None, {'a': 1}, {'a': 1}),
        ({'a': 1, 'b': 1}, {'b': 2}, {'a': 1, 'b': 2}),
        ('{', None, '{'),
    ],
)
def test_arguments_grow(kind: Any, args: Any, delta: Any, expected: Any):
    """JSON is put behind JSON, an object is laid over an object."""
    assert ToolCallPartDelta(args_delta=delta).apply(kind('f', args, 'i')) == kind('f', expected, 'i')


def test_calls_take_names_ids_and_details():
    """A name is added to, an id takes the place of the one before, details are laid over."""
    part = ToolCallPart('get', '', 'i', provider_details={'x': 1})
    delta = ToolCallPartDelta(tool_name_delta='_boat', tool_call_id='j', provider_details={'y': 2})

    assert delta.apply(part) == ToolCallPart('get_boat', '', 'j', provider_details={'x': 1, 'y': 2})


def test_deltas_of_calls_become_a_call_with_the_name():
    """Deltas are put together until there is a name; then they are the call."""
    nameless = ToolCallPartDelta(args_delta=':1}').apply(ToolCallPartDelta(args_delta='{"a"', tool_call_id='i'))

    assert nameless == ToolCallPartDelta(args_delta='{"a":1}', tool_call_id='i')
    assert nameless.as_part() is None
    assert ToolCallPartDelta(tool_name_delta='f').apply(nameless) == ToolCallPart('f', '{"a":1}', 'i')


def test_a_delta_that_becomes_a_call_without_an_id_gets_one():
    """A provider that gives no ids gets ours."""
    part = ToolCallPartDelta(tool_name_delta='f').as_part()

    assert part is not None
    assert part.tool_call_id.startswith('pyd_ai_')


@pytest.mark.parametrize(
    ('delta', 'part', 'message'),
    [
        (TextPartDelta('a'), ThinkingPart('a'), 'Cannot apply TextPartDeltas to non-TextParts'),
        (ThinkingPartDelta(), TextPart('a'), 'Cannot apply ThinkingPartDeltas to non-ThinkingParts'),
        (ToolCallPartDelta(), TextPart('a'), 'Can only apply ToolCallPartDeltas to ToolCallParts, '),
    ],
)
def test_a_delta_fits_only_its_kind(delta: Any, part: Any, message: str):
    """A delta for a part of another kind is an error that names both."""
    with pytest.raises(ValueError, match=message):
        delta.apply(part)


@pytest.mark.parametrize(
    ('args', 'delta', 'message'),
    [
        ({}, '{', 'Cannot apply JSON deltas to non-JSON tool arguments'),
        ('', {}, 'Cannot apply dict deltas to non-dict tool arguments'),
    ],
)
def test_json_and_objects_do_not_mix(args: Any, delta: Any, message: str):
    """Arguments that come now as JSON and then as an object are an error of the model."""
    for begun in (ToolCallPart('f', args, 'i'), ToolCallPartDelta(args_delta=args)):
        with pytest.raises(UnexpectedModelBehavior, match=message):
            ToolCallPartDelta(args_delta=delta).apply(begun)
