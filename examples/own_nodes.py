"""Own nodes: a guard before each request to the model, and a reviewer before the end, in the loop of an agent."""

import asyncio
from dataclasses import dataclass

from plait_agent import Agent, ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.nodes import (
    CallToolsNode,
    End,
    FinalResult,
    ModelRequestNode,
    NodeContext,
    OwnNode,
    before,
)


def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Stands for a model that gives its source only when it is asked to."""
    is_asked = 'source' in str(messages[-1])
    return ModelResponse([TextPart('It was 1492, says the log of the ship.' if is_asked else 'It was 1492.')])


@dataclass
class Guard(OwnNode):
    """Keeps account numbers from the model."""

    node: ModelRequestNode

    async def run(self, ctx: NodeContext) -> ModelRequestNode | CallToolsNode:
        if 'IBAN' in str(self.node.request):
            return await self.node.answer(ctx, 'Please leave account numbers out.')
        return self.node


@dataclass
class Reviewer(OwnNode):
    """Wants a source, and asks for it once."""

    end: End[FinalResult[str]]

    async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
        is_fine = 'says' in self.end.data.output or ctx.state.run_step > 1 or not ctx.state.usage.requests
        return self.end if is_fine else ModelRequestNode(ModelRequest([UserPromptPart('Name your source.')]))


agent = Agent(
    FunctionModel(answer),
    own_nodes=[before(ModelRequestNode, Guard), before(End, Reviewer)],
)


async def main() -> None:
    async with agent.iter('When did Columbus sail?') as run:
        async for node in run:
            print(type(node).__name__)
    print('->', run.result.output if run.result else None)

    result = await agent.run('My IBAN is ES91 2100. When did Columbus sail?')
    print('->', result.output)
    print(agent.graph.render(direction='LR'))


if __name__ == '__main__':
    asyncio.run(main())

# Prints:
# UserPromptNode
# Guard
# ModelRequestNode
# CallToolsNode
# Reviewer
# Guard
# ModelRequestNode
# CallToolsNode
# Reviewer
# End
# -> It was 1492, says the log of the ship.
# -> Please leave account numbers out.
# stateDiagram-v2
#   direction LR
#   UserPromptNode
#   state decision <<choice>>
#   CallToolsNode
#   Guard
#   state decision_2 <<choice>>
#   state decision_3 <<choice>>
#   ModelRequestNode
#   Reviewer
#   state decision_4 <<choice>>
#
#   [*] --> UserPromptNode
#   UserPromptNode --> decision
#   decision --> CallToolsNode
#   decision --> Guard
#   CallToolsNode --> decision_3
#   Guard --> decision_2
#   decision_2 --> CallToolsNode
#   decision_3 --> Guard
#   decision_2 --> ModelRequestNode
#   decision_3 --> Reviewer
#   ModelRequestNode --> CallToolsNode
#   Reviewer --> decision_4
#   decision_4 --> Guard
#   decision_4 --> [*]
