"""The agent: a model, what it is told, what it can call, and what it is to give."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, Unpack

from plait_agent._agent_graph.graph import agent_graph
from plait_agent._agent_graph.nodes import UserPromptNode
from plait_agent._agent_graph.records import EndStrategy, FinalResult, GraphAgentDeps, GraphAgentState
from plait_agent._capture import history_list
from plait_agent._functions import Function
from plait_agent._output import OutputSchema, OutputValidator
from plait_agent._run_context import get_current_run_context
from plait_agent._spending import Spending, budget_of_run
from plait_agent._stamps import make_uuid4
from plait_agent._typevars import DepsT, OutputT
from plait_agent.agent._checks import (
    check_callables,
    check_dialect,
    check_metadata,
    check_model,
    check_numbers,
    check_run,
    check_system_prompts,
    check_toolsets,
)
from plait_agent.agent._decorators import Decorators
from plait_agent.agent._overrides import NONE, UNSET, Overrides
from plait_agent.agent._own_tools import OwnToolset, own_toolset, toolset_of
from plait_agent.agent._prompting import Prompting, read_instructions
from plait_agent.agent._start import Start
from plait_agent.agent.abstract import AbstractAgent
from plait_agent.agent.options import KNOWN_OPTIONS, Changes, EventStreamHandler, Instructions
from plait_agent.exceptions import UserError
from plait_agent.settings import merge_model_settings, shown_settings
from plait_agent.toolsets._entries import SharedEntry
from plait_agent.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from plait_agent._agent_graph.placements import Placement
    from plait_agent._agent_graph.wiring import Wiring
    from plait_agent._tracing import Tracing
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.models import KnownModelName, Model
    from plait_agent.models.instrumented import InstrumentationSettings
    from plait_agent.output import OutputSpec
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import RunContext, Tool, ToolsPrepareFunc
    from plait_agent.toolsets import AbstractToolset
    from plait_graph import Graph, Limit

__all__ = ('Agent',)

_NO_LIMITS_GIVEN = UsageLimits()


class Agent(Decorators[DepsT, OutputT], AbstractAgent[DepsT, OutputT], Generic[DepsT, OutputT]):
    """A model, what it is told, what it can call, and what it is to give.

    Its loop is a graph of three nodes (`graph`); a run of the agent is a run of that graph.

    Args:
        model: The model, or its name, such as `'openai:gpt-5'` or `'test'`. A run can name another one.
        output_type: What runs end with: a type, a function, several of these, or a marker of `plait_agent.output`.
        instructions: What the model is told with each request: texts, and functions that give one. They are no part of
            the history.
        system_prompt: What the model is told first in a conversation that begins.
        deps_type: The type of what tools, prompts and validators are given; for type checkers alone.
        name: What the agent is called; the caller's variable, if nothing is said.
        model_settings: Settings for each request.
        retries: How often a tool may fail in a row, and the output be refused.
        validation_context: What pydantic validators are given as `info.context`, or a function of the `RunContext`.
        output_retries: How often the output may be refused, if that is not `retries`.
        tools: Functions that the model can call.
        builtin_tools: Tools of the provider.
        prepare_tools: Gives the tools to be offered for each request.
        prepare_output_tools: The same for those that end the run.
        toolsets: Further toolsets, or functions of the `RunContext` that give one.
        defer_model_check: Whether the name of the model is looked up by the first run, and not here.
        end_strategy: What becomes of the other calls in a response that has a final result: with `'early'` they are not
            made, with `'exhaustive'` they are.
        instrument: Whether, or how, OpenTelemetry spans are made.
        metadata: Notes about each run, or a function of the `RunContext` that gives them.
        history_processors: Functions that give the history a new form before each request.
        event_stream_handler: Is given the events of each node of a run.
        tool_timeout: How many seconds a tool of the agent may take.
        max_concurrency: How many runs there may be at once: a number, or a `Limit` to be shared.
        own_nodes: Nodes of one's own in the loop, put there by `before` and `after` of `plait_agent.nodes`.

    Raises:
        UserError: What is said cannot be, or contradicts itself.
    """

    _instrument_default: ClassVar[InstrumentationSettings | bool] = False

    def __init__(
        self,
        model: Model | KnownModelName | str | None = None,
        *,
        output_type: OutputSpec[OutputT] = str,
        instructions: Instructions = None,
        system_prompt: str | Sequence[str] = (),
        deps_type: type[DepsT] = NoneType,
        name: str | None = None,
        model_settings: ModelSettings | None = None,
        retries: int = 1,
        validation_context: Any | Callable[[RunContext[DepsT]], Any] = None,
        output_retries: int | None = None,
        tools: Sequence[Tool[DepsT] | Callable[..., Any]] = (),
        builtin_tools: Sequence[AbstractBuiltinTool | Callable[[RunContext[DepsT]], Any]] = (),
        prepare_tools: ToolsPrepareFunc[DepsT] | None = None,
        prepare_output_tools: ToolsPrepareFunc[DepsT] | None = None,
        toolsets: Sequence[AbstractToolset[DepsT] | Callable[[RunContext[DepsT]], Any]] | None = None,
        defer_model_check: bool = False,
        end_strategy: EndStrategy = 'early',
        instrument: InstrumentationSettings | bool | None = None,
        metadata: dict[str, Any] | Callable[[RunContext[DepsT]], dict[str, Any]] | None = None,
        history_processors: Sequence[Callable[..., Any]] | None = None,
        event_stream_handler: EventStreamHandler[DepsT] | None = None,
        tool_timeout: float | None = None,
        max_concurrency: int | Limit | None = None,
        own_nodes: Sequence[Placement] = (),
        **unknown: Any,
    ):
        if unknown:
            raise UserError(f'Unknown keyword arguments: {", ".join(f"`{name}`" for name in unknown)}')
        if end_strategy not in ('early', 'exhaustive'):
            raise UserError(f"end_strategy={end_strategy!r} is not known. Give 'early' or 'exhaustive'.")
        check_numbers(retries, output_retries, tool_timeout)
        check_callables(
            prepare_tools=prepare_tools,
            prepare_output_tools=prepare_output_tools,
            event_stream_handler=event_stream_handler,
        )
        self._model = model if model is None or (defer_model_check and isinstance(model, str)) else _as_model(model)
        self._name = name
        self._deps_type = deps_type
        self._output_type: Any = output_type
        self._schema = OutputSchema[OutputT].build(output_type)
        check_dialect(self._model, self._schema)
        self._output_validators: list[OutputValidator[OutputT]] = []
        self.model_settings = model_settings
        """Settings for each request."""
        self.end_strategy: EndStrategy = end_strategy
        """What becomes of the other calls in a response that has a final result."""
        self.instrument = instrument
        """Whether, or how, spans are made."""
        self._retries = retries
        self._output_retries = retries if output_retries is None else output_retries
        self._validation_context = validation_context
        self._metadata = metadata
        self._history_processors = [Function(each, 1, 'History processor') for each in history_processors or ()]
        self._event_stream_handler = event_stream_handler
        self._builtin_tools = tuple(builtin_tools)
        self._prepare_tools = prepare_tools
        self._prepare_output_tools = prepare_output_tools
        literals, functions = read_instructions(instructions)
        self._prompting = Prompting(literals, functions, check_system_prompts(system_prompt))
        self._own: OwnToolset = own_toolset(tools, retries, tool_timeout, self._schema)
        self._toolsets: list[Any] = check_toolsets(toolsets)
        self._limit = _as_limit(max_concurrency, name)
        self._wiring = _wired(own_nodes) if own_nodes else None
        self._entry = SharedEntry()
        self._overrides: ContextVar[Overrides] = ContextVar('plait_agent_overrides', default=NONE)

    # What it is

    @property
    def model(self) -> Model | KnownModelName | str | None:
        """The model that is asked unless a run names another one."""
        return self._model

    @model.setter
    def model(self, value: Model | KnownModelName | str | None) -> None:
        self._model = value

    @property
    def name(self) -> str | None:
        """What the agent is called."""
        overridden = self._overrides.get().name
        return self._name if overridden is UNSET else overridden

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    @property
    def deps_type(self) -> type:
        """The type of the dependencies."""
        return self._deps_type

    @property
    def output_type(self) -> OutputSpec[OutputT]:
        """What runs end with."""
        return self._output_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[DepsT] | None:
        """Is given the events of each node of a run."""
        return self._event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[DepsT]]:
        """All toolsets, that of the agent's own functions first."""
        overrides = self._overrides.get()
        own = self._own if overrides.tools is UNSET else overrides.tools
        return [own, *(self._toolsets if overrides.toolsets is UNSET else overrides.toolsets)]

    @property
    def graph(self) -> Graph[GraphAgentState, GraphAgentDeps[Any, Any], Any, FinalResult[Any]]:
        """The loop as a graph, to be drawn and looked at."""
        return agent_graph() if self._wiring is None else self._wiring.graph

    def output_json_schema(self, output_type: Any = None) -> dict[str, Any]:
        """The JSON schema of what runs end with, as it is written down."""
        schema = self._schema if output_type is None else OutputSchema[Any].build(output_type)
        return schema.json_schema()

    @staticmethod
    def instrument_all(instrument: InstrumentationSettings | bool = True) -> None:
        """Say for all agents that say nothing themselves whether, or how, spans are made."""
        Agent._instrument_default = instrument

    def __repr__(self) -> str:
        names = ('model', 'name', 'end_strategy', 'model_settings', 'output_type', 'instrument')
        values = {name: getattr(self, name) for name in names} | {'model_settings': shown_settings(self.model_settings)}
        return f'{type(self).__name__}({", ".join(f"{name}={value!r}" for name, value in values.items())})'

    # Running

    def _start(self, prompt: Any, output_type: Any, options: Any) -> Start:
        """Put together all that a run needs."""
        if not options.keys() <= KNOWN_OPTIONS:
            unknown = sorted(options.keys() - KNOWN_OPTIONS)
            raise TypeError(f'A run has no options {unknown}. The options are {", ".join(sorted(KNOWN_OPTIONS))}.')
        check_run(prompt, options)
        get, overrides = options.get, self._overrides.get()
        model = self._model_of(get('model'), overrides)
        usage, limits = get('usage'), get('usage_limits') or _NO_LIMITS_GIVEN
        usage = RunUsage() if usage is None else usage
        history = history_list()
        history[:] = get('message_history') or ()
        state = GraphAgentState(run_id=make_uuid4(), message_history=history, usage=usage)
        instructions, functions = self._instructions(get('instructions'), overrides)
        around = get_current_run_context()
        inherited = None if around is None else around.budget
        budget = budget_of_run(self.name or 'agent', limits, get('budget'), inherited)
        tracing = self._tracing(model)
        deps = GraphAgentDeps[Any, Any](
            agent_name=self.name or 'agent',
            user_deps=get('deps') if overrides.deps is UNSET else overrides.deps,
            prompt=prompt,
            new_message_index=len(history),
            model=model if tracing is None else tracing.model(model),
            model_settings=merge_model_settings(self.model_settings, get('model_settings')),
            max_result_retries=self._output_retries,
            end_strategy=self.end_strategy,
            output_schema=self._schema_of(output_type),
            output_validators=self._output_validators,
            validation_context=self._validation_context,
            history_processors=self._history_processors,
            instructions=instructions,
            instructions_functions=functions,
            toolset=toolset_of(self.toolsets, self._run_toolsets(get('toolsets'), overrides), self._prepare_tools),
            prepare_output_tools=self._prepare_output_tools,
            builtin_tools=(*self._builtin_tools, *(get('builtin_tools') or ())),
            event_handler=get('event_stream_handler') or self._event_stream_handler,
            spending=Spending(usage, limits, budget),
            tracing=tracing,
        )
        first = self._first_node(prompt, instructions, functions, get('deferred_tool_results'))
        return Start(self.graph, state, deps, first, self._limit, self._metadata_of(get('metadata'), overrides))

    def _first_node(self, prompt: Any, instructions: str | None, functions: list[Function], results: Any) -> Any:
        """What a run begins with: the prompt, or a node of the user's own before it."""
        prompting = self._prompting
        node = UserPromptNode[Any, Any](
            prompt,
            deferred_tool_results=results,
            instructions=instructions,
            instructions_functions=functions,
            system_prompts=prompting.system_prompts,
            system_prompt_functions=prompting.system_functions,
            system_prompt_dynamic_functions=prompting.dynamic,
        )
        return node if self._wiring is None else self._wiring.enter(node)

    def _model_of(self, given: Any, overrides: Overrides) -> Model:
        model = (given or self._model) if overrides.model is UNSET else overrides.model
        if model is None:
            raise UserError('`model` must either be set on the agent or included when calling it.')
        found = _as_model(model)
        if model is self._model:
            self._model = found
        return found

    def _schema_of(self, output_type: Any) -> OutputSchema[Any]:
        if output_type is None:
            return self._schema
        if self._output_validators:
            raise UserError('Cannot set a custom run `output_type` when the agent has output validators')
        return OutputSchema[Any].build(output_type)

    def _instructions(self, given: Instructions, overrides: Overrides) -> tuple[str | None, list[Function]]:
        if overrides.instructions is not UNSET:
            return Prompting().with_instructions(overrides.instructions)
        return self._prompting.with_instructions(given)

    def _run_toolsets(self, given: Any, overrides: Overrides) -> Sequence[Any]:
        return check_toolsets(given) if given and overrides.toolsets is UNSET else ()

    def _metadata_of(self, given: Any, overrides: Overrides) -> Callable[[RunContext[Any]], Any] | None:
        sources = [self._metadata, given] if overrides.metadata is UNSET else [overrides.metadata]
        present = [source for source in sources if source is not None]
        if not present:
            return None

        def metadata(context: RunContext[Any]) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for source in present:
                found |= check_metadata(source(context) if callable(source) else source)
            return found

        return metadata

    def _tracing(self, model: Model) -> Tracing | None:
        """What makes the spans of a run: as the model says, if it makes some itself, or else as the agent does."""
        instrument = self.instrument if self.instrument is not None else Agent._instrument_default
        instrument = getattr(model, 'instrumentation_settings', None) or instrument
        if not instrument:
            return None
        from plait_agent._tracing import Tracing

        return Tracing(instrument)

    # Changing it for a while

    @contextmanager
    def override(self, **changes: Unpack[Changes[DepsT]]) -> Generator[None]:
        """Let something stand for the agent's own, and for what runs say, within a block; see `Changes`.

        Raises:
            TypeError: Something cannot be changed.
        """
        given: dict[str, Any] = {**changes}
        if 'tools' in given:
            given['tools'] = own_toolset(given['tools'], self._retries, self._own.timeout, self._schema)
        token = self._overrides.set(replace(self._overrides.get(), **given))
        try:
            yield
        finally:
            self._overrides.reset(token)

    async def __aenter__(self) -> Self:
        """Enter the agent's model and toolsets once for all runs in the block, and for all blocks that are open."""
        model = [] if self._model is None or isinstance(self._model, str) else [self._model]
        await self._entry.enter([*model, *(each for each in self.toolsets if hasattr(each, '__aenter__'))])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._entry.leave(kind, error, traceback)


def _as_model(model: Model | str) -> Model:
    if not isinstance(model, str):
        return check_model(model)
    from plait_agent.models import infer_model

    return infer_model(model)


def _wired(own_nodes: Sequence[Placement]) -> Wiring:
    from plait_agent._agent_graph.wiring import Wiring

    return Wiring(own_nodes)


def _as_limit(most: int | Limit | None, name: str | None) -> Limit | None:
    if not isinstance(most, int):
        return most
    from plait_graph import Limit

    return Limit(f'runs of agent {name or ""} {make_uuid4()}', in_flight=most)  # no other agent's, whatever its name
