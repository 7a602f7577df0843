"""Requests to a model without an agent, awaited and not."""

import gc
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest

from plait_agent.direct import (
    StreamedResponseSync,
    model_request,
    model_request_stream,
    model_request_stream_sync,
    model_request_sync,
)
from plait_agent.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart
from plait_agent.models import ModelRequestParameters
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.test import TestModel
from plait_agent.settings import ModelSettings
from plait_agent.tools import ToolDefinition
from plait_agent.usage import RequestUsage

QUESTION = ModelRequest.user_text_prompt('hello')
WORDS = TestModel(custom_output_text='one two')
speaker: ContextVar[str] = ContextVar('speaker', default='nobody')


class Endless:
    """A model that does not stop by itself; it notes when it is stopped, and how much it has said."""

    def __init__(self) -> None:
        self.said = 0
        self.is_closed = False
        self.model = FunctionModel(stream_function=self.stream)

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            while True:
                self.said += 1
                yield 'word '
        finally:
            self.is_closed = True


async def stream_and_fail(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Say a word, and fail."""
    yield 'word'
    raise ConnectionError('broken')


async def test_a_model_is_asked() -> None:
    """A request gives the model's response, and no tool is run."""
    tool = ToolDefinition(name='t')

    response = await model_request(
        'test', [QUESTION], model_request_parameters=ModelRequestParameters(function_tools=[tool])
    )

    assert response.parts == [ToolCallPart('t', {}, 'pyd_ai_tool_call_id__t')]
    assert response.run_id is None


async def test_settings_go_to_the_model() -> None:
    """What is asked of the model beside the messages reaches it."""
    told: list[object] = []

    def note(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append((messages, info.model_settings))
        return ModelResponse([TextPart('hi')])

    await model_request(FunctionModel(note), (QUESTION,), model_settings=ModelSettings(seed=1))

    assert told == [([QUESTION], {'seed': 1})]


async def test_a_model_is_entered_for_the_request() -> None:
    """A model that holds a connection is opened and closed around each request."""
    log: list[str] = []

    class Entered(TestModel):
        async def __aenter__(self) -> 'Entered':
            log.append('enter')
            return self

        async def __aexit__(self, *error: object) -> None:
            log.append('exit')

    await model_request(Entered(), [QUESTION])
    async with model_request_stream(Entered(), [QUESTION]):
        log.append('in')

    assert log == ['enter', 'exit', 'enter', 'in', 'exit']


@pytest.mark.usefixtures('thread_loop')
def test_a_model_is_asked_without_await() -> None:
    """The synchronous twin gives the same."""
    assert model_request_sync(WORDS, [QUESTION]).text == 'one two'


async def test_a_model_is_asked_without_await_where_a_loop_runs() -> None:
    """As in a notebook, the synchronous twin works within a running loop, whichever it is."""
    assert model_request_sync(WORDS, [QUESTION]).text == 'one two'


async def test_an_answer_is_streamed() -> None:
    """The events come as the model says them, and the response grows."""
    async with model_request_stream(WORDS, [QUESTION]) as stream:
        told = [event.event_kind async for event in stream]

    assert told == ['part_start', 'final_result', 'part_delta', 'part_delta', 'part_end']
    assert stream.get().text == 'one two'


def read_sync() -> list[str]:
    """The kinds of the events of a stream that is read without await."""
    with model_request_stream_sync(WORDS, [QUESTION]) as stream:
        return [event.event_kind for event in stream]


def test_an_answer_is_streamed_without_await() -> None:
    """The synchronous twin gives the same events, and what there is of the response."""
    with model_request_stream_sync(WORDS, [QUESTION]) as stream:
        told = [event.event_kind for event in stream]

        assert told == ['part_start', 'final_result', 'part_delta', 'part_delta', 'part_end']
        assert stream.get() == stream.response
        assert stream.response.text == 'one two'
        assert stream.usage() == RequestUsage(input_tokens=51, output_tokens=2)
        assert (stream.model_name, stream.timestamp) == ('test', stream.response.timestamp)


async def test_an_answer_is_streamed_without_await_where_a_loop_runs() -> None:
    """A stream can be read without await within a running loop too."""
    assert read_sync() == ['part_start', 'final_result', 'part_delta', 'part_delta', 'part_end']


def test_a_second_loop_goes_on_where_the_first_was_left() -> None:
    """No event is lost between two loops, and there is nothing after the last."""
    with model_request_stream_sync(WORDS, [QUESTION]) as stream:
        for _ in stream:
            break

        assert len(list(stream)) == 4
        assert list(stream) == []


def test_a_stream_that_is_left_early_closes_the_model() -> None:
    """Leaving the block stops the model, which never was far ahead, and ends the thread."""
    endless = Endless()
    before = {*threading.enumerate()}
    with model_request_stream_sync(endless.model, [QUESTION]) as stream:
        for _ in stream:
            break

    gc.collect()
    assert endless.is_closed
    assert endless.said < 300
    assert {*threading.enumerate()} <= before  # others may have ended meanwhile


def test_what_breaks_the_stream_reaches_the_loop() -> None:
    """An error of the model is raised behind the events that came before it."""
    told: list[str] = []
    with model_request_stream_sync(FunctionModel(stream_function=stream_and_fail), [QUESTION]) as stream:
        with pytest.raises(ConnectionError, match=r'broken'):
            told.extend(event.event_kind for event in stream)

        assert stream.response.text == 'word'
    assert told == ['part_start', 'final_result']


def test_a_stream_that_cannot_be_opened_raises_where_it_is_entered() -> None:
    """An error before the stream leaves nothing behind."""

    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ConnectionError('refused')

    with pytest.raises(ConnectionError, match=r'refused'), model_request_stream_sync(FunctionModel(fail), [QUESTION]):
        pass


def test_an_error_of_the_program_closes_the_model() -> None:
    """What is raised in the block passes through, and the model is stopped."""
    endless = Endless()
    with pytest.raises(KeyError), model_request_stream_sync(endless.model, [QUESTION]):
        raise KeyError

    assert endless.is_closed


def test_a_stream_is_used_as_a_context_manager() -> None:
    """Without `with` there is no request, and the error says how it is done."""
    stream = model_request_stream_sync(WORDS, [QUESTION])

    assert repr(stream) == 'StreamedResponseSync(not entered)'
    for use in (lambda: list(stream), stream.get, stream.usage):
        with pytest.raises(RuntimeError) as caught:
            use()
        assert str(caught.value) == (
            'StreamedResponseSync must be used as a context manager. '
            'Use: `with model_request_stream_sync(...) as stream:`'
        )


def test_a_stream_prints_what_has_come() -> None:
    """The repr of a stream has its response."""
    with model_request_stream_sync(WORDS, [QUESTION]) as stream:
        list(stream)

        assert isinstance(stream, StreamedResponseSync)
        assert repr(stream) == f'StreamedResponseSync({stream.get()!r})'


def test_a_stream_sees_the_context_of_its_reader() -> None:
    """Context variables of the program are seen by the model, though it runs in another thread."""

    async def say_who(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield speaker.get()

    token = speaker.set('somebody')
    with model_request_stream_sync(FunctionModel(stream_function=say_who), [QUESTION]) as stream:
        list(stream)
    speaker.reset(token)

    assert stream.response.text == 'somebody'
