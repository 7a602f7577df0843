"""What a model's answer is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, cast

from plait_agent._messages.content import BinaryContent
from plait_agent._messages.request_parts import BaseToolReturnPart
from plait_agent._messages.schemas import ImagesNarrowed, ToldApartBy
from plait_agent._short_repr import short_repr
from plait_agent._stamps import generate_tool_call_id


@dataclass(repr=False)
class TextPart:
    """Text."""

    content: str
    id: str | None = field(default=None, kw_only=True)
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    part_kind: Literal['text'] = field(default='text', kw_only=True)

    def has_content(self) -> bool:
        """Whether there is any text."""
        return bool(self.content)

    __repr__ = short_repr


@dataclass(repr=False)
class ThinkingPart:
    """What the model thought before it spoke."""

    content: str
    id: str | None = field(default=None, kw_only=True)
    signature: str | None = field(default=None, kw_only=True)
    """What the provider needs to know its own thought again."""
    provider_name: str | None = field(default=None, kw_only=True)
    """The provider that the id and the signature are for."""
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    part_kind: Literal['thinking'] = field(default='thinking', kw_only=True)

    def has_content(self) -> bool:
        """Whether there is any text."""
        return bool(self.content)

    __repr__ = short_repr


@dataclass(repr=False)
class FilePart:
    """A file that the model has made."""

    content: Annotated[BinaryContent, ImagesNarrowed()]
    id: str | None = field(default=None, kw_only=True)
    provider_name: str | None = field(default=None, kw_only=True)
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    part_kind: Literal['file'] = field(default='file', kw_only=True)

    def has_content(self) -> bool:
        """Whether the file has any bytes."""
        return bool(self.content.data)

    __repr__ = short_repr


@dataclass(repr=False)
class BaseToolCallPart:
    """A call that the model makes."""

    tool_name: str
    args: str | dict[str, Any] | None = None
    """The arguments, as JSON or as the object itself, as the provider has sent them."""
    tool_call_id: str = field(default_factory=generate_tool_call_id)
    id: str | None = field(default=None, kw_only=True)
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)

    def args_as_dict(self) -> dict[str, Any]:
        """The arguments as an object, empty if there are none.

        Raises:
            ValueError: They are not JSON.
            AssertionError: They are JSON, but no object.
        """
        if not self.args:
            return {}
        if isinstance(self.args, dict):
            return self.args
        try:
            args: object = json.loads(self.args)
        except ValueError as error:
            error.add_note(f'This is about the arguments that the model gave to tool {self.tool_name!r}: {self.args}')
            raise
        if not isinstance(args, dict):
            raise AssertionError('args should be a dict')
        return cast('dict[str, Any]', args)

    def args_as_json_str(self) -> str:
        """The arguments as JSON: as it came if it came so, otherwise without blanks."""
        if not self.args:
            return '{}'
        if isinstance(self.args, str):
            return self.args
        from pydantic_core import to_json

        return to_json(self.args).decode()

    def has_content(self) -> bool:
        """Whether there are arguments that say something."""
        if isinstance(self.args, dict):
            return any(self.args.values())
        return bool(self.args)

    __repr__ = short_repr


@dataclass(repr=False)
class ToolCallPart(BaseToolCallPart):
    """A call of a tool that runs here."""

    part_kind: Literal['tool-call'] = field(default='tool-call', kw_only=True)


@dataclass(repr=False)
class BuiltinToolCallPart(BaseToolCallPart):
    """A call of a tool that the provider runs."""

    provider_name: str | None = field(default=None, kw_only=True)
    part_kind: Literal['builtin-tool-call'] = field(default='builtin-tool-call', kw_only=True)


@dataclass(repr=False)
class BuiltinToolReturnPart(BaseToolReturnPart):
    """What a tool that the provider runs has returned."""

    provider_name: str | None = field(default=None, kw_only=True)
    provider_details: dict[str, Any] | None = field(default=None, kw_only=True)
    part_kind: Literal['builtin-tool-return'] = field(default='builtin-tool-return', kw_only=True)


ModelResponsePart: TypeAlias = Annotated[
    TextPart | ToolCallPart | BuiltinToolCallPart | BuiltinToolReturnPart | ThinkingPart | FilePart,
    ToldApartBy('part_kind'),
]
"""What a model's answer is made of."""
