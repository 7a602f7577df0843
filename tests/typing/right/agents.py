"""Right: programs with agents, as users write them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from typing_extensions import assert_type

from plait_agent import (
    Agent,
    AgentRunResult,
    AgentStreamEvent,
    FunctionToolset,
    ModelMessage,
    ModelRetry,
    NativeOutput,
    RunContext,
    TextOutput,
    Tool,
    ToolOutput,
    UsageLimits,
)


@dataclass
class Deps:
    """What tools are given."""

    city: str


class Weather(BaseModel):
    """What an agent is to find out."""

    degrees: float


class Refusal(BaseModel):
    """Why it cannot."""

    reason: str


plain = Agent('test')
assert_type(plain, Agent[None, str])
weather = Agent('test', deps_type=Deps, output_type=Weather)
assert_type(weather, Agent[Deps, Weather])


@weather.tool
async def temperature(ctx: RunContext[Deps], place: str) -> float:
    """Look up a temperature."""
    assert_type(ctx.deps, Deps)
    if not place:
        raise ModelRetry('Name a place.')
    return 20.5


@weather.tool(retries=2, timeout=3)
def wind(ctx: RunContext[Deps], place: str) -> float:
    return len(ctx.deps.city + place)


@weather.tool_plain
def today() -> str:
    return 'Sunday'


@weather.instructions
def where(ctx: RunContext[Deps]) -> str:
    return f'The user is in {ctx.deps.city}.'


@weather.system_prompt(dynamic=True)
async def who() -> str:
    return 'You know about the weather.'


@weather.output_validator
def check(ctx: RunContext[Deps], output: Weather) -> Weather:
    return output


def shout(text: str) -> int:
    return len(text)


async def handle(ctx: RunContext[Deps], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for event in events:
        print(ctx.deps.city, event.event_kind)


lengths = Agent('test', output_type=TextOutput(shout))
assert_type(lengths, Agent[None, int])
tools = Agent('test', output_type=ToolOutput(Weather, name='weather'))
assert_type(tools, Agent[None, Weather])
native = Agent[None, Weather | Refusal]('test', output_type=NativeOutput([Weather, Refusal]))
either = Agent[None, Weather | Refusal]('test', output_type=[Weather, Refusal])
toolset = FunctionToolset[Deps]([temperature, Tool(wind)])


async def main() -> None:
    answer = await plain.run('Hello')
    assert_type(answer.output, str)
    result = await weather.run('How warm is it?', deps=Deps('Ulm'), usage_limits=UsageLimits(request_limit=3))
    assert_type(result, AgentRunResult[Weather])
    assert_type(result.output.degrees, float)
    history: list[ModelMessage] = result.all_messages()
    other = await weather.run(
        'And now?', deps=Deps('Ulm'), message_history=history, toolsets=[toolset], event_stream_handler=handle
    )
    print(other.output.degrees)
    refused = await plain.run('x', output_type=Refusal)
    assert_type(refused.output.reason, str)
    print((await either.run('x')).output)
    async with weather.iter('How warm is it?', deps=Deps('Ulm')) as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        print(event.event_kind)
            elif Agent.is_end_node(node):
                assert_type(node.data.output, Weather)
        assert_type(run.ctx.deps.user_deps, Deps)
    async with weather.run_stream('How warm is it?', deps=Deps('Ulm')) as streamed:
        async for output in streamed.stream_output():
            assert_type(output, Weather)
    async for told in plain.run_stream_events('Hello'):
        print(told.event_kind)


def in_a_script() -> int:
    settings: dict[str, Any] = lengths.output_json_schema()
    print(settings, plain.graph)
    return lengths.run_sync('Hello').output
