"""Odd ends of calls to the bodies of steps, which every way of running them has to see to."""

from __future__ import annotations

from typing import Any

from plait_graph.exceptions import GraphRuntimeError
from plait_graph.id_types import NodeID
from plait_graph.step import AnyStep, StepContext


def call_plain(step: AnyStep, context: StepContext[Any, Any, Any]) -> tuple[Any]:
    """Call a function; the value is wrapped, as trio takes a bare coroutine for a mistake."""
    try:
        return (step.call(context),)
    except StopIteration as error:  # no future and no coroutine can carry it
        raise RuntimeError(f'step {step.id!r} raised StopIteration') from error


def cancelled_from_within(node_id: NodeID, error: BaseException) -> GraphRuntimeError:
    """The error for a body that ended with a cancellation which nobody has asked for."""
    result = GraphRuntimeError(
        f'Step {node_id!r} ended with a cancellation that nobody asked for: it awaited something that was cancelled. '
        f'Catch CancelledError there if that is expected.'
    )
    result.__cause__ = error
    return result
