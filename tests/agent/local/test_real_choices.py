"""The default model on many questions: how often it chooses, reads and ends rightly.

One question is luck, so shares of many are asserted, somewhat below what was measured when this was written.
"""

from collections.abc import Iterator

import pytest
from local_prompts import CHOICES, EXTRACTIONS, LOOPS, TOOLS, Order, is_right_order

from plait_agent import Agent, ModelRequestParameters, ToolDefinition
from plait_agent._local.server import stop_servers
from plait_agent.direct import model_request
from plait_agent.messages import ModelRequest, ToolCallPart, UserPromptPart
from plait_agent.models.local import LocalModel
from plait_agent.tools import Tool

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(400)]

TOLD: list[ToolDefinition] = [Tool(function).tool_def for function in TOOLS]


@pytest.fixture(scope='module')
def anyio_backend() -> str:
    """One loop is enough: the forms are tested on both with a quicker model."""
    return 'asyncio'


@pytest.fixture(scope='module')
def model() -> Iterator[LocalModel]:
    """The default model."""
    yield LocalModel('qwen2.5-coder-0.5b')
    stop_servers()


async def test_the_right_tool_with_the_right_arguments(model: LocalModel):
    """Of 20 questions that need a tool, at least 18 get the right call at once (19 when this was written)."""
    right = 0
    for question, name, arguments in CHOICES:
        messages = [ModelRequest([UserPromptPart(question)])]
        response = await model_request(
            model, messages, model_request_parameters=ModelRequestParameters(function_tools=TOLD)
        )
        match response.parts:
            case [ToolCallPart() as call]:
                right += (call.tool_name, call.args_as_dict()) == (name, arguments)
            case _:
                pass

    assert right >= 18


async def test_data_is_read_out_of_texts(model: LocalModel):
    """Of 20 texts all give an output that validates, and at least 18 the right one (20 when this was written)."""
    agent = Agent(model, output_type=Order, instructions='Read the order. The item has no size in it.')
    found = [(await agent.run(text)).output for text, _ in EXTRACTIONS]

    assert sum(is_right_order(each, wanted) for each, (_, wanted) in zip(found, EXTRACTIONS, strict=True)) >= 18


async def test_conversations_come_to_their_end(model: LocalModel):
    """Of 10 questions at least 8 are answered with what the tool has said (10 when this was written)."""
    agent = Agent(model, tools=TOOLS)
    right = 0
    for question, wanted in LOOPS:
        right += wanted in (await agent.run(question)).output

    assert right >= 8
