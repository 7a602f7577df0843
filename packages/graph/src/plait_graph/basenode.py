"""Nodes written as classes: `run` is the body, its return hint gives the edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Never

from typing_extensions import TypeVar

__all__ = 'BaseNode', 'DepsT', 'Edge', 'End', 'GraphRunContext', 'NodeRunEndT', 'RunEndT', 'StateT'

StateT = TypeVar('StateT', default=None, contravariant=True)
_StateOut = TypeVar('_StateOut', default=None, covariant=True)
_DepsOut = TypeVar('_DepsOut', default=None, covariant=True)
DepsT = TypeVar('DepsT', default=None, contravariant=True)
RunEndT = TypeVar('RunEndT', default=None, covariant=True)
NodeRunEndT = TypeVar('NodeRunEndT', default=Never, covariant=True)


@dataclass(kw_only=True)
class GraphRunContext(Generic[_StateOut, _DepsOut]):
    """What a class node's `run` is given."""

    state: _StateOut
    """The state of the run."""
    deps: _DepsOut
    """The dependencies of the run."""


@dataclass(frozen=True)
class End(Generic[RunEndT]):
    """Returned by a node to end the run with a value."""

    data: RunEndT


@dataclass(frozen=True)
class Edge:
    """Annotates a return hint with a label for the picture: `Annotated[Next, Edge('if it rains')]`."""

    label: str | None = None


class BaseNode(ABC, Generic[StateT, DepsT, NodeRunEndT]):
    """A node that is also its own input: fields are what comes in, `run` is what is done.

    The value that `run` returns decides where the run goes; the return hint says where it can go, for the picture and
    for the checks at build time.
    """

    @abstractmethod
    async def run(self, ctx: GraphRunContext[StateT, DepsT]) -> BaseNode[StateT, DepsT, Any] | End[NodeRunEndT]:
        """Do the work of the node and return the next node, or `End`."""

    @classmethod
    @cache
    def get_node_id(cls) -> str:
        """The id of the node in a graph: the name of the class, unless overridden."""
        return cls.__name__
