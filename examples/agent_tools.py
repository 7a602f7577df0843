"""An agent with tools: the model asks for prices, and adds them up from what the tools return."""

from dataclasses import dataclass

from plait_agent import Agent, ModelMessage, ModelResponse, ModelRetry, RunContext, TextPart, ToolCallPart
from plait_agent.models.function import AgentInfo, FunctionModel


@dataclass(frozen=True)
class Shop:
    prices: dict[str, int]


def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Stand in for a model: misspell an article, try again, and tell the sum."""
    answers = messages[-1].parts
    if answers[-1].part_kind == 'user-prompt':
        return ModelResponse([ToolCallPart('find_price', {'article': each}) for each in ('tea', 'cub')])
    if answers[-1].part_kind == 'retry-prompt':
        return ModelResponse([ToolCallPart('find_price', {'article': 'cup'})])
    returns = [part for message in messages for part in message.parts if part.part_kind == 'tool-return']
    return ModelResponse([TextPart(f'That is {sum(part.content for part in returns) / 100:.2f} € together.')])


clerk = Agent(FunctionModel(play), deps_type=Shop, instructions='You are the clerk of a tea shop.')


@clerk.tool
async def find_price(ctx: RunContext[Shop], article: str) -> int:
    """Find what an article costs, in cents.

    Args:
        ctx: The run, which has the shop.
        article: What the customer wants to buy.
    """
    if article not in ctx.deps.prices:
        raise ModelRetry(f'There is no {article!r}. Articles are {", ".join(ctx.deps.prices)}.')
    return ctx.deps.prices[article]


if __name__ == '__main__':
    result = clerk.run_sync('Tea and a cup, please.', deps=Shop({'tea': 400, 'cup': 950}))
    for message in result.all_messages():
        print(message.kind, '-', ', '.join(part.part_kind for part in message.parts))
    print(result.output)
    print(result.usage().requests, 'requests,', result.usage().tool_calls, 'tool calls')

# Prints:
# request - user-prompt
# response - tool-call, tool-call
# request - tool-return, retry-prompt
# response - tool-call
# request - tool-return
# response - text
# That is 13.50 € together.
# 3 requests, 2 tool calls
