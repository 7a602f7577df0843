"""Streaming: text as it grows, and a run that goes on to its end although some text is there."""

import asyncio
from collections.abc import AsyncIterator

from plait_agent import Agent, ModelMessage
from plait_agent.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel


async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Stand in for a model that says something and calls a tool, and then answers."""
    if len(messages) == 1:
        yield 'Let me look. '
        yield {1: DeltaToolCall('find_price', '{"article": "tea"}')}
        return
    for word in ('Tea ', 'is ', '4 €.'):
        yield word


clerk = Agent(FunctionModel(stream_function=speak))


@clerk.tool_plain
def find_price(article: str) -> int:
    """Find what an article costs, in cents."""
    return 400


async def main() -> None:
    async with clerk.run_stream('How much is the tea?') as result:
        async for text in result.stream_text(debounce_by=None):
            print('so far:', repr(text))

    async with clerk.run_stream('How much is the tea?', until='end') as result:
        print('at the end:', repr(await result.get_output()))


if __name__ == '__main__':
    asyncio.run(main())

# Prints:
# so far: 'Let me look. '
# at the end: 'Tea is 4 €.'
