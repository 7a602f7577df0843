"""One question and its answer: on a terminal, and anywhere else."""

import io

import pytest
from chat_parts import answering, paper, stopping_after

from plait_agent import Agent, DeferredToolRequests
from plait_agent._chat.conversation import Conversation
from plait_agent._chat.one_shot import answer_once
from plait_agent.messages import BinaryContent, ToolCallPart


async def answered(agent, console=None, **options):
    """Ask an agent once: the status, what is printed, and what is told of errors."""
    console, errors = console or paper(), paper()
    options = {'debug': False, 'thinking': True} | options
    status = await answer_once(Conversation(agent), 'hello', console=console, errors=errors, **options)
    return status, console.file.getvalue(), errors.file.getvalue()


def calling(**options):
    """An agent that calls a tool before it answers."""
    agent = Agent(answering([ToolCallPart('look', {}, '1')], '# A **text**, [as it is](x)'), **options)
    agent.tool_plain(name='look', requires_approval='output_type' in options)(lambda: 'seen')
    return agent


async def test_nothing_but_the_answer_where_nobody_looks():
    """Without a terminal the answer is printed as the model wrote it, without calls and without colours."""
    assert await answered(calling()) == (0, '# A **text**, [as it is](x)\n', '')


async def test_calls_and_markdown_on_a_terminal():
    """On a terminal the answer is shown as in a chat."""
    status, text, _ = await answered(calling(), paper(force_terminal=True))

    assert status == 0
    assert '⚙' in text
    assert '# A' not in text


async def test_data():
    """Data is JSON, on a terminal and without one."""
    for console in (paper(), paper(force_terminal=True, no_color=True)):
        call = ToolCallPart('final_result', {'response': {'a': 1}}, '1')
        _, text, _ = await answered(Agent(answering([call]), output_type=dict[str, int]), console)

        assert '"a"' in text


async def test_files_are_printed_as_their_bytes():
    """A file that an agent ends with can be sent into a file."""
    console = paper()
    console.file = io.TextIOWrapper(io.BytesIO())
    agent = Agent(answering('x'), output_type=lambda text: BinaryContent(b'\x89PNG', media_type='image/png'))
    conversation = Conversation(agent)
    conversation.model = answering([ToolCallPart('final_result', {'text': 'x'}, '1')])

    await answer_once(conversation, 'draw', console=console, errors=paper(), debug=False, thinking=True)

    assert console.file.buffer.getvalue() == b'\x89PNG'


async def test_approvals_cannot_be_given():
    """A run that asks for approval fails, and says where it could be given."""
    status, text, errors = await answered(calling(output_type=[str, DeferredToolRequests]))

    assert (status, text) == (1, '')
    assert errors == 'plait: Nobody can be asked about look() here. Ask in a chat: leave the question out.\n'


@pytest.mark.parametrize('debug', [True, False])
async def test_failures(debug):
    """A failure is told in a line on the other stream, with its traceback if that is wanted."""
    status, text, errors = await answered(Agent(answering(LookupError('nothing there'))), debug=debug)

    assert (status, text) == (1, '')
    assert errors.endswith('plait: LookupError: nothing there\n')
    assert ('Traceback' in errors) == debug


async def test_ctrl_c():
    """Ctrl-C stops the answer; on a terminal what has come is shown."""
    status, text, errors = await answered(Agent(stopping_after('The beginning')), paper(force_terminal=True))

    assert (status, errors) == (130, 'plait: stopped\n')
    assert 'The beginning' in text
