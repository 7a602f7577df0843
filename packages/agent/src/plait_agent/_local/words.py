"""Numbers as people read them."""

from __future__ import annotations


def amount(size: int | None) -> str:
    """A number of bytes, in the unit that suits it."""
    if size is None:
        return 'of unknown size'
    if size >= 1 << 30:
        return f'{size / (1 << 30):.1f} GiB'
    if size >= 1 << 20:
        return f'{size / (1 << 20):.0f} MiB'
    return f'{max(size / (1 << 10), 0.1):.1f} KiB'
