"""A model that is asked only so often in a minute, and for only so many tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait_agent.messages import ModelResponse
from plait_agent.models._estimates import count_request_part, count_response_part, count_text
from plait_agent.models._limited import LimitedModel
from plait_agent.settings import merge_model_settings
from plait_graph import Limit

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage
    from plait_agent.models import KnownModelName, Model
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RequestUsage

__all__ = ('RateLimitedModel',)

_SECONDS = 60


class RateLimitedModel(LimitedModel):
    """Waits with each request until a rate allows it. The rate has a name, and all models of that name share it.

    Requests are spread over the minute, and the tokens of a minute may be used at once after a rest. How many tokens a
    request will have is estimated before it: what the last answer of the history has used in all, what has come since,
    and `max_tokens` if that is set. When it is answered, the account is put right. A request that is larger than a
    whole minute allows goes out when a whole minute's tokens are there.

    When a server answers that it is asked too much and says when to come again (Retry-After), nobody who shares the
    rate asks before that.

    Args:
        wrapped: The model, or its name.
        name: What the rate is called, as in `'openai, team account'`; or a `plait_graph.Limit`, whose
            `units_per_minute` are then tokens.
        requests_per_minute: How many requests may begin in a minute. With neither figure, the rate of that name is
            taken that somebody else has made.
        tokens_per_minute: How many tokens the requests and answers of a minute may have.

    Raises:
        GraphSetupError: A figure is not positive, or the name has other figures.
        GraphRuntimeError: No figure is given, and there is no rate of that name.
    """

    def __init__(
        self,
        wrapped: Model | KnownModelName | str,
        name: str | Limit,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ):
        super().__init__(wrapped, _find_limit(name, requests_per_minute, tokens_per_minute))

    def _weigh(self, messages: list[ModelMessage], model_settings: ModelSettings | None) -> float:
        allowed = self.limit.units_per_minute
        if allowed is None:
            return 1
        settings = merge_model_settings(self.wrapped.settings, model_settings) or {}
        # A limit refuses what it could never allow.
        return min(estimate_tokens(messages) + (settings.get('max_tokens') or 0), max(1, allowed))

    def _used(self, usage: RequestUsage) -> float | None:
        # A stream that was left early may not have told.
        return usage.total_tokens or None


def estimate_tokens(messages: list[ModelMessage]) -> int:
    """About how many tokens a request has, at a cost that does not grow with the history.

    The last answer with a count has counted everything before it.
    """
    tokens = 0
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            if message.usage.total_tokens:
                return tokens + message.usage.total_tokens
            tokens += sum(map(count_response_part, message.parts))
        else:
            tokens += count_text(message.instructions or '') + sum(map(count_request_part, message.parts))
    return tokens


def _find_limit(name: str | Limit, requests_per_minute: float | None, tokens_per_minute: float | None) -> Limit:
    if isinstance(name, Limit):
        return name
    if requests_per_minute is None and tokens_per_minute is None:
        return Limit.named(name)
    # What is no number is refused by the limit.
    per_second = requests_per_minute / _SECONDS if isinstance(requests_per_minute, int | float) else requests_per_minute
    return Limit(name, per_second=per_second, units_per_minute=tokens_per_minute)
