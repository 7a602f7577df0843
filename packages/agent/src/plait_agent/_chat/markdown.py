"""Blocks of Markdown as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

from plait_agent._chat.blocks import markdown_parser

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class _LeftHeading(Heading):
    """A heading where the text begins, whatever its level."""

    LEVEL_ALIGN: ClassVar = dict.fromkeys(Heading.LEVEL_ALIGN, 'left')


class _Code(CodeBlock):
    """Code on the terminal's own background: what is copied from it has no blank lines around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(
            code, self.lexer_name, theme='ansi_dark', background_color='default', word_wrap=True, padding=(0, 2)
        )


class _Markdown(Markdown):
    """Markdown whose links show where they lead, and whose HTML is shown as it was written."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        'heading_open': _LeftHeading,
        'fence': _Code,
        'code_block': _Code,
    }

    def __init__(self, text: str):
        super().__init__('', hyperlinks=False)
        self.markup = text
        self.parsed = markdown_parser().parse(text)


class Block:
    """A piece of Markdown, without the blank lines that lists and tables put around themselves.

    Args:
        text: The piece.
    """

    def __init__(self, text: str):
        self._markdown = _Markdown(text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._markdown, options.update(height=None), pad=False)
        while lines and _is_blank(lines[0]):
            lines.pop(0)
        while lines and _is_blank(lines[-1]):
            lines.pop()
        for line in lines:
            yield from line
            yield Segment.line()


def drawn(text: str, *, is_thought: bool) -> Block | Text:
    """A piece of an answer, or of what the model thought before it."""
    return Text(text, 'dim italic') if is_thought else Block(text)


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)
