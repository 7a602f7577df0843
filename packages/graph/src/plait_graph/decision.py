"""Decisions: the first branch that matches a value takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeAlias, cast, get_args, get_origin

from plait_graph._typevars import Deps, DepsIn, Handled, HandledIn, Output, Source, State, StateIn
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.id_types import NodeID
from plait_graph.paths import AnyNode, Path, PathChain

__all__ = 'Decision', 'DecisionBranch', 'DecisionBranchBuilder'


@dataclass(frozen=True, slots=True)
class DecisionBranch(Generic[Source]):
    """One way out of a decision."""

    source: Any
    """The type of the values that take this branch, unless `matches` says which."""
    matches: Callable[[Any], bool] | None
    """The predicate that alone counts if it is given."""
    path: Path
    """Where the branch leads."""
    destinations: Sequence[AnyNode]
    """The nodes at the ends of the path."""

    def accepts(self, value: Any) -> bool:
        """Whether a value takes this branch.

        Raises:
            GraphRuntimeError: The type is one that `isinstance` refuses.
        """
        if self.matches is not None:
            return self.matches(value)
        if type(self.source) is type:
            return isinstance(value, self.source)
        if self.source is Any or self.source is object:
            return True
        if get_origin(self.source) is Literal:
            return value in get_args(self.source)
        try:
            return isinstance(value, self.source)
        except TypeError as error:
            raise GraphRuntimeError(
                f'Branch source {self.source!r} is not a valid type for isinstance. '
                f'Say what it matches with g.match(..., matches=lambda value: ...).'
            ) from error


DecisionBranchBuilder: TypeAlias = PathChain[State, Deps, Output, DecisionBranch[Source]]
"""The builder that `GraphBuilder.match` gives."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[StateIn, DepsIn, HandledIn]):
    """A node that sends a value along the first of its branches that accepts it.

    Made by `GraphBuilder.decision`; immutable, so that `branch` gives a new one with the same id.
    """

    id: NodeID
    branches: Sequence[DecisionBranch[Any]] = ()
    note: str | None = None
    """A text beside the decision in the picture."""

    def branch(
        self: Decision[State, Deps, Handled], branch: DecisionBranch[Source]
    ) -> Decision[State, Deps, Handled | Source]:
        """A decision that has this branch as well, tried after those that are there.

        Raises:
            GraphSetupError: The branch has no destination yet.
        """
        if not isinstance(branch, DecisionBranch):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
            raise GraphSetupError(
                f'Decision {self.id!r} was given {branch!r} as a branch. End it with .to(...): g.match(int).to(step).'
            )
        return cast('Decision[State, Deps, Handled | Source]', replace(self, branches=(*self.branches, branch)))

    def __repr__(self) -> str:
        return f'Decision({self.id!r}, {len(self.branches)} branches)'
