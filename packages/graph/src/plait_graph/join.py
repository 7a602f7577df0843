"""Joins, and the reducers that fold values at them.

A reducer's arity is decided when the join is made. Knows nothing of when a join fires.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, MutableSet
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

from typing_extensions import Protocol

from plait_graph._typevars import (
    DepsIn,
    DepsOut,
    Input,
    InputIn,
    Item,
    Output,
    OutputOut,
    StateIn,
    StateOut,
)
from plait_graph.basenode import BaseNode, End, GraphRunContext
from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.id_types import ForkID, ForkStack, JoinID, NodeID
from plait_graph.policies import JoinPolicy
from plait_graph.util import get_callable_name

__all__ = (
    'BranchFailure',
    'ContextReducerFunction',
    'Join',
    'JoinNode',
    'PlainReducerFunction',
    'ReduceFirstValue',
    'ReducerContext',
    'ReducerFunction',
    'reduce_dict_update',
    'reduce_list_append',
    'reduce_list_extend',
    'reduce_null',
    'reduce_sum',
)

Order: TypeAlias = Literal['input', 'completion']
Preference: TypeAlias = Literal['farthest', 'closest']


class ReducerContext(Generic[StateOut, DepsOut]):
    """What a reducer that asks for a context is given."""

    __slots__ = '_cancelled', '_deps', '_state'

    def __init__(self, *, state: StateOut, deps: DepsOut):
        self._state = state
        self._deps = deps
        self._cancelled = False

    @property
    def state(self) -> StateOut:
        """The state of the run, which a reducer may change; isolated state takes it over when the reducer returns."""
        return self._state

    @property
    def deps(self) -> DepsOut:
        """The dependencies of the run."""
        return self._deps

    @property
    def siblings_cancelled(self) -> bool:
        """Whether `cancel_sibling_tasks` was called."""
        return self._cancelled

    def cancel_sibling_tasks(self) -> None:
        """Cancel what could still bring a value to this join, and let the join go on with what it has.

        It takes effect after this fold. Branches that cannot reach the join go on.
        """
        self._cancelled = True

    def __repr__(self) -> str:
        return f'{type(self).__name__}(state={self._state!r}, deps={self._deps!r})'


PlainReducerFunction: TypeAlias = Callable[[Output, Input], Output]
"""`(current, value) -> new`."""

ContextReducerFunction: TypeAlias = Callable[[ReducerContext[StateOut, DepsOut], Output, Input], Output]
"""`(context, current, value) -> new`."""

ReducerFunction: TypeAlias = (
    Callable[[Output, Input], Output] | Callable[[ReducerContext[StateOut, DepsOut], Output, Input], Output]
)
"""Either kind of reducer."""


class _Addable(Protocol):
    def __add__(self, other: Any, /) -> Any: ...


_Number = TypeVar('_Number', bound=_Addable)
_Key = TypeVar('_Key')


def reduce_null(current: None, value: object) -> None:
    """Keep nothing: the join only waits."""


def reduce_list_append(current: list[Item], value: Item) -> list[Item]:
    """Append each value to the list."""
    current.append(value)
    return current


def reduce_list_extend(current: list[Item], value: Iterable[Item]) -> list[Item]:
    """Extend the list by the items of each value."""
    current.extend(value)
    return current


def reduce_dict_update(current: dict[_Key, Item], value: Mapping[_Key, Item]) -> dict[_Key, Item]:
    """Update the dictionary with each value; later keys win."""
    current.update(value)
    return current


def reduce_sum(current: _Number, value: _Number) -> _Number:
    """Add each value to what is there."""
    return cast('_Number', current + value)


class ReduceFirstValue(Generic[Item]):
    """Take the first value that comes, and cancel what could bring another one."""

    def __call__(self, ctx: ReducerContext[object, object], current: Item, value: Item) -> Item:
        """Take the value and cancel the siblings."""
        ctx.cancel_sibling_tasks()
        return value

    def __repr__(self) -> str:
        return 'ReduceFirstValue()'


_COMPLETION_ORDER: frozenset[Any] = frozenset({reduce_null, reduce_sum})
_MUTABLE = MutableSequence, MutableMapping, MutableSet, bytearray


class Join(Generic[StateIn, DepsIn, InputIn, OutputOut]):
    """A node that folds the values of one run of its parent fork into one, and passes that on once.

    Made by `GraphBuilder.join`.

    Raises:
        GraphSetupError: The reducer takes neither two nor three arguments, or `initial` can be changed in place.
    """

    __slots__ = (
        'id',
        'initial_factory',
        'order',
        'parent_fork_id',
        'policy',
        'preferred_parent_fork',
        'reducer',
        'takes_context',
    )

    def __init__(
        self,
        id: str,
        reducer: Callable[..., Any],
        *,
        initial_factory: Callable[[], Any],
        parent_fork_id: str | None = None,
        preferred_parent_fork: Preference = 'farthest',
        order: Order | None = None,
        policy: JoinPolicy | None = None,
    ):
        self.id = JoinID(id)
        self.reducer = reducer
        self.initial_factory = initial_factory
        self.parent_fork_id = None if parent_fork_id is None else ForkID(parent_fork_id)
        self.preferred_parent_fork: Preference = preferred_parent_fork
        self.takes_context = _takes_context(id, reducer)
        self.order: Order = order or _default_order(reducer, self.takes_context)
        self.policy = None if policy == JoinPolicy() else _checked(id, reducer, policy)

    def reduce(self, ctx: ReducerContext[Any, Any], current: Any, value: Any) -> Any:
        """Fold one value, with the context if the reducer takes one."""
        return self.reducer(ctx, current, value) if self.takes_context else self.reducer(current, value)

    def as_node(self, inputs: Any = None) -> JoinNode[Any, Any]:
        """This join with a value for it, for a class node to return."""
        return JoinNode(self, inputs)

    def __repr__(self) -> str:
        return f'Join({self.id!r})'


def constant_factory(initial: Any, join_id: str) -> Callable[[], Any]:
    """A factory for an initial value that cannot change.

    Raises:
        GraphSetupError: It can, so that one run would see what another one left in it.
    """
    if isinstance(initial, _MUTABLE):
        raise GraphSetupError(
            f'Join {join_id!r} has initial={initial!r}, which reducers can change in place: runs would share it. '
            f'Give a factory instead: initial_factory={type(cast(object, initial)).__name__}'
        )
    return lambda: initial


def _checked(id: str, reducer: Any, policy: Any) -> JoinPolicy | None:
    """A policy that agrees with the reducer.

    Raises:
        GraphSetupError: It does not, or is none.
    """
    if policy is None:
        return None
    if not isinstance(policy, JoinPolicy):
        raise GraphSetupError(f'Join {id!r} has policy={policy!r}, which is none. Give a JoinPolicy(need=..., ...).')
    if isinstance(reducer, ReduceFirstValue) and policy.need not in ('all', 1):
        raise GraphSetupError(
            f'Join {id!r} takes the first value (ReduceFirstValue) and needs {policy.describe()[0]}. '
            f'Use another reducer, or leave need= out.'
        )
    return policy


@dataclass(frozen=True, slots=True)
class BranchFailure:
    """What a join that collects failures hands to its reducer in the place of a branch's value."""

    error: BaseException
    node_id: NodeID
    """The node that failed."""
    fork_stack: ForkStack
    """Where it stood: the items and branches that were lost."""


def _takes_context(id: str, reducer: Any) -> bool:
    if not callable(reducer):
        raise GraphSetupError(f'Join {id!r} has reducer {reducer!r}, which cannot be called. Give a function.')
    try:
        signature = inspect.signature(reducer)
    except ValueError:  # a builtin without a signature cannot know our context
        return False
    for count in (2, 3):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 3
    raise GraphSetupError(
        f'Join {id!r} has reducer {get_callable_name(reducer)!r} with signature {signature}. '
        f'A reducer takes (current, value) or (context, current, value).'
    )


def _default_order(reducer: Any, takes_context: bool) -> Order:
    try:
        return 'completion' if takes_context or reducer in _COMPLETION_ORDER else 'input'
    except TypeError:  # a callable object that has no hash is none of ours
        return 'input'


@dataclass
class JoinNode(BaseNode[StateIn, DepsIn, Any], Generic[StateIn, DepsIn]):
    """A join together with a value for it, returned by a class node to hand the value in."""

    join: Join[StateIn, DepsIn, Any, Any]
    inputs: Any

    async def run(self, ctx: GraphRunContext[StateIn, DepsIn]) -> BaseNode[StateIn, DepsIn, Any] | End[Any]:
        """Not a node to run: the graph hands the value to the join instead."""
        raise GraphRuntimeError(f'{self!r} stands for a join of a graph and is not run itself.')
