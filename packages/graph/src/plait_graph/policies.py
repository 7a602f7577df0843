"""Policies: what a join needs, and what becomes of a step that fails, takes long or runs often.

Frozen records, checked where they are written. Knows nothing of how they are carried out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, cast

from plait_graph.exceptions import BudgetExceeded, GraphSetupError

if TYPE_CHECKING:
    from plait_graph.cache import Cache
    from plait_graph.limits import Limit, WeighedLimit

__all__ = (
    'AttemptState',
    'Duration',
    'JoinPolicy',
    'LoopGuard',
    'Retry',
    'Share',
    'StepOptions',
    'StepPolicy',
)

Duration: TypeAlias = float | timedelta
"""A length of time; a number means seconds."""


def seconds_of(duration: Duration, what: str) -> float:
    """The seconds of a duration.

    Raises:
        GraphSetupError: It is not a time that can pass.
    """
    seconds: Any = duration.total_seconds() if isinstance(duration, timedelta) else duration
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds <= 0:
        raise GraphSetupError(f'{what}={duration!r} is not a time that can pass. Give seconds above 0, or a timedelta.')
    return float(seconds)


# Joins


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the branches or items of a fork, such as `Share(0.5)`.

    It refers to the branches of the join's parent fork if that is a broadcast, and to its items if it is a map, once
    the source is exhausted. So the parent is never the start, but by default the farthest fork behind it.

    Raises:
        GraphSetupError: It is not above 0 and at most 1.
    """

    part: float

    def __post_init__(self) -> None:
        if not isinstance(self.part, int | float) or isinstance(self.part, bool) or not 0 < self.part <= 1:  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(f'Share({self.part!r}) is not a part of a whole. Give a number above 0 and up to 1.')

    def of(self, total: int) -> int:
        """How many of a total it is, rounded up."""
        return math.ceil(self.part * total - 1e-9)  # 0.1 * 30 is a little more than 3


Need: TypeAlias = Literal['all', 'arrived'] | int | Share
Rest: TypeAlias = Literal['cancel', 'keep']
Failures: TypeAlias = Literal['raise', 'collect', 'ignore']


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPolicy:
    """What a join waits for, and what it does about the rest and about failures.

    Args:
        need: `'all'`: everything that can still come. A number: as many values, whichever come first. A `Share`: values
            from that part of the branches or items of the parent fork. `'arrived'`: whatever has come by the deadline.
            A need that can no longer be met makes the join raise `JoinUnsatisfied`.
        deadline: How long after the parent fork's run has begun the join stops waiting; a number means seconds. With
            `need='arrived'` it then goes on with what it has, otherwise it raises `JoinUnsatisfied`.
        rest: What becomes of what could still bring a value when the join goes on without it: `'cancel'` stops it,
            `'keep'` lets it run on, and drops its values.
        failures: What becomes of a branch that fails. `'raise'` passes the failure on to the next join outward, and
            then to the run. `'collect'` hands a `BranchFailure` to the reducer, `'ignore'` does without the branch; the
            failure counts for no need.

    Raises:
        GraphSetupError: The combination makes no sense.
    """

    need: Need = 'all'
    deadline: Duration | None = None
    rest: Rest = 'cancel'
    failures: Failures = 'raise'

    def __post_init__(self) -> None:
        _check_need(self.need)
        _check_word('rest', self.rest, ('cancel', 'keep'))
        _check_word('failures', self.failures, ('raise', 'collect', 'ignore'))
        if self.deadline is not None:
            seconds_of(self.deadline, 'deadline')
        elif self.need == 'arrived':
            raise GraphSetupError(
                "JoinPolicy(need='arrived') never goes on by itself: nothing says by when. Give deadline= as well."
            )
        elif self.need == 'all' and self.rest == 'keep':
            raise GraphSetupError(
                "JoinPolicy(need='all', rest='keep') has no rest to keep: it waits for all that can come. "
                'Give another need=, or a deadline=.'
            )

    @property
    def seconds(self) -> float | None:
        """The deadline in seconds."""
        return None if self.deadline is None else seconds_of(self.deadline, 'deadline')

    @property
    def fires_early(self) -> bool:
        """Whether the join may go on while something could still bring a value."""
        return self.need != 'all' or self.deadline is not None

    @property
    def need_in_words(self) -> str:
        """What the join waits for, as a message says it."""
        match self.need:
            case 'all' | 'arrived':
                return {'all': 'all', 'arrived': 'whatever has come'}[self.need]
            case Share(part=part):
                return f'{part:.0%} of the branches'
            case count:
                return f'any {count}'

    def describe(self) -> list[str]:
        """What differs from a join that waits for all, in words for the picture."""
        words = [] if self.need == 'all' else [self.need_in_words]
        if self.seconds is not None:
            words.append(f'within {_show_seconds(self.seconds)}')
        if self.rest == 'keep':
            words.append('the rest goes on')
        if self.failures != 'raise':
            words.append(f'{self.failures} failures')
        return words


def _check_need(need: Any) -> None:
    is_count = isinstance(need, int) and not isinstance(need, bool)
    if isinstance(need, Share) or need in ('all', 'arrived') or (is_count and need >= 1):
        return
    raise GraphSetupError(
        f'JoinPolicy(need={need!r}) is nothing that a join can wait for. '
        f"Give 'all', 'arrived', a number from 1 up, or a Share such as Share(0.5)."
    )


def _check_word(name: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise GraphSetupError(f'{name}={word!r} is unknown. Give one of {", ".join(map(repr, known))}.')


def _show_seconds(seconds: float) -> str:
    return f'{seconds:g} s'


# Steps


class AttemptState(Protocol):
    """What a strategy for waiting or stopping may ask: the part of tenacity's retry state that has a meaning here."""

    @property
    def attempt_number(self) -> int:
        """How many attempts there have been."""
        ...

    @property
    def outcome(self) -> Any:
        """The last attempt; `outcome.exception()` is what it raised."""
        ...

    @property
    def seconds_since_start(self) -> float:
        """How long ago the first attempt began."""
        ...

    @property
    def upcoming_sleep(self) -> float:
        """How long the wait before the next attempt would be."""
        ...


Wait: TypeAlias = Callable[[Any], float]
Stop: TypeAlias = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, after which errors, and after how long a step is tried again.

    An attempt that failed is told as a `StepRetried` event; the step keeps its place, its inputs and its
    `ctx.idempotency_key`, and `ctx.attempt` counts up.

    Args:
        attempts: How many attempts there are in all.
        on: The errors after which there is another attempt: a class, several, or a predicate. The default is all
            but `BudgetExceeded`, since what is spent stays spent.
        wait: Seconds before the next attempt, or a strategy: any of tenacity's `wait_...`, or a function of an
            `AttemptState`.
        stop: A strategy that ends it earlier: any of tenacity's `stop_...`, or a function of an `AttemptState`.

    Raises:
        GraphSetupError: There would be no attempt, `on` is no error, or a strategy cannot be called.
    """

    attempts: int = 3
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = Exception
    wait: float | Wait = 0
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(f'Retry(attempts={self.attempts!r}) is no number of attempts. Give 1 or more.')
        _check_errors(self.on)
        if not callable(self.wait) and not (isinstance(self.wait, int | float) and 0 <= self.wait < math.inf):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(f'Retry(wait={self.wait!r}) is neither seconds nor a strategy. Give one of them.')
        if self.stop is not None and not callable(self.stop):
            raise GraphSetupError(f'Retry(stop={self.stop!r}) cannot be called. Give one of tenacity.stop_... or None.')

    @classmethod
    def exponential(
        cls,
        attempts: int = 3,
        *,
        on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = Exception,
        initial: float = 0.5,
        maximum: float = 30,
        jitter: float = 1,
    ) -> Retry:
        """Attempts that wait twice as long each time, with a random time on top, so that callers do not come in step.

        Args:
            attempts: How many attempts there are in all.
            on: The errors after which there is another attempt.
            initial: Seconds before the second attempt.
            maximum: The most seconds before any attempt, without the random ones.
            jitter: The most seconds that are added at random.

        Raises:
            GraphSetupError: tenacity is not installed.
        """
        try:
            from tenacity import wait_exponential, wait_random
        except ImportError as error:
            raise GraphSetupError(
                "Retry.exponential uses tenacity, which is not installed. Install it: pip install 'plait-graph[retry]'"
            ) from error
        # Tenacity's wait_exponential_jitter has other names for its arguments in older releases than in newer ones.
        return cls(attempts, on, wait_exponential(multiplier=initial, max=maximum) + wait_random(0, jitter))

    @property
    def asks_for_time(self) -> bool:
        """Whether a strategy may ask how long ago the first attempt began."""
        return self.stop is not None or callable(self.wait)

    def applies_to(self, error: BaseException) -> bool:
        """Whether there may be another attempt after an error."""
        if not isinstance(error, Exception):
            return False
        if isinstance(error, BudgetExceeded) and self.on is Exception:
            return False  # what is spent stays spent
        on: Any = self.on
        return isinstance(error, on) if isinstance(on, type | tuple) else on(error)


def _check_errors(on: Any) -> None:
    for each in cast('tuple[Any, ...]', on) if isinstance(on, tuple) else (on,):
        is_error = issubclass(each, Exception) if isinstance(each, type) else callable(each)
        if not is_error:
            raise GraphSetupError(
                f'Retry(on={on!r}): {each!r} is no class of errors that can be tried again. '
                f'Give subclasses of Exception, or a predicate.'
            )


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """How often a step may be reached in a cycle, and where its input goes instead when that is over.

    Counted for each run of a fork, and in a map for each item.

    Args:
        limit: How often the step may be reached.
        then: A node that takes the step's input from then on: a step, join, decision or the end node. Without it the
            run fails with `LoopLimitReached`.

    Raises:
        GraphSetupError: The limit is below 1.
    """

    limit: int
    then: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(f'LoopGuard({self.limit!r}) lets the step never run. Give 1 or more.')


Worker: TypeAlias = Literal['thread', 'process']


class StepOptions(TypedDict, total=False):
    """The policies that `g.step(...)` takes as keywords; see `StepPolicy`."""

    retry: Retry | int | None
    timeout: Duration | None
    idle_timeout: Duration | None
    fallback: Any
    cache: Cache | None
    limit: Limit | WeighedLimit | str | None
    max_concurrency: int | None
    loop_guard: LoopGuard | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolicy:
    """What becomes of a step that fails, takes long or runs often.

    Args:
        retry: How often it is tried again; a number means so many attempts without a wait.
        timeout: How long one attempt may take; a number means seconds. It then fails with `StepTimeout`, when its
            body has ended.
        idle_timeout: How long an attempt may go without `ctx.emit`.
        fallback: A step or other node that takes the inputs when no attempt is left; a step without edges of its own
            leads where this step leads. `ctx.failure` is the error.
        cache: Where results are kept, so that a body need not run again.
        limit: A limit that is shared by name: a `Limit`, `limit.weighing(...)`, or the name of one.
        max_concurrency: How many bodies of this step may run at once in one run.
        loop_guard: How often the step may be reached in a cycle; a number means a `LoopGuard` without a way out.

    Raises:
        GraphSetupError: A value makes no sense.
    """

    retry: Retry | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    fallback: Any = None
    cache: Cache | None = None
    limit: Limit | WeighedLimit | str | None = None
    max_concurrency: int | None = None
    loop_guard: LoopGuard | None = None

    def describe(self) -> list[str]:
        """What the policy says, in words for the picture."""
        words: list[str] = []
        if self.retry is not None:
            words.append(f'up to {self.retry.attempts} attempts')
        if self.timeout is not None:
            words.append(f'within {_show_seconds(self.timeout)}')
        if self.idle_timeout is not None:
            words.append(f'silent for {_show_seconds(self.idle_timeout)} at most')
        if self.cache is not None:
            words.append('cached')
        if self.limit is not None:
            words.append(f'limit {self.limit_name}')
        if self.max_concurrency is not None:
            words.append(f'{self.max_concurrency} at once')
        if self.loop_guard is not None:
            words.append(f'{self.loop_guard.limit} times at most')
        return words

    @property
    def limit_name(self) -> str:
        """The name of the limit; empty if there is none."""
        limit: Any = self.limit
        return limit or '' if isinstance(limit, str | None) else getattr(limit, 'limit', limit).name
