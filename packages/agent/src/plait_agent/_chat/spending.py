"""What answers have used and cost, added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from plait_agent.messages import ModelMessage, ModelResponse
from plait_agent.usage import RunUsage

if TYPE_CHECKING:
    from typing import Self

_FREE_OF_CHARGE = (None, 'local', 'ollama')
"""Providers without a price list: models on this machine, and those of tests."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What some answers have used, and what they have cost as far as that is known."""

    usage: RunUsage = field(default_factory=RunUsage)
    cost: Decimal = Decimal(0)
    is_price_unknown: bool = False
    """Whether one of them has a price that is not known."""

    def __add__(self, other: Self) -> Spent:
        is_unknown = self.is_price_unknown or other.is_price_unknown
        return Spent(self.usage + other.usage, self.cost + other.cost, is_unknown)

    def __str__(self) -> str:
        words = [f'{self.usage.input_tokens:,} tokens in', f'{self.usage.output_tokens:,} out']
        if self.usage.requests > 1:
            words.append(f'{self.usage.requests} requests')
        if self.cost:
            words.append(f'${self.cost:.4f}' if self.cost >= Decimal('0.0001') else 'less than $0.0001')
        if self.is_price_unknown:
            words.append('price unknown' if not self.cost else 'and what has an unknown price')
        return ' · '.join(words)


def spent_on(messages: Iterable[ModelMessage], usage: RunUsage) -> Spent:
    """What a run has used, with the cost of the answers among its messages."""
    cost, is_unknown = Decimal(0), False
    for message in messages:
        if isinstance(message, ModelResponse):
            price = _price(message)
            is_unknown = is_unknown or price is None
            cost += price or 0
    return Spent(usage, cost, is_unknown)


def _price(response: ModelResponse) -> Decimal | None:
    """What an answer has cost; nothing if that is nothing, or nobody is there to be asked, and `None` if unknown."""
    if response.provider_name in _FREE_OF_CHARGE or response.model_name is None:
        return Decimal(0)
    try:
        return response.cost().total_price
    except LookupError:
        return None
    except ImportError:  # without genai-prices nothing is said of prices
        return Decimal(0)
