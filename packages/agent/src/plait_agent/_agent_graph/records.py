"""What a run of an agent is made of: its state, which is its alone, and what it was started with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias

from plait_agent._short_repr import short_repr
from plait_agent._typevars import DepsT, OutputDataT, OutputT
from plait_agent.usage import RunUsage

if TYPE_CHECKING:
    from plait_agent._agent_graph.step import Step
    from plait_agent._functions import Function
    from plait_agent._output import OutputSchema, OutputValidator
    from plait_agent._spending import Spending
    from plait_agent._tracing import Tracing
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, UserContent
    from plait_agent.models import Model
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import RunContext, ToolsPrepareFunc
    from plait_agent.toolsets import AbstractToolset

EndStrategy: TypeAlias = Literal['early', 'exhaustive']
"""What becomes of the other calls in a response that has a final result: they are not made, or they are."""


@dataclass(repr=False)
class FinalResult(Generic[OutputDataT]):
    """What a run ends with."""

    output: OutputDataT
    """The output."""
    tool_name: str | None = None
    """The output tool that it came through, if it did."""
    tool_call_id: str | None = None
    """The call of that tool."""

    __repr__ = short_repr


@dataclass(kw_only=True)
class GraphAgentState:
    """What changes while an agent runs."""

    run_id: str
    message_history: list[ModelMessage] = field(default_factory=list['ModelMessage'])
    usage: RunUsage = field(default_factory=RunUsage)
    retries: int = 0
    """How many responses have led to a retry because of the output."""
    run_step: int = 0
    """How many model requests have been begun."""
    tool_retries: dict[str, int] = field(default_factory=dict[str, int])
    """How many steps in a row a tool has failed, by name."""
    repeated_calls: dict[str, int] = field(default_factory=dict[str, int])
    """In how many rounds in a row each call of the last one has given the same result; see `repetition`."""
    metadata: dict[str, Any] | None = None


@dataclass(kw_only=True, repr=False)
class GraphAgentDeps(Generic[DepsT, OutputT]):
    """What a run was started with."""

    agent_name: str
    user_deps: DepsT
    prompt: str | Sequence[UserContent] | None
    new_message_index: int
    """Where the messages of this run begin."""
    model: Model
    model_settings: ModelSettings | None
    max_result_retries: int
    end_strategy: EndStrategy
    output_schema: OutputSchema[OutputT]
    output_validators: Sequence[OutputValidator[OutputT]]
    validation_context: Any
    history_processors: Sequence[Function]
    instructions: str | None
    """The literal ones, joined."""
    instructions_functions: Sequence[Function]
    toolset: AbstractToolset[DepsT]
    prepare_output_tools: ToolsPrepareFunc[DepsT] | None
    builtin_tools: Sequence[AbstractBuiltinTool | Callable[[RunContext[Any]], Any]]
    event_handler: Callable[..., Any] | None
    """Is given the events of each node."""
    spending: Spending
    """Sees to limits and budgets."""
    tracing: Tracing | None
    """Makes spans."""
    step: Step | None = None
    """The tools that the last request has offered."""
