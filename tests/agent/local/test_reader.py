import json
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plait_agent._local.reader import ChoiceReader, CompactJson, JsonString, Kind

texts = st.text(st.characters(exclude_categories=['Cs']), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(texts, values, max_size=4)
indents = st.sampled_from([None, 1, 4])
ascii_only = st.booleans()


@st.composite
def cuts(draw: Any, text: str) -> list[str]:
    """A text in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def read(reader: ChoiceReader, pieces: list[str]) -> list[tuple[Kind, str, str]]:
    """What a reader makes of pieces, with what belongs together joined."""
    told = [piece for text in pieces for piece in reader.feed(text)]
    return [(*key, ''.join(each.content for each in group)) for key, group in groupby(told, lambda each: each[:2])]


@given(name=texts, args=arguments, indent=indents, escaped=ascii_only, data=st.data())
def test_calls_are_the_same_however_they_are_cut(name: str, args: Any, indent: Any, escaped: bool, data: Any):
    """Any way of cutting a call gives its name once, and arguments that are those that were written."""
    text = json.dumps({'tool': name, 'arguments': args}, indent=indent, ensure_ascii=escaped)
    reader = ChoiceReader(f'{name}!')

    ((kind, called, told),) = read(reader, data.draw(cuts(text + '\n')))

    assert (kind, called, json.loads(told)) == (Kind.CALL, name, args)
    assert told == json.dumps(args, separators=(',', ':'), ensure_ascii=escaped)
    assert reader.is_complete


@given(answer=texts, indent=indents, escaped=ascii_only, data=st.data())
def test_answers_are_the_same_however_they_are_cut(answer: str, indent: Any, escaped: bool, data: Any):
    """Any way of cutting an answer gives its text."""
    text = json.dumps({'tool': 'end', 'arguments': {'text': answer}}, indent=indent, ensure_ascii=escaped)
    reader = ChoiceReader('end')

    told = read(reader, data.draw(cuts(text)))

    assert ''.join(content for _, _, content in told) == answer
    assert {kind for kind, _, _ in told} <= {Kind.TEXT}
    assert reader.is_complete


@given(answer=texts, data=st.data())
def test_nothing_is_told_that_is_taken_back(answer: str, data: Any):
    """What has been told of an answer is always a beginning of it."""
    text = json.dumps({'tool': 'end', 'arguments': {'text': answer}})
    reader, told = ChoiceReader('end'), ''

    for piece in data.draw(cuts(text)):
        told += ''.join(each.content for each in reader.feed(piece))
        assert answer.startswith(told)


@given(args=arguments, indent=indents, data=st.data())
def test_arguments_alone_are_those_of_the_only_tool(args: Any, indent: Any, data: Any):
    """Where there is nothing to choose, the whole text is the arguments."""
    reader = ChoiceReader('end', only_tool='save')

    ((kind, called, told),) = read(reader, data.draw(cuts(json.dumps(args, indent=indent))))

    assert (kind, called, json.loads(told)) == (Kind.CALL, 'save', args)


def test_structured_answers_are_text():
    """An answer that has a form is told as its JSON text."""
    reader = ChoiceReader('end', is_structured=True)

    assert read(reader, ['{"tool": "end", "arguments": {"x": 1}}']) == [(Kind.TEXT, 'end', '{"x":1}')]


def test_what_makes_no_choice_is_kept():
    """Text that is no choice is not told, and can be asked for."""
    reader = ChoiceReader('end')

    assert reader.feed('Hello there') == []
    assert (reader.unread, reader.is_complete) == ('Hello there', False)


def test_what_follows_the_choice_is_ignored():
    """After the end of the arguments, or of the text, nothing more is told."""
    assert CompactJson().feed('{"a": [1, {}]} and more') == '{"a":[1,{}]}'
    assert JsonString().feed('said" and more') == 'said'


def test_halves_of_pairs_wait_for_one_another():
    """A character that is written as two escapes comes as one, or as the sign for what cannot be read."""
    string = JsonString()

    assert [string.feed(each) for each in ('\\ud8', '3d', '\\ude', '00 \\ud83d', ' "')] == [
        '',
        '',
        '',
        '😀 ',
        '\ufffd ',
    ]
