"""Events: steps tell of their progress, and a listener hears of that and of all that the run does."""

from dataclasses import dataclass

from plait_graph import GraphBuilder, StepContext, reduce_list_append
from plait_graph.events import Emitted, JoinFired, RunEvent, RunFinished


@dataclass(frozen=True)
class Halfway:
    name: str


g = GraphBuilder(input_type=list[str], output_type=list[int])


@g.step
async def measure(ctx: StepContext[None, None, str]) -> int:
    ctx.emit(Halfway(ctx.inputs))
    return len(ctx.inputs)


lengths = g.join(reduce_list_append, initial_factory=list[int], node_id='lengths')

g.add(
    g.edge_from(g.start_node).map().to(measure),
    g.edge_from(measure).to(lengths),
    g.edge_from(lengths).to(g.end_node),
)
graph = g.build()


def listen(event: RunEvent) -> None:
    """Is called on the event loop, so it should be quick."""
    match event:
        case Emitted(event=Halfway(name)):
            print('halfway through', name)
        case JoinFired(join_id, output=output):
            print(join_id, 'has', output)
        case RunFinished():
            print('finished')
        case _:
            pass  # steps that start and finish


if __name__ == '__main__':
    graph.run_sync(inputs=['warp', 'weft'], on_event=listen)

# Prints:
# halfway through warp
# halfway through weft
# lengths has [4, 4]
# finished
