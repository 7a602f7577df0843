"""The names that programs import, where they import them, and the small records behind them."""

import dataclasses
import importlib
import importlib.resources
import importlib.util
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

import plait_graph
from plait_graph import (
    EndMarker,
    EndNode,
    ForkID,
    ForkStackItem,
    GraphBuilder,
    GraphRunContext,
    GraphTask,
    GraphTaskRequest,
    JoinID,
    NodeID,
    ReduceFirstValue,
    StartNode,
    StepContext,
    TypeExpression,
    reduce_list_append,
    reduce_sum,
)
from plait_graph.paths import DestinationMarker, LabelMarker, MapMarker, Path, PathBuilder
from plait_graph.util import unpack_type_expression

MODULES = {
    '': """
        GraphBuilder Graph GraphRun GraphTask GraphTaskRequest EndMarker ErrorMarker JoinItem ForkStack ForkStackItem
        NodeID NodeRunID TaskID JoinID ForkID Step StepContext StepNode NodeStep StartNode EndNode Fork Decision Join
        JoinNode ReducerContext ReducerFunction reduce_null reduce_list_append reduce_list_extend reduce_dict_update
        reduce_sum ReduceFirstValue BaseNode End Edge GraphRunContext TypeExpression GraphSetupError GraphRuntimeError
        GraphBuildingError GraphValidationError JoinPolicy Share BranchFailure JoinUnsatisfied Retry LoopGuard
        StepTimeout RunTimeout LoopLimitReached Limit Budget BudgetExceeded Cache MemoryCache ProcessExecutor
        InProcessExecutor EventLog StateConflict Merge
    """,
    'graph_builder': """
        GraphBuilder Graph GraphRun GraphTask GraphTaskRequest EndMarker ErrorMarker JoinItem MermaidGraph MermaidNode
        MermaidEdge StateDiagramDirection build_mermaid_graph GraphBuildingError GraphValidationError
    """,
    'graph': 'Graph GraphRun GraphTask GraphTaskRequest EndMarker ErrorMarker JoinItem',
    'mermaid': 'MermaidGraph MermaidNode MermaidEdge StateDiagramDirection build_mermaid_graph',
    'basenode': 'BaseNode End Edge GraphRunContext StateT DepsT RunEndT NodeRunEndT',
    'step': 'Step StepContext StepFunction StreamFunction StepNode NodeStep',
    'join': """
        Join JoinNode ReducerContext ReducerFunction PlainReducerFunction ContextReducerFunction ReduceFirstValue
        reduce_null reduce_list_append reduce_list_extend reduce_dict_update reduce_sum
    """,
    'decision': 'Decision DecisionBranch DecisionBranchBuilder',
    'node': 'StartNode EndNode Fork',
    'node_types': 'SourceNode DestinationNode MiddleNode AnyNode is_source is_destination',
    'paths': """
        Path PathBuilder EdgePath EdgePathBuilder PathItem TransformMarker MapMarker BroadcastMarker LabelMarker
        DestinationMarker TransformFunction
    """,
    'id_types': 'NodeID NodeRunID TaskID JoinID ForkID ForkStack ForkStackItem',
    'parent_forks': 'ParentFork ParentForkFinder',
    'util': 'TypeExpression TypeOrTypeExpression unpack_type_expression get_callable_name Some Maybe',
    'state': 'Merge',
    'policies': 'JoinPolicy Share Retry LoopGuard StepPolicy StepOptions AttemptState',
    'cache': 'Cache CacheStore MemoryCache',
    'limits': 'Limit WeighedLimit LimitStatistics',
    'budget': 'Budget Amounts Reservation',
    'executors': 'Executor Envelope Outcome InProcessExecutor',
    'process_executor': 'ProcessExecutor',
    'explain': 'EventLog diff',
    'run_options': 'RunOptions IterOptions Clock',
    'testing': 'any_order TestClock ManualRun RecordedEvents FakeStep',
    'exceptions': """
        GraphSetupError GraphBuildingError GraphValidationError GraphRuntimeError UnsupportedEventLoopError
    """,
}
PLACES = [(module, name) for module, names in MODULES.items() for name in names.split()]


@pytest.mark.parametrize(('module', 'name'), PLACES, ids=lambda value: value or 'root')
def test_a_name_is_where_programs_import_it(module, name):
    """Each public name can be imported from the module that programs written for the peer take it from."""
    room = importlib.import_module(f'plait_graph.{module}' if module else 'plait_graph')

    assert hasattr(room, name)


def test_a_name_is_the_same_everywhere():
    """A name that two modules give is one object."""
    objects = {}
    for module, name in PLACES:
        room = importlib.import_module(f'plait_graph.{module}' if module else 'plait_graph')
        if hasattr(room, name):
            objects.setdefault(name, []).append(getattr(room, name))

    assert [name for name, found in objects.items() if any(each is not found[0] for each in found)] == []


def test_all_lists_what_is_there():
    """`__all__` of the package is sorted, has no name twice, and each name is there."""
    names = list(plait_graph.__all__)

    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(plait_graph, name)] == []
    assert [name for name in MODULES[''].split() if name not in names] == []


def test_the_package_is_typed():
    """The package says to checkers that it has types."""
    [folder] = plait_graph.__path__

    assert importlib.util.find_spec('plait_graph') is not None
    assert (importlib.resources.files('plait_graph') / 'py.typed').is_file(), folder


def run_python(program):
    """What a program prints in a process of its own."""
    answer = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    return answer.stdout.split()


def test_importing_the_package_does_not_load_networkx():
    """`import plait_graph` leaves networkx alone."""
    assert run_python("import sys, plait_graph; print('networkx' in sys.modules)") == ['False']


def test_importing_the_package_loads_no_event_loop():
    """`import plait_graph` leaves asyncio, anyio and pydantic to whoever builds or runs a graph."""
    program = (
        "import sys, plait_graph; print(*({'asyncio', 'anyio', 'pydantic', 'plait_graph.events'} & {*sys.modules}))"
    )

    assert run_python(program) == []


def test_a_graph_without_joins_does_not_load_networkx():
    """Building and running a graph without joins leaves networkx alone."""
    program = """
import sys
from plait_graph import GraphBuilder
g = GraphBuilder(output_type=int)
step = g.step(lambda ctx: ctx.inputs + 1, node_id='step')
g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.end_node))
print(g.build().run_sync(inputs=1), 'networkx' in sys.modules)
"""
    assert run_python(program) == ['2', 'False']


# Small records


def test_ids():
    """Ids are strings; joins and forks share the type of nodes; start and end have their ids on the class."""
    assert JoinID is NodeID
    assert ForkID is NodeID
    assert NodeID('x') == 'x'
    assert (StartNode.id, EndNode.id) == ('__start__', '__end__')


def test_fork_stack_items_are_frozen():
    """A level of a fork stack cannot be changed, and compares by its values."""
    item = ForkStackItem('fork', 'run', 0)

    assert item == ForkStackItem('fork', 'run', 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.thread_index = 1


def test_task_requests():
    """A request has a node, inputs and a stack that is empty unless given; a task is a request; the repr is short."""
    request = GraphTaskRequest('node', 5)
    task = GraphTask('node', 5, (), 'task:7')

    assert request.fork_stack == ()
    assert isinstance(task, GraphTaskRequest)
    assert task.task_id == 'task:7'
    assert repr(request) == "GraphTaskRequest(node_id='node', inputs=5)"
    assert repr(task) == "GraphTask(node_id='node', inputs=5)"


def test_end_markers():
    """An end marker compares by its value and shows it."""
    assert EndMarker(5) == EndMarker(5) != EndMarker(6)
    assert EndMarker(5).value == 5
    assert repr(EndMarker('x')) == "EndMarker(_value='x')"


def test_contexts_take_keywords():
    """Contexts are made with keywords, so that state and deps cannot be mistaken for each other."""
    with pytest.raises(TypeError):
        GraphRunContext(1, 2)
    with pytest.raises(TypeError):
        StepContext(1, 2, 3)
    assert GraphRunContext(state=1, deps=2) == GraphRunContext(state=1, deps=2)


def test_a_step_context_cannot_be_changed():
    """`state`, `deps` and `inputs` of a context can only be read."""
    ctx = StepContext(state=1, deps=2, inputs=3)

    for name in ('state', 'deps', 'inputs'):
        with pytest.raises(AttributeError):
            setattr(ctx, name, None)


def test_type_expressions():
    """A type expression is unpacked to what is in it, and another type is given back as it is."""
    assert unpack_type_expression(TypeExpression[int | str]) == int | str
    assert unpack_type_expression(int) is int
    assert unpack_type_expression(list[int]) == list[int]


def test_paths():
    """A bare path is built from items, knows its last fork, and gives the rest of itself."""
    path = PathBuilder(working_items=[LabelMarker('a')]).map(fork_id='each').label('b').to(EndNode())

    assert path.items == (LabelMarker('a'), MapMarker('each'), LabelMarker('b'), DestinationMarker('__end__'))
    assert path.last_fork == MapMarker('each')
    assert path.next_path == Path(path.items[1:])
    assert Path((LabelMarker('a'),)).last_fork is None


def test_a_reducer_shows_itself():
    """`ReduceFirstValue()` has a short repr, from which a join's id is made."""
    assert repr(ReduceFirstValue()) == 'ReduceFirstValue()'


# Default ids


async def same(ctx: StepContext[Any, Any, Any]) -> Any:
    """Hand the inputs on."""
    return ctx.inputs


def test_default_ids():
    """Nodes without an id are named after what they are made of, forks after their kind."""
    g = GraphBuilder(output_type=int)
    step, join, decision = g.step(same), g.join(reduce_list_append, initial_factory=list[int]), g.decision()
    first = g.join(ReduceFirstValue[int](), initial=0)

    assert (step.id, join.id, decision.id, first.id) == ('same', 'reduce_list_append', 'decision', 'ReduceFirstValue()')


def test_a_lambda_is_called_so():
    """A step made of a lambda is called `<lambda>`."""
    assert GraphBuilder().step(lambda ctx: 1).id == '<lambda>'


# The structure of a graph


def nested():
    """A graph with two maps and two joins."""
    g = GraphBuilder(
        name='nested', state_type=list[int], deps_type=str, input_type=TypeExpression[list[int] | None], output_type=int
    )
    inner = g.join(reduce_sum, initial=0, node_id='inner', preferred_parent_fork='closest')
    outer = g.join(reduce_sum, initial=0, node_id='outer')
    work = g.step(same, node_id='work')
    g.add(g.edge_from(g.start_node).map(fork_id='rows').map(fork_id='cells').to(work))
    g.add(*(g.edge_from(a).to(b) for a, b in pairwise([work, inner, outer, g.end_node])))
    return g.build()


def test_a_graph_tells_its_types():
    """A graph has the name and the unwrapped types that its builder was given."""
    graph = nested()

    assert graph.name == 'nested'
    assert (graph.state_type, graph.deps_type, graph.output_type) == (list[int], str, int)
    assert graph.input_type == list[int] | None
    assert graph.auto_instrument is True


def test_a_builder_tells_what_it_was_given():
    """The builder's arguments are its attributes."""
    g = GraphBuilder(
        name='mine', state_type=int, deps_type=str, input_type=float, output_type=bytes, auto_instrument=False
    )

    assert (g.name, g.state_type, g.deps_type, g.input_type, g.output_type) == ('mine', int, str, float, bytes)
    assert g.auto_instrument is False
    assert g.start_node is g.start_node
    assert isinstance(g.end_node, EndNode)


def test_a_graph_shows_its_nodes_and_edges():
    """`nodes` has every node by id, `edges_by_source` the paths that leave them; both can only be read."""
    graph = nested()

    assert set(graph.nodes) == {'__start__', 'rows', 'cells', 'work', 'inner', 'outer', '__end__'}
    [path] = graph.edges_by_source['work']
    assert path.items[-1] == DestinationMarker('inner')
    with pytest.raises(TypeError):
        graph.nodes['more'] = None


def test_a_graph_shows_its_parent_forks():
    """Each join's parent fork is told, with the nodes between them, and which joins lie on the way."""
    graph = nested()

    assert {join: parent.fork_id for join, parent in graph.parent_forks.items()} == {
        'inner': 'cells',
        'outer': '__start__',
    }
    assert graph.get_parent_fork('inner').intermediate_nodes == {'work'}
    assert graph.get_parent_fork('outer').intermediate_nodes == {'rows', 'cells', 'work', 'inner'}
    assert graph.intermediate_join_nodes == {'inner': set(), 'outer': {'inner'}}


def test_final_joins():
    """A join is final if no other join waits for it within its own fork."""
    graph = nested()

    assert graph.is_final_join('outer')
    assert not graph.is_final_join('inner')


def test_the_name_is_no_part_of_the_plan():
    """The same graph under another name has an equal plan."""
    g = GraphBuilder(name='one', output_type=int)
    g.add(g.edge_from(g.start_node).map().to(g.end_node))
    one = g.build()
    g.name = 'two'
    two = g.build()

    assert (one.name, two.name) == ('one', 'two')
    assert one.plan == two.plan
