"""Right: iterating, steering, listening."""

from collections.abc import Sequence
from typing import assert_type

from plait_graph import (
    EndMarker,
    ErrorMarker,
    Graph,
    GraphRun,
    GraphTask,
    GraphTaskRequest,
    JoinItem,
    NodeID,
)
from plait_graph.events import Emitted, RunEvent


def listen(event: RunEvent) -> None:
    match event:
        case Emitted():
            print(event.node_id, event.event)
        case _:
            print(event)


async def watch(graph: Graph[list[str], None, int, float]) -> float | None:
    await graph.run(state=[], deps=None, inputs=1, on_event=listen, errors='first', run_id='mine')
    async with graph.iter(state=[], deps=None, inputs=1) as run:
        assert_type(run, GraphRun[list[str], None, float])
        async for event in run:
            assert_type(event, EndMarker[float] | Sequence[GraphTask])
            if isinstance(event, EndMarker):
                assert_type(event.value, float)
            else:
                run.override_next([task for task in event if task.inputs])
        assert_type(run.next_task, EndMarker[float] | ErrorMarker | Sequence[GraphTask])
        assert_type(run.state, list[str])
        assert_type(run.output, float | None)
        await run.next([GraphTaskRequest(NodeID('step'), 1), JoinItem(NodeID('join'), 2)])
        await run.next(EndMarker(1.5))
        run.cancel('enough')
        async for told in run.events():
            listen(told)
        return run.output
