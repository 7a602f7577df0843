"""The programs of the documents that the project was founded on, with another import root and a model without a key."""

import re

import pytest

from plait_agent import Agent, AgentRunError, CallToolsNode, UnexpectedModelBehavior
from plait_agent.agent import AgentRun
from plait_agent.messages import ModelResponse, TextPart, ToolCallPart
from plait_agent.models.function import FunctionModel
from plait_agent.models.test import TestModel
from plait_graph import End, EndMarker, GraphTaskRequest, NodeStep

QUESTION = 'What is the capital of France?'
NODES = """[
UserPromptNode(
    user_prompt='What is the capital of France?',
    instructions_functions=[],
    system_prompts=(),
    system_prompt_functions=[],
    system_prompt_dynamic_functions={},
),
ModelRequestNode(
    request=ModelRequest(
        parts=[
            UserPromptPart(
                content='What is the capital of France?',
                timestamp=datetime.datetime(...),
            )
        ],
        timestamp=datetime.datetime(...),
        run_id='...',
    )
),
CallToolsNode(
    model_response=ModelResponse(
        parts=[TextPart(content='The capital of France is Paris.')],
        usage=RequestUsage(input_tokens=56, output_tokens=7),
        model_name='gpt-4o',
        timestamp=datetime.datetime(...),
        run_id='...',
    )
),
End(data=FinalResult(output='The capital of France is Paris.')),
]"""


def paris(_messages, _info):
    """Answer as the documents say that the model does."""
    return ModelResponse([TextPart('The capital of France is Paris.')])


agent = Agent(FunctionModel(paris, model_name='gpt-4o'))


def masked(nodes):
    """How nodes print, without what is different in each run."""
    shown = re.sub(r'datetime\.datetime\([^)]*\)', 'datetime.datetime(...)', repr(nodes))
    return re.sub(r"run_id='[^']*'", "run_id='...'", shown)


def on_one_line(text):
    """A representation as Python writes it, from one that was laid out."""
    return (
        re.sub(r',?\s*\n\s*([\])])', r'\1', re.sub(r'([(\[])\n\s*', r'\1', text)).replace(',\n', ', ').replace('  ', '')
    )


async def test_iterating_gives_each_node_and_then_the_end():
    """Iterating over a run gives the four nodes of the documents, printed as they print there."""
    nodes = []
    async with agent.iter(QUESTION) as agent_run:
        async for node in agent_run:
            nodes.append(node)  # noqa: PERF401 # as the documents have it

    assert masked(nodes) == on_one_line(NODES)
    assert agent_run.result.output == 'The capital of France is Paris.'


async def test_next_drives_the_same_nodes_by_hand():
    """Giving each node to `next` runs it, and gives the one that follows."""
    async with agent.iter(QUESTION) as agent_run:
        node = agent_run.next_node
        all_nodes = [node]
        while not isinstance(node, End):
            node = await agent_run.next(node)
            all_nodes.append(node)

    assert masked(all_nodes) == on_one_line(NODES)
    assert node.data == agent_run.next_node.data


async def test_a_run_says_where_it_stands():
    """A run prints that it has not finished, or its output; with what it has used."""
    async with agent.iter(QUESTION) as agent_run:
        before = repr(agent_run)
        assert agent_run.result is None
        async for _node in agent_run:
            pass

    assert before == '<AgentRun result=<run not finished> usage=RunUsage()>'
    assert repr(agent_run) == (
        "<AgentRun result='The capital of France is Paris.' "
        'usage=RunUsage(input_tokens=56, output_tokens=7, requests=1)>'
    )


async def test_messages_and_usage_can_be_asked_for_at_any_time():
    """Messages, usage, metadata and the id of a run are those of its state, before the end and after it."""
    async with agent.iter(QUESTION, metadata={'a': 1}) as agent_run:
        counts = [(len(agent_run.all_messages()), agent_run.usage().requests) async for _node in agent_run]

    assert counts == [(0, 0), (0, 0), (2, 1), (2, 1)]
    assert agent_run.all_messages() is agent_run.ctx.state.message_history
    assert agent_run.new_messages() == agent_run.all_messages()
    assert agent_run.all_messages_json() == agent_run.new_messages_json() == agent_run.result.all_messages_json()
    assert agent_run.metadata == {'a': 1}
    assert agent_run.run_id == agent_run.ctx.state.run_id == agent_run.all_messages()[0].run_id


async def test_a_node_can_be_changed_before_it_runs():
    """What is changed in a node before it is given to `next` is what runs."""

    def echo(messages, _info):
        return ModelResponse([TextPart(messages[0].parts[0].content)])

    with agent.override(model=FunctionModel(echo)):
        async with agent.iter(QUESTION) as agent_run:
            request_node = await agent_run.next(agent_run.next_node)
            request_node.request.parts[0].content = 'What else?'
            await agent_run.next(await agent_run.next(request_node))

    assert agent_run.result.output == 'What else?'


async def test_nodes_can_be_skipped_and_replaced():
    """Another node than the next one can run: here the answer is given without asking the model."""
    async with agent.iter(QUESTION) as agent_run:
        request_node = await agent_run.next(agent_run.next_node)
        assert Agent.is_model_request_node(request_node)
        answer = CallToolsNode(ModelResponse([TextPart('Lyon')]))
        end = await agent_run.next(answer)

    assert Agent.is_end_node(end)
    assert agent_run.result.output == 'Lyon'
    assert agent_run.usage().requests == 0


async def test_an_error_in_next_can_be_caught_and_the_node_run_again():
    """After an error in `next` the same node can be run again, and the request stands in the history once."""
    failures = [RuntimeError('offline')]

    def flaky(messages, info):
        if failures:
            raise failures.pop()
        return paris(messages, info)

    with agent.override(model=FunctionModel(flaky)):
        async with agent.iter(QUESTION) as agent_run:
            node = await agent_run.next(agent_run.next_node)
            with pytest.raises(RuntimeError, match='offline'):
                await agent_run.next(node)
            while not isinstance(node, End):
                node = await agent_run.next(node)

    assert agent_run.result.output == 'The capital of France is Paris.'
    assert [message.kind for message in agent_run.all_messages()] == ['request', 'response']


async def test_the_end_is_no_node_to_run():
    """Giving an `End` to `next` is an error that says so."""
    async with agent.iter(QUESTION) as agent_run:
        with pytest.raises(AgentRunError, match=r"End\(data=1\) is no node that could run. Give one of the agent's"):
            await agent_run.next(End(1))


def test_tasks_become_nodes():
    """An end marker is an `End`, one task with a node is that node, and anything else is an error."""
    run = AgentRun(None)
    node = CallToolsNode(ModelResponse([]))

    assert run._task_to_node(EndMarker(5)) == End(5)
    assert run._task_to_node([run._node_to_task(node)]) is node
    with pytest.raises(AgentRunError, match=r'Unexpected node: \[\]'):
        run._task_to_node([])


def test_nodes_become_tasks():
    """The task of a node names the step of its class, and belongs to no fork."""
    node = CallToolsNode(ModelResponse([]))

    assert AgentRun(None)._node_to_task(node) == GraphTaskRequest(NodeStep(type(node)).id, inputs=node, fork_stack=())


async def test_a_run_without_spans_has_no_traceparent():
    """`_traceparent` is an error if there is no span, or `None` for who says that it may be."""
    async with agent.iter(QUESTION) as agent_run:
        assert agent_run._traceparent(required=False) is None
        with pytest.raises(AttributeError, match='No span was created for this agent run'):
            agent_run._traceparent()


async def test_leaving_early_leaves_no_result():
    """A run that is left before its end has no result, and its messages so far can be read."""
    async with agent.iter(QUESTION) as agent_run:
        async for node in agent_run:
            if Agent.is_call_tools_node(node):
                break

    assert agent_run.result is None
    assert [message.kind for message in agent_run.all_messages()] == ['request', 'response']


async def test_what_fails_in_a_run_is_raised_where_the_run_is_iterated():
    """An error in a node comes out of the iteration as it is, and then out of the block."""

    def nothing(_messages, _info):
        return ModelResponse([ToolCallPart('unknown')])

    async def iterate():
        async with Agent(FunctionModel(nothing)).iter(QUESTION) as agent_run:
            async for _node in agent_run:
                pass

    with pytest.raises(UnexpectedModelBehavior, match=r'Exceeded maximum retries \(1\) for output validation'):
        await iterate()


@pytest.mark.usefixtures('thread_loop')
def test_the_string_test_is_the_model_for_tests():
    """`'test'` names the model for tests, so that a program needs no key."""
    result = Agent('test').run_sync(QUESTION)

    assert isinstance(Agent('test').model, TestModel)
    assert result.output == 'success (no tool calls)'
