"""An answer on the screen while it comes: what is complete is printed for good, and the rest is drawn again and again.

Only the block that still grows is redrawn, and of that no more than fits on the screen, so that long answers scroll as
if they had been there at once. Everything is drawn from the event loop: no thread looks on while the text changes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.text import Text

from plait_agent._chat.attending import LAST_INTERRUPT
from plait_agent._chat.blocks import Blocks
from plait_agent._chat.markdown import drawn
from plait_agent._chat.tail import Tail
from plait_agent._chat.wording import call_text, result_text, seconds_text, short_lines, visible
from plait_agent.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    RetryPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Screen:
    """Shows what happens in a chat.

    Args:
        console: Where it is shown.
        shows_thinking: Whether what the model thinks is shown.
        clock: Gives seconds.
    """

    def __init__(
        self, console: Console, *, shows_thinking: bool = True, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.console = console
        self.shows_thinking = shows_thinking
        self._clock = clock
        self._blocks = Blocks()
        self._is_thought = False
        """Whether what grows is a thought."""
        self._tail = Tail()
        self._live: Live | None = None
        self._begun: dict[str, float] = {}
        """When the calls that are being made have begun, by their ids."""
        self._said = ''
        """The text of the last answer, as the model wrote it."""
        self._is_below_call = False
        """Whether the last thing on the screen is a call, or what came of one."""

    # An answer

    @contextmanager
    def answering(self) -> Generator[None]:
        """Draw what comes within the block, and leave all of it on the screen."""
        self._tail.begin('waiting', self._clock())
        self._live = Live(
            self._tail, console=self.console, auto_refresh=False, transient=True, vertical_overflow='visible'
        )
        with self._live:
            try:
                yield
            finally:
                self.settle()
                self._begun.clear()
                self._tail.end()
        self._live = None

    def beat(self, interrupts: int = 0) -> None:
        """Print what is complete, and draw the rest anew; `interrupts` is how often Ctrl-C was pressed."""
        if interrupts:
            left = 'once more' if interrupts >= LAST_INTERRUPT - 1 else 'twice more'
            self._tail.status = f'stopping (Ctrl-C {left} leaves the program)'
        for block in self._blocks.take():
            self._print(drawn(block, is_thought=self._is_thought))
        self._tail.show(self._blocks.rest, self._clock(), is_thought=self._is_thought)
        if self._live is not None:
            self._live.refresh()

    def settle(self) -> None:
        """Print what grew: there is no more to come of it."""
        self._tail.show('', self._clock())
        for block in self._blocks.take_all():
            self._print(drawn(block, is_thought=self._is_thought))

    def hear(self, event: Any) -> None:
        """Show an event of a run."""
        match event:
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                self._grow(text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
                self._grow(text or '', is_thought=True)
            case PartStartEvent(part=part):
                self._start(part)
            case PartEndEvent(part=BuiltinToolCallPart() as call):
                self._begin_call(call)
            case PartEndEvent():
                self.settle()
            case FunctionToolCallEvent(part=call):
                self._begin_call(call)
            case FunctionToolResultEvent(result=result):
                self.show_result(result)
            case _:
                pass

    def hear_request(self) -> None:
        """Show that the model is asked."""
        self._said = ''
        self._tail.begin('waiting', self._clock())

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock()

    def has_shown(self, output: object) -> bool:
        """Whether an output stands on the screen already: it is the text that has come."""
        return isinstance(output, str) and output.strip() == self._said.strip()

    def _start(self, part: Any) -> None:
        self.settle()
        match part:
            case TextPart(content=text):
                self._tail.begin('writing', self._clock())
                self._grow(text)
            case ThinkingPart(content=text):
                self._tail.begin('thinking', self._clock())
                self._grow(text, is_thought=True)
            case ToolCallPart(tool_name=name):
                self._tail.begin(f'writing a call of {visible(name)}', self._clock())
            case BuiltinToolReturnPart():
                self.show_result(part)
            case FilePart(content=content):
                self.show_file(content)
            case _:
                pass

    def _grow(self, text: str, *, is_thought: bool = False) -> None:
        self._is_thought = is_thought
        if not is_thought:
            self._said += text
        if self.shows_thinking or not is_thought:
            self._blocks.add(visible(text))

    def _begin_call(self, call: Any) -> None:
        self.settle()
        self._begun[call.tool_call_id] = self._clock()
        count = len(self._begun)
        self._tail.begin('calling a tool' if count == 1 else f'calling {count} tools', self._clock())
        self.show_call(call)

    # What else is shown

    def show_call(self, call: BaseToolCallPart) -> None:
        """Show a call of a tool."""
        self._print(Text.assemble(('⚙ ', 'cyan'), (call_text(call), 'bold')), is_call=True)

    def show_result(self, part: BaseToolReturnPart | RetryPromptPart) -> None:
        """Show what came of a call, or why the model is asked to answer again."""
        begun = self._begun.pop(part.tool_call_id, None)
        is_retry = isinstance(part, RetryPromptPart)
        words = Text('  ↳ ', 'yellow' if is_retry else 'cyan')
        words.append(visible(part.tool_name or 'answer'), 'cyan')
        if begun is not None:
            words.append(f' {seconds_text(self._clock() - begun)}', 'dim')
        words.append(' asked to try again: ' if is_retry else ': ', 'yellow' if is_retry else 'dim')
        words.append(_indented(result_text(part)), 'yellow' if is_retry else 'dim')
        self._print(words, is_call=True)

    def show_output(self, output: object) -> None:
        """Show what a run has ended with: text as Markdown, a file by its size, and data as JSON."""
        if isinstance(output, str):
            self.show_text(output)
            return
        if isinstance(output, BinaryContent):
            self.show_file(output)
            return
        from rich.syntax import Syntax

        self._print(Syntax(visible(as_json(output)), 'json', background_color='default', word_wrap=True))

    def show_file(self, file: BinaryContent) -> None:
        """Show that the model has made a file."""
        self._print(Text(f'[{visible(file.media_type)}, {len(file.data):,} bytes]', 'magenta'))

    def show_text(self, text: str) -> None:
        """Show a text as Markdown."""
        blocks = Blocks()
        blocks.add(visible(text))
        for block in blocks.take_all():
            self._print(drawn(block, is_thought=False))

    def show_thought(self, text: str) -> None:
        """Show what a model thought."""
        self._print(drawn(visible(text.strip()), is_thought=True))

    def show_prompt(self, text: str) -> None:
        """Show what the user said."""
        self._print(Text.assemble(('> ', 'bold green'), (short_lines(text), 'green')))

    def show_note(self, text: str, style: str = 'dim') -> None:
        """Show a note of the program."""
        self._print(Text(text, style))

    def show_explained(self, words: Mapping[str, str]) -> None:
        """Show what words mean."""
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_column(style='bold', no_wrap=True)
        for word, meaning in words.items():
            table.add_row(Text(word), Text(meaning))
        self._print(table)

    def show_error(self, text: str, remedy: str = '') -> None:
        """Show what went wrong, and below it what can be done."""
        words = Text(text, 'red')
        if remedy:
            words.append(f'\n{remedy}', 'dim')
        self._print(words)

    def _print(self, what: RenderableType, *, is_call: bool = False) -> None:
        """Print something below a blank line; calls, and what comes of them, stand together."""
        if not (is_call and self._is_below_call):
            self.console.print()
        self._is_below_call = is_call
        self.console.print(what)


def as_json(output: object) -> str:
    """Data as JSON that is pleasant to read."""
    from pydantic_core import to_json

    return to_json(output, indent=2, serialize_unknown=True, inf_nan_mode='constants').decode()


def _indented(text: str) -> str:
    return text.replace('\n', '\n    ')
