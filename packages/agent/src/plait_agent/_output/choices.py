"""What was asked for, sorted: the text, the image, the deferral and the data that a run may end with.

Looks at types and markers without making anything of them, so that pydantic is not needed for a plain text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from plait_agent._output.members import MARKERS, TEXT_MARKERS, check_kind, flattened, is_sequence, shown
from plait_agent.exceptions import UserError
from plait_agent.output import NativeOutput, PromptedOutput, TextOutput, ToolOutput

if TYPE_CHECKING:
    from plait_agent.output import OutputMode

_Marker: TypeAlias = NativeOutput[Any] | PromptedOutput[Any]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a run may end with."""

    structured: tuple[ToolOutput[Any], ...] = ()
    """The types and functions for data, each with what has been said about its tool."""
    marker: _Marker | None = None
    """What says that the data comes as the text of an answer."""
    in_tools: bool = False
    """Whether something says that data comes as the call of a tool."""
    text: type[str] | TextOutput[Any] | None = None
    """How text is taken, if it is."""
    allows_image: bool = False
    allows_deferred: bool = False
    given: tuple[Any, ...] = ()
    """All of it in the order in which it was said, without markers around several."""

    @property
    def mode(self) -> OutputMode | None:
        """How models are asked for it, None if that is open."""
        if self.marker is not None:
            return 'native' if isinstance(self.marker, NativeOutput) else 'prompted'
        if not self.structured:
            return 'image' if self.text is None else 'text'
        return 'tool' if self.in_tools or self.text is not None else None


def sort_out(output_type: Any) -> Choices:
    """Sort what stands in an `output_type`.

    Raises:
        UserError: Something in it cannot be an output, or things stand side by side that exclude one another.
    """
    if output_type is str:
        return _PLAIN_TEXT
    given = list(flattened(output_type))
    if not given:
        raise UserError('At least one output type must be provided.')
    outputs = [each for each in given if not _is_deferral(each)]
    if not outputs:
        raise UserError('At least one output type must be provided other than `DeferredToolRequests`.')
    wanted = [each for each in outputs if not _is_image(each)]
    choices = _marked(wanted) or _unmarked(wanted)
    return replace(
        choices,
        allows_image=len(wanted) < len(outputs),
        allows_deferred=len(outputs) < len(given),
        given=tuple(_without_marker(given)),
    )


_PLAIN_TEXT = Choices(text=str, given=(str,))


def _marked(wanted: Sequence[Any]) -> Choices | None:
    """The choices if a marker says that data comes as text."""
    marked = (each for kind in TEXT_MARKERS for each in wanted if isinstance(each, kind))
    marker: _Marker | None = next(marked, None)
    if marker is None:
        return None
    name = type(marker).__name__
    if len(wanted) > 1:
        raise UserError(f'`{name}` must be the only output type.')
    outputs = list(_without_marker([marker]))
    if not outputs:
        raise UserError(f'`{name}` has no output types in it. Give it at least one.')
    for each in outputs:
        _check_inside(each, name)
    return Choices(structured=tuple(map(ToolOutput[Any], outputs)), marker=marker)


def _without_marker(outputs: Iterable[Any]) -> Iterator[Any]:
    """The outputs, with those that stand within a marker for several."""
    for each in outputs:
        if isinstance(each, TEXT_MARKERS):
            yield from flattened(cast('_Marker', each).outputs)
        else:
            yield each


def _check_inside(output: Any, marker: str) -> None:
    """Refuse what cannot stand within a marker."""
    if _is_deferral(output) or _is_image(output):
        other = output.__name__
        raise UserError(
            f'`{marker}` cannot contain `{other}`, which is no data. '
            f'Put it beside the marker: `output_type=[{marker}(...), {other}]`.'
        )
    if isinstance(output, MARKERS):
        raise UserError(
            f'`{marker}` cannot contain a `{type(output).__name__}`: they are different ways to ask for an output. '
            f'Give it types and functions.'
        )


def _unmarked(wanted: Sequence[Any]) -> Choices:
    texts = [each for each in wanted if _is_text(each)]
    if len(texts) > 1:
        raise UserError('Only one `str` or `TextOutput` is allowed.')
    data = [each for each in wanted if not _is_text(each)]
    return Choices(
        structured=tuple(map(_tool_output, data)),
        in_tools=any(isinstance(each, ToolOutput) for each in data),
        text=texts[0] if texts else None,
    )


def _tool_output(output: Any) -> ToolOutput[Any]:
    if not isinstance(output, ToolOutput):
        return ToolOutput(output)
    marker = cast('ToolOutput[Any]', output)
    inside = marker.output
    if is_sequence(inside):
        raise UserError('A `ToolOutput` is one tool, and this one has a sequence in it. Write one for each type.')
    if isinstance(inside, MARKERS) or _is_deferral(inside):
        raise UserError(f'A `ToolOutput` takes a type or a function, and no {shown(inside)}. Put that beside it.')
    check_kind(inside)
    return marker


def _is_text(output: Any) -> bool:
    return output is str or isinstance(output, TextOutput)


def _is_image(output: Any) -> bool:
    from plait_agent.messages import BinaryImage

    return output is BinaryImage


def _is_deferral(output: Any) -> bool:
    from plait_agent.tools import DeferredToolRequests

    return output is DeferredToolRequests
