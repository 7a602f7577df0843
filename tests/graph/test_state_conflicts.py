"""Conflicts over isolated state that are found when a graph is built."""

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from plait_graph import (
    BaseNode,
    End,
    GraphBuilder,
    GraphRunContext,
    GraphSetupError,
    reduce_list_append,
    reduce_list_extend,
)
from plait_graph._compile.lower import lower
from plait_graph._compile.state_conflicts import state_conflicts, sure_writes


@dataclass
class State:
    """What the steps below write."""

    items: list[Any] = field(default_factory=list)
    count: int = 0
    log: Annotated[list[str], reduce_list_extend] = field(default_factory=list)


async def writes_items(ctx):
    """Sets a field."""
    ctx.state.items = [1]


async def appends_items(context):
    """The context may have another name."""
    context.state.items.append(1)


async def writes_log(ctx):
    """Changes a field that has a reducer."""
    ctx.state.log.append('x')


async def logs_as_well(ctx):
    """Changes it too."""
    ctx.state.log += ['y']


async def passes(ctx):
    """Writes nothing."""
    return ctx.inputs


async def may_write(ctx):
    """Writes a field or not."""
    if ctx.inputs:
        ctx.state.items = []


def conflicts(build, state_type=State):
    """The findings for a graph that a function puts together; it is given a builder and a maker of steps."""
    g = GraphBuilder(state_type=State)
    build(g, lambda function, name=None: g.step(function, node_id=name or function.__name__))
    return list(state_conflicts(lower(g.build().definition), state_type))


def broadcast(*functions):
    """Start -> a fork to these steps -> a join -> end."""

    def build(g, step):
        join = g.join(reduce_list_append, initial_factory=list)
        steps = [step(function) for function in functions]
        g.add(
            *(g.edge_from(g.start_node).to(each) for each in steps),
            *(g.edge_from(each).to(join) for each in steps),
            g.edge_from(join).to(g.end_node),
        )

    return build


def mapped(*functions):
    """Start -> a map -> these steps in a row -> a join -> end."""

    def build(g, step):
        join = g.join(reduce_list_append, initial_factory=list, node_id='join')
        steps = [step(function) for function in functions]
        g.add(g.edge_from(g.start_node).map(fork_id='map').to(steps[0]))
        g.add(*(g.edge_from(source).to(target) for source, target in zip(steps, [*steps[1:], join], strict=True)))
        g.add(g.edge_from(join).to(g.end_node))

    return build


def test_two_branches_that_write_one_field():
    """The finding names the steps, the field, the fork and the remedy."""
    (finding,) = conflicts(broadcast(writes_items, appends_items, passes))

    assert finding.code == 'state-conflict'
    assert finding.nodes == ('__start___broadcast_fork', 'writes_items', 'appends_items')
    assert "'writes_items' and 'appends_items' both write field 'items' of state State" in finding.message
    assert 'Declare a reducer for it' in finding.message


@pytest.mark.parametrize('other', [writes_log, passes, may_write])
def test_branches_that_need_not_conflict(other):
    """Another field, no write, and a write that may not happen are no finding."""
    assert conflicts(broadcast(writes_items, other)) == []


def test_field_with_a_reducer():
    """A field that declares how it is merged is no finding, in branches and below a map."""
    assert conflicts(broadcast(writes_log, logs_as_well)) == []
    assert conflicts(mapped(writes_log)) == []


def test_step_below_a_map():
    """Each item writes the field, wherever in the row the step stands."""
    (finding,) = conflicts(mapped(passes, writes_log, writes_items))

    assert finding.nodes == ('map', 'writes_items')
    assert "once for each item of map 'map'" in finding.message


def test_step_behind_the_join_of_a_map():
    """What runs once, when all items are done, is no finding."""

    def build(g, step):
        join = g.join(reduce_list_append, initial_factory=list)
        work, last = step(passes), step(writes_items)
        g.add(
            g.edge_from(g.start_node).map().to(work),
            g.edge_from(work).to(join),
            g.edge_from(join).to(last),
            g.edge_from(last).to(g.end_node),
        )

    assert conflicts(build) == []


def test_step_behind_a_decision():
    """A branch that may not be taken is no finding."""

    def build(g, step):
        join = g.join(reduce_list_append, initial_factory=list)
        one, other, third = step(writes_items), step(appends_items), step(passes)
        decision = g.decision().branch(g.match(int).to(other)).branch(g.match(object).to(third))
        g.add(
            g.edge_from(g.start_node).to(one, decision),
            g.edge_from(one, other, third).to(join),
            g.edge_from(join).to(g.end_node),
        )

    assert conflicts(build) == []


def test_nested_forks():
    """A fork within a branch is followed, and its own branches are compared once; a map speaks for itself."""

    def build(g, step):
        join = g.join(reduce_list_append, initial_factory=list)
        first, inner, one, other = step(passes, 'first'), step(passes, 'inner'), step(writes_items), step(appends_items)
        g.add(
            g.edge_from(g.start_node).to(first, inner, fork_id='outer'),
            g.edge_from(inner).to(one, other, fork_id='within'),
            g.edge_from(first, one, other).to(join),
            g.edge_from(join).to(g.end_node),
        )

    assert [finding.nodes[0] for finding in conflicts(build)] == ['within']


def test_class_nodes_are_read_too():
    """The context of a class node is the parameter after `self`."""

    @dataclass
    class Node(BaseNode[State, None, None]):
        async def run(self, ctx: GraphRunContext[State]) -> End[None]:
            ctx.state.count += 1
            return End(None)

    def build(g, step):
        g.add(g.node(Node), g.edge_from(g.start_node).map(fork_id='map').to(Node))

    assert [finding.nodes for finding in conflicts(build)] == [('map', 'Node')]


def test_declaration_that_cannot_work_is_refused():
    """A reducer that is none is found with the conflicts."""

    @dataclass
    class Wrong:
        items: Annotated[list[Any], lambda: None] = field(default_factory=list)

    with pytest.raises(GraphSetupError, match="Field 'items' of Wrong"):
        conflicts(mapped(writes_items), Wrong)


# What a step surely writes


async def many_ways(ctx):
    """A docstring is no statement that leads elsewhere."""
    number: int
    assert ctx.inputs
    ctx.state.a = ctx.state['b'] = number = 1
    ctx.state.c += number
    ctx.state.d: int = 1
    ctx.state.e, (ctx.state.f, *ctx.state.g) = 1, (2, 3)
    first = ctx.state.h.pop()
    ctx.state['i']['deep'].x = first
    ctx.state.j.k.update(x=1)
    del ctx.state.l
    state = ctx.state
    state.m = 1
    await ctx.deps.send(ctx.state.unread)
    state = first
    state.not_the_state = 1
    first.state.no = ctx.elsewhere.no = 1
    ctx.state[first] = 1
    ctx.state.never_called()
    return ctx.state.n.append(1)


async def stops_at_a_loop(ctx):
    """A loop may never end."""
    ctx.state.a = 1
    for _ in ctx.inputs:
        pass
    ctx.state.b = 1


async def context_is_replaced(ctx):
    """The name stands for something else later."""
    ctx.state.a = 1
    ctx = ctx.inputs
    ctx.state.b = 1


@pytest.mark.parametrize(
    ('function', 'fields'),
    [(many_ways, list('abcdefghijlm')), (stops_at_a_loop, ['a']), (context_is_replaced, ['a']), (may_write, [])],
)
def test_what_is_read_from_a_body(function, fields):
    """Assignments and calls that change a field count, up to the first statement that may lead elsewhere."""
    assert sorted(sure_writes(GraphBuilder().step(function))) == fields


class Methods:
    """Bodies that are no plain functions."""

    async def method(self, ctx):
        ctx.state.a = 1

    async def __call__(self, ctx):
        ctx.state.a = 1


def decorated(function):
    """May call the function or not."""

    @functools.wraps(function)
    async def inner(ctx):
        return await function(ctx)

    return inner


def without_source():
    """A function that was not read from a file."""
    names: dict[str, Any] = {}
    exec('async def made(ctx):\n    ctx.state.a = 1', names)
    return names['made']


@pytest.mark.parametrize(
    ('function', 'fields'),
    [
        (Methods().method, ['a']),
        (Methods(), []),
        (decorated(stops_at_a_loop), []),
        (functools.partial(stops_at_a_loop), []),
        (lambda ctx: ctx.state.a.append(1), []),
        (without_source(), []),
    ],
    ids=['method', 'object', 'decorated', 'partial', 'lambda', 'no source'],
)
def test_bodies_of_other_kinds(function, fields):
    """A method is read; what cannot be read for sure says nothing."""
    assert sure_writes(GraphBuilder().step(function, node_id='step')) == fields
