"""What an agent's runs may end with: what models are told of it, and what their answers are checked with.

It is made once, when the agent is made. How data is asked for can depend on the model, so a run resolves it with the
profile of its model; each way is worked out once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal

from plait_agent._output.choices import Choices, sort_out
from plait_agent._output.making import make_processor
from plait_agent._output.output_tools import ToolDefaults, joined_description, make_output_tools
from plait_agent._output.text import JsonText, PlainText, TextFunction, TextProcessor
from plait_agent._typevars import OutputT
from plait_agent.exceptions import UserError
from plait_agent.output import OutputObjectDefinition, PromptedOutput, TextOutput

if TYPE_CHECKING:
    from plait_agent._output.envelope import Envelope
    from plait_agent._output.output_tools import OutputTool
    from plait_agent._output.processors import JsonObject, Processor
    from plait_agent.output import OutputMode, OutputSpec, StructuredOutputMode
    from plait_agent.profiles import ModelProfile
    from plait_agent.tools import ToolDefinition


@dataclass(frozen=True, eq=False, repr=False)
class OutputSchema(Generic[OutputT]):
    """What a run may end with."""

    mode: OutputMode
    """How models are asked for it; `'auto'` until it is resolved with a profile."""
    allows_text: bool
    """Whether an answer in text can be the output."""
    allows_image: bool
    """Whether an image can be the output."""
    allows_deferred: bool
    """Whether the run can end with calls that are to be answered later."""
    text: TextProcessor | None
    """How text becomes the output. In tool mode it may be there where text is not allowed: a model that writes the
    arguments of its only output tool as text has answered too."""
    tools: Mapping[str, OutputTool]
    """The output tools by name, in order."""
    tool_defs: tuple[ToolDefinition, ...]
    """What models are told of them."""
    object_def: OutputObjectDefinition | None
    """What models are told of data that they give as text."""
    template: str | None
    """The instruction that was given with it."""
    _source: _Source
    _instructions: dict[str, str] = field(default_factory=dict[str, str])
    """The instructions that were worked out, by template."""

    @classmethod
    def build(
        cls,
        output_type: OutputSpec[OutputT],
        *,
        default_mode: StructuredOutputMode | Literal['auto'] = 'auto',
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> OutputSchema[OutputT]:
        """Work out what runs may end with.

        Args:
            output_type: A type, a function, a marker, or a sequence of these.
            default_mode: How models are asked for data if no marker says it; `'auto'` leaves it to their profiles.
            name: What output tools are called, or data that comes as text, if no marker says it.
            description: What models are told of these, if no marker says it.
            strict: Whether providers are to hold models to the schemas, if no marker says it.

        Raises:
            UserError: Models cannot be asked for this.
        """
        if output_type is str:
            return _PLAIN_TEXT
        source = _Source(sort_out(output_type), ToolDefaults(name, description, strict))
        return source.schema(source.choices.mode or default_mode)

    def resolve(self, profile: ModelProfile) -> OutputSchema[OutputT]:
        """The same as a model of this profile is asked for it.

        Raises:
            UserError: Such models do not give this.
        """
        mode = profile.default_structured_output_mode if self.mode == 'auto' else self.mode
        if mode == 'native' and not profile.supports_json_schema_output:
            raise UserError('Native structured output is not supported by this model.')
        if mode == 'tool' and not profile.supports_tools:
            raise UserError('Tool output is not supported by this model.')
        if self.allows_image and not profile.supports_image_output:
            raise UserError('Image output is not supported by this model.')
        return self if mode == self.mode else self._source.schema(mode)

    def prompt_template(self, profile: ModelProfile) -> str | None:
        """The template of the instruction for models of this profile; None if they need none."""
        if self.object_def is None:
            return None
        is_told = self.mode == 'prompted' or profile.native_output_requires_schema_in_instructions
        return self.template or (profile.prompted_output_template if is_told else None)

    def instructions(self, profile: ModelProfile) -> str | None:
        """What models of this profile are told of the data, with its schema; None if they need not be told."""
        template = self.prompt_template(profile)
        if template is None or self.object_def is None:
            return None
        if template not in self._instructions:
            from plait_agent._output.instructions import filled_template

            self._instructions[template] = filled_template(template, self.object_def)
        return self._instructions[template]

    def json_schema(self) -> JsonObject:
        """The JSON schema of the output as it is serialised: `anyOf` if there are several.

        Raises:
            UserError: JSON has nothing for it.
        """
        from plait_agent._output.result_schema import result_schema

        return result_schema(self._source.choices.given)

    def __repr__(self) -> str:
        tools = f', tools={list(self.tools)}' if self.tools else ''
        return f'OutputSchema(mode={self.mode!r}{tools})'


class _Source:
    """What the schemas of all modes are made of.

    Args:
        choices: What was asked for.
        defaults: What was said of tools that say nothing themselves.

    Raises:
        UserError: Models cannot be asked for it.
    """

    def __init__(self, choices: Choices, defaults: ToolDefaults):
        self.choices = choices
        self._defaults = defaults
        self._processors = [make_processor(each.output) for each in choices.structured]
        self._text = _text_processor(choices.text)
        self._tools = make_output_tools(choices.structured, self._processors, defaults)
        self._schemas: dict[OutputMode, OutputSchema[Any]] = {}

    def schema(self, mode: OutputMode) -> OutputSchema[Any]:
        """The schema of a mode, which is made once."""
        if mode not in self._schemas:
            self._schemas[mode] = self._as_text(mode) if mode in {'native', 'prompted'} else self._as_tools(mode)
        return self._schemas[mode]

    def _as_tools(self, mode: OutputMode) -> OutputSchema[Any]:
        """Text, images and output tools, whichever there are."""
        choices = self.choices
        text = self._text
        if text is None and len(self._processors) == 1 and not choices.in_tools:
            text = JsonText(self._processors[0])
        return OutputSchema(
            mode=mode,
            allows_text=self._text is not None,
            allows_image=choices.allows_image,
            allows_deferred=choices.allows_deferred,
            text=text,
            tools=MappingProxyType(self._tools),
            tool_defs=tuple(each.tool_def for each in self._tools.values()),
            object_def=None,
            template=None,
            _source=self,
        )

    def _as_text(self, mode: OutputMode) -> OutputSchema[Any]:
        """Data as the text of an answer."""
        choices = self.choices
        data = self._data()
        return OutputSchema(
            mode=mode,
            allows_text=True,
            allows_image=choices.allows_image,
            allows_deferred=choices.allows_deferred,
            text=JsonText(data),
            tools=MappingProxyType({}),
            tool_defs=(),
            object_def=self._object_def(data),
            template=choices.marker.template if choices.marker else None,
            _source=self,
        )

    def _data(self) -> Processor | Envelope:
        if len(self._processors) == 1:
            return self._processors[0]
        from plait_agent._output.envelope import Envelope

        return Envelope(self._processors)

    def _object_def(self, data: Processor | Envelope) -> OutputObjectDefinition:
        said = self.choices.marker or self._defaults
        strict = self._defaults.strict if isinstance(said, PromptedOutput) else said.strict
        return OutputObjectDefinition(
            json_schema=data.json_schema,
            name=said.name or data.name,
            description=joined_description(said.description, data.description),
            strict=strict,
        )


def _text_processor(text: type[str] | TextOutput[Any] | None) -> TextProcessor | None:
    if isinstance(text, TextOutput):
        return TextFunction(text.output_function)
    return None if text is None else PlainText()


_PLAIN_TEXT = _Source(sort_out(str), ToolDefaults()).schema('text')
