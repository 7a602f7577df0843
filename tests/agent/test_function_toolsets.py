"""How functions are offered and called as a toolset."""

import threading
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio
import pytest

from plait_agent.exceptions import ModelRetry, UserError
from plait_agent.tools import RunContext, Tool, ToolDefinition
from plait_agent.toolsets import (
    CombinedToolset,
    FunctionToolset,
)
from plait_agent.usage import RunUsage
from plait_graph import GraphRuntimeError, Limit


def context(**changes) -> RunContext[Any]:
    """A run at some point."""
    return RunContext(**{'deps': 'deps', 'model': None, 'usage': RunUsage(), 'run_step': 1, **changes})


async def one(a: int = 1) -> int:
    """Give one."""
    return a


async def two(ctx: RunContext[Any]) -> str:
    """Give two."""
    return f'two as {ctx.tool_name}'


async def names(toolset, ctx=None):
    """The names of the tools that are offered."""
    return list(await toolset.get_tools(ctx or context()))


async def call(toolset, name, args=None, ctx=None):
    """Call a tool as a run does."""
    ctx = ctx or context(tool_name=name)
    tool = (await toolset.get_tools(ctx))[name]
    return await toolset.call_tool(name, tool.args_validator.validate_python(args or {}), ctx, tool)


# ---------------------------------------------------------------------------------- functions


async def test_functions_are_offered_in_order_and_called():
    """Whichever way they came in, they have the toolset's defaults."""
    toolset = FunctionToolset([one], max_retries=3, timeout=60, sequential=True, strict=True, metadata={'k': 1})
    toolset.add_tool(Tool(two, max_retries=0, timeout=5, metadata={'k': 2, 'own': 3}))

    @toolset.tool
    def three(): ...

    @toolset.tool(name='named', retries=7, sequential=False)
    def four(ctx: RunContext[Any]): ...

    tools = await toolset.get_tools(context())
    found = {name: (tool.max_retries, tool.tool_def.timeout, tool.tool_def.sequential) for name, tool in tools.items()}
    assert found == {'one': (3, 60, True), 'two': (0, 5, False), 'three': (3, 60, True), 'named': (7, 60, False)}
    assert tools['one'].tool_def.metadata == {'k': 1}
    assert tools['two'].tool_def.metadata == {'k': 2, 'own': 3}
    assert [tool.tool_def.strict for tool in tools.values()] == [True, None, True, True]
    assert await call(toolset, 'one', {'a': 5}) == 5
    assert await call(toolset, 'two') == 'two as two'


def test_the_decorator_gives_the_function_back():
    """It can be called as before."""
    toolset = FunctionToolset()

    def function(): ...

    assert toolset.tool(function) is function
    assert toolset.tool(name='other')(function) is function
    assert list(toolset.tools) == ['function', 'other']


async def test_tools_are_there_from_the_next_step_on_when_anything_changes():
    """A tool may be added, changed or taken away while runs go on; steps that have begun keep what they have."""
    toolset = FunctionToolset([one])
    before = await toolset.get_tools(context())
    toolset.add_function(two)
    assert await names(toolset) == ['one', 'two']

    del toolset.tools['one']
    toolset.tools['two'].description = 'Changed.'
    toolset.max_retries = 9
    tool = (await toolset.get_tools(context()))['two']

    assert (tool.tool_def.description, tool.max_retries) == ('Changed.', 9)
    assert await names(toolset) == ['two']
    assert list(before) == ['one']


async def test_tools_are_made_once_and_listed_in_a_dictionary_of_the_callers_own():
    """What a caller does to its dictionary is not seen by others."""
    toolset = CombinedToolset([FunctionToolset([one, two]).prefixed('p')])
    first = await toolset.get_tools(context())
    tool = first.pop('p_one')

    second = await toolset.get_tools(context())

    assert list(second) == ['p_one', 'p_two']
    assert second['p_one'] is tool


async def test_a_tool_belongs_to_no_toolset():
    """Two toolsets may hold one tool, each with its own defaults."""
    tool = Tool(one)
    few, many = FunctionToolset([tool], max_retries=1), FunctionToolset([tool], max_retries=5)

    found = [(await toolset.get_tools(context()))['one'].max_retries for toolset in (few, many)]
    assert found == [1, 5]
    assert tool.max_retries is None


async def test_a_prepare_function_knows_the_tool_and_how_often_it_failed():
    """It is asked in each step, may change the definition, and its change is for that step alone."""
    seen = []

    async def prepare(ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition | None:
        seen.append((ctx.tool_name, ctx.retry, ctx.max_retries))
        tool_def.parameters_json_schema['properties'].clear()
        return None if ctx.retry == 2 else replace(tool_def, description=f'retry {ctx.retry}')

    toolset = FunctionToolset([Tool(one, prepare=prepare), two], max_retries=4)

    tools = await toolset.get_tools(context(retries={'one': 1}))
    assert tools['one'].tool_def.description == 'retry 1'
    assert await names(toolset, context(retries={'one': 2})) == ['two']
    assert seen == [('one', 1, 4), ('one', 2, 4)]
    assert list(toolset.tools['one'].function_schema.json_schema['properties']) == ['a']


@pytest.mark.parametrize(
    ('tools', 'message'),
    [
        ({'one': 'other', 'two': 'two'}, None),
        ({'two': 'two', 'one': 'two'}, "Renaming tool 'one' to 'two' conflicts with existing tool."),
        ({'one': 'two', 'two': 'two'}, "Tool name conflicts with previously renamed tool: 'two'."),
    ],
)
async def test_a_prepare_function_may_rename_a_tool_to_a_free_name(tools, message):
    """The tool is called by its new name; a name that is taken is refused."""

    def renamed(to):
        return lambda ctx, tool_def: replace(tool_def, name=to)

    toolset = FunctionToolset([Tool({'one': one, 'two': two}[key], prepare=renamed(to)) for key, to in tools.items()])
    if message is None:
        assert await names(toolset) == ['other', 'two']
        assert await call(toolset, 'other') == 1
    else:
        with pytest.raises(UserError) as caught:
            await toolset.get_tools(context())
        assert str(caught.value) == message


async def test_a_call_that_takes_too_long_is_to_be_made_again():
    """An async function is cancelled; the model is told of the time."""
    ended = []

    async def forever():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    toolset = FunctionToolset([forever], timeout=0.001)

    with pytest.raises(ModelRetry, match=r'^Timed out after 0\.001 seconds\.$'):
        await call(toolset, 'forever')
    assert ended == [True]


async def test_the_thread_of_a_call_that_takes_too_long_is_left_behind():
    """It cannot be stopped, and the run does not wait for it."""
    may_end, ended = threading.Event(), threading.Event()

    def stubborn():
        may_end.wait()
        ended.set()

    with pytest.raises(ModelRetry, match=r'^Timed out after 0\.2 seconds\.$'):
        await call(FunctionToolset([Tool(stubborn, timeout=0.2)]), 'stubborn')

    assert not ended.is_set()
    may_end.set()
    assert ended.wait(10)


async def test_an_error_of_a_timed_function_is_its_own():
    """A `TimeoutError` that a function raises is not taken for the end of its time."""

    async def fails():
        raise TimeoutError('mine')

    with pytest.raises(TimeoutError, match='mine'):
        await call(FunctionToolset([fails], timeout=60), 'fails')


async def test_a_limit_is_found_by_its_name():
    """The tool has the limit itself, for the run to hold; a name that stands for none is refused."""
    limit = Limit('of a tool', in_flight=1)
    toolset = FunctionToolset()
    toolset.add_function(one, limit='of a tool')

    assert (await toolset.get_tools(context()))['one'].limit == limit
    assert (await CombinedToolset([toolset.prefixed('p')]).get_tools(context()))['p_one'].limit == limit
    with pytest.raises(GraphRuntimeError, match=r"^No limit is named 'no such limit'"):
        await FunctionToolset([Tool(one, limit='no such limit')]).get_tools(context())


async def test_context_variables_are_seen_in_threads():
    """A function that is not async sees what was set where it is called."""
    here = ContextVar('here', default='nowhere')
    here.set('somewhere')

    assert await call(FunctionToolset([Tool(lambda: f'seen {here.get()}', name='look')]), 'look') == 'seen somewhere'
