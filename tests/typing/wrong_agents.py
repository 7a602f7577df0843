"""Wrong: each line that ends in the mark must be refused by pyright and by mypy, and no other line; never run."""

from dataclasses import dataclass

from pydantic import BaseModel

from plait_agent import Agent, RunContext, ToolOutput, UsageLimits


@dataclass
class Deps:
    """What tools are given."""

    city: str


class Weather(BaseModel):
    """What an agent is to find out."""

    degrees: float


plain = Agent('test')
weather = Agent('test', deps_type=Deps, output_type=Weather)

Agent('test', end_strategy='late')  # wrong
Agent('test', retries='often')  # wrong
Agent('test', instructions=3)  # wrong
wrong_output: Agent[None, int] = Agent('test', output_type=str)  # wrong
wrong_marker: Agent[None, int] = Agent('test', output_type=ToolOutput(Weather))  # wrong
UsageLimits(request_limit='many')  # wrong


@weather.tool  # wrong
def no_context(place: str) -> str:
    return place


@weather.tool  # wrong
def other_deps(ctx: RunContext[int], place: str) -> str:
    return place


@weather.tool(often=True)  # wrong
def unknown_option(ctx: RunContext[Deps]) -> str:
    return ctx.deps.city


@weather.tool
def wrong_use(ctx: RunContext[Deps]) -> int:
    return ctx.deps.city  # wrong


async def main() -> None:
    await weather.run('x', deps='Ulm')  # wrong
    await weather.run('x', deps=Deps('Ulm'), usage_limit=3)  # wrong
    await weather.run(3, deps=Deps('Ulm'))  # wrong
    await weather.run('x', deps=Deps('Ulm'), message_history='hello')  # wrong
    result = await weather.run('x', deps=Deps('Ulm'))
    text: str = result.output  # wrong
    print(result.output.city, text)  # wrong
    other: int = (await plain.run('x', output_type=Weather)).output  # wrong
    number: int = plain.run_sync('x').output  # wrong
    async with weather.iter('x', deps=Deps('Ulm')) as run:
        await run.next(3)  # wrong
        wrong_deps: str = run.ctx.deps.user_deps  # wrong
    async with plain.run_stream('x') as streamed:
        async for output in streamed.stream_output():
            wrong: int = output  # wrong
            print(wrong)
    with weather.override(deps='Ulm'):  # wrong
        print(other, number, wrong_deps)
