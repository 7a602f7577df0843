"""SmolLM2 on a real server: forms, streams, counts, ends. What it says is not looked at."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel

from plait_agent import (
    Agent,
    ModelAPIError,
    ModelRequest,
    PartStartEvent,
    UsageLimitExceeded,
    UsageLimits,
    UserPromptPart,
)
from plait_agent._local import server as servers
from plait_agent.direct import model_request_stream
from plait_agent.models.local import LocalModel

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(120)]

LONG = 'Write a very long story about the sea.'


@pytest.fixture(scope='module', autouse=True)
def stopped() -> Iterator[None]:
    """Stop the server behind the last test."""
    yield
    servers.stop_servers()


def model(**settings: Any) -> LocalModel:
    """The model, which all tests share a server for."""
    return LocalModel('smollm2-135m', settings={'max_tokens': 40, **settings}, n_ctx=2048)


def server_of(model: LocalModel) -> servers.LocalServer:
    """The server that a model has started."""
    assert model._server is not None
    return model._server


def handler_of(function: Callable[[Any], None]) -> Any:
    """What gives a function each event of a run."""

    async def handle(_: Any, events: Any) -> None:
        async for event in events:
            function(event)

    return handle


class Order(BaseModel):
    """An order."""

    item: str
    size: Literal['small', 'large']
    count: int


async def test_text_comes_with_usage_and_a_reason():
    """An answer has text, the tokens that were counted, why it ended, and who has given it."""
    result = await Agent(model()).run('Say hello.')

    assert result.output
    usage, response = result.usage(), result.response
    assert usage.requests == 1
    assert 10 < usage.input_tokens < 200
    assert 0 < usage.output_tokens <= 40
    assert response.finish_reason in ('stop', 'length')
    assert (response.model_name, response.provider_name) == ('smollm2-135m', 'local')


async def test_the_limit_of_tokens_is_kept():
    """An answer that is cut off says so."""
    result = await Agent(model(max_tokens=5)).run(LONG)

    assert result.usage().output_tokens == 5
    assert result.response.finish_reason == 'length'


async def test_text_is_streamed_and_is_the_whole():
    """Text comes in many pieces, which make the output."""
    async with Agent(model()).run_stream(LONG) as streamed:
        pieces = [piece async for piece in streamed.stream_text(delta=True, debounce_by=None)]
        output = await streamed.get_output()

    assert len(pieces) > 5
    assert ''.join(pieces) == output
    assert streamed.usage().output_tokens > 5


async def test_the_same_seed_gives_the_same_text():
    """Settings of chance reach the server."""
    agent = Agent(model(temperature=1.0, seed=11, max_tokens=12))

    assert (await agent.run(LONG)).output == (await agent.run(LONG)).output


async def test_texts_can_end_an_answer():
    """What is named in `stop_sequences` is not in the answer."""
    result = await Agent(model(stop_sequences=['e'])).run(LONG)

    assert 'e' not in result.output


async def test_an_output_type_binds_the_answer():
    """Whatever it says, it has the form that was asked for."""
    result = await Agent(model(), output_type=Order).run('Two large teas.')

    assert isinstance(result.output, Order)


async def test_tool_calls_have_the_form_of_the_tool():
    """A forced call has arguments that validate, streams them, and its result comes back to the model."""
    seen: list[int] = []

    def add(first: int, second: int) -> str:
        """Add two numbers."""
        seen.append(first + second)
        return 'done'

    agent = Agent(model(max_tokens=60), tools=[add])
    forced = {'tool_choice': ['add']}
    with pytest.raises(UsageLimitExceeded):
        await agent.run('Add 2 and 3.', model_settings=forced, usage_limits=UsageLimits(request_limit=1))

    assert len(seen) == 1


async def test_many_requests_share_a_server():
    """More requests than the server answers at once wait for one another, and all are answered."""
    agent = Agent(model(max_tokens=8))
    outputs: list[str] = []

    async def ask(number: int) -> None:
        outputs.append((await agent.run(f'Say {number}.')).output)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(ask, number)

    assert len(outputs) == 5
    assert sum(server.is_running for server in servers._servers.values()) == 1


def test_threads_share_a_server():
    """`run_sync` in several threads, each with a loop of its own, uses the same server."""
    agent = Agent(model(max_tokens=6))
    outputs: list[str] = []

    def ask() -> None:
        outputs.append(anyio.run(agent.run, 'Hello').output)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outputs) == 3


async def test_leaving_a_stream_stops_the_server_from_writing():
    """After a stream is left, a server with one place answers the next request at once."""
    asked = LocalModel('smollm2-135m', settings={'max_tokens': 6000}, n_ctx=8192, n_parallel=1)
    async with model_request_stream(asked, [ModelRequest([UserPromptPart(LONG)])]) as streamed:
        await anext(aiter(streamed))

    with anyio.fail_after(20):
        assert (await Agent(asked).run('Say hello.', model_settings={'max_tokens': 3})).output
    server_of(asked).stop()


async def test_cancelling_a_run_leaves_the_server_running():
    """A run that is cancelled ends, and the next one is answered by the same server."""
    agent = Agent(model(max_tokens=2000))
    await agent.run('Hello', model_settings={'max_tokens': 2})
    before = server_of(agent.model)._process
    with anyio.move_on_after(0.3) as scope:
        await agent.run(LONG)

    assert scope.cancelled_caught
    assert (await agent.run('Hello', model_settings={'max_tokens': 2})).output
    assert server_of(agent.model)._process is before


async def test_a_crash_is_told_and_the_next_request_starts_the_server_again():
    """Whoever waits gets an error with the signal and the log; whoever asks next gets an answer."""
    agent = Agent(model(max_tokens=1500))
    await agent.run('Hello', model_settings={'max_tokens': 2})
    server = server_of(agent.model)

    def crash(event: Any) -> None:
        if isinstance(event, PartStartEvent):
            os.kill(server._process.pid, signal.SIGKILL)

    with pytest.raises(ModelAPIError, match=r'has ended \(by signal SIGKILL\) before it had answered.*Its log is'):
        await agent.run(LONG, event_stream_handler=handler_of(crash))

    assert (await agent.run('Hello', model_settings={'max_tokens': 2})).output
    assert server.is_running


async def test_too_long_a_conversation_is_refused_with_its_length():
    """The error names both numbers and the way out."""
    with pytest.raises(ModelAPIError, match=r'The conversation has \d+ tokens, .* started for \d+\. Shorten it'):
        await Agent(model()).run('word ' * 5000)


async def test_limits_of_usage_count_local_tokens():
    """A limit on tokens ends a run with a local model too."""
    with pytest.raises(Exception, match='output_tokens_limit'):
        await Agent(model()).run(LONG, usage_limits=UsageLimits(output_tokens_limit=3))


PROGRAM = """
import sys, time
from plait_agent import Agent
from plait_agent.direct import model_request_stream
from plait_agent.models.local import LocalModel
agent = Agent(LocalModel('smollm2-135m', settings={'max_tokens': 2}))
agent.run_sync('Hello')
print(agent.model._server._process.pid, flush=True)
if sys.argv[1] == 'wait':
    time.sleep(100)
"""


@pytest.mark.parametrize('how', ['ends', 'killed'])
def test_the_server_ends_with_the_program(how: str):
    """However a program ends, its server does not stay."""
    command = [sys.executable, '-c', PROGRAM, 'wait' if how == 'killed' else 'end']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        if how == 'killed':
            program.kill()
        program.wait(30)

    wait_until_gone(pid)


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    stopped = threading.Event()
    for _ in range(200):
        if not Path(f'/proc/{pid}').exists():
            return
        stopped.wait(0.05)
    pytest.fail(f'process {pid} is still there')
