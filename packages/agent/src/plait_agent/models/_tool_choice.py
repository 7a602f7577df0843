"""Which tools a model may call, and whether it has to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent.models._parameters import ModelRequestParameters
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition


class ToolChoice(NamedTuple):
    """What is said of tools in a request."""

    tools: list[ToolDefinition]
    """All tools that the model is told of. They stay the same from turn to turn, so that caches of prompts hold."""
    mode: Literal['auto', 'none', 'required']
    """Whether it may, must not or must call one of those allowed."""
    allowed: frozenset[str] | None
    """The only tools that it may call; `None` allows all."""

    @property
    def callable_tools(self) -> list[ToolDefinition]:
        """The tools that it may call, for providers that know no other way to forbid the rest."""
        if self.mode == 'none':
            return []
        return [tool for tool in self.tools if self.allowed is None or tool.name in self.allowed]


def choose_tools(settings: ModelSettings | None, parameters: ModelRequestParameters) -> ToolChoice:
    """Settle which tools a model may call: by what the output needs, and what `tool_choice` in the settings asks for.

    `'none'` forbids the tools of the program, while those whose call is the output stay. A list of names forces a call
    of one of them. `ToolOrOutput` leaves only some tools of the program beside the output.

    Raises:
        UserError: The choice is none, names tools that there are not, or leaves nothing that could be the output.
    """
    tools = [*parameters.function_tools, *parameters.output_tools]
    said: Any = (settings or {}).get('tool_choice', 'auto')
    mode = 'auto' if parameters.allow_text_output or parameters.allow_image_output else 'required'
    output = frozenset(tool.name for tool in parameters.output_tools)
    if said in (None, 'auto') or not tools:
        return ToolChoice(tools, mode if tools else 'auto', None)
    if said == 'required':
        return ToolChoice(tools, 'required', None)
    if said == 'none':
        return ToolChoice(tools, mode, output) if output else ToolChoice(tools, 'none', None)
    if isinstance(said, (list, tuple)):
        return ToolChoice(tools, 'required', _known(said, tools))
    names = getattr(said, 'function_tools', None)
    if names is None:
        raise UserError(
            f'tool_choice={said!r} is not known. '
            f"Give 'auto', 'none', 'required', a list of names of tools, or ToolOrOutput(function_tools=[...])."
        )
    return ToolChoice(tools, mode, _known(names, tools) | output)


def _known(names: Any, tools: list[ToolDefinition]) -> frozenset[str]:
    there = [tool.name for tool in tools]
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        raise UserError(
            f'tool_choice names {unknown or "no tool"}{" which are no tools" if unknown else ""} of this request. '
            f'Its tools are {", ".join(there)}.'
        )
    return frozenset(names)
