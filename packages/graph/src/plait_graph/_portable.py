"""Bodies that cross to another process: bytes that say what to run, and bytes that tell what came of it.

Knows nothing of how the bytes travel, so that any executor whose bodies leave the process can use it. Each part is
packed on its own, so that what cannot cross is known by its name.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType, TracebackType
from typing import Any, Literal, cast

from plait_graph._calls import cancelled_from_within
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.executors import Envelope, EnvelopeRun, Outcome, Parcel, TaskInfo
from plait_graph.id_types import NodeID
from plait_graph.step import Step, StepContext

_PROTOCOL = pickle.HIGHEST_PROTOCOL


@dataclass(frozen=True, slots=True)
class _Request:
    key: str
    task: TaskInfo
    function: bytes
    inputs: bytes
    deps: bytes | None
    deps_fault: str
    parcel: bytes | None
    shares_state: bool


@dataclass(frozen=True, slots=True)
class _Reply:
    key: str
    node_id: NodeID
    kind: Literal['started', 'emitted', 'value', 'error']
    value: bytes
    state_changes: bytes = b''
    note: str = ''


def pack(envelope: Envelope) -> bytes:
    """What `perform` needs to run a body.

    Raises:
        GraphRuntimeError: The step is a stream, or its function, inputs or isolated state cannot be pickled.
    """
    node_id = envelope.task.node_id
    if envelope.step.kind == 'stream':
        raise GraphRuntimeError(
            f'Stream {node_id!r} cannot run in another process, as its items are asked for one by one. '
            f'Run it in this one, and what maps over its items in the other.'
        )
    deps, fault = _dump_deps(node_id, envelope.deps)
    request = _Request(
        key=envelope.key,
        task=envelope.task,
        function=_dump(node_id, 'function', envelope.step.call),
        inputs=_dump(node_id, 'inputs', envelope.inputs),
        deps=deps,
        deps_fault=fault,
        parcel=None if envelope.parcel is None else _dump(node_id, 'isolated state', envelope.parcel),
        shares_state=envelope.parcel is None and envelope.state is not None,
    )
    return pickle.dumps(request, _PROTOCOL)


def perform(data: bytes, tell: Callable[[bytes], None]) -> bytes:
    """Run a packed body, tell that it starts and what it emits, and give what came of it; all are for `unpack`."""
    request: _Request = pickle.loads(data)
    try:
        return pickle.dumps(_run(request, tell), _PROTOCOL)
    except BaseException as error:  # noqa: BLE001 # the user's own, handed on
        return _pack_error(request, error)


def refuse(data: bytes, reason: str, error: BaseException) -> bytes:
    """What to give for a packed body that cannot be run where it arrived."""
    request: _Request = pickle.loads(data)
    failure = GraphRuntimeError(f'Step {request.task.node_id!r} was not run: {reason}: {error!r}.')
    failure.__cause__ = error
    return _pack_error(request, failure)


def unpack(data: bytes) -> Outcome:
    """The outcome that a body's process has told."""
    reply: _Reply = pickle.loads(data)
    try:
        value = _load(reply.node_id, 'exception' if reply.kind == 'error' else 'result', reply.value)
        changes = _load(reply.node_id, 'state changes', reply.state_changes) if reply.state_changes else None
    except GraphRuntimeError as error:
        if reply.note:
            error.add_note(reply.note)
        return Outcome(reply.key, 'error', error=error)
    if reply.kind == 'error':
        value.add_note(reply.note)
        return Outcome(reply.key, 'error', error=value)
    return Outcome(reply.key, reply.kind, value, state_changes=changes)


# Running


def _run(request: _Request, tell: Callable[[bytes], None]) -> _Reply:
    node_id = request.task.node_id

    def tell_of(kind: Literal['started', 'emitted'], event: object) -> None:
        reply = _Reply(request.key, node_id, kind, _dump(node_id, 'event', event))
        tell(pickle.dumps(reply, _PROTOCOL))

    parcel: Parcel | None = None if request.parcel is None else _load(node_id, 'isolated state', request.parcel)
    function = _load(node_id, 'function', request.function)
    inputs = _load(node_id, 'inputs', request.inputs)
    tell_of('started', None)
    value = function(_DistantContext(request, parcel, inputs, lambda event: tell_of('emitted', event)))
    if inspect.isawaitable(value):
        value = _wait(node_id, value)
    changes = b'' if parcel is None else _dump(node_id, 'state changes', parcel.changes())
    return _Reply(request.key, node_id, 'value', _dump(node_id, 'result', value), changes)


def _wait(node_id: NodeID, awaitable: Any) -> Any:
    import asyncio

    try:
        return asyncio.run(_await(awaitable))
    except asyncio.CancelledError as error:
        raise cancelled_from_within(node_id, error) from error


async def _await(awaitable: Any) -> Any:
    return await awaitable


class _DistantContext(StepContext[Any, Any, Any]):
    """The context of a body in another process, which says what is missing there when it is asked for."""

    __slots__ = ('_request',)

    def __init__(self, request: _Request, parcel: Parcel | None, inputs: Any, emit: Callable[[object], None]):
        super().__init__(state=None if parcel is None else parcel.state, deps=request.deps, inputs=inputs)
        self._request = request
        self._task = request.task
        self._run = EnvelopeRun(emit)

    @property
    def state(self) -> Any:
        """The isolated state.

        Raises:
            GraphRuntimeError: The state is shared between steps, and so it stayed in the process of the run.
        """
        if self._request.shares_state:
            raise GraphRuntimeError(
                f'Step {self.node_id!r} uses ctx.state, which another process does not share. '
                f'Give it what it needs as inputs, or build the graph with isolated state.'
            )
        return self._state

    @property
    def deps(self) -> Any:
        """The dependencies, rebuilt when they are first asked for.

        Raises:
            GraphRuntimeError: They could not be sent, or cannot be rebuilt here.
        """
        if self._request.deps_fault:
            raise GraphRuntimeError(self._request.deps_fault)
        if self._deps is self._request.deps:
            self._deps = _load(self.node_id, 'deps', cast('bytes', self._request.deps))
        return self._deps


# Packing


def _dump_deps(node_id: NodeID, deps: Any) -> tuple[bytes | None, str]:
    """The dependencies as bytes, or why they have none: many steps do not ask for them."""
    try:
        return _dump(node_id, 'deps', deps), ''
    except GraphRuntimeError as error:
        return None, error.message


def _dump(node_id: NodeID, part: str, value: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, _PROTOCOL).dump(value)
    except Exception as error:
        raise _unpackable(node_id, part, value, error) from error
    return buffer.getvalue()


def _load(node_id: NodeID, part: str, data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:
        raise GraphRuntimeError(
            f'The {part} of step {node_id!r} came from another process and cannot be rebuilt: {error!r}. '
            f'Define functions and classes in a module that both processes can import.'
        ) from error


class _Pickler(pickle.Pickler):
    """Pickles functions also if the name that they were given now means the step that was made of them."""

    def reducer_override(self, obj: Any) -> Any:
        """How to find a step's function again; all else is left to pickle."""
        if not isinstance(obj, FunctionType):
            return NotImplemented
        found: Any = sys.modules.get(obj.__module__)
        for name in obj.__qualname__.split('.'):
            found = getattr(found, name, None)
        if isinstance(found, Step) and cast('Any', found).call is obj:
            return _function_of, (obj.__module__, obj.__qualname__)
        return NotImplemented


def _function_of(module: str, name: str) -> Any:
    """The function of a step that is found in a module."""
    found: Any = import_module(module)
    for part in name.split('.'):
        found = getattr(found, part)
    return found.call


class _TracingPickler(_Pickler):
    """Remembers what it looked at last: what it could not pickle."""

    last: Any = None

    def persistent_id(self, obj: Any) -> None:
        """No object has one; pickle asks for it before it looks at an object."""
        self.last = obj


def _unpackable(node_id: NodeID, part: str, value: Any, error: Exception) -> GraphRuntimeError:
    pickler = _TracingPickler(io.BytesIO(), _PROTOCOL)
    with suppress(Exception):  # the same as before
        pickler.dump(value)
    offender = pickler.last
    if isinstance(offender, FunctionType | type):
        found = f'{offender.__module__}.{offender.__qualname__}'
        remedy = 'Lambdas, and what is defined inside of a function, cannot cross: define it at the top of a module.'
    else:
        found = f'a {_name_of(offender)}'
        remedy = 'Send plain data, and open what belongs to one process inside of the step.'
    return GraphRuntimeError(
        f'The {part} of step {node_id!r} cannot cross to another process, because of {found} ({error}). {remedy}'
    )


def _name_of(value: Any) -> str:
    kind = cast('type[Any]', type(value))
    return kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'


def _pack_error(request: _Request, error: BaseException) -> bytes:
    """An exception, or if it cannot cross, one that stands for it; with what happened there as text."""
    text = ''.join(traceback.format_exception(type(error), error, _from_body_on(error.__traceback__)))
    node_id = request.task.node_id
    try:
        value = _dump(node_id, 'exception', error)
        _load(node_id, 'exception', value)
    except GraphRuntimeError as fault:
        value = pickle.dumps(_stand_in(node_id, error, fault), _PROTOCOL)
    return pickle.dumps(_Reply(request.key, node_id, 'error', value, note=f'In another process:\n\n{text}'), _PROTOCOL)


def _from_body_on(whole: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that lead to the body."""
    below = own = whole
    while below is not None:
        if below.tb_frame.f_code in _ON_THE_WAY and below.tb_next is not None:
            own = below.tb_next
        below = below.tb_next
    return own


_ON_THE_WAY = _run.__code__, _await.__code__


def _stand_in(node_id: NodeID, error: BaseException, fault: GraphRuntimeError) -> GraphRuntimeError:
    return GraphRuntimeError(
        f'Step {node_id!r} raised {_name_of(error)} in another process, and that exception cannot cross '
        f'({fault.__cause__}). Let its __init__ hand all its arguments to super().__init__, and keep plain data in it.'
    )
