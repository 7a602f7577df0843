"""Graphs as Mermaid text. The expected texts are written by hand from the specification."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from textwrap import dedent
from typing import Any

import pytest

from plait_graph import GraphBuilder, StepContext, reduce_sum
from plait_graph.mermaid import build_mermaid_graph


def connect(g, *nodes):
    """Add a plain edge from each node to the next one."""
    g.add(*(g.edge_from(source).to(target) for source, target in pairwise(nodes)))


async def same(ctx: StepContext[Any, Any, Any]) -> Any:
    """Hand the inputs on."""
    return ctx.inputs


def text(expected):
    """A text as it stands in a test."""
    return dedent(expected).strip('\n')


def chain(**options):
    """Start -> work -> end."""
    g = GraphBuilder(output_type=int, **options)
    connect(g, g.start_node, g.step(same, node_id='work'), g.end_node)
    return g.build()


def test_a_chain():
    """Start and end have no line of their own, a step has its id, and no line ends the text."""
    assert chain().render() == text("""
        stateDiagram-v2
          work

          [*] --> work
          work --> [*]
    """)


def test_str_is_the_picture():
    """`str(graph)` is what `render()` gives."""
    assert str(chain()) == chain().render()


def test_a_title():
    """A title stands in front, and the graph's name does not."""
    assert chain(name='shop').render(title='The shop').splitlines()[:4] == [
        '---',
        'title: The shop',
        '---',
        'stateDiagram-v2',
    ]
    assert chain(name='shop').render(title='') == chain().render()


@pytest.mark.parametrize('direction', ['TB', 'LR', 'RL', 'BT'])
def test_a_direction(direction):
    """A direction is the first line of the diagram, and only there if it is asked for."""
    assert chain().render(direction=direction).splitlines()[:2] == ['stateDiagram-v2', f'  direction {direction}']


def test_a_labelled_step():
    """A step's label follows its id."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, g.step(same, node_id='work', label='Do the work'), g.end_node)

    assert '  work: Do the work\n' in g.build().render()


def test_maps_joins_and_labels_of_edges():
    """A map is a fork, a join a join, and a label stands at the part of the way that it was said for."""
    g = GraphBuilder(output_type=int)
    work, total = g.step(same, node_id='work'), g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).label('all').map(fork_id='each').label('one').to(work))
    connect(g, work, total, g.end_node)

    assert g.build().render() == text("""
        stateDiagram-v2
          state each <<fork>>
          work
          state total <<join>>

          [*] --> each: all
          each --> work: one
          work --> total
          total --> [*]
    """)


def test_a_decision_with_a_note():
    """A decision is a choice, its note stands beside it, and labels of branches at their edges."""
    g = GraphBuilder(output_type=int)
    small, large = g.step(same, node_id='small'), g.step(same, node_id='large')
    choice = g.decision(node_id='choice', note='Which way?\nLook at the number.')
    choice = choice.branch(g.match(int, matches=lambda value: value < 10).label('below ten').to(small))
    connect(g, g.start_node, choice.branch(g.match(int).to(large)))
    g.add(g.edge_from(small, large).to(g.end_node))

    assert g.build().render() == text("""
        stateDiagram-v2
          state choice <<choice>>
          note right of choice
            Which way?
            Look at the number.
          end note
          large
          small

          [*] --> choice
          choice --> large
          choice --> small: below ten
          large --> [*]
          small --> [*]
    """)


def test_a_broadcast():
    """A broadcast is a fork too; nodes of one distance are ordered by their ids."""
    g = GraphBuilder(output_type=int)
    b, a, total = g.step(same, node_id='b'), g.step(same, node_id='a'), g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).to(b, a, fork_id='both'), g.edge_from(a, b).to(total))
    connect(g, total, g.end_node)

    assert g.build().render() == text("""
        stateDiagram-v2
          state both <<fork>>
          a
          b
          state total <<join>>

          [*] --> both
          both --> a
          both --> b
          a --> total
          b --> total
          total --> [*]
    """)


def test_several_edges_make_an_implicit_fork():
    """The fork of several edges from one node is named after that node."""
    g = GraphBuilder(output_type=int)
    work, a, b = (g.step(same, node_id=name) for name in ('work', 'a', 'b'))
    connect(g, g.start_node, work)
    g.add(g.edge_from(work).label('first').to(a), g.edge_from(work).to(b), g.edge_from(a, b).to(g.end_node))

    assert g.build().render() == text("""
        stateDiagram-v2
          work
          state work_broadcast_fork <<fork>>
          a
          b

          [*] --> work
          work --> work_broadcast_fork
          work_broadcast_fork --> a: first
          work_broadcast_fork --> b
          a --> [*]
          b --> [*]
    """)


def test_a_loop():
    """Edges are ordered by the distances of their ends from the start, so that the way back comes before the way on."""
    g = GraphBuilder(output_type=int)
    work = g.step(same, node_id='work')
    choice = g.decision(node_id='choice').branch(g.match(int).to(g.end_node)).branch(g.match(str).to(work))
    connect(g, g.start_node, work, choice)

    assert g.build().render() == text("""
        stateDiagram-v2
          work
          state choice <<choice>>

          [*] --> work
          work --> choice
          choice --> work
          choice --> [*]
    """)


def test_unreachable_nodes_come_last():
    """Nodes to which no way leads are drawn behind all others."""
    g = GraphBuilder(output_type=int)
    connect(g, g.step(same, node_id='a_island'), g.end_node)
    connect(g, g.start_node, g.step(same, node_id='work'), g.end_node)

    assert g.build(validate_graph_structure=False).render() == text("""
        stateDiagram-v2
          work
          a_island

          [*] --> work
          work --> [*]
          a_island --> [*]
    """)


def test_the_last_label_wins():
    """Of two labels on one part of a way the last one is shown, and transforms are not."""
    g = GraphBuilder(output_type=int)
    g.add(g.edge_from(g.start_node).label('first').transform(lambda ctx: 1).label('second').to(g.end_node))

    assert g.build().render().splitlines()[-1] == '  [*] --> [*]: second'


def test_generated_ids_of_forks():
    """Forks without an id of their own are called `map` and `broadcast`, with numbers behind the first one."""
    g = GraphBuilder(output_type=int)
    total = g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).map().map().to(total), g.edge_from(total).to(g.end_node))

    assert g.build().render() == text("""
        stateDiagram-v2
          state map <<fork>>
          state map_2 <<fork>>
          state total <<join>>

          [*] --> map
          map --> map_2
          map_2 --> total
          total --> [*]
    """)


def test_edge_labels_can_be_left_out():
    """`MermaidGraph.render(edge_labels=False)` draws the edges without their labels."""
    g = GraphBuilder(output_type=int)
    g.add(g.edge_from(g.start_node).label('straight').to(g.end_node))
    graph = g.build()
    picture = build_mermaid_graph(graph.nodes, graph.edges_by_source)

    assert picture.render() == graph.render()
    assert picture.render(edge_labels=False).splitlines()[-1] == '  [*] --> [*]'


def test_the_records_of_a_picture():
    """`build_mermaid_graph` gives nodes and edges as records with their kinds and labels."""
    g = GraphBuilder(output_type=int)
    total = g.join(reduce_sum, initial=0, node_id='total')
    choice = g.decision(node_id='choice', note='note').branch(g.match(int).to(total))
    work = g.step(same, node_id='work', label='Work')
    g.add(g.edge_from(g.start_node).map(fork_id='each').label('one').to(work))
    connect(g, work, choice)
    g.add(g.edge_from(total).to(g.end_node))
    graph = g.build()
    picture = build_mermaid_graph(graph.nodes, graph.edges_by_source)

    kinds = {node.id: node.kind for node in picture.nodes}
    assert kinds == {
        '__start__': 'start',
        'each': 'map',
        'work': 'step',
        'choice': 'decision',
        'total': 'join',
        '__end__': 'end',
    }
    assert {node.id: node.note for node in picture.nodes if node.note} == {'choice': 'note'}
    assert [(edge.start_id, edge.end_id) for edge in picture.edges if edge.label == 'one'] == [('each', 'work')]


# Subgraphs


def test_a_subgraph_is_a_composite_state():
    """A subgraph is drawn as a state around its own start, nodes and end, and edges lead to and from the whole."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, chain().as_step(node_id='inner'), g.end_node)
    lines = g.build().render().splitlines()
    [begin] = [number for number, line in enumerate(lines) if line.rstrip().endswith('{')]
    close = lines.index('  }')
    inside = lines[begin + 1 : close]

    assert re.fullmatch(r'  state ("inner" as )?inner \{', lines[begin])
    assert any(re.fullmatch(r'    +.*\bwork\b.*', line) for line in inside)
    edges = [line.strip().split(' --> ') for line in inside if '-->' in line]
    assert edges[0][0] == '[*]'
    assert edges[-1][1] == '[*]'
    assert lines[close + 1 :] == ['', '  [*] --> inner', '  inner --> [*]']


def test_two_subgraphs_do_not_share_their_nodes():
    """The nodes of two subgraphs have different ids, though they are called the same."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, chain().as_step(node_id='one'), chain().as_step(node_id='two'), g.end_node)
    ids = [
        line.split('-->')[1].strip() for line in g.build().render().splitlines() if line.strip().startswith('[*] -->')
    ]

    assert len(ids) == len(set(ids)) == 3


def test_a_labelled_subgraph():
    """A subgraph's label is the name of its state."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, chain().as_step(node_id='inner', label='The inside'), g.end_node)

    assert '  state "The inside" as inner {' in g.build().render().splitlines()


# Ids that Mermaid cannot read


@pytest.mark.parametrize(
    'odd', ['two words', 'a:b', '<lambda>', 'a/b', '[*]', 'end', 'state', 'note', 'ä', 'a{b}', 'say "x"', '--']
)
def test_odd_ids_are_quoted(odd):
    """An id that Mermaid cannot read is shown as it is in quotes, and stands in edges as one plain word."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, g.step(same, node_id=odd), g.end_node)
    lines = g.build().render().splitlines()
    names = [re.fullmatch(r'  (\S+) --> (\S+)', line) for line in lines if '-->' in line]
    word = names[0][2]

    assert [match.groups() for match in names] == [('[*]', word), (word, '[*]')]
    if word != odd:
        assert re.fullmatch(r'[A-Za-z_]\w*', word)
        assert f'  state "{odd.replace(chr(34), "#quot;")}" as {word}' in lines


@pytest.mark.parametrize('plain', ['work', 'Work_2', '__x__'])
def test_plain_ids_are_not_quoted(plain):
    """An id that Mermaid can read stands as it is."""
    g = GraphBuilder(output_type=int)
    connect(g, g.start_node, g.step(same, node_id=plain), g.end_node)

    assert f'  {plain}' in g.build().render().splitlines()


def test_odd_ids_that_are_alike_stay_apart():
    """Two ids that differ only in what Mermaid cannot read are two states."""
    g = GraphBuilder(output_type=int)
    steps = [g.step(same, node_id=name) for name in ('a b', 'a-b', 'a:b', 'a_b', 'a/b', 'a_20_b', 'id_a_20_b')]
    connect(g, g.start_node, *steps, g.end_node)
    names = [line.split('-->')[1].strip() for line in g.build().render().splitlines() if '-->' in line]

    assert len(names) == len(set(names)) == len(steps) + 1


def test_an_odd_id_of_a_fork_stays_a_fork():
    """A fork, join or decision with an odd id keeps its shape."""
    g = GraphBuilder(output_type=int)
    total = g.join(reduce_sum, initial=0, node_id='the total')
    g.add(g.edge_from(g.start_node).map(fork_id='each one').to(total), g.edge_from(total).to(g.end_node))
    lines = g.build().render().splitlines()

    assert len([line for line in lines if re.fullmatch(r'  state [A-Za-z_]\w* <<fork>>', line)]) == 1
    assert len([line for line in lines if re.fullmatch(r'  state [A-Za-z_]\w* <<join>>', line)]) == 1


def test_a_label_of_two_lines_does_not_break_the_text():
    """A line break in the label of an edge or a step adds no line to the picture."""
    g = GraphBuilder(output_type=int)
    g.add(g.edge_from(g.start_node).label('one\ntwo').to(g.end_node))

    assert len(g.build().render().splitlines()) == len(['stateDiagram-v2', '', '[*] --> [*]'])


# Showing a graph


def forking(names):
    """A graph with many nodes of one distance."""
    g = GraphBuilder(output_type=int)
    steps, total = [g.step(same, node_id=name) for name in names], g.join(reduce_sum, initial=0, node_id='total')
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(total), g.edge_from(total).to(g.end_node))
    return g.build()


def test_the_order_of_adding_does_not_show():
    """The same graph, said in another order, gives the same text."""
    assert forking('abcde').render() == forking('ecabd').render()


def test_the_text_is_the_same_in_every_process():
    """The text does not depend on how Python hashes strings."""
    program = (
        'from plait_graph import GraphBuilder\n'
        'g = GraphBuilder()\n'
        "steps = [g.step(lambda ctx: 1, node_id=name) for name in 'hgfedcba']\n"
        'g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(g.end_node))\n'
        'print(g.build())\n'
    )
    pictures = {
        subprocess.run(
            [sys.executable, '-c', program], env={**os.environ, 'PYTHONHASHSEED': seed}, capture_output=True, check=True
        ).stdout
        for seed in ('1', '2')
    }

    assert len(pictures) == 1


def test_repr_is_short():
    """`repr` is one short line with the name and no picture."""
    shown = repr(chain(name='shop'))

    assert 'shop' in shown
    assert '\n' not in shown
    assert len(shown) < 80


def test_a_notebook_shows_the_picture():
    """A notebook is given Mermaid, Markdown with a Mermaid block, and plain text."""
    graph = chain(name='shop')
    bundle = graph._repr_mimebundle_()

    assert bundle['text/vnd.mermaid'] == graph.render()
    assert bundle['text/markdown'] == f'```mermaid\n{graph.render()}\n```'
    assert bundle['text/plain'] == repr(graph)


def test_a_notebook_may_choose():
    """What a notebook asks to include and exclude is taken as arguments."""
    assert 'text/vnd.mermaid' in chain()._repr_mimebundle_(include=None, exclude=None)
