"""Events: a handler sees what happens in a run, and the nodes of the loop can be watched one by one."""

import asyncio
from collections.abc import AsyncIterable

from plait_agent import Agent, AgentStreamEvent, FunctionToolCallEvent, FunctionToolResultEvent, RunContext

clerk = Agent('test')


@clerk.tool_plain
def find_price(article: str) -> int:
    """Find what an article costs, in cents."""
    return 400


async def show(ctx: RunContext, events: AsyncIterable[AgentStreamEvent]) -> None:
    async for event in events:
        if isinstance(event, FunctionToolCallEvent):
            print(f'step {ctx.run_step}: {event.part.tool_name}({event.part.args_as_json_str()})')
        elif isinstance(event, FunctionToolResultEvent):
            print(f'step {ctx.run_step}: {event.result.tool_name} gave {event.result.content}')


async def main() -> None:
    result = await clerk.run('How much is the tea?', event_stream_handler=show)
    print('output:', result.output)

    async with clerk.iter('How much is the tea?') as run:
        async for node in run:
            print(type(node).__name__)


if __name__ == '__main__':
    asyncio.run(main())

# Prints:
# step 1: find_price({"article":"a"})
# step 1: find_price gave 400
# output: {"find_price":400}
# UserPromptNode
# ModelRequestNode
# CallToolsNode
# ModelRequestNode
# CallToolsNode
# End
