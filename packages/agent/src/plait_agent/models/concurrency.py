"""A model that is asked by only so many at once, or only so often."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from plait_agent.models import Model, infer_model
from plait_agent.models._limited import LimitedModel
from plait_graph import Limit

if TYPE_CHECKING:
    from plait_agent.models import KnownModelName

__all__ = 'ConcurrencyLimitedModel', 'limit_model_concurrency'

_numbers = count(1)


class ConcurrencyLimitedModel(LimitedModel):
    """Holds a place of a limit during each request, for a stream until it is closed.

    The limit may be shared: with other models, and with everything else that names it. When a server answers that it
    is asked too much and says when to come again (Retry-After), nobody gets a place before that.

    Args:
        wrapped: The model, or its name.
        limiter: How many requests may be under way at once; or a limit, or the name of one that there is.

    Raises:
        GraphSetupError: The number is no number of places.
        GraphRuntimeError: There is no limit of that name.
    """

    def __init__(self, wrapped: Model | KnownModelName | str, limiter: int | str | Limit):
        model = infer_model(wrapped)
        super().__init__(model, _find_limit(model.model_name, limiter))


def limit_model_concurrency(model: Model | KnownModelName | str, limiter: int | str | Limit | None) -> Model:
    """Give a model that only so many ask at once; with `None` it is the model itself."""
    return infer_model(model) if limiter is None else ConcurrencyLimitedModel(model, limiter)


def _find_limit(model_name: str, limiter: int | str | Limit) -> Limit:
    if isinstance(limiter, Limit):
        return limiter
    if isinstance(limiter, str):
        return Limit.named(limiter)
    # Nobody else is to find it, so the name is only for people and is given free again.
    name = f'requests to {model_name}, model {next(_numbers)}'
    limit = Limit(name, in_flight=limiter)
    Limit.forget(name)
    return limit
