"""A language model on this machine reads orders in a graph that forks and joins: a tool, typed output, streamed text.

Each message goes down a branch of its own. There, an agent looks a price up with a tool and gives an `Order`; a
validator sends it back if it has made the price up. The join folds the orders into a table, and the model writes a note
about them. No key is needed, and after the weights have been fetched, no network:

    plait models pull
    python examples/local_agents.py
"""

import argparse
import sys
import time

from pydantic import BaseModel

from plait_agent import Agent, AgentRunError, ModelRetry, RunContext, ToolReturnPart, UserError
from plait_graph import GraphBuilder, StepContext, reduce_list_append

PRICES = {'kettle': 24.5, 'teapot': 31.0, 'mug': 7.5, 'tray': 12.0, 'spoon': 2.5}
MESSAGES = [
    'Anna orders 3 kettles.',
    'Please send 12 mugs to Ben.',
    'Clara would like one teapot.',
    '4 trays for David, please.',
    'Could I have 24 spoons? This is Emma.',
    'Frank needs 2 teapots.',
]


class Order(BaseModel):
    """An order, with the price of one piece."""

    customer: str
    item: str
    quantity: int
    unit_price: float


clerk = Agent(
    output_type=Order,
    retries=3,
    instructions='Look up the price of what is ordered, then give the order.',
    name='clerk',
)


@clerk.tool_plain
def price_of(item: str) -> str:
    """Look up the price of one piece of an item."""
    price = find_price(item)
    if price is None:
        raise ModelRetry(f'There is no {item!r}. There are {", ".join(PRICES)}.')
    print(f'  price_of({item!r}) gives {price}', flush=True)
    return f'One {item} costs {price} EUR.'


@clerk.output_validator
def check_price(ctx: RunContext[None], order: Order) -> Order:
    """Send an order back whose price was not looked up."""
    parts = [part for message in ctx.messages for part in message.parts]
    if not any(isinstance(part, ToolReturnPart) and part.tool_name == 'price_of' for part in parts):
        raise ModelRetry(f'The price is not known yet. Call price_of with the item {order.item!r}.')
    if order.unit_price != find_price(order.item):
        raise ModelRetry(f'One {order.item} costs {find_price(order.item)} EUR.')
    return order


writer = Agent(instructions='You write short notes.', name='writer')


def find_price(item: str) -> float | None:
    return PRICES.get(item.lower().strip().removesuffix('s'))


g = GraphBuilder(name='orders', input_type=list[str], output_type=str)


@g.step
async def read_order(ctx: StepContext[None, None, str]) -> Order:
    started = time.perf_counter()
    result = await clerk.run(ctx.inputs)
    calls = sum(len(message.tool_calls) for message in result.all_messages() if message.kind == 'response')
    seconds = time.perf_counter() - started
    print(f'{seconds:6.1f} s, {calls} calls: {ctx.inputs!r} is {result.output}', flush=True)
    return result.output


collect = g.join(reduce_list_append, initial_factory=list[Order], node_id='collect')


@g.step
async def show_table(ctx: StepContext[None, None, list[Order]]) -> list[Order]:
    print(f'\n  {"customer":<10} {"item":<10} {"pieces":>6} {"price":>7} {"sum":>8}')
    for order in ctx.inputs:
        price, item = order.unit_price, order.item.lower().removesuffix('s')
        print(f'  {order.customer:<10} {item:<10} {order.quantity:>6} {price:>7.2f} {order.quantity * price:>8.2f}')
    print(f'  {"in all":<36} {total(ctx.inputs):>8.2f}\n')
    return ctx.inputs


@g.step
async def write_note(ctx: StepContext[None, None, list[Order]]) -> str:
    pieces = ', '.join(f'{order.quantity} {order.item} for {order.customer}' for order in ctx.inputs)
    prompt = f'Write one friendly sentence that asks the warehouse to pack {pieces}.'
    async with writer.run_stream(prompt, model_settings={'max_tokens': 120}) as streamed:
        async for piece in streamed.stream_text(delta=True, debounce_by=None):
            print(piece, end='', flush=True)
        print('\n')
        return await streamed.get_output()


def total(orders: list[Order]) -> float:
    return sum(order.quantity * order.unit_price for order in orders)


g.add(
    g.edge_from(g.start_node).map().to(read_order),
    g.edge_from(read_order).to(collect),
    g.edge_from(collect).to(show_table),
    g.edge_from(show_table).to(write_note),
    g.edge_from(write_note).to(g.end_node),
)
orders = g.build()


def main() -> int:
    parser = argparse.ArgumentParser(prog='local_agents', description=__doc__.splitlines()[0])
    parser.add_argument('--model', default='local', help='which model reads the orders (default: %(default)s)')
    model = parser.parse_args().model
    started = time.perf_counter()
    try:
        clerk.model = writer.model = model
        print(f'{model} reads {len(MESSAGES)} messages, each in a branch of its own; the first waits for its start.\n')
        orders.run_sync(inputs=MESSAGES)
    except KeyboardInterrupt:
        print('\nStopped.')
        return 130
    except (UserError, AgentRunError) as error:
        print(f'local_agents: {error}', file=sys.stderr)
        return 1
    print(f'{len(MESSAGES)} orders and a note in {time.perf_counter() - started:.1f} s, all of it on this machine.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
