"""The times and ids that records are given when nothing else is said."""

from __future__ import annotations

from datetime import UTC, datetime
from os import urandom

_NOT_VERSION_AND_VARIANT = ~((0xF << 76) | (0x3 << 62))
_VERSION_4 = (0x4 << 76) | (0x2 << 62)


def now_utc() -> datetime:
    """The time, with its zone."""
    return datetime.now(tz=UTC)


def make_uuid4_hex() -> str:
    """A random UUID as 32 hex digits, made here since to import `uuid` is slow."""
    return f'{int.from_bytes(urandom(16)) & _NOT_VERSION_AND_VARIANT | _VERSION_4:032x}'


def generate_tool_call_id() -> str:
    """An id for a tool call whose provider has given none."""
    return f'pyd_ai_{make_uuid4_hex()}'


def make_uuid4() -> str:
    """A random UUID in its usual form."""
    digits = make_uuid4_hex()
    return f'{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'
