"""What can be said to the chat itself: words that begin with a slash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from plait_agent._chat.sessions import new_session, write_messages
from plait_agent._chat.transcript import show_messages
from plait_agent._chat.wording import error_text

if TYPE_CHECKING:
    from plait_agent._chat.chat import Chat

Turn: TypeAlias = Callable[[], Awaitable[Any]]
"""Has something answered."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that the chat does when it is told to."""

    what: str
    """What it does."""
    obey: Callable[[Chat, str], Turn | None]
    """Does it, given what stands behind the command; gives a turn if it needs an answer."""


def explained() -> dict[str, str]:
    """The commands, with what they do."""
    return {name: command.what for name, command in COMMANDS.items()}


def is_unknown_command(word: str) -> bool:
    """Whether a word looks like a command that is not known. A path may well begin a prompt."""
    return word.startswith('/') and '/' not in word[1:] and '\n' not in word and word not in COMMANDS


def _help(chat: Chat, _rest: str) -> None:
    chat.screen.show_explained(explained() | _KEYS)


def _model(chat: Chat, name: str) -> None:
    conversation = chat.conversation
    if not name:
        chat.screen.show_note(conversation.model_name or 'The model is not known before it has answered.')
        return
    from plait_agent.models import infer_model

    try:
        conversation.model = infer_model(name)
    except Exception as error:  # noqa: BLE001 # whatever a provider says of a name, a key or a package
        chat.screen.show_error(error_text(error), 'The model is still the one before.')
        return
    chat.screen.show_note(f'From now on {conversation.model_name} is asked.')


def _clear(chat: Chat, _rest: str) -> None:
    chat.conversation.clear()
    if chat.session is not None:
        chat.session = new_session(chat.conversation.agent.name or 'chat')
    chat.screen.show_note('A new conversation.')


def _usage(chat: Chat, _rest: str) -> None:
    chat.screen.show_note(f'In all: {chat.conversation.spent}')


def _history(chat: Chat, _rest: str) -> None:
    if chat.conversation.messages:
        show_messages(chat.conversation.messages, chat.screen)
    else:
        chat.screen.show_note('Nothing has been said.')


def _save(chat: Chat, name: str) -> None:
    if not name:
        chat.screen.show_error('The name of a file is missing.', 'Say /save FILE.')
        return
    path = Path(name).expanduser()
    if path.exists() and path not in chat.written:
        chat.screen.show_error(f'There is something at {str(path)!r} already.', 'Name another file.')
        return
    try:
        write_messages(path, chat.conversation.messages)
    except OSError as error:
        chat.screen.show_error(f'{str(path)!r} cannot be written: {error.strerror}.', 'Name another file.')
        return
    chat.written.add(path)
    chat.screen.show_note(f'{len(chat.conversation.messages)} messages are in {str(path)!r}.')


def _retry(chat: Chat, _rest: str) -> Turn:
    return partial(chat.conversation.retry, chat.screen)


def _thinking(chat: Chat, _rest: str) -> None:
    chat.screen.shows_thinking = is_shown = not chat.screen.shows_thinking
    chat.screen.show_note(f'What the model thinks is {"" if is_shown else "not "}shown.')


def _multiline(chat: Chat, _rest: str) -> None:
    chat.reader.is_multiline = is_on = not chat.reader.is_multiline
    chat.screen.show_note(
        'Enter begins a new line, Alt-Enter sends.' if is_on else 'Enter sends, Alt-Enter begins a new line.'
    )


def _exit(chat: Chat, _rest: str) -> None:
    chat.is_over = True


COMMANDS = {
    '/help': Command('show the commands and keys', _help),
    '/model': Command('ask another model from now on: /model NAME', _model),
    '/clear': Command('begin a new conversation', _clear),
    '/usage': Command('show what the chat has used and cost', _usage),
    '/history': Command('show what was said', _history),
    '/save': Command('write the messages to a file as JSON: /save FILE', _save),
    '/retry': Command('ask the last prompt again', _retry),
    '/thinking': Command('show what the model thinks, or do so no longer', _thinking),
    '/multiline': Command('let Enter begin a new line and Alt-Enter send, or the other way round', _multiline),
    '/exit': Command('end the chat', _exit),
}
_KEYS = {
    'Enter': 'sends; Alt-Enter (or Esc, Enter) and Ctrl-J begin a new line',
    'Up, Down': 'earlier prompts; Ctrl-R searches them',
    'Tab': 'completes a command',
    'Ctrl-C': 'stops an answer; at the prompt it clears the line, and the second one in a row ends the chat',
    'Ctrl-D': 'ends the chat',
}
