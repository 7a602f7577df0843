"""What a small model is shown of a conversation, before its own begins.

Models of this size copy what they see. So they see a greeting that is answered at once, a question that needs a tool
twice, and one that needs none, each with its end. After each result the question is put once more; otherwise the model
takes the result for the question. A model of half a billion parameters brought 2 of 10 conversations to their end
without these, and 10 with them.
"""

from __future__ import annotations

import json
from typing import Any

from plait_agent._local.turns import ARGUMENTS, TEXT, TOOL

_LONGEST_REMINDER = 400
"""A longer question is not put again after each result."""


def example(final_tool: str, *, gives_text: bool) -> list[tuple[str, str]]:
    """A conversation that goes as those of a model should.

    Args:
        final_tool: The tool that ends it.
        gives_text: Whether that takes a text, or something that has a form.
    """

    def end(text: str, **data: Any) -> tuple[str, str]:
        return 'assistant', written(final_tool, {TEXT: text} if gives_text else data)

    def call(tool: str, **arguments: str) -> tuple[str, str]:
        return 'assistant', written(tool, arguments)

    def result(tool: str, content: str, question: str) -> tuple[str, str]:
        return 'user', told_result(tool, content, question, final_tool)

    lengths = 'How long are the Seine and the Rhine?'
    asked = [
        ('user', lengths),
        call('river_length', river='Seine'),
        result('river_length', '777 km', lengths),
        call('river_length', river='Rhine'),
        result('river_length', '1230 km', lengths),
        end('The Seine is 777 km long, and the Rhine is 1230 km long.', seine_km=777, rhine_km=1230),
    ]
    if not gives_text:  # a greeting could not be answered
        return asked
    greeting = [('user', 'Hello!'), end('Hello! How can I help you?')]
    # No question about the world: after one that is answered from memory, the model answers all of them so.
    own = [('user', 'Say good night in Spanish.'), end('Buenas noches.')]
    return [*greeting, *asked, *own]


def told_result(name: str, result: str, question: str, final_tool: str) -> str:
    """What a tool gave, with the question that it was for."""
    lines = [f'{name} gave: {result}']
    if question and len(question) <= _LONGEST_REMINDER:
        lines.append(f'The question was: {question}')
    lines.append(f'Call the next tool if something is missing. If nothing is missing, use {final_tool}.')
    return '\n'.join(lines)


def written(tool: str, arguments: Any) -> str:
    """A choice as a model writes it."""
    return json.dumps({TOOL: tool, ARGUMENTS: arguments}, ensure_ascii=False)
