"""What a request asks of a model beside the messages: tools, and the form of the answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plait_agent._short_repr import short_repr
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._json_schema_transformer import JsonSchemaTransformer
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.models._memo import IdentityMemo
    from plait_agent.output import OutputMode, OutputObjectDefinition
    from plait_agent.profiles import ModelProfile
    from plait_agent.tools import ToolDefinition


@dataclass(repr=False, kw_only=True)
class ModelRequestParameters:
    """The tools that a model may call and the form of its answer.

    Once they have been given to a model they stay as they are; a request that differs has parameters of its own.
    """

    function_tools: list[ToolDefinition] = field(default_factory=list['ToolDefinition'])
    """The tools that the program runs."""
    builtin_tools: list[AbstractBuiltinTool] = field(default_factory=list['AbstractBuiltinTool'])
    """The tools that the provider runs."""
    output_mode: OutputMode = 'text'
    """How output is asked for; `'auto'` leaves it to the profile of the model."""
    output_object: OutputObjectDefinition | None = None
    """What the output is, in native and prompted mode."""
    output_tools: list[ToolDefinition] = field(default_factory=list['ToolDefinition'])
    """The tools whose call is the output, in tool mode."""
    prompted_output_template: str | None = None
    """What the model is told of the output; `None` leaves it to the profile."""
    allow_text_output: bool = True
    """Whether text can be the output."""
    allow_image_output: bool = False
    """Whether an image can be the output."""

    @cached_property
    def tool_defs(self) -> dict[str, ToolDefinition]:
        """The tools that the program or the run knows, by name."""
        return {tool.name: tool for tool in (*self.function_tools, *self.output_tools)}

    @cached_property
    def prompted_output_instructions(self) -> str | None:
        """What the model is told of the output, with its schema, if it has to be told."""
        if self.prompted_output_template is None or self.output_object is None:
            return None
        from plait_agent._output.instructions import filled_template

        return filled_template(self.prompted_output_template, self.output_object)

    __repr__ = short_repr


def fit_to_profile(parameters: ModelRequestParameters, profile: ModelProfile) -> ModelRequestParameters:
    """Settle what is left to the profile, drop what the output mode does not use, and refuse what the model lacks.

    Parameters in which nothing is to be done are given back themselves.

    Raises:
        UserError: The model cannot give such output, or does not know a built-in tool.
    """
    changes = _settled(parameters, profile)
    if parameters.builtin_tools:
        changes |= _without_repeats(parameters.builtin_tools)
        _check_builtin_tools(parameters.builtin_tools, profile)
    _check_output(changes.get('output_mode', parameters.output_mode), parameters.allow_image_output, profile)
    return replace(parameters, **changes) if changes else parameters


def transform_schemas(
    parameters: ModelRequestParameters,
    transformer: type[JsonSchemaTransformer],
    known: IdentityMemo[ToolDefinition],
) -> ModelRequestParameters:
    """Rewrite all schemas for a model. Tools are rewritten once, since they come again with each request."""
    changes: dict[str, Any] = {}
    for name in ('function_tools', 'output_tools'):
        tools: list[ToolDefinition] = getattr(parameters, name)
        if tools:
            changes[name] = [known.get(tool) or known.put(tool, _transformed_tool(tool, transformer)) for tool in tools]
    output = parameters.output_object
    if output is not None:
        walker = transformer(output.json_schema, strict=output.strict)
        changes['output_object'] = replace(output, json_schema=walker.walk(), strict=_strictness(output.strict, walker))
    return replace(parameters, **changes) if changes else parameters


def _transformed_tool(tool: ToolDefinition, transformer: type[JsonSchemaTransformer]) -> ToolDefinition:
    walker = transformer(tool.parameters_json_schema, strict=tool.strict)
    return replace(tool, parameters_json_schema=walker.walk(), strict=_strictness(tool.strict, walker))


def _strictness(strict: bool | None, walker: JsonSchemaTransformer) -> bool:
    return walker.is_strict_compatible if strict is None else strict


def _settled(parameters: ModelRequestParameters, profile: ModelProfile) -> dict[str, Any]:
    """What the profile decides, and what the output mode does not use."""
    changes: dict[str, Any] = {}
    mode = parameters.output_mode
    if mode == 'auto':
        mode = changes['output_mode'] = profile.default_structured_output_mode
        changes['allow_text_output'] = mode != 'tool'
    if parameters.output_tools and mode not in ('tool', 'tool_or_text'):
        changes['output_tools'] = []
    if mode in ('native', 'prompted'):
        told = mode == 'prompted' or profile.native_output_requires_schema_in_instructions
        if told and parameters.prompted_output_template is None:
            changes['prompted_output_template'] = profile.prompted_output_template
        return changes
    if parameters.output_object is not None or parameters.prompted_output_template is not None:
        changes |= {'output_object': None, 'prompted_output_template': None}
    return changes


def _without_repeats(tools: list[AbstractBuiltinTool]) -> dict[str, Any]:
    """The last of those built-in tools that have the same id, where there are such."""
    once = list({tool.unique_id: tool for tool in tools}.values())
    return {'builtin_tools': once} if len(once) < len(tools) else {}


def _check_builtin_tools(tools: list[AbstractBuiltinTool], profile: ModelProfile) -> None:
    supported = profile.supported_builtin_tools
    unknown = {type(tool).__name__: None for tool in tools if not isinstance(tool, tuple(supported))}
    if unknown:
        raise UserError(
            f'Builtin tool(s) {list(unknown)} not supported by this model. '
            f'Supported: {sorted(each.__name__ for each in supported)}'
        )


def _check_output(mode: OutputMode, wants_image: bool, profile: ModelProfile) -> None:
    if mode == 'native' and not profile.supports_json_schema_output:
        raise UserError('Native structured output is not supported by this model.')
    if mode == 'tool' and not profile.supports_tools:
        raise UserError('Tool output is not supported by this model.')
    if wants_image and not profile.supports_image_output:
        raise UserError('Image output is not supported by this model.')
