"""Isolated state: steps that change one state at the same time, each on its own copy, merged as the fields declare."""

from dataclasses import dataclass, field
from typing import Annotated

from anyio.lowlevel import checkpoint

from plait_graph import GraphBuilder, Retry, StateConflict, StepContext, reduce_dict_update, reduce_null, reduce_sum


@dataclass
class Count:
    words: Annotated[int, reduce_sum] = 0
    by_text: Annotated[dict[str, int], reduce_dict_update] = field(default_factory=dict)
    longest: str = ''


g = GraphBuilder(name='count', state_type=Count, input_type=list[str], isolated_state=True)


@g.step
async def count(ctx: StepContext[Count, None, str]) -> str:
    words = ctx.inputs.split()
    ctx.state.words += len(words)
    await checkpoint()  # whatever happens here, nobody sees half of it
    ctx.state.by_text[ctx.inputs] = len(words)
    return max(words, key=len)


# Nothing says how two longest words are merged, so whoever comes second looks again.
@g.step(retry=Retry(5, on=StateConflict))
async def compare(ctx: StepContext[Count, None, str]) -> None:
    print(f'{ctx.inputs} is compared with {ctx.state.longest or "nothing"}')
    await checkpoint()
    if len(ctx.inputs) > len(ctx.state.longest):
        ctx.state.longest = ctx.inputs


done = g.join(reduce_null, initial=None, node_id='done')

g.add(
    g.edge_from(g.start_node).map(fork_id='texts').to(count),
    g.edge_from(count).to(compare),
    g.edge_from(compare).to(done),
    g.edge_from(done).to(g.end_node),
)
graph = g.build()

if __name__ == '__main__':
    state = Count()
    graph.run_sync(state=state, inputs=['to be or not to be', 'that is the question'])
    print(state)

# Prints:
# not is compared with nothing
# question is compared with nothing
# question is compared with not
# Count(words=10, by_text={'to be or not to be': 6, 'that is the question': 4}, longest='question')
