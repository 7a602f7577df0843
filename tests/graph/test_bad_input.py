"""What is said to those who make a mistake: each message names the thing, the place and the remedy."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any, Literal

import pytest

from plait_graph import (
    Decision,
    EndMarker,
    Graph,
    GraphBuilder,
    GraphBuildingError,
    GraphRuntimeError,
    GraphSetupError,
    GraphValidationError,
    Step,
    StepContext,
    TypeExpression,
    reduce_list_append,
    reduce_null,
    reduce_sum,
)


def connect(g, *nodes):
    """Add a plain edge from each node to the next one."""
    g.add(*(g.edge_from(source).to(target) for source, target in pairwise(nodes)))


async def same(ctx: StepContext[Any, Any, Any]) -> Any:
    """Hand the inputs on."""
    return ctx.inputs


# Nodes and edges


def test_an_edge_to_a_bare_function_is_refused():
    """A function that was not made a step is named, with how to make it one."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r'same is not a node.*@g.step'):
        g.edge_from(g.start_node).to(same)


def test_an_edge_to_a_name_is_refused():
    """Something that is no node is shown, with what can be given."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r"'work' is not a node.*Give a step"):
        g.edge_from(g.start_node).to('work')


@pytest.mark.parametrize('source', [same, 'work', None, 5], ids=['function', 'name', 'none', 'number'])
def test_an_edge_from_something_that_is_no_node_is_refused(source):
    """A source that is no node is refused where the edge begins."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match='not a node that an edge can come from'):
        g.edge_from(source)


def test_an_edge_from_the_end_is_refused():
    """No edge can come from the end node."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r'EndNode.*come from'):
        g.edge_from(g.end_node)


def test_an_edge_to_the_start_is_refused():
    """No edge can lead to the start node."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r'StartNode.*lead to'):
        g.edge_from(g.start_node).to(g.start_node)


def test_an_edge_from_nothing_is_refused():
    """`edge_from()` without a node asks for one."""
    with pytest.raises(GraphSetupError, match='at least one'):
        GraphBuilder().edge_from()


def test_an_unfinished_edge_is_refused():
    """A path that was not ended is refused by `add`, with how to end it."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r'not a finished edge.*\.to\('):
        g.add(g.edge_from(g.start_node).label('unfinished'))


def test_an_unfinished_branch_is_refused():
    """A branch that was not ended is refused, with its decision and how to end it."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r"'choice'.*\.to\("):
        g.decision(node_id='choice').branch(g.match(int))


def test_an_empty_broadcast_is_refused_at_once():
    """A broadcast without branches is refused where it is said."""
    g = GraphBuilder()

    with pytest.raises(GraphBuildingError, match='returned no branches, but must return at least one'):
        g.edge_from(g.start_node).broadcast(lambda path: [])


def test_a_transform_that_cannot_be_called_is_refused():
    """A transform must be a function."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r'5.*cannot be called'):
        g.edge_from(g.start_node).transform(5)


@pytest.mark.parametrize('limit', [0, -1])
def test_a_map_without_places_is_refused(limit):
    """A map's limit must let an item run."""
    g = GraphBuilder()

    with pytest.raises(GraphBuildingError, match=f'limit={limit}.*at least 1'):
        g.edge_from(g.start_node).map(limit=limit)


# Ids


def test_two_steps_under_one_id_are_refused():
    """Two nodes with one id are refused by `add`, which shows the id and both nodes."""
    g = GraphBuilder()
    one, two = g.step(same, node_id='work'), g.step(same, node_id='work')
    g.add(g.edge_from(g.start_node).to(one))

    with pytest.raises(GraphBuildingError, match=r"All nodes must have unique node IDs.*'work'.*Step.*Step.*node_id="):
        g.add(g.edge_from(one).to(two))


def test_a_step_and_a_join_under_one_id_are_refused():
    """Nodes of different kinds cannot share an id either."""
    g = GraphBuilder()
    step, join = g.step(same, node_id='work'), g.join(reduce_sum, initial=0, node_id='work')

    with pytest.raises(GraphBuildingError, match=r"'work'.*Step.*Join"):
        g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(join))


def test_two_forks_under_one_id_are_refused():
    """Two maps with one `fork_id` are refused, with the remedy."""
    g = GraphBuilder()
    one, two = g.step(same, node_id='one'), g.step(same, node_id='two')
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(one), g.edge_from(one).map(fork_id='each').to(two))
    g.add(g.edge_from(two).to(g.end_node))

    with pytest.raises(GraphBuildingError, match=r"'each'.*fork_id="):
        g.build()


def test_the_same_node_any_number_of_times_is_fine():
    """A node may be named in as many edges as one likes."""
    g = GraphBuilder(output_type=int)
    work = g.step(same, node_id='work')
    connect(g, g.start_node, work, g.end_node)
    g.add(g.edge_from(work).to(work))

    assert 'work' in g.build().nodes


def test_generated_ids_do_not_change_and_skip_those_in_use():
    """Generated ids are given when an object is made, stay, and avoid ids that are taken."""
    g = GraphBuilder()
    taken = g.step(same, node_id='decision')
    joins = [g.join(reduce_sum, initial=0) for _ in range(2)]
    decision = g.decision()
    ids = [joins[0].id, joins[1].id, decision.id]
    connect(g, g.start_node, taken, joins[0], g.end_node)
    g.build()

    assert len({*ids, taken.id}) == 4
    assert ids == [joins[0].id, joins[1].id, decision.id]


# Steps and joins


@pytest.mark.parametrize('call', [5, 'work', ['work']], ids=repr)
def test_a_step_that_cannot_be_called_is_refused(call):
    """A step must be a function; what was given is shown."""
    with pytest.raises(GraphSetupError, match='cannot be called'):
        GraphBuilder().step(call)


def test_an_async_generator_is_no_step():
    """An async generator that was given to `step` is named, with `@g.stream` as the remedy."""
    g = GraphBuilder()

    with pytest.raises(GraphSetupError, match=r"'numbers' is an async generator.*@g.stream"):

        @g.step
        async def numbers(ctx: StepContext[None, None, None]) -> AsyncIterator[int]:
            yield 1


@pytest.mark.parametrize('call', [5, 'work'])
def test_a_stream_that_cannot_be_called_is_refused(call):
    """A stream must be a function too."""
    with pytest.raises(GraphSetupError, match='cannot be called'):
        GraphBuilder().stream(call)


@pytest.mark.parametrize(
    'reducer',
    [lambda: 0, lambda current: 0, lambda a, b, c, d: 0, lambda *, current: 0],
    ids=['0', '1', '4', 'keyword'],
)
def test_a_reducer_of_wrong_arity_is_refused(reducer):
    """A reducer that takes neither two nor three arguments is refused when the join is made."""
    with pytest.raises(GraphSetupError, match=r"'total'.*\(current, value\) or \(context, current, value\)"):
        GraphBuilder().join(reducer, initial=0, node_id='total')


def test_a_reducer_that_cannot_be_called_is_refused():
    """A reducer must be a function."""
    with pytest.raises(GraphSetupError, match=r"'total'.*cannot be called"):
        GraphBuilder().join(5, initial=0, node_id='total')


@pytest.mark.parametrize('initial', [[], {}, set(), bytearray()], ids=['list', 'dict', 'set', 'bytearray'])
def test_a_mutable_initial_value_is_refused(initial):
    """An initial value that runs would share and change is refused with a TypeError that names `initial_factory=`."""
    with pytest.raises(TypeError, match=f"'items'.*initial_factory={type(initial).__name__}"):
        GraphBuilder().join(reduce_list_append, initial=initial, node_id='items')


@pytest.mark.parametrize('initial', [None, 0, '', (), frozenset(), b''], ids=repr)
def test_an_immutable_initial_value_is_fine(initial):
    """Values that cannot be changed in place may begin a join."""
    join = GraphBuilder().join(lambda current, value: current, initial=initial)

    assert join.initial_factory() == initial


def test_a_join_without_an_initial_value_is_refused():
    """A join needs one of `initial=` and `initial_factory=`."""
    with pytest.raises(GraphSetupError, match=r"'total'.*initial= or initial_factory="):
        GraphBuilder().join(reduce_sum, node_id='total')


# Structure


def test_a_join_without_a_fork_is_refused():
    """A join on a cycle that no fork is on is refused, with the conditions, the join and the picture."""
    g = GraphBuilder(output_type=int)
    work, join = g.step(same, node_id='work'), g.join(reduce_sum, initial=0, node_id='total')
    choice = g.decision(node_id='choice').branch(g.match(int).to(work)).branch(g.match(object).to(g.end_node))
    connect(g, g.start_node, work, join, choice)

    with pytest.raises(GraphBuildingError) as caught:
        g.build()

    message = str(caught.value)
    assert message.startswith('A node in the graph is missing a dominating fork')
    assert 'For every Join J in the graph, there must be a Fork F between the StartNode and J satisfying' in message
    assert "'total'" in message
    assert 'stateDiagram-v2' in message
    assert 'state total <<join>>' in message


def test_a_join_without_a_fork_is_refused_without_checks_too():
    """Parent forks are checked even where the structure is not."""
    g = GraphBuilder(output_type=int)
    work, join = g.step(same, node_id='work'), g.join(reduce_sum, initial=0, node_id='total')
    connect(g, g.start_node, work, join, work)

    with pytest.raises(GraphBuildingError, match='missing a dominating fork'):
        g.build(validate_graph_structure=False)


def test_a_parent_fork_that_a_cycle_avoids_is_refused():
    """A `parent_fork_id` that a cycle through the join avoids is refused, naming join and fork."""
    g = GraphBuilder(output_type=int)
    work = g.step(same, node_id='work')
    join = g.join(reduce_sum, initial=0, node_id='total', parent_fork_id='each')
    choice = g.decision(node_id='choice').branch(g.match(int).to(work)).branch(g.match(object).to(g.end_node))
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(work))
    connect(g, work, join, choice)

    with pytest.raises(GraphBuildingError, match=r"(?s)'total'.*'each'"):
        g.build()


def test_a_parent_fork_that_does_not_exist_is_refused():
    """A `parent_fork_id` of no fork is refused, and the one that may be meant is named."""
    g = GraphBuilder(output_type=int)
    join = g.join(reduce_sum, initial=0, node_id='total', parent_fork_id='eech')
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(GraphBuildingError, match=r"'total'.*'eech'.*'each'"):
        g.build()


def test_a_downstream_join_that_does_not_exist_is_refused():
    """A `downstream_join_id` of no join is refused, and the one that may be meant is named."""
    g = GraphBuilder(output_type=int)
    join = g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).map(fork_id='each', downstream_join_id='totl').to(join))
    connect(g, join, g.end_node)

    with pytest.raises(GraphBuildingError, match=r"'each'.*'totl'.*'total'"):
        g.build()


def test_a_graph_without_a_start_is_refused():
    """A graph in which nothing follows the start is refused."""
    g = GraphBuilder()
    connect(g, g.step(same, node_id='work'), g.end_node)

    with pytest.raises(GraphValidationError, match=r'The graph has no edges from the start node.*edge_from'):
        g.build()


def test_a_graph_without_an_end_is_refused():
    """A graph in which nothing leads to the end is refused, a cycle without an exit too."""
    g = GraphBuilder()
    work = g.step(same, node_id='work')
    connect(g, g.start_node, work, work)

    with pytest.raises(GraphValidationError, match=r'The graph has no edges to the end node.*end_node'):
        g.build()


def test_dead_ends_are_named():
    """Nodes that nothing follows are named, a decision without a branch among them."""
    g = GraphBuilder()
    stuck, lost = g.step(same, node_id='stuck'), g.decision(node_id='lost')
    g.add(g.edge_from(g.start_node).to(stuck, lost, g.end_node))

    with pytest.raises(GraphValidationError, match=r"The following nodes have no outgoing edges: \['stuck', 'lost'\]"):
        g.build()


def test_unreachable_nodes_are_named():
    """Nodes to which no way leads from the start are named."""
    g = GraphBuilder()
    connect(g, g.start_node, g.end_node)
    connect(g, g.step(same, node_id='island'), g.step(same, node_id='beach'), g.end_node)

    with pytest.raises(
        GraphValidationError, match=r"The following nodes are not reachable from the start node: \['island', 'beach'\]"
    ):
        g.build()


def test_all_problems_of_the_structure_come_together():
    """One error reports every fault: dead ends, unreachable nodes, unknown names and joins without a parent."""
    g = GraphBuilder()
    stuck, island = g.step(same, node_id='stuck'), g.step(same, node_id='island')
    work, join = g.step(same, node_id='work'), g.join(reduce_sum, initial=0, node_id='orphan')
    unknown = g.join(reduce_sum, initial=0, node_id='unknown', parent_fork_id='nowhere')
    g.add(g.edge_from(g.start_node).to(stuck, work, unknown), g.edge_from(unknown).to(g.end_node))
    connect(g, work, join, work)
    connect(g, island, g.end_node)

    with pytest.raises(GraphValidationError) as caught:
        g.build()

    for part in (
        "no outgoing edges: ['stuck']",
        "not reachable from the start node: ['island']",
        "'orphan'",
        "'nowhere'",
    ):
        assert part in str(caught.value)


def test_errors_of_the_structure_name_the_switch():
    """The message of a structural error says how to switch the checks off."""
    g = GraphBuilder()

    with pytest.raises(GraphValidationError, match='validate_graph_structure=False'):
        g.build()


def test_a_single_check_can_be_left_out():
    """`skip=` leaves out one check, and the others are made."""
    g = GraphBuilder()
    stuck, island = g.step(same, node_id='stuck'), g.step(same, node_id='island')
    g.add(g.edge_from(g.start_node).to(stuck, g.end_node))
    connect(g, island, g.end_node)

    with pytest.raises(GraphValidationError) as caught:
        g.build(skip=['dead-end'])

    assert 'stuck' not in str(caught.value)
    assert 'island' in str(caught.value)
    assert g.build(skip=['dead-end', 'unreachable']).findings is not None


def test_a_check_that_there_is_not_cannot_be_left_out():
    """`skip=` with an unknown name is refused, and the names of the checks are given."""
    g = GraphBuilder()
    connect(g, g.start_node, g.end_node)

    with pytest.raises(GraphBuildingError, match=r"'dead-ends'.*'dead-end'"):
        g.build(skip=['dead-ends'])


async def test_a_graph_with_faults_builds_without_checks():
    """`validate_graph_structure=False` builds a graph with dead ends and islands, which runs where it can."""
    g = GraphBuilder(output_type=int)
    connect(g, g.step(same, node_id='island'), g.step(same, node_id='stuck'))
    connect(g, g.start_node, g.end_node)
    graph = g.build(validate_graph_structure=False)

    assert await graph.run(inputs=5) == 5
    assert 'island' in graph.nodes


def test_graph_is_not_made_directly():
    """`Graph(...)` points to the builder and to stores."""
    with pytest.raises(GraphSetupError, match=r'(?s)GraphBuilder.*store'):
        Graph(nodes=[])


def test_get_parent_fork_of_something_else_is_refused():
    """`get_parent_fork` of a node that is no join names it and the joins."""
    g = GraphBuilder(output_type=int)
    join = g.join(reduce_sum, initial=0, node_id='total')
    connect(g, g.start_node, g.step(same, node_id='work'), join, g.end_node)
    graph = g.build()

    assert graph.get_parent_fork('total').fork_id == '__start__'
    with pytest.raises(GraphRuntimeError, match=r"'work' is not a join node.*'total'"):
        graph.get_parent_fork('work')


# Findings


def finding_of(g):
    """The only finding of a graph."""
    [finding] = g.build().findings
    return finding


def test_an_edge_between_types_that_never_fit_is_found():
    """A step that gives what the next one cannot take is a finding that names both and the remedy."""
    g = GraphBuilder()

    @g.step
    async def give(ctx: StepContext[None, None, Any]) -> int:
        return 1

    @g.step
    async def take(ctx: StepContext[None, None, str]) -> Any:
        return ctx.inputs

    connect(g, g.start_node, give, take, g.end_node)
    finding = finding_of(g)

    assert (finding.code, finding.nodes) == ('edge-type', ('give', 'take'))
    assert 'int' in finding.message
    assert 'str' in finding.message
    assert '.transform(' in finding.message


def test_an_output_of_another_type_is_found():
    """A step whose value cannot be the output of the graph is a finding."""
    g = GraphBuilder(output_type=str)

    @g.step
    async def give(ctx: StepContext[None, None, Any]) -> int:
        return 1

    connect(g, g.start_node, give, g.end_node)

    assert finding_of(g).nodes == ('give', '__end__')


@pytest.mark.parametrize('type_', [int, str, dict[str, int], bytes, TypeExpression[int | None]])
def test_a_map_over_what_cannot_be_mapped_is_found(type_):
    """A map over numbers, text or mappings is a finding that names the map and the remedy."""
    g = GraphBuilder(input_type=type_)
    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(join), g.edge_from(join).to(g.end_node))
    finding = finding_of(g)

    assert (finding.code, finding.nodes) == ('map-source', ('__start__', 'each'))
    assert '.transform(' in finding.message


@pytest.mark.parametrize(
    ('type_', 'branch', 'missed'),
    [
        pytest.param(TypeExpression[int | str], int, 'str', id='union'),
        pytest.param(TypeExpression[Literal['a', 'b']], TypeExpression[Literal['a']], 'b', id='literal'),
        pytest.param(TypeExpression[int | None], int, 'None', id='optional'),
    ],
)
def test_a_case_that_a_decision_misses_is_found(type_, branch, missed):
    """A decision without a branch for something that can reach it is a finding that names the case and the remedy."""
    g = GraphBuilder(input_type=type_, output_type=object)
    connect(g, g.start_node, g.decision(node_id='choice').branch(g.match(branch).to(g.end_node)))
    finding = finding_of(g)

    assert (finding.code, finding.nodes) == ('missed-case', ('__start__', 'choice'))
    assert missed in finding.message
    assert 'g.match(object)' in finding.message


@pytest.mark.parametrize(
    ('type_', 'branch'), [(bool, int), (int, object), (str, TypeExpression[Literal['a']]), (int, Any)], ids=str
)
def test_a_case_that_may_be_handled_is_no_finding(type_, branch):
    """Where some branch may take a value, nothing is found."""
    g = GraphBuilder(input_type=type_, output_type=object)
    connect(g, g.start_node, g.decision().branch(g.match(branch).to(g.end_node)))

    assert g.build().findings == ()


def test_an_output_type_that_was_not_said_is_no_finding():
    """Without `output_type=` nothing is found about what reaches the end."""
    g = GraphBuilder()

    @g.step
    async def give(ctx: StepContext[None, None, Any]) -> int:
        return 1

    connect(g, g.start_node, give, g.end_node)

    assert g.build().findings == ()


def test_a_cycle_without_an_exit_is_found():
    """Nodes from which no way leads to the end are a finding."""
    g = GraphBuilder()
    one, two = g.step(same, node_id='one'), g.step(same, node_id='two')
    g.add(g.edge_from(g.start_node).to(one, g.end_node))
    connect(g, one, two, one)
    finding = finding_of(g)

    assert finding.code == 'cycle-without-exit'
    assert set(finding.nodes) == {'one', 'two'}


def test_a_map_that_could_fire_two_joins_is_found():
    """A map whose empty case is not clear is a finding that names `downstream_join_id=`."""
    g = GraphBuilder()
    small = g.join(reduce_sum, initial=0, node_id='small', preferred_parent_fork='closest')
    large = g.join(reduce_sum, initial=0, node_id='large', preferred_parent_fork='closest')
    choice = (
        g.decision().branch(g.match(int, matches=lambda value: value < 10).to(small)).branch(g.match(int).to(large))
    )
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(choice), g.edge_from(small, large).to(g.end_node))
    finding = finding_of(g)

    assert (finding.code, finding.nodes) == ('empty-map', ('each', 'large', 'small'))
    assert 'downstream_join_id=' in finding.message


@pytest.mark.parametrize(
    ('given', 'taken'),
    [(int, float), (bool, int), (int, object), (list, list[int]), (Decision, object), (int, TypeExpression[int | str])],
    ids=['int-float', 'subclass', 'object', 'bare-list', 'class', 'union'],
)
def test_types_that_may_fit_are_no_finding(given, taken):
    """Where a value may fit, nothing is found."""
    g = GraphBuilder(input_type=given, output_type=taken)
    connect(g, g.start_node, g.end_node)

    assert g.build().findings == ()


def test_types_that_are_not_said_are_no_finding():
    """Without annotations nothing is found."""
    g = GraphBuilder()
    connect(g, g.start_node, g.step(lambda ctx: 1, node_id='one'), g.step(lambda ctx: 2, node_id='two'), g.end_node)

    assert g.build().findings == ()


def test_a_transform_makes_types_unknown():
    """Behind a transform nothing is known of the type, and nothing is found."""
    g = GraphBuilder(input_type=int, output_type=str)
    g.add(g.edge_from(g.start_node).transform(lambda ctx: str(ctx.inputs)).to(g.end_node))

    assert g.build().findings == ()


def suspicious():
    """A builder with two findings."""
    g = GraphBuilder(input_type=int, output_type=str)

    @g.step
    async def give(ctx: StepContext[None, None, bytes]) -> int:
        return 1

    connect(g, g.start_node, give, g.end_node)
    return g


def test_a_map_that_races_to_the_end_is_found():
    """A map whose items reach the end without a join is a finding, since only the first of them counts."""
    g = GraphBuilder(output_type=int)
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(g.end_node))
    finding = finding_of(g)

    assert (finding.code, finding.nodes) == ('repeated-end', ('each', '__end__'))
    assert 'Put a join before the end' in finding.message


def test_branches_that_are_joined_are_no_race():
    """A broadcast whose branches meet in a join before the end is no finding."""
    g = GraphBuilder(output_type=int)
    total = g.join(reduce_sum, initial=0, node_id='total')
    work = g.step(same, node_id='work')
    g.add(g.edge_from(g.start_node).to(total, work), g.edge_from(work).to(total), g.edge_from(total).to(g.end_node))

    assert g.build().findings == ()


def test_findings_can_be_errors():
    """`build(findings='error')` raises all findings together."""
    with pytest.raises(GraphValidationError, match=r"(?s)'__start__'.*'give'|'give'.*'__start__'") as caught:
        suspicious().build(findings='error')

    assert str(caught.value).count('edge-type') == 2


def test_findings_can_be_warnings():
    """`build(findings='warn')` warns of each finding and builds."""
    with pytest.warns(UserWarning, match='edge-type') as caught:
        graph = suspicious().build(findings='warn')

    assert len(caught) == len(graph.findings) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_findings_are_kept_without_a_word():
    """Without `findings=` a graph is built and keeps them."""
    assert [finding.code for finding in suspicious().build().findings] == ['edge-type', 'edge-type']


# At run time


@pytest.mark.parametrize(
    'value', ['text', b'bytes', bytearray(b'bytes'), {'a': 1}], ids=['str', 'bytes', 'array', 'dict']
)
async def test_text_and_mappings_are_not_mapped(value):
    """Mapping text or a mapping fails with the kind, the map and how to say that it is meant."""
    g = GraphBuilder()
    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(GraphRuntimeError) as caught:
        await g.build().run(inputs=value)

    message = str(caught.value)
    assert type(value).__name__ in message
    assert "'each'" in message
    assert '.transform(lambda ctx: list(ctx.inputs))' in message


@pytest.mark.parametrize('value', [5, None, 1.5], ids=repr)
async def test_a_value_without_items_is_not_mapped(value):
    """Mapping a value without items fails with the value and the map."""
    g = GraphBuilder()
    join = g.join(reduce_null, initial=None)
    g.add(g.edge_from(g.start_node).map(fork_id='each').to(join), g.edge_from(join).to(g.end_node))

    with pytest.raises(GraphRuntimeError, match=f"Cannot map non-iterable value: {value!r}.*'each'"):
        await g.build().run(inputs=value)


async def test_no_branch_matches():
    """A value that no branch takes fails with the value, its type, the decision, its branches and the remedy."""
    g = GraphBuilder()
    choice = g.decision(node_id='choice').branch(g.match(int).to(g.end_node)).branch(g.match(str).to(g.end_node))
    connect(g, g.start_node, choice)

    with pytest.raises(
        GraphRuntimeError, match=r"No branch matched inputs 1\.5 of type float.*'choice'.*int, str.*g.match\(object\)"
    ):
        await g.build().run(inputs=1.5)


async def test_a_branch_type_that_cannot_be_asked_is_named():
    """A branch for `list[int]` without a predicate fails with the type and the remedy."""
    g = GraphBuilder()
    connect(g, g.start_node, g.decision(node_id='choice').branch(g.match(list[int]).to(g.end_node)))

    with pytest.raises(GraphRuntimeError, match=r'list\[int\] is not a valid type.*matches='):
        await g.build().run(inputs=[1])


@pytest.mark.parametrize(
    ('input_type', 'value'),
    [
        (int, 'text'),
        (str, None),
        (TypeExpression[int | str], 1.5),
        (list[int], (1, 2)),
        (TypeExpression[Literal['a', 'b']], 5),
        (float, '1.5'),
    ],
    ids=['int', 'missing', 'union', 'generic', 'literal', 'float'],
)
async def test_inputs_of_another_type_are_refused(input_type, value):
    """A run with inputs of a wrong type fails before any step, with the type that the graph takes and the inputs."""
    g = GraphBuilder(name='shop', input_type=input_type)
    ran = []
    connect(g, g.start_node, g.step(lambda ctx: ran.append(ctx.inputs), node_id='work'), g.end_node)

    with pytest.raises(GraphRuntimeError, match=r"'shop' takes inputs of type .*was run with inputs="):
        await g.build().run(inputs=value)
    assert ran == []


@pytest.mark.parametrize(
    ('input_type', 'value'),
    [
        (int, True),
        (float, 1),
        (object, None),
        (Any, 'x'),
        (list[int], ['not', 'asked']),
        (TypeExpression[int | None], None),
        (TypeExpression[int | str], 'x'),
    ],
    ids=['bool', 'int-for-float', 'object', 'any', 'items', 'none', 'union'],
)
async def test_inputs_of_a_fitting_type_are_taken(input_type, value):
    """Inputs that fit as far as can be known are taken."""
    g = GraphBuilder(input_type=input_type, output_type=object)
    connect(g, g.start_node, g.end_node)

    assert await g.build().run(inputs=value) == value


async def test_iter_refuses_inputs_of_another_type():
    """`iter` refuses wrong inputs as `run` does."""
    g = GraphBuilder(input_type=int, output_type=int)
    connect(g, g.start_node, g.end_node)

    with pytest.raises(GraphRuntimeError, match='takes inputs of type'):
        async with g.build().iter(inputs='text'):
            pass


@pytest.mark.parametrize('limit', [0, -1])
async def test_a_run_that_lets_no_step_run_is_refused(limit):
    """`max_concurrency` must let a step run."""
    g = GraphBuilder(output_type=None)
    connect(g, g.start_node, g.end_node)

    with pytest.raises(GraphRuntimeError, match=f'max_concurrency={limit}.*at least 1'):
        await g.build().run(max_concurrency=limit)


async def test_next_after_the_end_says_so():
    """`next()` after the end raises `StopAsyncIteration` with a message."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, g.end_node)
    async with g.build().iter(inputs=5) as run:
        while not isinstance(await run.next(), EndMarker):
            pass
        with pytest.raises(StopAsyncIteration, match=r'ended.*output'):
            await run.next()


async def test_a_run_outside_of_its_block_says_so():
    """A run that is used outside of its `async with` shows how to use it."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, g.end_node)

    with pytest.raises(GraphRuntimeError, match=r'async with graph\.iter\(\.\.\.\) as run'):
        await g.build().iter(inputs=5).next()


def test_errors_are_what_programs_catch():
    """Each error class is a kind of the built-in error that programs for the peers catch."""
    assert issubclass(GraphSetupError, TypeError)
    assert issubclass(GraphBuildingError, ValueError)
    assert issubclass(GraphValidationError, GraphBuildingError)
    assert issubclass(GraphRuntimeError, RuntimeError)
    assert GraphRuntimeError('what').message == 'what'


def test_a_step_shows_itself():
    """The `repr` of a step, as it stands in messages, is short and has its id."""
    assert repr(Step('work', same)) == "Step('work')"
