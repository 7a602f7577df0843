"""`run_stream_sync`: the same without `await`, in and out of an event loop, and what ends it."""

import threading
from typing import Any

import anyio
import pytest

from plait_agent import Agent, AgentRunError
from plait_agent.models.function import FunctionModel


class Watched:
    """An agent whose model says when its stream is closed."""

    def __init__(self, *items: Any, hangs: bool = False):
        self.items = items
        self.hangs = hangs
        self.closed = threading.Event()
        self.agent = Agent(FunctionModel(stream_function=self.stream))

    async def stream(self, _messages: Any, _info: Any) -> Any:
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
            if self.hangs:
                await anyio.sleep_forever()
        finally:
            self.closed.set()


def test_text_is_read_without_await():
    """Text comes as it grows, and the output is known then."""
    result = Watched('a', 'b').agent.run_stream_sync('x')
    assert list(result.stream_text(debounce_by=None)) == ['a', 'ab']
    assert (result.is_complete, result.get_output()) == (True, 'ab')


@pytest.mark.parametrize('how', ['stream_text', 'stream_output', 'stream_responses'])
def test_reading_again_gives_the_last_item(how):
    """When the output is known, each of the streams gives it once."""
    result = Watched('a', 'b').agent.run_stream_sync('x')
    seen = list(getattr(result, how)(debounce_by=None))
    assert list(getattr(result, how)(debounce_by=None)) == seen[-1:]


async def test_it_works_in_a_running_loop():
    """A loop that runs, as in a notebook, does not matter: the run has a thread of its own."""
    assert Watched('a').agent.run_stream_sync('x').get_output() == 'a'


def test_nothing_is_left_running_when_the_output_is_read():
    """The thread of the run ends with the output."""
    before = {*threading.enumerate()}
    Watched('a').agent.run_stream_sync('x').get_output()
    assert {*threading.enumerate()} <= before  # others may have ended meanwhile


def test_a_loop_that_is_broken_off_can_be_gone_on_with():
    """Leaving a loop over the text leaves the run as it is."""
    with Watched('a', 'b').agent.run_stream_sync('x') as result:
        for _ in result.stream_text(debounce_by=None):
            break
        assert not result.is_complete
        assert result.get_output() == 'ab'


def test_leaving_the_block_ends_the_run():
    """The stream of the model is closed when the block is left, and the messages can still be looked at."""
    watched = Watched('a', 'b')
    with watched.agent.run_stream_sync('x') as result:
        pass
    assert watched.closed.is_set()
    assert len(result.all_messages()) == 2


def test_closing_twice_is_nothing():
    """`close` ends the run, and may be called again; what was not read then cannot be."""
    result = Watched('a').agent.run_stream_sync('x')
    result.close()
    result.close()
    with pytest.raises(AgentRunError, match='closed'):
        result.get_output()


def test_an_error_in_the_block_cancels_the_run():
    """A block that fails does not wait for the model."""
    watched = Watched('a', hangs=True)
    with pytest.raises(LookupError, match='mine'), watched.agent.run_stream_sync('x'):
        raise LookupError('mine')
    assert watched.closed.is_set()


def test_an_error_of_the_model_comes_out_and_ends_the_run():
    """What the model raises is raised where the stream is read."""
    watched = Watched('a', LookupError('broken'))
    result = watched.agent.run_stream_sync('x')
    with pytest.raises(LookupError, match='broken'):
        result.get_output()
    assert watched.closed.is_set()


def test_an_error_before_the_output_comes_out_at_once():
    """What fails before there is anything to stream fails the call, and leaves no thread."""
    before = {*threading.enumerate()}
    with pytest.raises(LookupError, match='broken'):
        Watched(LookupError('broken')).agent.run_stream_sync('x')
    assert {*threading.enumerate()} <= before  # others may have ended meanwhile


def test_a_stream_that_nobody_holds_is_cancelled():
    """A result that is thrown away takes its run with it, even if the model is silent."""
    watched = Watched('a', hangs=True)
    watched.agent.run_stream_sync('x')
    assert watched.closed.wait(10)
