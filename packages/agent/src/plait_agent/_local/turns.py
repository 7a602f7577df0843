"""What a model may do in a turn, as one JSON schema that its answer is bound to.

A small model that may call tools or answer as it likes mostly answers. One that has to write `{"tool": ...,
"arguments": ...}`, where answering is a tool among the others, chooses well. Knows nothing of messages and servers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from plait_agent.models import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.tools import ToolDefinition

TOOL = 'tool'
ARGUMENTS = 'arguments'
TEXT = 'text'
_FINAL = 'final_answer'

_SAFE_PATTERN = re.compile(r'\^[^\\^$]*(\(\?)?[^\\^$]*\$')
_MOST_REPETITIONS = 1000
"""Above this the server refuses the grammar that it makes of a schema."""
_UNBOUND = 'title', 'description', 'default', 'examples', 'discriminator', '$comment'
"""What says nothing about the form of a value."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model may do in a turn."""

    tools: tuple[ToolDefinition, ...]
    """The tools that it may call, those whose call is the output among them."""
    output: dict[str, Any] | None
    """The schema of an answer that is no free text."""
    answers: bool
    """Whether it may answer."""
    speaks_json: bool
    """Whether it writes the name of a tool with arguments; otherwise it writes its answer, or the arguments, alone."""
    final_tool: str = _FINAL
    """What the tool is called that stands for an answer."""

    @property
    def only_tool(self) -> ToolDefinition | None:
        """The tool whose arguments are all that can be written."""
        return None if self.speaks_json or not self.tools else self.tools[0]

    def schema(self) -> dict[str, Any] | None:
        """What the text of the answer has to be; `None` leaves it free."""
        only = self.only_tool
        if only is not None:
            return bindable(only.parameters_json_schema)
        if not self.speaks_json:
            return None if self.output is None else bindable(self.output)
        choices = [_choice(tool.name, tool.parameters_json_schema) for tool in self.tools]
        if self.answers:
            choices.append(_choice(self.final_tool, self.output or _object({TEXT: {'type': 'string'}})))
        return _joined(choices)

    def without(self, name: str) -> Turn | None:
        """The turn without a tool; `None` if nothing would be left."""
        tools = tuple(tool for tool in self.tools if tool.name != name)
        if not tools and not self.answers:
            return None
        return Turn(tools, self.output, self.answers, speaks_json=True, final_tool=self.final_tool)


def make_turn(parameters: ModelRequestParameters, choice: ToolChoice, used_up: Collection[str] = ()) -> Turn:
    """Settle what a model may do.

    Args:
        parameters: What is asked of it.
        choice: Which tools it may call, and whether it has to.
        used_up: Tools without arguments that have answered already, and would say the same again.
    """
    output = None if parameters.output_object is None else parameters.output_object.json_schema
    names = {tool.name for tool in choice.tools}
    final = next(name for name in (_FINAL, *(f'{_FINAL}_{n}' for n in range(2, 1000))) if name not in names)
    if not parameters.function_tools and len(choice.tools) < 2 and (not choice.tools or choice.mode == 'required'):
        return Turn(tuple(choice.tools), output, not choice.tools, speaks_json=False, final_tool=final)
    answers = choice.mode != 'required'
    tools = tuple(tool for tool in choice.callable_tools if tool.name not in used_up)
    if not tools and not answers:
        tools = tuple(choice.callable_tools)
    return Turn(tools, output, answers, speaks_json=True, final_tool=final)


def _choice(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return _object({TOOL: {'const': name}, ARGUMENTS: arguments})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(properties),
        'additionalProperties': False,
    }


def _joined(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Any of some schemas. What each defines gets a name of its own, and goes to the top where references look."""
    definitions: dict[str, Any] = {}
    bound = [bindable(choice, f'{index}_', definitions) for index, choice in enumerate(choices)]
    whole: dict[str, Any] = bound[0] if len(bound) == 1 else {'anyOf': bound}
    return {**whole, '$defs': definitions} if definitions else whole


def bindable(schema: Mapping[str, Any], prefix: str = '', definitions: dict[str, Any] | None = None) -> dict[str, Any]:
    """A schema that the server can make a grammar of: without what it does not know and would stumble over.

    What is left out is checked later, when the arguments are validated.

    Args:
        schema: The schema.
        prefix: Is put before the names of definitions.
        definitions: Takes them; without it they stay in the schema.
    """
    found: dict[str, Any] = {}
    bound = _bound(schema, prefix, found)
    if definitions is not None:
        definitions |= found
    elif found:
        bound['$defs'] = found
    return bound


def _bound(schema: Any, prefix: str, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_bound(each, prefix, definitions) for each in cast('list[Any]', schema)]
    if not isinstance(schema, Mapping):
        return schema
    bound: dict[str, Any] = {}
    for key, value in cast('Mapping[str, Any]', schema).items():
        match key:
            case '$defs' | 'definitions':
                definitions |= {f'{prefix}{name}': _bound(each, prefix, definitions) for name, each in value.items()}
            case 'properties':
                bound[key] = {name: _bound(each, prefix, definitions) for name, each in value.items()}
            case '$ref':
                bound[key] = f'#/$defs/{prefix}{str(value).rpartition("/")[2]}'
            case 'const' | 'enum' | 'required':
                bound[key] = value
            case _ if _is_bindable(key, value):
                bound[key] = _bound(value, prefix, definitions)
            case _:
                pass
    return bound


def _is_bindable(key: str, value: Any) -> bool:
    if key in _UNBOUND:
        return False
    if key == 'pattern':
        found = _SAFE_PATTERN.fullmatch(str(value))
        return found is not None and '(?' not in str(value)
    if key in {'minLength', 'maxLength', 'minItems', 'maxItems'}:
        return isinstance(value, int) and value <= _MOST_REPETITIONS
    return True
