"""Graphs and agents in a real notebook, run by Jupyter's own client in a process of its own."""

import json
import subprocess
import sys

BUILD = """
from plait_graph import GraphBuilder, StepContext, reduce_sum

g = GraphBuilder(input_type=list[int], output_type=int)

@g.step
async def square(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs ** 2

total = g.join(reduce_sum, initial=0)
g.add(
    g.edge_from(g.start_node).map().to(square),
    g.edge_from(square).to(total),
    g.edge_from(total).to(g.end_node),
)
graph = g.build()
"""

RUN = """
import sys
from nbclient import execute
from nbformat import read, write

notebook = read(sys.argv[1], as_version=4)
execute(notebook, timeout=120)
write(notebook, sys.argv[1])
"""


def test_a_graph_runs_and_draws_itself_in_a_notebook(tmp_path):
    """In a notebook, whose loop runs already, `run_sync` and `await` give the result, and a graph shows its picture."""
    cells = run_notebook(tmp_path, BUILD, 'graph.run_sync(inputs=[1, 2, 3])', 'await graph.run(inputs=[1, 2])', 'graph')

    assert shown(cells[1])['text/plain'] == ['14']
    assert shown(cells[2])['text/plain'] == ['5']
    assert shown(cells[3])['text/vnd.mermaid'][0] == 'stateDiagram-v2\n'
    assert shown(cells[3])['text/markdown'][0] == '```mermaid\n'


AGENT = """
from plait_agent import Agent

agent = Agent('test')
"""


def test_an_agent_runs_and_streams_in_a_notebook(tmp_path):
    """In a notebook an agent can be run and streamed with and without `await`."""
    run, streamed = "agent.run_sync('Hello').output", "agent.run_stream_sync('Hello').get_output()"

    cells = run_notebook(tmp_path, AGENT, run, streamed, "(await agent.run('Hello')).output", 'agent.graph')

    assert [shown(cell)['text/plain'] for cell in cells[1:4]] == [["'success (no tool calls)'"]] * 3
    assert shown(cells[4])['text/vnd.mermaid'][0] == 'stateDiagram-v2\n'


def run_notebook(folder, *sources):
    """Run cells as Jupyter does, and give them back with what they showed."""
    path = folder / 'graph.ipynb'
    empty = {'cell_type': 'code', 'metadata': {}, 'outputs': [], 'execution_count': None}
    cells = [{**empty, 'id': f'cell-{number}', 'source': source} for number, source in enumerate(sources)]
    path.write_text(json.dumps({'cells': cells, 'metadata': {}, 'nbformat': 4, 'nbformat_minor': 5}))
    subprocess.run([sys.executable, '-c', RUN, str(path)], check=True, capture_output=True, text=True)
    return json.loads(path.read_text())['cells']


def shown(cell):
    """What a cell showed last."""
    return cell['outputs'][-1]['data']
