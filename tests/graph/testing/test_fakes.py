"""Steps that follow a script."""

from typing import Any

import anyio
import pytest

from plait_graph import (
    Cache,
    GraphBuilder,
    GraphRuntimeError,
    GraphSetupError,
    Limit,
    MemoryCache,
    StepContext,
    StepTimeout,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.testing import FakeStep, Gate, TestClock, any_order, replace_steps

CTX = StepContext(state=None, deps=None, inputs='x')


async def test_answers_come_in_turn():
    """Each call gives the next answer, an exception is raised, and calls are counted."""
    fake = FakeStep(1, ValueError('no'), 3)

    assert await fake(CTX) == 1
    with pytest.raises(ValueError, match='no'):
        await fake(CTX)
    assert await fake(CTX) == 3
    assert (fake.count, fake.calls) == (3, ['x', 'x', 'x'])
    assert repr(fake) == "<FakeStep 'fake', 3 calls, 3 answers>"


async def test_a_call_without_an_answer_is_refused():
    """More calls than answers are a fault of the test or of the graph, and said to be."""
    fake = FakeStep('only', name='fetch')
    await fake(CTX)

    with pytest.raises(
        GraphRuntimeError, match="'fetch' was called 2 times, the last time with 'x', and has 1 answers"
    ):
        await fake(CTX)


async def test_the_last_answer_may_repeat():
    """With `repeats` the last answer is given to all further calls."""
    fake = FakeStep('first', 'rest', repeats=True)

    assert [await fake(CTX) for _ in range(3)] == ['first', 'rest', 'rest']


def test_nothing_cannot_repeat():
    """To repeat an answer there must be one."""
    with pytest.raises(GraphSetupError, match='has none'):
        FakeStep(repeats=True)


async def test_a_gate_holds_a_step_until_it_is_opened():
    """The test waits until the step has come to the gate, looks around, and opens it."""
    gate = Gate('fetch')
    results = []

    async def call():
        results.append(await FakeStep('through', gate=gate)(CTX))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await gate.wait_reached()
        assert results == []
        assert repr(gate) == "<Gate 'fetch', closed, 1 waiting>"
        gate.open()

    assert results == ['through']
    assert repr(gate) == "<Gate 'fetch', open>"


def shop(**policy: Any):
    """Start -> map -> `price` -> sum -> end."""
    g = GraphBuilder(input_type=list[str], output_type=int)

    @g.step(**policy)
    async def price(ctx: StepContext[None, None, str]) -> int:
        return len(ctx.inputs)

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).map().to(price),
        g.edge_from(price).to(total),
        g.edge_from(total).to(g.end_node),
    )
    return g.build()


async def test_steps_of_a_graph_can_be_replaced():
    """The new graph calls the fake, the old one goes on with the real body."""
    graph = shop()
    fake = FakeStep(40, 2)
    other = replace_steps(graph, {'price': fake})

    assert await other.run(inputs=['tea', 'cup']) == 42
    assert fake.calls == ['tea', 'cup']
    assert await graph.run(inputs=['tea', 'cup']) == 6
    assert any_order(other, inputs=[], seeds=2).output == 0


async def test_a_replaced_step_keeps_its_policies():
    """A fake waits for the limit, is tried again and is stopped as the real body would be."""
    limit = Limit('fakes', in_flight=1)
    fake, slow_fake = FakeStep(ValueError('lost'), 5, 6), FakeStep(1, gate=Gate())
    clock = TestClock()

    assert await replace_steps(shop(limit=limit, retry=2), {'price': fake}).run(inputs=['tea', 'cup']) == 11
    assert limit.statistics().in_flight == 0
    async with clock.autojump():
        with pytest.raises(StepTimeout):
            await replace_steps(shop(timeout=60), {'price': slow_fake}).run(inputs=['tea'], clock=clock)


async def test_what_a_fake_gives_is_not_cached():
    """A cache that other tests and runs use hears nothing of fakes."""
    store = MemoryCache()
    graph = shop(cache=Cache(store=store))

    assert await replace_steps(graph, {'price': FakeStep(5, 6)}).run(inputs=['tea', 'tea']) == 11
    assert len(store) == 0


async def test_streams_and_steps_of_subgraphs_can_be_replaced():
    """The path of a step within a subgraph names it; in the place of a stream stands a list."""
    g = GraphBuilder(output_type=list[int])

    @g.stream
    async def items(ctx: StepContext[None, None, None]):
        yield ['unused']

    inner = shop().as_step(node_id='shop')
    totals = g.join(reduce_list_append, initial_factory=list[int])
    g.add(
        g.edge_from(g.start_node).to(items),
        g.edge_from(items).map().to(inner),
        g.edge_from(inner).to(totals),
        g.edge_from(totals).to(g.end_node),
    )
    fakes = {'items': FakeStep([['a', 'b'], ['c']]), 'shop/price': FakeStep(5, repeats=True)}

    assert await replace_steps(g.build(), fakes).run() == [10, 5]


def test_a_step_that_is_not_there_cannot_be_replaced():
    """The message names the steps that are."""
    with pytest.raises(GraphSetupError, match=r"no step 'cost' to replace .* Its steps are 'price'\."):
        replace_steps(shop(), {'cost': FakeStep(1)})
