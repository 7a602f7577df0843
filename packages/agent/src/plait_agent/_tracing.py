"""The spans of a run: the run, its batches of tool calls, each call, and output functions.

To import this room is to import OpenTelemetry; an agent that is not instrumented does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from plait_agent._span_messages import EventForm
from plait_agent._spans import AttributeValue, Span, Tracer, current_span, described_types, dumped, note_error
from plait_agent.exceptions import ToolRetryError
from plait_agent.messages import RetryPromptPart, ToolCallPart, ToolReturnPart
from plait_agent.models._base import find_instructions
from plait_agent.models.instrumented import InstrumentationSettings, instrument_model, settings_of

if TYPE_CHECKING:
    from plait_agent._agent_graph.records import FinalResult, GraphAgentDeps, GraphAgentState
    from plait_agent._run_context import RunContext
    from plait_agent.models import Model


class Tracing:
    """Makes the spans of one run.

    Args:
        settings: How; `True` for the default settings.
    """

    def __init__(self, settings: InstrumentationSettings | Literal[True]):
        self._settings = settings_of(settings)
        self._names = _Names(self._settings.version)
        self._span: Span | None = None

    @property
    def tracer(self) -> Tracer:
        """Makes spans, for tools that want some of their own."""
        return self._settings.tracer

    @property
    def include_content(self) -> bool:
        """Whether what was said goes into spans."""
        return self._settings.include_content

    @property
    def version(self) -> int:
        """The form of the spans."""
        return self._settings.version

    @property
    def traceparent(self) -> str | None:
        """Where the run stands in a trace, in the form of the W3C; nothing before it has begun, or without a trace."""
        context = None if self._span is None else self._span.get_span_context()
        if context is None or not context.is_valid:
            return None
        return f'00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}'

    def model(self, model: Model) -> Model:
        """The model, with its requests seen."""
        return instrument_model(model, self._settings)

    @contextmanager
    def run(self, state: GraphAgentState, deps: GraphAgentDeps[Any, Any]) -> Generator[None]:
        """The span of the run, which tells at its end what was said and used."""
        name = deps.agent_name
        attributes: dict[str, AttributeValue] = {
            'model_name': deps.model.model_name,
            'agent_name': name,
            'gen_ai.agent.name': name,
            'logfire.msg': f'{name} run',
        }
        with self._current(self._names.run(name), attributes) as span:
            self._span = span
            try:
                yield
            finally:
                if span.is_recording():
                    span.set_attributes(self._told(state, deps))

    def note_result(self, final: FinalResult[Any]) -> None:
        """Tell what the run has ended with."""
        if self._span is not None and self.include_content:
            self._span.set_attribute('final_result', _written(final.output))

    @contextmanager
    def batch(self, calls: Sequence[ToolCallPart]) -> Generator[None]:
        """The span of the tool calls of one response."""
        count = len(calls)
        attributes: dict[str, AttributeValue] = {
            'tools': [call.tool_name for call in calls],
            'logfire.msg': f'running {count} tool{"" if count == 1 else "s"}',
        }
        with self._current('running tools', attributes):
            yield

    @contextmanager
    def tool(self, call: ToolCallPart) -> Generator[ToolSpan]:
        """The span of one tool call."""
        arguments = call.args_as_json_str() if self.include_content else None
        attributes = self._names.call(call.tool_name, call.tool_call_id, arguments, 'tool')
        with self._current(self._names.tool(call.tool_name), attributes) as span:
            yield ToolSpan(span, self._names, include_content=self.include_content)

    def _current(self, name: str, attributes: dict[str, AttributeValue]) -> AbstractContextManager[Span]:
        return current_span(self.tracer, name, attributes, include_content=self.include_content)

    def _told(self, state: GraphAgentState, deps: GraphAgentDeps[Any, Any]) -> dict[str, AttributeValue]:
        """What is known of the run when it is over."""
        form, messages = self._settings.form, state.message_history
        instructions = find_instructions(messages)
        told: dict[str, Any] = {}
        if self.version == 1:
            told['all_messages_events'] = EventForm(form).messages(messages, instructions)
        else:
            told['pydantic_ai.all_messages'] = form.messages(messages)
            if said := form.instructions(instructions):
                told['gen_ai.system_instructions'] = said
        types: dict[str, str | None] = dict.fromkeys(told, 'array')
        attributes: dict[str, AttributeValue] = {name: dumped(value) for name, value in told.items()}
        if self.version > 1 and deps.new_message_index:
            attributes['pydantic_ai.new_message_index'] = deps.new_message_index
            types['pydantic_ai.new_message_index'] = None
        if state.metadata is not None:
            attributes['metadata'] = dumped(state.metadata)
            types['metadata'] = 'array'
        types['final_result'] = 'object'
        attributes['logfire.json_schema'] = described_types(**types)
        return {**state.usage.opentelemetry_attributes(), **attributes}


class ToolSpan:
    """The span of a call that is being made.

    Args:
        span: The span.
        names: What its attributes are called.
        include_content: Whether it tells what was returned.
    """

    def __init__(self, span: Span, names: _Names, *, include_content: bool):
        self._span = span
        self._names = names
        self._include_content = include_content

    def note(self, part: ToolReturnPart | RetryPromptPart | None) -> None:
        """Tell what the model is told; a call that it is to make again has failed. A deferred call has not."""
        if part is None:
            return
        if isinstance(part, RetryPromptPart):
            note_error(self._span, ToolRetryError(part), include_content=self._include_content)
        if self._include_content:
            told = part.model_response() if isinstance(part, RetryPromptPart) else _written(part.content)
            self._span.set_attribute(self._names.result, told)


class _Names:
    """What spans of calls and their attributes are called in a version."""

    __slots__ = '_follows_conventions', 'arguments', 'result'

    def __init__(self, version: int):
        self._follows_conventions = version >= 3
        self.arguments = 'gen_ai.tool.call.arguments' if version >= 3 else 'tool_arguments'
        self.result = 'gen_ai.tool.call.result' if version >= 3 else 'tool_response'

    def run(self, name: str) -> str:
        return f'invoke_agent {name}' if self._follows_conventions else 'agent run'

    def tool(self, name: str) -> str:
        return f'execute_tool {name}' if self._follows_conventions else 'running tool'

    def output_function(self, name: str) -> str:
        return f'execute_tool {name}' if self._follows_conventions else 'running output function'

    def call(self, name: str, call_id: str | None, arguments: str | None, what: str) -> dict[str, AttributeValue]:
        """The attributes of a call, without arguments if they are not to be seen."""
        shown = {} if arguments is None else {self.arguments: arguments}
        identity = {'gen_ai.tool.name': name} | ({} if call_id is None else {'gen_ai.tool.call.id': call_id})
        types = dict.fromkeys((self.arguments, self.result) if shown else (), 'object') | dict.fromkeys(identity)
        return {
            **identity,
            **shown,
            'logfire.msg': f'running {what}: {name}',
            'logfire.json_schema': described_types(**types),
        }


def _written(value: Any) -> str:
    return value if isinstance(value, str) else dumped(value)


async def traced_output(ctx: RunContext[Any], name: str, arguments: Any, work: Awaitable[Any]) -> Any:
    """Let an output function do its work, within a span.

    Args:
        ctx: The run, which is traced.
        name: The function, for an output that comes through no tool.
        arguments: What it is called with.
        work: The call.
    """
    names = _Names(ctx.instrumentation_version)
    called, content = ctx.tool_name or name, ctx.trace_include_content
    attributes = names.call(called, ctx.tool_call_id, dumped(arguments) if content else None, 'output function')
    with current_span(ctx.tracer, names.output_function(called), attributes, include_content=content) as span:
        output = await work
        if content:
            span.set_attribute(names.result, _written(output))
        return output
