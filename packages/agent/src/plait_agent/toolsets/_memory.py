"""What was made of tools in an earlier step, kept for as long as the tools stay the same ones.

Most toolsets offer the same tools in every step, and a step should not pay for what wraps them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, TypeAlias

from plait_agent.toolsets.abstract import ToolsetTool

Tools: TypeAlias = dict[str, ToolsetTool[Any]]


@dataclass(frozen=True, slots=True)
class _Made:
    how: object
    sources: Sequence[Tools]
    tools: Tools


class Memory:
    """Remembers the last answer; it may be asked by several runs at once."""

    __slots__ = ('_last',)

    def __init__(self) -> None:
        self._last = _Made(None, (), {})

    def of(self, how: object, sources: Sequence[Tools], make: Callable[[Sequence[Tools]], Tools]) -> Tools:
        """What was made of the sources, or is made now, for the caller to keep.

        Args:
            how: What else it depends on, to be compared; how many sources there are, too.
            sources: Tools by name.
            make: Makes other tools of them.
        """
        last = self._last
        if last.how != how or not _are_same(last.sources, sources):
            last = self._last = _Made(how, [dict(source) for source in sources], make(sources))
        return dict(last.tools)


def _are_same(these: Sequence[Tools], those: Sequence[Tools]) -> bool:
    """Whether the very same tools stand under the same names in the same order."""
    return all(
        list(this) == list(that) and all(map(is_, this.values(), that.values()))
        for this, that in zip(these, those, strict=True)
    )
