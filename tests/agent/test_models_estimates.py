"""How many tokens are estimated, and that a history is counted once."""

import gc
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_agent.messages import (
    BinaryContent,
    BuiltinToolReturnPart,
    CachePoint,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models import _estimates
from plait_agent.models._estimates import CallCount, TextCount, count_input, count_text, estimate_usage


@pytest.mark.parametrize(
    ('text', 'tokens'),
    [('', 0), ('a', 1), ('a b c', 3), (' a  b ', 2), ('hello world.', 3), ('a.b "c"', 4), ('"a"', 3), ('   ', 1)],
)
def test_words_are_counted_between_separators(text: str, tokens: int) -> None:
    """Blanks, quotes, commas, dots and colons separate; one at an end adds an empty piece, a blank does not."""
    assert count_text(text) == tokens


@given(st.lists(st.text(alphabet=string.whitespace + ',.:"ab', max_size=6), max_size=8))
def test_a_text_that_grows_counts_as_the_whole_text(pieces: list[str]) -> None:
    """However a text is cut, its count is at each time that of the text so far."""
    count = TextCount()
    for end, piece in enumerate(pieces, 1):
        added = count.tokens + count.add(piece)

        assert added == count.tokens == count_text(''.join(pieces[:end]))


def test_a_call_counts_when_its_name_has_come() -> None:
    """A call is one token for its name and at least one for its arguments, which may come before the name."""
    count = CallCount()

    assert [count.add(None, '{"a"'), count.add('t', None), count.add(None, ':1}')] == [0, 4, 0]
    assert count.tokens == 1 + count_text('{"a":1}')


@pytest.mark.parametrize(
    ('part', 'tokens'),
    [
        (SystemPromptPart('a b c'), 3),
        (UserPromptPart('a b'), 2),
        (UserPromptPart(['a b', ImageUrl('https://example.com/x.png'), CachePoint(), 'c']), 3),
        (UserPromptPart([BinaryContent(b'x' * 10, media_type='image/png')]), 1),
        (UserPromptPart([BinaryContent(b'x' * 7500, media_type='image/png')]), 10),
        (ToolReturnPart('t', {'a': 1}, 'id'), 3),
        (RetryPromptPart('no', tool_name='t', tool_call_id='id'), 8),
    ],
)
def test_each_part_of_a_request_counts(part: object, tokens: int) -> None:
    """Texts count by words, bytes by their number, URLs not at all; a request has 50 beside that."""
    assert count_input([ModelRequest([part])]) == 50 + tokens  # type: ignore[list-item]


def test_only_the_answer_itself_is_output() -> None:
    """Earlier answers are not counted again."""
    history: list[ModelMessage] = [
        ModelRequest.user_text_prompt('a'),
        ModelResponse([TextPart('many words of an earlier answer')]),
        ModelRequest.user_text_prompt('b c'),
    ]
    answer = [
        TextPart('x y'),
        ThinkingPart('z'),
        ToolCallPart('t', {'a': 1}, 'id'),
        BuiltinToolReturnPart('s', 'u v', 'id'),
        FilePart(BinaryContent(b'x' * 1500, media_type='image/png')),
    ]

    usage = estimate_usage(history, answer)

    assert (usage.input_tokens, usage.output_tokens) == (53, 2 + 1 + 4 + 2 + 2)


def long_history(turns: int) -> list[ModelMessage]:
    """Questions with answers, and a last question."""
    history: list[ModelMessage] = []
    for turn in range(turns):
        history += [ModelRequest.user_text_prompt(f'question {turn}'), ModelResponse([TextPart('answer')])]
    return [*history, ModelRequest.user_text_prompt('last')]


def test_a_history_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted for a request is not counted again for the requests after it, in other lists either."""
    history = long_history(50)
    first = count_input(history)
    counted: list[object] = []
    count_part = _estimates.count_request_part
    monkeypatch.setattr(_estimates, 'count_request_part', lambda part: (counted.append(part), count_part(part))[1])

    longer = [*history, ModelResponse([TextPart('yes')]), ModelRequest.user_text_prompt('x y z')]

    assert count_input(longer) == first + 3
    assert counted == list(longer[-1].parts)


def test_a_history_that_was_cut_is_counted_anew() -> None:
    """A request counts for what stands before it, so it counts less in a history that lost its beginning."""
    history = long_history(10)
    whole = count_input(history)
    follow_up = ModelRequest.user_text_prompt('more')

    assert count_input([*history[-3:], ModelResponse([TextPart('x')]), follow_up]) == 50 + 2 + 1 + 1
    assert count_input([*history, ModelResponse([TextPart('x')]), follow_up]) == whole + 1


def test_a_history_with_another_beginning_is_counted_anew() -> None:
    """A history whose first message was exchanged is another history."""
    history = long_history(10)
    whole = count_input(history)
    changed = [ModelRequest.user_text_prompt('a b c d e'), *history[1:]]
    follow_up = [ModelResponse([TextPart('x')]), ModelRequest.user_text_prompt('more')]

    assert count_input([*changed, *follow_up]) == whole + 3 + 1


def test_counts_go_with_their_messages() -> None:
    """Nothing is kept of messages that nobody has any more, nor are messages kept."""
    gc.collect()
    before = len(_estimates._counts)
    history = long_history(3)
    count_input(history)
    assert len(_estimates._counts) == before + 1

    del history
    gc.collect()

    assert len(_estimates._counts) == before


def test_a_history_without_requests_has_only_what_every_request_has() -> None:
    """An empty history is counted too."""
    assert count_input([]) == 50
