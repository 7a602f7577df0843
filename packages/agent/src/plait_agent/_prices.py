"""What genai-prices knows: how providers write usages, and what models cost. It is imported when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from datetime import datetime

    from genai_prices.types import ExtractedUsage, PriceCalculation

    from plait_agent.usage import RequestUsage


_MODEL_KEYS = {'model', 'modelVersion'}
"""Where providers write the name of the model."""


def read_counters(data: Any, providers: Iterable[Mapping[str, str]], api_flavor: str) -> dict[str, Any]:
    """The counters in a response, by the first provider that is known and can read it; none if there is none.

    Args:
        data: The response.
        providers: Names or addresses of providers.
        api_flavor: Which of the provider's APIs was used.

    Raises:
        ImportError: genai-prices is not installed.
    """
    extract: Callable[..., ExtractedUsage] = _import_prices().get_snapshot().extract_usage
    # Tokens are counted for models that are newer than the package too, so it is not told which one it was.
    nameless = _without_model(data)
    for provider in providers:
        try:
            return vars(extract(nameless, **provider, api_flavor=api_flavor).usage)
        except (LookupError, ValueError):
            continue  # an unknown provider, or a response that is not as this one writes it
    return {}


def calculate_price(
    usage: RequestUsage, model_name: str, provider_name: str | None, provider_url: str | None, timestamp: datetime
) -> PriceCalculation:
    """What a request has cost, found by the address of the provider, or else by its name.

    Raises:
        ImportError: genai-prices is not installed.
        LookupError: It does not know the provider or the model.
    """
    calculate: Callable[..., PriceCalculation] = _import_prices().get_snapshot().calc
    if provider_url:
        try:
            return calculate(usage, model_name, None, provider_url, timestamp)
        except LookupError:
            pass  # an address of the user's own, perhaps
    return calculate(usage, model_name, provider_name, None, timestamp)


def _without_model(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {key: value for key, value in cast('Mapping[str, Any]', data).items() if key not in _MODEL_KEYS}


def _import_prices() -> Any:
    try:
        from genai_prices import data_snapshot
    except ImportError as error:
        raise ImportError(
            'Usages and prices are read with the package genai-prices, which is not installed. '
            "Run: pip install 'plait-agent[prices]'"
        ) from error
    return data_snapshot
