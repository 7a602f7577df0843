"""Retries: a step is tried again, each attempt has a time limit, and a fallback takes over when none is left."""

import asyncio

from plait_graph import GraphBuilder, Retry, StepContext, reduce_list_append
from plait_graph.events import RunEvent, StepFellBack, StepRetried

g = GraphBuilder(input_type=list[str], output_type=list[str])


@g.step
async def from_archive(ctx: StepContext[None, None, str]) -> str:
    return f'{ctx.inputs} from the archive'


@g.step(
    retry=Retry(2, on=(ConnectionError, TimeoutError), wait=0.01),
    timeout=0.1,
    fallback=from_archive,
)
async def from_server(ctx: StepContext[None, None, str]) -> str:
    if ctx.inputs == 'slow page':
        await asyncio.sleep(3600)
    if ctx.inputs == 'shaky page' and ctx.attempt == 1:
        raise ConnectionError('connection lost')
    return f'{ctx.inputs} from the server'


pages = g.join(reduce_list_append, initial_factory=list[str], node_id='pages')

g.add(
    g.edge_from(g.start_node).map().to(from_server),
    g.edge_from(from_server).to(pages),
    g.edge_from(pages).to(g.end_node),
)
graph = g.build()


def listen(event: RunEvent) -> None:
    match event:
        case StepRetried(error=error, attempt=attempt):
            print(f'attempt {attempt}: {type(error).__name__}')
        case StepFellBack(error=error, fallback_id=fallback_id):
            print(f'{type(error).__name__}: now {fallback_id}')
        case _:
            pass


if __name__ == '__main__':
    for page in graph.run_sync(inputs=['good page', 'shaky page', 'slow page'], on_event=listen):
        print(page)

# Prints:
# attempt 1: ConnectionError
# attempt 1: StepTimeout
# StepTimeout: now from_archive
# good page from the server
# shaky page from the server
# slow page from the archive
