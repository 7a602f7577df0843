"""The record of something that looks wrong."""

from __future__ import annotations

from dataclasses import dataclass

from plait_graph.id_types import NodeID


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks wrong in a graph."""

    code: str
    """Which kind of finding it is."""
    nodes: tuple[NodeID, ...]
    """The nodes that it is about."""
    message: str
    """What was found, where, and what to do."""

    def __str__(self) -> str:
        return f'{self.code}: {self.message}'
