"""How a tool looks to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from plait_agent._short_repr import short_repr

ObjectJsonSchema: TypeAlias = dict[str, Any]
"""The JSON schema of an object."""
ToolKind: TypeAlias = Literal['function', 'output', 'external', 'unapproved']
"""Who calls a tool: the run, the run to end itself, somebody else later, or the run once somebody has approved it."""


def _no_parameters() -> ObjectJsonSchema:
    return {'type': 'object', 'properties': {}}


@dataclass(repr=False, kw_only=True)
class ToolDefinition:
    """What a model is told of a tool."""

    name: str
    parameters_json_schema: ObjectJsonSchema = field(default_factory=_no_parameters)
    """The arguments. To be read: what has to be different goes into a new definition."""
    description: str | None = None
    """What the tool does."""
    outer_typed_dict_key: str | None = None
    """The key under which an output that is no object is wrapped."""
    strict: bool | None = None
    """Whether the provider is to keep the model to the schema; `None` leaves that to the model's adapter."""
    sequential: bool = False
    """Whether calls of this tool keep those of the same response from running at the same time."""
    kind: ToolKind = 'function'
    """Who calls it."""
    metadata: dict[str, Any] | None = None
    """What the program has noted about the tool; not for the model."""
    timeout: float | None = None
    """How many seconds a call may take."""

    @property
    def defer(self) -> bool:
        """Whether a call ends the run, to be answered or approved from outside."""
        return self.kind in {'external', 'unapproved'}

    __repr__ = short_repr


def copy_of(tool_def: ToolDefinition) -> ToolDefinition:
    """A definition that may be changed in every part."""
    metadata = tool_def.metadata
    return replace(
        tool_def,
        parameters_json_schema=_copied(tool_def.parameters_json_schema),
        metadata=None if metadata is None else dict(metadata),
    )


def _copied(json: Any) -> Any:
    if isinstance(json, Mapping):
        return {key: _copied(value) for key, value in cast('Mapping[str, Any]', json).items()}
    return [_copied(item) for item in cast('list[Any]', json)] if isinstance(json, list) else json
