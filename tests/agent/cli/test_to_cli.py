"""Chats that a program begins itself."""

import subprocess
import sys

import anyio
import pytest
from chat_parts import CTRL_D, ENTER, answering, echoing
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from plait_agent import (
    Agent,
    ModelRequest,
    ModelResponse,
    RunContext,
    TextPart,
    ToolCallPart,
    UserError,
    WrapperAgent,
)


@pytest.fixture
def typed():
    """What the user types into the chat that a test begins."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        yield keyboard


@pytest.mark.parametrize('wrap', [lambda agent: agent, WrapperAgent])
async def test_an_agent_chats(wrap, typed, capsys, data_folder):
    """An agent, wrapped or not, answers in the terminal, under the program's name, and keeps nothing in files."""
    typed.send_text(f'hello{ENTER}{CTRL_D}')

    await wrap(echoing()).to_cli(prog_name='shop')

    shown = capsys.readouterr().out
    assert 'shop: parrot' in shown
    assert 'You said hello.' in shown
    assert not data_folder.exists()


def test_from_synchronous_code(typed, capsys, thread_loop):
    """The same without `await`, with dependencies, and a history that is gone on with."""
    agent = Agent(answering([ToolCallPart('look', {}, '1')], 'seen'), deps_type=str)
    seen = []

    @agent.tool
    def look(ctx: RunContext[str]) -> str:
        seen.append((ctx.deps, len(ctx.messages)))
        return ctx.deps

    history = [ModelRequest.user_text_prompt('before'), ModelResponse([TextPart('what was said')])]
    typed.send_text(f'hello{ENTER}{CTRL_D}')

    agent.to_cli_sync(deps='the shop', message_history=history)

    assert seen == [('the shop', 4)]
    assert 'what was said' in capsys.readouterr().out
    assert len(history) == 2


async def test_an_agent_without_a_model(typed):
    """An agent that nobody has given a model refuses at once."""
    with pytest.raises(UserError, match='model'):
        await Agent().to_cli()


def test_another_event_loop():
    """On trio the chat says what it needs, and what to do."""
    with pytest.raises(UserError, match=r'runs on asyncio.*to_cli_sync'):
        anyio.run(echoing().to_cli, backend='trio')


@pytest.mark.parametrize('package', ['rich', 'prompt_toolkit'])
def test_without_the_extra(package, monkeypatch):
    """Where a package is missing, the error says what to install."""
    for name in [name for name in sys.modules if name.startswith('plait_agent._chat')]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition('.')[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ImportError, match=r"pip install 'plait-agent\[cli\]'"):
        anyio.run(echoing().to_cli)


def test_what_a_chat_needs_is_imported_by_a_chat_alone():
    """Importing agents imports nothing of the terminal."""
    program = (
        'import sys; from plait_agent import Agent; Agent("test"); '
        'print({"rich", "prompt_toolkit", "cyclopts", "markdown_it"} & sys.modules.keys())'
    )

    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)

    assert done.stdout == 'set()\n'
