"""Events that are kept and asked about."""

import pytest

from plait_graph import GraphBuilder, GraphRuntimeError, JoinID, ReduceFirstValue, StepContext, reduce_sum
from plait_graph.events import Emitted, JoinFired, StepStarted, ValueDropped
from plait_graph.testing import FakeStep, Gate, RecordedEvents


def doubling():
    """Start -> map -> double -> sum -> end."""
    g = GraphBuilder(input_type=list[int], output_type=int)

    @g.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        ctx.emit(ctx.inputs)
        return ctx.inputs * 2

    total = g.join(reduce_sum, initial=0, node_id='total')
    g.add(
        g.edge_from(g.start_node).map().to(double),
        g.edge_from(double).to(total),
        g.edge_from(total).to(g.end_node),
    )
    return g.build()


async def recorded():
    """The events of a run over one item."""
    result = RecordedEvents()
    await doubling().run(inputs=[4], on_event=result)
    return result


async def test_events_are_asked_for_by_kind_and_by_step():
    """Each query gives the events that it names, in their order."""
    events = await recorded()

    assert [event.inputs for event in events.of(StepStarted)] == [4]
    assert [event.inputs for event in events.started('double')] == [4]
    assert [event.output for event in events.finished('double')] == [8]
    assert [event.output for event in events.fired('total')] == [8]
    assert events.emitted == [4]
    assert events.output == 8
    assert events.started('other') == events.fired('other') == events.failed('double') == events.cancelled('double')


async def test_the_order_of_things_can_be_compared():
    """The story has a few words for each event, and two of them can be asked which came first."""
    events = await recorded()

    assert events.story == ['double started', 'double emitted', 'double finished', 'total fired', 'run finished']
    assert events.is_before('double started', 'total fired')
    assert not events.is_before('total fired', 'double started')


async def test_it_is_a_sequence_of_events():
    """It can be counted, iterated and indexed."""
    events = await recorded()

    assert len(events) == len(list(events)) == 7
    assert isinstance(events[2], Emitted)
    assert [type(event) for event in events[5:6]] == [JoinFired]


async def test_a_failed_assertion_shows_what_happened():
    """The repr has a line for each thing that happened, with the value that it is about."""
    assert repr(await recorded()) == (
        '<RecordedEvents: 7\n'
        '  1. double started with 4\n'
        '  2. double emitted: 4\n'
        '  3. double finished: 8\n'
        '  4. total fired: 8\n'
        '  5. run finished: 8>'
    )


async def test_failures_are_kept():
    """A step that fails is among the events, with its error."""
    g = GraphBuilder()
    step = g.step(FakeStep(ValueError('no')), node_id='fetch')
    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
    events = RecordedEvents()

    with pytest.raises(ValueError, match='no'):
        await g.build().run(on_event=events)

    assert [str(event.error) for event in events.failed('fetch')] == ['no']
    assert "fetch failed: ValueError('no')" in repr(events)


async def test_cancelled_steps_are_kept():
    """A step that lost is among the events."""
    g = GraphBuilder(output_type=str)
    fast = g.step(FakeStep('won'), node_id='fast')
    slow = g.step(FakeStep('lost', gate=Gate()), node_id='slow')
    first = g.join(ReduceFirstValue[str](), initial='', node_id='first')
    g.add(g.edge_from(g.start_node).to(slow, fast), g.edge_from(slow, fast).to(first))
    g.add(g.edge_from(first).to(g.end_node))
    events = RecordedEvents()

    assert await g.build().run(on_event=events) == 'won'
    assert [event.node_id for event in events.cancelled('slow')] == ['slow']
    assert '. slow cancelled\n' in repr(events)


def test_dropped_values_have_a_line():
    """A value that came to a join too late is shown as such."""
    events = RecordedEvents()
    events(ValueDropped(JoinID('first'), (), 2))

    assert repr(events) == '<RecordedEvents: 1\n  1. first dropped a value: 2>'


def test_what_was_not_heard_cannot_be_compared():
    """A question about events that never came is refused, with what came instead."""
    events = RecordedEvents()

    with pytest.raises(GraphRuntimeError, match="No event is 'a started'"):
        events.is_before('a started', 'b started')
    with pytest.raises(GraphRuntimeError, match='has not reached its end'):
        _ = events.output
