"""How what a provider streams becomes parts, and what is told of it meanwhile."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_agent._parts_manager import ModelResponsePartsManager
from plait_agent.exceptions import UnexpectedModelBehavior
from plait_agent.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    FilePart,
    ModelResponsePart,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

TAGS = ('<t>', '</t>')


@pytest.fixture
def manager() -> ModelResponsePartsManager:
    """The parts of an answer that has just begun."""
    return ModelResponsePartsManager()


def start(index: int, part: ModelResponsePart) -> PartStartEvent:
    """What is told when a part begins."""
    return PartStartEvent(index=index, part=part)


def more(index: int, delta: Any) -> PartDeltaEvent:
    """What is told when a part grows."""
    return PartDeltaEvent(index=index, delta=delta)


def replayed(events: Iterable[Any]) -> list[ModelResponsePart]:
    """The parts that somebody knows who has been told nothing but events."""
    parts: dict[int, Any] = {}
    for event in events:
        parts[event.index] = event.part if isinstance(event, PartStartEvent) else event.delta.apply(parts[event.index])
    return [parts[index] for index in sorted(parts)]


# Text


def test_text_begins_and_grows(manager: ModelResponsePartsManager):
    """The first delta begins a part, the next ones add to it, each with what has come with it."""
    told = [
        *manager.handle_text_delta(vendor_part_id='a', content='x', id='i', provider_details={'k': 1}),
        *manager.handle_text_delta(vendor_part_id='a', content=''),
        *manager.handle_text_delta(vendor_part_id='a', content='y', provider_details={'l': 2}),
    ]

    assert told == [
        start(0, TextPart('x', id='i', provider_details={'k': 1})),
        more(0, TextPartDelta('')),
        more(0, TextPartDelta('y', provider_details={'l': 2})),
    ]
    assert manager.get_parts() == [TextPart('xy', id='i', provider_details={'k': 1, 'l': 2})]


def test_text_without_an_id_goes_on_with_the_last_part(manager: ModelResponsePartsManager):
    """Text without an id is added to the last part if that is text, and begins a new one otherwise."""
    for content in 'ab':
        manager.handle_text_delta(vendor_part_id=None, content=content)
    manager.handle_tool_call_delta(vendor_part_id=None, tool_name='f', tool_call_id='i')
    for content in 'cd':
        manager.handle_text_delta(vendor_part_id=None, content=content)

    assert manager.get_parts() == [TextPart('ab'), ToolCallPart('f', None, 'i'), TextPart('cd')]


def test_text_with_an_id_goes_where_it_belongs(manager: ModelResponsePartsManager):
    """Parts may come at the same time."""
    for vendor_part_id, content in ('a1', 'b2', 'a3', 'b4'):
        manager.handle_text_delta(vendor_part_id=vendor_part_id, content=content)

    assert manager.get_parts() == [TextPart('13'), TextPart('24')]
    assert (manager.get_part(0), manager.get_part(1)) == (TextPart('13'), TextPart('24'))


def test_white_space_need_not_begin_a_text(manager: ModelResponsePartsManager):
    """White space before a text can be passed over; within it, it counts."""
    told = [
        manager.handle_text_delta(vendor_part_id=None, content=content, ignore_leading_whitespace=True)
        for content in ('', '\n ', ' a', ' ')
    ]

    assert told[:2] == [(), ()]
    assert manager.get_parts() == [TextPart(' a ')]


def test_what_was_told_stays_as_it_was(manager: ModelResponsePartsManager):
    """Neither the part of an event nor a list of parts changes when more comes."""
    (begun,) = manager.handle_text_delta(vendor_part_id=None, content='a')
    manager.handle_text_delta(vendor_part_id=None, content='b')
    parts = manager.get_parts()
    manager.handle_text_delta(vendor_part_id=None, content='c')

    assert begun == start(0, TextPart('a'))
    assert parts == [TextPart('ab')]


def test_a_long_text_is_not_copied_with_each_delta(manager: ModelResponsePartsManager):
    """What a delta costs does not grow with what has come: else this would take minutes."""
    chunk = 'x' * 2_000

    for _ in range(30_000):
        manager.handle_text_delta(vendor_part_id='a', content=chunk)
        manager.handle_tool_call_delta(vendor_part_id='b', tool_name=None, args=chunk)

    (text,) = manager.get_parts()
    assert isinstance(text, TextPart)
    assert len(text.content) == 60_000_000


# Thoughts


def test_thoughts_begin_and_grow(manager: ModelResponsePartsManager):
    """A thought may begin with a signature or details alone, and grows in all that it has."""
    told = [
        *manager.handle_thinking_delta(vendor_part_id='a', signature='s', id='i', provider_name='p'),
        *manager.handle_thinking_delta(vendor_part_id='a', content='x', signature='t'),
        *manager.handle_thinking_delta(vendor_part_id='a', provider_details={'k': 1}),
        *manager.handle_thinking_delta(vendor_part_id='a', provider_name='q'),
        *manager.handle_thinking_delta(vendor_part_id='a'),
    ]

    assert told == [
        start(0, ThinkingPart('', id='i', signature='s', provider_name='p')),
        more(0, ThinkingPartDelta(content_delta='x', signature_delta='t')),
        more(0, ThinkingPartDelta(provider_details={'k': 1})),
        more(0, ThinkingPartDelta(provider_name='q')),
    ]
    assert manager.get_parts() == [
        ThinkingPart('x', id='i', signature='t', provider_name='q', provider_details={'k': 1})
    ]


def test_details_of_a_thought_may_be_made_of_the_old_ones(manager: ModelResponsePartsManager):
    """A function is told the details so far, none at first."""

    def note(old: dict[str, Any] | None) -> dict[str, Any]:
        return {'seen': [*(old or {}).get('seen', []), 'again']}

    for _ in range(2):
        manager.handle_thinking_delta(vendor_part_id=None, provider_details=note)

    assert manager.get_parts() == [ThinkingPart('', provider_details={'seen': ['again', 'again']})]


def test_a_thought_of_nothing_is_refused(manager: ModelResponsePartsManager):
    """An empty text begins a thought; nothing at all does not."""
    with pytest.raises(UnexpectedModelBehavior, match='no content, signature, or provider_details'):
        manager.handle_thinking_delta(vendor_part_id=None, id='i', provider_name='p')

    assert manager.handle_thinking_delta(vendor_part_id=None, content='') == (start(0, ThinkingPart('')),)


# Tags


def tagged(manager: ModelResponsePartsManager, *chunks: str, vendor_part_id: str | None = 'a') -> list[Any]:
    """What is told of chunks of a text with tags."""
    return [
        event
        for chunk in chunks
        for event in manager.handle_text_delta(vendor_part_id=vendor_part_id, content=chunk, thinking_tags=TAGS)
    ]


@pytest.mark.parametrize('vendor_part_id', ['a', None])
def test_text_between_tags_is_a_thought(manager: ModelResponsePartsManager, vendor_part_id: str | None):
    """The opening tag begins a thought, the closing one ends it, and neither is told."""
    told = tagged(manager, 'x', '<t>', 'y', 'z', '</t>', 'w', vendor_part_id=vendor_part_id)

    assert told == [
        start(0, TextPart('x')),
        start(1, ThinkingPart('')),
        more(1, ThinkingPartDelta(content_delta='y')),
        more(1, ThinkingPartDelta(content_delta='z')),
        start(2, TextPart('w')),
    ]


def test_the_beginning_of_a_tag_is_kept_back(manager: ModelResponsePartsManager):
    """What may be a tag is not told before it is known, yet it is never lost."""
    assert tagged(manager, 'x<') == [start(0, TextPart('x'))]
    assert manager.get_parts() == [TextPart('x<')]
    assert tagged(manager, 't', 'y') == [more(0, TextPartDelta('<ty'))]
    assert tagged(manager, '<', 't>') == [start(1, ThinkingPart(''))]
    assert manager.get_parts() == [TextPart('x<ty'), ThinkingPart('')]


def test_the_end_gives_what_was_kept_back(manager: ModelResponsePartsManager):
    """At the end what looked like a tag is told as the text or the thought that it is, once."""
    tagged(manager, '<t>x</', vendor_part_id='a')
    tagged(manager, '<', vendor_part_id='b')

    assert manager.get_parts() == [ThinkingPart('x</'), TextPart('<')]
    assert list(manager.handle_end()) == [more(0, ThinkingPartDelta(content_delta='</')), start(1, TextPart('<'))]
    assert list(manager.handle_end()) == []
    assert manager.get_parts() == [ThinkingPart('x</'), TextPart('<')]


def test_a_call_may_come_within_a_thought(manager: ModelResponsePartsManager):
    """Text of a known id goes on between its tags, whatever has come in between."""
    tagged(manager, '<t>x')
    manager.handle_tool_call_delta(vendor_part_id='f', tool_name='f', tool_call_id='i')
    tagged(manager, 'y</t>z')

    assert manager.get_parts() == [ThinkingPart('xy'), ToolCallPart('f', None, 'i'), TextPart('z')]


def test_details_and_white_space_go_through_tags(manager: ModelResponsePartsManager):
    """Parts between tags get the details of their chunk, and white space after a thought may be passed over."""
    for chunk in ('<t>', 'x</t>', ' ', 'y'):
        manager.handle_text_delta(
            vendor_part_id='a',
            content=chunk,
            id='i',
            provider_details={chunk: 1},
            thinking_tags=TAGS,
            ignore_leading_whitespace=True,
        )

    assert manager.get_parts() == [
        ThinkingPart('x', provider_details={'<t>': 1, 'x</t>': 1}),
        TextPart('y', id='i', provider_details={'y': 1}),
    ]


# Calls


def test_calls_begin_and_grow(manager: ModelResponsePartsManager):
    """Each delta of a call has the id of the call."""
    told = [
        *manager.handle_tool_call_delta(vendor_part_id=0, tool_name='f', args='{', tool_call_id='i'),
        *manager.handle_tool_call_delta(vendor_part_id=0, args='}'),
        *manager.handle_tool_call_delta(vendor_part_id=0, tool_name='g', tool_call_id='j', provider_details={'k': 1}),
    ]

    assert told == [
        start(0, ToolCallPart('f', '{', 'i')),
        more(0, ToolCallPartDelta(args_delta='}', tool_call_id='i')),
        more(0, ToolCallPartDelta(tool_name_delta='g', tool_call_id='j', provider_details={'k': 1})),
    ]
    assert manager.get_parts() == [ToolCallPart('fg', '{}', 'j', provider_details={'k': 1})]


@pytest.mark.parametrize('vendor_part_id', ['a', None])
def test_a_call_is_told_with_its_name(manager: ModelResponsePartsManager, vendor_part_id: str | None):
    """Without a name nothing is told; with it, the call begins with all that has come."""
    for args in ('{"a"', ':1'):
        assert manager.handle_tool_call_delta(vendor_part_id=vendor_part_id, args=args) == ()
    assert manager.get_parts() == []

    begun = manager.handle_tool_call_delta(vendor_part_id=vendor_part_id, tool_name='f', tool_call_id='i')

    assert begun == (start(0, ToolCallPart('f', '{"a":1', 'i')),)


def test_a_name_without_an_id_begins_another_call(manager: ModelResponsePartsManager):
    """Where parts have no ids, a name begins a call and arguments belong to the last one."""
    for name, args in (('f', None), (None, '1'), ('g', '2'), (None, '3')):
        manager.handle_tool_call_delta(vendor_part_id=None, tool_name=name, args=args, tool_call_id=name)

    assert manager.get_parts() == [ToolCallPart('f', '1', 'f'), ToolCallPart('g', '23', 'g')]


def test_a_call_without_an_id_keeps_the_one_that_is_made_for_it(manager: ModelResponsePartsManager):
    """The id that a call begins with is that of its deltas and of the part."""
    (begun,) = manager.handle_tool_call_delta(vendor_part_id=None, tool_name='f')
    (grown,) = manager.handle_tool_call_delta(vendor_part_id=None, args='{}')

    assert isinstance(begun, PartStartEvent)
    assert isinstance(begun.part, ToolCallPart)
    assert begun.part.tool_call_id.startswith('pyd_ai_')
    assert grown == more(0, ToolCallPartDelta(args_delta='{}', tool_call_id=begun.part.tool_call_id))
    assert manager.get_parts() == [ToolCallPart('f', '{}', begun.part.tool_call_id)]


@pytest.mark.parametrize(
    ('args', 'following', 'message'),
    [('{', {'a': 1}, 'dict deltas to non-dict'), ({'a': 1}, '{', 'JSON deltas to non-JSON')],
)
def test_json_and_objects_do_not_mix(manager: ModelResponsePartsManager, args: Any, following: Any, message: str):
    """Arguments come as JSON or as objects, and what is refused changes nothing."""
    manager.handle_tool_call_delta(vendor_part_id=0, tool_name='f', args=args, tool_call_id='i')

    with pytest.raises(UnexpectedModelBehavior, match=message):
        manager.handle_tool_call_delta(vendor_part_id=0, args=following)

    assert manager.get_parts() == [ToolCallPart('f', args, 'i')]


def test_objects_are_laid_over_objects(manager: ModelResponsePartsManager):
    """Arguments may come as objects, each over the ones before."""
    for args in ({'a': 1, 'b': 1}, {'b': 2}):
        manager.handle_tool_call_delta(vendor_part_id=0, tool_name=None, args=args)
    manager.handle_tool_call_delta(vendor_part_id=0, tool_name='f', tool_call_id='i')

    assert manager.get_parts() == [ToolCallPart('f', {'a': 1, 'b': 2}, 'i')]


# Whole parts


def test_a_whole_call_takes_the_place_of_its_beginning(manager: ModelResponsePartsManager):
    """A call of a known id is told anew under its index, named or not; without an id it is another one."""
    manager.handle_tool_call_delta(vendor_part_id='a', args='{"x')
    whole = [
        *manager.handle_tool_call_part(vendor_part_id='a', tool_name='f', args='{}', tool_call_id='i', id='k'),
        *manager.handle_tool_call_part(vendor_part_id='a', tool_name='g', args=None, tool_call_id='j'),
        *manager.handle_tool_call_part(
            vendor_part_id=None, tool_name='h', args={}, tool_call_id='l', provider_details={'d': 1}
        ),
    ]

    assert whole == [
        start(0, ToolCallPart('f', '{}', 'i', id='k')),
        start(0, ToolCallPart('g', None, 'j')),
        start(1, ToolCallPart('h', {}, 'l', provider_details={'d': 1})),
    ]
    assert manager.get_parts() == replayed(whole)


def test_a_whole_part_takes_the_place_of_one_of_its_kind(manager: ModelResponsePartsManager):
    """A part of a known id and kind is replaced and can go on; one of another kind comes behind."""
    manager.handle_text_delta(vendor_part_id='a', content='x')
    manager.handle_text_delta(vendor_part_id='a', content='x')
    file = FilePart(BinaryContent(b'x', media_type='text/plain'))

    assert manager.handle_part(vendor_part_id='a', part=TextPart('y')) == (start(0, TextPart('y')),)
    manager.handle_text_delta(vendor_part_id='a', content='z')
    assert manager.handle_part(vendor_part_id='a', part=file) == (start(1, file),)
    assert manager.get_parts() == [TextPart('yz'), file]


def test_calls_of_the_provider_grow_too(manager: ModelResponsePartsManager):
    """A call of a built-in tool begins whole and takes deltas like any call."""
    part = BuiltinToolCallPart('search', '{', 'i', provider_name='p')
    manager.handle_part(vendor_part_id='a', part=part)
    told = manager.handle_tool_call_delta(vendor_part_id='a', args='}')

    assert told == (more(0, ToolCallPartDelta(args_delta='}', tool_call_id='i')),)
    assert manager.get_parts() == [BuiltinToolCallPart('search', '{}', 'i', provider_name='p')]
    assert part.args == '{'


@pytest.mark.parametrize('word', ['text', 'thinking', 'tool call'])
@pytest.mark.parametrize(
    'part', [TextPart('x'), ThinkingPart('x'), ToolCallPart('f', 'x', 'i')], ids=lambda p: p.part_kind
)
def test_a_delta_for_a_part_of_another_kind_is_refused(word: str, part: ModelResponsePart):
    """The error names what has come and the whole part that is there."""
    manager = ModelResponsePartsManager()
    manager.handle_part(vendor_part_id='a', part=part)
    handle: Callable[[], Any] = {
        'text': lambda: manager.handle_text_delta(vendor_part_id='a', content='y'),
        'thinking': lambda: manager.handle_thinking_delta(vendor_part_id='a', content='y'),
        'tool call': lambda: manager.handle_tool_call_delta(vendor_part_id='a', args='y'),
    }[word]

    if part.part_kind == {'tool call': 'tool-call'}.get(word, word):
        assert len(handle()) == 1
    else:
        with pytest.raises(UnexpectedModelBehavior) as raised:
            handle()
        assert str(raised.value) == f'Cannot apply a {word} delta to existing_part={part!r}'


# Any way to cut

Delta = Callable[[ModelResponsePartsManager], Any]


def cut(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def deltas_of(draw: st.DrawFn, part: ModelResponsePart, vendor_part_id: int) -> list[Delta]:
    """What a provider may send of a part."""
    if isinstance(part, TextPart):
        return [
            lambda m, piece=piece: m.handle_text_delta(vendor_part_id=vendor_part_id, content=piece)
            for piece in cut(draw, part.content)
        ]
    if isinstance(part, ThinkingPart):
        thoughts: list[dict[str, Any]] = [{'content': piece} for piece in cut(draw, part.content)]
        thoughts.insert(draw(st.integers(0, len(thoughts))), {'signature': part.signature})
        return [lambda m, f=f: m.handle_thinking_delta(vendor_part_id=vendor_part_id, **f) for f in thoughts]
    assert isinstance(part, ToolCallPart)
    calls: list[dict[str, Any]] = [{'args': piece} for piece in cut(draw, part.args_as_json_str())]
    named = draw(st.integers(0, len(calls)))
    calls.insert(named, {'tool_name': part.tool_name[:1]})
    calls.insert(draw(st.integers(named + 1, len(calls))), {'tool_name': part.tool_name[1:]})
    calls.insert(draw(st.integers(0, named)), {'tool_call_id': part.tool_call_id})
    return [lambda m, f=f: m.handle_tool_call_delta(vendor_part_id=vendor_part_id, **f) for f in calls]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[ModelResponsePart], list[Delta]]:
    """An answer, and one way in which a provider may stream it: several parts at a time, each in any pieces."""
    texts = st.text('ab', max_size=5)
    parts: list[Any] = draw(
        st.lists(
            st.builds(TextPart, texts)
            | st.builds(ThinkingPart, texts, signature=texts)
            | st.builds(
                ToolCallPart, st.text('fg', min_size=2, max_size=4), texts.map(lambda t: f'{{{t}}}'), st.just('i')
            ),
            max_size=4,
        )
    )
    waiting = [deltas_of(draw, part, number) for number, part in enumerate(parts)]
    sent, begun = list[Delta](), 0
    while any(waiting):
        # Parts begin in their order, and what has begun goes on in any.
        ready = [number for number, deltas in enumerate(waiting[: begun + 1]) if deltas]
        number = draw(st.sampled_from(ready))
        begun = max(begun, number + 1)
        sent.append(waiting[number].pop(0))
    return parts, sent


@given(streams())
def test_however_an_answer_is_cut_it_is_the_same(stream: tuple[list[ModelResponsePart], list[Delta]]):
    """Any pieces in any order give the same parts, to who asks for them and to who follows the events."""
    parts, deltas = stream
    manager = ModelResponsePartsManager()

    events = [(event, repr(event)) for delta in deltas for event in delta(manager)]

    assert manager.get_parts() == parts
    assert replayed(event for event, _ in events) == parts
    assert all(repr(event) == told for event, told in events)


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text full of tags and near misses, and its pieces."""
    text = draw(st.text('<t>/a', max_size=12) | st.lists(st.sampled_from([*TAGS, '<', '</', 'a'])).map(''.join))
    return text, cut(draw, text)


def parts_between(text: str) -> list[ModelResponsePart]:
    """What tags make of a whole text."""
    found = re.finditer(r'<t>(.*?)(?:</t>|\Z)|((?:(?!<t>).)+)', text)
    return [ThinkingPart(each[1]) if each[2] is None else TextPart(each[2]) for each in found]


@given(cut_texts(), st.sampled_from(['a', None]))
def test_however_a_text_with_tags_is_cut_it_is_the_same(cut_text: tuple[str, list[str]], vendor_part_id: str | None):
    """Text and thoughts do not depend on where the chunks end, not even within a tag."""
    text, chunks = cut_text
    manager = ModelResponsePartsManager()

    events = tagged(manager, *chunks, vendor_part_id=vendor_part_id)
    parts = manager.get_parts()
    events += manager.handle_end()

    assert parts == manager.get_parts() == replayed(events) == parts_between(text)
