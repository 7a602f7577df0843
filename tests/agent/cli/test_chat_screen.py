"""What is shown while an answer comes, and what stays of it."""

import io

from chat_parts import paper
from rich.console import Console

from plait_agent._chat.screen import Screen
from plait_agent.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    RetryPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
)

ESCAPE = '\x1b'


def lines_of(screen):
    """What a screen has printed for good, line by line."""
    return [line.rstrip() for line in screen.console.file.getvalue().splitlines()]


def streamed(screen, *texts):
    """Let a text come in pieces, with a look at the screen after each."""
    screen.hear(PartStartEvent(index=0, part=TextPart('')))
    for text in texts:
        screen.hear(PartDeltaEvent(index=0, delta=TextPartDelta(text)))
        screen.beat()


def test_text_is_printed_block_by_block():
    """A paragraph is printed when the next one begins, and the last one at the end."""
    screen = Screen(paper())
    with screen.answering():
        streamed(screen, 'first', ' part\n\n', 'second\n')
        assert lines_of(screen) == ['', 'first part']

    assert lines_of(screen) == ['', 'first part', '', 'second']


def test_lines_may_end_as_on_windows():
    """Lines that end with two characters are lines, also if the two come one after the other."""
    screen = Screen(paper())
    with screen.answering():
        streamed(screen, 'first\r', '\n\r\n', 'second')

    assert lines_of(screen) == ['', 'first', '', 'second']


def test_each_line_of_a_long_answer_is_printed_once():
    """An answer that is longer than the screen scrolls: its lines are there once, in order."""
    console = Console(file=io.StringIO(), force_terminal=True, width=40, height=10, highlight=False, no_color=True)
    screen = Screen(console)
    with screen.answering():
        streamed(screen, '```\n', *(f'line {number}\n' for number in range(50)), '```\n')

    kept = seen_in_terminal(console.file.getvalue())
    assert [line.strip() for line in kept if 'line' in line] == [f'line {number}' for number in range(50)]


def test_what_is_drawn_again_and_again_fits_on_the_screen():
    """No drawing of the block that grows has more lines than the screen: what has scrolled away cannot be erased."""
    console = Console(file=io.StringIO(), force_terminal=True, width=40, height=10, highlight=False, no_color=True)
    screen = Screen(console)
    with screen.answering():
        streamed(screen, '- a\n' * 30)
        drawn = console.file.getvalue()

    assert 0 < drawn.count('\n') < 10


def test_html_and_addresses_are_not_lost():
    """HTML in an answer is shown as it was written, and a link shows where it leads."""
    screen = Screen(paper())
    screen.show_text('a <b>bold</b> word\n\n<div>in a box</div>\n\n[here](http://x.example/y)')

    text = '\n'.join(lines_of(screen))
    assert 'a <b>bold</b> word' in text
    assert '<div>in a box</div>' in text
    assert 'here (http://x.example/y)' in text


def test_commands_to_the_terminal_are_shown_and_not_obeyed():
    """What a model or a tool writes cannot clear the screen or change its title."""
    screen = Screen(paper())
    evil = f'{ESCAPE}[2J{ESCAPE}]0;title\x07 \x9b31m'
    with screen.answering():
        streamed(screen, evil)
        call = ToolCallPart(evil, {'text': evil}, 'id')
        screen.hear(FunctionToolCallEvent(call))
        screen.hear(FunctionToolResultEvent(ToolReturnPart(evil, evil, 'id')))
        screen.hear(PartStartEvent(index=1, part=ThinkingPart(evil)))

    text = screen.console.file.getvalue()
    assert not {ESCAPE, '\x07', '\x9b'} & set(text)
    assert '␛[2J' in text


def test_calls_are_shown_with_arguments_result_and_duration():
    """A call is shown when it begins, and what came of it when it has ended, with the time that it took."""
    now = iter(range(100))
    screen = Screen(paper(), clock=lambda: next(now) / 4)
    call = ToolCallPart('find_price', {'article': 'tea', 'count': 2}, 'one')
    with screen.answering():
        screen.hear(FunctionToolCallEvent(call))
        assert lines_of(screen)[-1] == '⚙ find_price(article="tea", count=2)'
        begun = screen.now()
        screen.hear(FunctionToolResultEvent(ToolReturnPart('find_price', {'cents': 400}, 'one')))

    milliseconds = int(lines_of(screen)[-1].split()[2])
    assert lines_of(screen)[-1] == f'  ↳ find_price {milliseconds} ms: {{"cents":400}}'
    assert 0 < milliseconds <= 1000 * (screen.now() - begun) + 1000


def test_long_arguments_and_results_are_cut():
    """A call and its result take a few lines, however long they are."""
    screen = Screen(paper())
    with screen.answering():
        screen.hear(FunctionToolCallEvent(ToolCallPart('store', {'text': 'x' * 5000}, 'one')))
        screen.hear(FunctionToolResultEvent(ToolReturnPart('store', 'line\n' * 500, 'one')))

    assert len(lines_of(screen)) < 20
    assert '… 494 more lines' in lines_of(screen)[-1]


def test_arguments_that_are_no_json_are_shown_as_they_are():
    """What a model wrote instead of arguments can be read."""
    screen = Screen(paper())
    screen.show_call(ToolCallPart('find', '{"article": ', 'one'))

    assert lines_of(screen)[-1] == '⚙ find({"article": )'


def test_retries_are_shown():
    """Whoever looks on sees why a model is asked again: by a tool, by validation of arguments, by a validator."""
    screen = Screen(paper(200))
    details = [{'type': 'int_parsing', 'loc': ('count',), 'msg': 'no number', 'input': 'x'}]
    for part in (
        RetryPromptPart('not there', tool_name='find'),
        RetryPromptPart(details, tool_name='find'),
        RetryPromptPart('too short'),
    ):
        screen.show_result(part)

    assert [line.strip() for line in lines_of(screen) if line] == [
        '↳ find asked to try again: not there',
        '↳ find asked to try again: count: no number',
        '↳ answer asked to try again: too short',
    ]


def test_thinking_can_be_hidden():
    """What the model thinks is shown unless that is not wanted; the answer is shown in any case."""
    for is_wanted in (True, False):
        screen = Screen(paper(), shows_thinking=is_wanted)
        with screen.answering():
            screen.hear(PartStartEvent(index=0, part=ThinkingPart('hm')))
            screen.hear(PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta=', well')))
            screen.hear(PartEndEvent(index=0, part=ThinkingPart('hm, well')))
            screen.hear(PartStartEvent(index=1, part=TextPart('Yes.')))

        assert ('hm, well' in lines_of(screen)) == is_wanted
        assert lines_of(screen)[-1] == 'Yes.'


def test_tools_of_the_provider_and_files_are_shown():
    """Calls that the provider makes, what they return, and files that it makes are shown."""
    screen = Screen(paper())
    with screen.answering():
        call = BuiltinToolCallPart('web_search', {'query': 'tea'}, 'one')
        screen.hear(PartStartEvent(index=0, part=call))
        screen.hear(PartEndEvent(index=0, part=call))
        screen.hear(PartStartEvent(index=1, part=BuiltinToolReturnPart('web_search', ['a'], 'one')))
        screen.hear(PartStartEvent(index=2, part=FilePart(BinaryContent(b'1234', media_type='image/png'))))

    text = '\n'.join(lines_of(screen))
    assert '⚙ web_search(query="tea")\n  ↳ web_search' in text
    assert '[image/png, 4 bytes]' in text


def test_the_status_says_what_is_waited_for():
    """While nothing is printed, the last line says what is being done, and for how long."""
    times = iter([0.0, *[65.0] * 10])
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=20, no_color=True)
    screen = Screen(console, clock=lambda: next(times))
    with screen.answering():
        screen.beat()
        assert 'waiting 1 min 5 s' in console.file.getvalue()
        screen.beat(interrupts=1)
        assert 'stopping' in console.file.getvalue()


def test_outputs_are_shown_in_the_form_that_suits_them():
    """Data is shown as indented JSON, text as Markdown, and a file by its size."""
    screen = Screen(paper())
    for output in ({'a': [1, 2]}, '*text*', BinaryContent(b'12', media_type='audio/wav')):
        screen.show_output(output)

    text = '\n'.join(lines_of(screen))
    assert '{\n  "a": [\n    1,\n    2\n  ]\n}' in text
    assert '\ntext\n' in text
    assert '[audio/wav, 2 bytes]' in text


def seen_in_terminal(written):
    """The lines that a terminal of endless height has at the end: it understands what moves and erases here."""
    lines, row, column, place = [''], 0, 0, 0
    while place < len(written):
        if written.startswith(f'{ESCAPE}[', place):
            end = next(at for at in range(place + 2, len(written)) if written[at].isalpha())
            amount, what = written[place + 2 : end], written[end]
            row, lines = moved(row, lines, amount, what)
            place = end + 1
            continue
        character = written[place]
        place += 1
        if character == '\n':
            row, column = row + 1, 0
            lines += [''] * (row + 1 - len(lines))
        elif character == '\r':
            column = 0
        else:
            lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
            column += 1
    return lines


def moved(row, lines, amount, what):
    """Row and lines after a command to the terminal."""
    if what == 'A':
        return row - int(amount or 1), lines
    if what == 'K':
        return row, [*lines[:row], '', *lines[row + 1 :]]
    return row, lines
