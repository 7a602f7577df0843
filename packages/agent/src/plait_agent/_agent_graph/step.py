"""What has to be known before a model is asked: the context, the tools and the parameters of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait_agent._agent_graph.records import GraphAgentDeps, GraphAgentState
from plait_agent._settled import settled
from plait_agent._tool_definition import copy_of
from plait_agent.exceptions import UserError
from plait_agent.models import ModelRequestParameters
from plait_agent.tools import RunContext, ToolDefinition
from plait_graph import GraphRunContext

if TYPE_CHECKING:
    from plait_agent._output import OutputSchema
    from plait_agent.tools import ToolsPrepareFunc
    from plait_agent.toolsets import ToolsetTool

AgentContext = GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]]
_NO_TOOLS: dict[str, ToolsetTool[Any]] = {}


@dataclass(slots=True)
class Step:
    """The tools that one model request offers, and that its calls may use."""

    tools: dict[str, ToolsetTool[Any]]
    """Function tools by name, in order."""
    output_tools: Sequence[ToolDefinition]
    schema: OutputSchema[Any]
    """What the run may end with, as the model can say it."""
    parameters: ModelRequestParameters


def run_context(ctx: AgentContext) -> RunContext[Any]:
    """The run as tools and prompt functions see it now."""
    state, deps = ctx.state, ctx.deps
    tracing = deps.tracing
    return RunContext(
        deps=deps.user_deps,
        model=deps.model,
        usage=state.usage,
        prompt=deps.prompt,
        messages=state.message_history,
        tracer=None if tracing is None else tracing.tracer,
        trace_include_content=tracing is not None and tracing.include_content,
        instrumentation_version=2 if tracing is None else tracing.version,
        retries=state.tool_retries,
        run_step=state.run_step,
        run_id=state.run_id,
        metadata=state.metadata,
        budget=deps.spending.budget,
    )


def context_for(base: RunContext[Any], **changes: Any) -> RunContext[Any]:
    """A context like another one; several times quicker than `dataclasses.replace`, and made for each tool call."""
    made: RunContext[Any] = object.__new__(RunContext)
    made.__dict__.update(base.__dict__, **changes)
    return made


def with_validation_context(ctx: AgentContext, context: RunContext[Any]) -> RunContext[Any]:
    """A context that knows what validators are given; if that is a function, it is asked now."""
    given = ctx.deps.validation_context
    context.validation_context = given(context) if callable(given) else given
    return context


async def prepare_step(ctx: AgentContext, context: RunContext[Any]) -> Step:
    """Ask toolsets and prepare functions what the next request is to offer."""
    deps = ctx.deps
    builtin = await _builtin_tools(deps, context)
    profile = deps.model.output_profile_beside(builtin) if builtin else deps.model.output_profile
    schema = deps.output_schema.resolve(profile)
    tools = await deps.toolset.get_tools(context) or _NO_TOOLS
    output_tools = schema.tool_defs
    if deps.prepare_output_tools is not None:
        output_tools = await _prepared(deps.prepare_output_tools, schema, context)
    for definition in output_tools:
        _check_conflict(definition, tools)
    return Step(tools, output_tools, schema, parameters_for(schema, tools, output_tools, builtin))


async def _prepared(
    prepare: ToolsPrepareFunc[Any], schema: OutputSchema[Any], context: RunContext[Any]
) -> list[ToolDefinition]:
    """The output tools as a function of the user wants them in this step."""
    prepared = await settled(prepare(context, [copy_of(each) for each in schema.tool_defs])) or []
    if any(each.name not in schema.tools for each in prepared):
        raise UserError(
            'Prepare function cannot add or rename tools. '
            'Name output tools with `ToolOutput(name=...)`, and list all outputs in `output_type`.'
        )
    return prepared


def _check_conflict(definition: ToolDefinition, tools: dict[str, ToolsetTool[Any]]) -> None:
    other = tools.get(definition.name)
    if other is not None:
        label = other.toolset.label
        raise UserError(
            f'{label[0].upper()}{label[1:]} defines a tool whose name conflicts with existing tool from '
            f"the agent's output tools: {definition.name!r}. {other.toolset.tool_name_conflict_hint}"
        )


async def _builtin_tools(deps: GraphAgentDeps[Any, Any], context: RunContext[Any]) -> list[Any]:
    found: list[Any] = []
    for tool in deps.builtin_tools:
        made: Any = await settled(tool(context)) if callable(tool) else tool
        if made is not None:
            found.append(made)
    return found


def parameters_for(
    schema: OutputSchema[Any],
    tools: dict[str, ToolsetTool[Any]],
    output_tools: Sequence[ToolDefinition],
    builtin: list[Any],
) -> ModelRequestParameters:
    """What a model is asked for beside the messages."""
    return ModelRequestParameters(
        function_tools=[tool.tool_def for tool in tools.values()],
        builtin_tools=builtin,
        output_mode=schema.mode,
        output_object=schema.object_def,
        output_tools=list(output_tools),
        prompted_output_template=schema.template,
        allow_text_output=schema.allows_text,
        allow_image_output=schema.allows_image,
    )
