"""The lower end of the screen while an answer comes: the block that grows, and what is being done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.text import Text

from plait_agent._chat.markdown import drawn
from plait_agent._chat.wording import seconds_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_LINES_BELOW = 3
"""The blank line above the status, the status, and the line that the cursor stands in."""
_FRAMES, _SECONDS_A_FRAME = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏', 0.1
"""What turns while somebody waits."""
_PATIENCE = 1
"""After how many seconds it is said how long something takes."""


class Tail:
    """Draws the last lines of a text, and below them what is being done and for how long."""

    def __init__(self) -> None:
        self.status = ''
        self._text = ''
        self._is_thought = False
        self._since = self._now = 0.0

    def begin(self, status: str, now: float) -> None:
        """Say what is being done from now on."""
        self.status, self._since, self._now = status, now, now

    def show(self, text: str, now: float, *, is_thought: bool = False) -> None:
        """Draw another text from now on."""
        self._text, self._now, self._is_thought = text, now, is_thought

    def end(self) -> None:
        """Draw nothing from now on."""
        self.status = self._text = ''

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._text.strip():
            yield Text()
            yield from self._last_lines(console, options)
        if self.status:
            yield Text()
            waited = self._now - self._since
            took = f' {seconds_text(waited)}' if waited >= _PATIENCE else ''
            frame = _FRAMES[int(waited / _SECONDS_A_FRAME) % len(_FRAMES)]
            yield Text.assemble((frame, 'cyan'), (f' {self.status}{took}', 'dim'), no_wrap=True, overflow='ellipsis')

    def _last_lines(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(1, console.height - _LINES_BELOW - 1)
        lines = console.render_lines(self._renderable(room), options.update(height=None), pad=False)
        for line in lines[-room:]:
            yield from line
            yield Segment.line()

    def _renderable(self, room: int) -> RenderableType:
        """The text, or its end: nobody sees more lines than there is room for, and colouring them takes time."""
        lines = self._text.split('\n')
        is_code = self._text.lstrip(' ').startswith(('```', '~~~'))
        if is_code and len(lines) > room:
            lines = [lines[0], *lines[-room:]]
        return drawn('\n'.join(lines), is_thought=self._is_thought)
