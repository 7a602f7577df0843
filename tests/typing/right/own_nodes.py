"""Right: nodes of one's own in the loop of an agent."""

from __future__ import annotations

from dataclasses import dataclass

from plait_agent import Agent
from plait_agent.nodes import (
    CallToolsNode,
    End,
    FinalResult,
    ModelRequestNode,
    NodeContext,
    OwnNode,
    UserPromptNode,
    after,
    before,
)


@dataclass
class Deps:
    """What nodes are given."""

    is_open: bool


@dataclass
class Guard(OwnNode[Deps, str]):
    """Knows its dependencies."""

    node: ModelRequestNode[Deps, str]

    async def run(
        self, ctx: NodeContext[Deps]
    ) -> ModelRequestNode[Deps, str] | CallToolsNode[Deps, str] | End[FinalResult[str]]:
        """Ends the run, answers itself, or lets the request pass."""
        if not ctx.deps.user_deps.is_open:
            return End(FinalResult('We are closed.'))
        return self.node if ctx.state.run_step else await self.node.answer(ctx, 'Good morning!')


@dataclass
class Reviewer(OwnNode):
    """Knows none."""

    end: End[FinalResult[str]]

    async def run(self, ctx: NodeContext) -> End[FinalResult[str]]:
        """Replaces the output."""
        return End(FinalResult(self.end.data.output.strip()))


@dataclass
class Plan(OwnNode):
    """Stands behind the prompt."""

    node: ModelRequestNode | CallToolsNode

    async def run(self, ctx: NodeContext) -> ModelRequestNode | CallToolsNode:
        """Lets all pass."""
        return self.node


agent = Agent(
    'test',
    deps_type=Deps,
    own_nodes=[before(ModelRequestNode, Guard), before(End, Reviewer), after(UserPromptNode, Plan)],
)


async def steer() -> None:
    """Own nodes can be given to `next`."""
    async with agent.iter('Hi!', deps=Deps(is_open=True)) as run:
        await run.next(Reviewer(End(FinalResult('done'))))
