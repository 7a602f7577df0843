"""Wrong: each line that ends in the mark must be refused by pyright and by mypy, and no other line; never run."""

from dataclasses import dataclass

from plait_agent import Agent
from plait_agent.nodes import (
    CallToolsNode,
    End,
    FinalResult,
    ModelRequestNode,
    NodeContext,
    OwnNode,
    after,
    before,
)


@dataclass
class Guard(OwnNode):
    """Takes a request."""

    node: ModelRequestNode

    async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
        """Lets it pass."""
        return self.node


before(End, Guard)  # wrong
before(CallToolsNode, Guard)  # wrong
before(ModelRequestNode, str)  # wrong
after(End, Guard)  # wrong
after(CallToolsNode, Guard)  # wrong
Agent('test', own_nodes=[Guard])  # wrong
