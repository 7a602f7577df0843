"""What the user types: prompts with a history, several lines, completion, and answers to questions.

prompt-toolkit runs on asyncio alone, and so does the chat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from plait_agent._chat.folder import private_file
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output


class Reader:
    """Reads what the user types.

    Enter sends, Alt-Enter begins a new line; with `is_multiline` it is the other way round. Ctrl-C clears the line,
    and the second one in a row, or Ctrl-D, ends the chat.

    Args:
        commands: The commands that are completed, with what they do.
        history_file: Where prompts are kept for the arrow keys; `None` for in memory alone.
        keyboard: Where keys come from, if not from the terminal.
        output: Where the prompt is drawn, if not on the terminal.
    """

    def __init__(
        self,
        commands: Mapping[str, str],
        *,
        history_file: Path | None = None,
        keyboard: Input | None = None,
        output: Output | None = None,
    ):
        self.is_multiline = False
        self._prompts = PromptSession[str](
            history=_history(history_file),
            completer=Commands(commands),
            complete_while_typing=Condition(self._is_command),
            multiline=True,  # which key sends is decided below
            prompt_continuation=FormattedText([('ansigreen', '· ')]),
            key_bindings=self._keys(),
            input=keyboard,
            output=output,
        )
        self._questions = PromptSession[str](input=keyboard, output=output)

    async def read(self) -> str | None:
        """Wait for what the user says; `None` if that is the end of the chat."""
        was_interrupted = False
        while True:
            try:
                return await self._prompts.prompt_async(FormattedText([('ansigreen bold', '> ')]))
            except EOFError:
                return None
            except KeyboardInterrupt:
                if was_interrupted and not self._prompts.default_buffer.text:
                    return None
                was_interrupted = True

    async def question(self, words: str) -> str | None:
        """Ask the user something; `None` if there is no answer but Ctrl-C or Ctrl-D."""
        try:
            return await self._questions.prompt_async(FormattedText([('ansiyellow', words)]))
        except (EOFError, KeyboardInterrupt):
            return None

    def _is_command(self) -> bool:
        return self._prompts.default_buffer.text.startswith('/')

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def send(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        def begin_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text('\n')

        def enter(event: KeyPressEvent) -> None:
            (begin_line if self._enter_begins_line() else send)(event)

        def alt_enter(event: KeyPressEvent) -> None:
            (send if self._enter_begins_line() else begin_line)(event)

        keys.add('enter')(enter)
        keys.add('escape', 'enter')(alt_enter)
        keys.add('c-j')(begin_line)
        return keys

    def _enter_begins_line(self) -> bool:
        return self.is_multiline and not self._is_command()


class Commands(Completer):
    """Completes commands, and for two of them what comes after.

    Args:
        commands: The commands, with what they do.
    """

    def __init__(self, commands: Mapping[str, str]):
        self._commands = commands
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the text before the cursor could become."""
        text = document.text_before_cursor
        command, blank, rest = text.partition(' ')
        if not text.startswith('/'):
            return
        if not blank:
            for name, what in self._commands.items():
                if name.startswith(text):
                    yield Completion(name, start_position=-len(text), display_meta=what)
        elif command == '/model':
            yield from (Completion(name, start_position=-len(rest)) for name in _models() if name.startswith(rest))
        elif command == '/save':
            yield from self._paths.get_completions(Document(rest), complete_event)


def check_loop() -> None:
    """See whether there is an event loop that the chat can run on.

    Raises:
        UserError: It is not that of asyncio.
    """
    if not anyio.get_cancelled_exc_class().__module__.startswith('asyncio'):
        raise UserError(
            'A chat in the terminal runs on asyncio, since prompt-toolkit does, and this is another event loop. '
            'Call agent.to_cli_sync() outside of it.'
        )


def _history(path: Path | None) -> History:
    if path is None:
        return InMemoryHistory()
    try:
        return FileHistory(str(private_file(path)))
    except OSError:  # a chat is possible without it
        return InMemoryHistory()


def _models() -> Iterable[Any]:
    from typing import get_args

    from plait_agent.models import KnownModelName

    return get_args(getattr(KnownModelName, '__value__', KnownModelName))
