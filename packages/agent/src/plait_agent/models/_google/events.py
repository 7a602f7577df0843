"""The lines of a streamed answer, as Google's library understands them.

It knows of server-sent events what Google sends today: lines that begin with `data: `. Comments, other fields and other
ways to write all this would break it. The lines themselves it has from the HTTP client, for which they end at some
characters that may stand in JSON. And where it fails, it leaves generators behind that nobody ends. So it is given what
it can read, and what it cannot read fails here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from plait_agent.models._ending import exhaust
from plait_agent.models._sse import EventReader

if TYPE_CHECKING:
    from httpx2 import Response

_BYTE_ORDER_MARK = b'\xef\xbb\xbf'


async def event_lines(response: Response) -> AsyncGenerator[str]:
    """The events of a response, each as a line of data and an empty line. What came in their place counts as one.

    Raises:
        google.genai.errors.APIError: Google tells of an error.
        json.JSONDecodeError: An event is no JSON object.
        UnicodeDecodeError: It is no text.
    """
    if not response.headers.get('content-type', '').startswith('text/event-stream'):
        body = await response.aread()
        yield f'data: {_checked(body.removeprefix(_BYTE_ORDER_MARK))}'
        return
    reader, chunks = EventReader(), response.aiter_bytes()
    try:
        async for chunk in chunks:
            for event in reader.read(chunk):
                yield f'data: {_checked(event)}'
                yield ''
    except Exception:
        await response.aclose()
        await exhaust(chunks)
        raise
    for event in reader.end():
        if _is_json(event):  # otherwise the stream was cut
            yield f'data: {_checked(event)}'


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _checked(data: bytes) -> str:
    """The text of an event, which is an object of JSON and no error."""
    text = data.decode()
    said: Any = json.loads(text)
    if not isinstance(said, dict):
        raise json.JSONDecodeError('An object is expected', text, 0)
    error = cast('dict[str, Any]', said).get('error')
    if error is None:
        return text
    from google.genai.errors import APIError

    code = cast('dict[str, Any]', error).get('code') if isinstance(error, dict) else None
    raise APIError(cast('int', code), said)  # it takes none as well, and no other number is known then
