"""Join policies: any two answers, half of them, or whatever has come by a deadline; and what fails is no harm."""

import asyncio

from plait_graph import BranchFailure, Graph, GraphBuilder, JoinPolicy, Share, StepContext

Delays = dict[str, float]
"""How long each server takes to answer; one that takes less than no time is down."""


def build(policy: JoinPolicy) -> Graph[None, None, Delays, list[str]]:
    g = GraphBuilder(input_type=Delays, output_type=list[str])

    @g.step
    async def ask(ctx: StepContext[None, None, tuple[str, float]]) -> str:
        name, seconds = ctx.inputs
        if seconds < 0:
            raise ConnectionError(f'{name} is down')
        await asyncio.sleep(seconds)
        return name

    def note(current: list[str], value: str | BranchFailure) -> list[str]:
        return [*current, value if isinstance(value, str) else f'({value.error})']

    answers = g.join(note, initial_factory=list[str], node_id='answers', policy=policy)

    g.add(
        g.edge_from(g.start_node).transform(lambda ctx: list(ctx.inputs.items())).map().to(ask),
        g.edge_from(ask).to(answers),
        g.edge_from(answers).to(g.end_node),
    )
    return g.build()


SERVERS = {'near': 0.0, 'far': 0.01, 'asleep': 3600.0, 'broken': -1.0}

if __name__ == '__main__':
    for policy in (
        JoinPolicy(need=2, failures='ignore'),
        JoinPolicy(need=Share(0.5), failures='ignore'),
        JoinPolicy(need='arrived', deadline=0.2, failures='collect'),
    ):
        print(', '.join(policy.describe()))
        print('    ', ', '.join(build(policy).run_sync(inputs=SERVERS)))

# Prints:
# any 2, ignore failures
#      near, far
# 50% of the branches, ignore failures
#      near, far
# whatever has come, within 0.2 s, collect failures
#      near, far, (broken is down)
