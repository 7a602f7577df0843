"""What models have used, and what a run may use."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

from typing_extensions import deprecated

from plait_agent._messages.schemas import EmptyForNone, with_older_names
from plait_agent._short_repr import short_repr
from plait_agent.exceptions import UsageLimitExceeded, UserError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema

__all__ = 'RequestUsage', 'RunUsage', 'Usage', 'UsageLimits'


@dataclass(repr=False, kw_only=True)
class UsageBase:
    """Tokens, as providers count them. It prints what is not zero."""

    input_tokens: int = 0
    """All tokens of the prompts, those of caches and recordings included."""
    cache_write_tokens: int = 0
    """Those that were written to a cache."""
    cache_read_tokens: int = 0
    """Those that were read from a cache."""
    output_tokens: int = 0
    """All tokens of the answers."""
    input_audio_tokens: int = 0
    """Those of the prompts that were sound."""
    cache_audio_read_tokens: int = 0
    """Those of them that were read from a cache."""
    output_audio_tokens: int = 0
    """Those of the answers that were sound."""
    details: Annotated[dict[str, int], EmptyForNone()] = field(default_factory=dict[str, int])
    """What else a provider has counted."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        older_names = {'input_tokens': 'request_tokens', 'output_tokens': 'response_tokens'}
        return with_older_names(handler(source), handler, older_names)

    @property
    def total_tokens(self) -> int:
        """The tokens of prompts and answers."""
        return self.input_tokens + self.output_tokens

    @property
    @deprecated('`request_tokens` is deprecated, use `input_tokens` instead')
    def request_tokens(self) -> int:
        """The former name of `input_tokens`."""
        return self.input_tokens

    @property
    @deprecated('`response_tokens` is deprecated, use `output_tokens` instead')
    def response_tokens(self) -> int:
        """The former name of `output_tokens`."""
        return self.output_tokens

    def has_values(self) -> bool:
        """Whether anything was counted."""
        return any(True for _ in _counted(self))

    def opentelemetry_attributes(self) -> dict[str, int]:
        """The counters that are not zero, by the names that they have in spans."""
        main = {'input_tokens': self.input_tokens, 'output_tokens': self.output_tokens}
        rest = {name: getattr(self, name) for name in _TOKENS if name not in main}
        attributes = {f'gen_ai.usage.{name}': count for name, count in main.items() if count}
        for name, count in (self.details | rest).items():
            if count:
                attributes[f'gen_ai.usage.details.{name}'] = count
        return attributes

    def __add__(self, other: RunUsage | RequestUsage) -> Self:
        if not isinstance(other, UsageBase):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            return NotImplemented
        total = copy(self)
        total.details = self.details.copy()
        total._count(other)
        return total

    def _count(self, other: UsageBase) -> None:
        """Add the tokens of another usage to this one."""
        self.input_tokens += other.input_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.output_tokens += other.output_tokens
        self.input_audio_tokens += other.input_audio_tokens
        self.cache_audio_read_tokens += other.cache_audio_read_tokens
        self.output_audio_tokens += other.output_audio_tokens
        for name, count in other.details.items():
            self.details[name] = self.details.get(name, 0) + count

    def __repr__(self) -> str:
        shown = (f'{name}={value!r}' for name, value in _counted(self))
        return f'{type(self).__qualname__}({", ".join(shown)})'


_TOKENS = tuple(each.name for each in fields(UsageBase) if each.name != 'details')
"""The names of the counters that all usages have."""


@dataclass(repr=False, kw_only=True)
class RequestUsage(UsageBase):
    """What one request has used."""

    @property
    def requests(self) -> int:
        """One, so that it can be counted like the usage of a run."""
        return 1

    def incr(self, incr_usage: RequestUsage) -> None:
        """Add the tokens of another request to this record itself; `+` makes a new one."""
        self._count(incr_usage)

    @classmethod
    def extract(
        cls,
        data: Any,
        *,
        provider: str,
        provider_url: str,
        provider_fallback: str,
        api_flavor: str = 'default',
        details: dict[str, Any] | None = None,
    ) -> RequestUsage:
        """Read the usage from a response with what genai-prices knows of providers. What it cannot read counts nothing.

        Args:
            data: The response, as the provider has sent it.
            provider: The name of the provider.
            provider_url: Its address, for a name that is not known.
            provider_fallback: A provider whose responses look alike, for an address that is not known either.
            api_flavor: Which of the provider's APIs was used, such as `'chat'` or `'responses'`.
            details: What else was counted.

        Raises:
            ImportError: genai-prices is not installed.
        """
        from plait_agent._prices import read_counters

        known = ({'provider_id': provider}, {'provider_api_url': provider_url}, {'provider_id': provider_fallback})
        counters = read_counters(data, known, api_flavor)
        return cls(**{name: counters[name] for name in _TOKENS if counters.get(name)}, details=details or {})


@dataclass(repr=False, kw_only=True)
class RunUsage(UsageBase):
    """What a run has used, or several that share it.

    `+` makes a new record. Adding a `RequestUsage` adds its tokens and counts no request.
    """

    requests: int = 0
    """How many requests were made."""
    tool_calls: int = 0
    """How many calls of tools have succeeded."""

    def incr(self, incr_usage: RunUsage | RequestUsage) -> None:
        """Add another usage to this record itself; `+` makes a new one."""
        self._count(incr_usage)

    def _count(self, other: UsageBase) -> None:
        super()._count(other)
        if isinstance(other, RunUsage):
            self.requests += other.requests
            self.tool_calls += other.tool_calls


@dataclass(repr=False, kw_only=True)
@deprecated('`Usage` is deprecated, use `RunUsage` instead')
class Usage(RunUsage):
    """The former name of `RunUsage`."""


@dataclass(init=False, repr=False, kw_only=True)
class UsageLimits:
    """What a run may use. `None` is no limit, and 0 allows nothing.

    Args:
        request_limit: How many requests may be made.
        tool_calls_limit: How many calls of tools may succeed. The calls of one response run together or not at all.
        input_tokens_limit: How many tokens the prompts may have.
        output_tokens_limit: How many tokens the answers may have.
        total_tokens_limit: How many tokens they may have together.
        count_tokens_before_request: Whether the model is to count the tokens of a prompt before it is sent.
        cost_limit: How much money may be spent, in the currency of genai-prices, US dollars. A run that cannot know
            what its model costs says so before the first request.
        deadline: How long the run may take; a number means seconds.
        repeated_calls_limit: In how many rounds in a row the model may call a tool with the same arguments and get the
            same result. Then it is told so; if the next round brings the same again, the run ends with the latest text
            of the model if text can be the output, and else fails.
        request_tokens_limit: The former name of `input_tokens_limit`.
        response_tokens_limit: The former name of `output_tokens_limit`.

    Raises:
        UserError: The cost, the deadline or the number of repetitions is none.
    """

    request_limit: int | None = 50
    tool_calls_limit: int | None = None
    input_tokens_limit: int | None = None
    output_tokens_limit: int | None = None
    total_tokens_limit: int | None = None
    count_tokens_before_request: bool = False
    cost_limit: Decimal | float | None = None
    deadline: timedelta | float | None = None
    repeated_calls_limit: int | None = None

    def __init__(
        self,
        *,
        request_limit: int | None = 50,
        tool_calls_limit: int | None = None,
        input_tokens_limit: int | None = None,
        output_tokens_limit: int | None = None,
        total_tokens_limit: int | None = None,
        count_tokens_before_request: bool = False,
        cost_limit: Decimal | float | None = None,
        deadline: timedelta | float | None = None,
        repeated_calls_limit: int | None = None,
        request_tokens_limit: int | None = None,
        response_tokens_limit: int | None = None,
    ):
        self.request_limit = request_limit
        self.tool_calls_limit = tool_calls_limit
        self.input_tokens_limit = request_tokens_limit if input_tokens_limit is None else input_tokens_limit
        self.output_tokens_limit = response_tokens_limit if output_tokens_limit is None else output_tokens_limit
        self.total_tokens_limit = total_tokens_limit
        self.count_tokens_before_request = count_tokens_before_request
        self.cost_limit = cost_limit
        self.deadline = deadline
        self.repeated_calls_limit = repeated_calls_limit
        _check_cost(cost_limit)
        _check_deadline(deadline)
        _check_repeated(repeated_calls_limit)

    @property
    @deprecated('`request_tokens_limit` is deprecated, use `input_tokens_limit` instead')
    def request_tokens_limit(self) -> int | None:
        """The former name of `input_tokens_limit`."""
        return self.input_tokens_limit

    @property
    @deprecated('`response_tokens_limit` is deprecated, use `output_tokens_limit` instead')
    def response_tokens_limit(self) -> int | None:
        """The former name of `output_tokens_limit`."""
        return self.output_tokens_limit

    def has_token_limits(self) -> bool:
        """Whether any number of tokens is limited."""
        return (
            self.input_tokens_limit is not None
            or self.output_tokens_limit is not None
            or self.total_tokens_limit is not None
        )

    def check_before_request(self, usage: RunUsage) -> None:
        """See that one more request may be made.

        Args:
            usage: What was used so far, with the tokens of the prompt if these have been counted.

        Raises:
            UsageLimitExceeded: It may not.
        """
        start = 'The next request would exceed the'
        if self.request_limit is not None and usage.requests >= self.request_limit:
            raise UsageLimitExceeded(f'{start} request_limit of {self.request_limit}')
        _check_tokens(start, 'input_tokens', usage.input_tokens, self.input_tokens_limit)
        _check_tokens(start, 'total_tokens', usage.total_tokens, self.total_tokens_limit)

    def check_tokens(self, usage: RunUsage) -> None:
        """See that no more tokens were used than there might be.

        Raises:
            UsageLimitExceeded: More were used.
        """
        if not self.has_token_limits():
            return
        _check_tokens('Exceeded the', 'input_tokens', usage.input_tokens, self.input_tokens_limit)
        _check_tokens('Exceeded the', 'output_tokens', usage.output_tokens, self.output_tokens_limit)
        _check_tokens('Exceeded the', 'total_tokens', usage.total_tokens, self.total_tokens_limit)

    def check_before_tool_call(self, projected_usage: RunUsage) -> None:
        """See that the calls that are about to be made may be made.

        Args:
            projected_usage: What was used so far, these calls included.

        Raises:
            UsageLimitExceeded: They may not.
        """
        limit, calls = self.tool_calls_limit, projected_usage.tool_calls
        if limit is not None and calls > limit:
            raise UsageLimitExceeded(
                f'The next tool call(s) would exceed the tool_calls_limit of {limit} (tool_calls={calls}).'
            )

    __repr__ = short_repr


def _counted(usage: UsageBase) -> Iterator[tuple[str, Any]]:
    """The fields of a usage that are not zero or empty."""
    for each in fields(usage):
        value = getattr(usage, each.name)
        if value:
            yield each.name, value


def _check_tokens(start: str, name: str, count: int, limit: int | None) -> None:
    if limit is not None and count > limit:
        raise UsageLimitExceeded(f'{start} {name}_limit of {limit} ({name}={count})')


def _check_cost(cost: Decimal | float | None) -> None:
    if cost is not None and not cost >= 0:
        raise UserError(
            f'UsageLimits(cost_limit={cost!r}) is no amount of money. Give 0 or more, or None for no limit.'
        )


def _check_deadline(deadline: timedelta | float | None) -> None:
    seconds = deadline.total_seconds() if isinstance(deadline, timedelta) else deadline
    if seconds is not None and not seconds > 0:
        raise UserError(
            f'UsageLimits(deadline={deadline!r}) is not a time that can pass. Give seconds above 0, or a timedelta.'
        )


def _check_repeated(limit: int | None) -> None:
    if limit is not None and limit < 2:
        raise UserError(
            f'UsageLimits(repeated_calls_limit={limit!r}) would stop tools that repeat nothing. '
            f'Give 2 or more, or None for no limit.'
        )
