"""Events of a run, kept and asked about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, overload

from plait_graph import events
from plait_graph.exceptions import GraphRuntimeError

__all__ = ('RecordedEvents',)

_ON_THE_WAY = events.StepReady, events.ValueJoined

Event = TypeVar('Event', bound=events.RunEvent)


class RecordedEvents:
    """A listener that keeps what it hears: `graph.run(..., on_event=recorded)`.

    Can be iterated, counted and indexed as the list of events that it is.
    """

    def __init__(self) -> None:
        self._events: list[events.RunEvent] = []

    def __call__(self, event: events.RunEvent) -> None:
        """Keep an event."""
        self._events.append(event)

    # All events

    def __iter__(self) -> Iterator[events.RunEvent]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, place: int) -> events.RunEvent: ...
    @overload
    def __getitem__(self, place: slice) -> list[events.RunEvent]: ...
    def __getitem__(self, place: int | slice) -> events.RunEvent | list[events.RunEvent]:
        return self._events[place]

    @property
    def story(self) -> list[str]:
        """What happened in a few words, such as `'fetch started'` or `'total fired'`, in the order in which it did.

        That values are on their way (`StepReady`, `ValueJoined`) is left out.
        """
        return [words for words, _ in self._told()]

    # Some of them

    def of(self, kind: type[Event]) -> list[Event]:
        """The events of a kind."""
        return [event for event in self._events if isinstance(event, kind)]

    def started(self, node_id: str) -> list[events.StepStarted]:
        """The starts of a step."""
        return _at(self.of(events.StepStarted), node_id)

    def finished(self, node_id: str) -> list[events.StepFinished]:
        """The values that a step gave."""
        return _at(self.of(events.StepFinished), node_id)

    def failed(self, node_id: str) -> list[events.StepFailed]:
        """The failures of a step."""
        return _at(self.of(events.StepFailed), node_id)

    def cancelled(self, node_id: str) -> list[events.StepCancelled]:
        """The times that a step was stopped."""
        return _at(self.of(events.StepCancelled), node_id)

    def fired(self, join_id: str) -> list[events.JoinFired]:
        """The values that a join passed on."""
        return [event for event in self.of(events.JoinFired) if event.join_id == join_id]

    @property
    def emitted(self) -> list[Any]:
        """What steps gave to `ctx.emit`."""
        return [event.event for event in self.of(events.Emitted)]

    @property
    def output(self) -> Any:
        """The output of the run.

        Raises:
            GraphRuntimeError: The run has not reached its end.
        """
        ends = self.of(events.RunFinished)
        if not ends:
            raise GraphRuntimeError(f'The run has not reached its end. What was heard of it: {self!r}')
        return ends[-1].output

    def is_before(self, earlier: str, later: str) -> bool:
        """Whether the last event with some words came before the first one with others; see `story`.

        Raises:
            GraphRuntimeError: There is no such event.
        """
        story = self.story
        for words in (earlier, later):
            if words not in story:
                raise GraphRuntimeError(f'No event is {words!r}. What was heard: {self!r}')
        return len(story) - story[::-1].index(earlier) <= story.index(later)

    def __repr__(self) -> str:
        lines = (f'\n  {number}. {words}{_value(event)}' for number, (words, event) in enumerate(self._told(), 1))
        return f'<RecordedEvents: {len(self)}{"".join(lines)}>'

    def _told(self) -> Iterator[tuple[str, events.RunEvent]]:
        return ((_words(event), event) for event in self._events if not isinstance(event, _ON_THE_WAY))


_Placed = TypeVar('_Placed', events.StepStarted, events.StepFinished, events.StepFailed, events.StepCancelled)


def _at(found: list[_Placed], node_id: str) -> list[_Placed]:
    return [event for event in found if event.node_id == node_id]


_WORDS: dict[type[events.RunEvent], str] = {
    events.StepStarted: 'started',
    events.StepFinished: 'finished',
    events.StepRetried: 'failed, and is tried again',
    events.StepFellBack: 'failed, and its fallback takes over',
    events.StepFailed: 'failed',
    events.StepCancelled: 'cancelled',
    events.JoinFired: 'fired',
    events.ValueDropped: 'dropped a value',
    events.Emitted: 'emitted',
    events.LoopBlocked: 'blocked the loop',
}


def _words(event: events.RunEvent) -> str:
    """What happened, in a few words."""
    if isinstance(event, events.RunFinished):
        return 'run finished'
    is_of_join = isinstance(event, events.JoinFired | events.ValueDropped | events.ValueJoined)
    return f'{event.join_id if is_of_join else event.node_id} {_WORDS[type(event)]}'


def _value(event: events.RunEvent) -> str:
    """The value that an event is about, for a reader."""
    match event:
        case events.StepReady() | events.StepStarted():
            return f' with {event.inputs!r}'
        case events.StepFinished() | events.JoinFired() | events.RunFinished():
            return f': {event.output!r}'
        case events.StepFailed() | events.StepRetried() | events.StepFellBack():
            return f': {event.error!r}'
        case events.LoopBlocked():
            return f' for {event.seconds:.2f} s'
        case events.ValueDropped() | events.ValueJoined():
            return f': {event.value!r}'
        case events.Emitted():
            return f': {event.event!r}'
        case events.StepCancelled():
            return ''
