"""What a run may use: its usage limits and its budget, asked before something is spent where that can be known."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from plait_agent.exceptions import UsageLimitExceeded, UserError

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import Model, ModelRequestParameters
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RunUsage, UsageLimits
    from plait_graph import Budget
    from plait_graph.budget import Reservation

_NOTHING: AbstractContextManager[None] = nullcontext()


class Spending:
    """Sees to the limits of one run.

    Limits by count hold for the `RunUsage` that the run counts into, which agents that call each other may share. Time
    and money, and whatever the budget of a caller bounds, are leaves of one tree of budgets.

    Args:
        usage: What the run counts into.
        limits: What that may come to.
        budget: What the run may spend: the leaf of its own, or that of whoever called it.
    """

    __slots__ = '_is_priced', 'budget', 'limits', 'usage'

    def __init__(self, usage: RunUsage, limits: UsageLimits, budget: Budget | None):
        self.usage = usage
        self.limits = limits
        self.budget = budget
        self._is_priced = False

    def before_request(
        self, model: Model, settings: ModelSettings | None
    ) -> AbstractContextManager[Reservation | None]:
        """See that a request may be made, and set it aside in the budget.

        Raises:
            UsageLimitExceeded: It may not.
            UserError: Money is bounded, and nobody knows what the model costs.
        """
        self.limits.check_before_request(self.usage)
        if self.budget is None:
            return _NOTHING
        if self.budget.remaining.money is not None and not self._is_priced:
            for each in getattr(model, 'models', (model,)):  # those that a FallbackModel may ask
                _check_price(each)
            self._is_priced = True
        return _reserve(self.budget, (settings or {}).get('max_tokens'))

    async def check_ahead(
        self,
        model: Model,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> None:
        """Let the model count the tokens of a request before it is made, if the limits ask for that.

        Raises:
            UsageLimitExceeded: They are too many.
        """
        if not self.limits.count_tokens_before_request:
            return
        counted = await model.count_tokens(messages, settings, parameters)
        self.limits.check_before_request(self.usage + counted)

    def before_tool_calls(self, count: int) -> None:
        """See that so many more tools may be called.

        Raises:
            UsageLimitExceeded: They may not.
        """
        if self.limits.tool_calls_limit is not None:
            projected = type(self.usage)() + self.usage
            projected.tool_calls += count
            self.limits.check_before_tool_call(projected)

    def after_response(self, response: ModelResponse, reservation: Reservation | None) -> None:
        """Count what a response has used.

        Raises:
            UsageLimitExceeded: It was more than what was left. It is counted all the same.
        """
        self.usage.requests += 1
        self.usage.incr(response.usage)
        if reservation is not None:
            self._charge(response, reservation)
        if self.limits.has_token_limits():
            self.limits.check_tokens(self.usage)

    def _charge(self, response: ModelResponse, reservation: Reservation) -> None:
        from plait_graph import BudgetExceeded

        money = self._price(response)
        try:
            reservation.spend(calls=1, tokens=response.usage.total_tokens, money=money)
        except BudgetExceeded as error:
            raise UsageLimitExceeded(str(error)) from error

    def _price(self, response: ModelResponse) -> Any:
        """What a response has cost, if somebody has set a bound to that."""
        if self.budget is None or self.budget.remaining.money is None:
            return None
        try:
            return response.cost().total_price
        except LookupError as error:
            raise _without_price(response.model_name) from error


def _check_price(model: Model) -> None:
    from datetime import UTC, datetime

    from plait_agent._prices import calculate_price
    from plait_agent.usage import RequestUsage

    try:
        calculate_price(RequestUsage(), model.model_name, model.system, model.base_url, datetime.now(tz=UTC))
    except LookupError as error:
        raise _without_price(model.model_name) from error


def _without_price(model_name: str | None) -> UserError:
    return UserError(
        f'The run has a bound on its cost, and the price of model {model_name!r} is not known. '
        f'Bound its tokens instead, with UsageLimits(total_tokens_limit=...) or a Budget without money.'
    )


def _reserve(budget: Budget, tokens: int | None) -> Reservation:
    from plait_graph import BudgetExceeded

    try:
        return budget.reserve(calls=1, tokens=tokens)
    except BudgetExceeded as error:
        raise UsageLimitExceeded(str(error)) from error


def budget_of_run(name: str, limits: UsageLimits, given: Budget | None, inherited: Budget | None) -> Budget | None:
    """The leaf of a run in the tree of budgets; none if nothing is bounded by time, money or a caller."""
    parent = given or inherited
    seconds = limits.deadline.total_seconds() if isinstance(limits.deadline, timedelta) else limits.deadline
    if parent is None and seconds is None and limits.cost_limit is None:
        return None
    from plait_graph import Budget

    return Budget(name=name, parent=parent, seconds=seconds, money=limits.cost_limit)
