from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import pytest
import tenacity
from server_parts import OPENAI_CHAT

from plait_agent.retries import (
    AsyncHTTPX2TenacityTransport,
    AsyncTenacityTransport,
    HTTPX2TenacityTransport,
    RetryConfig,
    TenacityTransport,
    retrying_transport,
    wait_retry_after,
)
from plait_agent.testing import (
    Answer,
    Behavior,
    Cut,
    Disconnect,
    HttpError,
    MisbehavingServer,
    ReceivedRequest,
    Silence,
    refusing_url,
)

GOOD = Answer('Hi')


class Sleeper:
    """Waits without waiting, and remembers how long it would have been."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


class Watching(httpx2.AsyncBaseTransport):
    """Remembers the responses that were given."""

    def __init__(self) -> None:
        self.wrapped = httpx2.AsyncHTTPTransport()
        self.responses: list[httpx2.Response] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.wrapped.handle_async_request(request)
        self.responses.append(response)
        return response

    async def aclose(self) -> None:
        await self.wrapped.aclose()


def raise_for_status(response: httpx2.Response) -> None:
    """Count every error as failed."""
    response.raise_for_status()


def config(**more: Any) -> RetryConfig:
    """Three attempts without a wait."""
    return RetryConfig(stop=tenacity.stop_after_attempt(3), reraise=True, **more)


async def post(transport: httpx2.AsyncBaseTransport, url: str, *, streamed: bool = False) -> httpx2.Response:
    """Ask once through a transport, which is closed afterwards."""
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5, read=0.5)) as client:
        return await client.send(OPENAI_CHAT.request(url, streamed))


async def test_a_request_is_sent_until_it_succeeds():
    """Responses that a check refuses and errors of the connection are tried again."""
    async with MisbehavingServer([HttpError(503), Disconnect(), GOOD]) as server:
        response = await post(AsyncTenacityTransport(config(), validate_response=raise_for_status), server.url)

    assert response.status_code == 200
    assert len(server.requests) == 3


async def test_the_last_error_comes_out():
    """With `reraise` it is the error itself, else tenacity's with the last attempt in it."""
    async with MisbehavingServer(HttpError(503)) as server:
        with pytest.raises(httpx2.HTTPStatusError, match='503'):
            await post(AsyncTenacityTransport(config(), validate_response=raise_for_status), server.url)
        mild = RetryConfig(stop=tenacity.stop_after_attempt(2))
        with pytest.raises(tenacity.RetryError):
            await post(AsyncTenacityTransport(mild, validate_response=raise_for_status), server.url)

    assert len(server.requests) == 5


@pytest.mark.parametrize('refused_by', ['check', 'result'])
async def test_responses_of_attempts_in_vain_are_closed(refused_by: str):
    """Whether a check refuses a response or the configuration does, its connection is given back."""
    watching = Watching()
    if refused_by == 'check':
        transport = AsyncTenacityTransport(config(), watching, raise_for_status)
    else:
        again = tenacity.retry_if_result(lambda response: response.status_code == 503)
        transport = AsyncTenacityTransport(config(retry=again), watching)
    async with MisbehavingServer(HttpError(503)) as server:
        with pytest.raises((httpx2.HTTPStatusError, tenacity.RetryError)):
            await transport.handle_async_request(OPENAI_CHAT.request(server.url, False))

        assert [response.is_closed for response in watching.responses] == [True] * 3
        await transport.aclose()


def test_synchronous_clients_can_have_it_too():
    """The transport for them does the same."""
    waits: list[float] = []
    transport = TenacityTransport(config(sleep=waits.append, wait=tenacity.wait_fixed(7)), None, raise_for_status)
    script = [HttpError(503), Disconnect(), GOOD, HttpError(503)]
    with MisbehavingServer(script) as server, httpx2.Client(transport=transport) as client:
        response = client.send(OPENAI_CHAT.request(server.url, False))
        with pytest.raises(httpx2.HTTPStatusError, match='501'):
            client.send(OPENAI_CHAT.request(server.url, False))

    assert response.status_code == 200
    assert waits == [7, 7, 7, 7]


def test_synchronous_responses_in_vain_are_closed():
    """Also those of the last attempt, when tenacity says that there is none left."""
    given: list[httpx2.Response] = []
    wrapped = httpx2.MockTransport(lambda request: given.append(httpx2.Response(503)) or given[-1])
    again = tenacity.retry_if_result(lambda response: response.status_code == 503)
    transport = TenacityTransport(config(retry=again), wrapped)

    with pytest.raises(tenacity.RetryError):
        transport.handle_request(httpx2.Request('GET', 'http://localhost'))

    assert [response.is_closed for response in given] == [True] * 3


async def test_requests_under_way_at_once_do_not_share_their_attempts():
    """Each has as many as the configuration says."""
    seen = Counter[str]()

    def third_time_lucky(request: ReceivedRequest) -> Behavior:
        seen[request.find('model')] += 1
        return GOOD if seen[request.find('model')] == 3 else HttpError(503)

    transport = AsyncTenacityTransport(config(wait=tenacity.wait_fixed(0.001)), validate_response=raise_for_status)
    client = httpx2.AsyncClient(transport=transport)

    async def ask(url: str, model: str) -> None:
        await client.post(url, json={'model': model})

    async with MisbehavingServer(third_time_lucky) as server, client, anyio.create_task_group() as group:
        for model in 'abcde':
            group.start_soon(ask, f'{server.url}/v1/responses', model)

    assert seen == dict.fromkeys('abcde', 3)


async def test_whoever_waits_for_the_next_attempt_can_be_cancelled():
    """A long wait ends with the caller's time."""
    transport = AsyncTenacityTransport(config(wait=tenacity.wait_fixed(1000)), validate_response=raise_for_status)
    async with MisbehavingServer(HttpError(503)) as server:
        with anyio.move_on_after(0.2) as scope:
            await post(transport, server.url)

    assert scope.cancelled_caught
    assert len(server.requests) == 1


async def test_functions_before_a_wait_are_called_and_awaited():
    """A configuration's own function sees each attempt in vain, whether it awaits or not."""
    seen: list[int] = []

    async def remember(state: tenacity.RetryCallState) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(state.attempt_number)

    async with MisbehavingServer([HttpError(503), HttpError(503), GOOD]) as server:
        await post(AsyncTenacityTransport(config(before_sleep=remember), None, raise_for_status), server.url)

    assert seen == [1, 2]


def test_a_configuration_with_an_unknown_word_is_refused_at_once():
    """The mistake shows where it is written and not when a request fails."""
    with pytest.raises(TypeError, match='attempts'):
        AsyncTenacityTransport({'attempts': 3})  # type: ignore[typeddict-unknown-key]


def test_the_longer_names_are_the_same():
    """Both names are known."""
    assert HTTPX2TenacityTransport is TenacityTransport
    assert AsyncHTTPX2TenacityTransport is AsyncTenacityTransport


def failed(attempt: int, retry_after: str | None) -> tenacity.RetryCallState:
    """An attempt that was answered with a 429."""
    headers = {} if retry_after is None else {'Retry-After': retry_after}
    response = httpx2.Response(429, headers=headers, request=httpx2.Request('GET', 'http://localhost'))
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt
    state.set_exception(error_info(response))
    return state


def error_info(response: httpx2.Response) -> Any:
    """What `sys.exc_info` has of a refused response."""
    error = httpx2.HTTPStatusError('busy', request=response.request, response=response)
    return type(error), error, None


def http_date(seconds: float) -> str:
    """A time so many seconds from now."""
    return (datetime.now(tz=UTC) + timedelta(seconds=seconds)).strftime('%a, %d %b %Y %H:%M:%S GMT')


@pytest.mark.parametrize(('said', 'waited'), [('7', 7), ('0', 0), ('1.5', 1.5), ('0.25', 0.25), ('9999', 300)])
def test_the_wait_is_what_the_server_says(said: str, waited: float):
    """Seconds count, whole or not, up to five minutes."""
    assert wait_retry_after()(failed(1, said)) == waited


def test_the_wait_may_be_a_date():
    """An HTTP date is waited for, up to the longest wait."""
    assert 50 < wait_retry_after()(failed(1, http_date(60))) <= 60
    assert wait_retry_after(max_wait=20)(failed(1, http_date(60))) == 20


@pytest.mark.parametrize('said', [None, 'soon', '-3', 'nan', 'inf', '', http_date(-100), 'Mon, 99 Foo 2030'])
def test_what_makes_no_sense_is_left_to_the_fallback(said: str | None):
    """No header, nonsense, and a time that is over are all the same."""
    assert wait_retry_after(lambda state: 42)(failed(1, said)) == 42


def test_the_default_fallback_doubles_with_chance():
    """One, two, four and at most sixty seconds, and less than a second more; not the same each time."""
    wait = wait_retry_after()
    for attempt, least in ((1, 1), (2, 2), (3, 4), (20, 60)):
        assert all(least <= wait(failed(attempt, None)) <= least + 1 for _ in range(20))
    assert len({wait(failed(1, None)) for _ in range(20)}) > 1


async def test_milliseconds_are_more_exact():
    """Some servers send both; the more exact one counts."""
    sleeper = Sleeper()
    busy = HttpError(429, retry_after=1, headers={'retry-after-ms': '250'})
    async with MisbehavingServer([busy, GOOD]) as server:
        await post(retrying_transport(sleep=sleeper), server.url)

    assert sleeper.waits == [0.25]


@pytest.mark.parametrize('status', [408, 409, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize('streamed', [False, True], ids=['whole', 'streamed'])
async def test_the_policy_tries_again_what_may_pass(status: int, streamed: bool):
    """Statuses of a server that is busy or broken."""
    sleeper = Sleeper()
    async with MisbehavingServer([HttpError(status), HttpError(status), GOOD]) as server:
        response = await post(retrying_transport(sleep=sleeper), server.url, streamed=streamed)

    assert response.status_code == 200
    assert 0.5 <= sleeper.waits[0] <= 1 <= sleeper.waits[1] <= 1.5


@pytest.mark.parametrize('status', [400, 401, 403, 404, 422, 501])
async def test_the_policy_accepts_what_will_not_pass(status: int):
    """Who is wrong is wrong each time."""
    async with MisbehavingServer(HttpError(status)) as server:
        response = await post(retrying_transport(sleep=Sleeper()), server.url)

    assert response.status_code == status
    assert len(server.requests) == 1


@pytest.mark.parametrize('fault', [Disconnect(), Disconnect(reset=True)])
async def test_the_policy_tries_broken_connections_again(fault: Behavior):
    """If no answer has begun, nothing is lost by another attempt."""
    async with MisbehavingServer([fault, fault, GOOD]) as server:
        response = await post(retrying_transport(sleep=Sleeper()), server.url)

    assert response.status_code == 200


async def test_the_policy_tries_refused_connections_again():
    """A server may be starting; if it does not, its refusal comes out."""
    sleeper = Sleeper()
    with refusing_url() as url, pytest.raises(httpx2.ConnectError):
        await post(retrying_transport(sleep=sleeper), url)

    assert len(sleeper.waits) == 2


async def test_the_policy_gives_the_last_answer_as_it_is():
    """When no attempt is left, whoever has asked reads what the server says."""
    async with MisbehavingServer(HttpError(503, 'All busy.')) as server:
        response = await post(retrying_transport(sleep=Sleeper()), server.url)

    assert (response.status_code, response.json()['error']['message']) == (503, 'All busy.')
    assert len(server.requests) == 3


async def test_the_policy_never_repeats_what_has_begun():
    """A stream that breaks off has been paid for and partly shown."""
    async with MisbehavingServer(Cut('start')) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            await post(retrying_transport(sleep=Sleeper()), server.url, streamed=True)

    assert len(server.requests) == 1


async def test_the_policy_does_not_stretch_the_time_of_its_caller():
    """A time-out for reading says how long somebody wants to wait, not a third of it."""
    async with MisbehavingServer(Silence()) as server:
        with pytest.raises(httpx2.ReadTimeout):
            await post(retrying_transport(sleep=Sleeper()), server.url)

    assert len(server.requests) == 1


@pytest.mark.parametrize(('asked', 'requests', 'waits'), [(59.5, 2, [59.5]), (61, 1, [])])
async def test_the_policy_waits_as_asked_or_not_at_all(asked: float, requests: int, waits: list[float]):
    """It never comes sooner than the server wants, and gives up if that is too long."""
    sleeper = Sleeper()
    async with MisbehavingServer([HttpError(429, retry_after=asked), GOOD]) as server:
        await post(retrying_transport(sleep=sleeper), server.url)

    assert len(server.requests) == requests
    assert sleeper.waits == waits


@pytest.mark.parametrize(('status', 'said', 'requests'), [(500, 'false', 1), (400, 'true', 2), (500, 'maybe', 2)])
async def test_the_policy_believes_a_server_that_knows(status: int, said: str, requests: int):
    """`x-should-retry` goes over the status."""
    async with MisbehavingServer([HttpError(status, headers={'x-should-retry': said}), GOOD]) as server:
        await post(retrying_transport(sleep=Sleeper()), server.url)

    assert len(server.requests) == requests


async def test_the_policy_repeats_only_what_it_can():
    """A body that is made while it is sent is gone after the first attempt."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{}'

    client = httpx2.AsyncClient(transport=retrying_transport(sleep=Sleeper()))
    async with MisbehavingServer(HttpError(503)) as server, client:
        response = await client.post(f'{server.url}/v1/messages', content=body())

    assert response.status_code == 503
    assert len(server.requests) == 1


async def test_the_policy_leaves_no_response_open():
    """What was answered before the last attempt is closed, also if the last attempt fails."""
    watching = Watching()
    async with MisbehavingServer([HttpError(503), HttpError(503), Disconnect()]) as server:
        with pytest.raises(httpx2.RemoteProtocolError):
            await post(retrying_transport(watching, sleep=Sleeper()), server.url)

    assert [response.is_closed for response in watching.responses] == [True, True]
