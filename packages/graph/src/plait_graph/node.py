"""The nodes that only direct: start, end and forks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic

from plait_graph._typevars import InputIn, OutputOut
from plait_graph.id_types import ForkID, JoinID, NodeID

__all__ = 'EndNode', 'Fork', 'StartNode'


class StartNode(Generic[OutputOut]):
    """Where a run begins, with the inputs of the run."""

    id: ClassVar[NodeID] = NodeID('__start__')

    def __repr__(self) -> str:
        return 'StartNode()'


class EndNode(Generic[InputIn]):
    """Where a run ends: the first value that arrives is the output of the run."""

    id: ClassVar[NodeID] = NodeID('__end__')

    def __repr__(self) -> str:
        return 'EndNode()'


@dataclass(frozen=True, slots=True)
class Fork(Generic[InputIn, OutputOut]):
    """A node that starts several tasks: one for each item (a map), or one for each branch (a broadcast)."""

    id: ForkID
    is_map: bool
    downstream_join_id: JoinID | None = None
    """The join that fires even if a map has no items."""
    limit: int | None = None
    """How many items of a map are in flight at once; `None` for all."""
