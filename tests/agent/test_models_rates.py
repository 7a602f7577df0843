"""Models that are asked only so often, and models that are left alone when they fail."""

import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from plait_agent import Agent
from plait_agent.exceptions import (
    CircuitOpen,
    ModelAPIError,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UserError,
)
from plait_agent.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from plait_agent.models import Model, ModelRequestParameters
from plait_agent.models.circuit_breaker import CircuitBreaker, CircuitBreakerModel, is_failure_of_server
from plait_agent.models.fallback import FallbackModel
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.rate_limit import RateLimitedModel
from plait_agent.models.test import TestModel
from plait_agent.settings import ModelSettings
from plait_agent.usage import RequestUsage
from plait_graph import GraphRuntimeError, GraphSetupError, Limit

QUESTION: list[ModelMessage] = [ModelRequest.user_text_prompt('one two three')]
PLAIN = ModelRequestParameters()


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock; the names that tests use are free afterwards."""
    yield Clock()
    Limit.forget('rate')
    CircuitBreaker.forget('server')


class Scripted:
    """A model that answers, or raises, as a list says, and remembers how often it was asked."""

    def __init__(self, *ends: Exception | None, used: int = 40):
        self.ends = list(ends)
        self.used = used
        self.asked = 0
        self.model = FunctionModel(self.answer, stream_function=self.stream, model_name='scripted')

    def _end(self) -> None:
        self.asked += 1
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self._end()
        return ModelResponse([TextPart('ok')], usage=RequestUsage(input_tokens=self.used - 5, output_tokens=5))

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'ok'
        self._end()


async def ask(model: Model, settings: ModelSettings | None = None) -> None:
    """Ask for a whole answer."""
    await model.request(QUESTION, settings, PLAIN)


async def ask_streaming(model: Model) -> None:
    """Ask for a stream, and read it."""
    async with model.request_stream(QUESTION, None, PLAIN) as stream:
        async for _ in stream:
            pass


both_ways = pytest.mark.parametrize('ask_it', [ask, ask_streaming])


# Rates


def units_left(limit: Limit) -> float:
    """The tokens that may be used now."""
    left = limit.statistics().units_left
    assert left is not None
    return left


async def test_an_answer_puts_the_estimate_right(clock: Clock) -> None:
    """What a request has really used is what the minute has less."""
    model = RateLimitedModel(Scripted(used=400).model, Limit('rate', units_per_minute=1000, clock=clock))

    await ask(model, ModelSettings(max_tokens=900))

    assert units_left(model.limit) == 600


async def test_a_stream_puts_the_estimate_right(clock: Clock) -> None:
    """A stream has told what it used when it is closed."""
    model = RateLimitedModel(Scripted().model, Limit('rate', units_per_minute=1000, clock=clock))

    async with model.request_stream(QUESTION, ModelSettings(max_tokens=700), PLAIN) as stream:
        assert units_left(model.limit) == 1000 - 700 - 3
        async for _ in stream:
            pass
        used = stream.usage().total_tokens

    assert units_left(model.limit) == 1000 - used


async def test_a_request_that_fails_is_charged_as_it_was_estimated(clock: Clock) -> None:
    """Nobody has said that it cost nothing."""
    model = RateLimitedModel(
        Scripted(ModelAPIError('m', 'gone')).model, Limit('rate', units_per_minute=1000, clock=clock)
    )

    with pytest.raises(ModelAPIError):
        await ask(model)

    assert units_left(model.limit) == 1000 - 3


async def test_a_history_is_weighed_by_its_last_answer(clock: Clock) -> None:
    """What an answer has counted is not counted again, so the cost of weighing does not grow with the history."""
    told = ModelResponse([TextPart('x ' * 999)], usage=RequestUsage(input_tokens=200, output_tokens=100))
    history = [ModelRequest.user_text_prompt('x ' * 999), told, ModelRequest.user_text_prompt('one two three')]
    model = RateLimitedModel(Scripted().model, Limit('rate', units_per_minute=1000, clock=clock))

    async with model.request_stream(history, None, PLAIN):
        assert units_left(model.limit) == 1000 - 200 - 100 - 3


async def test_a_request_larger_than_a_minute_goes_out_when_a_minute_is_there(clock: Clock) -> None:
    """It is not refused; those that come after it wait until the account is even."""
    model = RateLimitedModel(Scripted(used=150).model, Limit('rate', units_per_minute=100, clock=clock))

    await ask(model, ModelSettings(max_tokens=5000))

    assert units_left(model.limit) == -50
    ticket = model.limit.ask()
    assert ticket.delay() == pytest.approx(60 * 51 / 100)
    ticket.withdraw()


async def test_requests_are_spread_over_the_minute(clock: Clock) -> None:
    """Thirty in a minute are one each two seconds, for all who share the name."""
    limit = Limit('rate', per_second=30 / 60, clock=clock)
    first, second = RateLimitedModel('test', 'rate', requests_per_minute=30), RateLimitedModel('test', 'rate')

    await ask(first)

    assert first.limit == second.limit == limit
    ticket = second.limit.ask()
    assert ticket.delay() == pytest.approx(2)
    ticket.withdraw()


async def test_agents_of_one_name_wait_for_one_another(clock: Clock) -> None:
    """The second agent's request goes out when the first one has turned out to need less."""
    limit = Limit('rate', units_per_minute=60, clock=clock)
    scripted = Scripted(used=5)
    agent = Agent(RateLimitedModel(scripted.model, 'rate'))

    held = RateLimitedModel('test', limit).request_stream(QUESTION, ModelSettings(max_tokens=60), PLAIN)

    async with anyio.create_task_group() as group, held:
        group.start_soon(agent.run, 'Hello')
        await anyio.wait_all_tasks_blocked()
        assert (scripted.asked, limit.statistics().waiting) == (0, 1)

    assert scripted.asked == 1


@both_ways
async def test_a_busy_server_pauses_the_rate(ask_it: Callable[[Model], Any], clock: Clock) -> None:
    """Retry-After holds for all who share the rate."""
    busy = ModelHTTPError(529, 'm')
    busy.__cause__ = Exception()
    busy.__cause__.response = type('Response', (), {'headers': {'retry-after': '7.5'}})  # type: ignore[attr-defined]
    model = RateLimitedModel(Scripted(busy).model, Limit('rate', per_second=1, clock=clock))

    with pytest.raises(ModelHTTPError):
        await ask_it(model)

    assert model.limit.statistics().paused_for == 7.5


@pytest.mark.parametrize('figures', [{'requests_per_minute': 0}, {'tokens_per_minute': -1}, {'tokens_per_minute': 'x'}])
def test_a_rate_without_a_meaning_is_refused(figures: dict[str, Any]) -> None:
    """Figures are above zero."""
    with pytest.raises(GraphSetupError, match='above 0'):
        RateLimitedModel('test', 'bad rate', **figures)


def test_an_unknown_rate_is_refused() -> None:
    """Without figures somebody must have made it."""
    with pytest.raises(GraphRuntimeError, match='nobody made this'):
        RateLimitedModel('test', 'nobody made this')


# Breakers

DOWN = ModelHTTPError(503, 'm')
WRONG = ModelHTTPError(400, 'm')


async def fail(model: Model, ask_it: Callable[[Model], Any] = ask, times: int = 1) -> list[str]:
    """Ask, and give the kinds of errors that came."""
    kinds: list[str] = []
    for _ in range(times):
        with pytest.raises((ModelAPIError, UnexpectedModelBehavior, LookupError)) as caught:
            await ask_it(model)
        kinds.append(type(caught.value).__name__)
    return kinds


def breaker(clock: Clock, **figures: Any) -> CircuitBreaker:
    """A breaker that opens at the second failure within ten seconds, and rests for thirty."""
    return CircuitBreaker('server', clock=clock, **{'failures': 2, 'window': 10, 'rest': 30, **figures})


@both_ways
async def test_a_server_that_fails_is_left_alone(ask_it: Callable[[Model], Any], clock: Clock) -> None:
    """After the last failure that is allowed the server is not asked, and the error says by when."""
    scripted = Scripted(DOWN, DOWN)
    model = CircuitBreakerModel(scripted.model, breaker(clock))

    assert await fail(model, ask_it, 3) == ['ModelHTTPError', 'ModelHTTPError', 'CircuitOpen']

    assert scripted.asked == 2
    clock.seconds = 10
    with pytest.raises(CircuitOpen, match=r"'server' is open.*Ask again in 20 seconds") as caught:
        await ask_it(model)
    assert caught.value.retry_in == 20


@both_ways
async def test_a_probe_that_succeeds_closes(ask_it: Callable[[Model], Any], clock: Clock) -> None:
    """After the rest one request is let through, and if it is answered all are."""
    model = CircuitBreakerModel(Scripted(DOWN, DOWN).model, breaker(clock))
    await fail(model, ask_it, 2)
    assert model.breaker.state == 'open'

    clock.seconds = 30
    assert model.breaker.state == 'half-open'
    await ask_it(model)

    assert model.breaker.state == 'closed'


async def test_a_probe_that_fails_opens_again(clock: Clock) -> None:
    """The rest begins anew."""
    model = CircuitBreakerModel(Scripted(DOWN, DOWN, DOWN).model, breaker(clock))
    await fail(model, times=2)
    clock.seconds = 30

    assert await fail(model, times=2) == ['ModelHTTPError', 'CircuitOpen']

    clock.seconds = 59
    assert model.breaker.state == 'open'


async def test_only_one_tries(clock: Clock) -> None:
    """While the probe is under way the others are refused; if it is cancelled, another may try."""
    model = CircuitBreakerModel(Scripted(DOWN, DOWN).model, breaker(clock))
    await fail(model, times=2)
    clock.seconds = 30

    with anyio.CancelScope() as scope, model.breaker.guard('m'):
        with pytest.raises(CircuitOpen, match='when the request that tries it now has ended'):
            await ask(model)
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    assert model.breaker.state == 'half-open'
    await ask(model)
    assert model.breaker.state == 'closed'


async def test_failures_that_are_far_apart_do_not_add_up(clock: Clock) -> None:
    """Only those within the window count."""
    model = CircuitBreakerModel(Scripted(DOWN, DOWN, DOWN).model, breaker(clock))
    for seconds in 0, 11, 22:
        clock.seconds = seconds
        await fail(model)

    assert model.breaker.state == 'closed'


async def test_errors_of_the_request_do_not_count(clock: Clock) -> None:
    """A server that refuses what is wrong is well, also when it is tried."""
    model = CircuitBreakerModel(Scripted(WRONG, WRONG, WRONG, DOWN, DOWN, WRONG).model, breaker(clock))
    await fail(model, times=5)
    clock.seconds = 30

    await fail(model)

    assert model.breaker.state == 'closed'


async def test_old_news_change_nothing(clock: Clock) -> None:
    """A request that began before the breaker opened neither closes it nor makes it rest longer."""
    shared = breaker(clock)
    with ExitStack() as slow_ones:
        slow_ones.enter_context(suppress(ModelHTTPError))
        slow_ones.enter_context(shared.guard('m'))
        with shared.guard('m'):
            await fail(CircuitBreakerModel(Scripted(DOWN, DOWN).model, shared), times=2)
        assert shared.state == 'open'
        clock.seconds = 20
        raise DOWN

    clock.seconds = 30
    assert shared.state == 'half-open'


async def test_a_fallback_goes_on_when_it_is_open(clock: Clock) -> None:
    """The error is one on which the next model is asked, streamed or not."""
    scripted = Scripted(DOWN, DOWN)
    model = FallbackModel(CircuitBreakerModel(scripted.model, breaker(clock)), TestModel(custom_output_text='plan B'))
    outputs = [(await Agent(model).run('Hello')).output for _ in range(3)]
    async with Agent(model).run_stream('Hello') as streamed:
        outputs.append(await streamed.get_output())

    assert outputs == ['plan B'] * 4
    assert scripted.asked == 2


def test_agents_share_a_breaker_by_its_name(clock: Clock) -> None:
    """The name stands for one breaker, and a copy is the same one."""
    first = breaker(clock)
    second = CircuitBreakerModel('test', 'server').breaker

    assert first == second == breaker(clock) == pickle.loads(pickle.dumps(first))
    assert len({first, second}) == 1
    assert repr(first) == "CircuitBreaker('server', failures=2, window=10, rest=30: closed)"


@pytest.mark.parametrize(
    ('error', 'counts'),
    [
        (ModelHTTPError(500, 'm'), True),
        (ModelHTTPError(429, 'm'), True),
        (ModelHTTPError(404, 'm'), False),
        (ModelAPIError('m', 'gone'), True),
        (CircuitOpen('m', 'other', 3), False),
        (UnexpectedModelBehavior('what?'), False),
        (ValueError(), False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_counts_as_failure(error: Exception, counts: bool) -> None:
    """What says something of the server does."""
    assert is_failure_of_server(error) is counts


async def test_what_counts_can_be_said(clock: Clock) -> None:
    """A function says which errors are failures."""
    model = CircuitBreakerModel(
        Scripted(LookupError(), LookupError()).model,
        breaker(clock),
        is_failure=lambda error: isinstance(error, LookupError),
    )

    assert await fail(model, times=3) == ['LookupError', 'LookupError', 'CircuitOpen']


@pytest.mark.parametrize(
    ('name', 'figures', 'told'),
    [
        ('', {}, 'not empty'),
        ('bad', {'failures': 0}, 'whole number'),
        ('bad', {'failures': 1.5}, 'whole number'),
        ('bad', {'window': 0}, 'window=0'),
        ('bad', {'rest': 'x'}, "rest='x'"),
    ],
)
def test_a_breaker_without_a_meaning_is_refused(name: str, figures: dict[str, Any], told: str) -> None:
    """Names are texts, figures are numbers above zero."""
    with pytest.raises(UserError, match=told):
        CircuitBreaker(name, **figures)


def test_one_name_has_one_set_of_figures(clock: Clock) -> None:
    """Other figures or another clock under the same name are a mistake, and so is a name that nobody has made."""
    breaker(clock)

    with pytest.raises(UserError, match=r'was made with failures=2.*asked for with failures=3'):
        breaker(clock, failures=3)
    with pytest.raises(UserError, match='was made with clock='):
        breaker(Clock())
    with pytest.raises(UserError, match=r"No circuit breaker is named 'sever'; there are \['server'\]"):
        CircuitBreakerModel('test', 'sever')


def test_an_open_circuit_survives_pickling() -> None:
    """The error comes through a process boundary as it was."""
    error = pickle.loads(pickle.dumps(CircuitOpen('m', 'server', 12.34)))

    assert (error.model_name, error.breaker_name, error.retry_in) == ('m', 'server', 12.34)
    assert 'in 12.3 seconds' in str(error)
