"""What the class of an isolated state may say beside reducers."""

from __future__ import annotations

from plait_graph._state.merging import Merge

__all__ = ('Merge',)
