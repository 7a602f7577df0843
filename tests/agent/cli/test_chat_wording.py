"""Messages, results and errors in a few words."""

import pytest
from chat_parts import paper

from plait_agent import FallbackExceptionGroup, ModelAPIError, ModelHTTPError, UserError
from plait_agent._chat.screen import Screen
from plait_agent._chat.secrets import redact
from plait_agent._chat.transcript import show_messages
from plait_agent._chat.wording import error_text, result_text, seconds_text
from plait_agent.messages import (
    BinaryContent,
    FilePart,
    ImageUrl,
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


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (ModelHTTPError(500, 'm', None), 'm answered with HTTP status 500: nothing more was said.'),
        (
            ModelHTTPError(429, 'm', {'message': 'slow down.'}),
            'm answered with HTTP status 429: slow down. Wait a little.',
        ),
        (ModelHTTPError(400, 'm', {'code': 7}), "m answered with HTTP status 400: {'code': 7}."),
        (ModelHTTPError(502, 'm', '<html>\n bad'), 'm answered with HTTP status 502: <html> bad.'),
        (ModelAPIError('m', 'no line'), 'm could not be asked: no line'),
        (UserError('not like this'), 'not like this'),
        (TimeoutError(), 'TimeoutError'),
        (
            FallbackExceptionGroup('All models failed', [ModelAPIError('a', 'x'), LookupError('y')]),
            'All models failed\n- a could not be asked: x\n- LookupError: y',
        ),
    ],
)
def test_errors(error, text):
    """An error is told by what matters in it, and by what can be done."""
    assert error_text(error) == text


def test_long_errors_are_cut():
    """An error that quotes a whole page takes a few lines."""
    assert len(error_text(ValueError('x ' * 5000))) < 500


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0.0123, '12 ms'), (1.26, '1.3 s'), (59.94, '59.9 s'), (60, '1 min 0 s'), (185.4, '3 min 5 s')],
)
def test_durations(seconds, text):
    """Durations are as exact as matters."""
    assert seconds_text(seconds) == text


def test_results_that_cannot_be_written():
    """A result that is no data is no reason to end a chat."""
    assert 'cannot be written as JSON' in result_text(ToolReturnPart('find', object(), '1'))


def test_keys(monkeypatch):
    """Values of secret variables and what looks like a key are taken out; other words and short values stay."""
    monkeypatch.setenv('SHOP_TOKEN', 'very-secret-word')
    monkeypatch.setenv('MONKEY', 'ape')
    text = redact('very-secret-word, Bearer abcdefgh.ijk, sk-ant-REDACTED, gsk_abcdefghijklmnop; ask-me, ape')

    assert text == '[SHOP_TOKEN], Bearer [key], [key], [key]; ask-me, ape'


def test_a_history_is_shown_as_it_was():
    """All that was said is shown again, but for what the program told the model."""
    screen = Screen(paper())
    show_messages(
        [
            ModelRequest([SystemPromptPart('be kind'), UserPromptPart(['Look:', ImageUrl('http://x.example/a.png')])]),
            ModelResponse([ThinkingPart('hm'), TextPart('One *moment*.'), ToolCallPart('look', {'at': 1}, '1')]),
            ModelRequest([ToolReturnPart('look', 'a cat', '1'), RetryPromptPart('louder')]),
            ModelResponse([FilePart(BinaryContent(b'1', media_type='image/png'))]),
            ModelResponse([TextPart('A c')], metadata={'interrupted': True}),
        ],
        screen,
    )

    lines = [line.rstrip() for line in screen.console.file.getvalue().splitlines() if line.strip()]
    assert lines == [
        '> Look: [ImageUrl]',
        'hm',
        'One moment.',
        '⚙ look(at=1)',
        '  ↳ look: a cat',
        '  ↳ answer asked to try again: louder',
        '[image/png, 1 bytes]',
        'A c',
        'Stopped.',
    ]
