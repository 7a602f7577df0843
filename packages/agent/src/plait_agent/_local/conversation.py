"""A history as a small model is told of it: what the tools are, what it has called, and what came back.

All of it is text, and what has been written once stays the same from turn to turn: the server reads only what is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from plait_agent._local.examples import example, told_result, written
from plait_agent._local.reader import CompactJson
from plait_agent._local.signatures import describe_tool, describe_type
from plait_agent._local.turns import ARGUMENTS, TEXT, TOOL, Turn, make_turn
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    CachePoint,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage
    from plait_agent.models import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.tools import ToolDefinition


class Written(NamedTuple):
    """A history for a local model."""

    messages: list[ModelMessage]
    """What was said, all of it text."""
    turn: Turn
    """What the model may do."""
    answered: frozenset[tuple[str, str]]
    """The calls that it is not to make again: tools, with their arguments without blanks."""


def write_conversation(
    messages: Sequence[ModelMessage],
    parameters: ModelRequestParameters,
    choice: ToolChoice,
    *,
    instructions: str | None = None,
    may_repeat: bool = False,
) -> Written:
    """Write a history down for a local model, and settle what it may do next.

    Args:
        messages: The history.
        parameters: What is asked of the model.
        choice: Which tools it may call.
        instructions: What it is told first.
        may_repeat: Whether calls that have been answered may be made again.

    Raises:
        UserError: Something other than text is to be read.
    """
    turn = make_turn(parameters, choice)
    outputs = [tool.name for tool in parameters.output_tools]
    final = turn.final_tool if turn.answers or not outputs else outputs[0]
    history = _History(turn, frozenset(outputs), final)
    history.add(messages)
    told = [instructions or '', *history.system, _rules(turn, choice.tools)]
    opening = example(final, gives_text=turn.answers and turn.output is None) if turn.speaks_json else []
    answered = frozenset[tuple[str, str]]() if may_repeat else frozenset(history.answered)
    used_up = {name for name, arguments in answered if arguments == '{}'}
    if used_up:
        turn = make_turn(parameters, choice, used_up)
    return Written(_as_messages('\n\n'.join(filter(None, told)), [*opening, *history.said]), turn, answered)


def _rules(turn: Turn, tools: Sequence[ToolDefinition]) -> str:
    """What the tools are, and how the model answers."""
    if turn.speaks_json:
        lines = ['You can call tools. The tools are:', *map(describe_tool, tools)]
        if turn.answers:
            form = f'{TEXT}: string' if turn.output is None else describe_type(turn.output).strip('{}')
            lines.append(f'- {turn.final_tool}({form}): Answer the user. Use it once you know the answer.')
        lines.append(f'Reply with one JSON object: {{"{TOOL}": NAME, "{ARGUMENTS}": {{...}}}}.')
        return '\n'.join(lines)
    only = turn.only_tool
    wanted = turn.output if only is None else only.parameters_json_schema
    if wanted is None:
        return ''
    described = None if only is None else only.description
    return ' '.join(filter(None, (described, f'Reply with one JSON object: {describe_type(wanted)}.')))


@dataclass(slots=True)
class _History:
    """A history while it is being written down."""

    turn: Turn
    output_tools: frozenset[str]
    """The tools whose call is the output of a run."""
    final_tool: str
    """The tool that ends a conversation."""
    system: list[str] = field(default_factory=list[str])
    """What the model is told first."""
    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Who has said what: `'user'` or `'assistant'`, and the text."""
    question: str = ''
    """What the user has asked last."""
    answered: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """The calls since then that tools have answered."""
    waiting: dict[str, ToolCallPart] = field(default_factory=dict[str, ToolCallPart])
    """Calls whose results are still to come, by their ids. They are written where those come."""

    def add(self, messages: Iterable[ModelMessage]) -> None:
        for message in messages:
            for part in message.parts:
                self._add_part(part)

    def _add_part(self, part: object) -> None:
        match part:
            case SystemPromptPart():
                self.system.append(part.content)
            case UserPromptPart():
                self._ask(_text_of(part))
            case ToolReturnPart():
                self._add_return(part)
            case RetryPromptPart():
                self._write_call(part.tool_call_id)
                about = f'{part.tool_name} failed.\n' if part.tool_name else ''
                self._say('user', f'{about}{part.model_response()}')
            case TextPart() if part.content:
                self._say('assistant', self._answer(part.content))
            case ToolCallPart():
                self.waiting[part.tool_call_id] = part
            case _:  # thoughts, and what other models have run or made, are not for this one
                pass

    def _ask(self, text: str) -> None:
        self.question = text
        self.answered.clear()
        self._say('user', text)

    def _add_return(self, part: ToolReturnPart) -> None:
        call = self._write_call(part.tool_call_id)
        name = part.tool_name
        if name in self.output_tools:  # what it returns is for the record
            return
        if call is not None:
            self.answered.add((name, compact_arguments(call)))
        self._say('user', told_result(name, part.model_response_str(), self.question, self.final_tool))

    def _write_call(self, call_id: str) -> ToolCallPart | None:
        call = self.waiting.pop(call_id, None)
        if call is not None:
            arguments = compact_arguments(call)
            whole = f'{{"{TOOL}": {json.dumps(call.tool_name)}, "{ARGUMENTS}": {arguments}}}'
            self._say('assistant', whole if self.turn.only_tool is None else arguments)
        return call

    def _answer(self, text: str) -> str:
        return written(self.turn.final_tool, {TEXT: text}) if self.turn.speaks_json else text

    def _say(self, who: str, text: str) -> None:
        """Put something behind the rest. Some templates refuse two texts of the same side in a row."""
        if self.said and self.said[-1][0] == who:
            _, before = self.said.pop()
            text = f'{before}\n\n{text}'
        self.said.append((who, text))


def compact_arguments(call: ToolCallPart) -> str:
    """The arguments of a call without blanks between them."""
    return CompactJson().feed(call.args_as_json_str())


def _as_messages(system: str, said: Sequence[tuple[str, str]]) -> list[ModelMessage]:
    if not said:  # there are templates that cannot do without a user
        said, system = [('user', system)], ''
    messages: list[ModelMessage] = [ModelRequest([SystemPromptPart(system)])] if system else []
    for who, text in said:
        messages.append(ModelRequest([UserPromptPart(text)]) if who == 'user' else ModelResponse([TextPart(text)]))
    return messages


def _text_of(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    texts: list[str] = []
    for each in part.content:
        if isinstance(each, str):
            texts.append(each)
        elif not isinstance(each, CachePoint):
            raise UserError(
                f'A prompt has {type(each).__name__} in it, and local models read nothing but text. '
                f'Give the text of it, or ask another model.'
            )
    return '\n'.join(texts)
