"""What tests of the chat are made of: models that wait, a screen that is a text, keys that are a text."""

import io
import signal
from contextlib import contextmanager

import anyio
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from plait_agent import Agent
from plait_agent._chat.chat import Chat
from plait_agent._chat.commands import explained
from plait_agent._chat.conversation import Conversation
from plait_agent._chat.reader import Reader
from plait_agent._chat.screen import Screen
from plait_agent.messages import ModelResponse, TextPart, UserPromptPart
from plait_agent.models.function import FunctionModel
from plait_agent.usage import RequestUsage

CTRL_C, CTRL_D, ENTER, ALT_ENTER = '\x03', '\x04', '\r', '\x1b\r'


class Silence:
    """An audience that keeps what it hears."""

    def __init__(self):
        self.heard, self.refused = [], []

    def hear(self, event):
        self.heard.append(event)

    def hear_request(self):
        self.heard.append('request')

    def show_result(self, part):
        self.refused.append(part)


def echoing(name='echo'):
    """An agent whose model repeats the last prompt, and uses 50 tokens for it and 3 for the answer."""

    def answer(messages, _info):
        used = RequestUsage(input_tokens=50, output_tokens=3)
        return ModelResponse([TextPart(f'You said {last_prompt_of(messages)}.')], usage=used)

    return Agent(FunctionModel(answer, model_name=name), name='parrot')


def last_prompt_of(messages):
    """What the user said last."""
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return prompts[-1].content


def stopping_after(*texts):
    """A model that streams texts, has Ctrl-C pressed, and waits for ever."""

    async def stream(_messages, _info):
        for text in texts:
            yield text
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    return FunctionModel(stream_function=stream, model_name='waiting')


def answering(*answers):
    """A model that gives these parts or errors, one after the other."""
    left = iter(answers)

    async def answer(_messages, _info):
        parts = next(left)
        if isinstance(parts, Exception):
            raise parts
        return ModelResponse([TextPart(parts)] if isinstance(parts, str) else parts)

    return FunctionModel(answer, model_name='scripted')


def paper(width=80, **options):
    """A console that writes into a text."""
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


@contextmanager
def chatting(agent, keys, **options):
    """A chat in which these keys are pressed, and what it shows."""
    with create_pipe_input() as keyboard:
        keyboard.send_text(keys)
        console = paper(width=100)
        reader = Reader(explained(), keyboard=keyboard, output=DummyOutput())
        conversation = options.pop('conversation', None) or Conversation(agent)
        chat = Chat(conversation, Screen(console), reader, **options)
        chat.keyboard = keyboard
        yield chat


async def talk(agent, *lines, **options):
    """Chat with an agent, saying these lines; gives the chat, and what it showed."""
    with chatting(agent, ''.join(f'{line}{ENTER}' for line in lines) + CTRL_D, **options) as chat:
        await chat.talk()
        return chat, shown(chat)


def shown(chat):
    """All that a chat has shown, without blank lines."""
    return '\n'.join(line.rstrip() for line in chat.screen.console.file.getvalue().splitlines() if line.strip())
