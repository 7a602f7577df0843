"""What tools, prompts and validators are told of the run that they are part of."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from plait_agent._short_repr import short_repr
from plait_agent._typevars import DepsOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plait_agent.messages import ModelMessage, UserContent
    from plait_agent.models import Model
    from plait_agent.usage import RunUsage
    from plait_graph import Budget

__all__ = 'RunContext', 'get_current_run_context', 'set_current_run_context'


@dataclass(repr=False, kw_only=True)
class RunContext(Generic[DepsOut]):
    """The run as tools, prompt functions and validators see it."""

    deps: DepsOut
    """The dependencies of the run."""
    model: Model
    """The model that the run asks."""
    usage: RunUsage
    """What the run has used so far; the record itself, which goes on counting."""
    prompt: str | Sequence[UserContent] | None = None
    """What the user said in this run."""
    messages: list[ModelMessage] = field(default_factory=list['ModelMessage'])
    """All messages so far; the list itself, which goes on growing."""
    validation_context: Any = None
    """What pydantic validators are given as `info.context`."""
    tracer: Any = None
    """The OpenTelemetry tracer, if the run is instrumented."""
    trace_include_content: bool = False
    """Whether what was said goes into spans."""
    instrumentation_version: int = 2
    """The form of the spans."""
    retries: dict[str, int] = field(default_factory=dict[str, int])
    """How often tools have failed in a row, by name."""
    tool_call_id: str | None = None
    """The call that is being made."""
    tool_name: str | None = None
    """The tool that is called."""
    retry: int = 0
    """How often this tool, or the output, has failed in a row."""
    max_retries: int = 0
    """How often it may."""
    run_step: int = 0
    """The number of the model request that this belongs to, from 1."""
    tool_call_approved: bool = False
    """Whether the call has been approved."""
    tool_call_metadata: Any = None
    """What came with the approval."""
    partial_output: bool = False
    """Whether the output is still growing."""
    run_id: str | None = None
    """The id of the run."""
    metadata: dict[str, Any] | None = None
    """What the program has noted about the run."""
    budget: Budget | None = None
    """What the run may spend, if it was given a budget."""

    @property
    def last_attempt(self) -> bool:
        """Whether a failure now would end the run."""
        return self.retry == self.max_retries

    __repr__ = short_repr


_current: ContextVar[RunContext[Any] | None] = ContextVar('plait_agent_run_context', default=None)


def get_current_run_context() -> RunContext[Any] | None:
    """The context of the tool that is running here, if there is one."""
    return _current.get()


@contextmanager
def set_current_run_context(run_context: RunContext[Any]) -> Generator[None]:
    """Make a context the current one within a block."""
    token = _current.set(run_context)
    try:
        yield
    finally:
        _current.reset(token)
