"""Chats that are kept: one file each, with the messages as JSON and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from plait_agent._chat.folder import data_folder, private_folder, write_private
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage


@dataclass(frozen=True, slots=True)
class Session:
    """A chat that is kept in a file."""

    path: Path

    @property
    def name(self) -> str:
        """What it is resumed by: the name of its file, or all of the path if it lies elsewhere."""
        return self.path.stem if self.path.parent == sessions_folder() else str(self.path)

    def save(self, messages: Sequence[ModelMessage]) -> None:
        """Write the messages in the place of those that were there.

        Raises:
            OSError: The file cannot be written.
        """
        private_folder(self.path.parent)
        write_messages(self.path, messages)

    def load(self) -> list[ModelMessage]:
        """Read the messages.

        Raises:
            UserError: The file cannot be read, or has no messages.
        """
        from plait_agent.messages import ModelMessagesTypeAdapter

        try:
            return ModelMessagesTypeAdapter.validate_json(self.path.read_bytes())
        except OSError as error:
            raise UserError(f'The chat {str(self.path)!r} cannot be read: {error.strerror}.') from error
        except ValueError as error:
            raise UserError(
                f'The file {str(self.path)!r} has no messages of a chat. Give one that a chat has saved; '
                f'plait chat --list names them.'
            ) from error


def sessions_folder() -> Path:
    """The folder of the chats that are kept."""
    return data_folder() / 'chats'


def new_session(label: str) -> Session:
    """A chat that is to be kept, named after an agent and the time; its file is not there yet."""
    label = re.sub(r'[^\w-]+', '-', label).strip('-') or 'chat'
    name = f'{label}-{datetime.now().astimezone():%Y%m%d-%H%M%S}'
    folder, number = sessions_folder(), 1
    path = folder / f'{name}.json'
    while path.exists():
        number += 1
        path = folder / f'{name}-{number}.json'
    return Session(path)


def saved_sessions() -> list[Session]:
    """The chats that are kept, the latest first."""
    paths = [path for path in sessions_folder().glob('*.json') if not path.name.startswith('.')]
    return [Session(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def find_session(name: str | None) -> Session:
    """A chat that is kept, by its name or by the path of its file; the latest if neither is given.

    Raises:
        UserError: There is no such chat.
    """
    if name is None:
        latest = saved_sessions()[:1]
        if not latest:
            raise UserError(f'There is no chat to be resumed in {str(sessions_folder())!r}. Begin one: plait chat')
        return latest[0]
    for path in (sessions_folder() / f'{name}.json', Path(name).expanduser()):
        if path.is_file():
            return Session(path)
    raise UserError(f'There is no chat {name!r}{_near(name)}. plait chat --list names those that are kept.')


def first_prompt(messages: Sequence[ModelMessage]) -> str:
    """What a chat began with, in one line."""
    from plait_agent._chat.turns import prompt_text

    prompts = (part for message in messages for part in message.parts if part.part_kind == 'user-prompt')
    first = next(prompts, None)
    return '' if first is None else ' '.join(prompt_text(first.content).split())


def write_messages(path: Path, messages: Sequence[ModelMessage]) -> None:
    """Write messages as JSON.

    Raises:
        OSError: The file cannot be written.
    """
    from plait_agent.messages import ModelMessagesTypeAdapter

    write_private(path, ModelMessagesTypeAdapter.dump_json(list(messages)))


def _near(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [session.name for session in saved_sessions()], n=1)
    return f'; is {near[0]!r} meant?' if near else ''
