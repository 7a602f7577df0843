"""Try requests to servers again: transports for clients of httpx2, and how long they wait.

Which errors are tried again, how often and after which time is said in the words of tenacity. A transport sees only
the beginning of an answer, its status and headers. So nothing is tried again once the body of a stream has begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, TypedDict, cast

import anyio

try:
    import tenacity
    from httpx2 import (
        AsyncBaseTransport,
        AsyncHTTPTransport,
        BaseTransport,
        ConnectError,
        ConnectTimeout,
        HTTPTransport,
        ReadError,
        RemoteProtocolError,
        Request,
        RequestNotRead,
        Response,
        WriteError,
    )
except ImportError as error:
    raise ImportError(
        'Requests are tried again with the packages tenacity and httpx2, and one of them is not installed. '
        "Install them: pip install 'plait-agent[retries]'."
    ) from error

from plait_agent._retry_after import read_retry_after

if TYPE_CHECKING:
    from types import TracebackType

    from tenacity import RetryCallState, RetryError
    from tenacity.asyncio.retry import RetryBaseT as AsyncRetryBaseT
    from tenacity.retry import RetryBaseT
    from tenacity.stop import StopBaseT
    from tenacity.wait import WaitBaseT

__all__ = (
    'AsyncHTTPX2TenacityTransport',
    'AsyncTenacityTransport',
    'HTTPX2TenacityTransport',
    'RetryConfig',
    'TenacityTransport',
    'retrying_transport',
    'wait_retry_after',
)

_NOT_REACHED = ConnectError, ConnectTimeout, ReadError, RemoteProtocolError, WriteError
"""What happens to connections. A read time-out is not among them: it is how long the caller wants to wait."""
_PASSING_STATUSES = 408, 409, 429
_NEVER_PASSING_STATUSES = (501,)


class RetryConfig(TypedDict, total=False):
    """What `tenacity.retry` takes; tenacity's own defaults hold for the rest."""

    sleep: Callable[[int | float], Awaitable[None] | None]
    """Waits so many seconds; `anyio.sleep` if it is not given and the transport is asynchronous."""
    stop: StopBaseT
    """When to give up; never, if it is not given."""
    wait: WaitBaseT
    """How long to wait before the next attempt."""
    retry: RetryBaseT | AsyncRetryBaseT
    """Which outcomes are tried again; every exception, if it is not given."""
    before: Callable[[RetryCallState], Awaitable[None] | None]
    """Called before each attempt."""
    after: Callable[[RetryCallState], Awaitable[None] | None]
    """Called after each attempt that is not the last word."""
    before_sleep: Callable[[RetryCallState], Awaitable[None] | None] | None
    """Called before each wait; the response of the attempt, if there is one, is closed after it."""
    reraise: bool
    """Whether the last exception is raised when no attempt is left, and not a `RetryError` around it."""
    retry_error_cls: type[RetryError]
    """What is raised in the place of `tenacity.RetryError`."""
    retry_error_callback: Callable[[RetryCallState], Any] | None
    """What gives a result when no attempt is left."""


class TenacityTransport(BaseTransport):
    """Sends requests, and sends them again as a configuration says.

    The response of an attempt that is tried again is closed, so that no connection is left behind.

    Args:
        config: When to try again, and when to stop.
        wrapped: What sends a request; a plain `HTTPTransport` if nothing is given.
        validate_response: Looks at the response of each attempt and raises if it is to count as failed, as in
            `lambda response: response.raise_for_status()`.

    Raises:
        tenacity.RetryError: When no attempt is left; the last exception itself with `reraise=True`.
    """

    def __init__(
        self,
        config: RetryConfig,
        wrapped: BaseTransport | None = None,
        validate_response: Callable[[Response], Any] | None = None,
    ):
        settings: dict[str, Any] = {**config}
        settings['before_sleep'] = _closing_after(config.get('before_sleep'))
        self._retrying = tenacity.Retrying(**settings)
        self._validate = validate_response
        self.wrapped = wrapped or HTTPTransport()

    def handle_request(self, request: Request) -> Response:
        """Send a request, as often as it takes."""
        try:
            # What tenacity counts it keeps in the object.
            return self._retrying.copy()(self._attempt, request)
        except tenacity.RetryError as error:
            response = _find_result(error.last_attempt)
            if response is not None:
                response.close()
            raise

    def _attempt(self, request: Request) -> Response:
        response = self.wrapped.handle_request(request)
        if self._validate is None:
            return response
        try:
            _call_validator(self._validate, request, response)
        except BaseException:
            response.close()
            raise
        return response

    def close(self) -> None:
        """Close what sends the requests."""
        self.wrapped.close()

    def __enter__(self) -> Self:
        self.wrapped.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.wrapped.__exit__(exc_type, exc_value, traceback)


class AsyncTenacityTransport(AsyncBaseTransport):
    """Sends requests, and sends them again as a configuration says, on asyncio and on trio.

    The response of an attempt that is tried again is closed, so that no connection is left behind. A caller that is
    cancelled while it waits for the next attempt waits no longer.

    Args:
        config: When to try again, and when to stop.
        wrapped: What sends a request; a plain `AsyncHTTPTransport` if nothing is given.
        validate_response: Looks at the response of each attempt and raises if it is to count as failed, as in
            `lambda response: response.raise_for_status()`.

    Raises:
        tenacity.RetryError: When no attempt is left; the last exception itself with `reraise=True`.
    """

    def __init__(
        self,
        config: RetryConfig,
        wrapped: AsyncBaseTransport | None = None,
        validate_response: Callable[[Response], Any] | None = None,
    ):
        settings: dict[str, Any] = {'sleep': anyio.sleep, **config}
        settings['before_sleep'] = _closing_after_async(config.get('before_sleep'))
        self._retrying = tenacity.AsyncRetrying(**settings)
        self._validate = validate_response
        self.wrapped = wrapped or AsyncHTTPTransport()

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request, as often as it takes."""
        try:
            # What tenacity counts it keeps in the object, where requests under way at once would mix it up.
            return await self._retrying.copy()(self._attempt, request)
        except tenacity.RetryError as error:
            response = _find_result(error.last_attempt)
            if response is not None:
                await response.aclose()
            raise

    async def _attempt(self, request: Request) -> Response:
        response = await self.wrapped.handle_async_request(request)
        if self._validate is None:
            return response
        try:
            _call_validator(self._validate, request, response)
        except BaseException:
            await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        """Close what sends the requests."""
        await self.wrapped.aclose()

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.wrapped.__aexit__(exc_type, exc_value, traceback)


HTTPX2TenacityTransport = TenacityTransport
"""The same under its longer name."""
AsyncHTTPX2TenacityTransport = AsyncTenacityTransport
"""The same under its longer name."""


def wait_retry_after(
    fallback_strategy: Callable[[RetryCallState], float] | None = None, max_wait: float = 300
) -> Callable[[RetryCallState], float]:
    """Wait as long as a server says in Retry-After, in seconds, whole or not, or as an HTTP date.

    Args:
        fallback_strategy: How long to wait if the server says nothing, nothing that can be read, or a time that is
            over. `None`: 1, 2, 4, ... and at most 60 seconds, and up to one second more by chance, so that clients
            which failed together do not come again together.
        max_wait: The longest wait that a server may ask for, in seconds.
    """
    fallback = fallback_strategy or tenacity.wait_exponential(multiplier=1, max=60) + tenacity.wait_random(0, 1)

    def wait(state: RetryCallState) -> float:
        seconds = _asked_wait(_find_response(state))
        return fallback(state) if seconds is None or seconds < 0 else min(seconds, max_wait)

    return wait


def retrying_transport(
    wrapped: AsyncBaseTransport | None = None,
    *,
    attempts: int = 3,
    longest_wait: float = 60,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> AsyncTenacityTransport:
    """Give a transport that tries again what may pass, as the clients of providers that are made here do.

    Tried again are connections that fail or break off before an answer has begun, and the statuses 408, 409, 429 and
    from 500 on, except 501; a server that says `x-should-retry` knows better. The wait is half a second, then a second,
    two, ... up to 8, with up to half a second more by chance; or what the server says in Retry-After. The last answer
    is given as it is, so that whoever has asked sees what is wrong. Not tried again are time-outs of reading, which say
    how long the caller wants to wait, and requests whose body can be read only once.

    Args:
        wrapped: What sends a request; a plain `AsyncHTTPTransport` if nothing is given.
        attempts: How often a request is sent at most.
        longest_wait: The longest wait in seconds that a server may ask for; if it wants more, its answer is the last.
        sleep: Waits so many seconds.
    """
    config = RetryConfig(
        sleep=sleep,
        stop=tenacity.stop_after_attempt(attempts),
        wait=wait_retry_after(_BACK_OFF, longest_wait),
        retry=lambda state: _may_pass(state, longest_wait),
        retry_error_callback=_last_outcome,
    )
    return AsyncTenacityTransport(config, wrapped)


_BACK_OFF = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)


def _may_pass(state: RetryCallState, longest_wait: float) -> bool:
    """Whether another attempt may end better."""
    if not _can_be_sent_again(state.args[0]):
        return False
    response = _find_response(state)
    if response is None:
        return isinstance(_find_error(state), _NOT_REACHED)
    asked = _asked_wait(response)
    if asked is not None and asked > longest_wait:
        return False
    # OpenAI and Anthropic say it in a header of their own.
    said = response.headers.get('x-should-retry')
    return said == 'true' if said in {'true', 'false'} else _is_passing(response.status_code)


def _is_passing(status: int) -> bool:
    return (status >= 500 and status not in _NEVER_PASSING_STATUSES) or status in _PASSING_STATUSES


def _can_be_sent_again(request: Request) -> bool:
    try:
        _ = request.content
    except RequestNotRead:
        return False
    return True


def _last_outcome(state: RetryCallState) -> Any:
    """The last answer, or the last error raised."""
    return None if state.outcome is None else state.outcome.result()


def _find_error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _find_result(outcome: Any) -> Response | None:
    """The response of an attempt that ended with one."""
    if outcome is None or outcome.failed:
        return None
    result = outcome.result()
    return result if isinstance(result, Response) else None


def _find_response(state: RetryCallState) -> Response | None:
    """The response of an attempt, also if it was refused by a check."""
    return _find_result(state.outcome) or getattr(_find_error(state), 'response', None)


def _asked_wait(response: Response | None) -> float | None:
    """The seconds that a server wants to be left alone."""
    return None if response is None else read_retry_after(response.headers)


def _call_validator(validate: Callable[[Response], Any], request: Request, response: Response) -> None:
    # A client says later to which request a response belongs, and `raise_for_status` needs to know.
    response.request = request
    validate(response)


def _closing_after(before_sleep: Callable[[RetryCallState], Any] | None) -> Callable[[RetryCallState], None]:
    """What to do before a wait, and close the response that is not wanted then."""

    def close(state: RetryCallState) -> None:
        if before_sleep is not None:
            before_sleep(state)
        response = _find_result(state.outcome)
        if response is not None:
            response.close()

    return close


def _closing_after_async(
    before_sleep: Callable[[RetryCallState], Any] | None,
) -> Callable[[RetryCallState], Awaitable[None]]:
    """The same for transports that wait."""

    async def close(state: RetryCallState) -> None:
        told = None if before_sleep is None else before_sleep(state)
        if isinstance(told, Awaitable):
            await cast('Awaitable[None]', told)
        response = _find_result(state.outcome)
        if response is not None:
            await response.aclose()

    return close
