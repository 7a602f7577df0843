"""What the docstring of a tool says to a model: what the tool does, and what its parameters mean.

Most docstrings of tools are a sentence or two, which needs no parser; the parser is imported for the first that does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    import griffe

DocstringFormat: TypeAlias = Literal['google', 'numpy', 'sphinx', 'auto']
"""How a docstring is written; `'auto'` is found out."""

_SPHINX = re.compile(
    r'^:(param|parameter|arg|argument|key|keyword|type|var|ivar|cvar|vartype'
    r'|returns?|rtype|raises?|except|exception)\b[^:\n]*:',
    re.MULTILINE,
)
_NUMPY = re.compile(r'^\w[\w ]*\n-{3,}[ \t]*$', re.MULTILINE)
_MAY_HAVE_SECTIONS = re.compile(r'^\s*(:\w|-{3,}|\.\. |>>>|\w[\w \-]*:)', re.MULTILINE)
"""What a section of any format, or an example, begins with; and some text too, which then is parsed for nothing."""


@dataclass(frozen=True, slots=True)
class DocumentedFunction:
    """What a docstring says."""

    description: str | None = None
    """What the function does; `None` without a docstring."""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    """What its parameters mean, as far as it says so."""


def read_docstring(docstring: str | None, style: DocstringFormat) -> DocumentedFunction:
    """Take a docstring apart.

    The description is the text before the first section; what is returned is told in tags behind it, and other
    sections are for programmers and left out.
    """
    if docstring is None:
        return DocumentedFunction()
    text = cleandoc(docstring)
    if not _MAY_HAVE_SECTIONS.search(text):
        return DocumentedFunction(text.rstrip())
    return _read_sections(_parse(docstring, _style_of(text) if style == 'auto' else style))


def _style_of(text: str) -> Literal['google', 'numpy', 'sphinx']:
    if _SPHINX.search(text):
        return 'sphinx'
    return 'numpy' if _NUMPY.search(text) else 'google'


def _parse(raw: str, style: Literal['google', 'numpy', 'sphinx']) -> Sequence[griffe.DocstringSection]:
    import griffe

    docstring = griffe.Docstring(raw)  # cleans it itself: twice would take the indentation from a first section
    if style == 'google':
        return griffe.parse_google(docstring, returns_multiple_items=False, returns_named_value=False, warnings=False)
    if style == 'numpy':
        return griffe.parse_numpy(docstring, warnings=False)
    return griffe.parse_sphinx(docstring, warnings=False)


def _read_sections(sections: Sequence[griffe.DocstringSection]) -> DocumentedFunction:
    # The values of sections have as many types as there are kinds, and griffe does not tie the two together.
    values: dict[str, Any] = {}
    for section in sections:
        values.setdefault(section.kind.value, section.value)
    description = values['text'].strip() if sections and sections[0].kind.value == 'text' else ''
    described = {each.name.lstrip('*'): each.description.strip() for each in values.get('parameters', ())}
    parameters = {name: description for name, description in described.items() if description}
    if 'returns' in values:
        description = _with_returns(description, values['returns'][0])
    return DocumentedFunction(description, parameters)


def _with_returns(summary: str, returns: griffe.DocstringReturn) -> str:
    lines = [f'<summary>{summary}</summary>'] if summary else []
    lines.append('<returns>')
    if returns.annotation:
        lines.append(f'<type>{returns.annotation}</type>')
    lines += [f'<description>{returns.description.strip()}</description>', '</returns>']
    return '\n'.join(lines)
