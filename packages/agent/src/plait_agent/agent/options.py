"""What can be said about one run of an agent."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from typing_extensions import TypedDict

from plait_agent._typevars import DepsT

if TYPE_CHECKING:
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import AgentStreamEvent, ModelMessage
    from plait_agent.models import KnownModelName, Model
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import DeferredToolResults, RunContext, Tool
    from plait_agent.toolsets import AbstractToolset
    from plait_agent.usage import RunUsage, UsageLimits
    from plait_graph import Budget

__all__ = 'Changes', 'EventStreamHandler', 'HandledRunOptions', 'Instructions', 'RunOptions'

EventStreamHandler: TypeAlias = Callable[['RunContext[DepsT]', AsyncIterable['AgentStreamEvent']], Awaitable[None]]
"""Is given the events of each node of a run, a model's and those of its tools."""

Instruction: TypeAlias = str | Callable[..., Any]
Instructions: TypeAlias = Instruction | Sequence[Instruction] | None
"""What a model is told in each request: texts, and functions that give one."""


class RunOptions(TypedDict, Generic[DepsT], total=False):
    """The options of every way to run an agent."""

    message_history: Sequence[ModelMessage] | None
    """What was said before."""
    deferred_tool_results: DeferredToolResults | None
    """What became of the calls that an earlier run deferred."""
    model: Model | KnownModelName | str | None
    """The model to be asked instead of the agent's."""
    instructions: Instructions
    """Instructions beside the agent's."""
    deps: DepsT
    """What tools, prompts and validators are given as `ctx.deps`."""
    model_settings: ModelSettings | None
    """Settings, laid over those of the agent."""
    usage_limits: UsageLimits | None
    """What the run may use; 50 requests if nothing is said."""
    usage: RunUsage | None
    """What the run is to count into, so that several runs add up."""
    metadata: dict[str, Any] | Callable[[RunContext[DepsT]], dict[str, Any]] | None
    """Notes about the run, laid over those of the agent."""
    infer_name: bool
    """Whether an agent without a name takes that of the caller's variable; it does unless told otherwise."""
    toolsets: Sequence[AbstractToolset[DepsT]] | None
    """Toolsets beside the agent's."""
    builtin_tools: Sequence[AbstractBuiltinTool | Callable[[RunContext[DepsT]], Any]] | None
    """Tools of the provider beside the agent's."""
    budget: Budget | None
    """What the run may spend of; without it, that of the run whose tool calls this agent, if there is one."""


class HandledRunOptions(RunOptions[DepsT], total=False):
    """The options of runs that are not looked at node by node."""

    event_stream_handler: EventStreamHandler[DepsT] | None
    """Is given the events of each node."""


class Changes(TypedDict, Generic[DepsT], total=False):
    """What can be different about an agent within a block."""

    name: str
    """Another name."""
    deps: DepsT
    """Dependencies, instead of those of runs."""
    model: Model | KnownModelName | str
    """A model, instead of the agent's and of those of runs."""
    toolsets: Sequence[AbstractToolset[DepsT]]
    """Toolsets, instead of the agent's (but for its own functions) and of those of runs."""
    tools: Sequence[Tool[DepsT] | Callable[..., Any]]
    """Functions, instead of the agent's own."""
    instructions: Instructions
    """Instructions, instead of the agent's and of those of runs."""
    metadata: dict[str, Any] | Callable[[RunContext[DepsT]], dict[str, Any]] | None
    """Notes, instead of the agent's and of those of runs."""


KNOWN_OPTIONS = frozenset(HandledRunOptions.__annotations__) | frozenset(RunOptions.__annotations__)
