"""The word `chat` of the command line: what it is given, and what it says to what is wrong."""

import io
import sys

import pytest

from plait_agent import ModelRequest
from plait_agent._chat.sessions import Session, sessions_folder
from plait_agent._cli.chat import app

AGENTS = """
import os
from dataclasses import dataclass

from plait_agent import Agent, RunContext
from plait_agent.models.function import FunctionModel
from plait_agent.models.test import TestModel

number = 3
parrot = Agent(TestModel(custom_output_text='hello from the parrot'))


@dataclass
class Shop:
    name: str


keeper = Agent(TestModel(), deps_type=Shop)


@keeper.tool
def where(ctx: RunContext[Shop]) -> str:
    return ctx.deps.name


def make_shop() -> Shop:
    return Shop('the tea shop')


def fail() -> Shop:
    raise LookupError('no shop there')


async def make_later() -> Shop:
    return Shop('later')


async def offline(messages, info):
    raise ConnectionError('the line is dead')


lost = Agent(FunctionModel(offline))
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with agents in it, from which the command is given; its input is empty."""
    folder = tmp_path / 'project'
    folder.mkdir()
    (folder / 'shop_agents.py').write_text(AGENTS)
    (folder / 'one_agent.py').write_text("from plait_agent import Agent\n\nonly = Agent('test')\n")
    (folder / 'broken.py').write_text("\nraise LookupError('on import')\n")
    (folder / 'needs.py').write_text('import no_such_thing\n')
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(sys, 'stdin', io.StringIO(''))
    yield folder
    for name in ('shop_agents', 'one_agent', 'broken', 'needs'):
        sys.modules.pop(name, None)


def plait_chat(*words):
    """Give the command these words; its status is what it gives."""
    return app(words, result_action='return_value')


@pytest.mark.parametrize('reference', ['shop_agents:parrot', 'shop_agents.py:parrot', './shop_agents.py:parrot'])
def test_the_agent_is_found(reference, capsys):
    """An agent is named by its module or by its file."""
    assert plait_chat(reference, 'hello there') == 0
    assert capsys.readouterr().out == 'hello from the parrot\n'


def test_a_file_with_one_agent_says_enough(capsys):
    """Where there is only one agent, it needs no name."""
    assert plait_chat('one_agent.py', 'hello there') == 0
    assert capsys.readouterr().out == 'success (no tool calls)\n'


def test_a_file_elsewhere(tmp_path, monkeypatch, capsys):
    """A file in another folder may import what lies beside it."""
    elsewhere = tmp_path / 'else where'
    elsewhere.mkdir()
    (elsewhere / 'beside.py').write_text("MODEL = 'test'\n")
    (elsewhere / 'there.py').write_text(
        'from beside import MODEL\n\nfrom plait_agent import Agent\n\nagent = Agent(MODEL)\n'
    )

    assert plait_chat(f'{elsewhere.name}/there.py:agent'.replace('else where', '../else where'), 'x') == 2
    monkeypatch.chdir(elsewhere)
    assert plait_chat('there.py:agent', 'x') == 0
    assert 'success' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nothing_there:agent', 'x'], "There is no module 'nothing_there'. Name one that can be imported from"),
        (['nothing.py:agent', 'x'], "There is no file 'nothing.py'"),
        (['shop_agents:clerk', 'x'], "'shop_agents' has no 'clerk'. Its agents are shop_agents:parrot,"),
        (['shop_agents:number', 'x'], "'shop_agents:number' is a int and no agent. Its agents are"),
        (['shop_agents.py', 'x'], "'shop_agents.py' has 3 agents, and one has to be named"),
        (['broken:agent', 'x'], "'broken' cannot be imported: LookupError: on import ("),
        (['needs:agent', 'x'], "'needs' cannot be imported: ModuleNotFoundError: No module named 'no_such_thing' ("),
        (['shop_agents:keeper', 'x'], 'The agent needs dependencies (Shop). Name what makes them: --deps'),
        (['shop_agents:keeper', 'x', '--deps', 'shop_agents'], 'names no function. Say module:function.'),
        (['shop_agents:keeper', 'x', '--deps', 'shop_agents:fail'], 'failed: LookupError: no shop there ('),
        (['shop_agents:keeper', 'x', '--deps', 'shop_agents:make_later'], 'is asynchronous'),
        (['shop_agents:keeper', 'x', '--deps', 'shop_agents:nope'], "'shop_agents' has no 'nope'"),
        (['shop_agents:parrot'], 'There is nothing to ask: the standard input is empty.'),
        (['shop_agents:parrot', 'one', 'two'], 'There are several questions'),
        (['-m', 'nope:model', 'what is it'], 'Unknown provider: nope'),
        (['-m', 'test', 'what is it', '--resume', 'nope'], "There is no chat 'nope'"),
        (['-m', 'test', 'what is it', '--resume'], 'There is no chat to be resumed'),
    ],
)
def test_bad_input(words, message, capsys):
    """What is wrong is told in one line that names it, and the status is 2."""
    assert plait_chat(*words) == 2

    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith('plait: ')
    assert (captured.err.count('\n'), captured.out) == (1, '')


def test_debug_shows_the_traceback(capsys):
    """With --debug the traceback stands above the line."""
    assert plait_chat('broken:agent', 'x', '--debug') == 2
    assert 'raise LookupError' in capsys.readouterr().err


def test_a_chat_needs_a_terminal(monkeypatch, capsys):
    """Without a question, and with an output that is no terminal, nothing is begun."""
    monkeypatch.setattr(sys.stdin, 'isatty', lambda: True, raising=False)

    assert plait_chat('shop_agents:parrot') == 2
    assert 'A chat needs a terminal' in capsys.readouterr().err


def test_a_question_may_stand_on_the_standard_input(monkeypatch, capsys):
    """What is piped in is the question, or stands below the one that is given."""
    monkeypatch.setattr('plait_agent._chat.conversation.Conversation.ask', said_back)
    monkeypatch.setattr(sys, 'stdin', io.StringIO('some text\n'))
    assert plait_chat('-m', 'test') == 0
    monkeypatch.setattr(sys, 'stdin', io.StringIO('some text\n'))
    assert plait_chat('-m', 'test', 'What is it?') == 0

    assert capsys.readouterr().out == 'some text\nWhat is it?\n\nsome text\n'


async def said_back(_conversation, prompt, _audience):
    """Answer with the prompt."""
    return prompt


def test_dependencies_are_made(capsys):
    """What --deps names is called, and tools are given what it gives."""
    assert plait_chat('shop_agents:keeper', 'where are we', '--deps', 'shop_agents:make_shop') == 0
    assert 'the tea shop' in capsys.readouterr().out


def test_an_answer_that_fails(capsys):
    """A run that fails is told in a line on the standard error, and the status is 1."""
    assert plait_chat('shop_agents:lost', 'are you there') == 1

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ('', 'plait: ConnectionError: the line is dead\n')


def test_another_model(capsys):
    """--model takes the place of the agent's."""
    assert plait_chat('shop_agents:lost', 'are you there', '--model', 'test') == 0
    assert capsys.readouterr().out == 'success (no tool calls)\n'


def test_a_question_to_a_chat_that_is_kept(capsys):
    """A question that resumes a chat is answered with what was said before, and kept with it."""
    session = Session(sessions_folder() / 'mine.json')
    session.save([ModelRequest.user_text_prompt('before')])

    assert plait_chat('-m', 'test', '--resume', 'mine', 'and now?') == 0
    assert plait_chat('-m', 'test', 'and then?', '--resume') == 0
    assert plait_chat('--resume', 'one_agent.py', 'and at last?') == 0

    assert [message.kind for message in session.load()] == ['request', *['request', 'response'] * 3]


def test_list(capsys):
    """--list shows the chats that are kept, with what they began with; one that is damaged is no hindrance."""
    assert plait_chat('--list') == 0
    Session(sessions_folder() / 'mine.json').save([ModelRequest.user_text_prompt('How much\nis the tea?')])
    (sessions_folder() / 'broken.json').write_text('{')
    assert plait_chat('--list') == 0

    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith('No chats are kept in')
    assert sorted(line.split()[0] for line in others) == ['broken', 'mine']
    assert any(line.endswith('How much is the tea?') for line in others)
