"""The chat: reads what the user says, has it answered, keeps what was said, and obeys commands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from plait_agent._chat.asking import decide
from plait_agent._chat.attending import attend
from plait_agent._chat.commands import COMMANDS, explained, is_unknown_command
from plait_agent._chat.conversation import Conversation
from plait_agent._chat.reader import Reader, check_loop
from plait_agent._chat.screen import Screen
from plait_agent._chat.sessions import Session
from plait_agent._chat.transcript import show_messages
from plait_agent._chat.turns import last_prompt
from plait_agent._chat.wording import error_text, one_line, seconds_text, traceback_text, visible
from plait_agent.tools import DeferredToolRequests

if TYPE_CHECKING:
    from plait_agent._chat.commands import Turn
    from plait_agent.agent import AbstractAgent
    from plait_agent.messages import ModelMessage


class Chat:
    """A conversation in a terminal.

    Args:
        conversation: What is said.
        screen: Where it is shown.
        reader: Where the user types.
        session: Where it is kept; `None` for nowhere.
        command: The command line that resumes it, but for its name.
        debug: Whether errors are shown with their tracebacks.
    """

    def __init__(
        self,
        conversation: Conversation,
        screen: Screen,
        reader: Reader,
        *,
        session: Session | None = None,
        command: str = '',
        debug: bool = False,
    ):
        self.conversation = conversation
        self.session = session
        self.screen = screen
        self.reader = reader
        self._command = command
        self._debug = debug
        self.is_over = False
        """Whether the user wants to end it."""
        self.written = set[Path]()
        """Files that this chat has written, so that it may write them again."""

    async def talk(self) -> None:
        """Go on until the user ends it."""
        while not self.is_over and (text := await self.reader.read()) is not None:
            if text.strip():
                await self._handle(text)
        self._say_farewell()

    def greet(self, program: str) -> None:
        """Show who answers, and what was said last if this goes on with an earlier chat."""
        conversation = self.conversation
        who = [each for each in (conversation.agent.name, conversation.model_name) if each]
        words = f'{program}: {" · ".join(map(visible, who))}' if who else program
        self.screen.show_note(f'{words}\n/help shows commands and keys, Ctrl-D ends the chat.')
        last = last_prompt(conversation.messages)
        if last is not None:
            if last[0]:
                self.screen.show_note(f'{last[0]} earlier messages; /history shows them.')
            show_messages(conversation.messages[last[0] :], self.screen)

    async def _handle(self, text: str) -> None:
        word, _, rest = text.partition(' ')
        command = COMMANDS.get(word.strip())
        if command is not None:
            turn = command.obey(self, rest.strip())
        elif is_unknown_command(word):
            turn = None
            self.screen.show_error(
                f'There is no command {word!r}.', '/help shows them; a blank before it lets it pass.'
            )
        else:
            turn = partial(self.conversation.ask, text.strip(), self.screen)
        if turn is not None:
            await self._take_turn(turn)

    # Turns

    async def _take_turn(self, ask: Turn) -> None:
        """Have something answered, decide about calls until none waits, and keep what was said."""
        turn: Turn | None = ask
        try:
            while turn is not None:
                output = await self._answer(turn)
                turn = await self._decide(output) if isinstance(output, DeferredToolRequests) else None
        finally:
            self._keep()

    async def _answer(self, ask: Turn) -> Any:
        """Show an answer while it comes; `None` if it has been stopped or has failed, which is shown too."""
        started = self.screen.now()
        with self.screen.answering():
            answer = await attend(ask, self.screen.beat)
        if answer.was_stopped:
            self.screen.show_note('Stopped. /retry asks again.', 'yellow')
            return None
        if answer.failure is not None:
            self._show_failure(answer.failure)
            return None
        if not isinstance(answer.value, DeferredToolRequests) and not self.screen.has_shown(answer.value):
            self.screen.show_output(answer.value)
        self._show_spent(seconds_text(self.screen.now() - started))
        return answer.value

    async def _decide(self, requests: DeferredToolRequests) -> Turn | None:
        results = await decide(requests, self.reader, self.screen)
        if results is None:
            self.conversation.close_calls()
            self.screen.show_note('Not decided; the calls are not made.', 'yellow')
            return None
        return partial(self.conversation.ask, None, self.screen, results)

    def _show_spent(self, took: str) -> None:
        name = self.conversation.model_name
        words = [*([visible(name)] if name else []), str(self.conversation.last_spent), took]
        self.screen.show_note(' · '.join(words))

    def _show_failure(self, error: Exception) -> None:
        if self._debug:
            self.screen.show_note(traceback_text(error))
        self.screen.show_error(error_text(error), '/retry asks again.')

    def _keep(self) -> None:
        if self.session is None or not self.conversation.messages:
            return
        try:
            self.session.save(self.conversation.messages)
        except OSError as error:
            self.screen.show_error(f'The chat could not be kept: {one_line(error)}', '/save FILE writes it elsewhere.')

    def _say_farewell(self) -> None:
        if self.conversation.spent.usage.requests:
            self.screen.show_note(f'In all: {self.conversation.spent}')
        if self.session is not None and self.session.path.exists():
            self.screen.show_note(f'Kept. To go on: {self._command} --resume {quote(self.session.name)}')


async def chat_with(
    agent: AbstractAgent[Any, Any], deps: Any, prog_name: str, message_history: Sequence[ModelMessage] | None
) -> None:
    """Chat with an agent of a program's own; nothing is kept in files.

    Raises:
        UserError: The event loop is not that of asyncio, or the agent has no model.
    """
    check_loop()
    conversation = Conversation(agent, deps=deps, messages=message_history or ())
    conversation.check()
    chat = Chat(conversation, Screen(Console(highlight=False)), Reader(explained()))
    chat.greet(prog_name)
    await chat.talk()
