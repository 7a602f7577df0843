"""One question and its answer, without a chat around it."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from plait_agent._chat.attending import attend
from plait_agent._chat.screen import Screen, as_json
from plait_agent._chat.wording import call_text, error_text, traceback_text
from plait_agent.messages import BinaryContent
from plait_agent.tools import DeferredToolRequests

if TYPE_CHECKING:
    from rich.console import Console

    from plait_agent._chat.conversation import Conversation

OK, FAILED, STOPPED = 0, 1, 130
"""How a program ends."""


async def answer_once(
    conversation: Conversation, prompt: str, *, console: Console, errors: Console, debug: bool, thinking: bool
) -> int:
    """Ask once, and print the answer; gives the status to end with.

    On a terminal the answer is shown as it comes, with the calls of tools. Anywhere else it is printed when it is
    complete, and nothing but it: text as the model wrote it, data as JSON.
    """
    screen = Screen(console, shows_thinking=thinking) if console.is_terminal else None
    ask = partial(conversation.ask, prompt, screen or _Nobody())
    with nullcontext() if screen is None else screen.answering():
        answer = await attend(ask, _see_nothing if screen is None else screen.beat)
    if answer.was_stopped:
        _say(errors, 'plait: stopped')
        return STOPPED
    if answer.failure is not None:
        if debug:
            _say(errors, traceback_text(answer.failure))
        _say(errors, f'plait: {error_text(answer.failure)}')
        return FAILED
    return _print_output(answer.value, screen, console, errors)


def _print_output(output: object, screen: Screen | None, console: Console, errors: Console) -> int:
    if isinstance(output, DeferredToolRequests):
        calls = ', '.join(map(call_text, [*output.approvals, *output.calls]))
        _say(errors, f'plait: Nobody can be asked about {calls} here. Ask in a chat: leave the question out.')
        return FAILED
    if screen is None:
        _print_plainly(output, console)
    elif not screen.has_shown(output):
        screen.show_output(output)
    return OK


class _Nobody:
    """Is told what happens, and shows nothing of it."""

    def hear(self, event: Any) -> None:
        """Nothing is done."""

    def hear_request(self) -> None:
        """Nothing is done."""

    def show_result(self, part: Any) -> None:
        """Nothing is done."""


def _see_nothing(_interrupts: int) -> None:
    """Nothing is drawn."""


def _print_plainly(output: object, console: Console) -> None:
    if isinstance(output, BinaryContent):
        file: Any = getattr(console.file, 'buffer', None)
        if file is not None:
            file.write(output.data)
            file.flush()
        return
    _say(console, output if isinstance(output, str) else as_json(output))


def _say(console: Console, text: str) -> None:
    """Print a text as it is: not wrapped, not coloured."""
    console.file.write(f'{text}\n')
    console.file.flush()
