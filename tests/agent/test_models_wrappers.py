"""Models around models: wrappers, fallbacks and limits."""

import copy
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from plait_agent._retry_after import find_retry_after
from plait_agent.exceptions import FallbackExceptionGroup, ModelAPIError, ModelHTTPError
from plait_agent.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse
from plait_agent.models.concurrency import ConcurrencyLimitedModel, limit_model_concurrency
from plait_agent.models.fallback import FallbackModel
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.test import TestModel
from plait_agent.models.wrapper import WrapperModel
from plait_agent.profiles import ModelProfile
from plait_agent.settings import ModelSettings
from plait_graph import GraphRuntimeError, GraphSetupError, Limit

QUESTION: list[ModelMessage] = [ModelRequest.user_text_prompt('hello')]
PLAIN = ModelRequestParameters()
BUSY = ModelHTTPError(429, 'busy')


def failing(error: Exception, name: str = 'failing') -> FunctionModel:
    """A model that raises, streamed or not, before it says anything."""

    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise error

    async def fail_streaming(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise error
        yield ''

    return FunctionModel(fail, stream_function=fail_streaming, model_name=name)


def saying(text: str, name: str = 'saying') -> TestModel:
    """A model that says a text."""
    return TestModel(custom_output_text=text, model_name=name)


class Entered(WrapperModel):
    """A model that notes when it is entered and left."""

    def __init__(self, name: str, log: list[str], *, refuses: bool = False):
        super().__init__(saying('x', name))
        self.log = log
        self.refuses = refuses

    async def __aenter__(self) -> 'Entered':
        if self.refuses:
            raise ConnectionError(self.model_name)
        self.log.append(f'+{self.model_name}')
        return self

    async def __aexit__(self, *error: object) -> None:
        self.log.append(f'-{self.model_name}')


async def ask(model: Model, settings: ModelSettings | None = None) -> str | None:
    """The text of an answer."""
    return (await model.request(QUESTION, settings, PLAIN)).text


async def ask_streaming(model: Model) -> str | None:
    """The text of an answer that was streamed."""
    async with model.request_stream(QUESTION, None, PLAIN) as stream:
        async for _ in stream:
            pass
        return stream.get().text


both_ways = pytest.mark.parametrize('ask_it', [ask, ask_streaming])


@both_ways
async def test_a_wrapper_passes_everything_on(ask_it: Callable[[Model], Any]) -> None:
    """A wrapper is to the outside what its model is."""
    inner = TestModel(custom_output_text='hi', settings=ModelSettings(seed=1), profile=ModelProfile())
    model = WrapperModel(inner)

    assert await ask_it(model) == 'hi'
    assert (model.model_name, model.system, model.label, model.base_url) == ('test', 'test', 'Test', None)
    assert (model.settings, model.profile) == (inner.settings, inner.profile)
    assert model.prepare_request(None, PLAIN) == ({'seed': 1}, PLAIN)
    assert model.customize_request_parameters(PLAIN) is PLAIN


async def test_a_wrapper_lets_its_model_count() -> None:
    """A model that cannot count says so by its own name."""
    with pytest.raises(NotImplementedError, match=r'TestModel'):
        await WrapperModel(TestModel()).count_tokens(QUESTION, None, PLAIN)


def test_a_wrapper_has_the_attributes_of_its_model() -> None:
    """What the wrapper does not have is looked for in its model, also in copies of it."""
    model = WrapperModel(TestModel(seed=3))

    assert copy.copy(model).seed == 3
    assert pickle.loads(pickle.dumps(model)).seed == 3
    with pytest.raises(AttributeError):
        _ = model.nothing


def test_a_wrapper_takes_a_name() -> None:
    """A model can be given by its name, and is printed."""
    assert repr(WrapperModel('test')) == f'WrapperModel(wrapped={TestModel()!r})'


async def test_a_wrapper_enters_its_model() -> None:
    """Entering the wrapper enters the model, and leaving leaves it."""
    log: list[str] = []
    async with WrapperModel(Entered('a', log)) as model:
        assert isinstance(model, WrapperModel)
        assert log == ['+a']

    assert log == ['+a', '-a']


@both_ways
async def test_the_next_model_is_asked_when_one_fails(ask_it: Callable[[Model], Any]) -> None:
    """Models are asked in turn until one answers."""
    unavailable = failing(ModelAPIError('a', 'unavailable'))

    assert await ask_it(FallbackModel(unavailable, failing(BUSY), saying('third'), saying('fourth'))) == 'third'


@both_ways
async def test_all_failures_are_raised_together(ask_it: Callable[[Model], Any]) -> None:
    """If no model answers, the group has the error of each."""
    first, second = ModelAPIError('a', 'first'), ModelHTTPError(500, 'b')

    with pytest.raises(FallbackExceptionGroup) as caught:
        await ask_it(FallbackModel(failing(first), failing(second)))

    assert caught.value.message == 'All models from FallbackModel failed'
    assert caught.value.exceptions == (first, second)


@both_ways
@pytest.mark.parametrize(
    ('fallback_on', 'falls_back'),
    [
        ((ModelAPIError,), False),
        ((KeyError, ModelAPIError), True),
        (LookupError, True),
        (lambda error: error.args == ('gone',), True),
        (lambda error: False, False),
    ],
)
async def test_one_says_on_which_errors_the_next_model_is_asked(
    ask_it: Callable[[Model], Any], fallback_on: Any, falls_back: bool
) -> None:
    """Types of errors, or a function of the error; all other errors pass through."""
    model = FallbackModel(failing(KeyError('gone')), saying('hi'), fallback_on=fallback_on)

    if falls_back:
        assert await ask_it(model) == 'hi'
        return
    with pytest.raises(KeyError):
        await ask_it(model)


async def test_a_stream_that_has_begun_is_not_changed_for_another() -> None:
    """After its first event the error of a stream passes through, and what has come stands."""

    async def break_off(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'so far'
        raise BUSY

    model = FallbackModel(FunctionModel(stream_function=break_off), saying('never'))
    async with model.request_stream(QUESTION, None, PLAIN) as stream:
        with pytest.raises(ModelHTTPError):
            [event async for event in stream]

        assert stream.get().text == 'so far'


async def test_a_stream_that_failed_is_closed_before_the_next_model_is_asked() -> None:
    """The connection of a model that failed is given back first."""
    log: list[str] = []

    class Logging(WrapperModel):
        @asynccontextmanager
        async def request_stream(self, *args: Any) -> AsyncGenerator[StreamedResponse]:
            log.append(f'open {self.model_name}')
            async with super().request_stream(*args) as stream:
                yield stream
            log.append(f'close {self.model_name}')

    await ask_streaming(FallbackModel(Logging(failing(BUSY, 'a')), Logging(saying('hi', 'b'))))

    assert log == ['open a', 'close a', 'open b', 'close b']


async def test_each_model_goes_by_its_own_settings() -> None:
    """The settings of a request are laid over those of the model that is asked."""
    told: list[Any] = []

    def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(info.model_settings)
        return ModelResponse([TextPart('hi')])

    model = FallbackModel(failing(BUSY), FunctionModel(note, settings=ModelSettings(seed=2)))
    await ask(model, ModelSettings(temperature=1))

    assert told == [{'seed': 2, 'temperature': 1}]
    assert model.prepare_request(None, PLAIN) == (None, PLAIN)
    assert model.customize_request_parameters(PLAIN) is PLAIN


def test_a_fallback_is_named_after_its_models() -> None:
    """Names and providers are those of all, the URL is that of the first; names are models too."""
    model = FallbackModel('test', saying('x', 'b'))

    assert (model.model_name, model.system, model.base_url) == ('fallback:test,b', 'fallback:test,test', None)
    assert repr(FallbackModel('test')) == f'FallbackModel(models=[{TestModel()!r}])'


def test_a_fallback_has_no_profile() -> None:
    """Which model will answer is not known before."""
    with pytest.raises(NotImplementedError, match=r'^FallbackModel does not have its own model profile\.$'):
        _ = FallbackModel('test').profile


@pytest.mark.parametrize(
    ('first', 'second', 'both'),
    [
        (ModelProfile(), ModelProfile(), ModelProfile()),
        (ModelProfile(supports_image_output=True), ModelProfile(), ModelProfile()),
        (
            ModelProfile(supports_json_schema_output=True, default_structured_output_mode='native'),
            ModelProfile(supports_json_schema_output=True, default_structured_output_mode='native'),
            ModelProfile(supports_json_schema_output=True, default_structured_output_mode='native'),
        ),
        (ModelProfile(default_structured_output_mode='native'), ModelProfile(), ModelProfile()),
        (
            ModelProfile(supports_tools=False, default_structured_output_mode='prompted'),
            ModelProfile(),
            ModelProfile(supports_tools=False, default_structured_output_mode='prompted'),
        ),
    ],
)
def test_a_run_can_count_on_what_all_models_can_do(
    first: ModelProfile, second: ModelProfile, both: ModelProfile
) -> None:
    """Output is asked for in a way that every model understands, since any of them may have to answer."""
    model = FallbackModel(TestModel(profile=first), WrapperModel(TestModel(profile=second)))

    assert model.output_profile == both


async def test_the_first_model_counts() -> None:
    """Tokens are counted by the model that is asked first."""
    with pytest.raises(NotImplementedError, match=r'FunctionModel'):
        await FallbackModel(failing(BUSY), TestModel()).count_tokens(QUESTION, None, PLAIN)


async def test_all_models_are_entered_and_left() -> None:
    """Entering a fallback enters every model, and leaving it leaves them in reverse."""
    log: list[str] = []
    async with FallbackModel(Entered('a', log), Entered('b', log)):
        log.append('in')

    assert log == ['+a', '+b', 'in', '-b', '-a']


async def test_models_that_were_entered_are_left_if_another_cannot_be() -> None:
    """A model that fails to open does not leave the others open."""
    log: list[str] = []
    with pytest.raises(ConnectionError, match=r'b'):
        async with FallbackModel(Entered('a', log), Entered('b', log, refuses=True)):
            pass

    assert log == ['+a', '-a']


class Gate:
    """A model whose answers wait until they are let through; it counts how many wait."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.model = FunctionModel(self.answer, stream_function=self.stream)

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await self.stay()
        return ModelResponse([TextPart('hi')])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield 'h'
        await self.stay()
        yield 'i'

    async def stay(self) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        self.waiting -= 1


@both_ways
async def test_only_so_many_requests_are_under_way(ask_it: Callable[[Model], Any]) -> None:
    """A model that is limited to two answers two at a time, and all in the end."""
    gate = Gate()
    model = ConcurrencyLimitedModel(gate.model, 2)
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(ask_it, model)

    assert gate.most == 2
    assert model.limit.statistics().in_flight == 0


async def test_models_share_a_limit_by_its_name() -> None:
    """Two models under one limit are never asked at the same time, whoever asks."""
    gate = Gate()
    limit = Limit('one model server', in_flight=1)
    try:
        models = [ConcurrencyLimitedModel(gate.model, limit), ConcurrencyLimitedModel(gate.model, 'one model server')]
        async with anyio.create_task_group() as tasks:
            for model in models * 2:
                tasks.start_soon(ask, model)
    finally:
        Limit.forget('one model server')

    assert gate.most == 1


async def test_models_with_numbers_have_limits_of_their_own() -> None:
    """A number is a limit for this model alone, under no name that another could take."""
    first, second = (ConcurrencyLimitedModel('test', 1) for _ in range(2))

    assert first.limit != second.limit
    with pytest.raises(GraphRuntimeError):
        Limit.named(first.limit.name)


@pytest.mark.parametrize(('limiter', 'error'), [(0, GraphSetupError), ('unheard of', GraphRuntimeError)])
def test_a_limit_that_cannot_be_is_refused(limiter: Any, error: type[Exception]) -> None:
    """No places, or a name that nobody made a limit of, are refused where the model is made."""
    with pytest.raises(error):
        ConcurrencyLimitedModel('test', limiter)


def test_a_model_without_limit_stays_as_it_is() -> None:
    """`None` limits nothing."""
    model = TestModel()

    assert limit_model_concurrency(model, None) is model
    assert isinstance(limit_model_concurrency(model, 3), ConcurrencyLimitedModel)


def busy(status: int, retry_after: str | None) -> ModelHTTPError:
    """The error of a provider's library behind a model's."""
    error = ModelHTTPError(status, 'busy')
    headers = {} if retry_after is None else {'retry-after': retry_after}
    error.__cause__ = Exception('too many requests')
    error.__cause__.response = SimpleNamespace(headers=headers)  # type: ignore[attr-defined]
    return error


@both_ways
@pytest.mark.parametrize(('status', 'paused'), [(429, True), (503, True), (500, False)])
async def test_a_busy_server_pauses_the_limit(ask_it: Callable[[Model], Any], status: int, paused: bool) -> None:
    """When a server says that it is asked too much and when to come again, nobody gets a place before that."""
    model = ConcurrencyLimitedModel(failing(busy(status, '20')), 1)

    with pytest.raises(ModelHTTPError):
        await ask_it(model)

    ticket = model.limit.ask()
    assert ticket.is_granted is not paused
    ticket.withdraw()


@pytest.mark.parametrize(
    ('value', 'seconds'),
    [('20', 20), ('0', 0), ('99999', 300), ('1.5', 1.5), ('-5', None), ('inf', None), ('soon', None), (None, None)],
)
def test_the_time_to_wait_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds count, whole or not and up to five minutes; what cannot be read does not."""
    assert find_retry_after(busy(429, value)) == seconds


def test_the_time_to_wait_may_be_a_date() -> None:
    """A date in the future is waited for, one in the past is not."""
    now = datetime.now(tz=UTC)

    future = find_retry_after(busy(429, format_datetime(now + timedelta(seconds=100), usegmt=True)))
    past = find_retry_after(busy(429, format_datetime(now - timedelta(seconds=100), usegmt=True)))

    assert future is not None
    assert 90 < future <= 100
    assert past == 0


def test_an_error_without_an_answer_says_nothing_of_waiting() -> None:
    """A model's own error has no headers to look at."""
    assert find_retry_after(BUSY) is None
