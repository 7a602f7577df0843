"""Questions for small models, with what a right answer is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

# Tools: what each gives is made up, so that a right answer cannot be known without the call.


def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return f'It is {sum(map(ord, city)) % 30} degrees and windy in {city}.'


def convert_currency(amount: float, source: str, target: str) -> str:
    """Convert an amount of money between two currencies, given by their three-letter codes."""
    return f'{amount} {source} are {amount * 3} {target}.'


def find_trains(origin: str, destination: str) -> str:
    """Find the next train from one town to another."""
    return f'The next train from {origin} to {destination} leaves at 14:{sum(map(ord, origin)) % 50 + 10}.'


def set_timer(minutes: int) -> str:
    """Start a timer that rings after some minutes."""
    return f'Timer number {minutes + 70} is set.'


def stock_price(symbol: str) -> str:
    """Look up the price of a share by its ticker symbol."""
    return f'{symbol} stands at {sum(map(ord, symbol)) % 400 + 11} dollars.'


TOOLS = [get_weather, convert_currency, find_trains, set_timer, stock_price]

CHOICES: list[tuple[str, str, dict[str, Any]]] = [
    ('What is the weather in Paris right now?', 'get_weather', {'city': 'Paris'}),
    ('Is it raining in Tokyo?', 'get_weather', {'city': 'Tokyo'}),
    ('Tell me how warm it is in Cairo.', 'get_weather', {'city': 'Cairo'}),
    ('Do I need an umbrella in London today?', 'get_weather', {'city': 'London'}),
    ('Convert 100 USD to EUR.', 'convert_currency', {'amount': 100, 'source': 'USD', 'target': 'EUR'}),
    ('How much is 250 GBP in JPY?', 'convert_currency', {'amount': 250, 'source': 'GBP', 'target': 'JPY'}),
    ('I have 75 EUR. How many CHF is that?', 'convert_currency', {'amount': 75, 'source': 'EUR', 'target': 'CHF'}),
    ('Change 12.5 CAD into USD for me.', 'convert_currency', {'amount': 12.5, 'source': 'CAD', 'target': 'USD'}),
    ('When is the next train from Berlin to Hamburg?', 'find_trains', {'origin': 'Berlin', 'destination': 'Hamburg'}),
    ('Find a train from Lyon to Nice.', 'find_trains', {'origin': 'Lyon', 'destination': 'Nice'}),
    ('I want to travel by train from Rome to Milan.', 'find_trains', {'origin': 'Rome', 'destination': 'Milan'}),
    ('Next train to Oxford from London, please.', 'find_trains', {'origin': 'London', 'destination': 'Oxford'}),
    ('Set a timer for 10 minutes.', 'set_timer', {'minutes': 10}),
    ('Remind me in 25 minutes.', 'set_timer', {'minutes': 25}),
    ('Ring after 3 minutes, my tea is brewing.', 'set_timer', {'minutes': 3}),
    ('Start a timer of 45 minutes for the bread.', 'set_timer', {'minutes': 45}),
    ('What is the share price of AAPL?', 'stock_price', {'symbol': 'AAPL'}),
    ('How is MSFT trading?', 'stock_price', {'symbol': 'MSFT'}),
    ('Look up the stock NVDA.', 'stock_price', {'symbol': 'NVDA'}),
    ('What does one share of TSLA cost?', 'stock_price', {'symbol': 'TSLA'}),
]
"""A question, the tool that it needs, and the arguments."""

LOOPS: list[tuple[str, str]] = [
    ('What is the weather in Paris?', str(sum(map(ord, 'Paris')) % 30)),
    ('How warm is it in Cairo?', str(sum(map(ord, 'Cairo')) % 30)),
    ('Convert 100 USD to EUR.', '300'),
    ('How much is 20 GBP in JPY?', '60'),
    ('When does the next train from Berlin to Hamburg leave?', f'14:{sum(map(ord, "Berlin")) % 50 + 10}'),
    ('When is the next train from Lyon to Nice?', f'14:{sum(map(ord, "Lyon")) % 50 + 10}'),
    ('Set a timer for 10 minutes and tell me its number.', '80'),
    ('Start a timer of 25 minutes. Which number does it have?', '95'),
    ('What is the share price of AAPL?', str(sum(map(ord, 'AAPL')) % 400 + 11)),
    ('How many dollars is one share of MSFT?', str(sum(map(ord, 'MSFT')) % 400 + 11)),
]
"""A question, and what the answer says if the result of the tool has got into it."""


class Order(BaseModel):
    """What somebody has ordered."""

    customer: str
    item: str
    quantity: int
    size: Literal['small', 'medium', 'large']


EXTRACTIONS: list[tuple[str, Order]] = [
    (text, Order(customer=customer, item=item, quantity=quantity, size=size))
    for text, customer, item, quantity, size in (
        ('Anna orders 3 large pizzas.', 'Anna', 'pizza', 3, 'large'),
        ('Ben would like 2 small coffees.', 'Ben', 'coffee', 2, 'small'),
        ('One medium salad for Clara, please.', 'Clara', 'salad', 1, 'medium'),
        ('David wants 5 large burgers.', 'David', 'burger', 5, 'large'),
        ('Please send 4 small cakes to Emma.', 'Emma', 'cake', 4, 'small'),
        ('Frank ordered 6 medium teas.', 'Frank', 'tea', 6, 'medium'),
        ('Grace asks for 7 large sandwiches.', 'Grace', 'sandwich', 7, 'large'),
        ('2 medium soups for Henry.', 'Henry', 'soup', 2, 'medium'),
        ('Irene: 8 small cookies.', 'Irene', 'cookie', 8, 'small'),
        ('Jack takes 3 medium juices.', 'Jack', 'juice', 3, 'medium'),
        ('Could I have 9 large muffins? This is Karen.', 'Karen', 'muffin', 9, 'large'),
        ('Liam needs 10 small pretzels.', 'Liam', 'pretzel', 10, 'small'),
        ('Mia, 4 large lemonades.', 'Mia', 'lemonade', 4, 'large'),
        ('For Noah: 1 small waffle.', 'Noah', 'waffle', 1, 'small'),
        ('Olivia has ordered 12 medium bagels.', 'Olivia', 'bagel', 12, 'medium'),
        ('Paul says: 2 large steaks.', 'Paul', 'steak', 2, 'large'),
        ('Quinn buys 5 small donuts.', 'Quinn', 'donut', 5, 'small'),
        ('Bring 3 medium pies to Rosa.', 'Rosa', 'pie', 3, 'medium'),
        ('Sam is getting 6 large tacos.', 'Sam', 'taco', 6, 'large'),
        ('Tina orders 11 small shakes.', 'Tina', 'shake', 11, 'small'),
    )
]
"""A text, and what is to be read from it; the item may be in the plural."""


def is_right_order(found: Order, wanted: Order) -> bool:
    """Whether what was read is what was meant."""
    same = (found.customer, found.quantity, found.size) == (wanted.customer, wanted.quantity, wanted.size)
    return same and wanted.item in found.item.lower()
