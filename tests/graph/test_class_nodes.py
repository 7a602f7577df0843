"""Graphs whose nodes are classes, alone and mixed with functions.

Hints say where a node can lead, values where it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import pytest

from plait_graph import (
    BaseNode,
    Decision,
    Edge,
    End,
    GraphBuilder,
    GraphBuildingError,
    GraphRunContext,
    GraphRuntimeError,
    GraphSetupError,
    Join,
    JoinNode,
    NodeStep,
    Step,
    StepContext,
    StepNode,
    reduce_list_append,
    reduce_sum,
)

T = TypeVar('T')


@dataclass
class Halve(BaseNode[list[int], None, str]):
    """Halves even numbers, and says when one is reached."""

    number: int

    async def run(self, ctx: GraphRunContext[list[int]]) -> Triple | Halve | End[str]:
        """Go on with the half."""
        ctx.state.append(self.number)
        if self.number == 1:
            return End('one')
        return Triple(self.number) if self.number % 2 else Halve(self.number // 2)


@dataclass
class Triple(BaseNode[list[int], None, str]):
    """Triples odd numbers and adds one."""

    number: int

    async def run(self, ctx: GraphRunContext[list[int]]) -> Halve:
        """Go on with an even number."""
        return Halve(self.number * 3 + 1)


def collatz():
    """Start -> Halve <-> Triple, Halve -> end."""
    g = GraphBuilder(state_type=list[int], input_type=Halve, output_type=str)
    g.add(g.edge_from(g.start_node).to(Halve), g.node(Halve), g.node(Triple))
    return g.build()


async def test_class_nodes_go_where_their_values_say():
    """Each node's return value is the next node and its input, and `End` ends the run with its data."""
    state = []

    assert await collatz().run(state=state, inputs=Halve(6)) == 'one'
    assert state == [6, 3, 10, 5, 16, 8, 4, 2, 1]


async def test_hints_give_the_edges():
    """The members of a return hint are the nodes that a class leads to, behind a decision if there are several."""
    graph = collatz()

    assert {'Halve', 'Triple', '__start__', '__end__'} < set(graph.nodes)
    [path] = graph.edges_by_source['Triple']
    assert path.items[-1].destination_id == 'Halve'
    assert isinstance(graph.nodes['decision'], Decision)
    ends = [each.items[-1].destination_id for each in graph.edges_by_source['decision']]
    assert sorted(ends) == ['Halve', 'Triple', '__end__']


async def test_edges_of_a_class_that_is_only_a_destination_are_implied():
    """A class node that is a destination gets the edges of its hint though `g.node` was not called."""
    g = GraphBuilder(state_type=list[int], input_type=Halve, output_type=str)
    g.add(g.edge_from(g.start_node).to(Halve))

    assert await g.build().run(state=[], inputs=Halve(3)) == 'one'


async def test_the_value_decides_and_not_the_hint():
    """A node may return a node that its hint does not name, if that is in the graph."""

    @dataclass
    class First(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> Second:
            return Third()  # type: ignore[return-value]

    @dataclass
    class Second(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> End[str]:
            return End('second')

    @dataclass
    class Third(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> End[str]:
            return End('third')

    g = GraphBuilder(output_type=str)
    both = g.decision().branch(g.match_node(First)).branch(g.match_node(Third))
    g.add(g.edge_from(g.start_node).to(both))

    assert await g.build().run(inputs=First()) == 'third'


async def test_a_node_that_is_not_in_the_graph_is_named():
    """A node that returns one which the graph does not have fails with both names and the remedy."""

    @dataclass
    class Known(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> End[str]:
            return Unknown()  # type: ignore[return-value]

    @dataclass
    class Unknown(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> End[str]:
            return End('unknown')

    g = GraphBuilder(output_type=str)
    g.add(g.edge_from(g.start_node).to(Known))

    with pytest.raises(
        GraphRuntimeError, match=r"'Known' returned 'Unknown', which is not in the graph.*g\.node\("
    ) as caught:
        await g.build().run(inputs=Known())
    assert "'Known'" in caught.value.__notes__[0]


async def test_a_node_that_returns_something_else_is_named():
    """A class node that returns a value which is no node fails with the value and what to return."""

    @dataclass
    class Odd(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> End[str]:
            return 'a string'  # type: ignore[return-value]

    g = GraphBuilder(output_type=str)
    g.add(g.edge_from(g.start_node).to(Odd))

    with pytest.raises(GraphRuntimeError, match=r"'Odd' returned 'a string'.*End\(value\)"):
        await g.build().run(inputs=Odd())


async def test_an_input_that_is_no_instance_is_refused():
    """A class node that is given something else than an instance fails with the value and the class."""
    g = GraphBuilder(state_type=list[int], output_type=str)
    g.add(g.edge_from(g.start_node).to(Halve))

    with pytest.raises(ValueError, match="Node 5 is not of type 'Halve'"):
        await g.build().run(state=[], inputs=5)


# End


async def test_end_ends_the_run_wherever_it_is_returned():
    """`End` returned below a map ends the whole run, and cancels what else is under way."""

    @dataclass
    class Search(BaseNode[None, None, str]):
        text: str

        async def run(self, ctx: GraphRunContext) -> End[str] | Annotated[JoinNode[None, None], everything]:
            return End(self.text) if 'x' in self.text else everything.as_node(self.text)

    g = GraphBuilder(output_type=object)
    everything = g.join(reduce_list_append, initial_factory=list[str], node_id='everything')
    g.add(
        g.edge_from(g.start_node).map().transform(lambda ctx: Search(ctx.inputs)).to(Search),
        g.edge_from(everything).to(g.end_node),
    )
    graph = g.build()

    assert await graph.run(inputs=['a', 'x', 'c']) == 'x'
    assert await graph.run(inputs=['a', 'b']) == ['a', 'b']


async def test_end_from_a_function_step_ends_the_run():
    """A function step whose hint names nodes only may return `End`, whose data is then the output."""
    g = GraphBuilder(output_type=str)

    @g.step
    async def decide(ctx: StepContext[None, None, int]) -> Halve | End[str]:
        return Halve(ctx.inputs) if ctx.inputs > 1 else End('small')

    g.add(g.edge_from(g.start_node).to(decide))
    graph = g.build()

    assert await graph.run(state=[], inputs=0) == 'small'
    assert await graph.run(state=[], inputs=4) == 'one'


# Mixes


async def test_a_function_that_gives_a_node_leads_to_it():
    """The edge from a function step to the class node that its hint names is implied."""
    g = GraphBuilder(state_type=list[int], input_type=int, output_type=str)

    @g.step
    async def begin(ctx: StepContext[list[int], None, int]) -> Halve:
        return Halve(ctx.inputs)

    g.add(g.edge_from(g.start_node).to(begin))

    assert await g.build().run(state=[], inputs=2) == 'one'


async def test_match_node_leads_to_its_class():
    """A decision with `match_node` sends each node to its own step."""
    g = GraphBuilder(state_type=list[int], output_type=str)
    choice = g.decision().branch(g.match_node(Triple)).branch(g.match_node(Halve))
    g.add(g.edge_from(g.start_node).to(choice))
    state = []

    assert await g.build().run(state=state, inputs=Triple(1)) == 'one'
    assert state[0] == 4


async def test_a_class_leads_to_a_function_step():
    """`step.as_node(value)` goes on with the step that the hint names in `Annotated[StepNode, step]`."""
    g = GraphBuilder(output_type=str)

    @g.step
    async def shout(ctx: StepContext[None, None, str]) -> str:
        return ctx.inputs.upper()

    @dataclass
    class Whisper(BaseNode[None, None, str]):
        text: str

        async def run(self, ctx: GraphRunContext) -> Annotated[StepNode[None, None], shout]:
            return shout.as_node(self.text)

    g.add(g.edge_from(g.start_node).to(Whisper), g.edge_from(shout).to(g.end_node))

    assert await g.build().run(inputs=Whisper('hello')) == 'HELLO'


async def test_a_class_leads_to_a_join():
    """`join.as_node(value)` hands the value to the join that the hint names in `Annotated[JoinNode, join]`."""
    g = GraphBuilder(output_type=int)
    total = g.join(reduce_sum, initial=0, node_id='total')

    @dataclass
    class Square(BaseNode[None, None, int]):
        number: int

        async def run(self, ctx: GraphRunContext) -> Annotated[JoinNode[None, None], total]:
            return total.as_node(self.number**2)

    g.add(
        g.edge_from(g.start_node).map().transform(lambda ctx: Square(ctx.inputs)).to(Square),
        g.edge_from(total).to(g.end_node),
    )

    assert await g.build().run(inputs=[1, 2, 3]) == 14


async def test_a_labelled_hint_labels_the_edge():
    """`Annotated[Next, Edge(label)]` gives the edge to that node its label."""

    @dataclass
    class Ask(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> Annotated[End[str], Edge('at once')]:
            return End('done')

    g = GraphBuilder(output_type=str)
    g.add(g.edge_from(g.start_node).to(Ask))

    assert 'Ask --> [*]: at once' in g.build().render()


async def test_generic_nodes():
    """A subscripted generic class is accepted wherever a class is, and its instances run."""

    @dataclass
    class Box(BaseNode[None, None, Any], Generic[T]):
        content: T

        async def run(self, ctx: GraphRunContext) -> End[T]:
            return End(self.content)

    g = GraphBuilder(output_type=int)
    g.add(g.edge_from(g.start_node).to(Box[int]), g.node(Box[int]))
    graph = g.build()

    assert set(graph.nodes) == {'__start__', '__end__', 'Box'}
    assert await graph.run(inputs=Box(5)) == 5


async def test_a_node_may_choose_its_id():
    """`get_node_id` may be overridden, and the graph uses what it gives."""

    @dataclass
    class Named(BaseNode[None, None, str]):
        @classmethod
        def get_node_id(cls) -> str:
            return 'another name'

        async def run(self, ctx: GraphRunContext) -> Named | End[str]:
            return End('done')

    g = GraphBuilder(output_type=str)
    g.add(g.edge_from(g.start_node).to(Named))
    graph = g.build()

    assert isinstance(graph.nodes['another name'], NodeStep)
    assert await graph.run(inputs=Named()) == 'done'


async def test_a_subclass_has_an_id_of_its_own():
    """A subclass of a node class is another node, under its own name."""
    Halve.get_node_id()

    class Quarter(Halve):
        """A node like `Halve`."""

    assert (Halve.get_node_id(), Quarter.get_node_id()) == ('Halve', 'Quarter')


async def test_class_nodes_share_state_and_deps():
    """A class node's context has the run's state and dependencies."""

    @dataclass
    class Look(BaseNode[list[str], int, str]):
        async def run(self, ctx: GraphRunContext[list[str], int]) -> End[tuple[list[str], int]]:
            return End((ctx.state, ctx.deps))

    g = GraphBuilder(state_type=list[str], deps_type=int, output_type=object)
    g.add(g.edge_from(g.start_node).to(Look))

    assert await g.build().run(state=['a'], deps=5, inputs=Look()) == (['a'], 5)


def test_the_same_class_any_number_of_times_is_one_node():
    """A class that is named in several edges, and in `g.node`, is one node of the graph."""
    g = GraphBuilder(state_type=list[int], output_type=str)
    g.add(g.edge_from(g.start_node).to(Halve), g.node(Halve), g.node(Triple), g.edge_from(Triple).to(Halve))

    assert [type(node) for node in g.build(skip=['dead-end']).nodes.values()].count(NodeStep) == 2


def test_two_classes_under_one_id_are_refused():
    """Different classes of one name are refused, as any two nodes with one id are."""

    def make():
        @dataclass
        class Twin(BaseNode[None, None, str]):
            async def run(self, ctx: GraphRunContext) -> End[str]:
                return End('twin')

        return Twin

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphBuildingError, match=r"unique node IDs.*'Twin'"):
        g.add(g.edge_from(g.start_node).to(make()), g.edge_from(g.start_node).to(make()))


def test_building_twice_implies_the_edges_once():
    """Implied edges are made at build, and building again makes no more of them."""
    g = GraphBuilder(state_type=list[int], input_type=Halve, output_type=str)
    g.add(g.edge_from(g.start_node).to(Halve))
    first, second = g.build(), g.build()

    assert first.render() == second.render()
    assert first.plan == second.plan


# Hints that say nothing


def test_a_missing_return_hint_is_refused():
    """A class whose `run` has no return hint is named, with what is missing."""

    @dataclass
    class Silent(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext):
            return End('silent')

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphSetupError, match='Silent is missing a return type hint on its `run` method'):
        g.add(g.node(Silent))


def test_a_hint_of_other_things_is_refused():
    """A class whose return hint names no node is named, with the hint and what to write."""

    @dataclass
    class Numeric(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> int:  # type: ignore[override]
            return 5

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphSetupError, match=r'Numeric.*int.*End\['):
        g.add(g.node(Numeric))


def test_a_bare_base_node_in_a_hint_is_refused():
    """A hint that names `BaseNode` itself says nothing of where to go."""

    @dataclass
    class Vague(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> BaseNode[None, None, str]:
            return self

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphSetupError, match='BaseNode'):
        g.add(g.node(Vague))


@pytest.mark.parametrize('hint', [StepNode[None, None], JoinNode[None, None]], ids=['StepNode', 'JoinNode'])
def test_a_step_or_join_node_without_its_object_is_refused(hint):
    """`StepNode` and `JoinNode` in a hint need the step or join in `Annotated`."""

    @dataclass
    class Partial(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> hint:
            return None

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphSetupError, match=r'(Step|Join)Node without its object.*Annotated'):
        g.add(g.node(Partial))


def test_a_hint_that_cannot_be_resolved_is_refused():
    """A name that is nowhere to be found is named, with the node and the remedy."""

    @dataclass
    class Lost(BaseNode[None, None, str]):
        async def run(self, ctx: GraphRunContext) -> Nowhere:  # noqa: F821
            return None

    g = GraphBuilder(output_type=str)

    with pytest.raises(GraphSetupError, match=r'Lost.*Nowhere'):
        g.add(g.node(Lost))


def test_a_class_that_is_no_node_is_refused():
    """`g.node` takes node classes only."""
    with pytest.raises(GraphSetupError, match=r'int.*BaseNode'):
        GraphBuilder().node(int)


def test_step_node_and_join_node_are_not_run():
    """`StepNode` and `JoinNode` only stand for a step or a join."""
    step = Step('work', collatz)
    join = Join('total', reduce_sum, initial_factory=int)

    assert (step.as_node(5), join.as_node(6)) == (StepNode(step, 5), JoinNode(join, 6))


@pytest.mark.parametrize(
    'node',
    [StepNode(Step('work', collatz), 1), JoinNode(Join('j', reduce_sum, initial_factory=int), 1)],
    ids=['step', 'join'],
)
async def test_running_a_stand_in_is_refused(node):
    """`run` of a `StepNode` or `JoinNode` says that the graph runs the step or join instead."""
    with pytest.raises(GraphRuntimeError, match='is not run itself'):
        await node.run(GraphRunContext(state=None, deps=None))


# Records


def test_end_and_edge_are_values():
    """`End` and `Edge` compare by what they carry."""
    assert End(5) == End(5) != End(6)
    assert Edge('a') == Edge('a') != Edge()
    assert Edge().label is None
