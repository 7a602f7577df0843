"""Weights from a web server. A download that was broken off goes on where it stopped, if the server can do that."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._local.fetching import Partial
    from plait_agent._local.registry import UrlSource

_CHUNK = 1 << 18
_NOTE_EVERY = 1 << 24
_TIMEOUT_SECONDS = 60


def fetch_url(source: UrlSource, partial: Partial, tell: Callable[[int], None]) -> None:
    """Put what is missing behind what is there.

    Raises:
        UserError: The server cannot be reached or refuses, or stops too soon; what has come is kept.
    """
    try:
        with _open(source.url, partial) as response:
            _receive(response, partial, tell)
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            if error.code == 416:  # all of it has come before
                return
        raise UserError(f'{source.url} answered with {error.code} {error.reason}.') from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, 'reason', error)
        raise UserError(f'{source.url} could not be read to its end ({reason}). What has come is kept.') from None


def _open(url: str, partial: Partial) -> Any:
    request = urllib.request.Request(url, headers={'User-Agent': 'plait-agent'})
    if partial.size and partial.tag:
        request.add_header('Range', f'bytes={partial.size}-')
        request.add_header('If-Range', partial.tag)
    return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)


def _receive(response: Any, partial: Partial, tell: Callable[[int], None]) -> None:
    if getattr(response, 'status', None) != http.HTTPStatus.PARTIAL_CONTENT:
        partial.start_over()
    # Without a tag or a date nobody could tell whether the rest belongs to what has come.
    tag = response.headers.get('ETag') or response.headers.get('Last-Modified')
    wanted = response.headers.get('Content-Length')
    before = partial.size
    with partial.path.open('ab') as file:
        try:
            _copy(response, file, partial, tag, tell)
        finally:
            file.flush()
            partial.note(tag=tag)
    came = partial.size - before
    if wanted is not None and came < int(wanted):
        raise OSError(f'{came} of {wanted} bytes came')


def _copy(response: Any, file: IO[bytes], partial: Partial, tag: str | None, tell: Callable[[int], None]) -> None:
    unnoted = 0
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        unnoted += len(chunk)
        tell(partial.size + unnoted)
        if unnoted >= _NOTE_EVERY:
            file.flush()
            partial.note(tag=tag)
            unnoted = 0
