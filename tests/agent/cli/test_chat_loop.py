"""The chat as a whole: keys in, words out."""

import json
import stat

import pytest
from chat_parts import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    ENTER,
    answering,
    chatting,
    echoing,
    shown,
    stopping_after,
    talk,
)
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from plait_agent import Agent, DeferredToolRequests, ModelHTTPError, ModelMessagesTypeAdapter
from plait_agent._chat.commands import explained
from plait_agent._chat.conversation import Conversation
from plait_agent._chat.reader import Commands
from plait_agent._chat.sessions import Session
from plait_agent.messages import ToolCallPart, ToolReturnPart
from plait_agent.models.function import FunctionModel


def prompts_of(chat):
    """What the user said, as the history has it."""
    parts = [part for message in chat.conversation.messages for part in message.parts]
    return [part.content for part in parts if part.part_kind == 'user-prompt']


async def test_answers_and_what_they_used_are_shown():
    """Each prompt is answered, with tokens and model below, and the totals stand at the end."""
    _, text = await talk(echoing(), 'one', 'two')

    assert 'You said one.' in text
    assert 'You said two.' in text
    assert 'echo · 50 tokens in · 3 out' in text
    assert text.splitlines()[-1] == 'In all: 100 tokens in · 6 out · 2 requests'


async def test_keys_for_several_lines():
    """Alt-Enter begins a line and Enter sends; after /multiline it is the other way round, but for commands."""
    keys = f'a{ALT_ENTER}b{ENTER}/multiline{ENTER}c{ENTER}d{ALT_ENTER}/multiline{ENTER}e{ENTER}{CTRL_D}'
    with chatting(echoing(), keys) as chat:
        await chat.talk()

    assert prompts_of(chat) == ['a\nb', 'c\nd', 'e']


async def test_ctrl_c_at_the_prompt():
    """Ctrl-C clears the line; the second one in a row ends the chat, but not if something was typed between."""
    with chatting(echoing(), f'x{CTRL_C}y{CTRL_C}one{ENTER}{CTRL_C}{CTRL_C}never{ENTER}') as chat:
        await chat.talk()

    assert prompts_of(chat) == ['one']


async def test_ctrl_c_stops_an_answer_and_the_chat_goes_on():
    """What has come stays on the screen and in the history, and the next prompt is answered."""
    agent = Agent(stopping_after('The beginning ', 'of something'))
    with chatting(agent, f'go{ENTER}/model test{ENTER}more{ENTER}{CTRL_D}') as chat:
        await chat.talk()

    text = shown(chat)
    assert 'The beginning of something\nStopped.' in text
    assert 'success (no tool calls)' in text
    assert [message.kind for message in chat.conversation.messages] == ['request', 'response'] * 2


async def test_errors_take_a_line_and_the_chat_goes_on():
    """An error of the model is told without a traceback, and the prompt can be asked again."""
    body = {'error': {'message': 'no such key', 'code': 'bad'}}
    agent = Agent(answering(ModelHTTPError(401, 'scripted', body), 'here I am'))

    _, text = await talk(agent, 'hello', '/retry')

    assert 'scripted answered with HTTP status 401: no such key. Check the key of the provider.' in text
    assert 'Traceback' not in text
    assert text.index('/retry asks again.') < text.index('here I am')


async def test_debug_shows_tracebacks():
    """With `debug` an error is shown with its traceback."""
    _, text = await talk(Agent(answering(LookupError('no answer'))), 'hello', debug=True)

    assert 'Traceback (most recent call last)' in text
    assert 'LookupError: no answer' in text


async def test_keys_in_errors_are_not_shown(monkeypatch):
    """Neither an error nor its traceback shows what a variable for a key has, or what looks like a key."""
    monkeypatch.setenv('OPENAI_API_KEY', 'this-is-the-key-0123')
    said = 'bad key this-is-the-key-0123, or sk-abcdefghijklmnop'
    agent = Agent(answering(ModelHTTPError(401, 'scripted', said), ValueError(said)))

    _, text = await talk(agent, 'one', 'two', debug=True)

    assert 'this-is-the-key' not in text
    assert 'abcdefgh' not in text
    assert '[OPENAI_API_KEY]' in text


@pytest.mark.parametrize(
    ('answer', 'returned'),
    [
        ('y', '10 % off'),
        ('nonsense y', 'nonsense y'),
        ('n', 'The tool call was denied.'),
        ('no, it is too dear', 'it is too dear'),
        (f'{ENTER}YES', '10 % off'),
    ],
)
async def test_approvals_are_asked_for(answer, returned):
    """A call that needs approval is made or not as the user says, with the user's words for the model."""
    agent = Agent(
        answering([ToolCallPart('discount', {'percent': 10}, '1')], 'all done'), output_type=[str, DeferredToolRequests]
    )
    agent.tool_plain(requires_approval=True)(discount)

    chat, text = await talk(agent, 'cheaper', answer)

    assert 'discount(percent=10) asks for approval.' in text
    assert 'all done' in text
    assert returns_in(chat) == [returned]


def discount(percent: int) -> str:
    """Give a discount."""
    return f'{percent} % off'


def returns_in(chat):
    """What tools returned, as the history has it."""
    parts = [part for message in chat.conversation.messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


async def test_results_of_calls_elsewhere_are_asked_for():
    """A call that is made elsewhere gets the result that the user types, read as JSON if it is."""
    from plait_agent import CallDeferred

    calls = [ToolCallPart('look', {}, '1'), ToolCallPart('look', {}, '2')]
    agent = Agent(answering(calls, 'seen'), output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    def look():
        raise CallDeferred

    chat, text = await talk(agent, 'look', '{"light": "red"}', 'just red')

    assert returns_in(chat) == [{'light': 'red'}, 'just red']
    assert 'seen' in text


async def test_a_question_that_is_not_answered():
    """Ctrl-C instead of a decision closes the calls, and the chat goes on."""
    agent = Agent(answering([ToolCallPart('discount', {}, '1')], 'next'), output_type=[str, DeferredToolRequests])
    agent.tool_plain(requires_approval=True)(discount)

    with chatting(agent, f'cheaper{ENTER}{CTRL_C}go on{ENTER}{CTRL_D}') as chat:
        await chat.talk()

    assert returns_in(chat) == ['Tool not executed - the user has not decided.']
    assert 'next' in shown(chat)


async def test_data_is_shown_as_json():
    """The output of an agent with data is shown as JSON."""
    agent = Agent(answering([ToolCallPart('final_result', {'response': {'a': 1}}, '1')]), output_type=dict[str, int])

    _, text = await talk(agent, 'go')

    assert '{\n  "a": 1\n}' in text


async def test_commands():
    """Each command does what /help says that it does."""
    chat, text = await talk(
        echoing(), '/help', 'one', '/history', '/usage', '/model', '/clear', '/history', '/thinking'
    )

    assert '/retry' in text
    assert 'Ctrl-C' in text
    assert text.count('You said one.') == 2
    assert '> one' in text
    assert 'In all: 50 tokens in' in text
    assert '\necho\n' in text
    assert 'Nothing has been said.' in text
    assert 'not shown' in text
    assert (chat.conversation.messages, chat.screen.shows_thinking) == ([], False)


async def test_exit():
    """/exit ends the chat."""
    chat, _ = await talk(echoing(), 'one', '/exit', 'two')

    assert prompts_of(chat) == ['one']


async def test_words_with_a_slash_that_are_no_commands():
    """A command that is not known is not sent to the model; a path is, and so is what stands behind a blank."""
    chat, text = await talk(echoing(), '/nope', '/etc/hosts explained', ' /nope')

    assert "There is no command '/nope'." in text
    assert prompts_of(chat) == ['/etc/hosts explained', '/nope']


async def test_a_model_that_is_not_known_changes_nothing():
    """A wrong name for a model is refused in a line, and the model stays."""
    _, text = await talk(echoing(), '/model nope:x', 'one')

    assert 'Unknown provider: nope' in text
    assert 'You said one.' in text


async def test_save(tmp_path):
    """The messages are written to a file of one's own; a file that is there is not overwritten, unless by its chat."""
    path, there = tmp_path / 'a.json', tmp_path / 'there.json'
    there.write_text('mine')

    _, text = await talk(
        echoing(), 'one', f'/save {path}', f'/save {path}', f'/save {there}', '/save', f'/save {tmp_path}/no/x.json'
    )

    assert len(ModelMessagesTypeAdapter.validate_json(path.read_bytes())) == 2
    assert there.read_text() == 'mine'
    assert 'is something at' in text
    assert 'The name of a file is missing.' in text
    assert 'cannot be written: No such file or directory.' in text


async def test_chats_are_kept_after_each_turn(tmp_path):
    """The file has what was said after each turn, also after one that failed, and nobody else may read it."""
    session = Session(tmp_path / 'chats' / 'mine.json')
    seen = []

    def answer(messages, info):
        seen.append(json.loads(session.path.read_text()) if session.path.exists() else [])
        return echo(messages, info)

    echo = echoing().model.function
    await talk(Agent(FunctionModel(answer)), 'one', 'two', session=session)

    assert [len(messages) for messages in seen] == [0, 2]
    assert len(session.load()) == 4
    assert stat.S_IMODE(session.path.stat().st_mode) == 0o600
    assert [path.name for path in session.path.parent.iterdir()] == ['mine.json']


async def test_a_chat_that_cannot_be_kept_goes_on(tmp_path):
    """If the file cannot be written, that is said, and the answer is there nevertheless."""
    (tmp_path / 'file').write_text('')

    _, text = await talk(echoing(), 'one', session=Session(tmp_path / 'file' / 'x.json'))

    assert 'You said one.' in text
    assert 'The chat could not be kept' in text


async def test_a_chat_that_is_resumed(tmp_path):
    """A chat that goes on shows its last turn, and the model knows all of it."""
    session = Session(tmp_path / 'mine.json')
    await talk(echoing(), 'one', 'two', session=session)
    conversation = Conversation(echoing(), messages=session.load())

    with chatting(None, f'three{ENTER}{CTRL_D}', conversation=conversation, session=session) as chat:
        chat.greet('plait')
        greeting = shown(chat)
        await chat.talk()

    assert '2 earlier messages' in greeting
    assert '> two\nYou said two.' in greeting
    assert 'You said one.' not in greeting
    assert len(session.load()) == 6


async def test_clear_begins_a_new_file(tmp_path):
    """What was said before /clear stays in its file, and what comes after goes into another one."""
    session = Session(tmp_path / 'mine.json')

    chat, _ = await talk(echoing(), 'one', '/clear', 'two', session=session)

    assert len(session.load()) == 2
    assert chat.session.path != session.path
    assert [part.content for part in chat.session.load()[0].parts] == ['two']


@pytest.mark.parametrize(
    ('text', 'completions'),
    [
        ('/mu', ['/multiline']),
        ('/h', ['/help', '/history']),
        ('/model openai:gpt-4o-min', ['openai:gpt-4o-mini']),
        ('/usage ', []),
        ('h', []),
    ],
)
def test_commands_are_completed(text, completions):
    """Commands are completed, and models after /model; nothing else is."""
    completer = Commands(explained())

    found = [text[: len(text) + each.start_position] + each.text for each in completions_of(completer, text)]

    assert set(completions) <= {each.removeprefix('/model ') for each in found}
    assert bool(found) == bool(completions)


def test_files_are_completed(tmp_path):
    """Files are completed after /save."""
    (tmp_path / 'chat.json').write_text('')

    assert [each.text for each in completions_of(Commands(explained()), f'/save {tmp_path}/ch')] == ['at.json']


def completions_of(completer, text):
    """What a text could become."""
    return list(completer.get_completions(Document(text), CompleteEvent(completion_requested=True)))
