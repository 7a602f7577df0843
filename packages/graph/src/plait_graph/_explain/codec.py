"""Events as plain data, and back.

Knows the fields of the events by their hints, so that an event that is added needs nothing here.
Nothing that the data names is imported or run: a kind is looked up among the events that there are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from plait_graph._explain.records import RecordedError
from plait_graph.events import RunEvent
from plait_graph.exceptions import GraphRuntimeError
from plait_graph.id_types import ForkID, ForkStack, ForkStackItem, NodeRunID

AnyEvent = TypeVar('AnyEvent', bound=RunEvent)

MARK = '$repr'
"""The key of what stands for a value that JSON cannot say."""

_DEEPEST = 100
_LONGEST_REPR = 1000
_MOST_BITS = 8192
_ADDRESS = re.compile(r' at 0x[0-9a-fA-F]+')
_KINDS: Mapping[str, type[RunEvent]] = {kind.__name__: kind for kind in get_args(RunEvent)}


# Values


def plain(value: Any) -> Any:
    """A value as plain JSON data that shares nothing with it that can change.

    Built-in containers and dataclasses are taken apart here, and all else is left to pydantic; what neither can say is
    marked as `{'$repr': ...}`. Iterators are marked too, since reading them would take their items from the run; that
    is why the containers are not left to pydantic. Sets are sorted and addresses are left out, so that the same value
    gives the same data in every run. Never raises.
    """
    try:
        return _plain(value, 0)
    except Exception:  # noqa: BLE001 # too deep, in a circle, changed by a thread meanwhile, or the user's own code raised
        return _marked(value)


def _plain(value: Any, depth: int) -> Any:
    kind = cast('type[Any]', type(value))
    if value is None or kind is str or kind is bool:
        return value
    if kind is int:
        return value if value.bit_length() <= _MOST_BITS else _marked(value)
    if kind is float:
        return value if math.isfinite(value) else _marked(value)
    if depth > _DEEPEST:
        raise RecursionError('The value is deeper than what is recorded, or holds itself.')
    if isinstance(value, dict):
        return {_key(key): _plain(each, depth + 1) for key, each in cast('dict[Any, Any]', value).items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in cast('list[Any]', value)]
    return _plain_object(value, kind, depth)


def _key(key: Any) -> str:
    encoded = plain(key)
    return encoded if isinstance(encoded, str) else json.dumps(encoded)


def _plain_object(value: Any, kind: type[Any], depth: int) -> Any:
    if isinstance(value, set | frozenset):
        members = [_plain(each, depth + 1) for each in cast('set[Any]', value)]
        return sorted(members, key=json.dumps)
    if isinstance(value, Iterator | AsyncIterator | type):
        return _marked(cast('Any', value))
    if is_dataclass(kind) and not hasattr(kind, '__pydantic_serializer__'):
        there = [field.name for field in fields(kind) if hasattr(value, field.name)]
        return {name: _plain(getattr(value, name), depth + 1) for name in there}

    from pydantic_core import to_jsonable_python  # slow to import, and seldom needed

    made = to_jsonable_python(value, fallback=_marked, bytes_mode='base64')
    return made if isinstance(made, str) else _plain(made, depth + 1)  # it may be an infinite number


def _marked(value: Any) -> dict[str, str]:
    try:
        text = _ADDRESS.sub('', repr(value))
    except Exception:  # noqa: BLE001 # a repr may raise anything
        text = f'<{type(value).__qualname__}>'
    return {MARK: text if len(text) <= _LONGEST_REPR else f'{text[:_LONGEST_REPR]}...'}


def recorded(error: BaseException) -> RecordedError:
    """What stands for an error in a log."""
    if isinstance(error, RecordedError):
        return error
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 # an error's own __str__ may raise anything
        message = 'its message cannot be shown'
    notes: Any = getattr(error, '__notes__', ())
    said = map(str, cast('list[Any]', notes)) if isinstance(notes, list | tuple) else ()
    return RecordedError(name, message, tuple(said))


# Fields


@dataclass(frozen=True, slots=True)
class _Form:
    """How the fields of one type are kept, written and read."""

    keep: Callable[[Any], Any] | None = None
    """Makes what a log keeps; nothing to keep it as it is."""
    write: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None
    accepted: tuple[type, ...] = ()
    """The types that data may have; none for any."""


def _write_error(error: RecordedError) -> dict[str, Any]:
    return {'type': error.type, 'message': error.message, 'notes': list(error.notes)}


def _read_error(data: dict[str, Any]) -> RecordedError:
    return RecordedError(str(data['type']), str(data['message']), tuple(map(str, data['notes'])))


def _write_stack(stack: ForkStack) -> list[list[Any]]:
    return [[item.fork_id, item.node_run_id, item.thread_index] for item in stack]


def _read_stack(data: list[list[Any]]) -> ForkStack:
    return tuple(ForkStackItem(ForkID(fork), NodeRunID(run), int(index)) for fork, run, index in data)


@cache
def _forms(kind: type[RunEvent]) -> Mapping[str, _Form]:
    """The forms of an event's fields by name."""
    return {name: _form(hint) for name, hint in get_type_hints(kind).items()}


def _form(hint: Any) -> _Form:
    if hint is Any:
        return _Form(keep=plain)
    if hint is BaseException:
        return _Form(recorded, _write_error, _read_error, (dict,))
    if hint == ForkStack:
        return _Form(None, _write_stack, _read_stack, (list,))
    return _Form(accepted=_accepted(hint))


def _accepted(hint: Any) -> tuple[type, ...]:
    if isinstance(hint, NewType):
        return _accepted(hint.__supertype__)
    if get_origin(hint) in (Union, UnionType):
        return tuple(type_ for member in get_args(hint) for type_ in _accepted(member))
    return (int, float) if hint is float else (hint,)


# Events


def detach(event: AnyEvent) -> AnyEvent:
    """An event whose values are plain data; the event itself if they are so already.

    Raises:
        GraphRuntimeError: It is no event of a run.
    """
    changed: dict[str, Any] = {}
    for name, keep in _kept_fields(type(event)):
        value = getattr(event, name)
        kept = keep(value)
        if kept is not value:
            changed[name] = kept
    return replace(event, **changed) if changed else event


@cache
def _kept_fields(kind: type[RunEvent]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """The fields of an event that a log keeps in another form."""
    if kind not in _KINDS.values():
        raise GraphRuntimeError(
            f'{kind.__qualname__} is no event of a run. Give an EventLog to on_event=, which calls it with events.'
        )
    return tuple((name, form.keep) for name, form in _forms(kind).items() if form.keep is not None)


def write_event(event: RunEvent) -> dict[str, Any]:
    """The fields of a detached event as JSON data."""
    data: dict[str, Any] = {}
    for name, form in _forms(type(event)).items():
        value = getattr(event, name)
        data[name] = value if form.write is None else form.write(value)
    return data


def read_event(kind: str, data: Mapping[str, Any]) -> RunEvent:
    """The event that was written.

    Raises:
        ValueError: The kind or a field is unknown or not as it should be.
    """
    event_type = _KINDS.get(kind)
    if event_type is None:
        raise ValueError(f'{kind!r} is no kind of event; there are {", ".join(sorted(_KINDS))}')
    forms = _forms(event_type)
    unknown = data.keys() - forms.keys()
    if unknown:
        raise ValueError(f'{kind} has no field {", ".join(sorted(map(repr, unknown)))}')
    try:
        return event_type(**{name: _read_field(name, forms[name], value) for name, value in data.items()})
    except TypeError as error:
        raise ValueError(f'{kind} lacks a field: {error}') from error


def _read_field(name: str, form: _Form, value: Any) -> Any:
    if form.accepted and type(value) not in form.accepted:
        raise ValueError(f'{name!r} is {value!r}')
    if form.read is None:
        return value
    try:
        return form.read(value)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{name!r} is {value!r}') from error
