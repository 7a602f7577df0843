"""When a server wants to be asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping

_LONGEST_PAUSE = 300.0
"""No server may stop a program for longer than that."""


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait that an answer's headers say, from now; below zero if that time is over.

    Read are `Retry-After` with seconds, whole or not, or with an HTTP date, and before it `Retry-After-Ms`, which some
    servers send as the more exact one. `None` if there is nothing that makes sense.
    """
    milliseconds = _read_amount(headers.get('retry-after-ms'))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get('retry-after')
    seconds = _read_amount(value)
    return _read_date(value) if seconds is None and value is not None else seconds


def find_retry_after(error: BaseException) -> float | None:
    """The seconds to wait that the answer behind an error of a model says, within reason."""
    headers = getattr(getattr(error.__cause__, 'response', None), 'headers', None)
    seconds = None if headers is None else read_retry_after(headers)
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_PAUSE)


def _read_amount(value: str | None) -> float | None:
    try:
        amount = float(value or '')
    except ValueError:
        return None
    return amount if 0 <= amount < math.inf else None


def _read_date(value: str) -> float | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    # A date without a zone is in GMT, as HTTP says.
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(tz=UTC)).total_seconds()
