"""Structured output: what a model gives is checked, and what is wrong goes back to it."""

from pydantic import BaseModel, Field

from plait_agent import Agent, ModelMessage, ModelResponse, ModelRetry, ToolCallPart
from plait_agent.models.function import AgentInfo, FunctionModel


class Order(BaseModel):
    """What a customer wants to buy."""

    article: str
    count: int = Field(ge=1)


ATTEMPTS = [{'article': 'cups', 'count': 'two'}, {'article': 'cups', 'count': 2}, {'article': 'cup', 'count': 2}]


def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Stand in for a model that needs three attempts."""
    attempt = sum(message.kind == 'response' for message in messages)
    return ModelResponse([ToolCallPart(info.output_tools[0].name, ATTEMPTS[attempt])])


reader = Agent(FunctionModel(play), output_type=Order, retries=2)


@reader.output_validator
def is_sold_here(order: Order) -> Order:
    if order.article not in ('tea', 'cup'):
        raise ModelRetry(f'We do not sell {order.article!r}.')
    return order


if __name__ == '__main__':
    result = reader.run_sync('Two cups, please.')
    for message in result.all_messages():
        for part in message.parts:
            if part.part_kind == 'retry-prompt':
                what = part.content if isinstance(part.content, str) else part.content[0]['msg']
                print('again:', what)
    print(repr(result.output))

# Prints:
# again: Input should be a valid integer, unable to parse string as an integer
# again: We do not sell 'cups'.
# Order(article='cup', count=2)
