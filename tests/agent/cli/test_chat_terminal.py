"""The chat in a real terminal: keys are typed, words come, Ctrl-C is pressed in the middle of an answer."""

import os
import sys
import time

import pytest

pty = pytest.importorskip('pty', reason='needs a pseudo-terminal')
termios = pytest.importorskip('termios', reason='needs a terminal of Unix')

AGENTS = """
import asyncio
import threading

from plait_agent import Agent
from plait_agent.models.function import DeltaToolCall, FunctionModel


async def stream(messages, info):
    yield f'Answer {len(messages)} begins. '
    if messages[-1].parts[-1].content == 'endless':
        await asyncio.Event().wait()
    yield 'It ends.'


endless = Agent(FunctionModel(stream_function=stream, model_name='streaming'))


async def calling(messages, info):
    yield {0: DeltaToolCall('block', '{}')}


blocked = Agent(FunctionModel(stream_function=calling))


@blocked.tool_plain
def block():
    threading.Event().wait()
"""
DEADLINE = 40


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command, environment):
        self.process, self.keyboard = pty.fork()
        if self.process == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ''

    def type(self, keys):
        """Press keys."""
        os.write(self.keyboard, keys.encode())

    def wait_for(self, words):
        """Read until these words have come; what came before them is forgotten."""
        deadline = time.monotonic() + DEADLINE
        while words not in self.seen:
            assert time.monotonic() < deadline, f'{words!r} has not come: {self.seen!r}'
            try:
                self.seen += os.read(self.keyboard, 10_000).decode(errors='replace')
            except OSError:  # the program has ended
                pytest.fail(f'{words!r} has not come: {self.seen!r}')
        self.seen = self.seen.partition(words)[2]

    def wait_for_end(self):
        """Read until the program ends, and give its status."""
        try:
            while os.read(self.keyboard, 10_000):
                pass
        except OSError:  # how Linux says that nobody is at the other end any more
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@pytest.fixture
def open_chat(tmp_path):
    """Begins a chat in a terminal, with one of the agents above."""
    (tmp_path / 'agents.py').write_text(AGENTS)
    program = 'from plait_agent._cli import main; main()'
    environment = {**os.environ, 'TERM': 'xterm', 'COLUMNS': '80', 'LINES': '24', 'PYTHONUTF8': '1'}
    opened = []

    def begin(agent):
        reference = f'{tmp_path / "agents.py"}:{agent}'
        opened.append(Terminal([sys.executable, '-W', 'error', '-c', program, 'chat', reference], environment))
        opened[-1].wait_for('/help shows')
        opened[-1].wait_for('> ')
        return opened[-1]

    yield begin
    for terminal in opened:
        os.close(terminal.keyboard)


def test_a_chat_in_a_terminal(open_chat, data_folder):
    """An answer that is stopped stays as far as it came, the next one comes, arrows work, and Ctrl-D ends it all."""
    terminal = open_chat('endless')
    terminal.type('endless\r')
    terminal.wait_for('Answer 1 begins.')
    terminal.type('\x03')
    terminal.wait_for('Stopped.')
    terminal.wait_for('> ')
    terminal.type('go on\r')
    terminal.wait_for('Answer 3 begins. It ends.')
    terminal.wait_for('> ')
    terminal.type('\x1b[A')
    terminal.wait_for('go on')
    terminal.type('\r')
    terminal.wait_for('Answer 5 begins. It ends.')
    terminal.wait_for('> ')
    terminal.type('\x04')
    terminal.wait_for('Kept. To go on:')

    assert terminal.wait_for_end() == 0
    assert (data_folder / 'prompts').read_text().count('+go on') == 1
    assert len(list((data_folder / 'chats').iterdir())) == 1


def test_a_tool_that_cannot_be_stopped_can_be_left(open_chat):
    """A tool that blocks in its thread is waited for; the third Ctrl-C leaves the program."""
    terminal = open_chat('blocked')
    terminal.type('go\r')
    terminal.wait_for('block()')
    terminal.type('\x03')
    terminal.wait_for('twice more')
    terminal.type('\x03')
    terminal.wait_for('once more')
    terminal.type('\x03')

    assert terminal.wait_for_end() == 130
    assert termios.tcgetattr(terminal.keyboard)[3] & termios.ECHO
