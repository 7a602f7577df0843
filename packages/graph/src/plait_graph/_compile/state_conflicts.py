"""Conflicts over isolated state that are certain from a graph's shape.

What a step writes is read from its source, and only where it writes whatever happens: in the first statements of its
body, before anything that branches, loops or returns. A step whose source is not there says nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, cast

from plait_graph._compile.finding import Finding
from plait_graph._compile.lower import Layout
from plait_graph._state.merging import declared
from plait_graph._state.values import name_of
from plait_graph.id_types import NodeID
from plait_graph.node import Fork
from plait_graph.step import AnyStep, NodeStep, Step, SubgraphStep

if TYPE_CHECKING:
    import ast


def state_conflicts(layout: Layout, state_type: Any) -> Iterator[Finding]:
    """The conflicts that are certain.

    Args:
        layout: The graph, whose state is isolated.
        state_type: The class of the state, which may declare reducers.

    Raises:
        GraphSetupError: What it declares is of no use.
    """
    search = _Search(layout, declared(state_type), name_of(state_type))
    for node in layout.nodes.values():
        if isinstance(node, Fork) and node.is_map:
            yield from search.below_map(node.id)
        elif isinstance(node, Fork):
            yield from search.between_branches(node.id)


class _Search:
    def __init__(self, layout: Layout, merged: Collection[str], state: str):
        self._layout = layout
        self._merged = merged
        """The fields that may be written by several at a time."""
        self._state = state
        self._known: dict[NodeID, list[str]] = {}

    def below_map(self, fork: NodeID) -> Iterator[Finding]:
        """A step that writes a field for each item."""
        for step in chain.from_iterable(self._branches(fork)):
            for field in self._writes(step):
                yield Finding(
                    'state-conflict',
                    (fork, step),
                    f'Step {step!r} writes field {field!r} of state {self._state} once for each item of map {fork!r}, '
                    f'at the same time. {_REMEDY}',
                )

    def between_branches(self, fork: NodeID) -> Iterator[Finding]:
        """Two steps that write one field, in two branches."""
        branches = combinations(self._branches(fork), 2)
        pairs = [(one, other) for left, right in branches for one in left for other in right if one != other]
        for one, other in {frozenset(pair): pair for pair in pairs}.values():
            for field in self._writes(one):
                if field in self._writes(other):
                    yield Finding(
                        'state-conflict',
                        (fork, one, other),
                        f'Steps {one!r} and {other!r} both write field {field!r} of state {self._state}, in two '
                        f'branches of {fork!r} that run at the same time. {_REMEDY}',
                    )

    def _branches(self, fork: NodeID) -> list[list[NodeID]]:
        """For each branch the steps that are surely reached, before any join."""
        return [self._straight_from(target) for target in self._layout.targets(fork)]

    def _straight_from(self, start: NodeID) -> list[NodeID]:
        passed: dict[NodeID, None] = {}
        pending = [start]
        while pending:
            node_id = pending.pop()
            node = self._layout.nodes[node_id]
            # A map may have no items, and is searched for itself.
            if node_id not in passed and (isinstance(node, Step) or (isinstance(node, Fork) and not node.is_map)):
                passed[node_id] = None
                pending.extend(reversed(self._layout.targets(node_id)))
        return [node_id for node_id in passed if isinstance(self._layout.nodes[node_id], Step)]

    def _writes(self, step_id: NodeID) -> list[str]:
        """The fields that a step surely writes and that nothing merges, in the order of its statements."""
        if step_id not in self._known:
            fields = dict.fromkeys(sure_writes(cast(AnyStep, self._layout.nodes[step_id])))
            self._known[step_id] = [field for field in fields if field not in self._merged]
        return self._known[step_id]


_REMEDY = 'Declare a reducer for it, as in Annotated[list[str], reduce_list_extend], or let only one step write it.'


def sure_writes(step: AnyStep) -> list[str]:
    """The fields of the state that a step writes whatever happens, as far as its source shows them."""
    function: Any = step.node_type.run if isinstance(step, NodeStep) else step.call
    is_method = isinstance(step, NodeStep) or inspect.ismethod(function)
    function = getattr(function, '__func__', function)
    # A decorator need not call what it wraps, and a subgraph has a body of its own.
    if isinstance(step, SubgraphStep) or not inspect.isfunction(function) or hasattr(function, '__wrapped__'):
        return []
    definition = _definition(function)
    parameters = [] if definition is None else [*definition.args.posonlyargs, *definition.args.args][is_method:]
    if definition is None or not parameters:
        return []
    return list(_Reader(parameters[0].arg).read(definition.body))


def _definition(function: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    import ast
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    first = tree.body[0] if tree.body else None
    return first if isinstance(first, ast.FunctionDef | ast.AsyncFunctionDef) else None


_MUTATING = frozenset(
    {'add', 'append', 'appendleft', 'clear', 'discard', 'extend', 'extendleft', 'insert', 'pop', 'popitem', 'popleft'}
    | {'remove', 'setdefault', 'update'}
)


class _Reader:
    """Reads the statements of a body, up to one that may lead elsewhere."""

    def __init__(self, context: str):
        self._context = context
        self._names: set[str] = set()
        """Names that stand for the state."""

    def read(self, body: list[ast.stmt]) -> Iterator[str]:
        """The fields that are written."""
        for statement in body:
            targets = _written(statement)
            if targets is None:
                return
            for target in targets:
                field = self._field(target)
                if field is not None:
                    yield field
            self._learn(statement)

    def _field(self, target: ast.expr) -> str | None:
        """The field of the state that a target is in, however deep."""
        import ast

        while isinstance(target, ast.Attribute | ast.Subscript):
            if not self._is_state(target.value):
                target = target.value
            elif isinstance(target, ast.Attribute):
                return target.attr
            else:
                key = target.slice.value if isinstance(target.slice, ast.Constant) else None
                return key if isinstance(key, str) else None
        return None

    def _is_state(self, value: ast.expr) -> bool:
        import ast

        match value:
            case ast.Attribute(value=ast.Name(id=name), attr='state'):
                return name == self._context
            case ast.Name(id=name):
                return name in self._names
            case _:
                return False

    def _learn(self, statement: ast.stmt) -> None:
        """Note that a name stands for the state from now on, or no more; the context's own name as well."""
        import ast

        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_state(value):
                self._names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self._names.discard(name)
                self._context = '' if name == self._context else self._context
            case _:
                pass


def _written(statement: ast.stmt) -> list[ast.expr] | None:
    """What a statement writes, each as a target; `None` if it may lead elsewhere."""
    import ast

    match statement:
        case ast.Assign(targets=targets, value=value):
            return [*_changed_by(value), *(each for target in targets for each in _unpacked(target))]
        case ast.AugAssign(target=target, value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            return [*_changed_by(value), target]
        case ast.Expr(value=value):
            return _changed_by(value)
        case ast.Delete(targets=targets):
            return targets
        case ast.AnnAssign() | ast.Pass() | ast.Assert() | ast.Import() | ast.ImportFrom():
            return []
        case _:
            return None


def _changed_by(value: ast.expr) -> list[ast.expr]:
    """What a call changes, if it is one of a method that does."""
    import ast

    match value:
        case ast.Call(func=ast.Attribute(value=changed, attr=method)) if method in _MUTATING:
            return [changed]
        case _:
            return []


def _unpacked(target: ast.expr) -> list[ast.expr]:
    import ast

    if isinstance(target, ast.Tuple | ast.List):
        return [each for part in target.elts for each in _unpacked(part)]
    return [target.value if isinstance(target, ast.Starred) else target]
