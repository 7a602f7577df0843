"""Wrong: each line that ends in the mark must be refused by pyright and by mypy, and no other line; never run."""

from plait_graph import (
    BaseNode,
    Budget,
    Cache,
    EndMarker,
    GraphBuilder,
    GraphRunContext,
    JoinPolicy,
    Limit,
    LoopGuard,
    MemoryCache,
    ReducerContext,
    Retry,
    Share,
    StepContext,
    reduce_dict_update,
    reduce_list_append,
    reduce_list_extend,
    reduce_sum,
)


class State:
    """The state of the graph."""


class Other:
    """Something else."""


g = GraphBuilder(state_type=State, deps_type=bytes, input_type=int, output_type=float)


@g.step
async def int_to_str(ctx: StepContext[State, bytes, int]) -> str:
    return str(ctx.inputs)


@g.step
async def str_to_list(ctx: StepContext[State, bytes, str]) -> list[str]:
    return [ctx.inputs]


@g.step
def plain_int_to_int(ctx: StepContext[State, bytes, int]) -> int:
    return ctx.inputs


@g.step
async def int_or_str(ctx: StepContext[State, bytes, int]) -> int | str:
    return ctx.inputs


def int_to_bytes(ctx: StepContext[State, bytes, int]) -> bytes:
    return bytes(ctx.inputs)


def needs_other_state(ctx: StepContext[Other, bytes, int]) -> int:
    return 1


async def needs_other_deps(ctx: StepContext[State, str, int]) -> int:
    return 1


# Inputs of steps
g.add(g.edge_from(g.start_node).to(str_to_list))  # wrong
g.add(g.edge_from(int_to_str).to(plain_int_to_int))  # wrong
g.add(g.edge_from(int_to_str, plain_int_to_int).to(str_to_list))  # wrong
g.add(g.edge_from(int_or_str).to(str_to_list))  # wrong
g.add(g.edge_from(g.start_node).to(int_to_str, str_to_list))  # wrong
g.add(g.edge_from(g.start_node).broadcast(lambda path: [path.to(int_to_str), path.to(str_to_list)]))  # wrong
g.add_edge(int_to_str, plain_int_to_int)  # wrong

# Transforms
g.add(g.edge_from(g.start_node).transform(int_to_bytes).to(str_to_list))  # wrong
g.add(g.edge_from(int_to_str).transform(int_to_bytes).to(g.end_node))  # wrong
g.add(g.edge_from(g.start_node).transform(needs_other_state).to(int_to_str))  # wrong

# State and dependencies
g.step(needs_other_state)  # wrong
g.step(needs_other_deps)  # wrong
g.step(node_id='other')(needs_other_state)  # wrong

# Maps
g.add(g.edge_from(g.start_node).map().to(int_to_str))  # wrong
g.add(g.edge_from(plain_int_to_int).map().to(int_to_str))  # wrong
g.add(g.edge_from(str_to_list).map().to(int_to_str))  # wrong
g.add(g.edge_from(str_to_list).map().map().map().to(int_to_str))  # wrong
g.add_mapping_edge(g.start_node, int_to_str)  # wrong
g.add_mapping_edge(str_to_list, int_to_str)  # wrong

# Joins
numbers = g.join(reduce_list_append, initial_factory=list[int])
total = g.join(reduce_sum, initial=0)
g.add(g.edge_from(int_to_str).to(numbers))  # wrong
g.add(g.edge_from(int_to_str).to(total))  # wrong
g.add(g.edge_from(numbers).to(int_to_str))  # wrong
g.join(reduce_list_append, initial=0)  # wrong
g.join(reduce_list_extend, initial_factory=dict[str, int])  # wrong
g.join(reduce_dict_update, initial_factory=list[int])  # wrong
g.join(reduce_sum)  # wrong


def append_text(ctx: ReducerContext[State, bytes], current: list[str], value: str) -> list[str]:
    return [*current, value]


def other_state(ctx: ReducerContext[Other, bytes], current: int, value: int) -> int:
    return current


def changes_type(current: int, value: int) -> str:
    return str(current)


g.join(append_text, initial=0)  # wrong
g.join(other_state, initial=0)  # wrong
g.join(changes_type, initial=0)  # wrong

# Decisions
only_int = g.decision().branch(g.match(int).to(int_to_str))
g.add(g.edge_from(int_or_str).to(only_int))  # wrong
g.decision().branch(g.match(int).to(str_to_list))  # wrong
g.decision().branch(g.match(int))  # wrong

# The end
g.add(g.edge_from(int_to_str).to(g.end_node))  # wrong
g.add(g.edge_from(numbers).to(g.end_node))  # wrong
g.add(g.edge_from(g.end_node).to(int_to_str))  # wrong

# What is no node
g.add(g.edge_from(g.start_node).to(int_to_bytes))  # wrong
g.add(g.edge_from('start').to(int_to_str))  # wrong
g.add(g.edge_from(g.start_node))  # wrong


class OtherNode(BaseNode[Other, bytes, float]):
    async def run(self, ctx: GraphRunContext[Other, bytes]) -> 'OtherNode':
        return self


g.node(OtherNode)  # wrong
g.add(g.edge_from(g.start_node).to(OtherNode))  # wrong

# Policies
g.step(plain_int_to_int, retry='often')  # wrong
g.step(plain_int_to_int, timeout='soon')  # wrong
g.step(plain_int_to_int, retries=3)  # wrong
g.step(plain_int_to_int, worker='cluster')  # wrong
g.step(plain_int_to_int, cache=MemoryCache())  # wrong
g.step(plain_int_to_int, limit=7)  # wrong
g.step(plain_int_to_int, loop_guard='three')  # wrong
g.step(max_concurrency='few')  # wrong
g.join(reduce_sum, initial=0, policy='any')  # wrong
JoinPolicy(need='most')  # wrong
JoinPolicy(rest='stop')  # wrong
JoinPolicy(failures='skip')  # wrong
JoinPolicy(deadline='soon')  # wrong
JoinPolicy(3)  # wrong
Share('half')  # wrong
Retry('often')  # wrong
Retry(on=KeyboardInterrupt)  # wrong
Retry(wait='a while')  # wrong
LoopGuard('three')  # wrong
Limit('model', in_flight='many')  # wrong
Budget(tokens='many')  # wrong
Cache(ttl='long')  # wrong
Cache(store={})  # wrong

# Runs
graph = g.build()
graph.run_sync(state=State(), deps=b'', inputs=1, deadline='soon')  # wrong
graph.run_sync(state=State(), deps=b'', inputs=1, timeout=3)  # wrong
graph.run_sync(state=State(), deps=b'', inputs=1, budget=100)  # wrong
graph.run_sync(state=State(), deps=b'', inputs=1, executor=print)  # wrong
graph.run_sync(state=State(), deps=b'', inputs='text')  # wrong
graph.run_sync(state=Other(), deps=b'', inputs=1)  # wrong
graph.run_sync(state=State(), deps='', inputs=1)  # wrong
graph.run_sync(state=State(), deps=b'', inputs=1, errors='last')  # wrong
text: str = graph.run_sync(state=State(), deps=b'', inputs=1)  # wrong


async def watch() -> None:
    wrong_output: str = await graph.run(state=State(), deps=b'', inputs=1)  # wrong
    graph.iter(state=State(), deps=b'', inputs='text')  # wrong
    async with graph.iter(state=State(), deps=b'', inputs=1) as run:
        await run.next(EndMarker('text'))  # wrong
        await run.next([1, 2])  # wrong
        output: str = run.output  # wrong
        wrong_state: Other = run.state  # wrong
    print(wrong_output, output, wrong_state)
