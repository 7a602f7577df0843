"""What a request to a model is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, cast

from typing_extensions import TypedDict

from plait_agent._messages.content import UserContent
from plait_agent._messages.schemas import ToldApartBy
from plait_agent._short_repr import short_repr
from plait_agent._stamps import generate_tool_call_id, now_utc
from plait_agent.exceptions import UserError


@dataclass(repr=False)
class SystemPromptPart:
    """A system prompt, as the developer wrote it."""

    content: str
    timestamp: datetime = field(default_factory=now_utc, kw_only=True)
    dynamic_ref: str | None = field(default=None, kw_only=True)
    """The name of the function that made it and makes it anew when the history is used again."""
    part_kind: Literal['system-prompt'] = field(default='system-prompt', kw_only=True)

    __repr__ = short_repr


@dataclass(repr=False)
class UserPromptPart:
    """What the user said."""

    content: str | Sequence[UserContent]
    timestamp: datetime = field(default_factory=now_utc, kw_only=True)
    part_kind: Literal['user-prompt'] = field(default='user-prompt', kw_only=True)

    __repr__ = short_repr


@dataclass(repr=False)
class BaseToolReturnPart:
    """What a tool has returned."""

    tool_name: str
    content: Any
    tool_call_id: str = field(default_factory=generate_tool_call_id)
    """The call that this answers."""
    metadata: Any = field(default=None, kw_only=True)
    """What the program keeps with it and the model does not see."""
    timestamp: datetime = field(default_factory=now_utc, kw_only=True)

    def model_response_str(self) -> str:
        """The content as text: as it is if it is one, otherwise as JSON without blanks.

        Raises:
            UserError: It cannot be written as JSON.
        """
        if isinstance(self.content, str):
            return self.content
        from pydantic_core import to_json

        return self._written_by(to_json).decode()

    def model_response_object(self) -> dict[str, Any]:
        """The content as a JSON object: as it is if it is one, otherwise as its `return_value`.

        Raises:
            UserError: It cannot be written as JSON.
        """
        from pydantic_core import to_jsonable_python

        content = self._written_by(to_jsonable_python)
        return cast('dict[str, Any]', content) if isinstance(content, dict) else {'return_value': content}

    def _written_by(self, write: Callable[..., Any]) -> Any:
        try:
            return write(self.content, by_alias=False, bytes_mode='base64', inf_nan_mode='null')
        except ValueError as error:
            raise UserError(
                f'Tool {self.tool_name!r} has returned a {type(self.content).__name__} that cannot be written as JSON: '
                f'{error}. Let it return text or plain data.'
            ) from error

    def has_content(self) -> bool:
        """Whether anything was returned; an empty text is something."""
        return self.content is not None

    __repr__ = short_repr


@dataclass(repr=False)
class ToolReturnPart(BaseToolReturnPart):
    """What a tool has returned, for the model that called it."""

    part_kind: Literal['tool-return'] = field(default='tool-return', kw_only=True)


class ErrorDetails(TypedDict):
    """One error of a validation, as pydantic tells it."""

    type: str
    loc: tuple[int | str, ...]
    msg: str
    input: Any
    ctx: NotRequired[dict[str, Any]]
    url: NotRequired[str]


@dataclass(repr=False)
class RetryPromptPart:
    """Asks the model to try again, since a call or an answer was not right."""

    content: list[ErrorDetails] | str
    """What was wrong."""
    tool_name: str | None = field(default=None, kw_only=True)
    """The tool that was called; `None` if it is the answer that was wrong."""
    tool_call_id: str = field(default_factory=generate_tool_call_id, kw_only=True)
    timestamp: datetime = field(default_factory=now_utc, kw_only=True)
    part_kind: Literal['retry-prompt'] = field(default='retry-prompt', kw_only=True)

    def model_response(self) -> str:
        """What the model is told."""
        return f'{self._description()}\n\nFix the errors and try again.'

    def _description(self) -> str:
        if isinstance(self.content, str):
            return self.content if self.tool_name else f'Validation feedback:\n{self.content}'
        from pydantic_core import to_json

        told = [{name: error[name] for name in ('type', 'loc', 'msg', 'input')} for error in self.content]
        # A call that went wrong is told of in any case, whatever it was that could not be validated.
        errors = to_json(told, indent=2, bytes_mode='base64', inf_nan_mode='null', serialize_unknown=True)
        return f'{len(told)} validation error{"" if len(told) == 1 else "s"}:\n```json\n{errors.decode()}\n```'

    __repr__ = short_repr


ModelRequestPart: TypeAlias = Annotated[
    SystemPromptPart | UserPromptPart | ToolReturnPart | RetryPromptPart, ToldApartBy('part_kind')
]
"""What a request to a model is made of."""
