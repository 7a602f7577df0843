"""Bodies that would run in processes, called at once and in place, so that their order is that of their turns."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from types import TracebackType

from plait_graph.exceptions import GraphRuntimeError
from plait_graph.executors import Deliver, Envelope, EnvelopeRun, Outcome
from plait_graph.step import make_context


class Inline:
    """An executor that has done its work when `submit` returns."""

    def submit(self, envelopes: Sequence[Envelope], deliver: Deliver) -> None:
        """Call bodies and deliver what came of them."""
        for envelope in envelopes:
            deliver(_outcome_of(envelope, deliver))

    def cancel(self, keys: Collection[str]) -> None:
        """Nothing is under way that could be stopped."""

    async def reattach(self, keys: Collection[str], deliver: Deliver) -> Collection[str]:
        """Nothing is under way."""
        return ()

    async def __aenter__(self) -> Inline:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """There is nothing to wait for."""


def _outcome_of(envelope: Envelope, deliver: Deliver) -> Outcome:
    parcel, key = envelope.parcel, envelope.key
    run = EnvelopeRun(lambda event: deliver(Outcome(key, 'emitted', event)))
    state = None if parcel is None else parcel.state  # no process shares the state of a run
    context = make_context(state, envelope.deps, envelope.inputs, envelope.task, run)
    deliver(Outcome(key, 'started'))
    try:
        value = envelope.step.call(context)
    except Exception as error:  # noqa: BLE001 # the user's own, handed on
        return Outcome(key, 'error', error=error)
    if inspect.iscoroutine(value):
        value.close()
        fault = GraphRuntimeError(
            f'Step {envelope.task.node_id!r} is asynchronous and runs in a process, so its orders cannot be tried. '
            f'Replace it with a fake: replace_steps(...).'
        )
        return Outcome(key, 'error', error=fault)
    return Outcome(key, 'value', value, state_changes=None if parcel is None else parcel.changes())
