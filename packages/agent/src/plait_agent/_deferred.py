"""Calls that a run leaves to others, and what became of them. Both can be stored, and loaded on another day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from plait_agent._messages.schemas import ToldApartBy
from plait_agent.exceptions import ModelRetry, UserError
from plait_agent.messages import RetryPromptPart, ToolCallPart, ToolReturn

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(kw_only=True)
class ToolApproved:
    """A call may be made."""

    override_args: dict[str, Any] | None = None
    """The arguments that it is made with instead of the model's."""
    kind: Literal['tool-approved'] = 'tool-approved'


@dataclass
class ToolDenied:
    """A call may not be made."""

    message: str = 'The tool call was denied.'
    """What the model is told instead of a result."""
    _: KW_ONLY
    kind: Literal['tool-denied'] = 'tool-denied'


@dataclass(frozen=True, slots=True)
class _ToldApartByKind:
    """Marks results that say their kind; what says none is no member of the union, and means itself."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core.core_schema import tagged_union_schema

        choices = {kind: handler.generate_schema(record) for record, kind in _KINDS.items()}
        return tagged_union_schema(choices, _kind_of)


_KINDS: dict[type[Any], str] = {ToolReturn: 'tool-return', ModelRetry: 'model-retry', RetryPromptPart: 'retry-prompt'}


def _kind_of(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _KINDS.get(cast('type[Any]', type(value)))
    written = cast('Mapping[str, Any]', value)
    return written.get('kind') or written.get('part_kind')


DeferredToolApprovalResult: TypeAlias = Annotated[ToolApproved | ToolDenied, ToldApartBy('kind')]
"""What was decided about a call."""
DeferredToolCallResult: TypeAlias = Annotated[ToolReturn | ModelRetry | RetryPromptPart, _ToldApartByKind()]
"""What came of a call, if it is more than a value."""
DeferredToolResult: TypeAlias = DeferredToolApprovalResult | DeferredToolCallResult
"""Either of the two."""


@dataclass(kw_only=True)
class DeferredToolResults:
    """What became of deferred calls, for the run that goes on with them. All are given by call id."""

    calls: dict[str, DeferredToolCallResult | Any] = field(default_factory=dict[str, Any])
    """Results: values, or what says more than a value."""
    approvals: dict[str, bool | DeferredToolApprovalResult] = field(
        default_factory=dict[str, bool | DeferredToolApprovalResult]
    )
    """Whether calls may be made."""
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What the tools find in `RunContext.tool_call_metadata`."""


@dataclass
class DeferredToolRequests:
    """The output of a run that ends with calls which it cannot make by itself."""

    calls: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls to be made elsewhere."""
    approvals: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls to be approved."""
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What the tools have said when they deferred a call, by call id."""

    def build_results(
        self,
        *,
        approve_all: bool = False,
        approvals: Mapping[str, bool | DeferredToolApprovalResult] | None = None,
        calls: Mapping[str, DeferredToolCallResult | Any] | None = None,
        metadata: Mapping[str, dict[str, Any]] | None = None,
    ) -> DeferredToolResults:
        """Put results to these calls, checking that each is for one of them.

        Args:
            approve_all: Whether the calls to be approved are approved, if nothing else is said of them.
            approvals: What was decided, by call id.
            calls: What came of calls, by call id. A call that waits for approval can be answered like this too.
            metadata: What the tools are to find in `RunContext.tool_call_metadata`, by call id.

        Raises:
            UserError: An id is not that of a call that can be answered so.
        """
        to_approve = [call.tool_call_id for call in self.approvals]
        known = [*to_approve, *(call.tool_call_id for call in self.calls)]
        decided = dict(approvals or {})
        results = DeferredToolResults(calls=dict(calls or {}), approvals=decided, metadata=dict(metadata or {}))
        _check_ids('approvals', decided, to_approve)
        _check_ids('calls', results.calls, known)
        _check_ids('metadata', results.metadata, known)
        if approve_all:
            undecided = (call_id for call_id in to_approve if call_id not in decided and call_id not in results.calls)
            decided.update((call_id, ToolApproved()) for call_id in undecided)
        return results

    def remaining(self, results: DeferredToolResults) -> DeferredToolRequests | None:
        """The calls that have no result yet; `None` if all have one."""
        answered = {*results.calls, *results.approvals}
        calls = [call for call in self.calls if call.tool_call_id not in answered]
        approvals = [call for call in self.approvals if call.tool_call_id not in answered]
        if not calls and not approvals:
            return None
        metadata = {call_id: said for call_id, said in self.metadata.items() if call_id not in answered}
        return DeferredToolRequests(calls, approvals, metadata)


def _check_ids(field_name: str, given: Iterable[str], known: list[str]) -> None:
    for call_id in given:
        if call_id not in known:
            raise UserError(
                f'The `{field_name}` have a result for call {call_id!r}, which waits for none. '
                f'Give results for these: {known}.'
            )
