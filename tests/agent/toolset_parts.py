"""What the tests of toolsets share: two tools, a toolset that is watched, and how a run asks and calls."""

from typing import Any

from plait_agent.tools import RunContext
from plait_agent.toolsets import FunctionToolset
from plait_agent.usage import RunUsage


def context(**changes) -> RunContext[Any]:
    """A run at some point."""
    return RunContext(**{'deps': 'deps', 'model': None, 'usage': RunUsage(), 'run_step': 1, **changes})


async def one(a: int = 1) -> int:
    """Give one."""
    return a


async def two(ctx: RunContext[Any]) -> str:
    """Give two."""
    return f'two as {ctx.tool_name}'


class Watched(FunctionToolset[Any]):
    """Writes down when it is entered and left."""

    def __init__(self, log, tools=(), **options):
        super().__init__(tools, **options)
        self.log = log

    async def __aenter__(self):
        self.log.append(f'enter {self.id}')
        return self

    async def __aexit__(self, kind, error, traceback):
        self.log.append(f'leave {self.id}')


async def names(toolset, ctx=None):
    """The names of the tools that are offered."""
    return list(await toolset.get_tools(ctx or context()))


async def call(toolset, name, args=None, ctx=None):
    """Call a tool as a run does."""
    ctx = ctx or context(tool_name=name)
    tool = (await toolset.get_tools(ctx))[name]
    return await toolset.call_tool(name, tool.args_validator.validate_python(args or {}), ctx, tool)
